/* SPDX-License-Identifier: Apache-2.0 */
/* With p[r][j] = exp(f0 q[r]·k[j] - lse[r]) and ds[r][j] = f0 p[r][j] (dy[r]·v[j] - dy[r]·y[r]):
 * dq[r] = Σ_j ds[r][j] k[j], dk[j] = Σ_r ds[r][j] q[r], dv[j] = Σ_r p[r][j] dy[r].
 * A task has one key head: of CELLS keys at a time, p and ds of ROWS rows at a time are made once for all three. */
#include "plugins/cpu/lanes/attention_train.h"
#include "plugins/cpu/lanes/sums.h"

enum { DQ, DK, DV, Y, LSE, Q, K, V, FIRST, DY };

struct work {                 /* along: of all threads; the others: of one */
        float *along;         /* [rows][heads]: dy·y */
        float *keys, *values; /* [size][CELLS] */
        float *p, *ds;        /* [ROWS][CELLS] */
};

static size_t thread_floats(uint32_t size)
{
        return 2 * (size_t)(size + ROWS) * CELLS;
}

static size_t along_floats(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return round_up((size_t)operands[Q].rows * (operands[Q].columns / (uint32_t)op->i[0]), LINE);
}

static struct work work_of(const struct cpu_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0];
        struct work work = { .along = call->scratch };

        work.keys = work.along + along_floats(call->op, call->operand) + call->thread * thread_floats(size);
        work.values = work.keys + (size_t)size * CELLS;
        work.p = work.values + (size_t)size * CELLS;
        work.ds = work.p + ROWS * CELLS;
        return work;
}

struct block { /* some rows of a head, and some keys */
        uint32_t row, rows, head, key_head, key, cells;
};

/* p has scores, ds has dy·v; they become p and ds. */
static void differentiate(const struct cpu_call *call, const struct block *b, const struct work *work)
{
        const struct cpu_operand *o = call->operand;
        uint32_t heads = o[Q].columns / (uint32_t)call->op->i[0];

        for (uint32_t i = 0; i < b->rows; i++) {
                size_t place = (size_t)(b->row + i) * heads + b->head;
                float lse = ((const float *)o[LSE].data)[place], along = work->along[place];
                uint32_t first = first_of(&o[FIRST], b->row + i);

                for (uint32_t j = 0; j < CELLS; j += LANES) {
                        float *p_at = work->p + i * CELLS + j, *ds_at = work->ds + i * CELLS + j;
                        ints seen = cells_seen(first, b->row + i, b->key, j);
                        floats p = exponential(load(p_at) - all(lse));
                        floats ds = p * (load(ds_at) - all(along)) * all(call->op->f[0]);

                        store(p_at, choose(seen, p, zeros()));
                        store(ds_at, choose(seen, ds, zeros()));
                }
        }
}

/* Adds what the rows give to and take from the keys. */
static void add_block(const struct cpu_call *call, const struct block *b, const struct work *work)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0];
        struct outer dq = {
                .out = head_of(&o[DQ], b->row, b->head, size),
                .out_step = o[DQ].columns,
                .a = work->ds,
                .a_row_step = CELLS,
                .a_step = 1,
                .b = head_of(&o[K], b->key, b->key_head, size),
                .b_step = o[K].columns,
                .rows = b->rows,
                .columns = size,
                .count = b->cells,
                .factor = 1,
                .accumulate = true,
        };
        struct outer dk = {
                .out = head_of(&o[DK], b->key, b->key_head, size),
                .out_step = o[DK].columns,
                .a = work->ds,
                .a_row_step = 1,
                .a_step = CELLS,
                .b = head_of(&o[Q], b->row, b->head, size),
                .b_step = o[Q].columns,
                .rows = b->cells,
                .columns = size,
                .count = b->rows,
                .factor = 1,
                .accumulate = true,
        };
        struct outer dv = dk;

        dv.out = head_of(&o[DV], b->key, b->key_head, size);
        dv.a = work->p;
        dv.b = head_of(&o[DY], b->row, b->head, size);
        dv.b_step = o[DY].columns;
        outer_product(&dq);
        outer_product(&dk);
        outer_product(&dv);
}

/* False where none of the rows looks at these keys. */
static bool any_sees(const struct cpu_call *call, const struct block *b)
{
        for (uint32_t r = b->row; r < b->row + b->rows; r++)
                if (r >= b->key && first_of(&call->operand[FIRST], r) < b->key + b->cells)
                        return true;
        return false;
}

static void clear_heads(const struct cpu_call *call, unsigned operand, uint32_t head, uint32_t heads)
{
        uint32_t size = (uint32_t)call->op->i[0];

        for (uint32_t r = 0; r < call->rows; r++)
                memset(head_of(&call->operand[operand], r, head, size), 0,
                                (size_t)heads * size * sizeof(float));
}

static void run_head(const struct cpu_call *call, const struct work *work, uint32_t key_head)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], group = o[Q].columns / o[K].columns;
        struct block b = { .key_head = key_head };

        clear_heads(call, DQ, key_head * group, group);
        clear_heads(call, DK, key_head, 1);
        clear_heads(call, DV, key_head, 1);
        for (b.key = 0; b.key < call->rows; b.key += CELLS) {
                b.cells = at_most(call->rows - b.key, CELLS);
                turn_cells(&o[K], b.key, b.cells, key_head, size, work->keys);
                turn_cells(&o[V], b.key, b.cells, key_head, size, work->values);
                for (b.row = b.key; b.row < call->rows; b.row += ROWS) {
                        b.rows = at_most(call->rows - b.row, ROWS);
                        if (!any_sees(call, &b))
                                continue;
                        for (b.head = key_head * group; b.head < (key_head + 1) * group; b.head++) {
                                multiply_cells(&o[Q], b.row, b.rows, b.head, size, work->keys,
                                                call->op->f[0], work->p);
                                multiply_cells(&o[DY], b.row, b.rows, b.head, size, work->values, 1,
                                                work->ds);
                                differentiate(call, &b, work);
                                add_block(call, &b, work);
                        }
                }
                cpu_pause_point(call);
        }
}

void LEVEL(attention_train_backward)(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t begin, end, size = (uint32_t)call->op->i[0], heads = o[Q].columns / size;
        struct work work = work_of(call);

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                for (uint32_t head = 0; head < heads; head++)
                        work.along[(size_t)r * heads + head] = (float)sum_products(
                                        head_of(&o[DY], r, head, size), head_of(&o[Y], r, head, size), size);
        cpu_barrier(call);
        for (uint32_t head = cpu_next(call); head < o[K].columns / size; head = cpu_next(call))
                run_head(call, &work, head);
}

size_t LEVEL(attention_train_backward_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        return (along_floats(op, operands) + n_threads * thread_floats((uint32_t)op->i[0])) * sizeof(float);
}

bool LEVEL(attention_train_backward_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return LEVEL(attention_train_supports)(op, operands);
}
