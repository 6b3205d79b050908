/* SPDX-License-Identifier: Apache-2.0 */
/* y[r][n] (+)= f0 · s[r][i0] · Σ_c W[n][c] x[r][c]
 *
 * Wide rows: lane l of a vector sums the columns c = l mod LANES in their order. Thin rows (a LoRA adapter's second
 * product): lanes are outputs, columns are added in their order. Neither depends on how many rows there are. */
#include "plugins/cpu/lanes/dense.h"

#define TILE_OUTPUTS 4u /* weight rows in a tile */
#define TILE_ROWS                                                                                           \
        (LANES > 8 ? 6u : REGISTERS / 8u) /* rows of x in a tile: half of the registers or more are sums */
#define STEP (32u / LANES)                /* vectors at a time: a block of weights that share a scale */
#define THIN_COLUMNS 64u
#define THIN_ROWS 8u
#define THIN_OUTPUTS 64u /* whose weights stand in panels at a time: 16 KiB at most */
#define STREAM_ROWS 4u   /* up to here weights are read row by row */
#define STREAM_TASKS 16u /* of a thread then */
#define TASK_OUTPUTS 32u /* handed out at a time */
#define TASK_ROWS (LANES > 8 ? 48u : 32u)
#define AHEAD (LANES > 8 ? 6144u : 8192u) /* bytes prefetched ahead while there are few rows */

struct product {
        float *y;
        const float *x;
        const uint8_t *weights;
        uint32_t dtype;
        uint32_t rows, outputs, columns;
        size_t row_bytes;
        float factor;
        const float *scales; /* of the rows, scale_step apart; or NULL */
        uint32_t scale_step;
        bool accumulate;
        uintptr_t end; /* of the weights */
};

static struct product product_of(const struct cpu_call *call)
{
        const struct cpu_operand *x = &call->operand[1], *w = &call->operand[2], *s = &call->operand[3];
        size_t row_bytes = dense_row_bytes(w->dtype, w->columns);

        return (struct product){
                .y = call->operand[0].data,
                .x = x->data,
                .weights = w->data,
                .dtype = w->dtype,
                .rows = call->rows,
                .outputs = w->rows,
                .columns = x->columns,
                .row_bytes = row_bytes,
                .factor = call->op->f[0],
                .scales = s->data ? (const float *)s->data + call->op->i[0] : NULL,
                .scale_step = s->data ? s->columns : 0,
                .accumulate = call->op->flags & QVF_ACCUMULATE,
                .end = (uintptr_t)w->data + w->rows * row_bytes - 1,
        };
}

static ALWAYS_INLINE float factor_of(const struct product *p, uint32_t row)
{
        return p->scales ? p->factor * p->scales[(size_t)row * p->scale_step] : p->factor;
}

/* Rows whose adapter has scale 0 get nothing. */
static bool nothing_to_add(const struct product *p, uint32_t row, uint32_t end)
{
        for (uint32_t r = row; r < end; r++)
                if (!p->accumulate || factor_of(p, r) != 0)
                        return false;
        return true;
}

static ALWAYS_INLINE void finish(
                const struct product *p, uint32_t row, uint32_t n, const float *sums, const unsigned W)
{
        float *y = p->y + row * (size_t)p->outputs + n, factor = factor_of(p, row);

        if (factor == 0 && p->accumulate)
                return;
        UNROLL
        for (unsigned i = 0; i < W; i++) {
                float result = factor != 0 ? factor * sums[i] : 0;

                y[i] = p->accumulate ? y[i] + result : result;
        }
}

/* The columns behind the last 32: only a format without blocks has any. */
static __attribute__((noinline)) float rest_of(const struct product *p, uint32_t n, uint32_t row)
{
        const uint8_t *weights = p->weights + n * p->row_bytes;
        const float *x = p->x + row * (size_t)p->columns;
        floats sum = zeros();

        for (uint32_t c = p->columns / 32 * 32; c < p->columns; c += LANES) {
                floats from = load_left(x + c, p->columns - c, false), w;

                switch (p->dtype) {
                case QVF_F16: w = load_weights_left(QVF_F16, weights, c, p->columns); break;
                case QVF_BF16: w = load_weights_left(QVF_BF16, weights, c, p->columns); break;
                default: w = load_weights_left(QVF_F32, weights, c, p->columns); break;
                }
                sum = fma_of(w, from, sum);
        }
        return fold(sum);
}

/* Of 32 columns, rounded down. */
static ALWAYS_INLINE size_t step_bytes(const uint32_t dtype)
{
        return dense_row_bytes(dtype, 256) / 8;
}

/* A model's weights are finite. */
static ALWAYS_INLINE floats load_finite(const uint32_t dtype, const uint8_t *row, uint32_t c)
{
        return dtype == QVF_F16 ? load_finite_f16(row + 2 * (size_t)c) : load_weights(dtype, row, c);
}

/* LANES columns from c on of W rows of weights and R rows of x. The fewer of them wait in registers. */
static ALWAYS_INLINE void add_products(const uint8_t *weights, size_t row_bytes, const float *x,
                size_t columns, uint32_t c, const uint32_t dtype, const unsigned W, const unsigned R,
                floats acc[])
{
        floats w[TILE_OUTPUTS], from[TILE_ROWS > STREAM_ROWS ? TILE_ROWS : STREAM_ROWS];

        UNROLL
        for (unsigned i = 0; i < W && R > W; i++)
                w[i] = load_finite(dtype, weights + i * row_bytes, c);
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                from[r] = load(x + r * columns + c);
                UNROLL
                for (unsigned i = 0; i < W && R > W; i++)
                        acc[r * W + i] = fma_of(w[i], from[r], acc[r * W + i]);
        }
        UNROLL
        for (unsigned i = 0; i < W && R <= W; i++) {
                w[i] = load_finite(dtype, weights + i * row_bytes, c);
                UNROLL
                for (unsigned r = 0; r < R; r++)
                        acc[r * W + i] = fma_of(w[i], from[r], acc[r * W + i]);
        }
}

static ALWAYS_INLINE void fetch_ahead(const struct product *p, uintptr_t weights)
{
        uintptr_t ahead = weights + AHEAD;

        fetch((const void *)(ahead < p->end ? ahead : p->end));
}

/* A block of Q8_0, 32 columns, likewise. Its scale multiplies the sums of its numbers: one product instead of STEP, and one
 * addition that waits for the block before. */
static ALWAYS_INLINE void add_q8_0_block(const uint8_t *weights, size_t row_bytes, const float *x,
                size_t columns, const unsigned W, const unsigned R, floats acc[])
{
        UNROLL
        for (unsigned i = 0; i < W; i++) {
                const uint8_t *block = weights + i * row_bytes;
                floats scale = all_f16(block), w[STEP];

                UNROLL
                for (unsigned v = 0; v < STEP; v++)
                        w[v] = load_bytes(block + 2 + v * LANES);
                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        floats sum = w[0] * load(x + r * columns);

                        UNROLL
                        for (unsigned v = 1; v < STEP; v++)
                                sum = fma_of(w[v], load(x + r * columns + v * LANES), sum);
                        acc[r * W + i] = fma_of(scale, sum, acc[r * W + i]);
                }
        }
}

/* R rows of x by W rows of weights; `fetching`: the weights behind them meanwhile. */
static ALWAYS_INLINE void tile(const struct product *p, uint32_t n, uint32_t row, const uint32_t dtype,
                const unsigned W, const unsigned R, const bool fetching)
{
        const uint8_t *weights = p->weights + n * p->row_bytes;
        const float *x = p->x + row * (size_t)p->columns;
        uint32_t columns = p->columns;
        size_t row_bytes = p->row_bytes;
        uintptr_t fetched = (uintptr_t)weights;
        float sums[TILE_OUTPUTS * TILE_ROWS];
        floats acc[TILE_OUTPUTS * TILE_ROWS];

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                acc[i] = zeros();
        for (uint32_t step = 0; step < columns / 32 * 32; step += 32) {
                if (fetching) { /* through the rows as they stand in memory */
                        for (size_t i = 0; i + LINE / 2 < W * step_bytes(dtype); i += LINE)
                                fetch_ahead(p, fetched + i);
                        fetched += W * step_bytes(dtype);
                }
                if (dtype == QVF_Q8_0) {
                        add_q8_0_block(weights + step / 32 * step_bytes(dtype), row_bytes, x + step, columns,
                                        W, R, acc);
                        continue;
                }
                UNROLL
                for (unsigned v = 0; v < STEP;
                                v++) /* with | it is seen where in its block a vector stands */
                        add_products(weights, row_bytes, x, columns,
                                        dense_blocks(dtype) ? step | v * LANES : step + v * LANES, dtype, W,
                                        R, acc);
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i += W)
                fold_some(acc + i, W, sums + i);
        for (unsigned i = 0; columns % 32 && i < W * R; i++)
                sums[i] += rest_of(p, n + i % W, row + i / W);
        for (unsigned r = 0; r < R; r++)
                finish(p, row + r, n, sums + r * W, W);
}

static ALWAYS_INLINE void stream_some(
                const struct product *p, uint32_t n, const uint32_t dtype, const unsigned W)
{
        switch (p->rows) {
        case 1: tile(p, n, 0, dtype, W, 1, true); break;
        case 2: tile(p, n, 0, dtype, W, 2, true); break;
        case 3: tile(p, n, 0, dtype, W, 3, true); break;
        default: tile(p, n, 0, dtype, W, 4, true); break;
        }
}

/* Numbers that are unpacked wait longer than those that are only widened. */
static ALWAYS_INLINE unsigned stream_side(const uint32_t dtype)
{
        return LANES > 8 && !dense_blocks(dtype) ? 1 : 2;
}

/* All rows of x, few as they are, by as few rows of weights at a time as hide the additions' latency: of several streams
 * side by side the hardware follows none, and some lines come twice. */
static ALWAYS_INLINE void stream(const struct product *p, uint32_t n, uint32_t end, const uint32_t dtype)
{
        for (; n + stream_side(dtype) <= end; n += stream_side(dtype))
                stream_some(p, n, dtype, stream_side(dtype));
        for (; n < end; n++)
                stream_some(p, n, dtype, 1);
}

static ALWAYS_INLINE void tiles(const struct product *p, uint32_t n, uint32_t end, uint32_t row,
                uint32_t row_end, const uint32_t dtype)
{
        if (p->rows <= STREAM_ROWS) {
                stream(p, n, end, dtype);
                return;
        }
        for (; n + TILE_OUTPUTS <= end; n += TILE_OUTPUTS) {
                uintptr_t weights = (uintptr_t)p->weights + n * p->row_bytes;
                uint32_t r = row;

                /* By the task that comes first of those that read them. */
                for (size_t i = 0; row == 0 && i < TILE_OUTPUTS * p->row_bytes; i += LINE)
                        fetch_ahead(p, weights + i);
                for (; r + TILE_ROWS <= row_end; r += TILE_ROWS)
                        tile(p, n, r, dtype, TILE_OUTPUTS, TILE_ROWS, false);
                for (; TILE_ROWS > 4 && r + 4 <= row_end; r += 4)
                        tile(p, n, r, dtype, TILE_OUTPUTS, 4, false);
                for (; TILE_ROWS > 2 && r + 2 <= row_end; r += 2)
                        tile(p, n, r, dtype, TILE_OUTPUTS, 2, false);
                for (; r < row_end; r++)
                        tile(p, n, r, dtype, TILE_OUTPUTS, 1, false);
        }
        for (; n < end; n++)
                for (uint32_t r = row; r < row_end; r++)
                        tile(p, n, r, dtype, 1, 1, false);
}

/* Outputs handed out at a time. Where weights are streamed a thread keeps to its own long enough that what it fetched
 * for the next thread is little. */
static uint32_t task_outputs(const struct cpu_call *call, const struct product *p)
{
        uint32_t many = p->outputs / (call->n_threads * STREAM_TASKS);

        return p->rows <= STREAM_ROWS && many > TASK_OUTPUTS ? many : TASK_OUTPUTS;
}

static void wide(const struct cpu_call *call, const struct product *p)
{
        uint32_t row_tasks = (p->rows + TASK_ROWS - 1) / TASK_ROWS, at_once = task_outputs(call, p);
        uint32_t output_tasks = (p->outputs + at_once - 1) / at_once;

        for (uint32_t task = cpu_next(call); task < row_tasks * output_tasks; task = cpu_next(call)) {
                uint32_t row = task % row_tasks * TASK_ROWS, n = task / row_tasks * at_once;
                uint32_t row_end = row + TASK_ROWS < p->rows ? row + TASK_ROWS : p->rows;
                uint32_t end = n + at_once < p->outputs ? n + at_once : p->outputs;

                if (nothing_to_add(p, row, row_end))
                        continue;
                switch (p->dtype) {
                case QVF_F16: tiles(p, n, end, row, row_end, QVF_F16); break;
                case QVF_BF16: tiles(p, n, end, row, row_end, QVF_BF16); break;
                case QVF_Q8_0: tiles(p, n, end, row, row_end, QVF_Q8_0); break;
                case QVF_Q4_0: tiles(p, n, end, row, row_end, QVF_Q4_0); break;
                case QVF_Q4_K: tiles(p, n, end, row, row_end, QVF_Q4_K); break;
                case QVF_Q6_K: tiles(p, n, end, row, row_end, QVF_Q6_K); break;
                default: tiles(p, n, end, row, row_end, QVF_F32); break;
                }
                cpu_pause_point(call);
        }
}

/* y of LANES outputs of a row; `left` of them are there. */
static ALWAYS_INLINE void finish_thin(const struct product *p, uint32_t row, uint32_t n, uint32_t left,
                const bool whole, floats sums)
{
        float *y = p->y + row * (size_t)p->outputs + n, factor = factor_of(p, row);
        floats result = sums * all(factor);

        if (p->accumulate && factor != 0)
                store_left(y, left, whole, result + load_left(y, left, whole));
        else if (!p->accumulate)
                store_left(y, left, whole, factor != 0 ? result : zeros());
}

/* R rows of x times a panel of LANES outputs, [column][LANES]. */
static ALWAYS_INLINE void thin_tile(
                const struct product *p, const float *panel, uint32_t n, uint32_t row, const unsigned R)
{
        const float *x = p->x + row * (size_t)p->columns;
        uint32_t left = p->outputs - n;
        floats acc[THIN_ROWS];

        UNROLL
        for (unsigned r = 0; r < R; r++)
                acc[r] = zeros();
        for (uint32_t c = 0; c < p->columns; c++) {
                floats w = load(panel + c * LANES);

                UNROLL
                for (unsigned r = 0; r < R; r++)
                        acc[r] = fma_of(w, all(x[r * (size_t)p->columns + c]), acc[r]);
        }
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                if (left >= LANES)
                        finish_thin(p, row + r, n, LANES, true, acc[r]);
                else
                        finish_thin(p, row + r, n, left, false, acc[r]);
        }
}

static ALWAYS_INLINE void thin_panel_as(
                const struct product *p, uint32_t n, float *panel, const uint32_t dtype)
{
        for (uint32_t c = 0; c < p->columns; c += LANES) {
                floats m[LANES];

                for (uint32_t i = 0; i < LANES; i++)
                        m[i] = load_weights_left(dtype,
                                        p->weights + (n + i < p->outputs ? n + i : n) * p->row_bytes, c,
                                        p->columns);
                transpose(m);
                for (uint32_t i = 0; i < LANES && c + i < p->columns; i++)
                        store(panel + (c + i) * LANES, m[i]);
        }
}

static void thin_panel(const struct product *p, uint32_t n, float *panel)
{
        switch (p->dtype) {
        case QVF_F16: thin_panel_as(p, n, panel, QVF_F16); break;
        case QVF_BF16: thin_panel_as(p, n, panel, QVF_BF16); break;
        case QVF_Q8_0: thin_panel_as(p, n, panel, QVF_Q8_0); break;
        case QVF_Q4_0: thin_panel_as(p, n, panel, QVF_Q4_0); break;
        default: thin_panel_as(p, n, panel, QVF_F32); break;
        }
}

/* Some panels at a time, so that rows of y are gone through in long pieces. */
static void thin(const struct cpu_call *call, const struct product *p)
{
        float panels[THIN_OUTPUTS * THIN_COLUMNS] __attribute__((aligned(64)));
        size_t panel = (size_t)p->columns * LANES;
        uint32_t begin, end;

        cpu_share(call, p->outputs, THIN_OUTPUTS, &begin, &end);
        for (uint32_t first = begin; first < end && !nothing_to_add(p, 0, p->rows); first += THIN_OUTPUTS) {
                uint32_t row = 0, last = end - first < THIN_OUTPUTS ? end : first + THIN_OUTPUTS;

                for (uint32_t n = first; n < last; n += LANES)
                        thin_panel(p, n, panels + (n - first) / LANES * panel);
                for (; row + THIN_ROWS <= p->rows; row += THIN_ROWS)
                        for (uint32_t n = first; n < last; n += LANES)
                                thin_tile(p, panels + (n - first) / LANES * panel, n, row, THIN_ROWS);
                for (; row < p->rows; row++)
                        for (uint32_t n = first; n < last; n += LANES)
                                thin_tile(p, panels + (n - first) / LANES * panel, n, row, 1);
                cpu_pause_point(call);
        }
}

void LEVEL(matmul)(const struct cpu_call *call)
{
        struct product p = product_of(call);

        if (p.columns <= THIN_COLUMNS)
                thin(call, &p);
        else
                wide(call, &p);
}

bool LEVEL(matmul_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *x = &operands[1], *w = &operands[2];

        (void)op;
        return dense_known(w->dtype) && !w->packed && (!dense_blocks(w->dtype) || x->columns == w->columns);
}
