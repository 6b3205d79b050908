/* SPDX-License-Identifier: Apache-2.0 */
/* What a model file may lack or have wrong beyond what engine/files sees, and what the memory figures say. */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "tests/support/compute.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/suite.h"

static const struct gguf_model_shape shape = {
        .architecture = "llama",
        .n_layers = 1,
        .dim = 256,
        .ffn_dim = 256,
        .n_heads = 4,
        .vocabulary = 300,
        .linear = QVF_TQ2_0,
        .embedding = QVF_F16,
};

static unsigned n_lines;
static char last_line[512];

static void note_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        (void)level;
        n_lines++;
        snprintf(last_line, sizeof(last_line), "%s", line);
}

/* Adds the model to what the builder has and loads it. */
static int load(struct gguf_builder *builder, struct qvf_model **ret_model, struct qvf_error *error)
{
        static struct qvf_compute compute;
        struct qvf_gguf *gguf;

        if (!compute.backend)
                compute = test_compute(NULL, 1);
        gguf_add_model(builder, &shape, 3);
        ck_assert_msg(gguf_builder_open(builder, &gguf, error) == 0, "%s", error->text);
        gguf_builder_exit(builder);
        return qvf_model_new(gguf, &compute, NULL, ret_model, error);
}

START_TEST(an_unreadable_template_is_not_used)
{
        struct gguf_builder builder = { 0 };
        struct qvf_error error = { 0 };
        struct qvf_model *model;

        gguf_add_tokenizer(&builder, 300);
        gguf_add_string(&builder, "tokenizer.chat_template", "{% for m in messages %}{{ m");
        qvf_log_set(note_line, NULL, QVF_LOG_WARNING);
        ck_assert_msg(load(&builder, &model, &error) == 0, "%s", error.text);
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        ck_assert_uint_eq(n_lines, 1);
        ck_assert_ptr_nonnull(strstr(last_line, "chat template is not used"));
        ck_assert_ptr_null(model->chat_template);
        qvf_model_free(model);
}
END_TEST

/* No template: the plain one, which the log says once. */
START_TEST(a_model_without_a_template_chats)
{
        static const struct qvf_chat_message messages[] = { { .role = "user", .content = "Hello" } };
        struct gguf_builder builder = { 0 };
        struct qvf_error error = { 0 };
        struct qvf_model *model;
        int32_t *ids = NULL;
        size_t n_ids = 0;

        gguf_add_tokenizer(&builder, 300);
        gguf_add_u32(&builder, "tokenizer.ggml.bos_token_id", 290);
        gguf_add_u32(&builder, "tokenizer.ggml.eos_token_id", 4294967295u); /* some write -1 for "none" */
        ck_assert_msg(load(&builder, &model, &error) == 0, "%s", error.text);
        qvf_log_set(note_line, NULL, QVF_LOG_INFO);
        for (int i = 0; i < 2; i++) {
                ck_assert_msg(qvf_model_chat(model, messages, 1, true, &ids, &n_ids, &error) == 0, "%s",
                                error.text);
                ck_assert_uint_gt(n_ids, strlen("Hello"));
                free(ids);
        }
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        ck_assert_uint_eq(n_lines, 1);
        ck_assert_int_eq(qvf_tokenizer_named(model->tokenizer, QVF_NAMED_EOS), QVF_TOKEN_NONE);
        ck_assert_int_eq(qvf_tokenizer_named(model->tokenizer, QVF_NAMED_BOS), 290);
        qvf_model_free(model);
}
END_TEST

static void add_short_array(struct gguf_builder *builder, const char *key, uint32_t type)
{
        static const float numbers[299];

        gguf_add_string(builder, "tokenizer.ggml.model", "llama");
        {
                _cleanup_text_ struct qvf_text tokens = { 0 };

                for (int i = 0; i < 300; i++)
                        gguf_put_string(&tokens, "x");
                gguf_add_array(builder, "tokenizer.ggml.tokens", QVF_GGUF_STRING, 300, tokens.bytes,
                                tokens.length);
        }
        gguf_add_array(builder, key, type, 299, numbers, sizeof(numbers));
}

START_TEST(a_tokenizer_must_suit_the_model)
{
        static const char *const texts[] = { "tokenizer.ggml.model", "tokenizer.ggml.tokens",
                "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.tokens" };

        for (int way = 0; way < 5; way++) {
                struct gguf_builder builder = { 0 };
                struct qvf_error error = { 0 };
                struct qvf_model *model;

                switch (way) {
                case 0: break;
                case 1: gguf_add_tokenizer(&builder, 301); break; /* more than the embedding has */
                case 2: add_short_array(&builder, "tokenizer.ggml.scores", QVF_GGUF_F32); break;
                case 3: add_short_array(&builder, "tokenizer.ggml.token_type", QVF_GGUF_I32); break;
                case 4:
                        gguf_add_string(&builder, "tokenizer.ggml.model", "llama");
                        gguf_add_u32(&builder, "tokenizer.ggml.tokens", 3);
                        break;
                }
                ck_assert_int_lt(load(&builder, &model, &error), 0);
                ck_assert_msg(strstr(error.text, texts[way]), "way %d: %s", way, error.text);
        }
}
END_TEST

START_TEST(a_path_that_leads_nowhere)
{
        struct qvf_compute compute = test_compute(NULL, 1);
        struct qvf_error error = { 0 };
        struct qvf_model *model;

        ck_assert_int_eq(qvf_model_open("no/such.gguf", &compute, NULL, &model, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error.text, "no/such.gguf"));
        compute.backend->device_close(compute.device);
}
END_TEST

START_TEST(a_mapped_model_takes_no_memory)
{
        struct qvf_compute compute = test_compute(NULL, 1);
        struct qvf_model *model = test_model(&compute, "tiny-relu2.TQ1_0");
        uint64_t tensors = 0;

        for (uint32_t i = 0; i < qvf_gguf_tensors(model->gguf); i++)
                tensors += qvf_gguf_tensor(model->gguf, i)->size_bytes;
        ck_assert_uint_eq(model->mapped_bytes, tensors);
        ck_assert_uint_eq(model->device_bytes, model->info->rope_dims / 2 * sizeof(float));
        ck_assert_ptr_null(model->weight_cache);
        ck_assert_str_eq(qvf_module_name(QVF_FFN_DOWN), "ffn_down");
        ck_assert_str_eq(qvf_module_name(QVF_MODULES), "?");
        qvf_model_free(model);
        qvf_model_free(NULL);
        compute.backend->device_close(compute.device);
}
END_TEST

QVF_SUITE("model", 60, an_unreadable_template_is_not_used, a_model_without_a_template_chats,
                a_tokenizer_must_suit_the_model, a_path_that_leads_nowhere, a_mapped_model_takes_no_memory)
