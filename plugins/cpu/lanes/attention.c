/* SPDX-License-Identifier: Apache-2.0 */
/* y = Σ_p softmax_p(f0 q·k_p) v_p over the positions that a row looks at.
 *
 * A block of QVF_KV_BLOCK cells is made floats once for all rows and heads that look at it, keys transposed, so that
 * lanes are cells and no sum runs across lanes. Positions are taken in spans of SPAN: the sums of each begin anew and
 * are merged in their order, so that a few rows with a long past can be shared out by spans. A row gives the same
 * numbers however it is shared out, and whichever rows stand beside it. */
#include <math.h>

#include "plugins/cpu/lanes/cells.h"
#include "plugins/cpu/lanes/spread.h"

#define SPAN 512u                    /* positions; long enough for a merge to cost nothing */
#define PAIRS (2 * REGISTERS)        /* (row, head) pairs of a task, that share one key head */
#define BLOCK (CELLS / LANES)        /* vectors of the scores of a block */
#define SIDE (REGISTERS / 2 / BLOCK) /* pairs side by side: half of the registers are sums */
#define HALF_SIDE (SIDE > 1 ? SIDE / 2 : 1)
#define WIDE (REGISTERS / 2 / SIDE) /* vectors of columns of a pair that are summed side by side */
#define SPLIT_ROWS 8u               /* up to here long pasts are shared out by spans */

struct attention {
        float *y;
        const float *q;
        const struct cpu_operand *keys, *values, *table;
        const int32_t *place; /* position and sequence of each row */
        uint32_t rows, columns, size, group, key_heads, window;
        uint32_t width;                /* of a head in the scratch: its size in whole vectors */
        size_t cell_bytes, head_bytes; /* of the caches */
        float factor;
};

struct sums { /* of the positions so far: weights are exp(score - largest) */
        float largest, total;
};

struct looker {              /* a pair that looks at a block */
        uint32_t pair, seen; /* seen: a bit for each cell */
        float shrink;        /* of its sums so far, once its weights are known */
};

struct work {                 /* a thread's scratch */
        float *keys;          /* [width][CELLS] */
        uint8_t *near;        /* keys as the cache has them */
        float *values;        /* [CELLS][width] */
        const uint8_t *cells; /* the values of a block: those, or, where few pairs look at them, the cache itself */
        size_t cell_bytes;
        uint32_t dtype, count; /* of the cells */
        float *weights;        /* [pairs][CELLS]: first the scores */
        float *span, *all;     /* [pairs][width]: Σ weight · value of this span, and of the spans before */
        struct sums *span_sums, *all_sums;
        struct looker *lookers; /* [pairs] */
};

struct run { /* neighbouring rows of one sequence, the heads of some neighbouring key heads */
        uint32_t row, rows, key_head, key_heads;
        int32_t sequence;
};

/* The first and last position that a row looks at; none: last < first. */
static void range_of(const struct attention *a, uint32_t row, int64_t *ret_first, int64_t *ret_last)
{
        int64_t last = a->place[2 * (size_t)row], most = (int64_t)a->table->columns * CELLS - 1;

        *ret_first = a->window && last >= a->window ? last - a->window + 1 : 0;
        *ret_last = last < most ? last : most;
}

static uint32_t head_width(uint32_t size)
{
        return (uint32_t)round_up(size, LANES);
}

static ALWAYS_INLINE void spread_block(const struct cells *keys, const struct cells *values,
                const uint32_t dtype, bool few, const struct work *work)
{
        spread_turned(keys, dtype, work->near, work->keys);
        if (!few)
                spread(values, dtype, work->values);
}

/* The first `cells` cells of a block as floats. */
static void load_block(const struct attention *a, uint32_t block, const struct run *run, uint32_t cells,
                struct work *work)
{
        size_t offset = (size_t)block * CELLS * a->cell_bytes + run->key_head * a->head_bytes;
        const struct cells keys = { (const uint8_t *)a->keys->data + offset, a->cell_bytes, cells, a->size,
                a->width };
        struct cells values = keys;
        bool few = run->rows * a->group <= SIDE && a->size == a->width;

        values.first = (const uint8_t *)a->values->data + offset;
        work->cells = values.first;
        work->cell_bytes = a->cell_bytes;
        work->dtype = a->keys->dtype;
        work->count = cells;
        switch (a->keys->dtype) {
        case QVF_F16: spread_block(&keys, &values, QVF_F16, few, work); break;
        case QVF_Q8_0: spread_block(&keys, &values, QVF_Q8_0, few, work); break;
        default: spread_block(&keys, &values, QVF_F32, few, work); break;
        }
        if (few)
                return;
        work->cells = (const uint8_t *)work->values;
        work->cell_bytes = a->width * sizeof(float);
        work->dtype = QVF_F32;
}

static uint32_t block_of(const struct attention *a, const struct run *run, int64_t position)
{
        return cell_block(a->table, a->keys, run->sequence, (int32_t)position);
}

/* Of the cells of a block, what a key head has. */
static void fetch_block(const struct attention *a, uint32_t block, uint32_t key_head)
{
        size_t offset = (size_t)block * CELLS * a->cell_bytes + key_head * a->head_bytes;

        for (uint32_t i = 0; i < CELLS; i++, offset += a->cell_bytes) {
                for (size_t at = offset / LINE * LINE; at < offset + a->head_bytes; at += LINE) {
                        fetch((const char *)a->keys->data + at);
                        fetch((const char *)a->values->data + at);
                }
        }
}

/* sums[odd · P · BLOCK + i · BLOCK …] = q[i] · key of each cell, over every second column, from `odd` on; for both kinds of
 * columns, or one. */
static ALWAYS_INLINE void score_columns(const struct attention *a, const float *const q[], const float *keys,
                uint32_t begin, const unsigned kinds, const unsigned P, floats sums[])
{
        floats acc[SIDE * BLOCK];

        UNROLL
        for (unsigned i = 0; i < kinds * P * BLOCK; i++)
                acc[i] = zeros();
        keys += begin * CELLS;
        for (uint32_t c = begin; c < a->size; c += 2, keys += 2 * CELLS) {
                UNROLL
                for (unsigned kind = 0; kind < kinds; kind++) {
                        UNROLL
                        for (unsigned v = 0; v < BLOCK; v++) {
                                floats cells = load(keys + kind * CELLS + v * LANES);

                                UNROLL
                                for (unsigned i = 0; i < P; i++) {
                                        floats *sum = &acc[(kind * P + i) * BLOCK + v];

                                        *sum = fma_of(all(q[i][c + kind]), cells, *sum);
                                }
                        }
                }
        }
        UNROLL
        for (unsigned i = 0; i < kinds * P * BLOCK; i++)
                sums[i] = acc[i];
}

/* The scores of P lookers. */
static ALWAYS_INLINE void score(const struct attention *a, const struct run *run, const struct work *work,
                uint32_t first, const unsigned P)
{
        const float *q[SIDE];
        floats sums[2 * SIDE * BLOCK];

        UNROLL
        for (unsigned i = 0; i < P; i++) {
                uint32_t pair = work->lookers[first + i].pair;
                uint32_t row = run->row + pair / a->group, head = run->key_head * a->group + pair % a->group;

                q[i] = a->q + (size_t)row * a->columns + (size_t)head * a->size;
        }
        if (2 * P <= SIDE) {
                score_columns(a, q, work->keys, 0, 2, P, sums);
        } else {
                score_columns(a, q, work->keys, 0, 1, P, sums);
                score_columns(a, q, work->keys, 1, 1, P, sums + P * BLOCK);
        }
        UNROLL
        for (unsigned i = 0; i < P * BLOCK; i++)
                store(work->weights + (size_t)first * CELLS + i * LANES,
                                (sums[i] + sums[P * BLOCK + i]) * all(a->factor));
}

/* The largest score so far; scores of cells that are not seen become none. */
static ALWAYS_INLINE float find_largest(float before, float *scores, uint32_t seen)
{
        const ints lane = lane_numbers();
        floats most = all(-INFINITY);
        float top;

        UNROLL
        for (unsigned v = 0; v < BLOCK; v++) {
                ints bits = (ints){ 0 } + (int32_t)(seen >> v * LANES);
                floats some = load(scores + v * LANES);

                if (seen != UINT32_MAX) {
                        some = choose((bits >> lane & 1) != 0, some, all(-INFINITY));
                        store(scores + v * LANES, some);
                }
                most = larger(some, most);
        }
        top = largest(most);
        return top > before ? top : before;
}

/* Scores become weights; returns a vector whose lanes add up to their sum. */
static ALWAYS_INLINE floats weigh(float *weights, float base)
{
        floats total[BLOCK];

        UNROLL
        for (unsigned v = 0; v < BLOCK; v++) {
                total[v] = exponential(load(weights + v * LANES) - all(base));
                store(weights + v * LANES, total[v]);
        }
        UNROLL
        for (unsigned apart = BLOCK / 2; apart > 0; apart /= 2)
                for (unsigned v = 0; v < apart; v++)
                        total[v] += total[v + apart];
        return total[0];
}

/* The same for up to LANES lookers; what they summed so far shrinks. */
static void weigh_some(const struct work *work, uint32_t first, uint32_t count)
{
        struct looker *look = work->lookers + first;
        float *weights = work->weights + (size_t)first * CELLS, base[LANES], steps[LANES] = { 0 },
              sum[LANES];
        floats total[LANES];
        uint32_t done = 0;

        for (uint32_t i = 0; i < count; i++) {
                struct sums *sums = &work->span_sums[look[i].pair];
                float top = find_largest(sums->largest, weights + i * CELLS, look[i].seen);

                base[i] = top > -INFINITY ? top : 0;
                steps[i] = sums->largest - base[i];
                sums->largest = top;
        }
        store(steps, exponential(load(steps)));
        for (uint32_t i = 0; i < count; i++)
                total[i] = weigh(weights + i * CELLS, base[i]);
        for (; done + 4 <= count; done += 4)
                fold_some(total + done, 4, sum + done);
        for (; done < count; done++)
                sum[done] = fold(total[done]);
        for (uint32_t i = 0; i < count; i++) {
                struct sums *sums = &work->span_sums[look[i].pair];

                sums->total = sums->total * steps[i] + sum[i];
                look[i].shrink = steps[i];
        }
}

/* sums[i][c …] = sums[i][c …] · shrink[i] + Σ_j weights[i][j] values[j][c …], V vectors of columns. */
static ALWAYS_INLINE void gather(const struct attention *a, const struct work *work, uint32_t first,
                uint32_t c, const uint32_t dtype, const unsigned P, const unsigned V)
{
        const float *weights = work->weights + (size_t)first * CELLS;
        const struct looker *look = work->lookers + first;
        floats acc[SIDE * WIDE];

        UNROLL
        for (unsigned i = 0; i < P * V; i++)
                acc[i] = zeros();
        for (uint32_t j = 0; j < work->count; j++) {
                const uint8_t *cell = work->cells + j * work->cell_bytes;

                UNROLL
                for (unsigned v = 0; v < V; v++) {
                        floats value = load_weights(dtype, cell, c + v * LANES);

                        UNROLL
                        for (unsigned i = 0; i < P; i++)
                                acc[i * V + v] = fma_of(all(weights[i * CELLS + j]), value, acc[i * V + v]);
                }
        }
        UNROLL
        for (unsigned i = 0; i < P * V; i++) { /* a block's sum on its own: short sums round less */
                float *to = work->span + (size_t)look[i / V].pair * a->width + c + i % V * LANES;

                store(to, fma_of(load(to), all(look[i / V].shrink), acc[i]));
        }
}

static ALWAYS_INLINE void gather_columns(const struct attention *a, const struct work *work, uint32_t first,
                const uint32_t dtype, const unsigned P)
{
        const unsigned wide = SIDE * WIDE / P < 8 ? SIDE * WIDE / P : 8;
        uint32_t c = 0;

        if (P == 1 && wide >= 6 && a->width == 6 * LANES) { /* a common size, in one go */
                gather(a, work, first, 0, dtype, P, 6);
                return;
        }
        for (; c + wide * LANES <= a->width; c += wide * LANES)
                gather(a, work, first, c, dtype, P, wide);
        for (; c + wide / 2 * LANES <= a->width; c += wide / 2 * LANES)
                gather(a, work, first, c, dtype, P, wide / 2);
        for (; c + 2 * LANES <= a->width; c += 2 * LANES)
                gather(a, work, first, c, dtype, P, 2);
        if (c < a->width)
                gather(a, work, first, c, dtype, P, 1);
}

static ALWAYS_INLINE void gather_any(
                const struct attention *a, const struct work *work, uint32_t first, const unsigned P)
{
        switch (work->dtype) {
        case QVF_F16: gather_columns(a, work, first, QVF_F16, P); break;
        case QVF_Q8_0: gather_columns(a, work, first, QVF_Q8_0, P); break;
        default: gather_columns(a, work, first, QVF_F32, P); break;
        }
}

/* Functions of their own: inlined, they would have to share the registers with the constants of exponential(). */
static __attribute__((noinline)) void gather_side(
                const struct attention *a, const struct work *work, uint32_t first)
{
        gather_any(a, work, first, SIDE);
}

static __attribute__((noinline)) void gather_half(
                const struct attention *a, const struct work *work, uint32_t first)
{
        gather_any(a, work, first, HALF_SIDE);
}

static __attribute__((noinline)) void gather_one(
                const struct attention *a, const struct work *work, uint32_t first)
{
        gather_any(a, work, first, 1);
}

static __attribute__((noinline)) void score_side(
                const struct attention *a, const struct run *run, const struct work *work, uint32_t first)
{
        score(a, run, work, first, SIDE);
}

static __attribute__((noinline)) void score_half(
                const struct attention *a, const struct run *run, const struct work *work, uint32_t first)
{
        score(a, run, work, first, HALF_SIDE);
}

static __attribute__((noinline)) void score_one(
                const struct attention *a, const struct run *run, const struct work *work, uint32_t first)
{
        score(a, run, work, first, 1);
}

/* Which cells of the block of positions from `position` on a row looks at, one bit each. */
static uint32_t cells_seen(const struct attention *a, uint32_t row, int64_t position)
{
        int64_t first, last;

        range_of(a, row, &first, &last);
        if (last < position || first >= position + (int64_t)CELLS)
                return 0;
        return (first > position ? UINT32_MAX << (first - position) : UINT32_MAX) &
               (last < position + (int64_t)CELLS - 1 ? UINT32_MAX >> (position + CELLS - 1 - last)
                                                     : UINT32_MAX);
}

/* The pairs of a run that look at a block; says how many they are. */
static uint32_t find_lookers(
                const struct attention *a, const struct run *run, const struct work *work, int64_t position)
{
        uint32_t count = 0;

        for (uint32_t r = 0; r < run->rows; r++) {
                uint32_t seen = cells_seen(a, run->row + r, position);

                for (uint32_t i = 0; seen && i < a->group; i++)
                        work->lookers[count++] = (struct looker){ .pair = r * a->group + i, .seen = seen };
        }
        return count;
}

/* One block of cells. All scores come first, then all weights, then all sums: a pair's weights are a long chain of
 * latencies, which the next pairs' then hide. */
static void attend_block(
                const struct attention *a, const struct run *run, const struct work *work, int64_t position)
{
        uint32_t count = find_lookers(a, run, work, position), sides = count / SIDE * SIDE;
        uint32_t halves = sides + (count - sides) / HALF_SIDE * HALF_SIDE;

        for (uint32_t i = 0; i < sides; i += SIDE)
                score_side(a, run, work, i);
        for (uint32_t i = sides; i < halves; i += HALF_SIDE)
                score_half(a, run, work, i);
        for (uint32_t i = halves; i < count; i++)
                score_one(a, run, work, i);
        for (uint32_t i = 0; i < count; i += LANES)
                weigh_some(work, i, count - i < LANES ? count - i : LANES);
        for (uint32_t i = 0; i < sides; i += SIDE)
                gather_side(a, work, i);
        for (uint32_t i = sides; i < halves; i += HALF_SIDE)
                gather_half(a, work, i);
        for (uint32_t i = halves; i < count; i++)
                gather_one(a, work, i);
}

/* `into` takes up `from`. */
static void merge(struct sums *into, float *into_sums, const struct sums *from, const float *from_sums,
                uint32_t width)
{
        float most = into->largest > from->largest ? into->largest : from->largest;
        floats keep, take;

        if (from->total == 0)
                return;
        keep = exponential(all(into->largest - most));
        take = exponential(all(from->largest - most));
        into->total = into->total * keep[0] + from->total * take[0];
        into->largest = most;
        for (uint32_t c = 0; c < width; c += LANES)
                store(into_sums + c, fma_of(load(into_sums + c), keep, load(from_sums + c) * take));
}

static void clear(struct sums *sums, float *numbers, uint32_t pairs, uint32_t width)
{
        for (uint32_t i = 0; i < pairs; i++)
                sums[i] = (struct sums){ .largest = -INFINITY };
        memset(numbers, 0, (size_t)pairs * width * sizeof(*numbers));
}

static struct run run_of_head(const struct run *run, uint32_t i)
{
        return (struct run){ run->row, run->rows, run->key_head + i, 1, run->sequence };
}

/* The sums of the pairs of a key head of the run; all else is shared. */
static struct work work_of_head(
                const struct attention *a, const struct run *run, const struct work *work, uint32_t i)
{
        size_t pairs = (size_t)i * run->rows * a->group;
        struct work part = *work;

        part.span += pairs * a->width;
        part.span_sums += pairs;
        return part;
}

/* One span of a run, into span and span_sums. Of a block all heads before the next block: what a cell has of them stands
 * side by side. */
static void attend_span(const struct attention *a, const struct run *run, struct work *work, uint32_t span)
{
        int64_t first = INT64_MAX, last = -1, position = (int64_t)span * SPAN, end;

        for (uint32_t r = run->row; r < run->row + run->rows; r++) {
                int64_t row_first, row_last;

                range_of(a, r, &row_first, &row_last);
                first = row_first < first ? row_first : first;
                last = row_last > last ? row_last : last;
        }
        end = last + 1 < position + SPAN ? last + 1 : position + SPAN;
        position = first / CELLS * CELLS > position ? first / CELLS * CELLS : position;
        clear(work->span_sums, work->span, run->key_heads * run->rows * a->group, a->width);
        for (; position < end; position += CELLS) {
                uint32_t block = block_of(a, run, position), next = NO_BLOCK;

                if (position + CELLS < end)
                        next = block_of(a, run, position + CELLS);
                for (uint32_t i = 0; i < run->key_heads; i++) {
                        struct run head = run_of_head(run, i);
                        struct work part = work_of_head(a, run, work, i);
                        bool last_head = i + 1 == run->key_heads;
                        uint32_t later = last_head ? next : block;

                        if (later != NO_BLOCK && run->rows <= 2)
                                fetch_block(a, later, last_head ? run->key_head : head.key_head + 1);
                        if (block == NO_BLOCK)
                                continue;
                        load_block(a, block, &head,
                                        end - position < CELLS ? (uint32_t)(end - position) : CELLS, &part);
                        attend_block(a, &head, &part, position);
                }
        }
}

static void finish(const struct attention *a, uint32_t row, uint32_t head, const struct sums *sums,
                const float *numbers)
{
        float *y = a->y + (size_t)row * a->columns + (size_t)head * a->size;

        for (uint32_t c = 0; c < a->size; c += LANES)
                store_left(y + c, a->size - c, c + LANES <= a->size,
                                sums->total > 0 ? load(numbers + c) / all(sums->total) : zeros());
}

static uint32_t span_count(const struct attention *a, uint32_t row, uint32_t rows)
{
        int64_t first, last, most = -1;

        for (uint32_t r = row; r < row + rows; r++) {
                range_of(a, r, &first, &last);
                most = last > most ? last : most;
        }
        return (uint32_t)((most + SPAN) / SPAN);
}

static void attend_run(const struct attention *a, struct run *run, struct work *work)
{
        uint32_t pairs = run->rows * a->group, all = run->key_heads * pairs;
        uint32_t spans = span_count(a, run->row, run->rows);

        clear(work->all_sums, work->all, all, a->width);
        for (uint32_t span = 0; span < spans; span++) {
                attend_span(a, run, work, span);
                for (uint32_t i = 0; i < all; i++)
                        merge(&work->all_sums[i], work->all + (size_t)i * a->width, &work->span_sums[i],
                                        work->span + (size_t)i * a->width, a->width);
        }
        for (uint32_t i = 0; i < all; i++)
                finish(a, run->row + i % pairs / a->group,
                                (run->key_head + i / pairs) * a->group + i % pairs % a->group,
                                &work->all_sums[i], work->all + (size_t)i * a->width);
}

static uint32_t task_rows(const struct attention *a)
{
        return a->group < PAIRS ? PAIRS / a->group : 1;
}

static size_t work_bytes(uint32_t size, uint32_t group) /* of one thread */
{
        size_t pairs = group > PAIRS ? group : PAIRS, width = head_width(size);

        return NEAR_BYTES + 2 * width * CELLS * sizeof(float) + pairs * CELLS * sizeof(float) +
               2 * pairs * width * sizeof(float) +
               round_up(pairs * (2 * sizeof(struct sums) + sizeof(struct looker)), LINE);
}

static struct work work_of(const struct cpu_call *call, const struct attention *a)
{
        size_t pairs = a->group > PAIRS ? a->group : PAIRS;
        struct work work = { .near = (uint8_t *)call->scratch +
                                     call->thread * work_bytes(a->size, a->group) };

        work.keys = (float *)(work.near + NEAR_BYTES);
        work.values = work.keys + a->width * CELLS;
        work.weights = work.values + a->width * CELLS;
        work.span = work.weights + pairs * CELLS;
        work.all = work.span + pairs * a->width;
        work.span_sums = (struct sums *)(work.all + pairs * a->width);
        work.all_sums = work.span_sums + pairs;
        work.lookers = (struct looker *)(work.all_sums + pairs);
        return work;
}

static int32_t sequence_of(const struct attention *a, uint32_t row)
{
        return a->place[2 * (size_t)row + 1];
}

/* Key heads of a task of so many rows, of which there are `tasks` with one: as many as leave each thread two. */
static uint32_t task_heads(
                const struct cpu_call *call, const struct attention *a, uint32_t rows, uint32_t tasks)
{
        uint32_t most = PAIRS / (rows * a->group), fair = tasks / (2 * call->n_threads);

        if (call->n_threads == 1 || fair > most)
                fair = most;
        return fair > a->key_heads ? a->key_heads : fair > 1 ? fair : 1;
}

/* A run of one row with the key heads of part `part`. */
static struct run heads_of(const struct attention *a, uint32_t part, uint32_t together)
{
        uint32_t first = part * together, left = a->key_heads - first;

        return (struct run){ .rows = 1, .key_head = first, .key_heads = left < together ? left : together };
}

/* Rows in tiles, each with all heads of some key heads. */
static void share_rows(const struct cpu_call *call, const struct attention *a, struct work *work)
{
        uint32_t tile = task_rows(a), tiles = (a->rows + tile - 1) / tile;
        uint32_t together = task_heads(call, a, tile < a->rows ? tile : a->rows, tiles * a->key_heads);
        uint32_t parts = (a->key_heads + together - 1) / together;

        for (uint32_t task = cpu_next(call); task < tiles * parts; task = cpu_next(call)) {
                uint32_t row = task / parts * tile, end = row + tile < a->rows ? row + tile : a->rows;

                while (row < end) {
                        struct run run = heads_of(a, task % parts, together);

                        run.row = row;
                        run.sequence = sequence_of(a, row);
                        while (row + run.rows < end && sequence_of(a, row + run.rows) == run.sequence)
                                run.rows++;
                        attend_run(a, &run, work);
                        row += run.rows;
                        cpu_pause_point(call);
                }
        }
}

static struct attention attention_of(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], key_heads = o[2].columns / size;

        return (struct attention){
                .y = o[0].data,
                .q = o[1].data,
                .keys = &o[2],
                .values = &o[3],
                .place = o[4].data,
                .table = &o[5],
                .rows = call->rows,
                .columns = o[1].columns,
                .size = size,
                .width = head_width(size),
                .group = o[1].columns / size / key_heads,
                .key_heads = key_heads,
                .window = call->op->i[1] > 0 ? (uint32_t)call->op->i[1] : 0,
                .cell_bytes = dense_row_bytes(o[2].dtype, o[2].columns),
                .head_bytes = dense_row_bytes(o[2].dtype, size),
                .factor = call->op->f[0],
        };
}

/* The sums of a span of a row and head, kept for the merge: their numbers, then struct sums in a line of its own. */
static float *part_of(const struct attention *a, float *parts, uint32_t spans, uint32_t row, uint32_t head,
                uint32_t span)
{
        return parts + (((size_t)row * (a->columns / a->size) + head) * spans + span) * (a->width + LANES);
}

/* Few rows, long pasts: rows, key heads and spans are shared out, then rows and heads for the merge. */
static void share_spans(
                const struct cpu_call *call, const struct attention *a, struct work *work, uint32_t spans)
{
        float *parts = (float *)((char *)call->scratch + call->n_threads * work_bytes(a->size, a->group));
        uint32_t heads = a->columns / a->size, begin, end;
        uint32_t together = task_heads(call, a, 1, a->rows * spans * a->key_heads);
        uint32_t all = (a->key_heads + together - 1) / together;

        for (uint32_t task = cpu_next(call); task < a->rows * all * spans; task = cpu_next(call)) {
                struct run run = heads_of(a, task / spans % all, together);
                uint32_t span = task % spans;

                run.row = task / spans / all;
                run.sequence = sequence_of(a, run.row);
                attend_span(a, &run, work, span);
                for (uint32_t i = 0; i < run.key_heads * a->group; i++) {
                        float *part = part_of(a, parts, spans, run.row, run.key_head * a->group + i, span);

                        memcpy(part, work->span + (size_t)i * a->width, a->width * sizeof(*part));
                        memcpy(part + a->width, &work->span_sums[i], sizeof(struct sums));
                }
                cpu_pause_point(call);
        }
        cpu_barrier(call);
        cpu_share(call, a->rows * heads, 1, &begin, &end);
        for (uint32_t task = begin; task < end; task++) {
                clear(work->all_sums, work->all, 1, a->width);
                for (uint32_t span = 0; span < spans; span++) {
                        const float *part = part_of(a, parts, spans, task / heads, task % heads, span);

                        merge(work->all_sums, work->all, (const struct sums *)(part + a->width), part,
                                        a->width);
                }
                finish(a, task / heads, task % heads, work->all_sums, work->all);
        }
}

void LEVEL(attention)(const struct cpu_call *call)
{
        struct attention a = attention_of(call);
        struct work work = work_of(call, &a);
        uint32_t spans = span_count(&a, 0, a.rows);

        if (a.rows <= SPLIT_ROWS && spans > 1)
                share_spans(call, &a, &work, spans);
        else
                share_rows(call, &a, &work);
}

size_t LEVEL(attention_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        uint32_t size = (uint32_t)op->i[0], heads = operands[1].columns / size;
        uint32_t group = heads / (operands[2].columns / size);
        size_t rows = operands[1].rows < SPLIT_ROWS ? operands[1].rows : SPLIT_ROWS;
        size_t spans = ((size_t)operands[5].columns * CELLS + SPAN - 1) / SPAN;
        size_t parts = spans > 1 ? rows * heads * spans * (head_width(size) + LANES) * sizeof(float) : 0;

        return n_threads * work_bytes(size, group) + parts;
}

bool LEVEL(attention_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        uint32_t dtype = operands[2].dtype, size = (uint32_t)op->i[0];

        if (size == 0 || size > HEAD_MOST || size % 2 != 0 || operands[3].dtype != dtype ||
                        operands[3].columns != operands[2].columns)
                return false;
        return dtype == QVF_F32 || dtype == QVF_F16 || (dtype == QVF_Q8_0 && size % 32 == 0);
}
