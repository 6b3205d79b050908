/* SPDX-License-Identifier: Apache-2.0 */
/* y = W.scale · scale[r] · (W q), by 32 rows of q, read where they stand, and 32 rows of W, unpacked as tiles of columns.
 *
 * Few rows (decode) are the AVX-512 level's. With many, each thread has rows of its own: what it reads and writes stays in its
 * cache, before this product and behind it, and it unpacks a block of W while the matrix unit has the one before. In
 * between a task has 32 rows of W, which become a panel, and as many rows of q as make the tasks come out even. */
#include "plugins/cpu/amx/kernels.h"
#include "plugins/cpu/amx/share.h"
#include "plugins/cpu/amx/weights.h"

#define UNPACKING 2u /* to unpack 32 rows of W takes as long as two blocks' products */

struct product {
        struct ternary_product of;
        int8_t *panel; /* [2][columns / 4][16 rows of W][4 columns] */
        int8_t *last;  /* the last block's rows of q, filled up with zeros; in use where last_row is */
        uint32_t last_row;
};

/* One thread's panel and last block, 32 rows of signed bytes each. */
static size_t panel_bytes(uint32_t columns)
{
        return (size_t)BLOCK_SIDE * columns;
}

static struct product product_of(const struct cpu_call *call)
{
        const struct cpu_operand *w = &call->operand[3];
        int8_t *panel = (int8_t *)call->scratch + call->thread * 2 * panel_bytes(w->columns);

        return (struct product){
                .of = ternary_product_of(call),
                .panel = panel,
                .last = panel + panel_bytes(w->columns),
                .last_row = call->rows / BLOCK_SIDE * BLOCK_SIDE,
        };
}

/* Block `block` of 16 rows of W: four tiles. */
static ALWAYS_INLINE void unpack(const struct product *p, uint32_t output, uint32_t block, int8_t *tiles)
{
        const uint8_t *from =
                        p->of.weights + (size_t)block * (p->of.dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK);
        uint32_t left = output < p->of.outputs ? p->of.outputs - output : 0;

        unpack_tiles(p->of.dtype, from + (size_t)(left ? output : 0) * p->of.row_bytes, p->of.row_bytes,
                        left < TILE_SIDE ? left : TILE_SIDE, tiles);
}

static void unpack_panel_of(const struct product *p, uint32_t output)
{
        for (uint32_t half = 0; half < 2; half++)
                for (uint32_t block = 0; block < p->of.columns / QVF_TERNARY_BLOCK; block++)
                        unpack(p, output + half * TILE_SIDE, block,
                                        p->panel + (size_t)half * TILE_SIDE * p->of.columns +
                                                        (size_t)block * TILES_EACH * TILE_BYTES);
}

static void fill_last(const struct product *p)
{
        size_t bytes = (size_t)(p->of.rows - p->last_row) * p->of.columns;

        memcpy(p->last, p->of.q + (size_t)p->last_row * p->of.columns, bytes);
        memset(p->last + bytes, 0, panel_bytes(p->of.columns) - bytes);
}

/* Rows [row, row + rows) of y, 32 columns at most. */
static void store_block(
                const struct product *p, const int32_t *sums, uint32_t row, uint32_t rows, uint32_t output)
{
        uint32_t left = p->of.outputs - output;
        __mmask16 low = lanes_left(left), high = left > LANES ? lanes_left(left - LANES) : 0;
        __m512 weight_scale = _mm512_set1_ps(p->of.weight_scale);
        float *y = p->of.y + (size_t)row * p->of.outputs + output;
        float scale[BLOCK_SIDE], lost[BLOCK_SIDE]; /* W.scale · scale[r] in float, and what rounding lost */

        for (uint32_t r = 0; r < rows; r += LANES) {
                __m512 s = _mm512_maskz_loadu_ps(lanes_left(rows - r), p->of.scale + row + r);
                __m512 product = _mm512_mul_ps(weight_scale, s);

                _mm512_storeu_ps(scale + r, product);
                _mm512_storeu_ps(lost + r, _mm512_fmsub_ps(weight_scale, s, product));
        }
        for (uint32_t r = 0; r < rows; r++, y += p->of.outputs, sums += BLOCK_SIDE) {
                __m512 h = _mm512_set1_ps(scale[r]), l = _mm512_set1_ps(lost[r]);
                __m512 a = _mm512_cvtepi32_ps(_mm512_load_si512(sums));
                __m512 b = _mm512_cvtepi32_ps(_mm512_load_si512(sums + LANES));

                _mm512_mask_storeu_ps(y, low, _mm512_fmadd_ps(a, h, _mm512_mul_ps(a, l)));
                _mm512_mask_storeu_ps(y + LANES, high, _mm512_fmadd_ps(b, h, _mm512_mul_ps(b, l)));
        }
}

static void run_block(const struct product *p, uint32_t row, uint32_t output)
{
        _Alignas(64) int32_t sums[BLOCK_SIDE * BLOCK_SIDE];
        uint32_t rows = p->of.rows - row < BLOCK_SIDE ? p->of.rows - row : BLOCK_SIDE;
        const int8_t *q = rows < BLOCK_SIDE ? p->last : p->of.q + (size_t)row * p->of.columns;
        const int8_t *second = q + (size_t)TILE_SIDE * p->of.columns;
        const int8_t *panel = p->panel, *right = p->panel + (size_t)TILE_SIDE * p->of.columns;

        tiles_clear();
        for (uint32_t k = 0; k < p->of.columns; k += TILE_LINE) {
                tiles_load_columns(panel + (size_t)k * TILE_SIDE, right + (size_t)k * TILE_SIDE);
                if (rows > TILE_SIDE) {
                        tiles_load_rows(q + k, second + k, p->of.columns);
                        tiles_multiply_bytes();
                } else {
                        tiles_load_some_rows(q + k, p->of.columns);
                        tiles_multiply_some_bytes();
                }
        }
        tiles_store(sums, BLOCK_SIDE * sizeof(*sums));
        store_block(p, sums, row, rows, output);
}

struct task {
        uint32_t output, block, end; /* of blocks of rows */
};

struct tasks {
        uint32_t panels, blocks, groups;
};

static bool next_task(const struct cpu_call *call, const struct tasks *tasks, struct task *task)
{
        uint32_t number = cpu_next(call), group = number % tasks->groups;

        task->output = number / tasks->groups * BLOCK_SIDE;
        task->block = (uint32_t)((uint64_t)tasks->blocks * group / tasks->groups);
        task->end = (uint32_t)((uint64_t)tasks->blocks * (group + 1) / tasks->groups);
        return number / tasks->groups < tasks->panels;
}

/* A part of a later task's weights; it unpacks them when this one is done. */
static void fetch_part(const struct product *p, const struct task *later, uint32_t part, uint32_t parts)
{
        uint32_t left = p->of.outputs - later->output, rows = left < BLOCK_SIDE ? left : BLOCK_SIDE;
        const uint8_t *from = p->of.weights + later->output * p->of.row_bytes;
        size_t bytes = rows * p->of.row_bytes;

        for (size_t i = bytes * part / parts; i < bytes * (part + 1) / parts; i += LINE)
                _mm_prefetch((const char *)from + i, _MM_HINT_T1);
}

/* Rows of q for one block of W. The last rows of all are copied, with zeros behind them. */
struct left {
        const int8_t *q;
        size_t stride;
        bool half; /* 16 rows are enough */
};

static ALWAYS_INLINE struct left rows_of_block(
                const struct product *p, uint32_t row, uint32_t rows, uint32_t block, int8_t *copy)
{
        const int8_t *q = p->of.q + (size_t)row * p->of.columns + (size_t)block * QVF_TERNARY_BLOCK;

        if (row + BLOCK_SIDE <= p->of.rows)
                return (struct left){ q, p->of.columns, rows <= TILE_SIDE };
        for (uint32_t r = 0; row + r < p->of.rows; r++)
                memcpy(copy + (size_t)r * QVF_TERNARY_BLOCK, q + (size_t)r * p->of.columns,
                                QVF_TERNARY_BLOCK);
        return (struct left){ copy, QVF_TERNARY_BLOCK, rows <= TILE_SIDE };
}

/* With 64 of a block's columns. */
static ALWAYS_INLINE void multiply(const struct left *left, const int8_t *tiles, const unsigned part)
{
        const int8_t *q = left->q + (size_t)part * TILE_LINE, *low = tiles + (size_t)part * TILE_BYTES;

        tiles_load_columns(low, low + TILES_EACH * TILE_BYTES);
        if (left->half) {
                tiles_load_some_rows(q, left->stride);
                tiles_multiply_some_bytes();
        } else {
                tiles_load_rows(q, q + TILE_SIDE * left->stride, left->stride);
                tiles_multiply_bytes();
        }
}

/* What a thread's blocks of sums hand on to each other. */
struct own {
        _Alignas(64) int8_t tiles[2][2 * TILES_EACH *
                                     TILE_BYTES]; /* of two blocks of W, this one and the next, in turn */
        _Alignas(64) int8_t copy[BLOCK_SIDE * QVF_TERNARY_BLOCK]; /* see rows_of_block() */
        unsigned turn;
};

struct own_block {
        uint32_t row, rows, output;
        uint32_t next_output; /* of the block of sums behind this one; beyond the last: none */
        struct task later; /* the panel whose weights are to be fetched; its output beyond the last: none */
};

/* Between a block's products, which take longer, the next block of W is unpacked and a part of the next panel fetched: all at
 * once would keep the matrix unit waiting for its rows.
 * Rows of q beyond `rows` are another thread's, which may be writing them: what becomes of them is not stored. */
static void run_own_block(const struct product *p, const struct own_block *b, struct own *own)
{
        _Alignas(64) int32_t sums[BLOCK_SIDE * BLOCK_SIDE];
        uint32_t blocks = p->of.columns / QVF_TERNARY_BLOCK;

        tiles_clear();
        for (uint32_t block = 0; block < blocks; block++) {
                struct left left = rows_of_block(p, b->row, b->rows, block, own->copy);
                const int8_t *now = own->tiles[own->turn % 2];
                int8_t *next = own->tiles[++own->turn % 2];
                uint32_t output = block + 1 < blocks ? b->output : b->next_output;
                uint32_t next_block = block + 1 < blocks ? block + 1 : 0;

                UNROLL
                for (unsigned part = 0; part < TILES_EACH; part++) {
                        multiply(&left, now, part);
                        if (b->later.output < p->of.outputs)
                                fetch_part(p, &b->later, block * TILES_EACH + part, blocks * TILES_EACH);
                        if (part % 2 == 0 && output < p->of.outputs)
                                unpack(p, output + part / 2 * TILE_SIDE, next_block,
                                                next + part / 2 * TILES_EACH * TILE_BYTES);
                }
        }
        tiles_store(sums, BLOCK_SIDE * sizeof(*sums));
        store_block(p, sums, b->row, b->rows, b->output);
}

static void run_own_rows(const struct cpu_call *call, const struct product *p)
{
        struct own own = { .turn = 0 };
        uint32_t begin, end;

        cpu_share(call, p->of.rows, 1, &begin, &end);
        if (begin == end)
                return;
        tiles_begin();
        unpack(p, 0, 0, own.tiles[0]);
        unpack(p, TILE_SIDE, 0, own.tiles[0] + TILES_EACH * TILE_BYTES);
        for (uint32_t output = 0; output < p->of.outputs; output += BLOCK_SIDE) {
                for (uint32_t row = begin; row < end; row += BLOCK_SIDE) {
                        bool last = end - row <= BLOCK_SIDE;
                        struct own_block b = {
                                .row = row,
                                .rows = last ? end - row : BLOCK_SIDE,
                                .output = output,
                                .next_output = last ? output + BLOCK_SIDE : output,
                                .later.output = row == begin ? output + BLOCK_SIDE : p->of.outputs,
                        };

                        run_own_block(p, &b, &own);
                }
                cpu_pause_point(call);
        }
        tiles_end();
}

/* TQ1_0 takes several times as long to unpack: there threads share what they unpacked among more rows. */
bool cpu_amx_matmul_ternary_by_rows(const struct cpu_operand *operands)
{
        return operands[3].dtype == QVF_TQ2_0;
}

void cpu_amx_matmul_ternary(const struct cpu_call *call)
{
        struct product p = product_of(call);
        struct tasks tasks = { .panels = (p.of.outputs + BLOCK_SIDE - 1) / BLOCK_SIDE,
                .blocks = (p.of.rows + BLOCK_SIDE - 1) / BLOCK_SIDE };
        struct task task, later;
        bool more, filled = p.last_row == p.of.rows;

        if (p.of.rows <= DECODE_ROWS) {
                cpu_avx512_matmul_ternary(call);
                return;
        }
        if (cpu_many_rows(p.of.rows, call->n_threads) && cpu_amx_matmul_ternary_by_rows(call->operand)) {
                run_own_rows(call, &p);
                return;
        }
        tasks.groups = row_groups(tasks.panels, tasks.blocks, UNPACKING, call->n_threads);
        tiles_begin();
        for (more = next_task(call, &tasks, &task); more; task = later) {
                unpack_panel_of(&p, task.output);
                more = next_task(call, &tasks, &later);
                for (uint32_t block = task.block; block < task.end; block++) {
                        if (block * BLOCK_SIDE == p.last_row && !filled) {
                                fill_last(&p);
                                filled = true;
                        }
                        run_block(&p, block * BLOCK_SIDE, task.output);
                        if (more)
                                fetch_part(&p, &later, block - task.block, task.end - task.block);
                }
                cpu_pause_point(call);
        }
        tiles_end();
}

size_t cpu_amx_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        size_t many = 2 * n_threads * panel_bytes(operands[3].columns), few;
        struct cpu_operand some[4];

        memcpy(some, operands, sizeof(some));
        if (some[1].rows > DECODE_ROWS)
                some[1].rows = DECODE_ROWS;
        few = cpu_avx512_matmul_ternary_scratch(op, some, n_threads);
        return operands[1].rows > DECODE_ROWS && many > few ? many : few;
}

bool cpu_amx_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return cpu_avx512_matmul_ternary_supports(op, operands);
}
