/* SPDX-License-Identifier: Apache-2.0 */
/* y = W.scale · scale[r] · (W q)
 *
 * Few rows (decode): the weights are multiplied as they stand in the file. Many rows: a panel of weight rows is unpacked
 * to bytes once, and tiles of a few units of q run over it. Everything is exact in int32. */
#include "plugins/cpu/arm/decode.h"

#define PANEL_ROWS 32u  /* rows of weights in a panel */
#define PANEL_BLOCKS 8u /* of columns: a panel is 64 KiB at most */

static uint32_t unit_count(uint32_t rows)
{
        return (rows + UNIT_ROWS - 1) / UNIT_ROWS;
}

static uint32_t tile_count(const struct ternary_product *p)
{
        return (unit_count(p->rows) + TILE_UNITS - 1) / TILE_UNITS;
}

static uint32_t tile_begin(const struct ternary_product *p, uint32_t tile)
{
        return (uint32_t)((uint64_t)unit_count(p->rows) * tile / tile_count(p));
}

/* Units of more than one row are laid out as the tiles read them; a row that is not there is zeros. */
static void pack_units(const struct cpu_call *call, const struct ternary_product *p, int8_t *packed)
{
        uint32_t begin, end;

        cpu_share(call, unit_count(p->rows), 1, &begin, &end);
        for (uint32_t unit = begin; unit < end; unit++) {
                int8_t *to = packed + (size_t)unit * UNIT_ROWS * p->columns;

                for (uint32_t row = 0; row < UNIT_ROWS; row++) {
                        uint32_t r = unit * UNIT_ROWS + row;
                        const int8_t *q = p->q + (size_t)r * p->columns;

                        for (uint32_t k = 0; k < p->columns / BYTES; k++)
                                store_part(to, row, BYTES, k,
                                                r < p->rows ? vld1q_s8(q + k * BYTES) : vdupq_n_s8(0));
                }
        }
}

/* Blocks of the rows of a group; rows that are not there are zeros. */
static ALWAYS_INLINE void unpack_group(const struct ternary_product *p, uint32_t output, uint32_t begin,
                uint32_t blocks, int8_t *group, const uint32_t dtype)
{
        for (uint32_t row = 0; row < GROUP_ROWS; row++) {
                const uint8_t *block = p->weights + (size_t)(output + row) * p->row_bytes +
                                       begin * ternary_block_bytes(dtype);

                for (uint32_t b = 0; b < blocks; b++, block += ternary_block_bytes(dtype)) {
                        int8x16_t parts[PARTS];

                        if (output + row < p->outputs) {
                                unpack_block(dtype, block, parts);
                        } else {
                                for (unsigned k = 0; k < PARTS; k++)
                                        parts[k] = vdupq_n_s8(0);
                        }
                        UNROLL
                        for (unsigned k = 0; k < PARTS; k++)
                                store_weights(group, row, b * PARTS + k, parts[k]);
                }
        }
}

struct tile { /* units of q by a group of a panel */
        const int8_t *group;
        const int8_t *units; /* from the panel's first column on */
        size_t unit_bytes;
        uint32_t first_row, rows, output, steps;
        bool first, last; /* part of the columns: sums in between wait in y as integers */
};

static void run_tile(const struct ternary_product *p, const struct tile *t)
{
        int32x4_t sums[TILE_SUMS];

        multiply_tile(t->group, t->units, t->unit_bytes, t->steps, unit_count(t->rows), sums);
        for (uint32_t i = 0; i < t->rows * UNIT_ROWS; i++) {
                uint32_t row = t->first_row + i / UNIT_ROWS, output = t->output + i % UNIT_ROWS * 4, left;
                float *y = p->y + (size_t)row * p->outputs + output;
                int32x4_t sum = sums[i], before = vdupq_n_s32(0);

                if (output >= p->outputs)
                        continue;
                left = (p->outputs - output < 4 ? p->outputs - output : 4) * (uint32_t)sizeof(*y);
                if (!t->first)
                        memcpy(&before, y, left);
                sum = vaddq_s32(sum, before);
                if (t->last)
                        sum = vreinterpretq_s32_f32(scaled(ternary_factor(p, row), sum));
                if (left == sizeof(sum))
                        vst1q_s32((int32_t *)y, sum);
                else
                        memcpy(y, &sum, left);
        }
}

/* Blocks [begin, begin + blocks) of the outputs of a panel, for all rows of q. */
static void run_panel(const struct ternary_product *p, int8_t *panel, const int8_t *units, uint32_t output,
                uint32_t begin, uint32_t blocks)
{
        uint32_t outputs = p->outputs - output < PANEL_ROWS ? p->outputs - output : PANEL_ROWS;
        size_t group_bytes = (size_t)blocks * QVF_TERNARY_BLOCK * GROUP_ROWS,
               unit_bytes = UNIT_ROWS * (size_t)p->columns;

        for (uint32_t i = 0; i < outputs; i += GROUP_ROWS) {
                int8_t *group = panel + i / GROUP_ROWS * group_bytes;

                if (p->dtype == QVF_TQ2_0)
                        unpack_group(p, output + i, begin, blocks, group, QVF_TQ2_0);
                else
                        unpack_group(p, output + i, begin, blocks, group, QVF_TQ1_0);
        }
        for (uint32_t n = 0; n < tile_count(p); n++) {
                uint32_t unit = tile_begin(p, n), first = unit * UNIT_ROWS,
                         end = tile_begin(p, n + 1) * UNIT_ROWS;

                for (uint32_t i = 0; i < outputs; i += GROUP_ROWS) {
                        struct tile t = {
                                .group = panel + i / GROUP_ROWS * group_bytes,
                                .units = units + unit * unit_bytes +
                                         (size_t)begin * QVF_TERNARY_BLOCK * UNIT_ROWS,
                                .unit_bytes = unit_bytes,
                                .first_row = first,
                                .rows = (end < p->rows ? end : p->rows) - first,
                                .output = output + i,
                                .steps = blocks * QVF_TERNARY_BLOCK / STEP,
                                .first = begin == 0,
                                .last = begin + blocks == p->blocks,
                        };

                        run_tile(p, &t);
                }
        }
}

static size_t packed_bytes(uint32_t rows, uint32_t columns)
{
        return UNIT_ROWS == 1 ? 0 : round_up((size_t)unit_count(rows) * UNIT_ROWS * columns, LINE);
}

static size_t panel_bytes(uint32_t blocks)
{
        return (size_t)PANEL_ROWS * QVF_TERNARY_BLOCK * (blocks < PANEL_BLOCKS ? blocks : PANEL_BLOCKS);
}

static void prompt(const struct cpu_call *call, const struct ternary_product *p)
{
        int8_t *packed = call->scratch;
        int8_t *panel = packed + packed_bytes(p->rows, p->columns) + call->thread * panel_bytes(p->blocks);
        const int8_t *units = p->q;

        if (UNIT_ROWS > 1) {
                pack_units(call, p, packed);
                cpu_barrier(call);
                units = packed;
        }
        for (;;) {
                uint64_t output = (uint64_t)cpu_next(call) * PANEL_ROWS;

                if (output >= p->outputs)
                        break;
                for (uint32_t begin = 0; begin < p->blocks; begin += PANEL_BLOCKS) {
                        uint32_t left = p->blocks - begin;

                        run_panel(p, panel, units, (uint32_t)output, begin,
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
        const struct cpu_operand *q = &operands[1], *w = &operands[3];

        (void)op;
        return packed_bytes(q->rows, w->columns) + n_threads * panel_bytes(w->columns / QVF_TERNARY_BLOCK);
}

bool LEVEL(matmul_ternary_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return ternary_takes(&operands[3]);
}
