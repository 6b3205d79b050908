/* SPDX-License-Identifier: Apache-2.0 */
/* Pair (a, b) at angle t = position * frequency: a' = a cos t - b sin t, b' = a sin t + b cos t. The angles of 16
 * pairs are found once for all heads of a row. */
#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/math.h"

/* Pairs i to i + 15 of a row of heads. */
struct turn {
        __m512 sine, cosine;
        uint32_t i, left, pairs; /* left: pairs from i on */
};

static ALWAYS_INLINE struct turn turn_of(const struct cpu_call *call, double position, uint32_t i)
{
        const float *frequency = call->operand[3].data;
        uint32_t pairs = call->operand[3].columns;
        struct turn turn = { .i = i, .left = pairs - i, .pairs = pairs };
        __m512 f = _mm512_maskz_loadu_ps(lanes_left(turn.left), frequency + i), magnitude;
        __m512d at = _mm512_set1_pd(position);

        vector_sincos(_mm512_mul_pd(at, _mm512_cvtps_pd(_mm512_castps512_ps256(f))),
                        _mm512_mul_pd(at, _mm512_cvtps_pd(_mm512_extractf32x8_ps(f, 1))), &turn.sine,
                        &turn.cosine);
        magnitude = _mm512_set1_ps(call->op->f[1]);
        turn.sine = _mm512_mul_ps(turn.sine, magnitude);
        turn.cosine = _mm512_mul_ps(turn.cosine, magnitude);
        return turn;
}

static ALWAYS_INLINE void apart(const struct turn *t, const float *from, float *to)
{
        __mmask16 there = lanes_left(t->left);
        __m512 a = _mm512_maskz_loadu_ps(there, from + t->i),
               b = _mm512_maskz_loadu_ps(there, from + t->pairs + t->i);

        _mm512_mask_storeu_ps(to + t->i, there, _mm512_fmsub_ps(a, t->cosine, _mm512_mul_ps(b, t->sine)));
        _mm512_mask_storeu_ps(to + t->pairs + t->i, there,
                        _mm512_fmadd_ps(a, t->sine, _mm512_mul_ps(b, t->cosine)));
}

static ALWAYS_INLINE void adjacent(const struct turn *t, const float *from, float *to)
{
        const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        uint32_t numbers = 2 * t->left;
        __mmask16 first = lanes_left(numbers), second = numbers > LANES ? lanes_left(numbers - LANES) : 0;
        __m512 x = _mm512_maskz_loadu_ps(first, from + 2 * (size_t)t->i);
        __m512 y = _mm512_maskz_loadu_ps(second, from + 2 * (size_t)t->i + LANES);
        __m512 a = _mm512_permutex2var_ps(x, even, y);
        __m512 b = _mm512_permutex2var_ps(x, _mm512_or_si512(even, _mm512_set1_epi32(1)), y);
        __m512 turned_a = _mm512_fmsub_ps(a, t->cosine, _mm512_mul_ps(b, t->sine));
        __m512 turned_b = _mm512_fmadd_ps(a, t->sine, _mm512_mul_ps(b, t->cosine));

        _mm512_mask_storeu_ps(to + 2 * (size_t)t->i, first, _mm512_permutex2var_ps(turned_a, low, turned_b));
        _mm512_mask_storeu_ps(to + 2 * (size_t)t->i + LANES, second,
                        _mm512_permutex2var_ps(
                                        turned_a, _mm512_add_epi32(low, _mm512_set1_epi32(8)), turned_b));
}

void cpu_avx512_rope(const struct cpu_call *call)
{
        const struct cpu_operand *x = &call->operand[1];
        const int32_t *position = call->operand[2].data;
        uint32_t begin, end, head_size = (uint32_t)call->op->i[0], pairs = call->operand[3].columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = (const float *)x->data + (size_t)r * x->columns;
                float *to = (float *)call->operand[0].data + (size_t)r * x->columns;
                double way = (double)position[r] * (double)call->op->f[0];

                if (to != from && 2 * pairs < head_size)
                        memcpy(to, from, x->columns * sizeof(float));
                for (uint32_t i = 0; i < pairs; i += LANES) {
                        struct turn turn = turn_of(call, way, i);

                        for (uint32_t head = 0; head < x->columns; head += head_size) {
                                if (call->op->i[1])
                                        adjacent(&turn, from + head, to + head);
                                else
                                        apart(&turn, from + head, to + head);
                        }
                }
        }
}
