/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= W.scale · Σ_n W[n][c] dy[r][n]
 *
 * In integers, as the forward product: a row of dy is two rows of bytes, dy = m / 127 · (q + p / 254), q rounded and p
 * what rounding lost; that is right to 2⁻¹⁶ of the row's largest number. A task has 64 columns of dx; their weights
 * become a panel, 4 rows of W side by side, that tiles of up to 6 rows of dy run over. */
#include <math.h>

#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/ternary.h"
#include "plugins/cpu/lanes/gradient.h"

#define ROWS_EACH (TILE_ROWS / 2) /* rows of dy in a tile: each is two rows of bytes */
#define SLICE 64u                 /* columns of a task */
#define SLICES (QVF_TERNARY_BLOCK / SLICE)
#define PANEL_ROWS 8192u /* of W: a panel is 512 KiB at most */

static size_t packed_row_bytes(uint32_t outputs)
{
        return round_up(outputs, LANES);
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

static uint32_t tile_count(const struct ternary_gradient *p)
{
        return (p->rows + ROWS_EACH - 1) / ROWS_EACH;
}

static uint32_t tile_begin(const struct ternary_gradient *p, uint32_t tile)
{
        return (uint32_t)((uint64_t)p->rows * tile / tile_count(p));
}

/* Numbers n to n + 63 of a row of dy, zeros behind its last: their bytes q and p. */
static ALWAYS_INLINE void split(const float *dy, uint32_t left, __m512 factor, const bool whole,
                __m512i *ret_q, __m512i *ret_p)
{
        __m128i q[4], rest[4];

        UNROLL
        for (uint32_t i = 0; i < 4; i++) {
                uint32_t there = left > i * LANES ? left - i * LANES : 0;
                __m512 v = _mm512_mul_ps(load_floats(dy + i * LANES, there, whole), factor);
                __m512 nearest = _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);

                q[i] = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v));
                rest[i] = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(
                                _mm512_mul_ps(_mm512_sub_ps(v, nearest), _mm512_set1_ps(LOST))));
        }
        *ret_q = join_bytes(q);
        *ret_p = join_bytes(rest);
}

/* A tile of `rows` rows of dy becomes 2 · rows rows of bytes: first those of q, then those of p. */
static void pack_tile(const struct ternary_gradient *p, uint32_t first, uint32_t rows)
{
        const __m512i ones = _mm512_set1_epi8(1);
        const float *dy = p->dy + (size_t)first * p->outputs;
        int8_t *to = p->packed + 2 * first * p->packed_row;
        __m512i sums[2 * ROWS_EACH];
        __m512 factor[ROWS_EACH];

        for (uint32_t r = 0; r < rows; r++) {
                float largest = gradient_length(dy + (size_t)r * p->outputs, p->outputs);

                factor[r] = _mm512_set1_ps(largest >= 1e-30f && largest <= 1e38f ? 127.0f / largest : 0);
                p->row[first + r].factor = p->scale * (largest / 127.0f);
                sums[r] = sums[rows + r] = _mm512_setzero_si512();
        }
        for (uint32_t n = 0; n < p->packed_row; n += LINE) {
                uint32_t left = p->outputs > n ? p->outputs - n : 0, width = (uint32_t)p->packed_row - n;
                __m512i m[16];

                for (uint32_t r = 0; r < rows; r++) {
                        const float *from = dy + (size_t)r * p->outputs + n;

                        if (left >= LINE)
                                split(from, left, factor[r], true, &m[r], &m[rows + r]);
                        else
                                split(from, left, factor[r], false, &m[r], &m[rows + r]);
                        sums[r] = _mm512_dpbusd_epi32(sums[r], ones, m[r]);
                        sums[rows + r] = _mm512_dpbusd_epi32(sums[rows + r], ones, m[rows + r]);
                }
                for (uint32_t r = 2 * rows; r < 16; r++)
                        m[r] = _mm512_setzero_si512();
                store_packed(m, to + (size_t)n * 2 * rows, 2 * rows, width < LINE ? width / 4 : 16,
                                width <= LINE);
        }
        for (uint32_t r = 0; r < rows; r++) {
                p->row[first + r].q_sum = _mm512_reduce_add_epi32(sums[r]);
                p->row[first + r].p_sum = _mm512_reduce_add_epi32(sums[rows + r]);
        }
}

static void pack(const struct cpu_call *call, const struct ternary_gradient *p)
{
        uint32_t begin, end;

        cpu_share(call, tile_count(p), 1, &begin, &end);
        for (uint32_t tile = begin; tile < end; tile++)
                pack_tile(p, tile_begin(p, tile), tile_begin(p, tile + 1) - tile_begin(p, tile));
}

/* Rows [n, n + rows) of W, 64 columns: two panels of 32 columns, [row / 4][2 vectors]. */
static void unpack(const struct ternary_gradient *p, uint32_t slice, uint32_t n, uint32_t rows)
{
        size_t block_bytes = p->dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK;
        const uint8_t *block = p->weights + n * p->row_bytes + slice / SLICES * block_bytes;
        uint8_t *second = p->panel + (size_t)rows * 32;

        for (uint32_t i = 0; i < rows; i += 4) {
                __m512i row[4], columns[4];

                for (uint32_t j = 0; j < 4; j++) {
                        const uint8_t *from = block + (i + j) * p->row_bytes;

                        if (n + i + j >= p->outputs)
                                row[j] = _mm512_set1_epi8(1);
                        else
                                row[j] = p->dtype == QVF_TQ1_0 ? tq1_slice(from, slice % SLICES)
                                                               : tq2_slice(from, slice % SLICES);
                }
                interleave_rows(row, columns);
                _mm512_store_si512(p->panel + (size_t)i * 32, columns[0]);
                _mm512_store_si512(p->panel + (size_t)i * 32 + LINE, columns[1]);
                _mm512_store_si512(second + (size_t)i * 32, columns[2]);
                _mm512_store_si512(second + (size_t)i * 32 + LINE, columns[3]);
        }
}

struct tile { /* rows of dy on a panel of 32 columns */
        const uint8_t *panel;
        const int8_t *packed;
        uint32_t first_row, column, depth; /* depth: rows of W in the panel */
        bool accumulate, last;
};

/* The sums of codes c = W + 1 are Σ c q; Σ q is taken off with the last panel. */
static ALWAYS_INLINE void run_tile(const struct ternary_gradient *p, const struct tile *t, const unsigned R)
{
        __m512i acc[2 * TILE_ROWS];

        UNROLL
        for (unsigned i = 0; i < 4 * R; i++)
                acc[i] = _mm512_setzero_si512();
        multiply_tile(t->panel, t->packed, t->depth, 2 * R, acc);
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++) {
                const struct gradient_row *row = &p->row[t->first_row + i / 2];
                uint32_t column = t->column + i % 2 * LANES;
                __mmask16 there = column < p->columns ? lanes_left(p->columns - column) : 0;
                float *dx = p->dx + (size_t)(t->first_row + i / 2) * p->columns + (there ? column : 0);
                __m512i q = acc[i], rest = acc[2 * R + i];
                __m512 sum;

                if (t->last) {
                        q = _mm512_sub_epi32(q, _mm512_set1_epi32(row->q_sum));
                        rest = _mm512_sub_epi32(rest, _mm512_set1_epi32(row->p_sum));
                }
                sum = _mm512_fmadd_ps(
                                _mm512_cvtepi32_ps(rest), _mm512_set1_ps(1 / LOST), _mm512_cvtepi32_ps(q));
                sum = _mm512_mul_ps(sum, _mm512_set1_ps(row->factor));
                if (t->accumulate)
                        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, dx));
                _mm512_mask_storeu_ps(dx, there, sum);
        }
}

static void run_any_tile(const struct ternary_gradient *p, const struct tile *t, uint32_t rows)
{
        switch (rows) {
        case 1: run_tile(p, t, 1); break;
        case 2: run_tile(p, t, 2); break;
        case 3: run_tile(p, t, 3); break;
        case 4: run_tile(p, t, 4); break;
        case 5: run_tile(p, t, 5); break;
        default: run_tile(p, t, 6); break;
        }
}

/* The blocks that the rows [begin, end) of W have in a slice: the hardware does not see that they will be read. */
static void fetch_blocks(const struct ternary_gradient *p, uint32_t slice, uint32_t begin, uint32_t end)
{
        size_t block_bytes = p->dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK;
        const uint8_t *block = p->weights + slice / SLICES * block_bytes;

        for (uint32_t n = begin; n < end; n++) {
                const uint8_t *at = block + n * p->row_bytes;

                _mm_prefetch((const char *)at, _MM_HINT_T1);
                _mm_prefetch((const char *)at + block_bytes - 1, _MM_HINT_T1);
        }
}

/* 64 columns of dx, from the rows [n, n + depth) of W; those of the slice that comes next are fetched meanwhile. */
static void run_slice(
                const struct ternary_gradient *p, uint32_t slice, uint32_t next, uint32_t n, uint32_t depth)
{
        uint32_t tiles = tile_count(p), there = p->outputs - n < depth ? p->outputs - n : depth;

        unpack(p, slice, n, depth);
        for (uint32_t tile = 0; tile < tiles; tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                if (next * SLICE < p->columns)
                        fetch_blocks(p, next, n + (uint32_t)((uint64_t)there * tile / tiles),
                                        n + (uint32_t)((uint64_t)there * (tile + 1) / tiles));

                for (uint32_t half = 0; half < 2; half++) {
                        struct tile t = {
                                .panel = p->panel + (size_t)half * depth * 32,
                                .packed = p->packed + 2 * first * p->packed_row + (size_t)n * 2 * rows,
                                .first_row = first,
                                .column = slice * SLICE + half * 32,
                                .depth = depth,
                                .accumulate = n > 0 || p->accumulate,
                                .last = n + depth == p->packed_row,
                        };

                        run_any_tile(p, &t, rows);
                }
        }
}

void cpu_avx512_matmul_ternary_backward(const struct cpu_call *call)
{
        struct gradient_scratch scratch = scratch_of(call->operand[0].rows, call->operand[2].rows);
        struct ternary_gradient p = ternary_gradient_of(call, &scratch);
        uint32_t slices = (p.columns + SLICE - 1) / SLICE;

        pack(call, &p);
        cpu_barrier(call);
        for (uint32_t slice = cpu_next(call), next; slice < slices; slice = next) {
                next = cpu_next(call);
                for (uint32_t n = 0; n < p.packed_row; n += PANEL_ROWS) {
                        uint32_t left = (uint32_t)p.packed_row - n;

                        run_slice(&p, slice, next, n, left < PANEL_ROWS ? left : PANEL_ROWS);
                        cpu_pause_point(call);
                }
        }
}

size_t cpu_avx512_matmul_ternary_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        struct gradient_scratch scratch = scratch_of(operands[0].rows, operands[2].rows);

        (void)op;
        return gradient_scratch_bytes(&scratch, operands[0].rows, n_threads);
}

bool cpu_avx512_matmul_ternary_backward_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return ternary_gradient_supports(operands);
}
