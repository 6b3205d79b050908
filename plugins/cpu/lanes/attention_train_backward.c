/* SPDX-License-Identifier: Apache-2.0 */
/* With p[r][j] = exp(f0 q[r]·k[j] - lse[r]) and ds[r][j] = f0 p[r][j] (dy[r]·v[j] - dy[r]·y[r]):
 * dq[r] = Σ_j ds[r][j] k[j], dk[j] = Σ_r ds[r][j] q[r], dv[j] = Σ_r p[r][j] dy[r].
 * A task has one key head and a piece of the rows: of CELLS keys at a time, p and ds of ROWS rows at a time are made once for
 * all three. Each piece but the last has sums of dk and dv of its own, which are added up in the order of the pieces; how
 * many there are hangs on the rows alone, so that no result depends on the number of threads. */
#include "plugins/cpu/lanes/attention_train.h"
#include "plugins/cpu/lanes/sums.h"

enum { DQ, DK, DV, Y, LSE, Q, K, V, FIRST, DY };

#define PIECES 4u /* at most */

struct work {                 /* along, sums: of all threads; the others: of one */
        float *along;         /* [rows][heads]: dy·y */
        float *sums;          /* of the pieces: dk and dv of the rows up to their end */
        float *keys, *values; /* [size, up to whole vectors][CELLS] */
        float *p, *ds;        /* [ROWS][CELLS] */
};

static size_t thread_floats(uint32_t size)
{
        return 2 * (round_up(size, LANES) + ROWS) * CELLS;
}

static size_t along_floats(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return round_up((size_t)operands[Q].rows * (operands[Q].columns / (uint32_t)op->i[0]), LINE);
}

/* Small pieces turn the same keys too often. */
static uint32_t piece_count(uint32_t rows)
{
        uint32_t count = at_most((rows + CELLS - 1) / CELLS * 2 / 3, PIECES);

        return count > 0 ? count : 1;
}

static uint32_t piece_end(uint32_t rows, uint32_t piece)
{
        uint32_t blocks = (rows + CELLS - 1) / CELLS;

        return at_most(blocks * (piece + 1) / piece_count(rows) * CELLS, rows);
}

/* Where a piece's sums begin; those of the last one are dk and dv themselves. */
static size_t sums_before(uint32_t rows, uint32_t key_columns, uint32_t piece)
{
        size_t floats_before = 0;

        for (uint32_t i = 0; i < piece; i++)
                floats_before += 2 * (size_t)piece_end(rows, i) * key_columns;
        return floats_before;
}

static size_t sums_floats(const struct cpu_operand *operands)
{
        uint32_t rows = operands[Q].rows;

        return round_up(sums_before(rows, operands[K].columns, piece_count(rows) - 1), LINE);
}

static struct work work_of(const struct cpu_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0];
        struct work work = { .along = call->scratch };

        work.sums = work.along + along_floats(call->op, call->operand);
        work.keys = work.sums + sums_floats(call->operand) + call->thread * thread_floats(size);
        work.values = work.keys + round_up(size, LANES) * CELLS;
        work.p = work.values + round_up(size, LANES) * CELLS;
        work.ds = work.p + ROWS * CELLS;
        return work;
}

struct block { /* some rows of a head, and some keys */
        uint32_t row, rows, head, key_head, key, cells;
        struct cpu_operand dk, dv; /* the piece's sums */
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
                .out = head_of(&b->dk, b->key, b->key_head, size),
                .out_step = b->dk.columns,
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

        dv.out = head_of(&b->dv, b->key, b->key_head, size);
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

static void clear_heads(const struct cpu_operand *o, uint32_t row, uint32_t end, uint32_t head_columns,
                uint32_t columns)
{
        for (; row < end; row++)
                memset((float *)o->data + (size_t)row * o->columns + head_columns, 0,
                                columns * sizeof(float));
}

/* The block's place for sums of dk and dv. */
static void choose_sums(
                const struct cpu_call *call, const struct work *work, uint32_t piece, struct block *b)
{
        b->dk = call->operand[DK];
        b->dv = call->operand[DV];
        if (piece + 1 == piece_count(call->rows))
                return;
        b->dk.data = work->sums + sums_before(call->rows, b->dk.columns, piece);
        b->dv.data = (float *)b->dk.data + (size_t)piece_end(call->rows, piece) * b->dk.columns;
}

static void run_piece(
                const struct cpu_call *call, const struct work *work, uint32_t piece, uint32_t key_head)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0], group = o[Q].columns / o[K].columns;
        uint32_t row = piece > 0 ? piece_end(call->rows, piece - 1) : 0, end = piece_end(call->rows, piece);
        struct block b = { .key_head = key_head };

        choose_sums(call, work, piece, &b);
        clear_heads(&o[DQ], row, end, key_head * group * size, group * size);
        clear_heads(&b.dk, 0, end, key_head * size, size);
        clear_heads(&b.dv, 0, end, key_head * size, size);
        for (b.key = 0; b.key < end; b.key += CELLS) {
                bool turned = false;

                b.cells = at_most(call->rows - b.key, CELLS);
                for (b.row = b.key > row ? b.key : row; b.row < end; b.row += ROWS) {
                        b.rows = at_most(end - b.row, ROWS);
                        if (!any_sees(call, &b))
                                continue;
                        if (!turned) {
                                turn_cells(&o[K], b.key, b.cells, key_head, size, work->keys);
                                turn_cells(&o[V], b.key, b.cells, key_head, size, work->values);
                                turned = true;
                        }
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

/* A row of dk or dv becomes the sum of all pieces' that reach so far, the last one's last. */
static void add_up(const struct cpu_call *call, const struct work *work, unsigned operand, uint32_t row)
{
        uint32_t columns = call->operand[operand].columns, last = piece_count(call->rows) - 1, piece = 0;
        float *to = (float *)call->operand[operand].data + (size_t)row * columns;

        while (piece < last && piece_end(call->rows, piece) <= row)
                piece++;
        for (uint32_t c = 0; c < columns && piece < last; c += LANES) {
                uint32_t left = columns - c;
                floats sum = zeros();

                for (uint32_t i = piece; i < last; i++) {
                        size_t rows = piece_end(call->rows, i), at = operand == DV ? rows + row : row;
                        const float *from = work->sums + sums_before(call->rows, columns, i) + at * columns;

                        sum += load_left(from + c, left, left >= LANES);
                }
                store_left(to + c, left, left >= LANES, sum + load_left(to + c, left, left >= LANES));
        }
}

void LEVEL(attention_train_backward)(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t begin, end, size = (uint32_t)call->op->i[0], heads = o[Q].columns / size;
        uint32_t pieces = piece_count(call->rows), key_heads = o[K].columns / size;
        struct work work = work_of(call);

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                for (uint32_t head = 0; head < heads; head++)
                        work.along[(size_t)r * heads + head] = (float)sum_products(
                                        head_of(&o[DY], r, head, size), head_of(&o[Y], r, head, size), size);
        cpu_barrier(call);
        for (uint32_t task = cpu_next(call); task < pieces * key_heads; task = cpu_next(call))
                run_piece(call, &work, pieces - 1 - task / key_heads,
                                task % key_heads); /* long ones first */
        cpu_barrier(call);
        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                add_up(call, &work, DK, r);
                add_up(call, &work, DV, r);
        }
}

size_t LEVEL(attention_train_backward_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        return (along_floats(op, operands) + sums_floats(operands) +
                               n_threads * thread_floats((uint32_t)op->i[0])) *
               sizeof(float);
}

bool LEVEL(attention_train_backward_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)operands;
        return op->i[0] > 0;
}
