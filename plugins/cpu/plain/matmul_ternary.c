/* SPDX-License-Identifier: Apache-2.0 */
/* y[r][n] = W.scale * scale[r] * Σ_c W[n][c] q[r][c], the sum exact in int32; with block scales the sum of a
 * block is multiplied by its scale, and the products are added in the order of the blocks. */
#include <math.h>

#include "plugins/cpu/plain/plain.h"

static int32_t block_sum(const int8_t *codes, const int8_t *q)
{
        int32_t sum = 0;

        for (int c = 0; c < 256; c++)
                sum += codes[c] * q[c];
        return sum;
}

/* a · b · sum; what a · b loses as a float is added again. */
static float scaled(float a, float b, float sum)
{
        float high = a * b, low = fmaf(a, b, -high);

        return fmaf(sum, high, sum * low);
}

static float product(const int8_t *codes, const float *scales, const int8_t *q, uint32_t blocks,
                float weight_scale, float row_scale)
{
        int32_t sum = 0;
        double blocks_sum = 0;

        for (uint32_t b = 0; b < blocks; b++) {
                int32_t part = block_sum(codes + (size_t)b * 256, q + (size_t)b * 256);

                sum += part;
                if (scales)
                        blocks_sum += (double)scales[b] * part;
        }
        return scales ? (float)(blocks_sum * ((double)weight_scale * row_scale))
                      : scaled(weight_scale, row_scale, (float)sum);
}

static size_t row_bytes(uint32_t blocks)
{
        return blocks * (256 + sizeof(float));
}

void plain_matmul_ternary(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *q = &call->operand[1], *scale = &call->operand[2];
        const struct cpu_operand *weight = &call->operand[3];
        uint32_t begin, end, blocks = weight->columns / 256;
        size_t block_bytes = plain_row_bytes(weight->dtype, 256);
        float *scales = plain_thread_scratch(call, row_bytes(blocks));
        int8_t *codes = (int8_t *)(scales + blocks);

        cpu_share(call, weight->rows, 16, &begin, &end);
        for (uint32_t n = begin; n < end; n++) {
                const uint8_t *bytes = (const uint8_t *)weight->data + (size_t)n * blocks * block_bytes;

                for (uint32_t b = 0; b < blocks; b++)
                        plain_ternary_block(weight->dtype, bytes + b * block_bytes, codes + (size_t)b * 256,
                                        &scales[b]);
                for (uint32_t r = 0; r < call->rows; r++)
                        plain_row(y, r)[n] = product(codes, weight->block_scales ? scales : NULL,
                                        (const int8_t *)q->data + (size_t)r * q->columns, blocks,
                                        weight->scale, *plain_row(scale, r));
                cpu_pause_point(call);
        }
}

size_t plain_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        return n_threads * plain_thread_bytes(row_bytes(operands[3].columns / 256));
}
