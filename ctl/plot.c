/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/plot.h"

#include <errno.h>
#include <float.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add_point(struct ctl_series *series, double x, double y)
{
        if (!(fabs(x) <= 1e300 && fabs(y) <= 1e300)) /* differences must be finite, too */
                return 0;
        if ((series->count & (series->count - 1)) == 0) {
                size_t room = series->count ? 2 * series->count : 1;
                double *xs = reallocarray(series->x, room, sizeof(*xs)), *ys;

                if (!xs)
                        return -ENOMEM;
                series->x = xs;
                ys = reallocarray(series->y, room, sizeof(*ys));
                if (!ys)
                        return -ENOMEM;
                series->y = ys;
        }
        series->x[series->count] = x;
        series->y[series->count++] = y;
        return 0;
}

static double number_of(struct json_object *object, const char *key)
{
        struct json_object *value;

        if (!json_object_object_get_ex(object, key, &value) || !value)
                return NAN;
        return json_object_get_double(value);
}

static int read_line(struct ctl_plot *plot, struct json_object *object)
{
        double step = number_of(object, "step");
        int r = add_point(&plot->series[CTL_LOSS], step, number_of(object, "loss"));

        if (r == 0)
                r = add_point(&plot->series[CTL_EVALUATION], step, number_of(object, "evaluation_loss"));
        return r;
}

/* The mean over a fifteenth of the run: one step's loss is mostly the luck of its documents. */
static int smooth(struct ctl_plot *plot)
{
        const struct ctl_series *loss = &plot->series[CTL_LOSS];
        size_t reach = loss->count / 30;
        int r = 0;

        if (reach < 1)
                return 0;
        for (size_t i = 0; r == 0 && i < loss->count; i++) {
                size_t from = i > reach ? i - reach : 0,
                       to = i + reach < loss->count ? i + reach : loss->count - 1;
                double sum = 0;

                for (size_t j = from; j <= to; j++)
                        sum += loss->y[j];
                r = add_point(&plot->series[CTL_SMOOTH], loss->x[i], sum / (double)(to - from + 1));
        }
        return r;
}

int ctl_plot_read(struct ctl_plot *plot, const char *text, size_t length, size_t *ret_bad,
                struct qvf_error *error)
{
        struct json_tokener *tokener = json_tokener_new();
        size_t bad = 0;
        int r = tokener ? 0 : -ENOMEM;

        plot->series[CTL_LOSS].name = "loss";
        plot->series[CTL_SMOOTH].name = "loss, smoothed";
        plot->series[CTL_EVALUATION].name = "evaluation";
        while (r == 0 && length > 0) {
                const char *end = memchr(text, '\n', length);
                size_t line = end ? (size_t)(end - text) : length;
                struct json_object *object;

                json_tokener_reset(tokener);
                object = line < 65536 ? json_tokener_parse_ex(tokener, text, (int)line) : NULL;
                if (json_object_is_type(object, json_type_object))
                        r = read_line(plot, object);
                else if (line > 0 && end) /* a last line without an end is still being written */
                        bad++;
                json_object_put(object);
                text += line + (end != NULL);
                length -= line + (end != NULL);
        }
        if (tokener)
                json_tokener_free(tokener);
        if (r == 0)
                r = smooth(plot);
        if (r < 0)
                return qvf_error_set(error, r, "not enough memory for the metrics");
        *ret_bad = bad;
        return 0;
}

void ctl_plot_exit(struct ctl_plot *plot)
{
        for (unsigned i = 0; i < CTL_SERIES; i++) {
                free(plot->series[i].x);
                free(plot->series[i].y);
                plot->series[i] = (struct ctl_series){ 0 };
        }
}

struct ctl_axis ctl_axis_of(double least, double most, unsigned steps)
{
        struct ctl_axis axis;
        double raw, power;

        if (most - least < 1e-9 * fmax(1, fabs(most))) {
                most += fmax(fabs(most) * 0.1, 1e-6);
                least -= fmax(fabs(least) * 0.1, 1e-6);
        }
        raw = (most - least) / steps;
        power = pow(10, floor(log10(raw)));
        axis.step = power * (raw / power <= 1 ? 1 : raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
        axis.least = floor(least / axis.step) * axis.step;
        axis.most = ceil(most / axis.step) * axis.step;
        return axis;
}

bool ctl_plot_axes(const struct ctl_plot *plot, struct ctl_axis *ret_x, struct ctl_axis *ret_y)
{
        double x_least = DBL_MAX, x_most = -DBL_MAX, y_least = DBL_MAX, y_most = -DBL_MAX;

        for (unsigned s = 0; s < CTL_SERIES; s++)
                for (size_t i = 0; i < plot->series[s].count; i++) {
                        x_least = fmin(x_least, plot->series[s].x[i]);
                        x_most = fmax(x_most, plot->series[s].x[i]);
                        y_least = fmin(y_least, plot->series[s].y[i]);
                        y_most = fmax(y_most, plot->series[s].y[i]);
                }
        if (x_least > x_most)
                return false;
        *ret_x = ctl_axis_of(fmin(x_least, 0), x_most, 6);
        *ret_y = ctl_axis_of(y_least < y_most / 3 ? fmin(y_least, 0) : y_least, y_most, 5);
        return true;
}

unsigned ctl_axis_count(const struct ctl_axis *axis)
{
        return (unsigned)lround((axis->most - axis->least) / axis->step) + 1;
}

double ctl_axis_value(const struct ctl_axis *axis, unsigned place)
{
        return axis->least + place * axis->step;
}

void ctl_axis_label(double value, char *text, size_t size)
{
        snprintf(text, size, "%.4g", fabs(value) < 1e-12 ? 0 : value);
}
