/* SPDX-License-Identifier: Apache-2.0 */
/* Pair (a, b) at angle t = position * frequency: a' = a cos t - b sin t, b' = a sin t + b cos t. The angles of 8 pairs
 * are found once for all heads of a row. */
#include <math.h>

#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx2/vector.h"

struct turn { /* of pairs i to i + 7; those that are not there turn by nothing */
        float sine[LANES], cosine[LANES];
        uint32_t i, left, pairs;
};

static void turn_of(const struct cpu_call *call, double position, uint32_t i, struct turn *turn)
{
        const float *frequency = call->operand[3].data;
        double magnitude = (double)call->op->f[1];

        turn->i = i;
        turn->pairs = call->operand[3].columns;
        turn->left = turn->pairs - i < LANES ? turn->pairs - i : LANES;
        for (uint32_t j = 0; j < turn->left; j++) {
                double angle = position * (double)frequency[i + j];

                turn->sine[j] = (float)(sin(angle) * magnitude);
                turn->cosine[j] = (float)(cos(angle) * magnitude);
        }
}

static ALWAYS_INLINE void apart_8(const struct turn *t, const float *from, float *to, const bool whole)
{
        __m256 a = load_floats(from + t->i, t->left, whole),
               b = load_floats(from + t->pairs + t->i, t->left, whole);
        __m256 sine = load_floats(t->sine, t->left, whole), cosine = load_floats(t->cosine, t->left, whole);

        store_floats(to + t->i, t->left, whole, _mm256_fmsub_ps(a, cosine, _mm256_mul_ps(b, sine)));
        store_floats(to + t->pairs + t->i, t->left, whole,
                        _mm256_fmadd_ps(a, sine, _mm256_mul_ps(b, cosine)));
}

static void adjacent(const struct turn *t, const float *from, float *to)
{
        for (uint32_t j = 0; j < t->left; j++) {
                float a = from[2 * (t->i + j)], b = from[2 * (t->i + j) + 1];

                to[2 * (t->i + j)] = a * t->cosine[j] - b * t->sine[j];
                to[2 * (t->i + j) + 1] = a * t->sine[j] + b * t->cosine[j];
        }
}

static void turn_heads(const struct cpu_call *call, const struct turn *turn, const float *from, float *to)
{
        uint32_t head_size = (uint32_t)call->op->i[0];

        for (uint32_t head = 0; head < call->operand[1].columns; head += head_size) {
                if (call->op->i[1])
                        adjacent(turn, from + head, to + head);
                else if (turn->left == LANES)
                        apart_8(turn, from + head, to + head, true);
                else
                        apart_8(turn, from + head, to + head, false);
        }
}

void cpu_avx2_rope(const struct cpu_call *call)
{
        const struct cpu_operand *x = &call->operand[1];
        const int32_t *position = call->operand[2].data;
        uint32_t begin, end, pairs = call->operand[3].columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = (const float *)x->data + (size_t)r * x->columns;
                float *to = (float *)call->operand[0].data + (size_t)r * x->columns;
                struct turn turn;

                if (to != from && 2 * pairs < (uint32_t)call->op->i[0])
                        memcpy(to, from, x->columns * sizeof(float));
                for (uint32_t i = 0; i < pairs; i += LANES) {
                        turn_of(call, (double)position[r] * (double)call->op->f[0], i, &turn);
                        turn_heads(call, &turn, from, to);
                }
        }
}
