/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= W.scale · Σ_n W[n][c] dy[r][n]
 *
 * In integers, as the forward product: a row of dy is two rows of bytes, dy = m / 127 · (q + p / 254), q rounded and p
 * what rounding lost; that is right to 2⁻¹⁶ of the row's largest number. A task has 64 columns of dx; their weights
 * become a panel in which the columns of W are rows, and tiles of a few rows of dy run over it. */
#include <math.h>

#include "plugins/cpu/arm/ternary.h"
#include "plugins/cpu/lanes/gradient.h"

#define SLICE 64u                          /* columns of a task */
#define PANEL_ROWS 1024u                   /* of W: a panel is 64 KiB at most */
#define ROW_UNITS (2 / UNIT_ROWS)          /* of a row of dy: its two rows of bytes */
#define ROWS_EACH (TILE_UNITS / ROW_UNITS) /* rows of dy in a tile */

static size_t packed_row_bytes(uint32_t outputs)
{
        return round_up(outputs, BYTES);
}

static size_t panel_bytes(uint32_t outputs)
{
        size_t rows = packed_row_bytes(outputs);

        return SLICE * (rows < PANEL_ROWS ? rows : PANEL_ROWS);
}

static struct gradient_scratch scratch_of(uint32_t rows, uint32_t outputs)
{
        size_t packed_row = packed_row_bytes(outputs);

        return (struct gradient_scratch){ packed_row, 2 * rows * packed_row, panel_bytes(outputs) };
}

/* A row of dy as its two rows of bytes. */
static void pack_row(const struct ternary_gradient *p, uint32_t r)
{
        const float *dy = p->dy + (size_t)r * p->outputs;
        int8_t *to = p->packed + 2 * r * p->packed_row;
        float most = gradient_length(dy, p->outputs);
        floats factor = all(most >= 1e-30f && most <= 1e38f ? 127.0f / most : 0);

        for (uint32_t n = 0; n < p->packed_row; n += BYTES) {
                int8_t q[BYTES], rest[BYTES];

                UNROLL
                for (unsigned i = 0; i < BYTES; i += LANES) {
                        floats v = gradient_at(dy, n + i, p->outputs) * factor;
                        ints whole = integers(v);

                        store_bytes(q + i, whole);
                        store_bytes(rest + i, integers((v - from_integers(whole)) * all(LOST)));
                }
#if UNIT_ROWS == 1
                memcpy(to + n, q, BYTES);
                memcpy(to + p->packed_row + n, rest, BYTES);
#else
                store_part(to, 0, BYTES, n / BYTES, vld1q_s8(q));
                store_part(to, 1, BYTES, n / BYTES, vld1q_s8(rest));
#endif
        }
        p->row[r].factor = p->scale * (most / 127.0f);
}

/* m[i] byte j becomes m[j] byte i. */
static ALWAYS_INLINE void transpose_bytes(int8x16_t m[BYTES])
{
        UNROLL
        for (unsigned round = 0; round < 4; round++) {
                int8x16_t t[BYTES];

                UNROLL
                for (unsigned i = 0; i < BYTES / 2; i++) {
                        t[2 * i] = vzip1q_s8(m[i], m[i + BYTES / 2]);
                        t[2 * i + 1] = vzip2q_s8(m[i], m[i + BYTES / 2]);
                }
                UNROLL
                for (unsigned i = 0; i < BYTES; i++)
                        m[i] = t[i];
        }
}

/* 16 columns of W as rows `first` … of the panel, from the rows [n, n + depth) of W. */
static ALWAYS_INLINE void unpack_columns(const struct ternary_gradient *p, uint32_t column, uint32_t first,
                uint32_t n, uint32_t depth, const uint32_t dtype)
{
        const uint8_t *block = p->weights + n * p->row_bytes +
                               column / QVF_TERNARY_BLOCK * ternary_block_bytes(dtype);

        for (uint32_t i = 0; i < depth; i += BYTES) {
                int8x16_t m[BYTES];

                for (uint32_t j = 0; j < BYTES; j++)
                        m[j] = n + i + j < p->outputs ? block_part(dtype, block + (i + j) * p->row_bytes,
                                                                        column % QVF_TERNARY_BLOCK / BYTES)
                                                      : vdupq_n_s8(0);
                transpose_bytes(m);
                UNROLL
                for (uint32_t j = 0; j < BYTES; j++) {
                        uint32_t row = first + j;

                        store_weights((int8_t *)p->panel + row / GROUP_ROWS * GROUP_ROWS * (size_t)depth,
                                        row % GROUP_ROWS, i / BYTES, m[j]);
                }
        }
}

struct tile { /* rows of dy on a group of a panel */
        const int8_t *group, *units;
        uint32_t first_row, rows, column, depth; /* depth: rows of W in the panel */
        bool accumulate;
};

static void run_tile(const struct ternary_gradient *p, const struct tile *t)
{
        int32x4_t sums[TILE_SUMS];

        multiply_tile(t->group, t->units, UNIT_ROWS * p->packed_row, t->depth / STEP, t->rows * ROW_UNITS,
                        sums);
        for (uint32_t i = 0; i < t->rows * UNIT_ROWS; i++) {
                uint32_t row = t->first_row + i / UNIT_ROWS, part = i % UNIT_ROWS;
                uint32_t column = t->column + part * LANES, left = p->columns - column;
                float *dx = p->dx + (size_t)row * p->columns + column;
                const int32x4_t *both = sums + i / UNIT_ROWS * 2 * UNIT_ROWS + part;
                floats sum;

                if (column >= p->columns)
                        continue;
                sum = fma_of(from_integers((ints)both[UNIT_ROWS]), all(1 / LOST),
                                from_integers((ints)both[0]));
                sum *= all(p->row[row].factor);
                if (t->accumulate)
                        sum += load_left(dx, left, left >= LANES);
                store_left(dx, left, left >= LANES, sum);
        }
}

static uint32_t tile_begin(const struct ternary_gradient *p, uint32_t tile)
{
        uint32_t count = (p->rows + ROWS_EACH - 1) / ROWS_EACH;

        return (uint32_t)((uint64_t)p->rows * tile / count);
}

/* 64 columns of dx, from the rows [n, n + depth) of W. */
static void run_slice(const struct ternary_gradient *p, uint32_t column, uint32_t n, uint32_t depth)
{
        uint32_t columns = p->columns - column < SLICE ? p->columns - column : SLICE;

        for (uint32_t i = 0; i < columns; i += BYTES) {
                if (p->dtype == QVF_TQ2_0)
                        unpack_columns(p, column + i, i, n, depth, QVF_TQ2_0);
                else
                        unpack_columns(p, column + i, i, n, depth, QVF_TQ1_0);
        }
        for (uint32_t tile = 0; tile_begin(p, tile) < p->rows; tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t i = 0; i < columns; i += GROUP_ROWS) {
                        struct tile t = {
                                .group = (int8_t *)p->panel + i * (size_t)depth,
                                .units = p->packed + 2 * first * p->packed_row + (size_t)n * UNIT_ROWS,
                                .first_row = first,
                                .rows = rows,
                                .column = column + i,
                                .depth = depth,
                                .accumulate = n > 0 || p->accumulate,
                        };

                        run_tile(p, &t);
                }
        }
}

void LEVEL(matmul_ternary_backward)(const struct cpu_call *call)
{
        struct gradient_scratch scratch = scratch_of(call->operand[0].rows, call->operand[2].rows);
        struct ternary_gradient p = ternary_gradient_of(call, &scratch);
        uint32_t slices = (p.columns + SLICE - 1) / SLICE, begin, end;

        cpu_share(call, p.rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                pack_row(&p, r);
        cpu_barrier(call);
        for (uint32_t slice = cpu_next(call); slice < slices; slice = cpu_next(call)) {
                for (uint32_t n = 0; n < p.packed_row; n += PANEL_ROWS) {
                        uint32_t left = (uint32_t)p.packed_row - n;

                        run_slice(&p, slice * SLICE, n, left < PANEL_ROWS ? left : PANEL_ROWS);
                        cpu_pause_point(call);
                }
        }
}

size_t LEVEL(matmul_ternary_backward_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        struct gradient_scratch scratch = scratch_of(operands[0].rows, operands[2].rows);

        (void)op;
        return gradient_scratch_bytes(&scratch, operands[0].rows, n_threads);
}

bool LEVEL(matmul_ternary_backward_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return ternary_gradient_supports(operands);
}
