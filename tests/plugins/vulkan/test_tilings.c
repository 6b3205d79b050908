/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients through ternary weights by cooperative matrices, which no driver in software has: whatever tiles a device was
 * tuned to, sums of floats are made in the order of the rule's tiles, the tiles are ones that the shader can do, and the
 * device has room for them. */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "plugins/vulkan/ops/ternary.c"
#include "plugins/vulkan/ops/ternary_matrix.c"
#include "plugins/vulkan/pack.c"
#include "plugins/vulkan/tuning.c"
#include "tests/support/suite.h"

#define COLUMNS_OF_WEIGHTS 32u /* in what the shader takes of a row at once */

/* As constants of the shader. */
enum { INVOCATIONS = 0, TILE_ROWS = 2, TILE_COLUMNS, DEPTH, BESIDE, ACROSS, SHARING };

static struct vk_dispatch emitted; /* the last */
static const struct qvf_value scratch;

void vk_emit(struct vk_build *build, const struct vk_dispatch *dispatch)
{
        (void)build;
        emitted = *dispatch;
}

const struct qvf_value *vk_scratch(struct vk_build *build, unsigned slot, uint64_t bytes)
{
        (void)build;
        (void)slot;
        (void)bytes;
        return &scratch;
}

struct vk_dispatch vk_dispatch(const struct vk_call *call, enum vk_shader shader)
{
        (void)call;
        return (struct vk_dispatch){ .shader = shader };
}

uint32_t vk_rows_in_range(const struct vk_call *call, const struct vk_operand *operand)
{
        (void)call;
        return operand->rows;
}

uint64_t vk_operand_row_bytes(const struct vk_operand *operand)
{
        return (uint64_t)operand->columns * 4;
}

uint64_t qvf_program_row_bytes(
                uint32_t dtype, uint32_t columns) /* of weights that are not packed: there are none */
{
        (void)dtype;
        return columns;
}

/* The tiles for a gradient of this shape; zeros: it can't be done so. */
static struct vk_dispatch tiles_for(uint32_t rows, uint32_t columns, uint32_t dtype,
                const struct vk_limits *limits, uint16_t tuned)
{
        static const struct vk_features features = { .matrix_float16 = true, .subgroup_size = 32 };
        static const struct qvf_op op = { .kind = QVF_OP_MATMUL_TERNARY_BACKWARD };
        const struct qvf_value value = { .rows = rows, .columns = columns, .dtype = QVF_F32 };
        const struct qvf_value weight = {
                .rows = columns, .columns = columns, .dtype = dtype, .packed = 1, .scale = 1
        };
        struct vk_tuning tuning = vk_tuning_rules;
        const struct vk_call call = { .op = &op,
                .operand = { { &value, rows, columns, QVF_F32, false },
                                { &value, rows, columns, QVF_F32, false },
                                { &weight, columns, columns, dtype, false } },
                .rows = rows,
                .features = &features,
                .limits = limits,
                .tuning = &tuning };

        tuning.value[VK_TUNE_BACKWARD_TILES] = tuned;
        return vk_ternary_matrix_backward(NULL, &call, NULL) ? emitted : (struct vk_dispatch){ 0 };
}

static void assert_can_be(const uint32_t *c, const struct vk_limits *limits)
{
        const struct tiling t = { c[TILE_ROWS], c[TILE_COLUMNS], c[DEPTH], c[BESIDE], c[ACROSS],
                c[SHARING] };

        ck_assert(t.wm > 0 && t.wn > 0 && t.wk > 0);
        ck_assert_uint_eq(t.m % (MATRIX * t.wm), 0);
        ck_assert_uint_eq(t.n % (MATRIX * t.wn), 0);
        ck_assert_uint_eq(t.k % (MATRIX * t.wk), 0);
        ck_assert_uint_eq(c[INVOCATIONS], 32 * t.wm * t.wn * t.wk);
        ck_assert_uint_le(c[INVOCATIONS], limits->invocations);
        ck_assert_uint_le(backward_shared(&t), limits->shared);
}

static void assert_same_sums(uint32_t rows, uint32_t columns, const struct vk_limits *limits)
{
        uint16_t ways[VK_WAYS_MOST];
        uint32_t count = vk_knob_ways(VK_TUNE_BACKWARD_TILES, ways);
        struct vk_dispatch rule = tiles_for(rows, columns, QVF_TQ2_0, limits, 0);
        struct vk_dispatch rule_p1 = tiles_for(rows, columns, QVF_TQ1_0, limits, 0);

        ck_assert_uint_gt(rule.constant[TILE_ROWS], 0);
        for (uint32_t i = 1; i < count; i++) {
                struct vk_dispatch other = tiles_for(rows, columns, QVF_TQ2_0, limits, ways[i]);
                struct vk_dispatch other_p1 = tiles_for(rows, columns, QVF_TQ1_0, limits, ways[i]);

                assert_can_be(other.constant, limits);
                ck_assert_uint_eq(other.constant[TILE_COLUMNS] % COLUMNS_OF_WEIGHTS, 0);
                ck_assert_uint_eq(other.constant[DEPTH], rule.constant[DEPTH]);
                ck_assert_uint_eq(other.constant[SHARING], rule.constant[SHARING]);
                ck_assert_uint_ge(other.groups[0] * other.constant[TILE_COLUMNS], columns);
                ck_assert_uint_ge(other.push.row0 + other.groups[1] * other.constant[TILE_ROWS], rows);
                ck_assert_mem_eq(other_p1.constant, rule_p1.constant, sizeof(rule_p1.constant));
        }
}

START_TEST(sums_stay_the_same)
{
        static const struct vk_limits large = {
                .range = 1u << 31, .shared = 232448, .invocations = 1024, .alignment = 16
        };
        static const struct vk_limits small = {
                .range = 1u << 31, .shared = 32768, .invocations = 256, .alignment = 16
        };
        const char *given = getenv("QVF_TEST_SEED");
        unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

        printf("QVF_TEST_SEED=%u\n", seed);
        srand(seed);
        for (int i = 0; i < 2000; i++) {
                uint32_t rows = 1 + (uint32_t)rand() % (1u << rand() % 13);
                uint32_t columns = 256 * (1 + (uint32_t)rand() % 40);

                assert_same_sums(rows, columns, i % 2 ? &small : &large);
        }
}
END_TEST

/* Each of the rule's tilings is met, with all that may stand in its place. */
START_TEST(all_tilings_are_met)
{
        static const struct vk_limits limits = {
                .range = 1u << 31, .shared = 232448, .invocations = 1024, .alignment = 16
        };
        char first[12];

        for (uint32_t i = 0; i < QVF_ARRAY_LENGTH(backward_p2); i++) {
                snprintf(first, sizeof(first), "%u", i);
                ck_assert_int_eq(setenv("QVF_VK_TILES", first, 1), 0);
                ck_assert_uint_eq(tiles_for(512, 2048, QVF_TQ2_0, &limits, 0).constant[TILE_ROWS],
                                backward_p2[i].m);
                assert_same_sums(512, 2048, &limits);
                for (uint32_t j = 0; j < OTHERS; j++) {
                        struct vk_dispatch d = tiles_for(512, 2048, QVF_TQ2_0, &limits, (uint16_t)(j + 1));

                        ck_assert_uint_eq(d.constant[TILE_ROWS], others[i][j].m);
                        ck_assert_uint_eq(d.constant[TILE_COLUMNS], others[i][j].n);
                }
        }
}
END_TEST

QVF_SUITE("vulkan: tilings", 30, sums_stay_the_same, all_tilings_are_met)
