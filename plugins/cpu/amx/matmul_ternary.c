/* SPDX-License-Identifier: Apache-2.0 */
/* y = W.scale · scale[r] · (W q), many rows: 32 rows of W are unpacked into a panel of signed bytes, as tiles of columns, and
 * 32 rows of q at a time are multiplied with it where they stand. Few rows are read by the AVX-512 level's kernel. */
#include "plugins/cpu/amx/share.h"
#include "plugins/cpu/amx/tile.h"
#include "plugins/cpu/avx512/ternary.h"
#include "plugins/cpu/lanes/kernels.h"

#define FEW_ROWS 4u
#define UNPACKING 2u /* to unpack 32 rows of W takes as long as two blocks' products */

void cpu_avx512_matmul_ternary(const struct cpu_call *call);
size_t cpu_avx512_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
bool cpu_avx512_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands);

struct product {
        float *y;
        const int8_t *q;
        const float *scale;
        const uint8_t *weights;
        uint32_t dtype;
        uint32_t rows, outputs, columns;
        size_t row_bytes;
        float weight_scale;
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
                .y = call->operand[0].data,
                .q = call->operand[1].data,
                .scale = call->operand[2].data,
                .weights = w->data,
                .dtype = w->dtype,
                .rows = call->rows,
                .outputs = w->rows,
                .columns = w->columns,
                .row_bytes = ternary_row_bytes(w->dtype, w->columns),
                .weight_scale = w->scale,
                .panel = panel,
                .last = panel + panel_bytes(w->columns),
                .last_row = call->rows / BLOCK_SIDE * BLOCK_SIDE,
        };
}

static void unpack(const struct product *p, uint32_t output)
{
        for (uint32_t half = 0; half < 2; half++) {
                uint32_t first = output + half * TILE_SIDE,
                         left = first < p->outputs ? p->outputs - first : 0;

                unpack_weights(p->dtype, p->weights + (size_t)(left ? first : 0) * p->row_bytes,
                                p->row_bytes, left < TILE_SIDE ? left : TILE_SIDE,
                                p->columns / QVF_TERNARY_BLOCK,
                                (uint8_t *)p->panel + (size_t)half * TILE_SIDE * p->columns, TILE_LINE);
        }
}

static void fill_last(const struct product *p)
{
        size_t bytes = (size_t)(p->rows - p->last_row) * p->columns;

        memcpy(p->last, p->q + (size_t)p->last_row * p->columns, bytes);
        memset(p->last + bytes, 0, panel_bytes(p->columns) - bytes);
}

/* Rows [row, row + rows) of y, 32 columns at most. */
static void store_block(
                const struct product *p, const int32_t *sums, uint32_t row, uint32_t rows, uint32_t output)
{
        uint32_t left = p->outputs - output;
        __mmask16 low = lanes_left(left), high = left > LANES ? lanes_left(left - LANES) : 0;
        __m512 weight_scale = _mm512_set1_ps(p->weight_scale);
        float *y = p->y + (size_t)row * p->outputs + output;
        float scale[BLOCK_SIDE], lost[BLOCK_SIDE]; /* W.scale · scale[r] in float, and what rounding lost */

        for (uint32_t r = 0; r < rows; r += LANES) {
                __m512 s = _mm512_maskz_loadu_ps(lanes_left(rows - r), p->scale + row + r);
                __m512 product = _mm512_mul_ps(weight_scale, s);

                _mm512_storeu_ps(scale + r, product);
                _mm512_storeu_ps(lost + r, _mm512_fmsub_ps(weight_scale, s, product));
        }
        for (uint32_t r = 0; r < rows; r++, y += p->outputs, sums += BLOCK_SIDE) {
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
        uint32_t rows = p->rows - row < BLOCK_SIDE ? p->rows - row : BLOCK_SIDE;
        const int8_t *q = rows < BLOCK_SIDE ? p->last : p->q + (size_t)row * p->columns;
        const int8_t *second = q + (size_t)TILE_SIDE * p->columns;
        const int8_t *panel = p->panel, *right = p->panel + (size_t)TILE_SIDE * p->columns;

        tiles_clear();
        for (uint32_t k = 0; k < p->columns; k += TILE_LINE) {
                tiles_load_columns(panel + (size_t)k * TILE_SIDE, right + (size_t)k * TILE_SIDE);
                if (rows > TILE_SIDE) {
                        tiles_load_rows(q + k, second + k, p->columns);
                        tiles_multiply_bytes();
                } else {
                        tiles_load_some_rows(q + k, p->columns);
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
        uint32_t left = p->outputs - later->output, rows = left < BLOCK_SIDE ? left : BLOCK_SIDE;
        const uint8_t *from = p->weights + later->output * p->row_bytes;
        size_t bytes = rows * p->row_bytes;

        for (size_t i = bytes * part / parts; i < bytes * (part + 1) / parts; i += LINE)
                _mm_prefetch((const char *)from + i, _MM_HINT_T1);
}

void cpu_amx_matmul_ternary(const struct cpu_call *call)
{
        struct product p = product_of(call);
        struct tasks tasks = { .panels = (p.outputs + BLOCK_SIDE - 1) / BLOCK_SIDE,
                .blocks = (p.rows + BLOCK_SIDE - 1) / BLOCK_SIDE };
        struct task task, later;
        bool more, filled = p.last_row == p.rows;

        if (p.rows <= FEW_ROWS) {
                cpu_avx512_matmul_ternary(call);
                return;
        }
        tasks.groups = row_groups(tasks.panels, tasks.blocks, UNPACKING, call->n_threads);
        tiles_begin();
        for (more = next_task(call, &tasks, &task); more; task = later) {
                unpack(&p, task.output);
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
        if (some[1].rows > FEW_ROWS)
                some[1].rows = FEW_ROWS;
        few = cpu_avx512_matmul_ternary_scratch(op, some, n_threads);
        return operands[1].rows > FEW_ROWS && many > few ? many : few;
}

bool cpu_amx_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return cpu_avx512_matmul_ternary_supports(op, operands);
}
