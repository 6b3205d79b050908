/* SPDX-License-Identifier: Apache-2.0 */
/* y[r] = Σ_j exp(f0 q[r]·k[j] - lse[r]) v[j], j from first[r] to r; lse[r] = log Σ_j exp(f0 q[r]·k[j])
 *
 * A task has some rows and a head. The sums of values are taken in double: in float, one result in the first layer of the
 * golden model with ReLU² came to the other side of a rounding tie of the quantisation, and that alone moved the gradients from
 * 0.8 % to 1.04 % off the reference. */
#include <math.h>

#include "plugins/cpu/lanes/attention_train.h"

enum { Y, LSE, Q, K, V, FIRST };

#define HALF (LANES / 2) /* doubles in a vector */
#define TILE 64u         /* the most rows of a task: keys are turned and values widened once for all */
#define SIDE 4u          /* rows side by side in registers, by WIDE vectors of columns */
#define WIDE (REGISTERS >= 32 ? 4u : 2u)

struct sums { /* of the keys so far: weights are exp(score - largest) */
        float largest;
        double total;
};

struct work {            /* a thread's scratch */
        double *sums;    /* [TILE][wide]: Σ weight · value */
        double *values;  /* [CELLS][wide] */
        double *weights; /* [TILE][CELLS] */
        float *keys;     /* [wide][CELLS] */
        float *scores;   /* [TILE][CELLS] */
        uint32_t wide;   /* a head in whole vectors */
};

static size_t work_bytes(uint32_t size)
{
        size_t wide = round_up(size, LANES), doubles_each = (TILE + CELLS) * wide + TILE * CELLS;

        return round_up(doubles_each * sizeof(double) + (wide + TILE) * CELLS * sizeof(float), LINE);
}

static struct work work_of(const struct cpu_call *call, uint32_t size)
{
        struct work work = { .sums = (double *)((char *)call->scratch + call->thread * work_bytes(size)),
                .wide = (uint32_t)round_up(size, LANES) };

        work.values = work.sums + (size_t)TILE * work.wide;
        work.weights = work.values + (size_t)CELLS * work.wide;
        work.keys = (float *)(work.weights + (size_t)TILE * CELLS);
        work.scores = work.keys + (size_t)CELLS * work.wide;
        return work;
}

static ALWAYS_INLINE void widen(floats x, double *to)
{
        float narrow[LANES];

        store(narrow, x);
        UNROLL
        for (unsigned j = 0; j < 2; j++) {
                doubles wide = load_doubles(narrow + j * HALF);

                memcpy(to + j * HALF, &wide, sizeof(wide));
        }
}

/* The largest score so far of a row; scores of cells that it does not look at become none. */
static ALWAYS_INLINE float find_largest(
                float before, float *scores, uint32_t first, uint32_t row, uint32_t key)
{
        bool all_seen = first <= key && row >= key + CELLS - 1;
        floats most = all(-INFINITY);
        float now;

        UNROLL
        for (unsigned v = 0; v < CELLS / LANES; v++) {
                floats seen = load(scores + v * LANES);

                if (!all_seen) {
                        seen = choose(cells_seen(first, row, key, v * LANES), seen, all(-INFINITY));
                        store(scores + v * LANES, seen);
                }
                most = larger(seen, most);
        }
        now = largest(most);
        return now > before ? now : before;
}

/* Scores become weights; returns their sum. */
static ALWAYS_INLINE float weigh(const float *scores, float base, double *weights)
{
        floats total = zeros();

        UNROLL
        for (unsigned v = 0; v < CELLS / LANES; v++) {
                floats weight = exponential(load(scores + v * LANES) - all(base));

                total += weight;
                widen(weight, weights + v * LANES);
        }
        return fold(total);
}

struct block { /* some rows of a head, and some keys; of the rows none before `begin` or from `end` on looks at them */
        uint32_t row, rows, begin, end, head, key, cells;
};

/* The same for all rows; what they summed so far shrinks. */
static void weigh_rows(const struct cpu_call *call, const struct block *b, const struct work *work,
                struct sums sums[TILE], double shrink[TILE])
{
        float base[TILE], steps[TILE + LANES] = { 0 };

        for (uint32_t i = b->begin; i < b->end; i++) {
                float now = find_largest(sums[i].largest, work->scores + i * CELLS,
                                first_of(&call->operand[FIRST], b->row + i), b->row + i, b->key);

                base[i] = now > -INFINITY ? now : 0;
                steps[i] = sums[i].largest - base[i];
                sums[i].largest = now;
        }
        for (uint32_t i = b->begin; i < b->end; i += LANES)
                store(steps + i, exponential(load(steps + i)));
        for (uint32_t i = b->begin; i < b->end; i++) {
                float total = weigh(work->scores + i * CELLS, base[i], work->weights + i * CELLS);

                shrink[i] = (double)steps[i];
                sums[i].total = sums[i].total * shrink[i] + (double)total;
        }
}

static void widen_values(
                const float *values, size_t step, uint32_t cells, uint32_t size, const struct work *work)
{
        for (uint32_t j = 0; j < cells; j++)
                for (uint32_t c = 0; c < size; c += LANES)
                        widen(load_left(values + j * step + c, size - c, size - c >= LANES),
                                        work->values + j * (size_t)work->wide + c);
}

static ALWAYS_INLINE doubles load_wide(const double *from)
{
        doubles wide;

        memcpy(&wide, from, sizeof(wide));
        return wide;
}

/* sums[i] = sums[i] · shrink[i] + Σ_j weights[i][j] values[j] of N vectors of columns from c on and R rows. */
static ALWAYS_INLINE void gather(const struct work *work, uint32_t cells, uint32_t row, const double *shrink,
                uint32_t c, const unsigned R, const unsigned N)
{
        const double *values = work->values + c, *weights = work->weights + (size_t)row * CELLS;
        doubles acc[SIDE * WIDE];

        UNROLL
        for (unsigned i = 0; i < N * R; i++)
                acc[i] = (doubles){ 0 };
        for (uint32_t j = 0; j < cells; j++, values += work->wide) {
                doubles some[WIDE];

                UNROLL
                for (unsigned v = 0; v < N; v++)
                        some[v] = load_wide(values + v * HALF);
                UNROLL
                for (unsigned i = 0; i < R; i++) {
                        doubles weight = weights[i * CELLS + j] - (doubles){ 0 };

                        UNROLL
                        for (unsigned v = 0; v < N; v++)
                                acc[N * i + v] = fma_doubles(weight, some[v], acc[N * i + v]);
                }
        }
        UNROLL
        for (unsigned i = 0; i < N * R; i++) {
                double *sums = work->sums + (row + i / N) * (size_t)work->wide + c + i % N * HALF;

                acc[i] += load_wide(sums) * shrink[row + i / N];
                memcpy(sums, &acc[i], sizeof(acc[i]));
        }
}

/* A function of its own: inlined, it would have to share the registers with the constants of exponential(). */
static __attribute__((noinline)) void gather_rows(
                const struct work *work, const struct block *b, const double *shrink)
{
        uint32_t i = b->begin;

        for (; i + SIDE <= b->end; i += SIDE) {
                uint32_t c = 0;

                for (; c + WIDE * HALF <= work->wide; c += WIDE * HALF)
                        gather(work, b->cells, i, shrink, c, SIDE, WIDE);
                for (; c < work->wide; c += LANES)
                        gather(work, b->cells, i, shrink, c, SIDE, 2);
        }
        for (; i < b->end; i++)
                for (uint32_t c = 0; c < work->wide; c += LANES)
                        gather(work, b->cells, i, shrink, c, 1, 2);
}

static void attend(const struct cpu_call *call, const struct block *b, const struct work *work,
                struct sums sums[TILE])
{
        double shrink[TILE];

        multiply_cells(&call->operand[Q], b->row + b->begin, b->end - b->begin, b->head,
                        (uint32_t)call->op->i[0], work->keys, call->op->f[0],
                        work->scores + b->begin * CELLS);
        weigh_rows(call, b, work, sums, shrink);
        gather_rows(work, b, shrink);
}

static void finish(const struct cpu_call *call, const struct block *b, const struct work *work,
                const struct sums sums[TILE])
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[Q].columns / size;

        for (uint32_t i = 0; i < b->rows; i++) {
                float *y = head_of(&o[Y], b->row + i, b->head, size);

                ((float *)o[LSE].data)[(size_t)(b->row + i) * heads + b->head] =
                                (float)((double)sums[i].largest + log(sums[i].total));
                for (uint32_t c = 0; c < size; c += LANES) {
                        const double *from = work->sums + (size_t)i * work->wide + c;
                        floats mean = zeros();

                        if (sums[i].total > 0)
                                mean = floats_of(load_wide(from) / sums[i].total,
                                                load_wide(from + HALF) / sums[i].total);
                        store_left(y + c, size - c, size - c >= LANES, mean);
                }
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

/* Begins at a multiple of SIDE. */
static void find_rows(const struct cpu_operand *first, struct block *b)
{
        b->begin = b->key > b->row ? (b->key - b->row) / SIDE * SIDE : 0;
        b->end = b->rows;
        while (b->end > b->begin && first_of(first, b->row + b->end - 1) >= b->key + CELLS)
                b->end--;
}

/* Of a task. Half as many where threads would otherwise wait for the last one; a row's result is the same. */
static uint32_t rows_each(const struct cpu_call *call, uint32_t heads)
{
        return (uint64_t)call->rows * heads >= (uint64_t)TILE * 4 * call->n_threads ? TILE : TILE / 2;
}

void LEVEL(attention_train)(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[Q].columns / size, each = rows_each(call, heads);
        uint32_t tiles = (call->rows + each - 1) / each, tasks = tiles * heads;
        struct work work = work_of(call, size);

        for (uint32_t task = cpu_next(call); task < tasks; task = cpu_next(call)) {
                /* the last rows, which look at the most, come first */
                struct block b = { .row = (tiles - 1 - task / heads) * each, .head = task % heads };
                uint32_t key_head = b.head / (o[Q].columns / o[K].columns);
                struct sums sums[TILE];

                b.rows = at_most(call->rows - b.row, each);
                for (uint32_t i = 0; i < b.rows; i++)
                        sums[i] = (struct sums){ -INFINITY, 0 };
                memset(work.sums, 0, b.rows * (size_t)work.wide * sizeof(*work.sums));
                for (b.key = first_key(call, b.row, b.rows); b.key < b.row + b.rows; b.key += CELLS) {
                        b.cells = at_most(call->rows - b.key, CELLS);
                        find_rows(&o[FIRST], &b);
                        turn_cells(&o[K], b.key, b.cells, key_head, size, work.keys);
                        widen_values(head_of(&o[V], b.key, key_head, size), o[V].columns, b.cells, size,
                                        &work);
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
        return op->i[0] > 0;
}
