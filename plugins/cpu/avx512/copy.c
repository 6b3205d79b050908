/* SPDX-License-Identifier: Apache-2.0 */
/* y = x between F32 and F16, rounded to nearest even: what training keeps for the way back. */
#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

static void to_halves(const float *x, uint16_t *y, uint64_t begin, uint64_t end)
{
        uint64_t i = begin;

        for (; i + LANES <= end; i += LANES)
                _mm256_storeu_si256((__m256i *)(y + i),
                                _mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
        for (; i < end; i++)
                y[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

static void to_floats(const uint16_t *x, float *y, uint64_t begin, uint64_t end)
{
        uint64_t i = begin;

        for (; i + LANES <= end; i += LANES)
                _mm512_storeu_ps(y + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(x + i))));
        for (; i < end; i++)
                y[i] = _cvtsh_ss(x[i]);
}

void cpu_avx512_copy(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1];
        uint64_t begin, end;

        share_numbers(call, &begin, &end);
        if (y->dtype == QVF_F16)
                to_halves(x->data, y->data, begin, end);
        else
                to_floats(x->data, y->data, begin, end);
}

bool cpu_avx512_copy_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return (operands[0].dtype == QVF_F16 && operands[1].dtype == QVF_F32) ||
               (operands[0].dtype == QVF_F32 && operands[1].dtype == QVF_F16);
}
