/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics, axes and the bar of a training job. */
#include "ctl/plot.h"

#include <math.h>
#include <string.h>

#include "client/value.h"
#include "ctl/bar.h"
#include "ctl/terminal.h"
#include "tests/support/suite.h"

START_TEST(metrics_are_read)
{
        static const char text[] = "{\"step\":1,\"loss\":4.0}\n"
                                   "{\"step\":2,\"loss\":NaN}\n"
                                   "nonsense\n"
                                   "[1]\n"
                                   "{\"step\":3,\"loss\":2.5,\"evaluation_loss\":3.0}\n"
                                   "{\"step\":4,\"lo"; /* still being written */
        _cleanup_plot_ struct ctl_plot plot = { 0 };
        size_t bad = 0;

        ck_assert_int_eq(ctl_plot_read(&plot, text, strlen(text), &bad, NULL), 0);
        ck_assert_uint_eq(bad, 2);
        ck_assert_uint_eq(plot.series[CTL_LOSS].count, 2);
        ck_assert(plot.series[CTL_LOSS].x[1] == 3 && plot.series[CTL_LOSS].y[1] == 2.5);
        ck_assert_uint_eq(plot.series[CTL_EVALUATION].count, 1);
}
END_TEST

START_TEST(nothing_to_plot)
{
        _cleanup_plot_ struct ctl_plot plot = { 0 };
        _cleanup_text_ struct qvf_text out = { 0 };
        struct ctl_axis x, y;
        size_t bad;

        ck_assert_int_eq(ctl_plot_read(&plot, "", 0, &bad, NULL), 0);
        ck_assert(!ctl_plot_axes(&plot, &x, &y));
        ck_assert_int_lt(ctl_plot_svg(&plot, &out), 0);
        ck_assert_int_lt(ctl_plot_png(&plot, &out), 0);
        ck_assert_int_lt(ctl_plot_terminal(&plot, 80, 10, false, &out), 0);
}
END_TEST

START_TEST(axes_have_round_steps)
{
        struct ctl_axis axis = ctl_axis_of(0, 297, 6);
        char label[24];

        ck_assert(axis.least == 0 && axis.most == 300 && axis.step == 50);
        axis = ctl_axis_of(3.25, 3.25, 5); /* no range at all */
        ck_assert(axis.least < 3.25 && axis.most > 3.25);
        axis = ctl_axis_of(-1e-7, 4.2, 5);
        ck_assert(axis.most >= 4.2 && axis.least <= -1e-7);
        ctl_axis_label(-0.0, label, sizeof(label));
        ck_assert_str_eq(label, "0");
}
END_TEST

START_TEST(odd_sizes_are_drawn)
{
        static const char text[] = "{\"step\":1,\"loss\":1e300}\n{\"step\":1000000000,\"loss\":-1e300}\n";
        static const unsigned widths[] = { 0, 1, 29, 30, 80, 5000 };
        _cleanup_plot_ struct ctl_plot plot = { .title = "<&>" };
        size_t bad;

        ck_assert_int_eq(ctl_plot_read(&plot, text, strlen(text), &bad, NULL), 0);
        for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
                _cleanup_text_ struct qvf_text out = { 0 };

                ck_assert_int_eq(ctl_plot_terminal(&plot, widths[i], widths[i] % 50, true, &out), 0);
                ck_assert_uint_gt(out.length, 0);
        }
}
END_TEST

static void put(struct qvf_value *job, const char *key, const char *text, double number)
{
        struct qvf_value *item = calloc(1, sizeof(*item));

        if (text)
                *item = (struct qvf_value){ .type = QVF_TYPE_STRING, .string = strdup(text) };
        else
                *item = (struct qvf_value){ .type = QVF_TYPE_NUMBER, .number = number };
        ck_assert(qvf_value_put(job, key, item));
}

START_TEST(bar_fits_its_width)
{
        struct qvf_value *job = qvf_value_new_map();
        struct ctl_bar bar = { 0 };

        put(job, "Id", "7", 0);
        put(job, "State", "running", 0);
        put(job, "TotalSteps", NULL, 300);
        put(job, "TokensPerSecond", NULL, 1626);
        put(job, "SecondsLeft", NULL, 3725);
        put(job, "EnergyJoules", NULL, 12);
        put(job, "EvaluationLoss", NULL, 0.5);
        put(job, "MemoryPeak", NULL, 1e8);
        for (unsigned step = 0; step <= 300; step++) {
                _cleanup_text_ struct qvf_text text = { 0 };

                put(job, "Step", NULL, step);
                put(job, "Loss", NULL, 3.0 / (step + 1));
                bar.width = 30 + step % 120;
                ctl_bar_text(&bar, job, &text);
                ck_assert_uint_le(ctl_columns(qvf_text_string(&text)), bar.width);
        }
        ck_assert_str_eq(ctl_bar_trend(&bar), "falling");
        put(job, "State", "waiting", 0);
        put(job, "Reason", "battery: 12 %\033[31m", 0);
        {
                _cleanup_text_ struct qvf_text text = { 0 };

                ctl_bar_text(&bar, job, &text);
                ck_assert_str_eq(qvf_text_string(&text), "job 7 300/300  waiting: battery: 12 %?[31m");
        }
        qvf_value_free(job);
}
END_TEST

START_TEST(trend_needs_steps)
{
        struct ctl_bar bar = { 0 };

        ck_assert_ptr_null(ctl_bar_trend(&bar));
        for (unsigned i = 0; i < 200; i++)
                bar.losses[bar.loss_count++ % CTL_BAR_HISTORY] = 1;
        ck_assert_str_eq(ctl_bar_trend(&bar), "steady");
        for (unsigned i = 0; i < 20; i++)
                bar.losses[bar.loss_count++ % CTL_BAR_HISTORY] = 2;
        ck_assert_str_eq(ctl_bar_trend(&bar), "rising");
}
END_TEST

QVF_SUITE("plot", 60, metrics_are_read, nothing_to_plot, axes_have_round_steps, odd_sizes_are_drawn,
                bar_fits_its_width, trend_needs_steps)
