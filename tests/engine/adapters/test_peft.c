/* SPDX-License-Identifier: Apache-2.0 */
/* PEFT folders: to GGUF and back to the bit, rows of llama models turned, configurations that mean something else
 * refused. What PEFT itself makes of an export is checked by tests/peers. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/adapters/peft_config.h"
#include "tests/engine/adapters/adapter_helper.h"

static const struct qvf_peft_base plain_base = { .architecture = "bitnet", .n_layers = 3 };
static const struct qvf_peft_base permuted_base = {
        .architecture = "llama",
        .n_layers = 3,
        .permuted = true,
        .n_heads = HEADS,
        .n_kv_heads = KEY_HEADS,
        .head_dim = HEAD,
};
static const uint32_t all_four[QVF_MODULES] = { 4, 4, 4, 4, 4, 4, 4 };
static const uint32_t mixed[QVF_MODULES] = { 4, 0, 3, 4, 1, 0, 8 };

struct peft { /* a folder's files in memory */
        struct qvf_text weights, config;
};

static void peft_exit(struct peft *peft)
{
        qvf_text_exit(&peft->weights);
        qvf_text_exit(&peft->config);
}

#define _cleanup_peft_ _cleanup_(peft_exit)

static struct peft peft_of(const struct qvf_adapter_file *file, const struct qvf_peft_base *base)
{
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_error error = { 0 };
        struct peft peft = { 0 };

        ck_assert_msg(qvf_peft_write_weights(file, base, fd, &error) == 0, "%s", error.text);
        peft.weights = read_all(fd);
        ck_assert_int_eq(qvf_peft_config_write(file, base->n_layers, base->name, &peft.config), 0);
        return peft;
}

static int open_peft(const struct peft *peft, const struct qvf_peft_base *base,
                struct qvf_adapter_file **ret_file, struct qvf_error *error)
{
        _cleanup_close_ int weights = gguf_memory_file(peft->weights.bytes, peft->weights.length);
        _cleanup_close_ int config = gguf_memory_file(peft->config.bytes, peft->config.length);

        return qvf_peft_open_fds(weights, config, base, ret_file, error);
}

static struct qvf_adapter_file *from_peft(const struct peft *peft, const struct qvf_peft_base *base)
{
        struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(open_peft(peft, base, &file, &error) == 0, "%s\n%s", error.text,
                        qvf_text_string(&peft->config));
        return file;
}

static void assert_same(const struct qvf_text *one, const struct qvf_text *other)
{
        ck_assert_uint_eq(one->length, other->length);
        ck_assert_mem_eq(one->bytes, other->bytes, one->length);
}

/* GGUF → PEFT → GGUF → PEFT: both kinds of files are the same to the byte. */
static void there_and_back(const struct qvf_adapter_file *file, const struct qvf_peft_base *base)
{
        _cleanup_text_ struct qvf_text gguf = gguf_of(file, QVF_ADAPTER_AS_IT_IS);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *first = from_gguf(&gguf);
        _cleanup_peft_ struct peft peft = peft_of(first, base);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *second = from_peft(&peft, base);
        _cleanup_text_ struct qvf_text gguf_again = gguf_of(second, QVF_ADAPTER_AS_IT_IS);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *third = from_gguf(&gguf_again);
        _cleanup_peft_ struct peft peft_again = peft_of(third, base);

        assert_same(&gguf, &gguf_again);
        assert_same(&peft.weights, &peft_again.weights);
        assert_same(&peft.config, &peft_again.config);
        ck_assert_double_eq(product_distance(file, second), 0);
}

START_TEST(round_trip)
{
        static const enum qvf_dtype dtypes[] = { QVF_F32, QVF_F16 };
        static const float alphas[] = { 16, 0.1f, 1e-3f, 12345.678f };

        for (unsigned i = 0; i < 16; i++) {
                bool permuted = i & 1;
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                                random_adapter(permuted ? "llama" : "bitnet", 3, i & 2 ? mixed : all_four,
                                                alphas[i / 4], dtypes[i / 2 % 2], i);

                file->name = strdup("r\xc3\xb6und \"trip\"\n");
                there_and_back(file, permuted ? &permuted_base : &plain_base);
        }
}
END_TEST

/* bfloat16 has no place in the GGUF adapters that others read: it becomes F32, and no number changes. */
START_TEST(bfloat16)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("llama", 3, mixed, 16, QVF_BF16, 5);
        _cleanup_peft_ struct peft peft = peft_of(file, &permuted_base);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = from_peft(&peft, &permuted_base);
        _cleanup_text_ struct qvf_text gguf = gguf_of(back, QVF_ADAPTER_AS_IT_IS);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *last = from_gguf(&gguf);

        ck_assert_uint_eq(back->matrices[0].a.dtype, QVF_BF16);
        ck_assert_uint_eq(last->matrices[0].a.dtype, QVF_F32);
        ck_assert_double_eq(product_distance(file, last), 0);
}
END_TEST

/* --- the order of rows --- */

/* The formula of converters: a head's rows as [2, d/2], the two axes swapped. */
START_TEST(permutation_is_that_of_the_converters)
{
        struct qvf_adapter_numbers b = { 0 };
        float *values;

        ck_assert_int_eq(qvf_adapter_numbers_allocate(&b, 2 * 6, 2, &values), 0);
        for (unsigned i = 0; i < 24; i++)
                values[i] = (float)i;
        ck_assert_int_eq(qvf_peft_permute(&b, 2, true), 0);
        values = b.owned;
        for (unsigned head = 0; head < 2; head++)
                for (unsigned half = 0; half < 2; half++)
                        for (unsigned i = 0; i < 3; i++)
                                for (unsigned k = 0; k < 2; k++)
                                        ck_assert_float_eq(values[(head * 6 + 2 * i + half) * 2 + k],
                                                        (float)((head * 6 + half * 3 + i) * 2 + k));
        ck_assert_int_eq(qvf_peft_permute(&b, 2, false), 0);
        values = b.owned;
        for (unsigned i = 0; i < 24; i++)
                ck_assert_float_eq(values[i], (float)i);
        ck_assert_int_eq(qvf_peft_permute(&b, 5, true), -EINVAL);
        ck_assert_int_eq(qvf_peft_permute(&b, 4, true), -EINVAL); /* heads of 3 have no halves */
        ck_assert_int_eq(qvf_peft_permute(&b, 0, true), -EINVAL);
        free(b.owned);
}
END_TEST

START_TEST(only_q_and_k_of_llama_are_turned)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("llama", 1, all_four, 16, QVF_F32, 5);
        _cleanup_peft_ struct peft turned = peft_of(file, &permuted_base);
        struct qvf_peft_base other = permuted_base;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *read = NULL;

        other.permuted = false;
        read = from_peft(&turned, &other);
        for (uint32_t i = 0; i < QVF_MODULES; i++) {
                bool same = memcmp(file->matrices[i].b.data, read->matrices[i].b.data,
                                            qvf_adapter_numbers_bytes(&read->matrices[i].b)) == 0;

                ck_assert_int_eq(same, i != QVF_ATTN_Q && i != QVF_ATTN_K);
                ck_assert_mem_eq(file->matrices[i].a.data, read->matrices[i].a.data,
                                qvf_adapter_numbers_bytes(&read->matrices[i].a));
        }
}
END_TEST

START_TEST(heads_must_be_known_for_llama)
{
        struct qvf_peft_base base;
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_peft_base_from_name("llama", &base, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "name the base model"));
        ck_assert_int_eq(qvf_peft_base_from_name("bitnet-b1.58", &base, &error), 0);
        ck_assert(!base.permuted);
}
END_TEST

START_TEST(another_architecture)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("llama", 1, all_four, 16, QVF_F32, 5);
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_peft_write_weights(file, &plain_base, fd, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "for architecture \"llama\", the model is \"bitnet\""));
}
END_TEST

/* --- the configuration that is written --- */

START_TEST(targets_ranks_and_alphas)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 3, all_four, 16, QVF_F32, 5);
        _cleanup_peft_ struct peft peft = { 0 };
        _cleanup_peft_ struct peft written = { 0 };
        struct qvf_random random;
        struct qvf_error error = { 0 };

        qvf_random_seed(&random, 1);
        fill_random(&file->matrices[QVF_MODULES + QVF_FFN_UP].a, 2, DIM, QVF_F32, &random);
        fill_random(&file->matrices[QVF_MODULES + QVF_FFN_UP].b, FFN, 2, QVF_F32, &random);
        for (unsigned layer = 0; layer < 3; layer++)
                file->matrices[layer * QVF_MODULES + QVF_ATTN_V].alpha = 2.5f;
        free(file->matrices[QVF_ATTN_Q].a.owned);
        free(file->matrices[QVF_ATTN_Q].b.owned);
        file->matrices[QVF_ATTN_Q] = (struct qvf_adapter_matrix){ 0 };
        ck_assert_int_eq(qvf_adapter_file_check(file, &error), 0);
        ck_assert_int_eq(qvf_peft_config_write(file, 3, "some/base", &peft.config), 0);
        ck_assert_str_eq(peft.config.bytes, "{\n"
                                            "  \"alpha_pattern\": {\n"
                                            "    \"v_proj\": 2.5\n"
                                            "  },\n"
                                            "  \"auto_mapping\": null,\n"
                                            "  \"base_model_name_or_path\": \"some/base\",\n"
                                            "  \"bias\": \"none\",\n"
                                            "  \"fan_in_fan_out\": false,\n"
                                            "  \"inference_mode\": true,\n"
                                            "  \"init_lora_weights\": true,\n"
                                            "  \"lora_alpha\": 16,\n"
                                            "  \"lora_dropout\": 0.0,\n"
                                            "  \"modules_to_save\": null,\n"
                                            "  \"peft_type\": \"LORA\",\n"
                                            "  \"r\": 4,\n"
                                            "  \"rank_pattern\": {\n"
                                            "    \"layers.1.mlp.up_proj\": 2\n"
                                            "  },\n"
                                            "  \"revision\": null,\n"
                                            "  \"target_modules\": [\n"
                                            "    \"model.layers.1.self_attn.q_proj\",\n"
                                            "    \"model.layers.2.self_attn.q_proj\",\n"
                                            "    \"k_proj\",\n"
                                            "    \"v_proj\",\n"
                                            "    \"o_proj\",\n"
                                            "    \"gate_proj\",\n"
                                            "    \"up_proj\",\n"
                                            "    \"down_proj\"\n"
                                            "  ],\n"
                                            "  \"task_type\": \"CAUSAL_LM\",\n"
                                            "  \"use_dora\": false,\n"
                                            "  \"use_rslora\": false\n"
                                            "}\n");
        written = peft_of(file, &plain_base);
        peft.weights = written.weights;
        written.weights = (struct qvf_text){ 0 };
        qvf_adapter_file_free(from_peft(&peft, &plain_base));
        qvf_text_clear(&peft.config); /* a base with more layers: no name may reach those */
        ck_assert_int_eq(qvf_peft_config_write(file, 4, NULL, &peft.config), 0);
        ck_assert_ptr_nonnull(strstr(peft.config.bytes, "\"model.layers.0.mlp.down_proj\""));
        ck_assert_ptr_null(strstr(peft.config.bytes, "\"down_proj\""));
}
END_TEST

START_TEST(scales_of_every_kind)
{
        for (unsigned i = 0; i < 4; i++) {
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                                random_adapter("bitnet", 3, mixed, i & 1 ? 0 : 16, QVF_F32, 5);
                _cleanup_peft_ struct peft peft = { 0 };
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = NULL;
                _cleanup_text_ struct qvf_text gguf = { 0 };
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *last = NULL;

                file->rank_stabilised = i & 2;
                file->matrices[QVF_FFN_DOWN].alpha = 5;
                peft = peft_of(file, &plain_base);
                back = from_peft(&peft, &plain_base);
                ck_assert_double_le(product_distance(file, back), 1e-7);
                gguf = gguf_of(back, QVF_ADAPTER_AS_IT_IS);
                last = from_gguf(&gguf);
                ck_assert_double_le(product_distance(file, last), 2e-7);
        }
}
END_TEST

/* --- configurations that are read --- */

static void expect_config(const char *config, int code, const char *words)
{
        struct qvf_peft_config read = { 0 };
        struct qvf_error error = { 0 };
        int r = qvf_peft_config_parse(config, strlen(config), &read, &error);

        ck_assert_msg(r == code, "%d instead of %d: %s (%s)", r, code, error.text, config);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
        qvf_peft_config_exit(&read);
}

#define START "{\"peft_type\":\"LORA\",\"r\":8,\"lora_alpha\":16"

START_TEST(kinds_of_adapters)
{
        expect_config(START "}", 0, "");
        expect_config(START
                        ",\"task_type\":null,\"bias\":\"none\",\"modules_to_save\":[],\"use_dora\":false}",
                        0, "");
        expect_config("[]", -EINVAL, "the configuration is no JSON object");
        expect_config("", -EINVAL, "the configuration: no JSON");
        expect_config(START, -EINVAL, "the text ends within a value");
        expect_config("{\"r\":8,\"lora_alpha\":16}", -EINVAL, "peft_type is missing, expected \"LORA\"");
        expect_config("{\"peft_type\":\"IA3\"}", -EOPNOTSUPP, "peft_type is \"IA3\", expected \"LORA\"");
        expect_config(START ",\"task_type\":\"SEQ_CLS\"}", -EOPNOTSUPP, "task_type is \"SEQ_CLS\"");
        expect_config(START ",\"bias\":\"all\"}", -EOPNOTSUPP, "bias is \"all\", expected \"none\"");
        expect_config(START ",\"modules_to_save\":[\"lm_head\"]}", -EOPNOTSUPP,
                        "modules_to_save is set (whole modules were trained beside the adapter)");
        expect_config(START ",\"use_dora\":true}", -EOPNOTSUPP, "use_dora is set");
        expect_config(START ",\"lora_bias\":true}", -EOPNOTSUPP, "lora_bias is set");
        expect_config(START ",\"fan_in_fan_out\":1}", -EOPNOTSUPP, "fan_in_fan_out is set");
        expect_config(START ",\"layer_replication\":[[0,4]]}", -EOPNOTSUPP, "layer_replication is set");
        expect_config(START ",\"trainable_token_indices\":[1]}", -EOPNOTSUPP,
                        "trainable_token_indices is set");
        expect_config(START ",\"target_parameters\":[\"x\"]}", -EOPNOTSUPP, "target_parameters is set");
        expect_config(START ",\"alora_invocation_tokens\":[1]}", -EOPNOTSUPP, "behind certain tokens");
        expect_config(START ",\"init_lora_weights\":\"gaussian\"}", 0, "");
        expect_config(START ",\"init_lora_weights\":\"pissa_niter_16\"}", -EOPNOTSUPP,
                        "which changed the base weights");
        expect_config(START ",\"init_lora_weights\":\"olora\"}", -EOPNOTSUPP, "changed the base weights");
}
END_TEST

START_TEST(targets)
{
        expect_config(START ",\"target_modules\":[\"q_proj\",\"model.layers.0.mlp.up_proj\"]}", 0, "");
        expect_config(START ",\"target_modules\":\"all-linear\"}", 0, "");
        expect_config(START ",\"target_modules\":[\"q_proj\",\"lm_head\"]}", -EOPNOTSUPP,
                        "target_modules names \"lm_head\"; those that can be adapted are q_proj");
        expect_config(START ",\"target_modules\":[\"embed_tokens\"]}", -EOPNOTSUPP, "embed_tokens");
        expect_config(START ",\"target_modules\":[7]}", -EINVAL, "no list of names");
        expect_config(START ",\"target_modules\":{}}", -EINVAL, "no list of names");
}
END_TEST

START_TEST(numbers)
{
        expect_config("{\"peft_type\":\"LORA\",\"lora_alpha\":16}", -EINVAL,
                        "r is null, expected a whole number");
        expect_config("{\"peft_type\":\"LORA\",\"r\":0,\"lora_alpha\":16}", -EINVAL, "r is 0");
        expect_config("{\"peft_type\":\"LORA\",\"r\":4097,\"lora_alpha\":16}", -EINVAL, "at most 4096");
        expect_config("{\"peft_type\":\"LORA\",\"r\":8.5,\"lora_alpha\":16}", -EINVAL, "r is 8.5");
        expect_config("{\"peft_type\":\"LORA\",\"r\":\"8\",\"lora_alpha\":16}", -EINVAL, "r is \"8\"");
        expect_config("{\"peft_type\":\"LORA\",\"r\":8}", -EINVAL, "lora_alpha is null");
        expect_config("{\"peft_type\":\"LORA\",\"r\":8,\"lora_alpha\":0}", -EINVAL, "lora_alpha is 0");
        expect_config("{\"peft_type\":\"LORA\",\"r\":8,\"lora_alpha\":-1}", -EINVAL, "lora_alpha is -1");
        expect_config("{\"peft_type\":\"LORA\",\"r\":8,\"lora_alpha\":1e7}", -EINVAL, "at most 1e+06");
        expect_config("{\"peft_type\":\"LORA\",\"r\":8,\"lora_alpha\":1e-300}", -EINVAL, "above 0");
        expect_config("{\"peft_type\":\"LORA\",\"r\":8,\"lora_alpha\":NaN}", -EINVAL, "");
        expect_config(START ",\"use_rslora\":1}", -EINVAL, "use_rslora is neither true nor false");
        expect_config(START ",\"rank_pattern\":[1]}", -EINVAL, "rank_pattern is no object");
        expect_config(START ",\"rank_pattern\":{\"q_proj\":0}}", -EINVAL, "rank_pattern is 0");
        expect_config(START ",\"alpha_pattern\":{\"q_proj\":\"x\"}}", -EINVAL, "alpha_pattern is \"x\"");
        expect_config(START ",\"alpha_pattern\":{\"layers.[0-9]+.q_proj\":1}}", -EOPNOTSUPP,
                        "the regular expression \"layers.[0-9]+.q_proj\"; only plain names");
}
END_TEST

START_TEST(patterns_as_peft_reads_them)
{
        static const char config[] =
                        START ",\"alpha_pattern\":{\"layers.1.self_attn.q_proj\":1,\"q_proj\":2,"
                              "\"model\\\\.layers\\\\.0\\\\.mlp\\\\.up_proj\":3,\"proj\":4}}";
        struct qvf_peft_config read = { 0 };
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_peft_config_parse(config, sizeof(config) - 1, &read, &error) == 0, "%s",
                        error.text);
        ck_assert_float_eq(qvf_peft_config_alpha(&read, "model.layers.1.self_attn.q_proj"), 1);
        ck_assert_float_eq(qvf_peft_config_alpha(&read, "model.layers.11.self_attn.q_proj"), 2);
        ck_assert_float_eq(qvf_peft_config_alpha(&read, "model.layers.0.mlp.up_proj"), 3);
        ck_assert_float_eq(qvf_peft_config_alpha(&read, "model.layers.1.mlp.up_proj"),
                        16); /* "proj" is no part */
        ck_assert_uint_eq(qvf_peft_config_rank(&read, "model.layers.1.mlp.up_proj"), 8);
        qvf_peft_config_exit(&read);
}
END_TEST

/* --- folders --- */

static void expect_weights(const char *name, uint32_t rows, uint32_t columns, int code, const char *words)
{
        struct peft peft = { 0 };
        struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };
        char header[512];
        uint64_t length;
        int r;

        snprintf(header, sizeof(header),
                        "{\"%s\":{\"dtype\":\"F32\",\"shape\":[%u,%u],\"data_offsets\":[0,%u]}}", name, rows,
                        columns, rows * columns * 4);
        length = strlen(header);
        ck_assert_int_eq(qvf_text_append(&peft.weights, &length, 8), 0);
        ck_assert_int_eq(qvf_text_append_string(&peft.weights, header), 0);
        for (unsigned i = 0; i < rows * columns * 4; i++)
                ck_assert_int_eq(qvf_text_append_char(&peft.weights, 0), 0);
        ck_assert_int_eq(qvf_text_append_string(&peft.config, START "}"), 0);
        r = open_peft(&peft, &plain_base, &file, &error);
        ck_assert_msg(r == code, "%d instead of %d: %s", r, code, error.text);
        ck_assert_msg(strstr(error.text, words) && strstr(error.text, "adapter_model.safetensors: "),
                        "'%s' lacks '%s'", error.text, words);
        peft_exit(&peft);
}

#define LAYER "base_model.model.model.layers."

START_TEST(names_of_no_pair)
{
        expect_weights("base_model.model.lm_head.lora_A.weight", 8, 4, -EOPNOTSUPP,
                        "no such matrix can be adapted");
        expect_weights("base_model.model.model.embed_tokens.lora_embedding_A", 8, 4, -EOPNOTSUPP,
                        "an embedding");
        expect_weights(LAYER "0.self_attn.q_proj.lora_magnitude_vector", 8, 1, -EOPNOTSUPP, "DoRA");
        expect_weights(LAYER "0.self_attn.q_proj.lora_B.bias", 8, 1, -EOPNOTSUPP, "a bias");
        expect_weights(LAYER "0.self_attn.q_proj.weight", 8, 4, -EOPNOTSUPP, "no part of a LoRA pair");
        expect_weights(LAYER "0.mlp.q_proj.lora_A.weight", 8, 4, -EOPNOTSUPP, "no such matrix");
        expect_weights(LAYER "512.mlp.up_proj.lora_A.weight", 8, 4, -EOPNOTSUPP, "no such matrix");
        expect_weights(LAYER "00.mlp.up_proj.lora_A.weight", 8, 4, -EOPNOTSUPP, "no such matrix");
        expect_weights(LAYER "x.mlp.up_proj.lora_A.weight", 8, 4, -EOPNOTSUPP, "no such matrix");
        expect_weights(LAYER "0.mlp.up_proj.lora_A.weight", 8, 4, -EINVAL,
                        "layer 0, ffn_up: lora_a has rank 8 and lora_b 0");
        expect_weights(LAYER "0.mlp.up_proj.lora_A.weight", 4097, 1, -EINVAL, "with rank 1 to 4096");
}
END_TEST

START_TEST(rank_that_the_configuration_denies)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 1, all_four, 16, QVF_F32, 5);
        _cleanup_peft_ struct peft peft = peft_of(file, &plain_base);
        struct qvf_adapter_file *read = NULL;
        struct qvf_error error = { 0 };

        qvf_text_clear(&peft.config);
        ck_assert_int_eq(qvf_text_append_string(&peft.config, START "}"), 0);
        ck_assert_int_eq(open_peft(&peft, &plain_base, &read, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(
                        error.text, "model.layers.0.self_attn.q_proj has rank 4 in the weights and 8"));
}
END_TEST

START_TEST(folder_is_written_and_read)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 3, mixed, 16, QVF_F32, 5);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = NULL;
        char folder[] = "/tmp/qvf-peft-XXXXXX", path[64], other[96];
        struct qvf_error error = { 0 };

        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/new", folder);
        for (unsigned i = 0; i < 2; i++) /* a new folder, and one that is there */
                ck_assert_msg(qvf_peft_save(file, &plain_base, path, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_peft_open(path, &plain_base, &back, &error) == 0, "%s", error.text);
        ck_assert_double_eq(product_distance(file, back), 0);
        snprintf(other, sizeof(other), "%s/adapter_config.json", path);
        ck_assert_int_eq(unlink(other), 0);
        ck_assert_int_eq(qvf_peft_open(path, &plain_base, &back, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error.text, "adapter_config.json: No such file"));
        ck_assert_int_eq(mkfifo(other, 0600), 0);
        ck_assert_int_lt(qvf_peft_open(path, &plain_base, &back, &error), 0);
        ck_assert_ptr_nonnull(strstr(error.text, "a pipe"));
        ck_assert_int_eq(unlink(other), 0);
        snprintf(other, sizeof(other), "%s/adapter_model.safetensors", path);
        ck_assert_int_eq(unlink(other), 0);
        ck_assert_int_eq(rmdir(path), 0);
        ck_assert_int_eq(qvf_peft_open(path, &plain_base, &back, &error), -ENOENT);
        ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

QVF_SUITE("peft", 60, round_trip, bfloat16, permutation_is_that_of_the_converters,
                only_q_and_k_of_llama_are_turned, heads_must_be_known_for_llama, another_architecture,
                targets_ranks_and_alphas, scales_of_every_kind, kinds_of_adapters, targets, numbers,
                patterns_as_peft_reads_them, names_of_no_pair, rank_that_the_configuration_denies,
                folder_is_written_and_read)
