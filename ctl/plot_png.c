/* SPDX-License-Identifier: Apache-2.0 */
/* A picture drawn by hand and written as PNG (ISO/IEC 15948): zlib does the packing and the check sums. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "ctl/plot.h"

enum { WIDTH = 800, HEIGHT = 480, LEFT = 70, RIGHT = 20, TOP = 50, BOTTOM = 50, SCALE = 2 };

/* What a plot writes, 5 wide and 7 high, a row a byte, the left column its highest bit. Other letters are blank. */
static const struct glyph {
        char letter;
        uint8_t rows[7];
} font[] = {
        { '0', { 0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e } },
        { '1', { 0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e } },
        { '2', { 0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f } },
        { '3', { 0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e } },
        { '4', { 0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02 } },
        { '5', { 0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e } },
        { '6', { 0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e } },
        { '7', { 0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08 } },
        { '8', { 0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e } },
        { '9', { 0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c } },
        { '.', { 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c } },
        { '-', { 0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00 } },
        { '+', { 0x00, 0x04, 0x04, 0x1f, 0x04, 0x04, 0x00 } },
        { ',', { 0x00, 0x00, 0x00, 0x00, 0x0c, 0x04, 0x08 } },
        { 'a', { 0x00, 0x00, 0x0e, 0x01, 0x0f, 0x11, 0x0f } },
        { 'd', { 0x01, 0x01, 0x0d, 0x13, 0x11, 0x11, 0x0f } },
        { 'e', { 0x00, 0x00, 0x0e, 0x11, 0x1f, 0x10, 0x0e } },
        { 'h', { 0x10, 0x10, 0x16, 0x19, 0x11, 0x11, 0x11 } },
        { 'i', { 0x04, 0x00, 0x0c, 0x04, 0x04, 0x04, 0x0e } },
        { 'l', { 0x0c, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e } },
        { 'm', { 0x00, 0x00, 0x1a, 0x15, 0x15, 0x11, 0x11 } },
        { 'n', { 0x00, 0x00, 0x16, 0x19, 0x11, 0x11, 0x11 } },
        { 'o', { 0x00, 0x00, 0x0e, 0x11, 0x11, 0x11, 0x0e } },
        { 'p', { 0x00, 0x00, 0x1e, 0x11, 0x1e, 0x10, 0x10 } },
        { 's', { 0x00, 0x00, 0x0e, 0x10, 0x0e, 0x01, 0x1e } },
        { 't', { 0x08, 0x08, 0x1c, 0x08, 0x08, 0x09, 0x06 } },
        { 'u', { 0x00, 0x00, 0x11, 0x11, 0x11, 0x13, 0x0d } },
        { 'v', { 0x00, 0x00, 0x11, 0x11, 0x11, 0x0a, 0x04 } },
};

struct picture {
        uint8_t *rows; /* HEIGHT rows: the filter's byte 0, and WIDTH times red, green, blue */
};

enum { ROW_BYTES = 1 + 3 * WIDTH };

/* `cover` of 0 to 1: how much of what is there is covered. */
static void blend(struct picture *picture, long x, long y, uint32_t colour, double cover)
{
        uint8_t *pixel;

        if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT)
                return;
        pixel = picture->rows + y * ROW_BYTES + 1 + 3 * x;
        for (int i = 0; i < 3; i++) {
                double part = (double)(colour >> (16 - 8 * i) & 0xff);

                pixel[i] = (uint8_t)lround(pixel[i] + (part - pixel[i]) * cover);
        }
}

/* A line of `thick` pixels with soft edges: each pixel is covered by how near it is. */
static void draw_line(
                struct picture *picture, const double a[2], const double b[2], uint32_t colour, double thick)
{
        double dx = b[0] - a[0], dy = b[1] - a[1], square = dx * dx + dy * dy;
        long x0 = (long)floor(fmin(a[0], b[0]) - thick), x1 = (long)ceil(fmax(a[0], b[0]) + thick);
        long y0 = (long)floor(fmin(a[1], b[1]) - thick), y1 = (long)ceil(fmax(a[1], b[1]) + thick);

        for (long y = y0; y <= y1; y++)
                for (long x = x0; x <= x1; x++) {
                        double t = square > 0 ? ((double)x - a[0]) * dx + ((double)y - a[1]) * dy : 0;
                        double distance, cover;

                        t = square > 0 ? fmin(fmax(t / square, 0), 1) : 0;
                        distance = hypot((double)x - a[0] - t * dx, (double)y - a[1] - t * dy);
                        cover = fmin(fmax(thick / 2 + 0.5 - distance, 0), 1);
                        if (cover > 0)
                                blend(picture, x, y, colour, cover);
                }
}

static void write_text(struct picture *picture, long x, long y, const char *text)
{
        for (; *text; text++, x += 6 * SCALE)
                for (size_t g = 0; g < sizeof(font) / sizeof(font[0]); g++)
                        for (int bit = 0; font[g].letter == *text && bit < 5 * 7 * SCALE * SCALE; bit++) {
                                int row = bit / (5 * SCALE) / SCALE, column = bit % (5 * SCALE) / SCALE;

                                if (font[g].rows[row] >> (4 - column) & 1)
                                        blend(picture, x + bit % (5 * SCALE), y + bit / (5 * SCALE),
                                                        0x444444, 1);
                        }
}

static double place_x(const struct ctl_axis *axis, double value)
{
        return LEFT + (value - axis->least) / (axis->most - axis->least) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct ctl_axis *axis, double value)
{
        return TOP + (axis->most - value) / (axis->most - axis->least) * (HEIGHT - TOP - BOTTOM);
}

static void draw_axes(struct picture *picture, const struct ctl_axis *x_axis, const struct ctl_axis *y_axis)
{
        char label[24];

        for (unsigned i = 0; i < ctl_axis_count(x_axis); i++) {
                double v = ctl_axis_value(x_axis, i), x = place_x(x_axis, v);

                ctl_axis_label(v, label, sizeof(label));
                draw_line(picture, (double[]){ x, TOP }, (double[]){ x, HEIGHT - BOTTOM }, 0xdddddd, 1);
                write_text(picture, lround(x) - (long)strlen(label) * 3 * SCALE, HEIGHT - BOTTOM + 10,
                                label);
        }
        for (unsigned i = 0; i < ctl_axis_count(y_axis); i++) {
                double v = ctl_axis_value(y_axis, i), y = place_y(y_axis, v);

                ctl_axis_label(v, label, sizeof(label));
                draw_line(picture, (double[]){ LEFT, y }, (double[]){ WIDTH - RIGHT, y }, 0xdddddd, 1);
                write_text(picture, LEFT - 6 - (long)strlen(label) * 6 * SCALE, lround(y) - 7, label);
        }
        write_text(picture, WIDTH / 2, HEIGHT - 18, "step");
}

static void draw(struct picture *picture, const struct ctl_plot *plot, const struct ctl_axis *x_axis,
                const struct ctl_axis *y_axis)
{
        static const uint32_t colours[CTL_SERIES] = { 0x9bb8d8, 0x1f5fa8, 0xd0781c };
        double legend = LEFT;

        draw_axes(picture, x_axis, y_axis);
        for (unsigned s = 0; s < CTL_SERIES; s++) {
                const struct ctl_series *series = &plot->series[s];
                double thick = s == CTL_LOSS ? 1 : 2;

                for (size_t i = 1; i < series->count; i++)
                        draw_line(picture,
                                        (double[]){ place_x(x_axis, series->x[i - 1]),
                                                        place_y(y_axis, series->y[i - 1]) },
                                        (double[]){ place_x(x_axis, series->x[i]),
                                                        place_y(y_axis, series->y[i]) },
                                        colours[s], thick);
                if (series->count > 0) {
                        draw_line(picture, (double[]){ legend, 24 }, (double[]){ legend + 24, 24 },
                                        colours[s], thick + 1);
                        write_text(picture, (long)legend + 32, 17, series->name);
                        legend += 60 + 6.0 * SCALE * (double)strlen(series->name);
                }
        }
}

static void put_u32(uint8_t *at, uint32_t value)
{
        for (int i = 0; i < 4; i++)
                at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static int append_chunk(struct qvf_text *out, const char kind[5], const void *bytes, size_t length)
{
        uLong sum = crc32(crc32(0, NULL, 0), (const Bytef *)kind, 4);
        uint8_t frame[4];
        int r;

        put_u32(frame, (uint32_t)length);
        r = qvf_text_append(out, frame, 4);
        if (r == 0)
                r = qvf_text_append(out, kind, 4);
        if (r == 0)
                r = qvf_text_append(out, bytes, length);
        if (length > 0)
                sum = crc32(sum, bytes, (uInt)length);
        put_u32(frame, (uint32_t)sum);
        return r == 0 ? qvf_text_append(out, frame, 4) : r;
}

static int encode(const struct picture *picture, struct qvf_text *out)
{
        static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
        uLongf packed_length = compressBound((uLong)HEIGHT * ROW_BYTES);
        _cleanup_free_ uint8_t *packed = malloc(packed_length);
        uint8_t header[13] = { [8] = 8, [9] = 2 }; /* 8 bits, red, green and blue */
        int r;

        if (!packed || compress2(packed, &packed_length, picture->rows, (uLong)HEIGHT * ROW_BYTES, 9) !=
                                        Z_OK)
                return -ENOMEM;
        put_u32(header, WIDTH);
        put_u32(header + 4, HEIGHT);
        r = qvf_text_append(out, signature, sizeof(signature));
        if (r == 0)
                r = append_chunk(out, "IHDR", header, sizeof(header));
        if (r == 0)
                r = append_chunk(out, "IDAT", packed, packed_length);
        return r == 0 ? append_chunk(out, "IEND", NULL, 0) : r;
}

int ctl_plot_png(const struct ctl_plot *plot, struct qvf_text *out)
{
        _cleanup_free_ uint8_t *rows = NULL;
        struct picture picture;
        struct ctl_axis x_axis, y_axis;

        if (!ctl_plot_axes(plot, &x_axis, &y_axis))
                return -ENODATA;
        rows = malloc((size_t)HEIGHT * ROW_BYTES);
        if (!rows)
                return -ENOMEM;
        memset(rows, 0xff, (size_t)HEIGHT * ROW_BYTES);
        for (int y = 0; y < HEIGHT; y++)
                rows[y * ROW_BYTES] = 0;
        picture.rows = rows;
        draw(&picture, plot, &x_axis, &y_axis);
        return encode(&picture, out);
}
