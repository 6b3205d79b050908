/* SPDX-License-Identifier: Apache-2.0 */
/* Loss and evaluation over steps: as data, in a terminal, as SVG and as PNG. */
#ifndef QVF_CTL_PLOT_H
#define QVF_CTL_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/text.h"

struct ctl_series {
        const char *name;
        double *x, *y;
        size_t count;
};

enum { CTL_LOSS, CTL_SMOOTH, CTL_EVALUATION, CTL_SERIES };

struct ctl_plot {
        char title[160];
        struct ctl_series series[CTL_SERIES];
};

struct ctl_axis { /* a range with round steps: least, least + step, … most */
        double least, most, step;
};

/* Reads the metrics of a job, one JSON object a line; lines that are none are counted and passed over. */
int ctl_plot_read(struct ctl_plot *plot, const char *text, size_t length, size_t *ret_bad,
                struct qvf_error *error);
void ctl_plot_exit(struct ctl_plot *plot);
#define _cleanup_plot_ __attribute__((cleanup(ctl_plot_exit)))
/* False: there is nothing to plot. */
bool ctl_plot_axes(const struct ctl_plot *plot, struct ctl_axis *ret_x, struct ctl_axis *ret_y);
struct ctl_axis ctl_axis_of(double least, double most, unsigned steps);
/* How many round values an axis has, and each of them. */
unsigned ctl_axis_count(const struct ctl_axis *axis);
double ctl_axis_value(const struct ctl_axis *axis, unsigned place);
/* A number as an axis writes it. */
void ctl_axis_label(double value, char *text, size_t size);

/* Braille dots: each character is 2 wide and 4 high. */
int ctl_plot_terminal(const struct ctl_plot *plot, unsigned columns, unsigned rows, bool colours,
                struct qvf_text *out);
int ctl_plot_svg(const struct ctl_plot *plot, struct qvf_text *out);
/* 8 bits RGB, compressed by zlib. */
int ctl_plot_png(const struct ctl_plot *plot, struct qvf_text *out);

#endif
