/* SPDX-License-Identifier: Apache-2.0 */
/* y = W.scale · scale[r] · (W q). With codes c = W + 1 the product is Σ c q − Σ q: unsigned by signed bytes, which is
 * what vpmaddubsw multiplies; its sums of two products are at most 768 and are added up in 16 bits for a while.
 *
 * Few rows (decode): the weights are multiplied as they stand in the file. Many rows: a panel of weight rows is
 * unpacked once, and tiles of up to 4 rows of q run over it. Everything is exact in int32. */
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx2/ternary.h"

#define DECODE_ROWS 4u   /* up to here the weights are read without a panel */
#define AHEAD 8192u      /* bytes that decode prefetches ahead */
#define TILE_ROWS 4u     /* rows of q in a tile: with 16 rows of weights 8 of 16 registers are sums */
#define PANEL_ROWS 64u   /* rows of weights in a panel */
#define PANEL_BLOCKS 16u /* of columns: a panel is 260 KiB at most: half of a common L2 */
#define SIXTEENS 32u     /* steps before sums leave 16 bits: 32 · 768 < 32768 */
#define GROUPS 65u /* groups of 4 columns in a block, at most: 64, and one of TQ1_0 that is no column */

struct product { /* the operands by their names */
        float *y;
        const int8_t *q;
        const float *scale;
        const uint8_t *weights;
        uint32_t dtype;
        uint32_t rows, outputs, columns, blocks;
        size_t row_bytes;
        double weight_scale;
        uintptr_t end; /* of the weights that this thread reads: decode prefetches no further */
};

static struct product product_of(const struct cpu_call *call)
{
        const struct cpu_operand *w = &call->operand[3];

        return (struct product){
                .y = call->operand[0].data,
                .q = call->operand[1].data,
                .scale = call->operand[2].data,
                .weights = w->data,
                .dtype = w->dtype,
                .rows = call->rows,
                .outputs = w->rows,
                .columns = w->columns,
                .blocks = w->columns / QVF_TERNARY_BLOCK,
                .row_bytes = ternary_row_bytes(w->dtype, w->columns),
                .weight_scale = (double)w->scale,
        };
}

/* The product of the two scales as a float would move results across the ties of the next quantisation. */
static ALWAYS_INLINE float scaled(const struct product *p, uint32_t row, int32_t sum)
{
        return (float)(p->weight_scale * (double)p->scale[row] * sum);
}

/* Outputs n to n + W - 1 of R rows; q is in the order of order_columns(). */
static ALWAYS_INLINE void decode_outputs(const struct product *p, const int8_t *q, const int32_t *q_sums,
                uint32_t n, const uint32_t dtype, const unsigned W, const unsigned R)
{
        size_t block_bytes = dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK,
               q_bytes = ordered_bytes(dtype, p->blocks);
        const uint8_t *block = p->weights + n * p->row_bytes;
        __m256i acc[4];

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                acc[i] = _mm256_setzero_si256();
        for (uint32_t b = p->blocks; b > 0; b--, block += block_bytes, q += digits_of(dtype) * 2 * BYTES) {
                __m256i words[4], bytes[2][2];

                UNROLL
                for (unsigned w = 0; w < W; w++) {
                        uintptr_t ahead = (uintptr_t)block + w * p->row_bytes + AHEAD;

                        _mm_prefetch((const char *)(ahead < p->end ? ahead : p->end), _MM_HINT_T0);
                        load_block(dtype, block + w * p->row_bytes, bytes[w]);
                }
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        words[i] = _mm256_setzero_si256();
                UNROLL
                for (unsigned n_half = 0; n_half < 2 * digits_of(dtype); n_half++) {
                        UNROLL
                        for (unsigned w = 0; w < W; w++) {
                                __m256i codes = next_digit(dtype, &bytes[w][n_half % 2]);

                                UNROLL
                                for (unsigned r = 0; r < R; r++)
                                        words[w * R + r] = _mm256_add_epi16(words[w * R + r],
                                                        _mm256_maddubs_epi16(codes,
                                                                        load_bytes(q + r * q_bytes +
                                                                                        n_half * BYTES)));
                        }
                }
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        acc[i] = _mm256_add_epi32(acc[i], sum_pairs(words[i]));
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                p->y[(size_t)(i % R) * p->outputs + n + i / R] =
                                scaled(p, i % R, sum_lanes(acc[i]) - q_sums[i % R]);
}

static ALWAYS_INLINE void decode_range(const struct product *p, const int8_t *q, const int32_t *q_sums,
                uint32_t n, uint32_t end, const uint32_t dtype)
{
        for (; p->rows == 1 && n + 2 <= end; n += 2)
                decode_outputs(p, q, q_sums, n, dtype, 2, 1);
        for (; n < end; n++) {
                switch (p->rows) {
                case 1: decode_outputs(p, q, q_sums, n, dtype, 1, 1); break;
                case 2: decode_outputs(p, q, q_sums, n, dtype, 1, 2); break;
                case 3: decode_outputs(p, q, q_sums, n, dtype, 1, 3); break;
                default: decode_outputs(p, q, q_sums, n, dtype, 1, 4); break;
                }
        }
}

static size_t decode_scratch(uint32_t dtype, uint32_t blocks) /* of one thread */
{
        return round_up(DECODE_ROWS * ordered_bytes(dtype, blocks), LINE);
}

static void decode(const struct cpu_call *call, struct product *p)
{
        int8_t *q = (int8_t *)call->scratch + call->thread * decode_scratch(p->dtype, p->blocks);
        int32_t q_sums[DECODE_ROWS];
        uint32_t begin, end;

        cpu_share(call, p->outputs, 4, &begin, &end);
        if (begin == end)
                return;
        p->end = (uintptr_t)(p->weights + end * p->row_bytes) - 1;
        for (uint32_t r = 0; r < p->rows; r++) {
                const int8_t *row = p->q + (size_t)r * p->columns;

                q_sums[r] = sum_bytes(row, p->columns);
                order_columns(p->dtype, row, p->blocks, q + r * ordered_bytes(p->dtype, p->blocks));
        }
        if (p->dtype == QVF_TQ2_0)
                decode_range(p, q, q_sums, begin, end, QVF_TQ2_0);
        else
                decode_range(p, q, q_sums, begin, end, QVF_TQ1_0);
}

/* A panel has groups of 4 columns in the order in which unpacking finds them: by the 4 bytes that hold them, then by
 * digit. Where a group's columns begin; QVF_TERNARY_BLOCK: they are none. */
static uint32_t group_columns(uint32_t dtype, uint32_t columns[GROUPS])
{
        uint32_t count = 0;

        for (uint32_t j = 0; j < (dtype == QVF_TQ2_0 ? 16 : 13); j++)
                for (uint32_t n = 0; n < digits_of(dtype); n++)
                        if (dtype == QVF_TQ2_0)
                                columns[count++] = j / 8 * 128 + 32 * n + j % 8 * 4;
                        else if (j < 8)
                                columns[count++] = 32 * n + 4 * j;
                        else
                                columns[count++] = j < 12 ? 160 + 16 * n + 4 * (j - 8) : 240 + 4 * n;
        return count;
}

static uint32_t groups_of(uint32_t dtype)
{
        return dtype == QVF_TQ2_0 ? 64 : 65;
}

static uint32_t tile_count(const struct product *p)
{
        return (p->rows + TILE_ROWS - 1) / TILE_ROWS;
}

static uint32_t tile_begin(const struct product *p, uint32_t tile)
{
        return (uint32_t)((uint64_t)p->rows * tile / tile_count(p));
}

/* Bytes of a row of q in panel order. */
static size_t packed_row(const struct product *p)
{
        return (size_t)p->blocks * groups_of(p->dtype) * 4;
}

static void pack_rows(const struct cpu_call *call, const struct product *p, int8_t *packed, int32_t *q_sums)
{
        uint32_t begin, end, columns[GROUPS], groups = group_columns(p->dtype, columns);

        cpu_share(call, tile_count(p), 1, &begin, &end);
        for (uint32_t tile = begin; tile < end; tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t r = 0; r < rows; r++) {
                        const int8_t *q = p->q + (size_t)(first + r) * p->columns;
                        int8_t *to = packed + first * packed_row(p) + 4 * r;

                        q_sums[first + r] = sum_bytes(q, p->columns);
                        for (uint32_t b = 0; b < p->blocks; b++, q += QVF_TERNARY_BLOCK)
                                for (uint32_t g = 0; g < groups; g++, to += 4 * rows) {
                                        if (columns[g] < QVF_TERNARY_BLOCK)
                                                memcpy(to, q + columns[g], 4);
                                        else
                                                memset(to, 0, 4);
                                }
                }
        }
}

/* 8 weight rows of a panel of 16: [group][2][8 rows][4 codes]. */
static ALWAYS_INLINE void unpack_rows(const struct product *p, const uint8_t *weights, uint32_t rows,
                uint32_t blocks, uint8_t *panel, const uint32_t dtype)
{
        for (uint32_t b = 0; b < blocks; b++) {
                __m256i m[2][8];

                for (uint32_t i = 0; i < 8; i++) {
                        __m256i bytes[2];

                        load_block(dtype, weights + (i < rows ? i : 0) * p->row_bytes, bytes);
                        m[0][i] = bytes[0];
                        m[1][i] = bytes[1];
                }
                transpose_dwords(m[0]);
                transpose_dwords(m[1]);
                for (uint32_t j = 0; j < (dtype == QVF_TQ2_0 ? 16 : 13); j++) {
                        UNROLL
                        for (uint32_t n = 0; n < digits_of(dtype); n++, panel += 2 * BYTES)
                                _mm256_store_si256((__m256i *)panel, next_digit(dtype, &m[j / 8][j % 8]));
                }
                weights += dtype == QVF_TQ1_0 ? TQ1_BLOCK : TQ2_BLOCK;
        }
}

/* acc[2r + h]: Σ code · q of row r of the tile and weight rows 8h … 8h + 7. */
static ALWAYS_INLINE void multiply_tile(
                const uint8_t *panel, const int8_t *q, uint32_t groups, const unsigned R, __m256i acc[])
{
        while (groups > 0) {
                uint32_t steps = groups < SIXTEENS ? groups : SIXTEENS;
                __m256i words[2 * TILE_ROWS];

                groups -= steps;
                UNROLL
                for (unsigned i = 0; i < 2 * R; i++)
                        words[i] = _mm256_setzero_si256();
                for (; steps > 0; steps--, panel += 2 * BYTES, q += 4 * R) {
                        __m256i low = _mm256_load_si256((const __m256i *)panel);
                        __m256i high = _mm256_load_si256((const __m256i *)(panel + BYTES));

                        UNROLL
                        for (unsigned r = 0; r < R; r++) {
                                int32_t four;
                                __m256i partner;

                                memcpy(&four, q + 4 * r, 4);
                                partner = _mm256_set1_epi32(four);
                                words[2 * r] = _mm256_add_epi16(
                                                words[2 * r], _mm256_maddubs_epi16(low, partner));
                                words[2 * r + 1] = _mm256_add_epi16(
                                                words[2 * r + 1], _mm256_maddubs_epi16(high, partner));
                        }
                }
                UNROLL
                for (unsigned i = 0; i < 2 * R; i++)
                        acc[i] = _mm256_add_epi32(acc[i], sum_pairs(words[i]));
        }
}

struct tile { /* one tile's work on a panel of 16 rows */
        const uint8_t *panel;
        const int8_t *q; /* packed, from the panel's first group on */
        const int32_t *q_sums;
        uint32_t first_row, output, outputs, groups;
        bool first, last; /* part of the columns: sums in between wait in y as integers */
};

static ALWAYS_INLINE void run_tile(const struct product *p, const struct tile *t, const unsigned R)
{
        __m256i acc[2 * TILE_ROWS];
        int32_t sums[2 * LANES];

        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                acc[i] = _mm256_setzero_si256();
        multiply_tile(t->panel, t->q, t->groups, R, acc);
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                uint32_t row = t->first_row + r;
                float *y = p->y + (size_t)row * p->outputs + t->output;

                _mm256_storeu_si256((__m256i *)sums, acc[2 * r]);
                _mm256_storeu_si256((__m256i *)(sums + LANES), acc[2 * r + 1]);
                for (uint32_t i = 0; i < 2 * LANES && i < t->outputs; i++) {
                        int32_t before = 0;

                        if (!t->first)
                                memcpy(&before, &y[i], sizeof(before));
                        before += sums[i];
                        if (t->last)
                                y[i] = scaled(p, row, before - t->q_sums[row]);
                        else
                                memcpy(&y[i], &before, sizeof(before));
                }
        }
}

static void run_any_tile(const struct product *p, const struct tile *t, uint32_t rows)
{
        switch (rows) {
        case 1: run_tile(p, t, 1); break;
        case 2: run_tile(p, t, 2); break;
        case 3: run_tile(p, t, 3); break;
        default: run_tile(p, t, 4); break;
        }
}

/* Blocks [begin, begin + blocks) of the outputs of a panel, for all rows of q. */
static void run_panel(const struct product *p, uint8_t *panel, const int8_t *packed, const int32_t *q_sums,
                uint32_t output, uint32_t begin, uint32_t blocks)
{
        uint32_t outputs = p->outputs - output < PANEL_ROWS ? p->outputs - output : PANEL_ROWS;
        uint32_t groups = blocks * groups_of(p->dtype);
        size_t skip = begin * (p->row_bytes / p->blocks);

        for (uint32_t i = 0; i < outputs; i += 8) {
                uint8_t *to = panel + i / 16 * (size_t)groups * 2 * BYTES + i % 16 / 8 * BYTES;
                const uint8_t *from = p->weights + (output + i) * p->row_bytes + skip;

                if (p->dtype == QVF_TQ2_0)
                        unpack_rows(p, from, outputs - i, blocks, to, QVF_TQ2_0);
                else
                        unpack_rows(p, from, outputs - i, blocks, to, QVF_TQ1_0);
        }
        for (uint32_t tile = 0; tile < tile_count(p); tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t i = 0; i < outputs; i += 16) {
                        struct tile t = {
                                .panel = panel + i / 16 * (size_t)groups * 2 * BYTES,
                                .q = packed + first * packed_row(p) +
                                     (size_t)begin * groups_of(p->dtype) * 4 * rows,
                                .q_sums = q_sums,
                                .first_row = first,
                                .output = output + i,
                                .outputs = outputs - i,
                                .groups = groups,
                                .first = begin == 0,
                                .last = begin + blocks == p->blocks,
                        };

                        run_any_tile(p, &t, rows);
                }
        }
}

static size_t panel_bytes(const struct product *p)
{
        return (size_t)PANEL_ROWS * 4 * groups_of(p->dtype) *
               (p->blocks < PANEL_BLOCKS ? p->blocks : PANEL_BLOCKS);
}

static void prompt(const struct cpu_call *call, const struct product *p)
{
        size_t packed_bytes = round_up(p->rows * packed_row(p), LINE);
        int8_t *packed = call->scratch;
        int32_t *q_sums = (int32_t *)(packed + packed_bytes);
        uint8_t *panel = (uint8_t *)packed + packed_bytes + round_up(p->rows * sizeof(*q_sums), LINE) +
                         call->thread * panel_bytes(p);

        pack_rows(call, p, packed, q_sums);
        cpu_barrier(call);
        for (;;) {
                uint64_t output = (uint64_t)cpu_next(call) * PANEL_ROWS;

                if (output >= p->outputs)
                        break;
                for (uint32_t begin = 0; begin < p->blocks; begin += PANEL_BLOCKS) {
                        uint32_t left = p->blocks - begin;

                        run_panel(p, panel, packed, q_sums, (uint32_t)output, begin,
                                        left < PANEL_BLOCKS ? left : PANEL_BLOCKS);
                        cpu_pause_point(call);
                }
        }
}

void cpu_avx2_matmul_ternary(const struct cpu_call *call)
{
        struct product p = product_of(call);

        if (p.rows <= DECODE_ROWS)
                decode(call, &p);
        else
                prompt(call, &p);
}

size_t cpu_avx2_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        const struct cpu_operand *w = &operands[3];
        struct product p = { .dtype = w->dtype, .blocks = w->columns / QVF_TERNARY_BLOCK };
        size_t rows = operands[1].rows, few = n_threads * decode_scratch(p.dtype, p.blocks);
        size_t many = round_up(rows * packed_row(&p), LINE) + round_up(rows * sizeof(int32_t), LINE) +
                      n_threads * panel_bytes(&p);

        (void)op;
        return few > many ? few : many;
}

bool cpu_avx2_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        const struct cpu_operand *w = &operands[3];

        (void)op;
        return (w->dtype == QVF_TQ2_0 || w->dtype == QVF_TQ1_0) && !w->packed && !w->block_scales &&
               w->columns % QVF_TERNARY_BLOCK == 0 && w->columns > 0;
}
