/* SPDX-License-Identifier: Apache-2.0 */
/* y = W.scale · scale[r] · (W q). With codes c = W + 1 the product is Σ c q − Σ q: unsigned by signed bytes, which is
 * what the hardware multiplies.
 *
 * Few rows (decode): the weights are multiplied as they stand in the file. Many rows: a panel of weight rows is
 * unpacked once, and tiles of rows of q run over it. Everything is exact in int32. */
#include "plugins/cpu/bytes/few.h"

#define AHEAD 6144u      /* bytes that decode prefetches ahead */
#define PANEL_ROWS 64u   /* rows of weights in a panel */
#define PANEL_BLOCKS 16u /* of columns: a panel is 260 KiB at most: half of a common L2 */

/* sums · W.scale · scale[row]; what the product of the scales loses as a float is added again: without it results
 * would come to the other side of the ties of the next quantisation. */
static ALWAYS_INLINE floats scaled(const struct ternary_product *p, uint32_t row, ints sums)
{
        floats numbers = from_integers(sums);
#if FUSED
        struct ternary_factor factor = ternary_factor(p, row);

        return fma_of(numbers, all(factor.high), numbers * all(factor.low));
#else
        double factor = (double)p->weight_scale * (double)p->scale[row];
        float each[LANES];

        store(each, numbers);
        return floats_of(load_doubles(each) * factor, load_doubles(each + LANES / 2) * factor);
#endif
}

static int32_t sum_row(const int8_t *q, uint32_t columns)
{
        const words one = 1 - (words){ 0 };
        ints sum = { 0 };

        for (uint32_t c = 0; c < columns; c += BYTES)
                sum += sum_pairs(multiply_pairs(all_codes(1), load_codes(q + c)), one);
        return sum_ints(sum);
}

/* A row of q in the order in which decode meets the codes of a block: chunk by chunk, digit by digit; zeros where there
 * is no column. */
static inline void order_columns(uint32_t dtype, const int8_t *q, uint32_t blocks, int8_t *to)
{
        for (uint32_t b = 0; b < blocks; b++, q += QVF_TERNARY_BLOCK)
                for (uint32_t k = 0; k < CHUNKS; k++)
                        for (uint32_t n = 0; n < digits_of(dtype); n++)
                                for (uint32_t i = k * BYTES; i < (k + 1) * BYTES; i += 16, to += 16) {
                                        uint32_t column = column_of(dtype, i, n);

                                        if (dtype != QVF_TQ1_0 || i < 48) {
                                                memcpy(to, q + column, 16);
                                                continue;
                                        }
                                        memset(to, 0, 16);
                                        if (column < QVF_TERNARY_BLOCK)
                                                memcpy(to, q + column, 4);
                                }
}

static ALWAYS_INLINE size_t ordered_block(const uint32_t dtype) /* bytes of a block in that order */
{
        return (size_t)CHUNKS * digits_of(dtype) * BYTES;
}

/* Outputs n to n + W - 1 of R rows; q is in the order of order_columns(). */
static ALWAYS_INLINE void decode_outputs(const struct ternary_product *p, const int8_t *q,
                const int32_t *q_sums, uint32_t n, const uint32_t dtype, const unsigned W, const unsigned R)
{
        size_t q_bytes = p->blocks * ordered_block(dtype);
        const uint8_t *block = p->weights + n * p->row_bytes;
        uintptr_t ahead = (uintptr_t)block + AHEAD; /* through the rows as they stand in memory */
        struct few_sums sums[4];

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                sums[i] = (struct few_sums){ 0 };
        for (uint32_t b = p->blocks; b > 0; b--, block += ternary_block_bytes(dtype)) {
                UNROLL
                for (unsigned w = 0; w < W; w++, ahead += ternary_block_bytes(dtype))
                        fetch((const void *)(ahead < p->end ? ahead : p->end));
                UNROLL
                for (unsigned k = 0; k < CHUNKS; k++) {
                        bytes chunk[2];

                        UNROLL
                        for (unsigned w = 0; w < W; w++)
                                chunk[w] = load_chunk(dtype, block + w * p->row_bytes, k);
                        UNROLL
                        for (unsigned d = 0; d < digits_of(dtype); d++, q += BYTES) {
                                UNROLL
                                for (unsigned w = 0; w < W; w++) {
                                        struct few_digit digit = few_take(dtype, &chunk[w], d);

                                        UNROLL
                                        for (unsigned r = 0; r < R; r++)
                                                few_add(dtype, &sums[w * R + r], digit,
                                                                load_codes(q + r * q_bytes), k, d);
                                }
                        }
                }
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        few_end_block(&sums[i]);
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                p->y[(size_t)(i % R) * p->outputs + n + i / R] = scaled(
                                p, i % R, (few_total(dtype, &sums[i]) - q_sums[i % R]) - (ints){ 0 })[0];
}

static ALWAYS_INLINE void decode_range(const struct ternary_product *p, const int8_t *q,
                const int32_t *q_sums, uint32_t n, uint32_t end, const uint32_t dtype)
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
        return round_up(DECODE_ROWS * blocks * ordered_block(dtype), LINE);
}

static void decode(const struct cpu_call *call, struct ternary_product *p)
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

                q_sums[r] = sum_row(row, p->columns);
                order_columns(p->dtype, row, p->blocks, q + r * p->blocks * ordered_block(p->dtype));
        }
        if (p->dtype == QVF_TQ2_0)
                decode_range(p, q, q_sums, begin, end, QVF_TQ2_0);
        else
                decode_range(p, q, q_sums, begin, end, QVF_TQ1_0);
}

/* A panel has groups of 4 columns in the order in which unpacking finds them: by the 4 bytes that hold them, then by
 * digit. */
static ALWAYS_INLINE uint32_t groups_of(uint32_t dtype) /* of a block */
{
        return dtype == QVF_TQ1_0 ? TQ1_SCALE / 4 * 5 : TQ2_SCALE / 4 * 4;
}

static uint32_t tile_count(const struct ternary_product *p)
{
        return (p->rows + TILE_ROWS - 1) / TILE_ROWS;
}

static uint32_t tile_begin(const struct ternary_product *p, uint32_t tile)
{
        return (uint32_t)((uint64_t)p->rows * tile / tile_count(p));
}

static size_t packed_row(const struct ternary_product *p) /* bytes of a row of q in panel order */
{
        return (size_t)p->blocks * groups_of(p->dtype) * 4;
}

static void pack_row(const struct ternary_product *p, const int8_t *q, int8_t *to, uint32_t rows)
{
        for (uint32_t block = 0; block < p->blocks; block++, q += QVF_TERNARY_BLOCK)
                for (uint32_t b = 0; b < (p->dtype == QVF_TQ1_0 ? TQ1_SCALE : TQ2_SCALE); b += 4)
                        for (uint32_t n = 0; n < digits_of(p->dtype); n++, to += 4 * rows) {
                                uint32_t column = column_of(p->dtype, b, n);

                                if (column < QVF_TERNARY_BLOCK)
                                        memcpy(to, q + column, 4);
                                else
                                        memset(to, 0, 4);
                        }
}

static void pack_rows(const struct cpu_call *call, const struct ternary_product *p, int8_t *packed,
                int32_t *q_sums)
{
        uint32_t begin, end;

        cpu_share(call, tile_count(p), 1, &begin, &end);
        for (uint32_t tile = begin; tile < end; tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t r = 0; r < rows; r++) {
                        const int8_t *q = p->q + (size_t)(first + r) * p->columns;

                        q_sums[first + r] = sum_row(q, p->columns);
                        pack_row(p, q, packed + first * packed_row(p) + 4 * r, rows);
                }
        }
}

/* LANES weight rows of a panel of TILE_LANES: [group][2][LANES rows][4 codes]. */
static ALWAYS_INLINE void unpack_rows(const struct ternary_product *p, const uint8_t *weights, uint32_t rows,
                uint32_t blocks, uint8_t *panel, const uint32_t dtype)
{
        const unsigned dwords = (dtype == QVF_TQ1_0 ? TQ1_SCALE : TQ2_SCALE) / 4;

        for (uint32_t b = 0; b < blocks; b++, weights += ternary_block_bytes(dtype)) {
                UNROLL
                for (unsigned k = 0; k < CHUNKS; k++) {
                        floats m[LANES];

                        UNROLL
                        for (unsigned i = 0; i < LANES; i++)
                                m[i] = (floats)load_chunk(
                                                dtype, weights + (i < rows ? i : 0) * p->row_bytes, k);
                        transpose(m);
                        UNROLL
                        for (unsigned j = 0; j < LANES; j++) {
                                bytes chunk = (bytes)m[j];

                                if (k * LANES + j >= dwords)
                                        break;
                                UNROLL
                                for (unsigned n = 0; n < digits_of(dtype); n++, panel += STEP_BYTES)
                                        store_codes(panel, next_digit(dtype, &chunk));
                        }
                }
        }
}

struct tile { /* one tile's work on a panel of TILE_LANES rows */
        const uint8_t *panel;
        const int8_t *q; /* packed, from the panel's first group on */
        const int32_t *q_sums;
        uint32_t first_row, output, outputs, groups;
        bool first, last; /* part of the columns: sums in between wait in y as integers */
};

static ALWAYS_INLINE void store_sums(const struct ternary_product *p, const struct tile *t, uint32_t row,
                uint32_t lane, ints sums)
{
        float *y = p->y + (size_t)row * p->outputs + t->output + lane;
        uint32_t left = lane < t->outputs ? t->outputs - lane : 0;

        if (left == 0)
                return;
        if (!t->first)
                sums += (ints)load_left(y, left, left >= LANES);
        store_left(y, left, left >= LANES, t->last ? scaled(p, row, sums - t->q_sums[row]) : (floats)sums);
}

static void run_tile(const struct ternary_product *p, const struct tile *t, uint32_t rows)
{
        ints sums[2 * TILE_ROWS];

        multiply_tile(t->panel, t->q, t->groups, rows, sums);
        for (uint32_t i = 0; i < 2 * rows; i++)
                store_sums(p, t, t->first_row + i / 2, i % 2 * LANES, sums[i]);
}

/* Blocks [begin, begin + blocks) of the outputs of a panel, for all rows of q. */
static void run_panel(const struct ternary_product *p, uint8_t *panel, const int8_t *packed,
                const int32_t *q_sums, uint32_t output, uint32_t begin, uint32_t blocks)
{
        uint32_t outputs = p->outputs - output < PANEL_ROWS ? p->outputs - output : PANEL_ROWS;
        uint32_t groups = blocks * groups_of(p->dtype);
        size_t part = (size_t)groups * STEP_BYTES;

        for (uint32_t i = 0; i < outputs; i += LANES) {
                uint8_t *to = panel + i / TILE_LANES * part + i % TILE_LANES / LANES * BYTES;
                const uint8_t *from = p->weights + (output + i) * p->row_bytes +
                                      begin * ternary_block_bytes(p->dtype);

                if (p->dtype == QVF_TQ2_0)
                        unpack_rows(p, from, outputs - i, blocks, to, QVF_TQ2_0);
                else
                        unpack_rows(p, from, outputs - i, blocks, to, QVF_TQ1_0);
        }
        for (uint32_t tile = 0; tile < tile_count(p); tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t i = 0; i < outputs; i += TILE_LANES) {
                        struct tile t = {
                                .panel = panel + i / TILE_LANES * part,
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

                        run_tile(p, &t, rows);
                }
        }
}

static size_t panel_bytes(const struct ternary_product *p)
{
        return (size_t)PANEL_ROWS * 4 * groups_of(p->dtype) *
               (p->blocks < PANEL_BLOCKS ? p->blocks : PANEL_BLOCKS);
}

static void prompt(const struct cpu_call *call, const struct ternary_product *p)
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

void LEVEL(matmul_ternary)(const struct cpu_call *call)
{
        struct ternary_product p = ternary_product_of(call);

        if (p.rows <= DECODE_ROWS)
                decode(call, &p);
        else
                prompt(call, &p);
}

size_t LEVEL(matmul_ternary_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        const struct cpu_operand *w = &operands[3];
        struct ternary_product p = { .dtype = w->dtype, .blocks = w->columns / QVF_TERNARY_BLOCK };
        size_t rows = operands[1].rows, few = n_threads * decode_scratch(p.dtype, p.blocks);
        size_t many = round_up(rows * packed_row(&p), LINE) + round_up(rows * sizeof(int32_t), LINE) +
                      n_threads * panel_bytes(&p);

        (void)op;
        return few > many ? few : many;
}

bool LEVEL(matmul_ternary_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return ternary_takes(&operands[3]);
}
