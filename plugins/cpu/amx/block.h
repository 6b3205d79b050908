/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of 32 by 32 numbers as the matrix unit takes them: plugins/cpu/blocks/head_loss.h says what each is. A left factor
 * is two tiles of 16 rows one below the other, a right one two tiles of 16 columns side by side; of a split one the two
 * tiles of what is left out follow. */
#ifndef QVF_PLUGINS_CPU_AMX_BLOCK_H
#define QVF_PLUGINS_CPU_AMX_BLOCK_H

#include "plugins/cpu/amx/tile.h"
#include "plugins/cpu/lanes/lanes.h"

#define BLOCK_LOW (2 * TILE_BYTES)

static ALWAYS_INLINE __m512i to_bf16(floats first, floats second)
{
        return (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

static ALWAYS_INLINE floats from_bf16(__m256i halves)
{
        return (floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}

/* 32 numbers, and what they lose. */
static ALWAYS_INLINE void split(const float *from, floats *ret_high, floats *ret_low)
{
        floats first = load(from), second = load(from + LANES);
        __m512i high = to_bf16(first, second);

        *ret_high = (floats)high;
        *ret_low = (floats)to_bf16(first - from_bf16(_mm512_castsi512_si256(high)),
                        second - from_bf16(_mm512_extracti64x4_epi64(high, 1)));
}

static ALWAYS_INLINE void block_begin(void)
{
        tiles_begin();
}

static ALWAYS_INLINE void block_end(void)
{
        tiles_end();
}

static inline void block_left_split(const float *numbers, char *to)
{
        for (uint32_t i = 0; i < BLOCK_SIDE; i++) {
                floats high, low;

                split(numbers + i * BLOCK_SIDE, &high, &low);
                store((float *)(to + i * TILE_LINE), high);
                store((float *)(to + BLOCK_LOW + i * TILE_LINE), low);
        }
}

static inline void block_right_split(const float *numbers, char *to)
{
        for (uint32_t tile = 0; tile < 2; tile++, to += TILE_BYTES) {
                floats high[16], low[16];

                for (uint32_t i = 0; i < TILE_SIDE; i++)
                        split(numbers + (tile * TILE_SIDE + i) * BLOCK_SIDE, &high[i], &low[i]);
                transpose(high);
                transpose(low);
                for (uint32_t i = 0; i < TILE_SIDE; i++) {
                        store((float *)(to + i * TILE_LINE), high[i]);
                        store((float *)(to + BLOCK_LOW + i * TILE_LINE), low[i]);
                }
        }
}

static inline void block_right(const float *numbers, char *to)
{
        const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
                        39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);

        for (uint32_t i = 0; i < BLOCK_SIDE; i += 2) {
                const float *even = numbers + i * BLOCK_SIDE, *odd = even + BLOCK_SIDE;
                __m512i a = to_bf16(load(even), load(even + LANES)),
                        b = to_bf16(load(odd), load(odd + LANES));

                _mm512_store_si512(to + i / 2 * TILE_LINE, _mm512_permutex2var_epi16(a, order, b));
                _mm512_store_si512(to + TILE_BYTES + i / 2 * TILE_LINE,
                                _mm512_permutex2var_epi16(
                                                a, _mm512_add_epi16(order, _mm512_set1_epi16(16)), b));
        }
}

static inline void block_left_turned(const float *numbers, char *to)
{
        for (uint32_t tile = 0; tile < 2; tile++, to += TILE_BYTES) {
                floats pairs[16];

                for (uint32_t i = 0; i < 16; i++) {
                        const float *even = numbers + 2 * i * BLOCK_SIDE + tile * LANES;
                        __m256i low = (__m256i)_mm512_cvtneps_pbh((__m512)load(even));
                        __m256i high = (__m256i)_mm512_cvtneps_pbh((__m512)load(even + BLOCK_SIDE));

                        pairs[i] = (floats)_mm512_or_si512(_mm512_cvtepu16_epi32(low),
                                        _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
                }
                transpose(pairs);
                for (uint32_t i = 0; i < TILE_SIDE; i++)
                        store((float *)(to + i * TILE_LINE), pairs[i]);
        }
}

static inline void block_product_split(const char *left, const char *right, uint32_t count, float *sums)
{
        tiles_clear();
        for (uint32_t i = 0; i < count; i++) {
                tiles_load_rows(left + BLOCK_LOW, left + BLOCK_LOW + TILE_BYTES, TILE_LINE);
                tiles_load_columns(right, right + TILE_BYTES);
                tiles_multiply_bf16();
                tiles_load_rows(left, left + TILE_BYTES, TILE_LINE);
                tiles_multiply_bf16();
                tiles_load_columns(right + BLOCK_LOW, right + BLOCK_LOW + TILE_BYTES);
                tiles_multiply_bf16();
                left += 2 * BLOCK_LOW;
                right += 2 * BLOCK_LOW;
        }
        tiles_store(sums, BLOCK_SIDE * sizeof(float));
}

static inline void block_product(const char *left, const char *right, size_t right_step, uint32_t count,
                bool accumulate, float *sums)
{
        if (accumulate)
                tiles_load_sums(sums, BLOCK_SIDE * sizeof(float));
        else
                tiles_clear();
        for (uint32_t i = 0; i < count; i++) {
                tiles_load_rows(left, left + TILE_BYTES, TILE_LINE);
                tiles_load_columns(right, right + TILE_BYTES);
                tiles_multiply_bf16();
                left += BLOCK_LOW;
                right += right_step;
        }
        tiles_store(sums, BLOCK_SIDE * sizeof(float));
}

#endif
