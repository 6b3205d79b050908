/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= W.scale · Σ_n W[n][c] dy[r][n]
 *
 * In integers, as the forward product: a row of dy is two rows of bytes, dy = m / 127 · (q + p / 254), q rounded and p
 * what rounding lost; that is right to 2⁻¹⁶ of the row's largest number. A task has BYTES columns of dx; their weights
 * become a panel, 4 rows of W side by side, that tiles of up to 3 rows of dy run over. */
#include <math.h>

#include "plugins/cpu/bytes/ternary.h"
#include "plugins/cpu/bytes/tile.h"
#include "plugins/cpu/lanes/gradient.h"

#define ROWS_EACH (TILE_ROWS / 2) /* rows of dy in a tile: each is two rows of bytes */
#define PANEL_ROWS 4096u          /* of W: a panel is 128 KiB at most */

static size_t packed_row_bytes(uint32_t outputs)
{
        return round_up(outputs, LANES);
}

static size_t panel_bytes(uint32_t outputs)
{
        size_t rows = packed_row_bytes(outputs);

        return round_up(BYTES * (rows < PANEL_ROWS ? rows : PANEL_ROWS), LINE);
}

static struct gradient_scratch scratch_of(uint32_t rows, uint32_t outputs)
{
        size_t packed_row = packed_row_bytes(outputs);

        return (struct gradient_scratch){ packed_row, 2 * rows * packed_row, panel_bytes(outputs) };
}

static uint32_t tile_count(const struct ternary_gradient *p)
{
        return (p->rows + ROWS_EACH - 1) / ROWS_EACH;
}

static uint32_t tile_begin(const struct ternary_gradient *p, uint32_t tile)
{
        return (uint32_t)((uint64_t)p->rows * tile / tile_count(p));
}

/* Row `slot` of a tile of `rows` rows of dy: two rows of bytes. */
static void pack_row(const struct ternary_gradient *p, const float *dy, int8_t *tile, uint32_t slot,
                uint32_t rows, struct gradient_row *row)
{
        float most = gradient_length(dy, p->outputs);
        floats factor = all(most >= 1e-30f && most <= 1e38f ? 127.0f / most : 0);
        ints q_sum = { 0 }, p_sum = { 0 };

        tile += 8 * slot;
        for (uint32_t n = 0; n < p->packed_row; n += LANES) {
                floats v = gradient_at(dy, n, p->outputs) * factor;
                ints q = integers(v);
                ints rest = integers((v - from_integers(q)) * LOST);
                ints both = narrow(q, rest);

                q_sum += q;
                p_sum += rest;
                for (unsigned i = 0; i < LANES; i += 4, tile += (size_t)8 * rows)
                        memcpy(tile, (const int32_t *)&both + i, 8);
        }
        row->factor = p->scale * (most / 127.0f);
        row->q_sum = sum_ints(q_sum);
        row->p_sum = sum_ints(p_sum);
}

static void pack(const struct cpu_call *call, const struct ternary_gradient *p)
{
        uint32_t begin, end;

        cpu_share(call, tile_count(p), 1, &begin, &end);
        for (uint32_t tile = begin; tile < end; tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t r = 0; r < rows; r++)
                        pack_row(p, p->dy + (size_t)(first + r) * p->outputs,
                                        p->packed + 2 * first * p->packed_row, r, rows, &p->row[first + r]);
        }
}

/* Four rows of codes become 4 vectors of columns, the 4 codes of a column side by side. */
static ALWAYS_INLINE void interleave_rows(const bytes row[4], bytes columns[4])
{
        bytes low01 = interleave_bytes(row[0], row[1], false),
              high01 = interleave_bytes(row[0], row[1], true);
        bytes low23 = interleave_bytes(row[2], row[3], false),
              high23 = interleave_bytes(row[2], row[3], true);

        columns[0] = interleave_words(low01, low23, false);
        columns[1] = interleave_words(low01, low23, true);
        columns[2] = interleave_words(high01, high23, false);
        columns[3] = interleave_words(high01, high23, true);
#ifdef __AVX2__
        /* columns[i] has columns 4i … 4i + 3 in its lower half and those 16 further in the upper one */
        {
                __m256i a = (__m256i)columns[0], b = (__m256i)columns[1];
                __m256i c = (__m256i)columns[2], d = (__m256i)columns[3];

                columns[0] = (bytes)_mm256_permute2x128_si256(a, b, 0x20);
                columns[1] = (bytes)_mm256_permute2x128_si256(c, d, 0x20);
                columns[2] = (bytes)_mm256_permute2x128_si256(a, b, 0x31);
                columns[3] = (bytes)_mm256_permute2x128_si256(c, d, 0x31);
        }
#endif
}

/* Rows [n, n + rows) of W, BYTES columns from c on: two panels of half of the columns, [row / 4][2 vectors]. */
static ALWAYS_INLINE void unpack(const struct ternary_gradient *p, uint32_t c, uint32_t n, uint32_t rows,
                const uint32_t dtype)
{
        const uint8_t *block =
                        p->weights + n * p->row_bytes + c / QVF_TERNARY_BLOCK * ternary_block_bytes(dtype);
        uint8_t *first = p->panel, *second = p->panel + (size_t)rows / 4 * STEP_BYTES;

        for (uint32_t i = 0; i < rows; i += 4, first += STEP_BYTES, second += STEP_BYTES) {
                bytes row[4], columns[4];

                UNROLL
                for (uint32_t j = 0; j < 4; j++)
                        row[j] = n + i + j < p->outputs
                                                 ? ternary_codes(dtype, block + (i + j) * p->row_bytes,
                                                                   c % QVF_TERNARY_BLOCK)
                                                 : all_codes(1);
                interleave_rows(row, columns);
                store_codes(first, columns[0]);
                store_codes(first + BYTES, columns[1]);
                store_codes(second, columns[2]);
                store_codes(second + BYTES, columns[3]);
        }
}

struct tile { /* rows of dy on a panel of TILE_LANES columns */
        const uint8_t *panel;
        const int8_t *packed;
        uint32_t first_row, column, steps; /* steps: of 4 rows of W in the panel */
        bool accumulate, last;
};

/* LANES columns of a row; the sums of codes c = W + 1 are Σ c q; Σ q is taken off with the last panel. */
static ALWAYS_INLINE void store_sums(const struct ternary_gradient *p, const struct tile *t, uint32_t row,
                uint32_t column, ints q, ints rest)
{
        const struct gradient_row *state = &p->row[row];
        uint32_t count = column >= p->columns          ? 0
                         : p->columns - column < LANES ? p->columns - column
                                                       : LANES;
        float *dx = p->dx + (size_t)row * p->columns + column;
        floats sum;

        if (count == 0)
                return;
        if (t->last) {
                q -= state->q_sum;
                rest -= state->p_sum;
        }
        sum = from_integers(q) + from_integers(rest) * (1 / LOST);
        sum *= state->factor;
        if (t->accumulate)
                sum += load_left(dx, count, count == LANES);
        store_left(dx, count, count == LANES, sum);
}

static void run_tile(const struct ternary_gradient *p, const struct tile *t, uint32_t rows)
{
        ints sums[2 * TILE_ROWS];

        multiply_tile(t->panel, t->packed, t->steps, 2 * rows, sums);
        for (uint32_t i = 0; i < rows; i++) {
                store_sums(p, t, t->first_row + i, t->column, sums[4 * i], sums[4 * i + 2]);
                store_sums(p, t, t->first_row + i, t->column + LANES, sums[4 * i + 1], sums[4 * i + 3]);
        }
}

/* BYTES columns of dx from c on, from the rows [n, n + depth) of W. */
static void run_slice(const struct ternary_gradient *p, uint32_t c, uint32_t n, uint32_t depth)
{
        if (p->dtype == QVF_TQ1_0)
                unpack(p, c, n, depth, QVF_TQ1_0);
        else
                unpack(p, c, n, depth, QVF_TQ2_0);
        for (uint32_t tile = 0; tile < tile_count(p); tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t half = 0; half < 2; half++) {
                        struct tile t = {
                                .panel = p->panel + (size_t)half * (depth / 4) * STEP_BYTES,
                                .packed = p->packed + 2 * first * p->packed_row + (size_t)n * 2 * rows,
                                .first_row = first,
                                .column = c + half * TILE_LANES,
                                .steps = depth / 4,
                                .accumulate = n > 0 || p->accumulate,
                                .last = n + depth == p->packed_row,
                        };

                        run_tile(p, &t, rows);
                }
        }
}

void LEVEL(matmul_ternary_backward)(const struct cpu_call *call)
{
        struct gradient_scratch scratch = scratch_of(call->operand[0].rows, call->operand[2].rows);
        struct ternary_gradient p = ternary_gradient_of(call, &scratch);
        uint32_t slices = (p.columns + BYTES - 1) / BYTES;

        pack(call, &p);
        cpu_barrier(call);
        for (uint32_t slice = cpu_next(call); slice < slices; slice = cpu_next(call)) {
                for (uint32_t n = 0; n < p.packed_row; n += PANEL_ROWS) {
                        uint32_t left = (uint32_t)p.packed_row - n;

                        run_slice(&p, slice * BYTES, n, left < PANEL_ROWS ? left : PANEL_ROWS);
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
