/* SPDX-License-Identifier: Apache-2.0 */
/* The order that operations are recorded in: each stands behind all that it has to wait for, and what is independent
 * comes together. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugins/common/op_rules.c"
#undef WRITTEN
#undef OPTIONAL
#undef LIKE
#include "plugins/common/program_check.c"
#include "plugins/vulkan/pack.c"
#include "plugins/vulkan/schedule.c"
#include "tests/support/suite.h"

#define OPS 300
#define VALUES 40

/* The first operation makes the program one that trains; each one says in i[0] where it stood. */
static void make(struct qvf_value *values, struct qvf_op *ops, struct qvf_program_desc *desc)
{
        static const uint16_t kinds[] = { QVF_OP_ADD, QVF_OP_RMSNORM, QVF_OP_MATMUL, QVF_OP_ROPE,
                QVF_OP_GATE };

        for (uint32_t i = 0; i < VALUES; i++) /* many lie over others */
                values[i] = (struct qvf_value){ .offset = (uint64_t)(rand() % 60) * 256,
                        .rows = 1 + (uint32_t)(rand() % 8),
                        .columns = 64,
                        .dtype = QVF_F32 };
        for (int i = 0; i < OPS; i++) {
                ops[i] = (struct qvf_op){ .kind = i ? kinds[rand() % 5] : QVF_OP_ATTENTION_TRAIN,
                        .i = { i } };
                for (int j = 0; j < QVF_OP_OPERANDS; j++)
                        ops[i].operand[j] = (uint16_t)(rand() % VALUES);
        }
        *desc = (struct qvf_program_desc){ sizeof(*desc), VALUES, OPS, values, ops, "random" };
}

static bool must_wait(const struct qvf_program_desc *desc, const struct qvf_op *a, const struct qvf_op *b)
{
        struct unit first = { 0 }, second = { 0 };

        add_places(&first, desc, a);
        add_places(&second, desc, b);
        return meet(&first, &second);
}

START_TEST(keeps_what_must_wait_in_order)
{
        const char *given = getenv("QVF_TEST_SEED");
        unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

        printf("QVF_TEST_SEED=%u\n", seed);
        srand(seed);
        for (int round = 0; round < 20; round++) {
                struct qvf_value values[VALUES];
                struct qvf_op ops[OPS], ordered[OPS];
                struct qvf_program_desc desc;
                bool seen[OPS] = { 0 };

                make(values, ops, &desc);
                ck_assert_int_eq(vk_schedule(&desc, false, ordered), 0);
                for (int i = 0; i < OPS; i++) {
                        ck_assert(!seen[ordered[i].i[0]]);
                        seen[ordered[i].i[0]] = true;
                        for (int j = 0; j < i; j++)
                                ck_assert(ordered[j].i[0] < ordered[i].i[0] ||
                                                !must_wait(&desc, &ordered[j], &ordered[i]));
                }
        }
}
END_TEST

static struct qvf_op norm(uint16_t y, uint16_t x)
{
        return (struct qvf_op){ .kind = QVF_OP_RMSNORM, .operand = { y, x, 9 } };
}

/* Two chains of three, one behind the other. */
START_TEST(brings_independent_ones_together)
{
        struct qvf_value values[10];
        struct qvf_op ops[] = { norm(1, 0), norm(2, 1), norm(3, 2), norm(5, 4), norm(6, 5), norm(7, 6),
                { .kind = QVF_OP_ATTENTION_TRAIN, .operand = { 8, 8, 7, 3, 3, 3 } } };
        static const uint16_t wanted[] = { 1, 5, 2, 6, 3, 7, 8 };
        struct qvf_op ordered[7];
        struct qvf_program_desc desc = { sizeof(desc), 10, 7, values, ops, "chains" };

        for (uint32_t i = 0; i < 10; i++)
                values[i] = (struct qvf_value){
                        .offset = i * 256, .rows = 1, .columns = 64, .dtype = QVF_F32
                };
        ck_assert_int_eq(vk_schedule(&desc, false, ordered), 0);
        for (int i = 0; i < 7; i++)
                ck_assert_uint_eq(ordered[i].operand[0], wanted[i]);
}
END_TEST

/* A sum, its norm and the codes of that are one dispatch; what generates stays as it is. */
START_TEST(keeps_together_what_is_emitted_together)
{
        struct qvf_value values[10];
        struct qvf_op ops[] = { { .kind = QVF_OP_ADD, .operand = { 1, 0, 0 } },
                { .kind = QVF_OP_ADD, .operand = { 2, 0, 0 } }, norm(3, 2),
                { .kind = QVF_OP_QUANTIZE, .operand = { 4, 5, 3 } }, norm(6, 1),
                { .kind = QVF_OP_ATTENTION_TRAIN, .operand = { 8, 8, 7, 3, 3, 3 } } };
        struct qvf_op ordered[6];
        struct qvf_program_desc desc = { sizeof(desc), 10, 6, values, ops, "chains" };

        for (uint32_t i = 0; i < 10; i++)
                values[i] = (struct qvf_value){
                        .offset = i * 256, .rows = 1, .columns = 64, .dtype = QVF_F32
                };
        ck_assert_int_eq(vk_schedule(&desc, false, ordered), 0);
        ck_assert_mem_eq(&ordered[1], &ops[1], 3 * sizeof(*ops));
        desc.n_ops = 5;
        ck_assert_int_eq(vk_schedule(&desc, false, ordered), 0);
        ck_assert_mem_eq(ordered, ops, 5 * sizeof(*ops));
}
END_TEST

/* With `adapters` what an adapter adds to a product follows it at once; without, products come side by side first. */
START_TEST(keeps_adapters_with_their_products)
{
        struct qvf_value values[14];
        struct qvf_op ops[] = { { .kind = QVF_OP_MATMUL_TERNARY, .operand = { 1, 0, 10, 11 } },
                { .kind = QVF_OP_MATMUL, .flags = QVF_ACCUMULATE, .operand = { 1, 2, 12, QVF_NONE } },
                { .kind = QVF_OP_MATMUL_TERNARY, .operand = { 3, 0, 10, 11 } },
                { .kind = QVF_OP_MATMUL, .flags = QVF_ACCUMULATE, .operand = { 3, 2, 12, QVF_NONE } },
                { .kind = QVF_OP_ATTENTION_TRAIN, .operand = { 8, 9, 1, 3, 3, 3 } } };
        static const uint16_t apart[] = { 0, 2, 1, 3, 4 };
        struct qvf_op ordered[5];
        struct qvf_program_desc desc = { sizeof(desc), 14, 5, values, ops, "adapters" };

        for (uint32_t i = 0; i < 14; i++)
                values[i] = (struct qvf_value){
                        .offset = i * 256, .rows = 1, .columns = 64, .dtype = QVF_F32
                };
        ck_assert_int_eq(vk_schedule(&desc, true, ordered), 0);
        ck_assert_mem_eq(ordered, ops, sizeof(ops));
        ck_assert_int_eq(vk_schedule(&desc, false, ordered), 0);
        for (int i = 0; i < 5; i++)
                ck_assert_mem_eq(&ordered[i], &ops[apart[i]], sizeof(*ops));
}
END_TEST

QVF_SUITE("vulkan schedule", 60, keeps_what_must_wait_in_order, brings_independent_ones_together,
                keeps_together_what_is_emitted_together, keeps_adapters_with_their_products)
