/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files/ternary.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "common/checked.h"
#include "common/half.h"
#include "engine/files/dtype.h"

int qvf_ternary_tq2_bytes(uint64_t rows, uint64_t columns, uint64_t *ret_bytes)
{
        uint64_t padded, bytes;

        if (!qvf_align_u64(columns, QVF_TERNARY_BLOCK_LENGTH, &padded) ||
                        !qvf_mul_u64(padded / QVF_TERNARY_BLOCK_LENGTH, QVF_TQ2_BLOCK_BYTES, &bytes) ||
                        !qvf_mul_u64(bytes, rows, &bytes))
                return -EOVERFLOW;
        *ret_bytes = bytes;
        return 0;
}

uint16_t qvf_ternary_block_scale(float scale)
{
        uint16_t half = qvf_f32_to_f16(scale);

        if ((half & 0x7fff) == 0 && scale != 0)
                half |= 1;
        if ((half & 0x7fff) == 0x7c00 && isfinite(scale))
                half--;
        return half;
}

void qvf_tq1_codes(const uint8_t block[QVF_TQ1_BLOCK_BYTES], uint8_t ret_codes[QVF_TERNARY_BLOCK_LENGTH])
{
        for (unsigned n = 0; n < 5; n++) {
                for (unsigned m = 0; m < 32; m++)
                        ret_codes[32 * n + m] = (uint8_t)qvf_tq1_digit(block[m], n);
                for (unsigned m = 0; m < 16; m++)
                        ret_codes[160 + 16 * n + m] = (uint8_t)qvf_tq1_digit(block[32 + m], n);
        }
        for (unsigned n = 0; n < 4; n++)
                for (unsigned m = 0; m < 4; m++)
                        ret_codes[240 + 4 * n + m] = (uint8_t)qvf_tq1_digit(block[48 + m], n);
}

void qvf_tq2_codes(const uint8_t block[QVF_TQ2_BLOCK_BYTES], uint8_t ret_codes[QVF_TERNARY_BLOCK_LENGTH])
{
        for (unsigned half = 0; half < 2; half++)
                for (unsigned n = 0; n < 4; n++)
                        for (unsigned m = 0; m < 32; m++)
                                ret_codes[128 * half + 32 * n + m] = block[32 * half + m] >> (2 * n) & 3;
}

void qvf_tq1_to_tq2(const void *tq1, void *ret_tq2, uint64_t n_blocks)
{
        const uint8_t *from = tq1;
        uint8_t *to = ret_tq2, codes[QVF_TERNARY_BLOCK_LENGTH];

        for (uint64_t i = 0; i < n_blocks; i++, from += QVF_TQ1_BLOCK_BYTES, to += QVF_TQ2_BLOCK_BYTES) {
                qvf_tq1_codes(from, codes);
                qvf_tq2_pack(codes, qvf_load_u16(from + QVF_TQ1_BLOCK_BYTES - 2), to);
        }
}

/* Whether any of the 256 codes of a TQ2_0 block is 3, a pair of bits both set. */
static bool has_code_3(const uint8_t *block)
{
        uint8_t both = 0;

        for (unsigned i = 0; i < 64; i++)
                both |= block[i] & block[i] >> 1 & 0x55;
        return both != 0;
}

int qvf_tq2_to_tq1(const void *tq2, void *ret_tq1, uint64_t n_blocks)
{
        const uint8_t *from = tq2;
        uint8_t *to = ret_tq1, codes[QVF_TERNARY_BLOCK_LENGTH];

        for (uint64_t i = 0; i < n_blocks; i++, from += QVF_TQ2_BLOCK_BYTES, to += QVF_TQ1_BLOCK_BYTES) {
                if (has_code_3(from))
                        return -EINVAL;
                qvf_tq2_codes(from, codes);
                qvf_tq1_pack(codes, qvf_load_u16(from + QVF_TQ2_BLOCK_BYTES - 2), to);
        }
        return 0;
}

static bool has_nonzero_code(enum qvf_dtype dtype, const uint8_t *block)
{
        uint8_t codes[QVF_TERNARY_BLOCK_LENGTH], other = 0;

        if (dtype == QVF_TQ1_0)
                qvf_tq1_codes(block, codes);
        else
                qvf_tq2_codes(block, codes);
        for (unsigned i = 0; i < QVF_TERNARY_BLOCK_LENGTH; i++)
                other |= codes[i] ^ 1;
        return other != 0;
}

int qvf_ternary_inspect(enum qvf_dtype dtype, const void *data, uint64_t rows, uint64_t columns,
                const char *name, struct qvf_ternary_facts *ret_facts, struct qvf_error *error)
{
        uint64_t block_bytes = dtype == QVF_TQ1_0 ? QVF_TQ1_BLOCK_BYTES : QVF_TQ2_BLOCK_BYTES;
        struct qvf_ternary_facts facts = { .uniform = true };
        uint16_t the_scale = 0;
        uint64_t n_blocks;

        if (dtype != QVF_TQ1_0 && dtype != QVF_TQ2_0)
                return qvf_error_set(error, -EOPNOTSUPP, "tensor '%s': of type %s, expected TQ1_0 or TQ2_0",
                                name, qvf_dtype_name(dtype));
        if (columns % QVF_TERNARY_BLOCK_LENGTH != 0)
                return qvf_error_set(error, -EINVAL,
                                "tensor '%s': %" PRIu64 " columns, expected a multiple of %d", name, columns,
                                QVF_TERNARY_BLOCK_LENGTH);
        if (!qvf_mul_u64(rows, columns / QVF_TERNARY_BLOCK_LENGTH, &n_blocks))
                return qvf_error_set(error, -EOVERFLOW, "tensor '%s': too large", name);
        for (uint64_t i = 0; i < n_blocks; i++) {
                const uint8_t *block = (const uint8_t *)data + i * block_bytes;
                uint16_t scale = qvf_load_u16(block + block_bytes - 2);

                if ((scale & 0x7c00) == 0x7c00)
                        return qvf_error_set(error, -EINVAL,
                                        "tensor '%s': the scale of block %" PRIu64 " is no finite number",
                                        name, i);
                if (dtype == QVF_TQ2_0 && has_code_3(block))
                        return qvf_error_set(error, -EINVAL,
                                        "tensor '%s': block %" PRIu64
                                        " holds a code of 3, expected 0, 1 or 2",
                                        name, i);
                if ((scale & 0x7fff) == 0) {
                        facts.dead_blocks++;
                        facts.dead_blocks_with_codes += has_nonzero_code(dtype, block);
                        continue;
                }
                if (the_scale == 0)
                        the_scale = scale;
                if (scale != the_scale)
                        facts.uniform = false;
        }
        facts.scale = facts.uniform ? qvf_f16_to_f32(the_scale) : 1;
        *ret_facts = facts;
        return 0;
}

int qvf_ternary_clear_dead(enum qvf_dtype dtype, void *data, uint64_t n_blocks)
{
        uint64_t block_bytes = dtype == QVF_TQ1_0 ? QVF_TQ1_BLOCK_BYTES : QVF_TQ2_BLOCK_BYTES;
        uint8_t zeros[QVF_TERNARY_BLOCK_LENGTH];

        if (dtype != QVF_TQ1_0 && dtype != QVF_TQ2_0)
                return -EOPNOTSUPP;
        memset(zeros, 1, sizeof(zeros));
        for (uint64_t i = 0; i < n_blocks; i++) {
                uint8_t *block = (uint8_t *)data + i * block_bytes;

                if ((qvf_load_u16(block + block_bytes - 2) & 0x7fff) != 0)
                        continue;
                if (dtype == QVF_TQ1_0)
                        qvf_tq1_pack(zeros, 0, block);
                else
                        qvf_tq2_pack(zeros, 0, block);
        }
        return 0;
}

/* Codes of one run of up to 256 values, and the one magnitude of those that are not zero (0: none is). Where
 * `cut_sign`, 7/8 of it is the same: Q4_0 makes that of the sign that it cannot hold. False: more magnitudes. */
static bool ternary_run(const float *values, unsigned count, bool cut_sign,
                uint8_t codes[QVF_TERNARY_BLOCK_LENGTH], float *ret_scale)
{
        uint32_t largest = 0, others = 0, cut;
        float scale;

        /* On the bits of |w|: they are ordered as the numbers are, and a NaN is above them all. */
        for (unsigned i = 0; i < count; i++) {
                uint32_t magnitude = qvf_f32_bits(values[i]) & 0x7fffffff;

                largest = magnitude > largest ? magnitude : largest;
        }
        scale = qvf_f32_from_bits(largest);
        cut = cut_sign ? qvf_f32_bits(0.875f * scale) : largest;
        for (unsigned i = 0; i < count; i++) {
                uint32_t magnitude = qvf_f32_bits(values[i]) & 0x7fffffff;

                others |= (magnitude != 0) & (magnitude != largest) & (magnitude != cut);
                codes[i] = (uint8_t)(1 + (values[i] > 0) - (values[i] < 0));
        }
        memset(codes + count, 1, QVF_TERNARY_BLOCK_LENGTH - count);
        *ret_scale = scale;
        return !others && isfinite(scale);
}

/* What is known so far of a matrix whose blocks may or may not have one scale. */
struct recovery {
        float scale;       /* of the first block that is not zero */
        bool uniform;      /* all scales so far are equal */
        bool exact_in_f16; /* and all could stand in the blocks */
};

static int recover_block(struct recovery *recovery, const float *values, unsigned count, bool cut_sign,
                uint8_t *ret_block)
{
        uint8_t codes[QVF_TERNARY_BLOCK_LENGTH];
        float scale;

        if (!ternary_run(values, count, cut_sign, codes, &scale))
                return -ERANGE;
        if (scale != 0) {
                if (recovery->scale == 0)
                        recovery->scale = scale;
                recovery->uniform &= scale == recovery->scale;
                recovery->exact_in_f16 &= qvf_f16_to_f32(qvf_f32_to_f16(scale)) == scale;
        }
        if (!recovery->uniform && !recovery->exact_in_f16)
                return -ERANGE;
        if (ret_block)
                qvf_tq2_pack(codes, qvf_ternary_block_scale(scale), ret_block);
        return 0;
}

int qvf_ternary_recover(enum qvf_dtype dtype, const void *data, uint64_t rows, uint64_t columns,
                uint8_t *ret_rows, struct qvf_ternary_recovered *ret_recovered)
{
        struct recovery recovery = { .uniform = true, .exact_in_f16 = true };
        float values[QVF_TERNARY_BLOCK_LENGTH];
        uint64_t row_bytes, out_bytes, run_bytes;
        int r;

        if (dtype != QVF_F32 && dtype != QVF_F16 && dtype != QVF_BF16 && dtype != QVF_Q8_0 &&
                        dtype != QVF_Q4_0)
                return -EOPNOTSUPP;
        r = qvf_ternary_tq2_bytes(rows, columns, &out_bytes);
        if (r < 0)
                return r;
        r = qvf_dtype_row_bytes(dtype, columns, &row_bytes);
        if (r < 0)
                return r;
        r = qvf_dtype_row_bytes(dtype, QVF_TERNARY_BLOCK_LENGTH, &run_bytes);
        if (r < 0)
                return r;
        for (uint64_t row = 0; row < rows; row++)
                for (uint64_t column = 0; column < columns; column += QVF_TERNARY_BLOCK_LENGTH) {
                        unsigned count = (unsigned)qvf_min_u64(columns - column, QVF_TERNARY_BLOCK_LENGTH);
                        const uint8_t *run = (const uint8_t *)data + row * row_bytes +
                                             column / QVF_TERNARY_BLOCK_LENGTH * run_bytes;

                        r = qvf_dtype_dequantise_row(dtype, run, values, count);
                        if (r < 0)
                                return r;
                        r = recover_block(&recovery, values, count, dtype == QVF_Q4_0, ret_rows);
                        if (r < 0)
                                return r;
                        if (ret_rows)
                                ret_rows += QVF_TQ2_BLOCK_BYTES;
                }
        ret_recovered->block_scales = !recovery.uniform;
        ret_recovered->scale = recovery.uniform ? recovery.scale : 1;
        return 0;
}
