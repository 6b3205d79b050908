/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "engine/conformance/internal.h"
#include "engine/program/builder.h"

/* One row, primes, tiles and one more than a tile. */
static const uint32_t all_rows[] = { 1, 2, 3, 5, 7, 8, 9, 16, 17, 31, 33, 64, 65, 127, 129 };
static const uint32_t few_rows[] = { 1, 3, 17, 33 };
static const uint32_t all_columns[] = { 1, 31, 33, 64, 100, 255, 257, 512, 768, 1000, 1536, 2304 };
static const uint32_t few_columns[] = { 1, 33, 257, 768 };
static const uint32_t all_blocks[] = { 256, 512, 768, 1536, 2304 };
static const uint32_t few_blocks[] = { 256, 768 };

const uint32_t qvf_conformance_weight_dtypes[] = { QVF_F32, QVF_F16, QVF_BF16, QVF_Q8_0, QVF_Q4_0, QVF_Q4_K,
        QVF_Q6_K, QVF_TQ1_0, QVF_TQ2_0 };
const unsigned qvf_conformance_weight_dtype_count = QVF_ARRAY_LENGTH(qvf_conformance_weight_dtypes);

struct conformance_shapes qvf_conformance_shapes(const struct conformance *self)
{
        if (self->options->quick)
                return (struct conformance_shapes){ few_rows, few_columns, few_blocks,
                        QVF_ARRAY_LENGTH(few_rows), QVF_ARRAY_LENGTH(few_columns),
                        QVF_ARRAY_LENGTH(few_blocks) };
        return (struct conformance_shapes){ all_rows, all_columns, all_blocks, QVF_ARRAY_LENGTH(all_rows),
                QVF_ARRAY_LENGTH(all_columns), QVF_ARRAY_LENGTH(all_blocks) };
}

uint32_t qvf_conformance_pick(struct conformance *self, const uint32_t *list, unsigned count)
{
        return list[qvf_conformance_random(&self->random) % count];
}

struct conformance_case qvf_conformance_case(struct conformance *self, enum qvf_op_kind kind, uint32_t rows)
{
        static const uint16_t sources[] = { QVF_ROWS_ALL, QVF_ROWS_INPUT, QVF_ROWS_OUTPUT };
        uint16_t source = sources[qvf_conformance_random(&self->random) % 3];
        struct conformance_case test = {
                .op = { .kind = (uint16_t)kind, .rows = source },
                .args = { .size = sizeof(test.args),
                                .rows = source == QVF_ROWS_INPUT ? rows : 0,
                                .output_rows = source == QVF_ROWS_OUTPUT ? rows : 0,
                                .seed = qvf_conformance_random(&self->random) },
                .rows = rows,
                .declared = source == QVF_ROWS_ALL ? rows : rows + 1,
        };

        snprintf(test.what, sizeof(test.what), "%u rows%s", rows,
                        source == QVF_ROWS_ALL ? "" : " of one more");
        return test;
}

static const char *dtype_name(uint32_t dtype)
{
        static const struct {
                uint32_t dtype;
                const char *name;
        } names[] = {
                { QVF_F16, " F16" },
                { QVF_BF16, " BF16" },
                { QVF_Q8_0, " Q8_0" },
                { QVF_Q4_0, " Q4_0" },
                { QVF_Q4_K, " Q4_K" },
                { QVF_Q6_K, " Q6_K" },
                { QVF_TQ1_0, " TQ1_0" },
                { QVF_TQ2_0, " TQ2_0" },
                { QVF_U8, " U8" },
        };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(names); i++)
                if (names[i].dtype == dtype)
                        return names[i].name;
        return "";
}

struct conformance_operand *qvf_conformance_operand(struct conformance_case *test, unsigned i, uint32_t rows,
                uint32_t columns, uint32_t dtype, enum conformance_data data, double amount)
{
        struct conformance_operand *o = &test->operand[i];
        size_t length = strlen(test->what);

        *o = (struct conformance_operand){
                .present = true,
                .rows = rows,
                .columns = columns,
                .dtype = dtype,
                .data = data,
                .amount = (float)amount,
                .scale = 1,
        };
        if (data != DATA_RESULT && dtype != QVF_I32)
                snprintf(test->what + length, sizeof(test->what) - length, ", %u x %u%s", rows, columns,
                                dtype_name(dtype));
        return o;
}

void qvf_conformance_weight(struct conformance *self, struct conformance_case *test, unsigned i,
                uint32_t rows, uint32_t columns, uint32_t dtype)
{
        bool floats = dtype == QVF_F32 || dtype == QVF_F16 || dtype == QVF_BF16;
        bool ternary = dtype == QVF_TQ1_0 || dtype == QVF_TQ2_0;
        struct conformance_operand *o = qvf_conformance_operand(
                        test, i, rows, columns, dtype, floats ? DATA_NORMAL : DATA_BLOCKS, 0.1);

        if (!ternary)
                return;
        o->block_scales = qvf_conformance_random(&self->random) % 4 == 0;
        o->scale = o->block_scales ? 0.75f : 0.05f;
        if (o->block_scales)
                strncat(test->what, " with block scales", sizeof(test->what) - strlen(test->what) - 1);
}

uint32_t qvf_conformance_columns(struct conformance *self, uint32_t dtype)
{
        struct conformance_shapes shapes = qvf_conformance_shapes(self);

        if (dtype == QVF_F32 || dtype == QVF_F16 || dtype == QVF_BF16)
                return qvf_conformance_pick(self, shapes.columns, shapes.n_columns);
        if (dtype == QVF_Q8_0 || dtype == QVF_Q4_0)
                return qvf_conformance_pick(self, (const uint32_t[]){ 32, 96, 256, 544, 1536 },
                                self->options->quick ? 3 : 5);
        return qvf_conformance_pick(self, shapes.blocks, shapes.n_blocks);
}
