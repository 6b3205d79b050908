/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = Σ_j exp(f0 q[r]·k[j] - lse[r]) v[j], j from first[r] to r; lse[r] = log Σ_j exp(f0 q[r]·k[j])
 *
 * A task has ROWS rows and a key head. The sums of values are taken in double: what is quantised next should fall on
 * the same side of a rounding tie as in plain, or gradients are off by a percent. */
#include <math.h>

#include "plugins/cpu/lanes/attention_train.h"

enum { Y, LSE, Q, K, V, FIRST };

#define HALF (LANES / 2) /* doubles in a vector */
#define SIDE 4u          /* rows side by side in registers, by 2 vectors of columns */

struct sums { /* of the keys so far: weights are exp(score - largest) */
        float largest;
        double total;
};

struct work {            /* a thread's scratch */
        double *sums;    /* [ROWS][size]: Σ weight · value */
        double *values;  /* [CELLS][size] */
        double *weights; /* [ROWS][CELLS] */
        float *keys;     /* [size][CELLS] */
        float *scores;   /* [ROWS][CELLS] */
};

static size_t work_bytes(uint32_t size)
{
        size_t doubles_each = (ROWS + CELLS) * (size_t)size + ROWS * CELLS;

        return round_up(doubles_each * sizeof(double) + (size + ROWS) * CELLS * sizeof(float), LINE);
}

static struct work work_of(const struct cpu_call *call, uint32_t size)
{
        struct work work = { .sums = (double *)((char *)call->scratch + call->thread * work_bytes(size)) };

        work.values = work.sums + (size_t)ROWS * size;
        work.weights = work.values + (size_t)CELLS * size;
        work.keys = (float *)(work.weights + (size_t)ROWS * CELLS);
        work.scores = work.keys + (size_t)CELLS * size;
        return work;
}

/* Scores become weights; returns by how much the sums so far shrink. */
static double weigh(struct sums *sums, const float *scores, uint32_t first, uint32_t row, uint32_t key,
                double *weights)
{
        floats seen[CELLS / LANES], most = all(sums->largest), total = zeros();
        float largest_now, base, step;

        UNROLL
        for (unsigned v = 0; v < CELLS / LANES; v++) {
                seen[v] = choose(cells_seen(first, row, key, v * LANES), load(scores + v * LANES),
                                all(-INFINITY));
                most = larger(seen[v], most);
        }
        largest_now = largest(most);
        base = largest_now > -INFINITY ? largest_now : 0;
        step = exponential(all(sums->largest - base))[0];
        UNROLL
        for (unsigned v = 0; v < CELLS / LANES; v++) {
                floats weight = exponential(seen[v] - all(base));

                total += weight;
                for (unsigned j = 0; j < LANES; j++)
                        weights[v * LANES + j] = (double)weight[j];
        }
        sums->total = sums->total * (double)step + (double)fold(total);
        sums->largest = largest_now;
        return (double)step;
}

static void widen_values(const float *values, size_t step, uint32_t cells, uint32_t size, double *to)
{
        for (uint32_t j = 0; j < cells; j++)
                for (uint32_t c = 0; c < size; c += HALF) {
                        doubles wide = load_doubles(values + j * step + c);

                        memcpy(to + j * (size_t)size + c, &wide, sizeof(wide));
                }
}

static ALWAYS_INLINE doubles load_wide(const double *from)
{
        doubles wide;

        memcpy(&wide, from, sizeof(wide));
        return wide;
}

/* sums[i] = sums[i] · shrink[i] + Σ_j weights[i][j] values[j] of two vectors of columns from c on and R rows. */
static ALWAYS_INLINE void gather(const struct work *work, uint32_t cells, uint32_t row, const double *shrink,
                uint32_t c, uint32_t size, const unsigned R)
{
        const double *values = work->values + c, *weights = work->weights + (size_t)row * CELLS;
        doubles acc[2 * SIDE];

        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                acc[i] = (doubles){ 0 };
        for (uint32_t j = 0; j < cells; j++, values += size) {
                doubles low = load_wide(values), high = load_wide(values + HALF);

                UNROLL
                for (unsigned i = 0; i < R; i++) {
                        doubles weight = weights[i * CELLS + j] - (doubles){ 0 };

                        acc[2 * i] = fma_doubles(weight, low, acc[2 * i]);
                        acc[2 * i + 1] = fma_doubles(weight, high, acc[2 * i + 1]);
                }
        }
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++) {
                double *sums = work->sums + (row + i / 2) * (size_t)size + c + i % 2 * HALF;

                acc[i] += load_wide(sums) * shrink[row + i / 2];
                memcpy(sums, &acc[i], sizeof(acc[i]));
        }
}

struct block { /* some rows of a head, and some keys */
        uint32_t row, rows, head, key, cells;
};

static void attend(const struct cpu_call *call, const struct block *b, const struct work *work,
                struct sums sums[ROWS])
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], i = 0;
        double shrink[ROWS];

        multiply_cells(&o[Q], b->row, b->rows, b->head, size, work->keys, call->op->f[0], work->scores);
        for (uint32_t r = 0; r < b->rows; r++)
                shrink[r] = weigh(&sums[r], work->scores + r * CELLS, first_of(&o[FIRST], b->row + r),
                                b->row + r, b->key, work->weights + r * CELLS);
        for (; i + SIDE <= b->rows; i += SIDE)
                for (uint32_t c = 0; c < size; c += LANES)
                        gather(work, b->cells, i, shrink, c, size, SIDE);
        for (; i < b->rows; i++)
                for (uint32_t c = 0; c < size; c += LANES)
                        gather(work, b->cells, i, shrink, c, size, 1);
}

static void finish(const struct cpu_call *call, const struct block *b, const struct work *work,
                const struct sums sums[ROWS])
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[Q].columns / size;

        for (uint32_t i = 0; i < b->rows; i++) {
                float *y = head_of(&o[Y], b->row + i, b->head, size);

                ((float *)o[LSE].data)[(size_t)(b->row + i) * heads + b->head] =
                                (float)((double)sums[i].largest + log(sums[i].total));
                for (uint32_t c = 0; c < size; c++)
                        y[c] = sums[i].total > 0 ? (float)(work->sums[(size_t)i * size + c] / sums[i].total)
                                                 : 0;
        }
}

/* Where the first of these rows begins to look, at the beginning of a block. */
static uint32_t first_key(const struct cpu_call *call, uint32_t row, uint32_t rows)
{
        uint32_t first = row;

        for (uint32_t r = row; r < row + rows; r++) {
                uint32_t begin = first_of(&call->operand[FIRST], r);

                first = begin < first ? begin : first;
        }
        return first / CELLS * CELLS;
}

void LEVEL(attention_train)(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[Q].columns / size;
        uint32_t tasks = (call->rows + ROWS - 1) / ROWS * heads;
        struct work work = work_of(call, size);

        for (uint32_t task = cpu_next(call); task < tasks; task = cpu_next(call)) {
                struct block b = { .row = task / heads * ROWS, .head = task % heads };
                uint32_t key_head = b.head / (o[Q].columns / o[K].columns);
                struct sums sums[ROWS];

                b.rows = at_most(call->rows - b.row, ROWS);
                for (uint32_t i = 0; i < ROWS; i++)
                        sums[i] = (struct sums){ -INFINITY, 0 };
                memset(work.sums, 0, b.rows * (size_t)size * sizeof(*work.sums));
                for (b.key = first_key(call, b.row, b.rows); b.key < b.row + b.rows; b.key += CELLS) {
                        b.cells = at_most(call->rows - b.key, CELLS);
                        turn_cells(&o[K], b.key, b.cells, key_head, size, work.keys);
                        widen_values(head_of(&o[V], b.key, key_head, size), o[V].columns, b.cells, size,
                                        work.values);
                        attend(call, &b, &work, sums);
                }
                finish(call, &b, &work, sums);
                cpu_pause_point(call);
        }
}

size_t LEVEL(attention_train_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)operands;
        return n_threads * work_bytes((uint32_t)op->i[0]);
}

bool LEVEL(attention_train_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)operands;
        return op->i[0] > 0 && (uint32_t)op->i[0] % LANES == 0;
}
