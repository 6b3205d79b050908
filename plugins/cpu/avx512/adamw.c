/* SPDX-License-Identifier: Apache-2.0 */
/* One step of AdamW on a run of numbers; ops.h has the formula, plain/adamw.c says what 8-bit state means. */
#include <math.h>

#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

enum { P, G, M, V, NORM2, M_SCALE, V_SCALE };

#define VECTORS (QVF_STATE_BLOCK / LANES)

struct step { /* the formula's factors, each in all lanes */
        __m512 gradient, rest1, rest2, m, v, epsilon, decay, learning_rate;
};

/* Moves the moments on and returns what becomes of p. */
static ALWAYS_INLINE __m512 advance(const struct step *s, __m512 p, __m512 g, __m512 *m, __m512 *v)
{
        __m512 direction;

        g = _mm512_mul_ps(g, s->gradient);
        *m = _mm512_fmadd_ps(s->rest1, _mm512_sub_ps(g, *m), *m);
        *v = _mm512_fmadd_ps(s->rest2, _mm512_fmsub_ps(g, g, *v), *v);
        direction = _mm512_div_ps(_mm512_mul_ps(*m, s->m),
                        _mm512_add_ps(_mm512_sqrt_ps(_mm512_mul_ps(*v, s->v)), s->epsilon));
        direction = _mm512_fmadd_ps(s->decay, p, direction);
        return _mm512_fnmadd_ps(s->learning_rate, direction, p);
}

static ALWAYS_INLINE void step_16(const struct cpu_operand *o, const struct step *s, uint64_t i,
                uint64_t left, const bool whole)
{
        float *p_at = (float *)o[P].data + i, *m_at = (float *)o[M].data + i, *v_at = (float *)o[V].data + i;
        __m512 g = load_floats((const float *)o[G].data + i, left, whole);
        __m512 p = load_floats(p_at, left, whole), m = load_floats(m_at, left, whole);
        __m512 v = load_floats(v_at, left, whole);

        store_floats(p_at, left, whole, advance(s, p, g, &m, &v));
        store_floats(m_at, left, whole, m);
        store_floats(v_at, left, whole, v);
}

/* sign(k) (k / 127)² scale; the factor is scale / 127² */
static ALWAYS_INLINE __m512 decode_m(__m128i codes, __m512 factor)
{
        __m512 k = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));

        return _mm512_mul_ps(_mm512_mul_ps(k, _mm512_abs_ps(k)), factor);
}

/* (k / 255)⁴ scale; the factor is scale / 255⁴ */
static ALWAYS_INLINE __m512 decode_v(__m128i codes, __m512 factor)
{
        __m512 k = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes));

        k = _mm512_mul_ps(k, k);
        return _mm512_mul_ps(_mm512_mul_ps(k, k), factor);
}

static ALWAYS_INLINE __m128i encode_m(__m512 m, __m512 largest)
{
        __m512 root = _mm512_sqrt_ps(_mm512_div_ps(_mm512_abs_ps(m), largest));
        __m512i k = _mm512_cvtps_epi32(_mm512_mul_ps(root, _mm512_set1_ps(127)));
        __mmask16 negative = _mm512_cmp_ps_mask(m, _mm512_setzero_ps(), _CMP_LT_OQ);

        return _mm512_cvtepi32_epi8(_mm512_mask_sub_epi32(k, negative, _mm512_setzero_si512(), k));
}

/* At least 1 where v > 0. */
static ALWAYS_INLINE __m128i encode_v(__m512 v, __m512 largest)
{
        __m512 root = _mm512_sqrt_ps(_mm512_sqrt_ps(_mm512_div_ps(v, largest)));
        __m512i k = _mm512_cvtps_epi32(_mm512_mul_ps(root, _mm512_set1_ps(255)));
        __mmask16 positive = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);

        return _mm512_cvtepi32_epi8(_mm512_mask_max_epi32(k, positive, k, _mm512_set1_epi32(1)));
}

/* A block of 8-bit state at number `first`: its new scales are known only behind the last of its moments. */
static void step_block(const struct cpu_operand *o, const struct step *s, uint64_t first, uint64_t left)
{
        float *p_at = (float *)o[P].data + first;
        const float *g_at = (const float *)o[G].data + first;
        int8_t *m_at = (int8_t *)o[M].data + first, *v_at = (int8_t *)o[V].data + first;
        float *m_scale = (float *)o[M_SCALE].data + first / QVF_STATE_BLOCK;
        float *v_scale = (float *)o[V_SCALE].data + first / QVF_STATE_BLOCK;
        const __m512 m_factor = _mm512_set1_ps(*m_scale / (127.f * 127.f));
        const __m512 v_factor = _mm512_set1_ps(*v_scale / (255.f * 255.f * 255.f * 255.f));
        __m512 m[VECTORS], v[VECTORS], m_most = _mm512_setzero_ps(), v_most = _mm512_setzero_ps();

        for (uint64_t i = 0; i * LANES < left; i++) {
                __mmask16 there = lanes_left(left - i * LANES);
                __m512 p = _mm512_maskz_loadu_ps(there, p_at + i * LANES);
                __m512 g = _mm512_maskz_loadu_ps(there, g_at + i * LANES);

                m[i] = decode_m(_mm_maskz_loadu_epi8(there, m_at + i * LANES), m_factor);
                v[i] = decode_v(_mm_maskz_loadu_epi8(there, v_at + i * LANES), v_factor);
                _mm512_mask_storeu_ps(p_at + i * LANES, there, advance(s, p, g, &m[i], &v[i]));
                m_most = _mm512_max_ps(m_most, _mm512_abs_ps(m[i]));
                v_most = _mm512_max_ps(v_most, v[i]);
        }
        *m_scale = _mm512_reduce_max_ps(m_most);
        *v_scale = _mm512_reduce_max_ps(v_most);
        /* Where all are zero any divisor but zero will do. */
        m_most = _mm512_set1_ps(*m_scale > 0 ? *m_scale : 1);
        v_most = _mm512_set1_ps(*v_scale > 0 ? *v_scale : 1);
        for (uint64_t i = 0; i * LANES < left; i++) {
                __mmask16 there = lanes_left(left - i * LANES);

                _mm_mask_storeu_epi8(m_at + i * LANES, there, encode_m(m[i], m_most));
                _mm_mask_storeu_epi8(v_at + i * LANES, there, encode_v(v[i], v_most));
        }
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
        if (o[M].dtype == QVF_U8) {
                for (; i < end; i += QVF_STATE_BLOCK)
                        step_block(o, &step, i, end - i < QVF_STATE_BLOCK ? end - i : QVF_STATE_BLOCK);
                return;
        }
        for (; i + LANES <= end; i += LANES)
                step_16(o, &step, i, LANES, true);
        if (i < end)
                step_16(o, &step, i, end - i, false);
}
