/* SPDX-License-Identifier: Apache-2.0 */
/* y[r][n] (+)= f0 · s[r][i0] · Σ_c W[n][c] x[r][c]
 *
 * Wide rows: lane l of a vector sums the columns c = l mod 8 in their order. Thin rows (a LoRA adapter's second
 * product): lanes are outputs, columns are added in their order. Neither depends on how many rows there are. */
#include "plugins/cpu/avx2/dense.h"
#include "plugins/cpu/lanes/kernels.h"

#define TILE_OUTPUTS 4u /* weight rows in a tile */
#define TILE_ROWS 2u    /* rows of x in a tile: 8 sums, 4 weights */
#define THIN_COLUMNS 64u
#define THIN_ROWS 8u
#define TASK_OUTPUTS 32u /* handed out at a time */
#define TASK_ROWS 32u
#define AHEAD 8192u /* bytes prefetched ahead while there are few rows */

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

static ALWAYS_INLINE void finish(const struct product *p, float *y, float factor, float sum)
{
        if (!p->accumulate)
                *y = factor != 0 ? factor * sum : 0;
        else if (factor != 0)
                *y += factor * sum;
}

static ALWAYS_INLINE void tile(const struct product *p, uint32_t n, uint32_t row, const uint32_t dtype,
                const unsigned W, const unsigned R)
{
        const uint8_t *weights = p->weights + n * p->row_bytes;
        const float *x = p->x + row * (size_t)p->columns;
        uint32_t columns = p->columns, c = 0;
        size_t row_bytes = p->row_bytes;
        __m256 acc[TILE_OUTPUTS * TILE_ROWS];

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                acc[i] = _mm256_setzero_ps();
        for (; c + LANES <= columns; c += LANES) {
                __m256 from[TILE_ROWS];

                UNROLL
                for (unsigned r = 0; r < R; r++)
                        from[r] = _mm256_loadu_ps(x + r * (size_t)columns + c);
                UNROLL
                for (unsigned i = 0; i < W; i++) {
                        __m256 w = load_weights(dtype, weights + i * row_bytes, c);

                        UNROLL
                        for (unsigned r = 0; r < R; r++)
                                acc[r * W + i] = _mm256_fmadd_ps(w, from[r], acc[r * W + i]);
                }
        }
        if (c < columns) {
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        acc[i] = _mm256_fmadd_ps(load_last_weights(dtype, weights + i % W * row_bytes, c,
                                                                 columns - c),
                                        load_floats(x + i / W * (size_t)columns + c, columns - c, false),
                                        acc[i]);
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                finish(p, p->y + (row + i / W) * (size_t)p->outputs + n + i % W, factor_of(p, row + i / W),
                                sum_floats(acc[i]));
}

static ALWAYS_INLINE void tiles(const struct product *p, uint32_t n, uint32_t end, uint32_t row,
                uint32_t row_end, const uint32_t dtype)
{
        for (; n + TILE_OUTPUTS <= end; n += TILE_OUTPUTS) {
                uintptr_t ahead = (uintptr_t)p->weights + n * p->row_bytes + AHEAD;

                for (size_t i = 0; i < TILE_OUTPUTS * p->row_bytes; i += LINE, ahead += LINE)
                        _mm_prefetch((const char *)(ahead < p->end ? ahead : p->end), _MM_HINT_T0);
                for (uint32_t r = row; r < row_end; r++) {
                        if (r + TILE_ROWS <= row_end)
                                tile(p, n, r++, dtype, TILE_OUTPUTS, TILE_ROWS);
                        else
                                tile(p, n, r, dtype, TILE_OUTPUTS, 1);
                }
        }
        for (; n < end; n++)
                for (uint32_t r = row; r < row_end; r++)
                        tile(p, n, r, dtype, 1, 1);
}

static void wide(const struct cpu_call *call, const struct product *p)
{
        uint32_t row_tasks = (p->rows + TASK_ROWS - 1) / TASK_ROWS;
        uint32_t output_tasks = (p->outputs + TASK_OUTPUTS - 1) / TASK_OUTPUTS;

        for (uint32_t task = cpu_next(call); task < row_tasks * output_tasks; task = cpu_next(call)) {
                uint32_t row = task % row_tasks * TASK_ROWS, n = task / row_tasks * TASK_OUTPUTS;
                uint32_t row_end = row + TASK_ROWS < p->rows ? row + TASK_ROWS : p->rows;
                uint32_t end = n + TASK_OUTPUTS < p->outputs ? n + TASK_OUTPUTS : p->outputs;

                if (nothing_to_add(p, row, row_end))
                        continue;
                switch (p->dtype) {
                case QVF_F16: tiles(p, n, end, row, row_end, QVF_F16); break;
                case QVF_BF16: tiles(p, n, end, row, row_end, QVF_BF16); break;
                case QVF_Q8_0: tiles(p, n, end, row, row_end, QVF_Q8_0); break;
                default: tiles(p, n, end, row, row_end, QVF_F32); break;
                }
                cpu_pause_point(call);
        }
}

/* R rows of x times a panel of 8 outputs, [column][8]. */
static ALWAYS_INLINE void thin_tile(
                const struct product *p, const float *panel, uint32_t n, uint32_t row, const unsigned R)
{
        const float *x = p->x + row * (size_t)p->columns;
        float sums[LANES];
        __m256 acc[THIN_ROWS];

        UNROLL
        for (unsigned r = 0; r < R; r++)
                acc[r] = _mm256_setzero_ps();
        for (uint32_t c = 0; c < p->columns; c++) {
                __m256 w = _mm256_load_ps(panel + c * LANES);

                UNROLL
                for (unsigned r = 0; r < R; r++)
                        acc[r] = _mm256_fmadd_ps(w, _mm256_set1_ps(x[r * (size_t)p->columns + c]), acc[r]);
        }
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                _mm256_storeu_ps(sums, acc[r]);
                for (uint32_t i = 0; i < LANES && n + i < p->outputs; i++)
                        finish(p, p->y + (row + r) * (size_t)p->outputs + n + i, factor_of(p, row + r),
                                        sums[i]);
        }
}

static void thin(const struct cpu_call *call, const struct product *p)
{
        float panel[THIN_COLUMNS * LANES] __attribute__((aligned(32)));
        uint32_t begin, end;

        cpu_share(call, p->outputs, LANES, &begin, &end);
        for (uint32_t n = begin; n < end && !nothing_to_add(p, 0, p->rows); n += LANES) {
                uint32_t row = 0;

                for (uint32_t c = 0; c < p->columns; c += LANES) {
                        uint32_t count = p->columns - c < LANES ? p->columns - c : LANES;
                        __m256i m[8];

                        for (uint32_t i = 0; i < 8; i++) {
                                const uint8_t *from =
                                                p->weights + (n + (n + i < end ? i : 0)) * p->row_bytes;

                                m[i] = _mm256_castps_si256(
                                                count < LANES ? load_last_weights(p->dtype, from, c, count)
                                                              : load_weights(p->dtype, from, c));
                        }
                        transpose_dwords(m);
                        for (uint32_t i = 0; i < count; i++)
                                _mm256_store_si256((__m256i *)(panel + (c + i) * LANES), m[i]);
                }
                for (; row + THIN_ROWS <= p->rows; row += THIN_ROWS)
                        thin_tile(p, panel, n, row, THIN_ROWS);
                for (; row < p->rows; row++)
                        thin_tile(p, panel, n, row, 1);
                cpu_pause_point(call);
        }
}

void cpu_avx2_matmul(const struct cpu_call *call)
{
        struct product p = product_of(call);

        if (p.columns <= THIN_COLUMNS)
                thin(call, &p);
        else
                wide(call, &p);
}

bool cpu_avx2_matmul_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *x = &operands[1], *w = &operands[2];

        (void)op;
        return dense_known(w->dtype) && !w->packed && (w->dtype != QVF_Q8_0 || x->columns == w->columns);
}
