/* SPDX-License-Identifier: Apache-2.0 */
/* Models of every kind and storage that a file may have: against a plain forward pass in double, and, as the ternary
 * part is exact, to the last bit against the same weights stored as TQ2_0. */
#include <string.h>

#include "engine/files/dtype.h"
#include "tests/support/compute.h"
#include "tests/support/forward.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/reference.h"
#include "tests/support/suite.h"

/* A scale that Q8_0 (s/127), Q4_0 (s/8), f16 and bf16 hold exactly. */
#define SCALE (127 / 512.0f)

static const int32_t tokens[] = { 3, 141, 59, 265, 35, 89, 79, 3, 238, 46, 264 };
#define N_TOKENS (sizeof(tokens) / sizeof(tokens[0]))

static const struct gguf_model_shape bitnet = {
        .architecture = "bitnet",
        .n_layers = 2,
        .dim = 256,
        .ffn_dim = 512,
        .n_heads = 4,
        .vocabulary = 270,
        .rope_base = 10000,
        .sub_norms = true,
        .linear = QVF_TQ2_0,
        .embedding = QVF_F16,
        .scale = SCALE,
};
/* As Falcon3-1.58: heads wider than dim / heads, few key heads, scales beside the tensors. */
static const struct gguf_model_shape falcon3 = {
        .architecture = "llama",
        .n_layers = 2,
        .dim = 256,
        .ffn_dim = 512,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_dim = 128,
        .vocabulary = 270,
        .rope_base = 1000042,
        .untied = true,
        .scales = true,
        .linear = QVF_TQ2_0,
        .embedding = QVF_F16,
        .scale = SCALE,
};
/* As TriLM: no sub-norms, an untied head, as many key heads as heads. */
static const struct gguf_model_shape trilm = {
        .architecture = "llama",
        .n_layers = 2,
        .dim = 256,
        .ffn_dim = 512,
        .n_heads = 4,
        .vocabulary = 270,
        .rope_base = 10000,
        .untied = true,
        .linear = QVF_TQ2_0,
        .embedding = QVF_Q8_0,
        .scale = SCALE,
};

static struct qvf_model *built(const struct qvf_compute *compute, const struct gguf_model_shape *shape,
                const struct qvf_model_options *options)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        struct qvf_error error = { 0 };
        struct qvf_model *model;
        struct qvf_gguf *gguf;

        gguf_add_tokenizer(&builder, shape->vocabulary);
        gguf_add_model(&builder, shape, 7);
        ck_assert_msg(gguf_builder_open(&builder, &gguf, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_model_new(gguf, compute, options, &model, &error) == 0, "%s", error.text);
        return model;
}

static float *logits_of(const struct gguf_model_shape *shape, const struct qvf_model_options *options)
{
        struct qvf_compute compute = test_compute(NULL, 1);
        struct qvf_model *model = built(&compute, shape, options);
        float *logits;

        ck_assert(model->layers[0].linear[QVF_ATTN_Q].ternary);
        logits = test_forward(model, NULL, tokens, N_TOKENS);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
        return logits;
}

static void check_same(const struct gguf_model_shape *one, const struct gguf_model_shape *other)
{
        float *a = logits_of(one, NULL), *b = logits_of(other, NULL);
        size_t count = N_TOKENS * one->vocabulary;

        ck_assert_msg(memcmp(a, b, count * sizeof(*a)) == 0, "%s: %s and %s differ by %g", one->architecture,
                        qvf_dtype_name(one->linear), qvf_dtype_name(other->linear),
                        test_distance(a, b, count));
        free(a);
        free(b);
}

static double check_reference(const struct gguf_model_shape *shape)
{
        struct qvf_compute compute = test_compute(NULL, 1);
        struct qvf_model *model = built(&compute, shape, NULL);
        float *a = test_forward(model, NULL, tokens, N_TOKENS);
        float *b = reference_logits(model->info, tokens, N_TOKENS);
        double distance = test_distance(a, b, N_TOKENS * shape->vocabulary);

        printf("%s, head size %u: distance %.3g\n", shape->architecture, model->info->head_dim, distance);
        free(a);
        free(b);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
        return distance;
}

/* Where a rounding falls the other way than in double, one of 512 inputs is off by 1/127. */
#define DISTANCE_MOST 5e-3

START_TEST(every_kind_is_what_the_formulas_say)
{
        struct gguf_model_shape relu2 = bitnet, ternary_embedding = trilm;

        relu2.architecture = "bitnet-b1.58";
        ternary_embedding.embedding = QVF_TQ2_0;
        ck_assert_double_le(check_reference(&bitnet), DISTANCE_MOST);
        ck_assert_double_le(check_reference(&relu2), DISTANCE_MOST);
        ck_assert_double_le(check_reference(&trilm), DISTANCE_MOST);
        ck_assert_double_le(check_reference(&falcon3), DISTANCE_MOST);
        ck_assert_double_le(check_reference(&ternary_embedding), DISTANCE_MOST);
}
END_TEST

START_TEST(every_storage_gives_the_same_bits)
{
        static const enum qvf_dtype dtypes[] = { QVF_TQ1_0, QVF_F32, QVF_F16, QVF_BF16, QVF_Q8_0, QVF_Q4_0,
                QVF_I2_S };
        static const struct gguf_model_shape *const shapes[] = { &bitnet, &falcon3, &trilm };

        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
                for (size_t k = 0; k < sizeof(dtypes) / sizeof(dtypes[0]); k++) {
                        struct gguf_model_shape other = *shapes[i];

                        other.linear = dtypes[k];
                        check_same(shapes[i], &other);
                }
}
END_TEST

/* 5460 columns are no whole blocks: TQ2_0 has them only in a wider twin whose other columns are zero. */
START_TEST(rows_that_are_no_whole_blocks)
{
        static const struct {
                enum qvf_dtype dtype;
                uint32_t ffn_dim;
        } cases[] = { { QVF_F32, 340 }, { QVF_F16, 340 }, { QVF_BF16, 340 }, { QVF_I2_S, 340 },
                { QVF_F16, 341 }, { QVF_Q8_0, 352 }, { QVF_Q4_0, 352 } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct gguf_model_shape odd = falcon3, twin = falcon3;

                odd.linear = cases[i].dtype;
                odd.ffn_dim = cases[i].ffn_dim;
                twin.ffn_live = cases[i].ffn_dim;
                check_same(&odd, &twin);
        }
}
END_TEST

/* As the 3B model's 3200. The norms run over it, so that no wider twin gives the same. */
START_TEST(a_dim_that_is_no_whole_blocks)
{
        static const enum qvf_dtype dtypes[] = { QVF_F32, QVF_Q8_0, QVF_Q4_0, QVF_I2_S };
        struct gguf_model_shape one = bitnet, other;

        one.dim = 320;
        one.n_heads = 5;
        one.ffn_dim = 864;
        one.linear = QVF_F16;
        for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
                other = one;
                other.linear = dtypes[i];
                check_same(&one, &other);
        }
}
END_TEST

START_TEST(a_scale_beside_the_tensor_multiplies)
{
        struct gguf_model_shape without = falcon3;

        without.scales = false;
        without.scale = 2 * falcon3.scale; /* the builder's .scale tensors hold 2 */
        check_same(&falcon3, &without);
}
END_TEST

/* The builder writes the order of x86, which is what is assumed where nothing tells. */
START_TEST(the_order_of_i2s_can_be_told)
{
        const struct qvf_model_options x86 = { .i2s_order = QVF_I2S_X86, .cache_folder = -1 };
        const struct qvf_model_options arm = { .i2s_order = QVF_I2S_ARM, .cache_folder = -1 };
        struct gguf_model_shape i2s = trilm;
        size_t bytes = N_TOKENS * trilm.vocabulary * sizeof(float);
        float *a, *b, *wanted = logits_of(&trilm, NULL);

        i2s.linear = QVF_I2_S;
        a = logits_of(&i2s, &x86);
        b = logits_of(&i2s, &arm);
        ck_assert(memcmp(a, wanted, bytes) == 0);
        ck_assert(memcmp(b, wanted, bytes) != 0);
        free(a);
        free(b);
        free(wanted);
}
END_TEST

/* Columns that the norm before them makes large have more zeros, in the true order only. */
START_TEST(the_order_of_i2s_is_found_by_the_norms)
{
        static const enum qvf_i2s_order orders[] = { QVF_I2S_X86, QVF_I2S_ARM };
        struct gguf_model_shape twin = bitnet;

        twin.uneven = true;
        for (int i = 0; i < 2; i++) {
                struct gguf_model_shape i2s = twin;

                i2s.linear = QVF_I2_S;
                i2s.i2s_order = orders[i];
                check_same(&twin, &i2s);
        }
}
END_TEST

/* A dense matrix is no ternary one with errors: it is multiplied as it stands, its scale with it. */
START_TEST(dense_weights_are_used_as_they_are)
{
        struct qvf_compute compute = test_compute(NULL, 1);
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        struct gguf_model_shape shape = trilm;
        struct qvf_error error = { 0 };
        struct qvf_model *model;
        struct qvf_gguf *gguf;
        uint16_t *weight;

        shape.linear = QVF_F16;
        gguf_add_tokenizer(&builder, shape.vocabulary);
        gguf_add_model(&builder, &shape, 7);
        ck_assert_int_eq(gguf_builder_open(&builder, &gguf, &error), 0);
        /* The builder's file is private memory here: a third magnitude in the middle of one matrix. */
        weight = (uint16_t *)(void *)builder.data.bytes +
                 (qvf_gguf_find_tensor(gguf, "blk.1.ffn_up.weight")->file_offset -
                                 qvf_gguf_tensor(gguf, 0)->file_offset) /
                                 2;
        weight[77] = 0x3555;
        qvf_gguf_free(gguf);
        ck_assert_int_eq(gguf_builder_open(&builder, &gguf, &error), 0);
        ck_assert_msg(qvf_model_new(gguf, &compute, NULL, &model, &error) == 0, "%s", error.text);
        ck_assert(!model->layers[1].linear[QVF_FFN_UP].ternary);
        ck_assert_int_eq(model->layers[1].linear[QVF_FFN_UP].weight.dtype, QVF_F16);
        ck_assert(model->layers[1].linear[QVF_FFN_GATE].ternary);
        free(test_forward(model, NULL, tokens, N_TOKENS));
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}
END_TEST

QVF_SUITE("model kinds", 120, every_kind_is_what_the_formulas_say, every_storage_gives_the_same_bits,
                rows_that_are_no_whole_blocks, a_dim_that_is_no_whole_blocks,
                a_scale_beside_the_tensor_multiplies, the_order_of_i2s_can_be_told,
                the_order_of_i2s_is_found_by_the_norms, dense_weights_are_used_as_they_are)
