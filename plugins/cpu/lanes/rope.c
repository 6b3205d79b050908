/* SPDX-License-Identifier: Apache-2.0 */
/* Pair (a, b) at angle t = position * frequency: a' = a cos t - b sin t, b' = a sin t + b cos t. The angles of LANES
 * pairs are found once for all heads of a row. */
#include "plugins/cpu/lanes/turn.h"

#define HALF (LANES / 2)

struct turn { /* of pairs i to i + LANES - 1; those that are not there turn by nothing */
        floats sine, cosine;
        uint32_t i, left, pairs; /* left: pairs from i on, LANES at most */
};

static struct turn turn_of(const struct cpu_call *call, double way, uint32_t i)
{
        uint32_t pairs = call->operand[3].columns, left = pairs - i < LANES ? pairs - i : LANES;
        struct turn turn = { .i = i, .left = left, .pairs = pairs };
        float frequency[LANES], f1 = call->op->f[1];
        doubles sine[2], cosine[2];

        store(frequency, load_left((const float *)call->operand[3].data + i, left, left == LANES));
        for (unsigned j = 0; j < 2; j++)
                sine_and_cosine(way * load_doubles(frequency + j * HALF), &sine[j], &cosine[j]);
        turn.sine = floats_of(sine[0], sine[1]) * all(f1);
        turn.cosine = floats_of(cosine[0], cosine[1]) * all(f1);
        return turn;
}

static ALWAYS_INLINE void turn_pairs(const struct turn *t, floats *a, floats *b)
{
        floats turned = fma_of(*a, t->cosine, -(*b * t->sine));

        *b = fma_of(*a, t->sine, *b * t->cosine);
        *a = turned;
}

static ALWAYS_INLINE void apart(const struct turn *t, const float *from, float *to, const bool whole)
{
        floats a = load_left(from + t->i, t->left, whole),
               b = load_left(from + t->pairs + t->i, t->left, whole);

        turn_pairs(t, &a, &b);
        store_left(to + t->i, t->left, whole, a);
        store_left(to + t->pairs + t->i, t->left, whole, b);
}

static ALWAYS_INLINE void adjacent(const struct turn *t, const float *from, float *to, const bool whole)
{
        uint32_t first = 2 * t->left < LANES ? 2 * t->left : LANES, second = 2 * t->left - first;
        floats a = load_left(from + 2 * (size_t)t->i, first, whole),
               b = load_left(from + 2 * (size_t)t->i + first, second, whole);

        part_pairs(&a, &b);
        turn_pairs(t, &a, &b);
        join_pairs(&a, &b);
        store_left(to + 2 * (size_t)t->i, first, whole, a);
        store_left(to + 2 * (size_t)t->i + first, second, whole, b);
}

static ALWAYS_INLINE void turn_heads(const struct cpu_call *call, const struct turn *turn, const float *from,
                float *to, const bool whole)
{
        uint32_t head_size = (uint32_t)call->op->i[0];

        for (uint32_t head = 0; head < call->operand[1].columns; head += head_size) {
                if (call->op->i[1])
                        adjacent(turn, from + head, to + head, whole);
                else
                        apart(turn, from + head, to + head, whole);
        }
}

void LEVEL(rope)(const struct cpu_call *call)
{
        const struct cpu_operand *x = &call->operand[1];
        const int32_t *position = call->operand[2].data;
        uint32_t begin, end, pairs = call->operand[3].columns;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = (const float *)x->data + (size_t)r * x->columns;
                float *to = (float *)call->operand[0].data + (size_t)r * x->columns;

                if (to != from && 2 * pairs < (uint32_t)call->op->i[0])
                        memcpy(to, from, x->columns * sizeof(float));
                for (uint32_t i = 0; i < pairs; i += LANES) {
                        struct turn turn = turn_of(call, (double)position[r] * (double)call->op->f[0], i);

                        if (turn.left == LANES)
                                turn_heads(call, &turn, from, to, true);
                        else
                                turn_heads(call, &turn, from, to, false);
                }
        }
}
