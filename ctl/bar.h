/* SPDX-License-Identifier: Apache-2.0 */
/* The line that a training job shows. */
#ifndef QVF_CTL_BAR_H
#define QVF_CTL_BAR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/text.h"
#include "qvf/qvf.h"

enum { CTL_BAR_HISTORY = 64 };

struct ctl_bar {
        bool live; /* a terminal: the line is drawn over itself */
        bool colour;
        bool drawn;
        unsigned width;
        double losses[CTL_BAR_HISTORY]; /* of the last steps, for the trend; a ring */
        uint64_t loss_count, last_step;
        uint64_t last_tenth; /* what was last told where there is no terminal */
        char last_state[96];
};

void ctl_bar_init(struct ctl_bar *bar, int fd, bool no_colour);
/* Shows the job as it is now, on standard error. */
void ctl_bar_show(struct ctl_bar *bar, const struct qvf_value *job);
/* Ends the line, so that other text can follow. */
void ctl_bar_end(struct ctl_bar *bar);
/* The line alone, no wider than bar->width. */
void ctl_bar_text(struct ctl_bar *bar, const struct qvf_value *job, struct qvf_text *text);
/* "falling", "rising" or "steady": the last quarter of the remembered losses beside the rest; NULL: too few. */
const char *ctl_bar_trend(const struct ctl_bar *bar);

#endif
