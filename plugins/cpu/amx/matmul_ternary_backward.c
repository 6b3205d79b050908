/* SPDX-License-Identifier: Apache-2.0 */
/* dx[r][c] (+)= W.scale · Σ_n W[n][c] dy[r][n]
 *
 * In integers: a row of dy is two rows of bytes, dy = m / 127 · (q + p / 254), q rounded and p what rounding lost; that is
 * right to 2⁻¹⁶ of the row's largest number. A task has 128 columns of dx, whose weights become tiles of columns, and some
 * of the rows of dy, 16 at a time: the block's upper half is Σ W q, the lower half Σ W p. */
#include <math.h>

#include "plugins/cpu/amx/kernels.h"
#include "plugins/cpu/amx/share.h"
#include "plugins/cpu/amx/weights.h"
#include "plugins/cpu/lanes/gradient.h"

#define AHEAD                                                                                               \
        32u /* rows of W that are fetched before they are unpacked: the hardware does not follow steps so long */
#define SLICE 128u /* columns of a task: half a ternary block, and half the bytes of a TQ2_0 block */
#define SLICES (QVF_TERNARY_BLOCK / SLICE)
#define HALVES (SLICE / 64) /* what tq1_slice() takes out at a time */
#define STRIPS (SLICE / TILE_SIDE)
#define UNPACKING 2u /* to unpack a slice takes as long as two blocks of 16 rows */

static uint32_t block_count(uint32_t rows)
{
        return (rows + TILE_SIDE - 1) / TILE_SIDE;
}

static size_t packed_bytes(uint32_t rows, size_t packed_row)
{
        return (size_t)block_count(rows) * BLOCK_SIDE * packed_row;
}

static struct gradient_scratch scratch_of(uint32_t rows, uint32_t outputs)
{
        size_t packed_row = round_up(outputs, TILE_LINE);

        return (struct gradient_scratch){ packed_row, packed_bytes(rows, packed_row), SLICE * packed_row };
}

static void pack_row(const struct ternary_gradient *p, uint32_t row)
{
        const float *dy = p->dy + (size_t)row * p->outputs;
        int8_t *q = p->packed + ((size_t)row / TILE_SIDE * BLOCK_SIDE + row % TILE_SIDE) * p->packed_row;
        int8_t *rest = q + TILE_SIDE * p->packed_row;
        float largest = gradient_length(dy, p->outputs);
        __m512 factor = _mm512_set1_ps(largest >= 1e-30f && largest <= 1e38f ? 127.0f / largest : 0);

        for (uint32_t n = 0; n < p->packed_row; n += LANES) {
                uint32_t left = n < p->outputs ? p->outputs - n : 0;
                __m512 v = _mm512_mul_ps(load_floats(dy + n, left, false), factor);
                __m512i whole = _mm512_cvtps_epi32(v);
                __m512 lost = _mm512_mul_ps(
                                _mm512_sub_ps(v, _mm512_cvtepi32_ps(whole)), _mm512_set1_ps(LOST));

                _mm_store_si128((__m128i *)(q + n), _mm512_cvtsepi32_epi8(whole));
                _mm_store_si128((__m128i *)(rest + n), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(lost)));
        }
        p->row[row].factor = p->scale * (largest / 127.0f);
}

/* A block that is not full has rows of zeros. */
static void pack(const struct cpu_call *call, const struct ternary_gradient *p)
{
        uint32_t begin, end, rows = block_count(p->rows) * TILE_SIDE;

        cpu_share(call, rows, 1, &begin, &end);
        for (uint32_t row = begin; row < end; row++) {
                int8_t *q = p->packed +
                            ((size_t)row / TILE_SIDE * BLOCK_SIDE + row % TILE_SIDE) * p->packed_row;

                if (row < p->rows) {
                        pack_row(p, row);
                } else {
                        memset(q, 0, p->packed_row);
                        memset(q + TILE_SIDE * p->packed_row, 0, p->packed_row);
                }
        }
}

/* The bytes of a slice of four rows, the four of a column's side by side, make tiles of columns: code n of byte i is column
 * 32 n + i. */
static ALWAYS_INLINE void unpack_tq2(const __m256i row[4], int8_t *to, size_t strip)
{
        __m256i low01 = _mm256_unpacklo_epi8(row[0], row[1]), high01 = _mm256_unpackhi_epi8(row[0], row[1]);
        __m256i low23 = _mm256_unpacklo_epi8(row[2], row[3]), high23 = _mm256_unpackhi_epi8(row[2], row[3]);
        /* Of each the lower 128 bits: bytes 4i to 4i + 3, the upper ones: 16 + 4i and on. */
        __m256i v0 = _mm256_unpacklo_epi16(low01, low23), v1 = _mm256_unpackhi_epi16(low01, low23);
        __m256i v2 = _mm256_unpacklo_epi16(high01, high23), v3 = _mm256_unpackhi_epi16(high01, high23);
        __m512i v01 = _mm512_inserti64x4(_mm512_castsi256_si512(v0), v1, 1);
        __m512i v23 = _mm512_inserti64x4(_mm512_castsi256_si512(v2), v3, 1);
        __m512i bytes[2] = { _mm512_shuffle_i32x4(v01, v23, 0x88), _mm512_shuffle_i32x4(v01, v23, 0xdd) };

        UNROLL
        for (unsigned i = 0; i < STRIPS; i++)
                _mm512_store_si512(to + i * strip, tq2_weights(bytes[i % 2], i / 2));
}

static ALWAYS_INLINE void unpack_tq1(const __m512i row[4], int8_t *to, size_t strip)
{
        __m512i columns[4];

        interleave_rows(row, columns);
        UNROLL
        for (unsigned i = 0; i < 4; i++)
                _mm512_store_si512(to + i * strip, columns[i]);
}

/* A slice's columns of all rows of W; those that are not there are zeros. */
static void unpack(const struct ternary_gradient *p, uint32_t slice)
{
        const __m512i one = _mm512_set1_epi8(1);
        size_t strip = p->packed_row * TILE_SIDE;
        const uint8_t *block = p->weights + slice / SLICES * (p->dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK);

        for (uint32_t n = 0; n < p->packed_row; n += 4) {
                int8_t *to = (int8_t *)p->panel + (size_t)n * TILE_SIDE;
                uint32_t rows = n < p->outputs ? p->outputs - n : 0;

                for (uint32_t j = 0; j < 4 && n + AHEAD + j < p->outputs; j++) {
                        const uint8_t *ahead = block + (n + AHEAD + j) * p->row_bytes;

                        _mm_prefetch((const char *)ahead, _MM_HINT_T0);
                        _mm_prefetch((const char *)ahead + LINE,
                                        _MM_HINT_T0); /* the scale; of a TQ1_0 block too */
                }
                if (p->dtype == QVF_TQ2_0) {
                        __m256i row[4];

                        UNROLL
                        for (uint32_t j = 0; j < 4; j++) {
                                const uint8_t *from = block + (n + j) * p->row_bytes;

                                row[j] = j < rows && !scale_is_zero(from + TQ2_SCALE)
                                                         ? _mm256_loadu_si256((
                                                                           const __m256i *)(from +
                                                                                            slice % SLICES *
                                                                                                            32))
                                                         : _mm256_set1_epi8(0x55);
                        }
                        unpack_tq2(row, to, strip);
                        continue;
                }
                for (uint32_t half = 0; half < HALVES; half++, to += 4 * strip) {
                        __m512i row[4];

                        for (uint32_t j = 0; j < 4; j++)
                                row[j] = j < rows ? _mm512_sub_epi8(tq1_slice(block + (n + j) * p->row_bytes,
                                                                                    slice % SLICES * HALVES +
                                                                                                    half),
                                                                    one)
                                                  : _mm512_setzero_si512();
                        unpack_tq1(row, to, strip);
                }
        }
}

static void store_block(
                const struct ternary_gradient *p, const int32_t *sums, uint32_t first, uint32_t column)
{
        uint32_t rows = p->rows - first < TILE_SIDE ? p->rows - first : TILE_SIDE;

        for (uint32_t r = 0; r < rows; r++) {
                const int32_t *q = sums + (size_t)r * BLOCK_SIDE, *rest = q + TILE_SIDE * BLOCK_SIDE;
                float *dx = p->dx + (size_t)(first + r) * p->columns + column;

                for (uint32_t c = 0; c < BLOCK_SIDE && column + c < p->columns; c += LANES) {
                        __mmask16 there = lanes_left(p->columns - column - c);
                        __m512 sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(rest + c)),
                                        _mm512_set1_ps(1 / LOST),
                                        _mm512_cvtepi32_ps(_mm512_load_si512(q + c)));

                        sum = _mm512_mul_ps(sum, _mm512_set1_ps(p->row[first + r].factor));
                        if (p->accumulate)
                                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, dx + c));
                        _mm512_mask_storeu_ps(dx + c, there, sum);
                }
        }
}

/* 16 rows of dy, 32 columns of dx: `pair` of a slice. */
static void run_block(const struct ternary_gradient *p, uint32_t block, uint32_t slice, uint32_t pair)
{
        _Alignas(64) int32_t sums[BLOCK_SIDE * BLOCK_SIDE];
        const int8_t *q = p->packed + (size_t)block * BLOCK_SIDE * p->packed_row;
        const int8_t *rest = q + TILE_SIDE * p->packed_row;
        const int8_t *left = (const int8_t *)p->panel + 2 * pair * TILE_SIDE * p->packed_row;
        const int8_t *right = left + TILE_SIDE * p->packed_row;
        uint32_t column = slice * SLICE + pair * BLOCK_SIDE;

        if (column >= p->columns)
                return;
        tiles_clear();
        for (size_t k = 0; k < p->packed_row; k += TILE_LINE) {
                tiles_load_columns(left + k * TILE_SIDE, right + k * TILE_SIDE);
                tiles_load_rows(q + k, rest + k, p->packed_row);
                tiles_multiply_bytes();
        }
        tiles_store(sums, BLOCK_SIDE * sizeof(*sums));
        store_block(p, sums, block * TILE_SIDE, column);
}

void cpu_amx_matmul_ternary_backward(const struct cpu_call *call)
{
        struct gradient_scratch scratch = scratch_of(call->operand[0].rows, call->operand[2].rows);
        struct ternary_gradient p = ternary_gradient_of(call, &scratch);
        uint32_t slices = (p.columns + SLICE - 1) / SLICE, blocks = block_count(p.rows);
        uint32_t groups = row_groups(slices, blocks, UNPACKING, call->n_threads);

        pack(call, &p);
        cpu_barrier(call);
        tiles_begin();
        for (uint32_t task = cpu_next(call); task < slices * groups; task = cpu_next(call)) {
                uint32_t slice = task / groups, group = task % groups;
                uint32_t begin = (uint32_t)((uint64_t)blocks * group / groups);
                uint32_t end = (uint32_t)((uint64_t)blocks * (group + 1) / groups);

                unpack(&p, slice);
                for (uint32_t block = begin; block < end; block++)
                        for (uint32_t pair = 0; pair < SLICE / BLOCK_SIDE; pair++)
                                run_block(&p, block, slice, pair);
                cpu_pause_point(call);
        }
        tiles_end();
}

size_t cpu_amx_matmul_ternary_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        struct gradient_scratch scratch = scratch_of(operands[0].rows, operands[2].rows);

        (void)op;
        return gradient_scratch_bytes(&scratch, operands[0].rows, n_threads);
}

bool cpu_amx_matmul_ternary_backward_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return cpu_avx512_matmul_ternary_backward_supports(op, operands);
}
