/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of the operations that only training needs. */
#include <math.h>

#include "common/checked.h"
#include "engine/conformance/internal.h"

static const uint32_t widths[] = { 1, 8, 17, 64, 67 };
static const uint32_t words[] = { 2, 33, 100, 257, 2570 };

static uint32_t chance(struct conformance *self, uint32_t of)
{
        return (uint32_t)(qvf_conformance_random(&self->random) % of);
}

/* A result that is added to or written anew. */
static void add_result(
                struct conformance *self, struct conformance_case *test, uint32_t rows, uint32_t columns)
{
        bool accumulate = chance(self, 2);

        qvf_conformance_operand(test, 0, rows, columns, QVF_F32, accumulate ? DATA_NORMAL : DATA_RESULT, 1);
        test->op.flags = accumulate ? QVF_ACCUMULATE : 0;
}

static void dropout(struct conformance *self, uint32_t rows, uint32_t columns)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_DROPOUT, rows);

        qvf_conformance_operand(&test, 0, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        test.op.f[0] = chance(self, 4) ? 0.1f : 0;
        test.op.i[0] = qvf_conformance_between(&self->random, 0, 1000);
        qvf_conformance_check(self, &test);
}

static void gate_backward(struct conformance *self, uint32_t rows, uint32_t columns, int activation)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_GATE_BACKWARD, rows);

        for (unsigned i = 0; i < 5; i++)
                qvf_conformance_operand(&test, i, test.declared, columns, QVF_F32,
                                i < 2 ? DATA_RESULT : DATA_NORMAL, i == 2 ? 4 : 1);
        test.op.i[0] = activation;
        qvf_conformance_check(self, &test);
}

static void rmsnorm_backward(struct conformance *self, uint32_t rows, uint32_t columns)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_RMSNORM_BACKWARD, rows);

        add_result(self, &test, test.declared, columns);
        qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_NORMAL, 3);
        qvf_conformance_operand(&test, 2, 1, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, 3, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        test.op.f[0] = 1e-5f;
        qvf_conformance_check(self, &test);
}

static void matmul_backward(struct conformance *self, uint32_t rows, uint32_t dtype)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_MATMUL_BACKWARD, rows);
        uint32_t width = qvf_conformance_pick(self, widths, QVF_ARRAY_LENGTH(widths));
        uint32_t columns = qvf_conformance_columns(self, dtype);

        add_result(self, &test, test.declared, columns);
        qvf_conformance_operand(&test, 1, test.declared, width, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_weight(self, &test, 2, width, columns, dtype);
        test.op.f[0] = 1.5f;
        qvf_conformance_check(self, &test);
}

static void ternary_backward(struct conformance *self, uint32_t rows, uint32_t width, uint32_t dtype)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_MATMUL_TERNARY_BACKWARD, rows);
        uint32_t padded = qvf_conformance_columns(self, dtype);

        add_result(self, &test, test.declared, padded - (chance(self, 2) ? 0 : 84)); /* as 5460 of 5632 */
        qvf_conformance_operand(&test, 1, test.declared, width, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_weight(self, &test, 2, width, padded, dtype);
        qvf_conformance_check(self, &test);
}

static void weight_backward(struct conformance *self, uint32_t rows, uint32_t columns)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_MATMUL_WEIGHT_BACKWARD, rows);
        uint32_t width = qvf_conformance_pick(self, widths, QVF_ARRAY_LENGTH(widths));

        add_result(self, &test, width, columns);
        qvf_conformance_operand(&test, 1, test.declared, width, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, 2, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        test.op.f[0] = 0.5f;
        qvf_conformance_check(self, &test);
}

static void attention_train(struct conformance *self, uint32_t rows, bool backward)
{
        static const uint32_t shapes[][3] = { { 32, 1, 1 }, { 64, 4, 2 }, { 128, 2, 1 }, { 80, 3, 3 } };
        const uint32_t *shape = shapes[chance(self, QVF_ARRAY_LENGTH(shapes))];
        struct conformance_case test = qvf_conformance_case(
                        self, backward ? QVF_OP_ATTENTION_TRAIN_BACKWARD : QVF_OP_ATTENTION_TRAIN, rows);
        uint32_t columns = shape[0] * shape[1], key_columns = shape[0] * shape[2];
        unsigned at = 0;

        if (backward) {
                qvf_conformance_operand(&test, at++, test.declared, columns, QVF_F32, DATA_RESULT, 0);
                qvf_conformance_operand(&test, at++, test.declared, key_columns, QVF_F32, DATA_RESULT, 0);
                qvf_conformance_operand(&test, at++, test.declared, key_columns, QVF_F32, DATA_RESULT, 0);
        }
        qvf_conformance_operand(&test, at++, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, at++, test.declared, shape[1], QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, at++, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, at++, test.declared, key_columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, at++, test.declared, key_columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, at++, test.declared, 1, QVF_I32, DATA_FIRST, 0);
        if (backward)
                qvf_conformance_operand(&test, at++, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        test.op.i[0] = (int32_t)shape[0];
        test.op.f[0] = 1 / sqrtf((float)shape[0]);
        qvf_conformance_check(self, &test);
}

static void head_loss(struct conformance *self, uint32_t rows, uint32_t dtype)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_HEAD_LOSS, rows);
        uint32_t vocabulary = qvf_conformance_pick(self, words, QVF_ARRAY_LENGTH(words));
        uint32_t columns = qvf_conformance_columns(self, dtype);
        uint32_t chunk = chance(self, 2) ? vocabulary : vocabulary / 2 + 1, part = 1 + chance(self, 20);
        struct conformance_operand *target;

        if (columns > 768)
                columns = 768; /* the bounds are slow */
        if (vocabulary > 1000 && columns > 256)
                columns = 256;
        qvf_conformance_operand(&test, 0, test.declared, 1, QVF_F32, DATA_RESULT, 0);
        if (chance(self, 3))
                qvf_conformance_operand(&test, 1, test.declared, columns, QVF_F32, DATA_RESULT, 0);
        if (chance(self, 2))
                qvf_conformance_operand(&test, 2, test.declared, 1, QVF_I32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 3, part, chunk, QVF_F32, DATA_RESULT, 0);
        qvf_conformance_operand(&test, 4, test.declared, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_weight(self, &test, 5, vocabulary, columns, dtype);
        target = qvf_conformance_operand(&test, 6, test.declared, 1, QVF_I32, DATA_INTEGERS, 0);
        target->low = -1;
        target->high = (int32_t)vocabulary - 1;
        test.op.i[0] = (int32_t)part;
        test.op.i[1] = (int32_t)chunk;
        test.args.loss_scale = 0.25f;
        qvf_conformance_check(self, &test);
}

static void square_sum(struct conformance *self, uint32_t rows, uint32_t columns)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_SQUARE_SUM, rows);

        add_result(self, &test, 1, 1);
        if (test.op.flags)
                test.operand[0].data = DATA_POSITIVE;
        qvf_conformance_operand(&test, 1, rows * 7, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_check(self, &test);
}

static void adamw(struct conformance *self, uint32_t rows, uint32_t columns, uint32_t dtype)
{
        struct conformance_case test = qvf_conformance_case(self, QVF_OP_ADAMW, rows);
        uint32_t blocks = (rows * columns + QVF_STATE_BLOCK - 1) / QVF_STATE_BLOCK;
        bool bytes = dtype == QVF_U8;

        test.op.rows = QVF_ROWS_ALL;
        qvf_conformance_operand(&test, 0, rows, columns, QVF_F32, DATA_NORMAL, 1);
        qvf_conformance_operand(&test, 1, rows, columns, QVF_F32, DATA_NORMAL, 0.1);
        qvf_conformance_operand(&test, 2, rows, columns, dtype, bytes ? DATA_STATE : DATA_NORMAL, 0.05);
        qvf_conformance_operand(&test, 3, rows, columns, dtype, bytes ? DATA_STATE : DATA_SQUARES, 0.01);
        qvf_conformance_operand(&test, 4, 1, 1, QVF_F32, DATA_POSITIVE, 5);
        if (bytes) {
                qvf_conformance_operand(&test, 5, 1, blocks, QVF_F32, DATA_POSITIVE, 0.05);
                qvf_conformance_operand(&test, 6, 1, blocks, QVF_F32, DATA_POSITIVE, 0.01);
        }
        test.args.step = (uint32_t)qvf_conformance_between(&self->random, 1, 500);
        test.args.learning_rate = 1e-3f;
        test.args.clip = chance(self, 2) ? 1 : 0;
        test.op.f[0] = 0.9f;
        test.op.f[1] = 0.999f;
        test.op.f[2] = 1e-8f;
        test.op.f[3] = 0.01f;
        qvf_conformance_check(self, &test);
}

void qvf_conformance_training_cases(struct conformance *self)
{
        struct conformance_shapes shapes = qvf_conformance_shapes(self);

        for (unsigned i = 0; i < shapes.n_rows; i++) {
                uint32_t rows = shapes.rows[i],
                         columns = qvf_conformance_pick(self, shapes.columns, shapes.n_columns);

                dropout(self, rows, columns);
                gate_backward(self, rows, columns, 0);
                gate_backward(self, rows, columns, 1);
                rmsnorm_backward(self, rows, columns);
                for (unsigned d = 0; d < qvf_conformance_weight_dtype_count; d++)
                        matmul_backward(self, rows, qvf_conformance_weight_dtypes[d]);
                ternary_backward(self, rows, qvf_conformance_pick(self, widths, QVF_ARRAY_LENGTH(widths)),
                                QVF_TQ1_0);
                ternary_backward(self, rows, qvf_conformance_pick(self, widths, QVF_ARRAY_LENGTH(widths)),
                                QVF_TQ2_0);
                weight_backward(self, rows, columns);
                attention_train(self, rows, false);
                attention_train(self, rows, true);
                head_loss(self, rows,
                                qvf_conformance_pick(self, qvf_conformance_weight_dtypes,
                                                qvf_conformance_weight_dtype_count));
                square_sum(self, rows, columns);
                adamw(self, rows, columns, QVF_F32);
                adamw(self, rows, columns, QVF_U8);
        }
        /* More rows of W than a panel of any kernel has. */
        ternary_backward(self, 3, 8200, QVF_TQ1_0);
        ternary_backward(self, 3, 8200, QVF_TQ2_0);
}
