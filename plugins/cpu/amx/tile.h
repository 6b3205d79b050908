/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix unit: a block of 32 by 32 sums in four tiles, fed with two tiles of rows and two of columns.
 *
 * A tile has 16 rows of 64 bytes. Of the left factor these are 16 rows of 64 bytes or of 32 bf16; of the right factor 16
 * columns of the product, each row holding four bytes or two bf16 of each column one after the other; of the sums 16 by 16
 * int32 or float32. Sums of bytes are exact. Those of bf16 are rounded: of the products of two rows of tiles the even and the
 * odd ones are summed each by itself, as fused multiplications do, then the two are added to each other, and that to the sum;
 * numbers below the smallest normal one are 0 throughout.
 *
 * QVF_AMX_MODEL: the same in plain C, for machines without the unit. */
#ifndef QVF_PLUGINS_CPU_AMX_TILE_H
#define QVF_PLUGINS_CPU_AMX_TILE_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <immintrin.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define TILE_SIDE 16u /* rows of a tile, and columns of the product that it stands for */
#define TILE_LINE 64u /* bytes of a row */
#define TILE_BYTES (TILE_SIDE * TILE_LINE)
#define BLOCK_SIDE (2 * TILE_SIDE) /* of the block of sums */
#define TILE_PAIRS (TILE_LINE / 4) /* pairs of bf16 in a row */

/* Where the tiles are: sums 0 1 / 2 3, rows 4 and 5, columns 6 and 7. */
enum { TILE_ROWS_0 = 4, TILE_ROWS_1, TILE_COLUMNS_0, TILE_COLUMNS_1, TILE_COUNT };

#ifndef QVF_AMX_MODEL
struct tile_settings { /* as LDTILECFG reads them */
        uint8_t palette, start_row, unused[14];
        uint16_t line_bytes[16];
        uint8_t rows[16];
};

/* Before a thread's first tile. */
static inline void tiles_begin(void)
{
        struct tile_settings settings = { .palette = 1 };

        for (unsigned i = 0; i < TILE_COUNT; i++) {
                settings.line_bytes[i] = TILE_LINE;
                settings.rows[i] = TILE_SIDE;
        }
        __asm__ volatile("ldtilecfg %0" : : "m"(settings));
}

/* Behind its last one: what is in the tiles need not be kept when threads change. */
static inline void tiles_end(void)
{
        __asm__ volatile("tilerelease");
}

#define TILE_LOAD(tile, from, stride)                                                                       \
        __asm__ volatile("tileloadd (%0,%1,1), %%tmm" tile : : "r"(from), "r"(stride) : "memory")
#define TILE_STORE(tile, to, stride)                                                                        \
        __asm__ volatile("tilestored %%tmm" tile ", (%0,%1,1)" : : "r"(to), "r"(stride) : "memory")

static ALWAYS_INLINE void tiles_clear(void)
{
        __asm__ volatile("tilezero %tmm0; tilezero %tmm1; tilezero %tmm2; tilezero %tmm3");
}

/* Lines `stride` bytes apart. */
static ALWAYS_INLINE void tiles_load_rows(const void *first, const void *second, size_t stride)
{
        TILE_LOAD("4", first, stride);
        TILE_LOAD("5", second, stride);
}

static ALWAYS_INLINE void tiles_load_some_rows(const void *first, size_t stride)
{
        TILE_LOAD("4", first, stride);
}

static ALWAYS_INLINE void tiles_load_columns(const void *first, const void *second)
{
        TILE_LOAD("6", first, (size_t)TILE_LINE);
        TILE_LOAD("7", second, (size_t)TILE_LINE);
}

static ALWAYS_INLINE void tiles_multiply_bytes(void) /* signed by signed */
{
        __asm__ volatile("tdpbssd %tmm6, %tmm4, %tmm0; tdpbssd %tmm7, %tmm4, %tmm1;"
                         "tdpbssd %tmm6, %tmm5, %tmm2; tdpbssd %tmm7, %tmm5, %tmm3");
}

static ALWAYS_INLINE void tiles_multiply_some_bytes(void) /* the first 16 rows alone */
{
        __asm__ volatile("tdpbssd %tmm6, %tmm4, %tmm0; tdpbssd %tmm7, %tmm4, %tmm1");
}

static ALWAYS_INLINE void tiles_multiply_bf16(void)
{
        __asm__ volatile("tdpbf16ps %tmm6, %tmm4, %tmm0; tdpbf16ps %tmm7, %tmm4, %tmm1;"
                         "tdpbf16ps %tmm6, %tmm5, %tmm2; tdpbf16ps %tmm7, %tmm5, %tmm3");
}

/* Goes on from sums as tiles_store() left them. */
static ALWAYS_INLINE void tiles_load_sums(const void *block, size_t stride)
{
        const char *low = (const char *)block + TILE_SIDE * stride;

        TILE_LOAD("0", block, stride);
        TILE_LOAD("1", (const char *)block + TILE_LINE, stride);
        TILE_LOAD("2", low, stride);
        TILE_LOAD("3", low + TILE_LINE, stride);
}

/* To a block of 32 by 32 numbers of four bytes, its rows `stride` bytes apart. */
static ALWAYS_INLINE void tiles_store(void *block, size_t stride)
{
        char *low = (char *)block + TILE_SIDE * stride;

        TILE_STORE("0", block, stride);
        TILE_STORE("1", (char *)block + TILE_LINE, stride);
        TILE_STORE("2", low, stride);
        TILE_STORE("3", low + TILE_LINE, stride);
}
#else
union tile_model {
        int8_t bytes[TILE_SIDE][TILE_LINE];
        uint16_t halves[TILE_SIDE][TILE_LINE / 2];
        int32_t ints[TILE_SIDE][TILE_LINE / 4];
        float floats[TILE_SIDE][TILE_LINE / 4];
};

static _Thread_local union tile_model tile_models[TILE_COUNT];

static inline void tiles_begin(void)
{
        memset(tile_models, 0, sizeof(tile_models));
}

static inline void tiles_end(void)
{
        memset(tile_models, 0xff, sizeof(tile_models));
}

static inline void tiles_clear(void)
{
        memset(tile_models, 0, TILE_ROWS_0 * sizeof(*tile_models));
}

static inline void tile_load(unsigned tile, const void *from, size_t stride)
{
        for (unsigned i = 0; i < TILE_SIDE; i++)
                memcpy(tile_models[tile].bytes[i], (const char *)from + i * stride, TILE_LINE);
}

static inline void tiles_load_rows(const void *first, const void *second, size_t stride)
{
        tile_load(TILE_ROWS_0, first, stride);
        tile_load(TILE_ROWS_1, second, stride);
}

static inline void tiles_load_some_rows(const void *first, size_t stride)
{
        tile_load(TILE_ROWS_0, first, stride);
}

static inline void tiles_load_columns(const void *first, const void *second)
{
        tile_load(TILE_COLUMNS_0, first, TILE_LINE);
        tile_load(TILE_COLUMNS_1, second, TILE_LINE);
}

static inline void tile_multiply_bytes(unsigned sums, unsigned rows, unsigned columns)
{
        for (unsigned i = 0; i < TILE_SIDE; i++)
                for (unsigned k = 0; k < TILE_LINE; k++)
                        for (unsigned j = 0; j < TILE_SIDE; j++)
                                tile_models[sums].ints[i][j] +=
                                                tile_models[rows].bytes[i][k] *
                                                tile_models[columns].bytes[k / 4][4 * j + k % 4];
}

static inline float tile_normal(float number)
{
        return fabsf(number) < FLT_MIN ? copysignf(0, number) : number;
}

static inline float tile_bf16(uint16_t half)
{
        uint32_t bits = (uint32_t)half << 16;
        float number;

        memcpy(&number, &bits, sizeof(number));
        return tile_normal(number);
}

static inline void tile_multiply_bf16(unsigned sums, unsigned rows, unsigned columns)
{
        for (unsigned i = 0; i < TILE_SIDE; i++) {
                const uint16_t *left = tile_models[rows].halves[i];
                float *to = tile_models[sums].floats[i], sum[2 * TILE_SIDE] = { 0 };

                for (unsigned k = 0; k < TILE_PAIRS; k++)
                        for (unsigned j = 0; j < 2 * TILE_SIDE; j++)
                                sum[j] = tile_normal(fmaf(tile_bf16(left[2 * k + j % 2]),
                                                tile_bf16(tile_models[columns].halves[k][j]), sum[j]));
                for (unsigned j = 0; j < TILE_SIDE; j++)
                        to[j] = tile_normal(tile_normal(to[j]) + tile_normal(sum[2 * j] + sum[2 * j + 1]));
        }
}

static inline void tiles_multiply_some_bytes(void)
{
        tile_multiply_bytes(0, TILE_ROWS_0, TILE_COLUMNS_0);
        tile_multiply_bytes(1, TILE_ROWS_0, TILE_COLUMNS_1);
}

static inline void tiles_multiply_bytes(void)
{
        tiles_multiply_some_bytes();
        tile_multiply_bytes(2, TILE_ROWS_1, TILE_COLUMNS_0);
        tile_multiply_bytes(3, TILE_ROWS_1, TILE_COLUMNS_1);
}

static inline void tiles_multiply_bf16(void)
{
        tile_multiply_bf16(0, TILE_ROWS_0, TILE_COLUMNS_0);
        tile_multiply_bf16(1, TILE_ROWS_0, TILE_COLUMNS_1);
        tile_multiply_bf16(2, TILE_ROWS_1, TILE_COLUMNS_0);
        tile_multiply_bf16(3, TILE_ROWS_1, TILE_COLUMNS_1);
}

static inline void tiles_load_sums(const void *block, size_t stride)
{
        for (unsigned tile = 0; tile < TILE_ROWS_0; tile++)
                tile_load(tile, (const char *)block + tile / 2 * TILE_SIDE * stride + tile % 2 * TILE_LINE,
                                stride);
}

static inline void tiles_store(void *block, size_t stride)
{
        for (unsigned tile = 0; tile < TILE_ROWS_0; tile++)
                for (unsigned i = 0; i < TILE_SIDE; i++)
                        memcpy((char *)block + (tile / 2 * TILE_SIDE + i) * stride + tile % 2 * TILE_LINE,
                                        tile_models[tile].bytes[i], TILE_LINE);
}
#endif

#endif
