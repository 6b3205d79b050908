/* SPDX-License-Identifier: Apache-2.0 */
/* y = f0 a + f1 b */
#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

void cpu_avx512_add(const struct cpu_call *call)
{
        const float *a = call->operand[1].data, *b = call->operand[2].data;
        const __m512 f0 = _mm512_set1_ps(call->op->f[0]), f1 = _mm512_set1_ps(call->op->f[1]);
        float *y = call->operand[0].data;
        uint64_t begin, end;

        share_numbers(call, &begin, &end);
        for (uint64_t i = begin; i < end; i += LANES) {
                __mmask16 there = lanes_left(end - i);
                __m512 second = _mm512_mul_ps(f1, _mm512_maskz_loadu_ps(there, b + i));

                _mm512_mask_storeu_ps(y + i, there,
                                _mm512_fmadd_ps(f0, _mm512_maskz_loadu_ps(there, a + i), second));
        }
}
