/* SPDX-License-Identifier: Apache-2.0 */
/* One step of AdamW on a run of numbers; ops.h has the formula, plain/adamw.c says what 8-bit state means. */
#include <math.h>

#include "plugins/cpu/lanes/lanes.h"

enum { P, G, M, V, NORM2, M_SCALE, V_SCALE };

struct step { /* the formula's factors */
        float gradient, rest1, rest2, m, v, epsilon, decay, learning_rate;
};

/* Moves the moments on and returns what becomes of p. */
static ALWAYS_INLINE floats advance(const struct step *s, floats p, floats g, floats *m, floats *v)
{
        floats direction;

        g *= all(s->gradient);
        *m = fma_of(all(s->rest1), g - *m, *m);
        *v = fma_of(all(s->rest2), fma_of(g, g, -*v), *v);
        direction = *m * all(s->m) / (square_root(*v * all(s->v)) + all(s->epsilon));
        direction = fma_of(all(s->decay), p, direction);
        return fma_of(-all(s->learning_rate), direction, p);
}

static ALWAYS_INLINE void step_numbers(const struct cpu_operand *o, const struct step *s, uint64_t i,
                uint64_t left, const bool whole)
{
        float *p_at = (float *)o[P].data + i, *m_at = (float *)o[M].data + i, *v_at = (float *)o[V].data + i;
        floats g = load_left((const float *)o[G].data + i, left, whole);
        floats p = load_left(p_at, left, whole), m = load_left(m_at, left, whole);
        floats v = load_left(v_at, left, whole);

        store_left(p_at, left, whole, advance(s, p, g, &m, &v));
        store_left(m_at, left, whole, m);
        store_left(v_at, left, whole, v);
}

struct block { /* of 8-bit state, as floats */
        float m[QVF_STATE_BLOCK], v[QVF_STATE_BLOCK];
};

/* m = sign(k) (k / 127)² scale and v = (k / 255)⁴ scale */
static void decode(const struct cpu_operand *o, uint64_t first, uint64_t count, struct block *block)
{
        float m_factor = ((const float *)o[M_SCALE].data)[first / QVF_STATE_BLOCK] / (127.f * 127.f);
        float v_factor = ((const float *)o[V_SCALE].data)[first / QVF_STATE_BLOCK] /
                         (255.f * 255.f * 255.f * 255.f);
        const uint8_t *m_codes = (const uint8_t *)o[M].data + first;
        const uint8_t *v_codes = (const uint8_t *)o[V].data + first;
        uint8_t last[2][QVF_STATE_BLOCK];

        if (count < QVF_STATE_BLOCK) { /* whole vectors are read */
                memset(last, 0, sizeof(last));
                m_codes = memcpy(last[0], m_codes, count);
                v_codes = memcpy(last[1], v_codes, count);
        }
        for (uint64_t i = 0; i < count; i += LANES) {
                floats m = load_bytes(m_codes + i), v = from_integers(load_unsigned(v_codes + i));

                v *= v;
                store(block->m + i, m * magnitude(m) * all(m_factor));
                store(block->v + i, v * v * all(v_factor));
        }
}

/* k of v is at least 1 where v > 0. */
static void encode(const struct cpu_operand *o, uint64_t first, uint64_t count, const struct block *block,
                float m_most, float v_most)
{
        /* Where all are zero any divisor but zero will do. */
        floats m_divisor = all(m_most > 0 ? m_most : 1), v_divisor = all(v_most > 0 ? v_most : 1);
        int8_t *m_codes = (int8_t *)o[M].data + first, *v_codes = (int8_t *)o[V].data + first;
        int8_t last[2][QVF_STATE_BLOCK];
        bool whole = count == QVF_STATE_BLOCK; /* whole vectors are written */

        for (uint64_t i = 0; i < count; i += LANES) {
                floats m = load(block->m + i), v = load(block->v + i);
                ints m_code = integers(square_root(magnitude(m) / m_divisor) * all(127));
                ints v_code = integers(square_root(square_root(v / v_divisor)) * all(255));
                ints negative = m < zeros();

                v_code -= (v > zeros()) & (v_code == 0);
                store_bytes((whole ? m_codes : last[0]) + i, (m_code ^ negative) - negative);
                /* above 127 the same bits are a negative number's */
                store_bytes((whole ? v_codes : last[1]) + i, v_code - ((v_code > 127) & 256));
        }
        if (!whole) {
                memcpy(m_codes, last[0], count);
                memcpy(v_codes, last[1], count);
        }
}

/* A block of 8-bit state at number `first`: its new scales are known only behind the last of its moments. */
static void step_block(const struct cpu_operand *o, const struct step *s, uint64_t first, uint64_t count)
{
        float *p_at = (float *)o[P].data + first;
        const float *g_at = (const float *)o[G].data + first;
        floats m_most = zeros(), v_most = zeros();
        struct block block;

        decode(o, first, count, &block);
        for (uint64_t i = 0; i < count; i += LANES) {
                bool whole = count - i >= LANES;
                floats p = load_left(p_at + i, count - i, whole), g = load_left(g_at + i, count - i, whole);
                floats m = load(block.m + i), v = load(block.v + i);

                store_left(p_at + i, count - i, whole, advance(s, p, g, &m, &v));
                store(block.m + i, m);
                store(block.v + i, v);
                m_most = larger(m_most, magnitude(m));
                v_most = larger(v_most, v);
        }
        encode(o, first, count, &block, largest(m_most), largest(v_most));
        ((float *)o[M_SCALE].data)[first / QVF_STATE_BLOCK] = largest(m_most);
        ((float *)o[V_SCALE].data)[first / QVF_STATE_BLOCK] = largest(v_most);
}

void LEVEL(adamw)(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        const struct qvf_args *args = call->args;
        const float *f = call->op->f;
        double norm = sqrt((double)*(const float *)o[NORM2].data);
        struct step step = {
                .gradient = (float)(args->clip > 0 && norm > (double)args->clip ? (double)args->clip / norm
                                                                                : 1),
                .rest1 = (float)(1 - (double)f[0]),
                .rest2 = (float)(1 - (double)f[1]),
                .m = (float)(1 / (1 - pow((double)f[0], args->step))),
                .v = (float)(1 / (1 - pow((double)f[1], args->step))),
                .epsilon = f[2],
                .decay = f[3],
                .learning_rate = args->learning_rate,
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
                step_numbers(o, &step, i, LANES, true);
        if (i < end)
                step_numbers(o, &step, i, end - i, false);
}
