/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the operations that generation needs. */
#include <math.h>

#include "common/checked.h"
#include "engine/conformance/internal.h"

static const uint32_t cache_dtypes[] = { QVF_F32, QVF_F16, QVF_Q8_0 };
static const uint32_t widths[] = { 1, 3, 15, 16, 17, 33, 67, 130 }; /* numbers of weight rows */

static uint32_t pick_width(struct conformance *self)
{
        return qvf_conformance_pick(self, widths, QVF_ARRAY_LENGTH(widths));
}

static void element_wise(struct conformance *self, uint32_t rows, uint32_t columns)
{
        static const uint32_t floats[] = { QVF_F32, QVF_F16, QVF_BF16 };
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_FILL, rows);

        qvf_conformance_operand(&test, 0, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        test.op.rows = QVF_ROWS_ALL;
        test.op.f[0] = 1.5f;
        test.rows = test.declared;
        qvf_conformance_check(self, &test);

        test = qvf_conformance_case(self, QVF_OP_COPY, rows);
        qvf_conformance_operand(&test, 0, test.declared, columns, qvf_conformance_pick(self, floats, 3),
                        DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, columns, qvf_conformance_pick(self, floats, 3),
                        DATA_NORMAL, 10);
        qvf_conformance_check(self, &test);

        test = qvf_conformance_case(self, QVF_OP_ADD, rows);
        qvf_conformance_operand(&test, 0, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, 2, test.declared, columns, QVF_F32, DATA_NORMAL, 2);
        test.op.f[0] = qvf_conformance_random(&self->random) % 2 ? 1 : 0.3f;
        test.op.f[1] = -0.7f;
        qvf_conformance_check(self, &test);

        for (int activation = 0; activation < 2; activation++) {
                test = qvf_conformance_case(self, QVF_OP_GATE, rows);
                qvf_conformance_operand(&test, 0, test.declared, columns, QVF_F32, DATA_RESULT, 0);
                qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 4);
                qvf_conformance_operand(&test, 2, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
                test.op.i[0] = activation;
                qvf_conformance_check(self, &test);
        }

        test = qvf_conformance_case(self, QVF_OP_RMSNORM, rows);
        qvf_conformance_operand(&test, 0, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 3);
        qvf_conformance_operand(&test, 2, 1, columns, QVF_F32, DATA_NORMAL, 1);
        test.op.f[0] = 1e-5f;
        qvf_conformance_check(self, &test);
}

static void indexed(struct conformance *self, uint32_t rows, uint32_t columns)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_GATHER, rows);
        struct conformance_operand *index;

        qvf_conformance_operand(&test, 0, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, 37, columns, QVF_F32, DATA_NORMAL, 1);
        index = qvf_conformance_operand(&test, 2, test.declared, 1, QVF_I32, DATA_INTEGERS, 0);
        index->low = -1; /* some are nowhere */
        index->high = 37;
        qvf_conformance_check(self, &test);

        test = qvf_conformance_case(self, QVF_OP_SCATTER_ADD, rows);
        qvf_conformance_operand(&test, 0, test.declared + 5, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        index = qvf_conformance_operand(&test, 2, test.declared, 1, QVF_I32, DATA_DISTINCT, 0);
        index->low = -1;
        index->high = (int32_t)test.declared + 5;
        qvf_conformance_check(self, &test);
}

static void embed(struct conformance *self, uint32_t rows, uint32_t dtype)
{
        uint32_t columns = qvf_conformance_columns(self, dtype);
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_EMBED, rows);
        struct conformance_operand *ids;

        qvf_conformance_operand(&test, 0, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        ids = qvf_conformance_operand(&test, 1, test.declared, 1, QVF_I32, DATA_INTEGERS, 0);
        ids->low = -1;
        ids->high = 67;
        qvf_conformance_weight(self, &test, 2, 67, columns, dtype);
        qvf_conformance_check(self, &test);
}

/* Places for `rows` rows in `sequences` sequences, in a cache of some blocks more. */
static void add_table(struct conformance_case *test, unsigned i, uint32_t sequences, uint32_t blocks,
                uint32_t cells)
{
        struct conformance_operand *table =
                        qvf_conformance_operand(test, i, sequences, blocks, QVF_I32, DATA_DISTINCT, 0);

        table->high = (int32_t)(cells / QVF_KV_BLOCK) - 1;
        table->low = -1; /* one block is perhaps not there */
}

static enum conformance_data cache_data(uint32_t dtype)
{
        return dtype == QVF_Q8_0 ? DATA_BLOCKS : DATA_NORMAL;
}

static void kv_store(struct conformance *self, uint32_t rows, uint32_t dtype)
{
        static const uint32_t columns_of[] = { 32, 64, 128, 320 };
        uint32_t columns = qvf_conformance_pick(self, columns_of, 4), sequences = 3, blocks = 4, cells = 512;
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_KV_STORE, rows);

        qvf_conformance_operand(&test, 0, cells, columns, dtype, cache_data(dtype), 1);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 2);
        for (int i = 0; i < 2; i++) {
                struct conformance_operand *place = qvf_conformance_operand(
                                &test, 2 + (unsigned)i, test.declared, 1, QVF_I32, DATA_PLACE, 50);

                place->low = 1 + i;
                place->high = (int32_t)sequences;
        }
        add_table(&test, 4, sequences, blocks, cells);
        qvf_conformance_check(self, &test);
}

static void kv_move(struct conformance *self, uint32_t dtype)
{
        static const uint32_t columns_of[] = { 32, 64, 192, 320 };
        uint32_t columns = qvf_conformance_pick(self, columns_of, 4), blocks = 12;
        uint32_t rows = 1 + (uint32_t)qvf_conformance_between(&self->random, 0, 4);
        uint32_t head_size = columns % 64 == 0 ? 64 : 32;
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_KV_COPY, rows);

        qvf_conformance_operand(&test, 0, blocks * QVF_KV_BLOCK, columns, dtype, cache_data(dtype), 1);
        qvf_conformance_operand(&test, 1, test.declared, 2, QVF_I32, DATA_PAIRS, 0)->high = (int32_t)blocks;
        qvf_conformance_check(self, &test);

        test = qvf_conformance_case(self, QVF_OP_KV_ROTATE, rows);
        qvf_conformance_operand(&test, 0, blocks * QVF_KV_BLOCK, columns, dtype, cache_data(dtype), 1);
        qvf_conformance_operand(&test, 1, test.declared, 2, QVF_I32, DATA_TURN, 0)->high = (int32_t)blocks;
        qvf_conformance_operand(&test, 2, 1,
                        head_size / (1 + (uint32_t)(qvf_conformance_random(&self->random) % 2) * 1) / 2,
                        QVF_F32, DATA_FREQUENCY, 0);
        test.op.i[0] = (int32_t)head_size;
        test.op.i[1] = (int32_t)(qvf_conformance_random(&self->random) % 2);
        qvf_conformance_check(self, &test);
}

static void quantize(struct conformance *self, uint32_t rows, uint32_t columns)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_QUANTIZE, rows);
        uint32_t padded = (columns + 255) / 256 * 256;
        double amount = pow(10, qvf_conformance_between(&self->random, -6, 3));

        qvf_conformance_operand(&test, 0, test.declared, padded, QVF_I8, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, 1, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 2, test.declared, columns, QVF_F32, DATA_NORMAL, amount);
        qvf_conformance_check(self, &test);
}

static void matmul_ternary(struct conformance *self, uint32_t rows, uint32_t columns, uint32_t dtype)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_MATMUL_TERNARY, rows);
        uint32_t width = pick_width(self);

        qvf_conformance_operand(&test, 0, test.declared, width, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_I8, DATA_BLOCKS, 0);
        qvf_conformance_operand(&test, 2, test.declared, 1, QVF_F32, DATA_POSITIVE, 0.1);
        qvf_conformance_weight(self, &test, 3, width, columns, dtype);
        qvf_conformance_check(self, &test);
}

static void matmul(struct conformance *self, uint32_t rows, uint32_t dtype)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_MATMUL, rows);
        uint32_t width = pick_width(self), columns = qvf_conformance_columns(self, dtype);
        bool accumulate = qvf_conformance_random(&self->random) % 2,
             scaled = qvf_conformance_random(&self->random) % 2;

        qvf_conformance_operand(
                        &test, 0, test.declared, width, QVF_F32, accumulate ? DATA_NORMAL : DATA_RESULT, 1);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_weight(self, &test, 2, width, columns, dtype);
        if (scaled)
                qvf_conformance_operand(&test, 3, test.declared, 3, QVF_F32, DATA_NORMAL, 1);
        test.op.flags = accumulate ? QVF_ACCUMULATE : 0;
        test.op.f[0] = 0.5f;
        test.op.i[0] = scaled ? 2 : 0;
        qvf_conformance_check(self, &test);
}

struct heads {
        uint32_t size, heads, key_heads;
};

static const struct heads head_shapes[] = { { 32, 1, 1 }, { 64, 4, 2 }, { 128, 4, 1 }, { 96, 3, 3 },
        { 256, 2, 1 }, { 80, 5, 5 }, { 120, 4, 2 } };

static struct heads pick_heads(struct conformance *self)
{
        return head_shapes[qvf_conformance_random(&self->random) % QVF_ARRAY_LENGTH(head_shapes)];
}

static void rope(struct conformance *self, uint32_t rows)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_ROPE, rows);
        struct heads heads = pick_heads(self);
        struct conformance_operand *position;

        qvf_conformance_operand(&test, 0, test.declared, heads.size * heads.heads, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, heads.size * heads.heads, QVF_F32, DATA_NORMAL, 1);
        position = qvf_conformance_operand(&test, 2, test.declared, 1, QVF_I32, DATA_INTEGERS, 0);
        position->high = 4095;
        qvf_conformance_operand(&test, 3, 1,
                        heads.size / (qvf_conformance_random(&self->random) % 2 ? 2 : 4), QVF_F32,
                        DATA_FREQUENCY, 0);
        test.op.i[0] = (int32_t)heads.size;
        test.op.i[1] = (int32_t)(qvf_conformance_random(&self->random) % 2);
        test.op.f[0] = qvf_conformance_random(&self->random) % 2 ? 1 : -1;
        test.op.f[1] = 1.25f;
        qvf_conformance_check(self, &test);
}

static void attention(struct conformance *self, uint32_t rows, uint32_t key_dtype)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_ATTENTION, rows);
        struct heads heads = pick_heads(self);
        /* now and then longer than a span of 512 positions */
        uint32_t sequences = 3, blocks = qvf_conformance_random(&self->random) % 4 ? 5 : 35, cells;
        uint32_t value_dtype = qvf_conformance_random(&self->random) % 2
                                               ? key_dtype
                                               : qvf_conformance_pick(self, cache_dtypes, 3);
        struct conformance_operand *place;

        cells = QVF_KV_BLOCK * (3 * blocks + 3);
        if (heads.size % 32) /* Q8_0 rows are whole blocks, and so is a head of them here */
                heads = head_shapes[1];
        qvf_conformance_operand(&test, 0, test.declared, heads.size * heads.heads, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, heads.size * heads.heads, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(
                        &test, 2, cells, heads.size * heads.key_heads, key_dtype, cache_data(key_dtype), 1);
        qvf_conformance_operand(&test, 3, cells, heads.size * heads.key_heads, value_dtype,
                        cache_data(value_dtype), 1);
        place = qvf_conformance_operand(&test, 4, test.declared, 2, QVF_I32, DATA_PLACE,
                        qvf_conformance_between(&self->random, 0, (int32_t)blocks * QVF_KV_BLOCK - 45));
        place->high = (int32_t)sequences;
        add_table(&test, 5, sequences, blocks, cells);
        test.op.i[0] = (int32_t)heads.size;
        test.op.i[1] = qvf_conformance_random(&self->random) % 3
                                       ? 0
                                       : qvf_conformance_between(&self->random, 1, 100);
        test.op.f[0] = 1 / sqrtf((float)heads.size);
        qvf_conformance_check(self, &test);
}

static void top_k(struct conformance *self, uint32_t rows, uint32_t columns)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_TOP_K, rows);
        uint32_t k = (uint32_t)qvf_conformance_between(
                        &self->random, 1, columns < 100 ? (int32_t)columns : 100);
        enum conformance_data data = qvf_conformance_random(&self->random) % 2 ? DATA_NORMAL : DATA_POSITIVE;

        qvf_conformance_operand(&test, 0, test.declared, k, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, k, QVF_I32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 2, test.declared, columns, QVF_F32, data, 1);
        qvf_conformance_check(self, &test);
}

/* Candidates as TOP_K leaves them: from the largest down, sometimes fewer than there are places. */
static void draw(struct conformance *self, uint32_t rows)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_DRAW, rows);
        uint32_t k = (uint32_t)qvf_conformance_between(&self->random, 1, 64);

        qvf_conformance_operand(&test, 0, test.declared, 1, QVF_I32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, k, QVF_F32, DATA_FALLING, 3);
        qvf_conformance_operand(&test, 2, test.declared, k, QVF_I32, DATA_INTEGERS, 0);
        test.operand[2].high = 1 << 20;
        qvf_conformance_operand(&test, 3, test.declared, 4, QVF_F32, DATA_HOW, 0);
        qvf_conformance_check(self, &test);
}

void qvf_conformance_movement_cases(struct conformance *self)
{
        struct conformance_shapes shapes = qvf_conformance_shapes(self);

        for (unsigned i = 0; i < shapes.n_rows; i++) {
                indexed(self, shapes.rows[i], qvf_conformance_pick(self, shapes.columns, shapes.n_columns));
                for (unsigned d = 0; d < qvf_conformance_weight_dtype_count; d++)
                        embed(self, shapes.rows[i], qvf_conformance_weight_dtypes[d]);
                for (unsigned d = 0; d < QVF_ARRAY_LENGTH(cache_dtypes); d++) {
                        kv_store(self, shapes.rows[i], cache_dtypes[d]);
                        kv_move(self, cache_dtypes[d]);
                }
        }
}

void qvf_conformance_forward_cases(struct conformance *self)
{
        struct conformance_shapes shapes = qvf_conformance_shapes(self);

        for (unsigned i = 0; i < shapes.n_rows; i++) {
                uint32_t rows = shapes.rows[i];

                element_wise(self, rows, qvf_conformance_pick(self, shapes.columns, shapes.n_columns));
                quantize(self, rows, qvf_conformance_pick(self, shapes.columns, shapes.n_columns));
                quantize(self, rows, qvf_conformance_pick(self, shapes.blocks, shapes.n_blocks));
                for (unsigned b = 0; b < shapes.n_blocks; b++) {
                        matmul_ternary(self, rows, shapes.blocks[b], QVF_TQ1_0);
                        matmul_ternary(self, rows, shapes.blocks[b], QVF_TQ2_0);
                }
                for (unsigned d = 0; d < qvf_conformance_weight_dtype_count; d++)
                        matmul(self, rows, qvf_conformance_weight_dtypes[d]);
                rope(self, rows);
                for (unsigned d = 0; d < QVF_ARRAY_LENGTH(cache_dtypes); d++)
                        attention(self, rows, cache_dtypes[d]);
                top_k(self, rows, qvf_conformance_pick(self, shapes.columns, shapes.n_columns));
                draw(self, rows);
        }
        top_k(self, 2, 33001); /* a vocabulary */
        top_k(self, 1, 5003);
        /* More columns than a panel of any kernel has. */
        matmul_ternary(self, 7, 8448, QVF_TQ1_0);
        matmul_ternary(self, 7, 8448, QVF_TQ2_0);
}
