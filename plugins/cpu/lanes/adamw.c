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
        uint8_t m_codes[QVF_STATE_BLOCK] = { 0 }, v_codes[QVF_STATE_BLOCK] = { 0 };

        memcpy(m_codes, (const uint8_t *)o[M].data + first, count);
        memcpy(v_codes, (const uint8_t *)o[V].data + first, count);
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
        int8_t m_codes[QVF_STATE_BLOCK] = { 0 }, v_codes[QVF_STATE_BLOCK] = { 0 };

        for (uint64_t i = 0; i < count; i += LANES) {
                floats m = load(block->m + i), v = load(block->v + i);
                ints m_code = integers(square_root(magnitude(m) / m_divisor) * all(127));
                ints v_code = integers(square_root(square_root(v / v_divisor)) * all(255));
                ints negative = m < zeros();

                v_code -= (v > zeros()) & (v_code == 0);
                store_bytes(m_codes + i, (m_code ^ negative) - negative);
                store_bytes(v_codes + i, v_code - 128); /* a signed byte has no room for 255 */
        }
        for (uint64_t i = 0; i < QVF_STATE_BLOCK; i += 8) {
                uint64_t eight;

                memcpy(&eight, v_codes + i, sizeof(eight));
                eight ^= 0x8080808080808080u;
                memcpy(v_codes + i, &eight, sizeof(eight));
        }
        memcpy((uint8_t *)o[M].data + first, m_codes, count);
        memcpy((uint8_t *)o[V].data + first, v_codes, count);
}

/* A block of 8-bit state at number `first`: its new scales are known only behind the last of its moments. */
static void step_block(const struct cpu_operand *o, const struct step *s, uint64_t first, uint64_t count)
{
        float *p_at = (float *)o[P].data + first;
        const float *g_at = (const float *)o[G].data + first;
        floats m_most = zeros(), v_most = zeros();
        struct block block = { { 0 }, { 0 } };

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
