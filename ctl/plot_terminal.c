/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/plot.h"
#include "ctl/terminal.h"

enum { LABEL_COLUMNS = 8 };

struct canvas {
        unsigned columns, rows;
        unsigned char *dots;   /* of each character, the bits of a braille pattern */
        unsigned char *series; /* which series drew there last, plus 1 */
};

static void set_dot(struct canvas *canvas, long x, long y, unsigned series)
{
        static const unsigned char bits[4][2] = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 },
                { 0x40, 0x80 } };
        size_t place;

        if (x < 0 || y < 0 || x >= 2 * (long)canvas->columns || y >= 4 * (long)canvas->rows)
                return;
        place = (size_t)(y / 4) * canvas->columns + (size_t)(x / 2);
        canvas->dots[place] |= bits[y % 4][x % 2];
        canvas->series[place] = (unsigned char)(series + 1);
}

static void draw_line(struct canvas *canvas, double x0, double y0, double x1, double y1, unsigned series)
{
        long steps = lround(fmax(fabs(x1 - x0), fabs(y1 - y0)));

        for (long i = 0; i <= steps; i++) {
                double t = steps ? (double)i / (double)steps : 0;

                set_dot(canvas, lround(x0 + t * (x1 - x0)), lround(y0 + t * (y1 - y0)), series);
        }
}

static void draw_series(struct canvas *canvas, const struct ctl_series *series, unsigned number,
                const struct ctl_axis *x_axis, const struct ctl_axis *y_axis)
{
        double wide = 2 * canvas->columns - 1, high = 4 * canvas->rows - 1, last_x = 0, last_y = 0;

        for (size_t i = 0; i < series->count; i++) {
                double x = (series->x[i] - x_axis->least) / (x_axis->most - x_axis->least) * wide;
                double y = (y_axis->most - series->y[i]) / (y_axis->most - y_axis->least) * high;

                if (i == 0 || number == CTL_LOSS) /* single steps are a cloud, not a line */
                        set_dot(canvas, lround(x), lround(y), number);
                else
                        draw_line(canvas, last_x, last_y, x, y, number);
                last_x = x;
                last_y = y;
        }
}

static const enum ctl_colour series_colours[CTL_SERIES] = { CTL_DIM, CTL_BLUE, CTL_YELLOW };

static void print_row(const struct canvas *canvas, unsigned row, const struct ctl_axis *y_axis, bool colours,
                struct qvf_text *out)
{
        char label[24] = "";
        double high = y_axis->most - y_axis->least, from = (double)row / canvas->rows;
        double to = (double)(row + 1) / canvas->rows;

        for (unsigned i = 0; i < ctl_axis_count(y_axis); i++) {
                double value = ctl_axis_value(y_axis, i);
                double at = (y_axis->most - value) / high * (4 * canvas->rows - 1) / (4 * canvas->rows);

                if (at >= from && at < to)
                        ctl_axis_label(value, label, sizeof(label));
        }
        qvf_text_appendf(out, "%*s %s", LABEL_COLUMNS, label, *label ? "┤" : "│");
        for (unsigned c = 0; c < canvas->columns; c++) {
                size_t place = (size_t)row * canvas->columns + c;
                unsigned series = canvas->series[place];

                if (!series) {
                        qvf_text_append_char(out, ' ');
                        continue;
                }
                qvf_text_append_string(out, ctl_colour(colours, series_colours[series - 1]));
                qvf_text_append_codepoint(out, 0x2800u + canvas->dots[place]);
                qvf_text_append_string(out, ctl_colour(colours, CTL_PLAIN));
        }
        qvf_text_append_char(out, '\n');
}

static void print_x_axis(const struct ctl_axis *axis, unsigned columns, struct qvf_text *out)
{
        char line[512], label[24];
        unsigned end = 0;

        memset(line, ' ', sizeof(line));
        qvf_text_appendf(out, "%*s └", LABEL_COLUMNS, "");
        for (unsigned c = 0; c < columns; c++)
                qvf_text_append_string(out, "─");
        qvf_text_append_char(out, '\n');
        for (unsigned i = 0; i < ctl_axis_count(axis); i++) {
                double value = ctl_axis_value(axis, i);
                unsigned at = LABEL_COLUMNS + 2 +
                              (unsigned)((value - axis->least) / (axis->most - axis->least) * (columns - 1));
                size_t length;

                ctl_axis_label(value, label, sizeof(label));
                length = strlen(label);
                at = at > length / 2 ? at - (unsigned)(length / 2) : 0;
                if (at + length >= sizeof(line) || (end && at < end + 1))
                        continue;
                memcpy(line + at, label, length);
                end = at + (unsigned)length;
        }
        qvf_text_appendf(out, "%.*s step\n", (int)end, line);
}

int ctl_plot_terminal(const struct ctl_plot *plot, unsigned columns, unsigned rows, bool colours,
                struct qvf_text *out)
{
        struct canvas canvas = { .columns = columns > LABEL_COLUMNS + 22 ? columns - LABEL_COLUMNS - 6 : 16,
                .rows = rows > 4 ? rows : 4 };
        struct ctl_axis x_axis, y_axis;

        if (canvas.columns > 200)
                canvas.columns = 200;
        if (!ctl_plot_axes(plot, &x_axis, &y_axis))
                return -ENODATA;
        canvas.dots = calloc(2, (size_t)canvas.columns * canvas.rows);
        if (!canvas.dots)
                return -ENOMEM;
        canvas.series = canvas.dots + (size_t)canvas.columns * canvas.rows;
        for (unsigned s = 0; s < CTL_SERIES; s++)
                draw_series(&canvas, &plot->series[s], s, &x_axis, &y_axis);
        qvf_text_appendf(out, "%*s  %s\n", LABEL_COLUMNS, "", plot->title);
        for (unsigned row = 0; row < canvas.rows; row++)
                print_row(&canvas, row, &y_axis, colours, out);
        print_x_axis(&x_axis, canvas.columns, out);
        qvf_text_appendf(out, "%*s ", LABEL_COLUMNS, "");
        for (unsigned s = 0; s < CTL_SERIES; s++)
                if (plot->series[s].count > 0)
                        qvf_text_appendf(out, " %s%s%s %s ", ctl_colour(colours, series_colours[s]),
                                        s == CTL_LOSS ? "⠂⠄" : "──", ctl_colour(colours, CTL_PLAIN),
                                        plot->series[s].name);
        qvf_text_append_char(out, '\n');
        free(canvas.dots);
        return 0;
}
