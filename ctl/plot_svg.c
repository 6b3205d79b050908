/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "ctl/plot.h"

enum { WIDTH = 800, HEIGHT = 480, LEFT = 70, RIGHT = 20, TOP = 50, BOTTOM = 60 };

static double place_x(const struct ctl_axis *axis, double value)
{
        return LEFT + (value - axis->least) / (axis->most - axis->least) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct ctl_axis *axis, double value)
{
        return TOP + (axis->most - value) / (axis->most - axis->least) * (HEIGHT - TOP - BOTTOM);
}

static void escape(struct qvf_text *out, const char *text)
{
        for (; *text; text++)
                switch (*text) {
                case '<': qvf_text_append_string(out, "&lt;"); break;
                case '>': qvf_text_append_string(out, "&gt;"); break;
                case '&': qvf_text_append_string(out, "&amp;"); break;
                default: qvf_text_append_char(out, *text); break;
                }
}

static void draw_axes(const struct ctl_axis *x_axis, const struct ctl_axis *y_axis, struct qvf_text *out)
{
        char label[24];

        qvf_text_append_string(out, "<g stroke=\"#ddd\" fill=\"#444\" stroke-width=\"1\">\n");
        for (unsigned i = 0; i < ctl_axis_count(x_axis); i++) {
                double v = ctl_axis_value(x_axis, i), x = place_x(x_axis, v);

                ctl_axis_label(v, label, sizeof(label));
                qvf_text_appendf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x, TOP,
                                HEIGHT - BOTTOM);
                qvf_text_appendf(out,
                                "<text x=\"%.1f\" y=\"%d\" stroke=\"none\" "
                                "text-anchor=\"middle\">%s</text>\n",
                                x, HEIGHT - BOTTOM + 18, label);
        }
        for (unsigned i = 0; i < ctl_axis_count(y_axis); i++) {
                double v = ctl_axis_value(y_axis, i), y = place_y(y_axis, v);

                ctl_axis_label(v, label, sizeof(label));
                qvf_text_appendf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                                WIDTH - RIGHT, y, y);
                qvf_text_appendf(out,
                                "<text x=\"%d\" y=\"%.1f\" stroke=\"none\" text-anchor=\"end\">%s</text>\n",
                                LEFT - 8, y + 4, label);
        }
        qvf_text_appendf(out,
                        "<text x=\"%d\" y=\"%d\" stroke=\"none\" text-anchor=\"middle\">step</text>\n</g>\n",
                        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 20);
}

int ctl_plot_svg(const struct ctl_plot *plot, struct qvf_text *out)
{
        static const char *const styles[CTL_SERIES] = {
                "stroke=\"#9bb8d8\" stroke-width=\"1\"",
                "stroke=\"#1f5fa8\" stroke-width=\"2\"",
                "stroke=\"#d0781c\" stroke-width=\"2\"",
        };
        struct ctl_axis x_axis, y_axis;
        double legend = LEFT;

        if (!ctl_plot_axes(plot, &x_axis, &y_axis))
                return -ENODATA;
        qvf_text_appendf(out,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 "
                        "%d %d\" "
                        "font-family=\"sans-serif\" font-size=\"12\">\n"
                        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text x=\"%d\" y=\"22\" "
                        "font-size=\"15\">",
                        WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
        escape(out, plot->title);
        qvf_text_append_string(out, "</text>\n");
        draw_axes(&x_axis, &y_axis, out);
        for (unsigned s = 0; s < CTL_SERIES; s++) {
                const struct ctl_series *series = &plot->series[s];

                if (series->count == 0)
                        continue;
                qvf_text_appendf(out, "<polyline fill=\"none\" %s points=\"", styles[s]);
                for (size_t i = 0; i < series->count; i++)
                        qvf_text_appendf(out, "%.1f,%.1f ", place_x(&x_axis, series->x[i]),
                                        place_y(&y_axis, series->y[i]));
                qvf_text_appendf(out, "\"/>\n<line x1=\"%.0f\" x2=\"%.0f\" y1=\"38\" y2=\"38\" %s/>", legend,
                                legend + 24, styles[s]);
                qvf_text_appendf(out, "<text x=\"%.0f\" y=\"42\">%s</text>\n", legend + 30, series->name);
                legend += 160;
        }
        return qvf_text_append_string(out, "</svg>\n");
}
