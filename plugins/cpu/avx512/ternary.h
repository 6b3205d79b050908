/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ternary weights: from a file's blocks into panels that the matrix kernels multiply from. A code is
 * a weight plus 1: 0, 1 or 2. */
#ifndef QVF_PLUGINS_CPU_AVX512_TERNARY_H
#define QVF_PLUGINS_CPU_AVX512_TERNARY_H

#include <stdbool.h>

#include "plugins/cpu/avx512/vector.h"
#include "qvf/dtype.h"
#include "qvf/ops.h"

#define TQ2_BLOCK 66u /* bytes of QVF_TERNARY_BLOCK weights, and where their scale stands */
#define TQ2_SCALE 64u
#define TQ1_BLOCK 54u
#define TQ1_SCALE 52u
#define TQ1_DIGITS 5u

static inline size_t ternary_row_bytes(uint32_t dtype, uint32_t columns)
{
        return (size_t)columns / QVF_TERNARY_BLOCK * (dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK);
}

/* A block whose scale is 0 has no weights but 0, whatever its codes say. */
static ALWAYS_INLINE bool scale_is_zero(const uint8_t *scale)
{
        uint16_t half;

        memcpy(&half, scale, sizeof(half));
        return (uint16_t)(half << 1) == 0;
}

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

static ALWAYS_INLINE void unpack_tq1_block(__m512i m[16], uint8_t *panel, size_t step)
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
                                _mm512_store_si512(out + n * next, digit);
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
                        unpack_tq1_block(m, panel, step);
                }
                panel += QVF_TERNARY_BLOCK / 4 * step;
        }
}

#endif
