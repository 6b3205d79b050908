/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary weights as tiles of columns: signed bytes, -1, 0 and 1. */
#ifndef QVF_PLUGINS_CPU_AMX_WEIGHTS_H
#define QVF_PLUGINS_CPU_AMX_WEIGHTS_H

#include "plugins/cpu/amx/tile.h"
#include "plugins/cpu/avx512/ternary.h"

#define TILES_EACH (QVF_TERNARY_BLOCK / TILE_LINE) /* tiles that a ternary block of 16 rows of W makes */

/* Code n of each byte, as a weight. With its bits l and h the weight's lowest bit is 1 + l and all others are 1 + h + l, in
 * the arithmetic of bits: one multiplication by a matrix of bits, whose rows stand here from the last to the first. (A code
 * 3, which no weight is stored as, becomes -2.) */
static ALWAYS_INLINE __m512i tq2_weights(__m512i codes, const unsigned n)
{
        const unsigned long long low = 1ull << 2 * n, both = 3ull << 2 * n;
        const unsigned long long rows = both * 0x0001010101010101ull | low << 56;

        return _mm512_gf2p8affine_epi64_epi8(codes, _mm512_set1_epi64((long long)rows), 0xff);
}

static ALWAYS_INLINE void tq2_tiles(__m512i m[16], int8_t *tiles)
{
        transpose_dwords(m);
        UNROLL
        for (unsigned j = 0; j < 16; j++) {
                int8_t *to = tiles + (size_t)(j / 8 * 32 + j % 8) * TILE_LINE;

                UNROLL
                for (unsigned n = 0; n < 4; n++)
                        _mm512_store_si512(to + (size_t)n * 8 * TILE_LINE, tq2_weights(m[j], n));
        }
}

/* One block, 256 columns, of `rows` rows (at most 16) of W that begin at `weights`: four tiles. Rows that are not there are
 * zeros. */
static ALWAYS_INLINE void unpack_tiles(
                uint32_t dtype, const uint8_t *weights, size_t row_bytes, uint32_t rows, int8_t *tiles)
{
        __m512i m[16];

        if (dtype == QVF_TQ2_0) {
                UNROLL
                for (unsigned i = 0; i < 16; i++)
                        m[i] = i < rows ? load_tq2(weights + i * row_bytes) : _mm512_set1_epi8(0x55);
                tq2_tiles(m, tiles);
        } else {
                UNROLL
                for (unsigned i = 0; i < 16; i++)
                        m[i] = i < rows ? load_tq1(weights + i * row_bytes) : _mm512_set1_epi8((char)128);
                unpack_tq1_block(m, (uint8_t *)tiles, TILE_LINE, 1);
        }
}

#endif
