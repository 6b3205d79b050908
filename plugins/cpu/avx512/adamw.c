/* SPDX-License-Identifier: Apache-2.0 */
/* One step of AdamW on a run of numbers with float state; ops.h has the formula. */
#include <math.h>

#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

enum { P, G, M, V, NORM2 };

struct step { /* the formula's factors, each in all lanes */
        __m512 gradient, rest1, rest2, m, v, epsilon, decay, learning_rate;
};

static ALWAYS_INLINE void step_16(const struct cpu_operand *o, const struct step *s, uint64_t i,
                uint64_t left, const bool whole)
{
        float *p_at = (float *)o[P].data + i, *m_at = (float *)o[M].data + i, *v_at = (float *)o[V].data + i;
        __m512 g = _mm512_mul_ps(load_floats((const float *)o[G].data + i, left, whole), s->gradient);
        __m512 p = load_floats(p_at, left, whole), m = load_floats(m_at, left, whole);
        __m512 v = load_floats(v_at, left, whole), direction;

        m = _mm512_fmadd_ps(s->rest1, _mm512_sub_ps(g, m), m);
        v = _mm512_fmadd_ps(s->rest2, _mm512_fmsub_ps(g, g, v), v);
        direction = _mm512_div_ps(_mm512_mul_ps(m, s->m),
                        _mm512_add_ps(_mm512_sqrt_ps(_mm512_mul_ps(v, s->v)), s->epsilon));
        direction = _mm512_fmadd_ps(s->decay, p, direction);
        store_floats(p_at, left, whole, _mm512_fnmadd_ps(s->learning_rate, direction, p));
        store_floats(m_at, left, whole, m);
        store_floats(v_at, left, whole, v);
}

void cpu_avx512_adamw(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        const struct qvf_args *args = call->args;
        const float *f = call->op->f;
        double norm = sqrt((double)*(const float *)o[NORM2].data);
        struct step step = {
                .gradient = _mm512_set1_ps((float)(args->clip > 0 && norm > (double)args->clip
                                                                   ? (double)args->clip / norm
                                                                   : 1)),
                .rest1 = _mm512_set1_ps((float)(1 - (double)f[0])),
                .rest2 = _mm512_set1_ps((float)(1 - (double)f[1])),
                .m = _mm512_set1_ps((float)(1 / (1 - pow((double)f[0], args->step)))),
                .v = _mm512_set1_ps((float)(1 / (1 - pow((double)f[1], args->step)))),
                .epsilon = _mm512_set1_ps(f[2]),
                .decay = _mm512_set1_ps(f[3]),
                .learning_rate = _mm512_set1_ps(args->learning_rate),
        };
        uint64_t count = (uint64_t)o[P].rows * o[P].columns,
                 blocks = (count + QVF_STATE_BLOCK - 1) / QVF_STATE_BLOCK;
        uint64_t i = blocks * call->thread / call->n_threads * QVF_STATE_BLOCK;
        uint64_t end = blocks * (call->thread + 1) / call->n_threads * QVF_STATE_BLOCK;

        if (!isfinite(norm))
                return;
        end = end < count ? end : count;
        for (; i + LANES <= end; i += LANES)
                step_16(o, &step, i, LANES, true);
        if (i < end)
                step_16(o, &step, i, end - i, false);
}

bool cpu_avx512_adamw_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return operands[M].dtype == QVF_F32 && operands[V].dtype == QVF_F32;
}
