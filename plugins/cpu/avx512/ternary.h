/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ternary weights: from a file's blocks into panels that the matrix kernels multiply from. A code is
 * a weight plus 1: 0, 1 or 2. */
#ifndef QVF_PLUGINS_CPU_AVX512_TERNARY_H
#define QVF_PLUGINS_CPU_AVX512_TERNARY_H

#include "plugins/cpu/avx512/vector.h"
#include "plugins/cpu/lanes/ternary.h"

#define TILE_ROWS 12u /* rows of q in a tile: with 2 vectors of codes they fill 24 of 32 registers */

/* Keeps a compiler from copying what follows into both ways of the rare branch before it. */
#define keep_together(vector) __asm__("" : "+v"(vector))

static ALWAYS_INLINE __m512i load_tq2(const uint8_t *block)
{
        __m512i codes = _mm512_loadu_si512(block);

        if (__builtin_expect(scale_is_zero(block + TQ2_SCALE), 0))
                codes = _mm512_set1_epi8(0x55);
        keep_together(codes);
        return codes;
}

/* The 52 bytes of digits; 128 is what 1 1 1 1 1 is stored as. */
static ALWAYS_INLINE __m512i load_tq1(const uint8_t *block)
{
        __m512i bytes = _mm512_maskz_loadu_epi8(0xfffffffffffffull, block);

        if (__builtin_expect(scale_is_zero(block + TQ1_SCALE), 0))
                bytes = _mm512_set1_epi8((char)128);
        keep_together(bytes);
        return bytes;
}

/* Panel of 16 rows: columns / 4 vectors, vector k holding 4 codes (of columns 4k … 4k + 3) of each row. */
static ALWAYS_INLINE void unpack_tq2_block(__m512i m[16], uint8_t *panel, size_t step)
{
        const __m512i three = _mm512_set1_epi8(3);

        transpose_dwords(m);
        UNROLL
        for (unsigned j = 0; j < 16; j++) {
                uint8_t *out = panel + (j / 8 * 32 + j % 8) * step;

                _mm512_store_si512(out, _mm512_and_si512(m[j], three));
                _mm512_store_si512(out + 8 * step, _mm512_and_si512(_mm512_srli_epi16(m[j], 2), three));
                _mm512_store_si512(out + 16 * step, _mm512_and_si512(_mm512_srli_epi16(m[j], 4), three));
                _mm512_store_si512(out + 24 * step, _mm512_and_si512(_mm512_srli_epi16(m[j], 6), three));
        }
}

/* The same, minus `less`. */
static ALWAYS_INLINE void unpack_tq1_block(__m512i m[16], uint8_t *panel, size_t step, const char less)
{
        const __m512i one = _mm512_set1_epi8(1);
        const __m512i third = _mm512_set1_epi8(86), thirds = _mm512_set1_epi8((char)171);

        transpose_dwords(m);
        UNROLL
        for (unsigned j = 0; j < 13; j++) {
                uint8_t *out = panel + (j < 8 ? j : j < 12 ? 40 + j - 8 : 60) * step;
                size_t next = (j < 8 ? 8 : j < 12 ? 4 : 1) * step;
                __m512i t = m[j];

                UNROLL
                for (unsigned n = 0; n < TQ1_DIGITS; n++) {
                        /* 3t / 256 is 1 from 86 on and 2 from 171 on */
                        __m512i digit = _mm512_maskz_mov_epi8(_mm512_cmpge_epu8_mask(t, third), one);

                        digit = _mm512_mask_add_epi8(digit, _mm512_cmpge_epu8_mask(t, thirds), one, one);
                        if (j < 12 || n < TQ1_DIGITS - 1)
                                _mm512_store_si512(out + n * next,
                                                less ? _mm512_sub_epi8(digit, _mm512_set1_epi8(less))
                                                     : digit);
                        t = _mm512_add_epi8(t, _mm512_add_epi8(t, t));
                }
        }
}

/* Unpacks `rows` (at most 16) weight rows, `blocks` blocks of each; rows that are not there get the code 1.
 * Vectors of the panel stand `step` bytes apart. */
static inline void unpack_panel(uint32_t dtype, const uint8_t *weights, size_t row_bytes, unsigned rows,
                uint32_t blocks, uint8_t *panel, size_t step)
{
        for (uint32_t b = 0; b < blocks; b++) {
                __m512i m[16];

                if (dtype == QVF_TQ2_0) {
                        for (unsigned i = 0; i < 16; i++)
                                m[i] = i < rows ? load_tq2(weights + i * row_bytes + b * TQ2_BLOCK)
                                                : _mm512_set1_epi8(0x55);
                        unpack_tq2_block(m, panel, step);
                } else {
                        for (unsigned i = 0; i < 16; i++)
                                m[i] = i < rows ? load_tq1(weights + i * row_bytes + b * TQ1_BLOCK)
                                                : _mm512_set1_epi8((char)128);
                        unpack_tq1_block(m, panel, step, 0);
                }
                panel += QVF_TERNARY_BLOCK / 4 * step;
        }
}

/* Lays 64 columns of `rows` (at most 16) rows of bytes out as multiply_tile() reads them: for 4 columns at a time, their
 * bytes of each row; of the 16 fours the first `fours`. Whole vectors are stored in rising order, so that what one
 * writes too much the next writes over; in the last columns of a tile, which another thread's may follow, they are cut. */
static ALWAYS_INLINE void store_packed(__m512i m[16], int8_t *to, uint32_t rows, uint32_t fours, bool last)
{
        transpose_dwords(m);
        if (!last) {
                UNROLL
                for (unsigned j = 0; j < 16; j++)
                        _mm512_storeu_si512(to + (size_t)j * 4 * rows, m[j]);
                return;
        }
        UNROLL
        for (unsigned j = 0; j < 16; j++)
                if (j < fours)
                        _mm512_mask_storeu_epi32(to + (size_t)j * 4 * rows, lanes_left(rows), m[j]);
}

/* acc[2r + h] += Σ code · q of row r of the tile and rows 16h … 16h + 15 of a panel of 32. */
static ALWAYS_INLINE void multiply_tile(
                const uint8_t *panel, const int8_t *q, uint32_t columns, const unsigned R, __m512i acc[])
{
        for (uint32_t k = 0; k < columns; k += 4) {
                __m512i low = _mm512_load_si512(panel), high = _mm512_load_si512(panel + LINE);

                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        int32_t four;
                        __m512i partner;

                        memcpy(&four, q + 4 * r, 4);
                        partner = _mm512_set1_epi32(four);
                        acc[2 * r] = _mm512_dpbusd_epi32(acc[2 * r], low, partner);
                        acc[2 * r + 1] = _mm512_dpbusd_epi32(acc[2 * r + 1], high, partner);
                }
                panel += 2 * LINE;
                q += 4 * R;
        }
}

/* Codes of columns 64 · slice to 64 · slice + 63 of a block. */
static ALWAYS_INLINE __m512i tq2_slice(const uint8_t *block, unsigned slice)
{
        __m512i bytes = _mm512_broadcast_i64x4(
                        _mm256_loadu_si256((const __m256i *)(block + slice / 2 * 32)));
        __m256i low = _mm256_set1_epi64x((long long)(slice % 2 * 4));
        __m512i shift = _mm512_inserti64x4(
                        _mm512_castsi256_si512(low), _mm256_add_epi64(low, _mm256_set1_epi64x(2)), 1);

        if (__builtin_expect(scale_is_zero(block + TQ2_SCALE), 0))
                return _mm512_set1_epi8(1);
        return _mm512_and_si512(_mm512_srlv_epi64(bytes, shift), _mm512_set1_epi8(3));
}

/* The bytes that hold a slice, and what they are to be multiplied by: 3ⁿ in each 16 bits for digit n. */
static ALWAYS_INLINE __m512i tq1_slice_bytes(const uint8_t *block, unsigned slice, __m512i *ret_powers)
{
        __m256i wide = _mm256_loadu_si256((const __m256i *)block);
        __m128i narrow = _mm_loadu_si128((const __m128i *)(block + 32));
        __m256i twice = _mm256_broadcastsi128_si256(narrow);
        __m256i low, high;
        int32_t last;

        memcpy(&last, block + 48, sizeof(last));
        switch (slice) {
        case 0:
        case 1:
                low = _mm256_set1_epi16(slice == 0 ? 1 : 9);
                high = _mm256_set1_epi16(slice == 0 ? 3 : 27);
                twice = wide;
                break;
        case 2:
                low = _mm256_set1_epi16(81);
                high = _mm256_setr_epi16(1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3);
                break;
        default:
                low = _mm256_setr_epi16(9, 9, 9, 9, 9, 9, 9, 9, 27, 27, 27, 27, 27, 27, 27, 27);
                high = _mm256_setr_epi16(81, 81, 81, 81, 81, 81, 81, 81, 1, 1, 3, 3, 9, 9, 27, 27);
                wide = twice;
                twice = _mm256_inserti128_si256(twice, _mm_set1_epi32(last), 1);
                break;
        }
        *ret_powers = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
        return _mm512_inserti64x4(_mm512_castsi256_si512(wide), twice, 1);
}

static ALWAYS_INLINE __m512i tq1_slice(const uint8_t *block, unsigned slice)
{
        const __m512i one = _mm512_set1_epi8(1), even = _mm512_set1_epi16(255);
        __m512i powers, bytes = tq1_slice_bytes(block, slice, &powers), t, digit;

        if (__builtin_expect(scale_is_zero(block + TQ1_SCALE), 0))
                return one;
        t = _mm512_or_si512(_mm512_and_si512(_mm512_mullo_epi16(bytes, powers), even),
                        _mm512_mullo_epi16(_mm512_andnot_si512(even, bytes), powers));
        digit = _mm512_maskz_mov_epi8(_mm512_cmpge_epu8_mask(t, _mm512_set1_epi8(86)), one);
        return _mm512_mask_add_epi8(digit, _mm512_cmpge_epu8_mask(t, _mm512_set1_epi8((char)171)), one, one);
}

/* Four rows of 64 codes become 4 vectors with 16 columns each, the 4 codes of a column side by side. */
static ALWAYS_INLINE void interleave_rows(const __m512i row[4], __m512i columns[4])
{
        __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]), high01 = _mm512_unpackhi_epi8(row[0], row[1]);
        __m512i low23 = _mm512_unpacklo_epi8(row[2], row[3]), high23 = _mm512_unpackhi_epi8(row[2], row[3]);
        __m512i w0 = _mm512_unpacklo_epi16(low01, low23), w1 = _mm512_unpackhi_epi16(low01, low23);
        __m512i w2 = _mm512_unpacklo_epi16(high01, high23), w3 = _mm512_unpackhi_epi16(high01, high23);
        /* w[i] lane l holds columns 16l + 4i … 16l + 4i + 3 */
        __m512i a = _mm512_shuffle_i32x4(w0, w1, 0x88), b = _mm512_shuffle_i32x4(w0, w1, 0xdd);
        __m512i c = _mm512_shuffle_i32x4(w2, w3, 0x88), d = _mm512_shuffle_i32x4(w2, w3, 0xdd);

        /* a = w0.0 w0.2 w1.0 w1.2, b = w0.1 w0.3 w1.1 w1.3 */
        columns[0] = _mm512_shuffle_i32x4(a, c, 0x88);
        columns[1] = _mm512_shuffle_i32x4(b, d, 0x88);
        columns[2] = _mm512_shuffle_i32x4(a, c, 0xdd);
        columns[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

#endif
