/* SPDX-License-Identifier: Apache-2.0 */
/* m = max(max|x|, 1e-5); q = clamp(rint(x * (127 / m)), -128, 127); scale = m / 127: the same integers as plain. */
#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

void cpu_avx512_quantize(const struct cpu_call *call)
{
        const struct cpu_operand *q = &call->operand[0], *x = &call->operand[2];
        uint32_t begin, end, columns = x->columns;
        float *scale = call->operand[1].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = (const float *)x->data + (size_t)r * columns;
                int8_t *to = (int8_t *)q->data + (size_t)r * q->columns;
                __m512 largest = _mm512_set1_ps(1e-5f), factor;
                float m;

                for (uint32_t c = 0; c < columns; c += LANES) /* a NaN is passed over */
                        largest = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(
                                                                lanes_left(columns - c), from + c)),
                                        largest);
                m = _mm512_reduce_max_ps(largest);
                factor = _mm512_set1_ps(127.0f / m);
                for (uint32_t c = 0; c < columns; c += LANES) {
                        __mmask16 there = lanes_left(columns - c);
                        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(there, from + c), factor);

                        _mm_mask_storeu_epi8(to + c, there, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
                }
                memset(to + columns, 0, q->columns - columns);
                scale[r] = m / 127.0f;
        }
}
