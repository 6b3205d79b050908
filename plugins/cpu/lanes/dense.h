/* SPDX-License-Identifier: Apache-2.0 */
/* Reading weights that are not ternary: LANES numbers of a row at a time. */
#ifndef QVF_PLUGINS_CPU_LANES_DENSE_H
#define QVF_PLUGINS_CPU_LANES_DENSE_H

#include "plugins/cpu/lanes/lanes.h"
#include "qvf/dtype.h"

static inline bool dense_known(uint32_t dtype)
{
        switch (dtype) {
        case QVF_F32:
        case QVF_F16:
        case QVF_BF16:
        case QVF_Q8_0:
        case QVF_Q4_0:
        case QVF_Q4_K:
        case QVF_Q6_K: return true;
        default: return false;
        }
}

/* Formats of blocks have whole blocks only; others may end anywhere. */
static inline bool dense_blocks(uint32_t dtype)
{
        return dtype != QVF_F32 && dtype != QVF_F16 && dtype != QVF_BF16;
}

static inline size_t dense_row_bytes(uint32_t dtype, size_t columns)
{
        switch (dtype) {
        case QVF_F16:
        case QVF_BF16: return columns * 2;
        case QVF_Q8_0: return columns / 32 * 34;
        case QVF_Q4_0: return columns / 32 * 18;
        case QVF_Q4_K: return columns / 256 * 144;
        case QVF_Q6_K: return columns / 256 * 210;
        default: return columns * 4;
        }
}

static ALWAYS_INLINE floats load_q8_0(const uint8_t *row, uint32_t c)
{
        const uint8_t *block = row + (size_t)c / 32 * 34;

        return all_f16(block) * load_bytes(block + 2 + c % 32);
}

/* Elements 0 to 15 of a block stand in the low nibbles of its 16 bytes, the others in the high ones. */
static ALWAYS_INLINE floats load_q4_0(const uint8_t *row, uint32_t c)
{
        const uint8_t *block = row + (size_t)c / 32 * 18;
        ints nibbles = load_unsigned(block + 2 + c % 16) >> (int32_t)(c % 32 / 16 * 4) & 15;

        return all_f16(block) * from_integers(nibbles - 8);
}

/* Groups of 32 with 6-bit scales and minima; the last four of them have their top bits in the first ones' bytes. */
static ALWAYS_INLINE floats load_q4_k(const uint8_t *row, uint32_t c)
{
        const uint8_t *block = row + (size_t)c / 256 * 144, *six = block + 4;
        uint32_t group = c % 256 / 32;
        ints nibbles = load_unsigned(block + 16 + group / 2 * 32 + c % 32) >> (int32_t)(group % 2 * 4) & 15;
        int scale, minimum;

        if (group < 4) {
                scale = six[group] & 63;
                minimum = six[group + 4] & 63;
        } else {
                scale = (six[group + 4] & 15) | six[group - 4] >> 6 << 4;
                minimum = six[group + 4] >> 4 | six[group] >> 6 << 4;
        }
        return all_f16(block) * all((float)scale) * from_integers(nibbles) -
               all_f16(block + 2) * all((float)minimum);
}

/* 128 bytes with the low 4 bits, 64 with the high 2, a scale for each 16, f16 scale; codes are plus 32. */
static ALWAYS_INLINE floats load_q6_k(const uint8_t *row, uint32_t c)
{
        const uint8_t *block = row + (size_t)c / 256 * 210;
        uint32_t half = c % 256 / 128, k = c % 128;
        ints low = load_unsigned(block + half * 64 + k % 64) >> (int32_t)(k / 64 * 4) & 15;
        ints high = load_unsigned(block + 128 + half * 32 + k % 32) >> (int32_t)(k / 32 * 2) & 3;
        float scale = (float)(int8_t)block[192 + c % 256 / 16];

        return all_f16(block + 208) * all(scale) * from_integers((low | high << 4) - 32);
}

/* Numbers c to c + LANES - 1 of a row; c is a multiple of LANES. */
static ALWAYS_INLINE floats load_weights(const uint32_t dtype, const uint8_t *row, uint32_t c)
{
        switch (dtype) {
        case QVF_F16: return load_f16(row + 2 * (size_t)c);
        case QVF_BF16: return load_bf16(row + 2 * (size_t)c);
        case QVF_Q8_0: return load_q8_0(row, c);
        case QVF_Q4_0: return load_q4_0(row, c);
        case QVF_Q4_K: return load_q4_k(row, c);
        case QVF_Q6_K: return load_q6_k(row, c);
        default: return load((const float *)(const void *)(row + 4 * (size_t)c));
        }
}

/* The first `count` (below LANES) of those numbers and zeros; only of formats without blocks. */
static ALWAYS_INLINE floats load_last_weights(
                const uint32_t dtype, const uint8_t *row, uint32_t c, uint32_t count)
{
        if (dtype == QVF_F32)
                return load_some((const float *)(const void *)row + c, count);
        return dtype == QVF_F16 ? load_some_f16(row + 2 * (size_t)c, count)
                                : load_some_bf16(row + 2 * (size_t)c, count);
}

/* Numbers from c on, as many of LANES as a row of `columns` has, and zeros: whole vectors of a format with blocks. */
static ALWAYS_INLINE floats load_weights_left(
                const uint32_t dtype, const uint8_t *row, uint32_t c, uint32_t columns)
{
        return c + LANES <= columns || dense_blocks(dtype) ? load_weights(dtype, row, c)
                                                           : load_last_weights(dtype, row, c, columns - c);
}

struct dense_part {                                 /* of a matrix of weights */
        uint32_t dtype, row, rows, column, columns; /* column: a multiple of LANES */
        const uint8_t *weights;
        size_t row_bytes;
};

static inline struct dense_part dense_part_of(
                const struct cpu_operand *w, uint32_t row, uint32_t rows, uint32_t column, uint32_t columns)
{
        return (struct dense_part){ w->dtype, row, rows, column, columns, w->data,
                dense_row_bytes(w->dtype, w->columns) };
}

static ALWAYS_INLINE void dense_spread_as(
                const struct dense_part *part, float *to, size_t step, const uint32_t dtype)
{
        for (uint32_t i = 0; i < part->rows; i++) {
                const uint8_t *from = part->weights + (part->row + i) * part->row_bytes;
                uint32_t c = 0;

                for (; c + LANES <= part->columns; c += LANES)
                        store(to + i * step + c, load_weights(dtype, from, part->column + c));
                if (c < part->columns)
                        store(to + i * step + c,
                                        load_last_weights(dtype, from, part->column + c, part->columns - c));
        }
}

/* The part as floats, rows `step` numbers apart; whole vectors are written. */
static inline void dense_spread(const struct dense_part *part, float *to, size_t step)
{
        switch (part->dtype) {
        case QVF_F16: dense_spread_as(part, to, step, QVF_F16); break;
        case QVF_BF16: dense_spread_as(part, to, step, QVF_BF16); break;
        case QVF_Q8_0: dense_spread_as(part, to, step, QVF_Q8_0); break;
        case QVF_Q4_0: dense_spread_as(part, to, step, QVF_Q4_0); break;
        case QVF_Q4_K: dense_spread_as(part, to, step, QVF_Q4_K); break;
        case QVF_Q6_K: dense_spread_as(part, to, step, QVF_Q6_K); break;
        default: dense_spread_as(part, to, step, QVF_F32); break;
        }
}

static ALWAYS_INLINE void dense_turn_as(
                const struct dense_part *part, float *to, size_t step, const uint32_t dtype)
{
        for (uint32_t c = 0; c < part->columns; c += LANES) {
                for (uint32_t row = 0; row < part->rows; row += LANES) {
                        floats m[LANES];

                        UNROLL
                        for (uint32_t i = 0; i < LANES; i++) {
                                uint32_t there = row + i < part->rows ? row + i : part->rows - 1;

                                m[i] = load_weights(dtype,
                                                part->weights + (part->row + there) * part->row_bytes,
                                                part->column + c);
                        }
                        transpose(m);
                        UNROLL
                        for (uint32_t i = 0; i < LANES; i++)
                                store(to + (c + i) * step + row, m[i]);
                }
        }
}

/* The part as floats, turned: its columns, in whole vectors, become rows `step` numbers apart. Rows up to a whole
 * vector are written; those that the part lacks repeat its last one. */
static inline void dense_turn(const struct dense_part *part, float *to, size_t step)
{
        switch (part->dtype) {
        case QVF_F16: dense_turn_as(part, to, step, QVF_F16); break;
        case QVF_BF16: dense_turn_as(part, to, step, QVF_BF16); break;
        case QVF_Q8_0: dense_turn_as(part, to, step, QVF_Q8_0); break;
        case QVF_Q4_0: dense_turn_as(part, to, step, QVF_Q4_0); break;
        case QVF_Q4_K: dense_turn_as(part, to, step, QVF_Q4_K); break;
        case QVF_Q6_K: dense_turn_as(part, to, step, QVF_Q6_K); break;
        default: dense_turn_as(part, to, step, QVF_F32); break;
        }
}

#endif
