/* SPDX-License-Identifier: Apache-2.0 */
/* I2_S of bitnet.cpp: the codes of the whole matrix in one run, four to a byte, and one f32 scale after
 * them. Element i of the run lies in group i / G of G = 128 (x86) or 64 (ARM) weights in G / 4 bytes, at
 * byte i mod (G / 4) of the group, at bits 7-6, 5-4, 3-2 or 1-0 for the first to the last quarter of the
 * group. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/half.h"
#include "engine/files/dtype.h"
#include "engine/files/ternary.h"

/* A hint is believed where it explains a quarter of the variance under one order, and at least twice as much
 * as under the other. Permuted columns correlate at about 1/sqrt(columns), which is 0.05 and less for real
 * ones. */
#define CORRELATION_LEAST 0.5f
#define CORRELATION_RATIO 1.4f

const char *qvf_i2s_order_name(enum qvf_i2s_order order)
{
        switch (order) {
        case QVF_I2S_AUTO: return "auto";
        case QVF_I2S_X86: return "x86";
        case QVF_I2S_ARM: return "arm";
        }
        return "?";
}

static unsigned group_bytes(enum qvf_i2s_order order)
{
        return order == QVF_I2S_ARM ? 16 : 32;
}

/* Byte and shift of element `index`. */
static uint64_t place(uint64_t index, unsigned bytes, unsigned *ret_shift)
{
        uint64_t group = index / (4 * bytes), within = index % (4 * bytes);

        *ret_shift = 6 - 2 * (unsigned)(within / bytes);
        return group * bytes + within % bytes;
}

static void read_codes(
                const uint8_t *data, uint64_t first, unsigned count, unsigned bytes, uint8_t *ret_codes)
{
        unsigned done = 0;

        if (first % (4 * bytes) == 0) /* whole groups, in steps that vectorise */
                for (; count - done >= 4 * bytes; done += 4 * bytes)
                        for (unsigned quarter = 0; quarter < 4; quarter++)
                                for (unsigned i = 0; i < bytes; i++)
                                        ret_codes[done + quarter * bytes + i] =
                                                        data[(first + done) / 4 + i] >> (6 - 2 * quarter) &
                                                        3;
        for (; done < count; done++) {
                unsigned shift;
                uint64_t at = place(first + done, bytes, &shift);

                ret_codes[done] = data[at] >> shift & 3;
        }
}

/* In x86 order a group is half a TQ2_0 block with the four pairs of bits of each byte the other way round.
 */
static void reverse_pairs(const uint8_t *from, uint8_t *to)
{
        for (unsigned i = 0; i < 32; i++) {
                uint8_t halves = (uint8_t)(from[i] >> 4 | from[i] << 4);

                to[i] = (uint8_t)((halves & 0x33) << 2 | (halves >> 2 & 0x33));
        }
}

static int check_codes(const uint8_t *data, uint64_t n_bytes, const char *name, struct qvf_error *error)
{
        for (uint64_t i = 0; i < n_bytes; i++)
                if (data[i] & data[i] >> 1 & 0x55)
                        return qvf_error_set(error, -EINVAL,
                                        "tensor '%s': byte %" PRIu64
                                        " holds a code of 3, expected 0, 1 or 2",
                                        name, i);
        return 0;
}

static int check_size(uint64_t rows, uint64_t columns, enum qvf_i2s_order order, const char *name,
                uint64_t *ret_elements, struct qvf_error *error)
{
        uint64_t bytes;

        if (order != QVF_I2S_X86 && order != QVF_I2S_ARM)
                return qvf_error_set(error, -EINVAL, "tensor '%s': no order of I2_S was chosen", name);
        if (!qvf_mul_u64(rows, columns, ret_elements) || qvf_ternary_tq2_bytes(rows, columns, &bytes) < 0)
                return qvf_error_set(error, -EOVERFLOW, "tensor '%s': too large", name);
        if (*ret_elements % (4 * group_bytes(order)) != 0)
                return qvf_error_set(error, -EINVAL,
                                "tensor '%s': %" PRIu64
                                " weights, expected a multiple of %u for I2_S in %s order",
                                name, *ret_elements, 4 * group_bytes(order), qvf_i2s_order_name(order));
        return 0;
}

int qvf_i2s_unpack(const void *data, uint64_t rows, uint64_t columns, enum qvf_i2s_order order,
                const char *name, uint8_t *ret_rows, float *ret_scale, struct qvf_error *error)
{
        uint8_t codes[QVF_TERNARY_BLOCK_LENGTH];
        unsigned bytes = group_bytes(order);
        uint64_t elements = 0;
        uint16_t half;
        float scale;
        int r;

        r = check_size(rows, columns, order, name, &elements, error);
        if (r < 0)
                return r;
        r = check_codes(data, elements / 4, name, error);
        if (r < 0)
                return r;
        memcpy(&scale, (const uint8_t *)data + elements / 4, sizeof(scale));
        if (!isfinite(scale))
                return qvf_error_set(error, -EINVAL, "tensor '%s': its scale is no finite number", name);
        half = qvf_ternary_block_scale(scale);
        for (uint64_t row = 0; row < rows; row++)
                for (uint64_t column = 0; column < columns; column += QVF_TERNARY_BLOCK_LENGTH) {
                        unsigned count = (unsigned)qvf_min_u64(columns - column, QVF_TERNARY_BLOCK_LENGTH);
                        uint64_t first = row * columns + column;

                        if (order == QVF_I2S_X86 && first % 128 == 0 && count == QVF_TERNARY_BLOCK_LENGTH) {
                                reverse_pairs((const uint8_t *)data + first / 4, ret_rows);
                                reverse_pairs((const uint8_t *)data + first / 4 + 32, ret_rows + 32);
                                qvf_store_u16(ret_rows + 64, half);
                        } else {
                                memset(codes, 1, sizeof(codes));
                                read_codes(data, first, count, bytes, codes);
                                qvf_tq2_pack(codes, half, ret_rows);
                        }
                        ret_rows += QVF_TQ2_BLOCK_BYTES;
                }
        *ret_scale = scale;
        return 0;
}

int qvf_i2s_pack(const uint8_t *tq2_rows, uint64_t rows, uint64_t columns, enum qvf_i2s_order order,
                float scale, uint8_t *ret_data)
{
        uint8_t codes[QVF_TERNARY_BLOCK_LENGTH];
        uint64_t elements = 0, total;
        int r;

        r = check_size(rows, columns, order, "", &elements, NULL);
        if (r < 0)
                return r;
        r = qvf_dtype_tensor_bytes(QVF_I2_S, rows, columns, &total);
        if (r < 0)
                return r;
        memset(ret_data, 0, (size_t)total);
        for (uint64_t row = 0; row < rows; row++)
                for (uint64_t column = 0; column < columns; column++) {
                        unsigned shift, within = (unsigned)(column % QVF_TERNARY_BLOCK_LENGTH);
                        uint64_t at = place(row * columns + column, group_bytes(order), &shift);

                        if (within == 0) {
                                qvf_tq2_codes(tq2_rows, codes);
                                tq2_rows += QVF_TQ2_BLOCK_BYTES;
                        }
                        ret_data[at] |= (uint8_t)(codes[within] << shift);
                }
        memcpy(ret_data + elements / 4, &scale, sizeof(scale));
        return 0;
}

/* Correlation of the columns' counts of zeros with the hint; 0 where either does not vary. */
static float correlate(const uint32_t *zeros, const float *hint, uint64_t columns)
{
        double mean_zeros = 0, mean_hint = 0, both = 0, zeros_squared = 0, hint_squared = 0;

        for (uint64_t i = 0; i < columns; i++) {
                mean_zeros += zeros[i];
                mean_hint += (double)hint[i];
        }
        mean_zeros /= (double)columns;
        mean_hint /= (double)columns;
        for (uint64_t i = 0; i < columns; i++) {
                double a = zeros[i] - mean_zeros, b = (double)hint[i] - mean_hint;

                both += a * b;
                zeros_squared += a * a;
                hint_squared += b * b;
        }
        if (!(zeros_squared > 0 && hint_squared > 0 && isfinite(hint_squared)))
                return 0;
        return (float)(both / sqrt(zeros_squared * hint_squared));
}

int qvf_i2s_guess_order(const void *data, uint64_t rows, uint64_t columns, const float *hint,
                struct qvf_i2s_guess *ret_guess)
{
        static const enum qvf_i2s_order orders[2] = { QVF_I2S_X86, QVF_I2S_ARM };
        struct qvf_i2s_guess guess = { .order = QVF_I2S_X86 };
        _cleanup_free_ uint32_t *zeros = NULL;
        float correlation[2] = { 0, 0 };
        uint64_t elements;

        if (!qvf_mul_u64(rows, columns, &elements) || rows > UINT32_MAX ||
                        columns > SIZE_MAX / sizeof(*zeros))
                return -EOVERFLOW;
        if (elements % 64 != 0)
                return -EINVAL;
        if (elements % 128 != 0) { /* x86 cannot write these */
                guess.order = QVF_I2S_ARM;
                guess.sure = true;
        } else if (hint && columns > 0) {
                for (unsigned k = 0; k < 2; k++) {
                        free(zeros);
                        zeros = calloc((size_t)columns, sizeof(*zeros));
                        if (!zeros)
                                return -ENOMEM;
                        for (uint64_t i = 0; i < elements; i++) {
                                unsigned shift;
                                uint64_t at = place(i, group_bytes(orders[k]), &shift);

                                zeros[i % columns] += (((const uint8_t *)data)[at] >> shift & 3) == 1;
                        }
                        correlation[k] = correlate(zeros, hint, columns);
                }
                guess.correlation_x86 = correlation[0];
                guess.correlation_arm = correlation[1];
                if (fabsf(correlation[1]) >= CORRELATION_LEAST &&
                                fabsf(correlation[1]) >= CORRELATION_RATIO * fabsf(correlation[0])) {
                        guess.order = QVF_I2S_ARM;
                        guess.sure = true;
                } else if (fabsf(correlation[0]) >= CORRELATION_LEAST &&
                                fabsf(correlation[0]) >= CORRELATION_RATIO * fabsf(correlation[1])) {
                        guess.sure = true;
                }
        }
        *ret_guess = guess;
        return 0;
}
