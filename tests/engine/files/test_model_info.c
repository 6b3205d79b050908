/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/dtype.h"
#include "engine/files/model_info.h"
#include "tests/support/gguf_builder.h"

struct opened {
        struct qvf_gguf *gguf;
        struct qvf_model_info *info;
};

static void opened_exit(struct opened *opened)
{
        qvf_model_info_free(opened->info);
        qvf_gguf_free(opened->gguf);
}

#define _cleanup_opened_ _cleanup_(opened_exit)

static struct opened open_builder(const struct gguf_builder *builder)
{
        struct opened opened = { 0 };
        struct qvf_error error = { 0 };

        ck_assert_msg(gguf_builder_open(builder, &opened.gguf, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_model_info_new(opened.gguf, &opened.info, &error) == 0, "%s", error.text);
        return opened;
}

static struct opened open_shape(const struct gguf_model_shape *shape)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        gguf_add_model(&builder, shape, 1);
        return open_builder(&builder);
}

static void refuse(const struct gguf_builder *builder, int code, const char *words)
{
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        struct qvf_model_info *info = NULL;
        struct qvf_error error = { 0 };
        int r;

        ck_assert_msg(gguf_builder_open(builder, &gguf, &error) == 0, "%s", error.text);
        r = qvf_model_info_new(gguf, &info, &error);
        ck_assert_msg(r == code, "%d instead of %d: %s", r, code, error.text);
        ck_assert_ptr_null(info);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
        ck_assert_msg(strncmp(error.text, "test.gguf: ", 11) == 0, "'%s' does not name the file",
                        error.text);
}

/* --- shapes --- */

START_TEST(shipped_models)
{
        static const struct {
                const char *path, *architecture;
                enum qvf_activation activation;
                enum qvf_dtype linear;
                uint32_t layers, dim, ffn, heads, kv_heads, vocabulary, context;
                float base;
        } models[] = {
                { "models/tiny-silu.TQ2_0.gguf", "bitnet", QVF_ACTIVATION_SILU, QVF_TQ2_0, 2, 256, 512, 4, 2,
                                512, 512, 1e4f },
                { "models/tiny-relu2.TQ1_0.gguf", "bitnet-b1.58", QVF_ACTIVATION_RELU2, QVF_TQ1_0, 2, 256,
                                512, 4, 2, 512, 512, 5e5f },
                { "models/tiny-relu2.TQ2_0.gguf", "bitnet-b1.58", QVF_ACTIVATION_RELU2, QVF_TQ2_0, 2, 256,
                                512, 4, 2, 512, 512, 5e5f },
                { "models/helper-29m.TQ2_0.gguf", "bitnet", QVF_ACTIVATION_SILU, QVF_TQ2_0, 8, 512, 1536, 8,
                                4, 8192, 1024, 1e4f },
        };

        for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
                _cleanup_opened_ struct opened opened = { 0 };
                struct qvf_error error = { 0 };
                const struct qvf_model_info *info;

                ck_assert_msg(qvf_gguf_open(models[i].path, &opened.gguf, &error) == 0, "%s", error.text);
                ck_assert_msg(qvf_model_info_new(opened.gguf, &opened.info, &error) == 0, "%s", error.text);
                info = opened.info;
                ck_assert_str_eq(info->architecture_name, models[i].architecture);
                ck_assert_int_eq(info->activation, models[i].activation);
                ck_assert(info->sub_norms && info->tied && !info->has_scales && !info->linear_mixed);
                ck_assert_int_eq(info->linear_dtype, models[i].linear);
                ck_assert_uint_eq(info->n_layers, models[i].layers);
                ck_assert_uint_eq(info->dim, models[i].dim);
                ck_assert_uint_eq(info->ffn_dim, models[i].ffn);
                ck_assert_uint_eq(info->n_heads, models[i].heads);
                ck_assert_uint_eq(info->n_kv_heads, models[i].kv_heads);
                ck_assert_uint_eq(info->head_dim, 64);
                ck_assert_uint_eq(info->rope_dims, 64);
                ck_assert_uint_eq(info->vocabulary_size, models[i].vocabulary);
                ck_assert_uint_eq(info->context_length, models[i].context);
                ck_assert_float_eq(info->rope_base, models[i].base);
                ck_assert_float_eq(info->norm_epsilon, 1e-5f);
                ck_assert_int_eq(info->rope_pairing, QVF_ROPE_NEOX);
                ck_assert_int_eq(info->rope_scaling, QVF_ROPE_SCALING_NONE);
                ck_assert_uint_eq(info->n_unused_tensors, 0);
                ck_assert_int_eq(info->token_embd->dtype, QVF_F16);
        }
}
END_TEST

/* The public models' proportions at a small size. */
static const struct {
        const char *name;
        struct gguf_model_shape shape;
        uint32_t head_dim;
        enum qvf_rope_pairing pairing;
} public_shapes[] = {
        { "Falcon3-1.58: head dim 256 by key, untied, I2_S",
                        { .architecture = "llama",
                                        .n_layers = 2,
                                        .dim = 512,
                                        .ffn_dim = 1024,
                                        .n_heads = 2,
                                        .n_kv_heads = 1,
                                        .head_dim = 256,
                                        .vocabulary = 64,
                                        .rope_base = 1000042,
                                        .untied = true,
                                        .linear = QVF_I2_S,
                                        .embedding = QVF_F16 },
                        256, QVF_ROPE_INTERLEAVED },
        { "head dim that is not dim / heads",
                        { .architecture = "llama",
                                        .n_layers = 1,
                                        .dim = 256,
                                        .ffn_dim = 512,
                                        .n_heads = 4,
                                        .n_kv_heads = 2,
                                        .head_dim = 128,
                                        .vocabulary = 64,
                                        .untied = true,
                                        .linear = QVF_TQ1_0,
                                        .embedding = QVF_Q8_0 },
                        128, QVF_ROPE_INTERLEAVED },
        { "Falcon-E: scales beside the tensors",
                        { .architecture = "llama",
                                        .n_layers = 2,
                                        .dim = 512,
                                        .ffn_dim = 2304,
                                        .n_heads = 4,
                                        .n_kv_heads = 1,
                                        .vocabulary = 64,
                                        .rope_base = 1e6f,
                                        .untied = true,
                                        .scales = true,
                                        .linear = QVF_TQ2_0,
                                        .embedding = QVF_BF16 },
                        128, QVF_ROPE_INTERLEAVED },
        { "TriLM: multi-head, untied",
                        { .architecture = "llama",
                                        .n_layers = 2,
                                        .dim = 512,
                                        .ffn_dim = 1280,
                                        .n_heads = 8,
                                        .vocabulary = 64,
                                        .rope_base = 1e4f,
                                        .untied = true,
                                        .linear = QVF_TQ2_0,
                                        .embedding = QVF_F16 },
                        64, QVF_ROPE_INTERLEAVED },
        { "bitnet.cpp's 2B-4T: bitnet-25, F16 rows",
                        { .architecture = "bitnet-25",
                                        .n_layers = 2,
                                        .dim = 320,
                                        .ffn_dim = 864,
                                        .n_heads = 5,
                                        .n_kv_heads = 1,
                                        .vocabulary = 64,
                                        .rope_base = 5e5f,
                                        .sub_norms = true,
                                        .linear = QVF_F16,
                                        .embedding = QVF_Q4_0 },
                        64, QVF_ROPE_NEOX },
        { "1bitLLM 3B: rows that are no multiple of 256, in Q4_0",
                        { .architecture = "bitnet",
                                        .n_layers = 1,
                                        .dim = 3200,
                                        .ffn_dim = 8640,
                                        .n_heads = 32,
                                        .vocabulary = 64,
                                        .sub_norms = true,
                                        .linear = QVF_Q4_0,
                                        .embedding = QVF_F16 },
                        100, QVF_ROPE_NEOX },
};

START_TEST(public_model_shapes)
{
        const struct gguf_model_shape *shape = &public_shapes[_i].shape;
        _cleanup_opened_ struct opened opened = open_shape(shape);
        const struct qvf_model_info *info = opened.info;
        const struct qvf_model_layer *layer = &info->layers[shape->n_layers - 1];
        uint32_t query = public_shapes[_i].head_dim * shape->n_heads;

        ck_assert_uint_eq(info->head_dim, public_shapes[_i].head_dim);
        ck_assert_int_eq(info->rope_pairing, public_shapes[_i].pairing);
        ck_assert_int_eq(info->tied, !shape->untied);
        ck_assert_int_eq(info->sub_norms, shape->sub_norms);
        ck_assert_int_eq(info->has_scales, shape->scales);
        ck_assert_int_eq(info->linear_dtype, shape->linear);
        ck_assert_int_eq(info->token_embd->dtype, shape->embedding);
        ck_assert_int_eq(info->output.tensor != NULL, shape->untied);
        ck_assert_float_eq(info->rope_base, shape->rope_base > 0 ? shape->rope_base : 10000);
        ck_assert_uint_eq(layer->attn_q.tensor->ne[1], query);
        ck_assert_uint_eq(layer->attn_output.tensor->ne[0], query);
        ck_assert_uint_eq(layer->ffn_down.tensor->ne[0], shape->ffn_dim);
        ck_assert_float_eq(layer->ffn_down.scale, shape->scales ? 2 : 1);
        ck_assert_int_eq(layer->ffn_down.has_scale, shape->scales);
        ck_assert_int_eq(layer->attn_sub_norm != NULL, shape->sub_norms);
        ck_assert_uint_eq(info->n_linear_parameters,
                        (uint64_t)shape->n_layers *
                                        (2 * shape->dim * (query + info->n_kv_heads * info->head_dim) +
                                                        3 * shape->dim * shape->ffn_dim));
        ck_assert_uint_eq(info->n_unused_tensors, 0);
}
END_TEST

static const struct gguf_model_shape small = {
        .architecture = "llama", .n_layers = 2, .dim = 64, .ffn_dim = 96, .n_heads = 2, .vocabulary = 32
};

/* Converters of bitnet.cpp write no key length, but the head's size as the rope's. */
START_TEST(head_dim_from_rope_dimension_count)
{
        struct gguf_model_shape shape = small;
        _cleanup_gguf_builder_ struct gguf_builder wide = { 0 }, builder = { 0 };
        _cleanup_opened_ struct opened opened = { 0 };

        shape.head_dim = 128;
        gguf_add_model(&wide, &shape, 1);
        /* The same tensors; of the keys only those of the model whose heads are dim / heads wide. */
        shape.head_dim = 0;
        gguf_add_model(&builder, &shape, 1);
        gguf_add_u32(&builder, "llama.rope.dimension_count", 128);
        qvf_text_exit(&builder.tensors);
        qvf_text_exit(&builder.data);
        builder.tensors = wide.tensors;
        builder.data = wide.data;
        builder.n_tensors = wide.n_tensors;
        wide.tensors = wide.data = (struct qvf_text){ 0 };
        opened = open_builder(&builder);
        ck_assert_uint_eq(opened.info->head_dim, 128);
        ck_assert_uint_eq(opened.info->rope_dims, 128);
}
END_TEST

START_TEST(sizes_as_equal_arrays)
{
        _cleanup_gguf_builder_ struct gguf_builder good = { 0 }, bad = { 0 };
        _cleanup_opened_ struct opened opened = { 0 };
        static const uint32_t equal[2] = { 1, 1 }, other[2] = { 2, 1 };
        struct gguf_model_shape shape = small;

        shape.architecture = "bitnet"; /* the key of the other name is ours to write */
        shape.sub_norms = true;
        shape.n_kv_heads = 1;
        gguf_add_model(&good, &shape, 1);
        gguf_add_array(&good, "bitnet.expert_count", QVF_GGUF_U32, 2, equal, 8); /* of no interest here */
        opened = open_builder(&good);
        ck_assert_uint_eq(opened.info->n_kv_heads, 1);

        gguf_add_string(&bad, "general.architecture", "llama");
        gguf_add_array(&bad, "llama.block_count", QVF_GGUF_U32, 2, other, 8);
        refuse(&bad, -EOPNOTSUPP, "differs between layers");
}
END_TEST

/* --- refusals --- */

/* A model of this shape with one key more, which stands in the file instead of none. */
static void refuse_shape(const struct gguf_model_shape *shape, int code, const char *words)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        gguf_add_model(&builder, shape, 1);
        refuse(&builder, code, words);
}

START_TEST(architectures)
{
        _cleanup_gguf_builder_ struct gguf_builder none = { 0 }, adapter = { 0 };
        struct gguf_model_shape shape = small;

        refuse(&none, -ENOENT, "key 'general.architecture' is absent");
        shape.architecture = "gemma";
        refuse_shape(&shape, -EOPNOTSUPP, "is 'gemma', expected bitnet, bitnet-b1.58, bitnet-25 or llama");
        gguf_add_string(&adapter, "general.type", "adapter");
        gguf_add_string(&adapter, "general.architecture", "llama");
        refuse(&adapter, -EINVAL, "this is an adapter, not a model");
}
END_TEST

START_TEST(sizes_out_of_range)
{
        static const struct {
                const char *key;
                uint32_t value;
                const char *words;
        } cases[] = {
                { "llama.block_count", 0, "is 0, expected 1 to 512" },
                { "llama.block_count", 513, "is 513, expected 1 to 512" },
                { "llama.block_count", UINT32_MAX, "expected 1 to 512" },
                { "llama.block_count", 512, "is 512, but the file has only 20 tensors" },
                { "llama.embedding_length", 65537, "expected 1 to 65536" },
                { "llama.feed_forward_length", 0, "expected 1 to 262144" },
                { "llama.attention.head_count", 1025, "expected 1 to 1024" },
                { "llama.attention.head_count", 0, "expected 1 to 1024" },
                { "llama.attention.head_count", 3, "expected a multiple of the 2 key-value heads" },
                { "llama.attention.head_count_kv", 0, "expected 1 to 1024" },
                { "llama.context_length", 0, "expected 1 to 16777216" },
                { "llama.context_length", 1u << 25, "expected 1 to 16777216" },
                { "llama.vocab_size", 33, "A.vocab_size is 33, but 'token_embd.weight' has 32 rows" },
                { "llama.vocab_size", 1u << 21, "expected 1 to 1048576" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
                struct qvf_text keys;
                size_t length = strlen(cases[i].key);
                bool found = false;

                gguf_add_model(&builder, &small, 1);
                keys = builder.keys;
                for (size_t at = 0; at + length + 8 <= keys.length && !found; at++) {
                        uint64_t its_length;

                        if (at < 8 || memcmp(keys.bytes + at, cases[i].key, length) != 0)
                                continue;
                        memcpy(&its_length, keys.bytes + at - 8, 8);
                        if (its_length != length)
                                continue;
                        memcpy(keys.bytes + at + length + 4, &cases[i].value, 4);
                        found = true;
                }
                ck_assert(found);
                refuse(&builder, -EINVAL, cases[i].words);
        }
}
END_TEST

START_TEST(keys_that_are_not_supported)
{
        static const struct {
                const char *key, *string;
                uint32_t number;
                float real;
                int code;
                const char *words;
        } cases[] = {
                { "llama.expert_count", NULL, 8, 0, -EOPNOTSUPP, "a mixture of experts" },
                { "llama.rope.scaling.type", "longrope", 0, 0, -EOPNOTSUPP,
                                "is 'longrope', expected none, linear or" },
                { "llama.rope.scaling.factor", NULL, 0, -1, -EINVAL, "is -1, expected 0 to" },
                { "llama.rope.dimension_count", NULL, 31, 0, -EINVAL,
                                "is 31, expected an even number up to 32" },
                { "llama.rope.dimension_count", NULL, 34, 0, -EINVAL,
                                "is 34, expected an even number up to 32" },
                { "llama.attention.key_length", NULL, 33, 0, -EINVAL, "odd or over 1024" },
                { "llama.attention.key_length", NULL, 64, 0, -EOPNOTSUPP,
                                "value_length is 32, expected the key" },
                { "llama.attention.value_length", NULL, 64, 0, -EOPNOTSUPP,
                                "value_length is 64, expected the key" },
                { "llama.rope.freq_base", "much", 0, 0, -EINVAL, "is of type string, expected f32" },
                { "tokenizer.ggml.tokens", "a", 0, 0, -EINVAL, "expected an array of string" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

                gguf_add_model(&builder, &small, 1);
                if (strstr(cases[i].words, "value_length is 32"))
                        gguf_add_u32(&builder, "llama.attention.value_length", 32);
                if (cases[i].string)
                        gguf_add_string(&builder, cases[i].key, cases[i].string);
                else if (cases[i].number)
                        gguf_add_u32(&builder, cases[i].key, cases[i].number);
                else
                        gguf_add_f32(&builder, cases[i].key, cases[i].real);
                refuse(&builder, cases[i].code, cases[i].words);
        }
}
END_TEST

/* CVE-2025-49847: more tokens than the embedding has rows */
START_TEST(cve_2025_49847_vocabulary_length)
{
        _cleanup_gguf_builder_ struct gguf_builder more = { 0 }, fewer = { 0 };
        _cleanup_opened_ struct opened opened = { 0 };
        const char *tokens[33];

        for (unsigned i = 0; i < 33; i++)
                tokens[i] = "t";
        gguf_add_model(&more, &small, 1);
        gguf_add_strings(&more, "tokenizer.ggml.tokens", tokens, 33);
        refuse(&more, -EINVAL,
                        "'tokenizer.ggml.tokens' holds 33 tokens, but 'token_embd.weight' has 32 rows");
        gguf_add_model(&fewer, &small, 1);
        gguf_add_strings(&fewer, "tokenizer.ggml.tokens", tokens, 31);
        opened = open_builder(&fewer);
        ck_assert_uint_eq(opened.info->vocabulary_size, 32);
}
END_TEST

START_TEST(missing_tensors)
{
        static const char *const names[] = { "token_embd.weight", "output_norm.weight",
                "blk.0.attn_norm.weight", "blk.1.attn_sub_norm.weight", "blk.1.ffn_norm.weight",
                "blk.0.ffn_sub_norm.weight", "blk.0.attn_q.weight", "blk.0.attn_k.weight",
                "blk.1.attn_v.weight", "blk.1.attn_output.weight", "blk.0.ffn_gate.weight",
                "blk.1.ffn_up.weight", "blk.1.ffn_down.weight" };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                struct gguf_model_shape shape = small;
                char words[80];

                shape.architecture = "bitnet-b1.58";
                shape.sub_norms = true;
                shape.left_out = names[i];
                snprintf(words, sizeof(words), "tensor '%s' is missing", names[i]);
                refuse_shape(&shape, -ENOENT, words);
        }
}
END_TEST

/* Each of these takes the place of the tensor of that name. */
START_TEST(tensors_of_another_shape_or_type)
{
        static const struct {
                const char *name;
                enum qvf_dtype dtype;
                int code;
                uint64_t columns, rows;
                const char *words;
        } cases[] = {
                { "token_embd.weight", QVF_F32, -EINVAL, 65, 32, "is 65 x 32 x 1 x 1, expected 64 x 32" },
                { "output_norm.weight", QVF_F32, -EINVAL, 63, 1, "is 63 x 1 x 1 x 1, expected 64 x 1" },
                { "output_norm.weight", QVF_Q8_0, -EOPNOTSUPP, 64, 1,
                                "of type Q8_0, expected F32, F16 or BF16" },
                { "token_embd.weight", QVF_I2_S, -EOPNOTSUPP, 64, 32, "of type I2_S, expected" },
                { "blk.0.attn_q.weight", QVF_F32, -EINVAL, 64, 63, "'blk.0.attn_q.weight' is 64 x 63" },
                { "blk.1.attn_k.weight", QVF_F32, -EINVAL, 64, 32, "'blk.1.attn_k.weight' is 64 x 32" },
                { "blk.1.attn_norm.weight", QVF_F32, -EINVAL, 32, 2, "is 32 x 2 x 1 x 1, expected 64 x 1" },
                { "blk.1.ffn_down.weight", QVF_F32, -EINVAL, 64, 96,
                                "is 64 x 96 x 1 x 1, expected 96 x 64" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
                struct gguf_model_shape shape = small;

                shape.left_out = cases[i].name;
                gguf_add_model(&builder, &shape, 1);
                gguf_add_tensor(&builder, cases[i].name, cases[i].dtype, cases[i].columns, cases[i].rows,
                                NULL);
                refuse(&builder, cases[i].code, cases[i].words);
        }
}
END_TEST

START_TEST(tensors_that_have_no_place)
{
        static const float nan = NAN, zeros[16];
        static const struct {
                const char *name;
                uint64_t columns;
                const float *data;
                int code;
                const char *words;
        } cases[] = {
                { "blk.0.attn_q.bias", 64, NULL, -EOPNOTSUPP,
                                "'blk.0.attn_q.bias' has no place in a model of" },
                { "blk.0.attn_sub_norm.weight", 64, NULL, -EOPNOTSUPP, "has no place" },
                { "rope_factors_long.weight", 16, NULL, -EOPNOTSUPP, "has no place" },
                { "blk.0.attn_q.weight_scale", 1, NULL, -EOPNOTSUPP, "has no place" },
                { "output.scale", 1, NULL, -EOPNOTSUPP, "has no place" }, /* there is no output */
                { "blk.0.attn_q.scale", 1, &nan, -EINVAL,
                                "tensor 'blk.0.attn_q.scale' is no finite number" },
                { "blk.0.attn_q.scale", 2, NULL, -EINVAL, "is 2 x 1 x 1 x 1, expected 1 x 1" },
                { "rope_freqs.weight", 15, NULL, -EINVAL, "is 15 x 1 x 1 x 1, expected 16 x 1" },
                { "rope_freqs.weight", 16, zeros, -EINVAL,
                                "'rope_freqs.weight' holds 0, expected positive numbers" },
        };
        _cleanup_gguf_builder_ struct gguf_builder unused = { 0 };
        _cleanup_opened_ struct opened opened = { 0 };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

                gguf_add_model(&builder, &small, 1);
                gguf_add_tensor(&builder, cases[i].name, QVF_F32, cases[i].columns, 1, cases[i].data);
                refuse(&builder, cases[i].code, cases[i].words);
        }
        gguf_add_model(&unused, &small, 1);
        gguf_add_tensor(&unused, "odd", QVF_F32, 3, 1, NULL);
        gguf_add_tensor(&unused, "blk.2.attn_q.weight", QVF_F32, 3, 1, NULL);
        opened = open_builder(&unused);
        ck_assert_uint_eq(opened.info->n_unused_tensors, 2);
        ck_assert_str_eq(opened.info->unused_tensor, "odd");
}
END_TEST

/* --- rope --- */

#define PAIRS 16

static struct opened open_with_rope(const char *type, float factor, uint32_t original, const float *freqs)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        gguf_add_model(&builder, &small, 1);
        if (type)
                gguf_add_string(&builder, "llama.rope.scaling.type", type);
        if (factor > 0)
                gguf_add_f32(&builder, "llama.rope.scaling.factor", factor);
        if (original)
                gguf_add_u32(&builder, "llama.rope.scaling.original_context_length", original);
        if (freqs)
                gguf_add_tensor(&builder, "rope_freqs.weight", QVF_F32, PAIRS, 1, freqs);
        return open_builder(&builder);
}

START_TEST(rope_plain_and_linear)
{
        static const struct {
                const char *type;
                float factor, divisor;
        } cases[] = { { NULL, 0, 1 }, { "none", 4, 1 }, { "linear", 4, 4 }, { NULL, 8, 8 },
                { "linear", 0, 1 } };

        for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
                _cleanup_opened_ struct opened opened =
                                open_with_rope(cases[k].type, cases[k].factor, 0, NULL);
                float inverse[PAIRS], magnitude;

                ck_assert_int_eq(qvf_rope_frequencies(opened.info, inverse, &magnitude), 0);
                ck_assert_float_eq(magnitude, 1);
                for (unsigned i = 0; i < PAIRS; i++)
                        ck_assert_float_eq(inverse[i],
                                        (float)(pow(10000, -2.0 * i / 32) / (double)cases[k].divisor));
        }
}
END_TEST

START_TEST(rope_divisors_of_llama3)
{
        float freqs[PAIRS], inverse[PAIRS], magnitude;
        _cleanup_opened_ struct opened opened = { 0 };

        for (unsigned i = 0; i < PAIRS; i++)
                freqs[i] = 1 + (float)i / 2;
        opened = open_with_rope(NULL, 0, 0, freqs);
        ck_assert_int_eq(qvf_rope_frequencies(opened.info, inverse, &magnitude), 0);
        for (unsigned i = 0; i < PAIRS; i++)
                ck_assert_float_eq(inverse[i], (float)(pow(10000, -2.0 * i / 32) / (double)freqs[i]));
}
END_TEST

/* Numbers of an independent implementation (transformers 4.57, _compute_yarn_parameters) for dim 32, base 10000,
 * factor 4, original context 512: see tests/data/gguf/make_yarn.py. */
static const float yarn_golden[PAIRS] = {
#include "tests/data/gguf/yarn.inc"
};

START_TEST(rope_yarn)
{
        _cleanup_opened_ struct opened opened = open_with_rope("yarn", 4, 512, NULL);
        float inverse[PAIRS], magnitude;

        ck_assert_int_eq(qvf_rope_frequencies(opened.info, inverse, &magnitude), 0);
        ck_assert_float_eq_tol(magnitude, 1.13862943611198906f, 1e-6f);
        for (unsigned i = 0; i < PAIRS; i++)
                ck_assert_float_eq_tol(inverse[i] / yarn_golden[i], 1, 2e-6f);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("model_info");
        TCase *tcase = tcase_create("model_info");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, shipped_models);
        tcase_add_loop_test(tcase, public_model_shapes, 0, sizeof(public_shapes) / sizeof(public_shapes[0]));
        tcase_add_test(tcase, head_dim_from_rope_dimension_count);
        tcase_add_test(tcase, sizes_as_equal_arrays);
        tcase_add_test(tcase, architectures);
        tcase_add_test(tcase, sizes_out_of_range);
        tcase_add_test(tcase, keys_that_are_not_supported);
        tcase_add_test(tcase, cve_2025_49847_vocabulary_length);
        tcase_add_test(tcase, missing_tensors);
        tcase_add_test(tcase, tensors_of_another_shape_or_type);
        tcase_add_test(tcase, tensors_that_have_no_place);
        tcase_add_test(tcase, rope_plain_and_linear);
        tcase_add_test(tcase, rope_divisors_of_llama3);
        tcase_add_test(tcase, rope_yarn);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
