/* SPDX-License-Identifier: Apache-2.0 */
/* y[r][n] (+)= f0 · s[r][i0] · Σ_c W[n][c] x[r][c]
 *
 * Wide rows: lane l of a vector sums the columns c = l mod 16 in their order, then the lanes are added in the order
 * of sum_four(). Thin rows (a LoRA adapter's second product): lanes are outputs, columns are added in their order.
 * Neither depends on how many rows there are, so a row gives the same numbers in a prompt and in decoding. */
#include "plugins/cpu/avx512/dense.h"
#include "plugins/cpu/lanes/kernels.h"

#define DIRECT_ROWS                                                                                         \
        4u /* up to here weights are read as they stand; above, four rows are made floats first */
#define TILE_OUTPUTS 4u     /* weight rows in a tile */
#define TILE_ROWS 6u        /* rows of x in a tile: 24 sums, 4 weights */
#define THIN_COLUMNS 64u    /* up to here a row is thin */
#define THIN_ROWS 8u        /* rows of x in a thin tile: enough to hide the latency of a multiplication */
#define TASK_OUTPUTS 64u    /* handed out at a time */
#define TASK_BYTES 0x60000u /* of x in a task: they stay in L2 */
#define AHEAD 16384u        /* bytes prefetched ahead while reading weights directly */

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
        uintptr_t end; /* of the weights that this thread reads */
};

static struct product product_of(const struct cpu_call *call)
{
        const struct cpu_operand *x = &call->operand[1], *w = &call->operand[2], *s = &call->operand[3];

        return (struct product){
                .y = call->operand[0].data,
                .x = x->data,
                .weights = w->data,
                .dtype = w->dtype,
                .rows = call->rows,
                .outputs = w->rows,
                .columns = x->columns,
                .row_bytes = dense_row_bytes(w->dtype, w->columns),
                .factor = call->op->f[0],
                .scales = s->data ? (const float *)s->data + call->op->i[0] : NULL,
                .scale_step = s->data ? s->columns : 0,
                .accumulate = call->op->flags & QVF_ACCUMULATE,
        };
}

static ALWAYS_INLINE float factor_of(const struct product *p, uint32_t row)
{
        return p->scales ? p->factor * p->scales[(size_t)row * p->scale_step] : p->factor;
}

/* Rows whose adapter has scale 0: nothing to compute. */
static bool all_zero(const struct product *p, uint32_t row, uint32_t rows)
{
        for (uint32_t r = row; r < row + rows; r++)
                if (factor_of(p, r) != 0)
                        return false;
        return true;
}

static ALWAYS_INLINE void finish(
                const struct product *p, float *y, float factor, __mmask16 there, __m512 sum)
{
        __m512 result = _mm512_mul_ps(_mm512_set1_ps(factor), sum);

        if (p->accumulate) {
                if (factor == 0)
                        return;
                result = _mm512_add_ps(result, _mm512_maskz_loadu_ps(there, y));
        } else if (factor == 0) {
                result = _mm512_setzero_ps();
        }
        _mm512_mask_storeu_ps(y, there, result);
}

/* Sums of W weight rows `stride` apart, R rows of x. */
static ALWAYS_INLINE void dots(const struct product *p, const uint8_t *weights, size_t stride,
                const float *x, const uint32_t dtype, const unsigned W, const unsigned R, __m512 acc[])
{
        uint32_t columns = p->columns, c = 0;

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                acc[i] = _mm512_setzero_ps();
        if (dtype == QVF_Q8_0) { /* a block's scale is made a float once for both of its vectors */
                for (; c + 2 * LANES <= columns; c += 2 * LANES) {
                        UNROLL
                        for (unsigned i = 0; i < W; i++) {
                                const uint8_t *block = weights + i * stride + (size_t)c / 32 * 34;
                                __m512 d = half_scale(block);
                                __m512 low = _mm512_mul_ps(d, signed_bytes(load_16_bytes(block + 2)));
                                __m512 high = _mm512_mul_ps(d, signed_bytes(load_16_bytes(block + 18)));

                                UNROLL
                                for (unsigned r = 0; r < R; r++) {
                                        const float *from = x + r * (size_t)columns + c;
                                        __m512 sum = acc[r * W + i];

                                        sum = _mm512_fmadd_ps(low, _mm512_loadu_ps(from), sum);
                                        acc[r * W + i] = _mm512_fmadd_ps(
                                                        high, _mm512_loadu_ps(from + LANES), sum);
                                }
                        }
                }
        }
        for (; c + LANES <= columns; c += LANES) {
                __m512 w[TILE_OUTPUTS];

                UNROLL
                for (unsigned i = 0; i < W; i++)
                        w[i] = load_weights(dtype, weights + i * stride, c);
                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        __m512 from = _mm512_loadu_ps(x + r * (size_t)columns + c);

                        UNROLL
                        for (unsigned i = 0; i < W; i++)
                                acc[r * W + i] = _mm512_fmadd_ps(w[i], from, acc[r * W + i]);
                }
        }
        if (c < columns) {
                UNROLL
                for (unsigned i = 0; i < W * R; i++) {
                        __m512 w = load_last_weights(dtype, weights + i % W * stride, c, columns - c);
                        __m512 from = _mm512_maskz_loadu_ps((__mmask16)((1u << (columns - c)) - 1),
                                        x + i / W * (size_t)columns + c);

                        acc[i] = _mm512_fmadd_ps(w, from, acc[i]);
                }
        }
}

/* One tile: W weight rows from output n on, R rows of x from `row` on. */
static ALWAYS_INLINE void tile(const struct product *p, const uint8_t *weights, size_t stride, uint32_t n,
                uint32_t row, const uint32_t dtype, const unsigned W, const unsigned R)
{
        const __m512 zero = _mm512_setzero_ps();
        __m512 acc[TILE_OUTPUTS * TILE_ROWS];

        dots(p, weights, stride, p->x + row * (size_t)p->columns, dtype, W, R, acc);
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                __m512 *a = acc + r * W;
                __m128 sums = W == TILE_OUTPUTS ? sum_four(a[0], a[1], a[2], a[3])
                                                : sum_four(a[0], zero, zero, zero);

                finish(p, p->y + (row + r) * (size_t)p->outputs + n, factor_of(p, row + r),
                                (__mmask16)((1u << W) - 1), _mm512_castps128_ps512(sums));
        }
}

/* Few rows: the weights as they stand, read once. */
static ALWAYS_INLINE void direct(const struct cpu_call *call, struct product *p, uint32_t begin,
                uint32_t end, const uint32_t dtype, const unsigned R)
{
        uint32_t n = begin;

        for (; n + TILE_OUTPUTS <= end; n += TILE_OUTPUTS) {
                const uint8_t *weights = p->weights + n * p->row_bytes;

                for (size_t i = 0; i < TILE_OUTPUTS * p->row_bytes; i += LINE) {
                        uintptr_t ahead = (uintptr_t)weights + AHEAD + i;

                        _mm_prefetch((const char *)(ahead < p->end ? ahead : p->end), _MM_HINT_T0);
                }
                tile(p, weights, p->row_bytes, n, 0, dtype, TILE_OUTPUTS, R);
                if (n % TASK_OUTPUTS == 0)
                        cpu_pause_point(call);
        }
        for (; n < end; n++)
                tile(p, p->weights + n * p->row_bytes, p->row_bytes, n, 0, dtype, 1, R);
}

static ALWAYS_INLINE void direct_rows(const struct cpu_call *call, struct product *p, const uint32_t dtype)
{
        uint32_t begin, end;

        cpu_share(call, p->outputs, TILE_OUTPUTS, &begin, &end);
        if (begin == end || (p->accumulate && all_zero(p, 0, p->rows)))
                return;
        p->end = (uintptr_t)(p->weights + end * p->row_bytes) - 1;
        switch (p->rows) {
        case 1: direct(call, p, begin, end, dtype, 1); break;
        case 2: direct(call, p, begin, end, dtype, 2); break;
        case 3: direct(call, p, begin, end, dtype, 3); break;
        default: direct(call, p, begin, end, dtype, 4); break;
        }
}

static void float_tile(const struct product *p, const float *weights, size_t stride, uint32_t n,
                uint32_t outputs, uint32_t row, uint32_t rows)
{
        const uint8_t *bytes = (const uint8_t *)weights;

        if (outputs == TILE_OUTPUTS && rows == TILE_ROWS) {
                tile(p, bytes, stride * 4, n, row, QVF_F32, TILE_OUTPUTS, TILE_ROWS);
                return;
        }
        for (uint32_t r = row; r < row + rows; r++) {
                if (outputs == TILE_OUTPUTS)
                        tile(p, bytes, stride * 4, n, r, QVF_F32, TILE_OUTPUTS, 1);
                else
                        for (uint32_t i = 0; i < outputs; i++)
                                tile(p, bytes + i * stride * 4, stride * 4, n + i, r, QVF_F32, 1, 1);
        }
}

/* How many rows of x a task takes. */
static uint32_t task_rows(uint32_t columns)
{
        uint32_t rows = TASK_BYTES / (columns * (uint32_t)sizeof(float)) / TILE_ROWS * TILE_ROWS;

        return rows < TILE_ROWS ? TILE_ROWS : rows > 8 * TILE_ROWS ? 8 * TILE_ROWS : rows;
}

static size_t floats_bytes(uint32_t columns) /* of a thread's four rows of weights */
{
        return TILE_OUTPUTS * round_up(columns, LANES) * sizeof(float);
}

static void blocked(const struct cpu_call *call, const struct product *p)
{
        uint32_t rows_each = task_rows(p->columns), row_tasks = (p->rows + rows_each - 1) / rows_each;
        uint32_t output_tasks = (p->outputs + TASK_OUTPUTS - 1) / TASK_OUTPUTS;
        float *floats = (float *)((char *)call->scratch + call->thread * floats_bytes(p->columns));
        size_t stride = round_up(p->columns, LANES);

        for (;;) {
                uint32_t task = cpu_next(call), row = task % row_tasks * rows_each;
                uint32_t n = task / row_tasks * TASK_OUTPUTS;
                uint32_t row_end = row + rows_each < p->rows ? row + rows_each : p->rows;
                uint32_t end = n + TASK_OUTPUTS < p->outputs ? n + TASK_OUTPUTS : p->outputs;

                if (task >= row_tasks * output_tasks)
                        break;
                if (p->accumulate && all_zero(p, row, row_end - row))
                        continue;
                for (; n < end; n += TILE_OUTPUTS) {
                        uint32_t outputs = end - n < TILE_OUTPUTS ? end - n : TILE_OUTPUTS;

                        for (uint32_t i = 0; i < outputs; i++)
                                cpu_avx512_dequantise(p->dtype, p->weights + (n + i) * p->row_bytes,
                                                p->columns, floats + i * stride);
                        for (uint32_t r = row; r < row_end; r += TILE_ROWS)
                                float_tile(p, floats, stride, n, outputs, r,
                                                row_end - r < TILE_ROWS ? row_end - r : TILE_ROWS);
                }
                cpu_pause_point(call);
        }
}

/* R rows of x times a panel of 16 outputs, [column][16]. */
static ALWAYS_INLINE void thin_tile(
                const struct product *p, const float *panel, uint32_t n, uint32_t row, const unsigned R)
{
        uint32_t left = p->outputs - n;
        __mmask16 there = (__mmask16)(left >= LANES ? 0xffff : (1u << left) - 1);
        const float *x = p->x + row * (size_t)p->columns;
        __m512 acc[THIN_ROWS];

        UNROLL
        for (unsigned r = 0; r < R; r++)
                acc[r] = _mm512_setzero_ps();
        for (uint32_t c = 0; c < p->columns; c++) {
                __m512 w = _mm512_load_ps(panel + c * LANES);

                UNROLL
                for (unsigned r = 0; r < R; r++)
                        acc[r] = _mm512_fmadd_ps(w, _mm512_set1_ps(x[r * (size_t)p->columns + c]), acc[r]);
        }
        UNROLL
        for (unsigned r = 0; r < R; r++)
                finish(p, p->y + (row + r) * (size_t)p->outputs + n, factor_of(p, row + r), there, acc[r]);
}

/* Outputs n to n + 15 of the rows [row, row_end). */
static void thin_outputs(const struct product *p, uint32_t n, uint32_t row, uint32_t row_end)
{
        float panel[THIN_COLUMNS * LANES] __attribute__((aligned(64)));
        uint32_t outputs = p->outputs - n < LANES ? p->outputs - n : LANES;

        for (uint32_t c = 0; c < p->columns; c += LANES) {
                uint32_t count = p->columns - c < LANES ? p->columns - c : LANES;
                __m512i m[16];

                for (unsigned i = 0; i < 16; i++) {
                        const uint8_t *from = p->weights + (n + (i < outputs ? i : 0)) * p->row_bytes;

                        m[i] = _mm512_castps_si512(
                                        count < LANES ? load_last_weights(p->dtype, from, c, count)
                                                      : load_weights(p->dtype, from, c));
                }
                transpose_dwords(m);
                for (unsigned i = 0; i < count; i++)
                        _mm512_store_si512(panel + (c + i) * LANES, m[i]);
        }
        for (; row + THIN_ROWS <= row_end; row += THIN_ROWS)
                if (!p->accumulate || !all_zero(p, row, THIN_ROWS))
                        thin_tile(p, panel, n, row, THIN_ROWS);
        for (; row < row_end; row++)
                thin_tile(p, panel, n, row, 1);
}

static void thin(const struct cpu_call *call, const struct product *p)
{
        uint32_t begin, end;

        if (p->accumulate && all_zero(p, 0, p->rows))
                return;
        cpu_share(call, p->outputs, LANES, &begin, &end);
        for (uint32_t n = begin; n < end; n += LANES) {
                thin_outputs(p, n, 0, p->rows);
                cpu_pause_point(call);
        }
}

void cpu_avx512_matmul(const struct cpu_call *call)
{
        struct product p = product_of(call);

        if (p.columns <= THIN_COLUMNS) {
                thin(call, &p);
                return;
        }
        if (p.rows > DIRECT_ROWS) {
                blocked(call, &p);
                return;
        }
        switch (p.dtype) {
        case QVF_F32: direct_rows(call, &p, QVF_F32); break;
        case QVF_F16: direct_rows(call, &p, QVF_F16); break;
        case QVF_BF16: direct_rows(call, &p, QVF_BF16); break;
        case QVF_Q8_0: direct_rows(call, &p, QVF_Q8_0); break;
        default: blocked(call, &p); break;
        }
}

size_t cpu_avx512_matmul_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        return n_threads * floats_bytes(operands[1].columns);
}

bool cpu_avx512_matmul_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *x = &operands[1], *w = &operands[2];
        bool blocks = w->dtype != QVF_F32 && w->dtype != QVF_F16 && w->dtype != QVF_BF16;

        (void)op;
        return dense_known(w->dtype) && !w->packed && (!blocks || x->columns == w->columns);
}
