/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer that a model file describes. */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "engine/model/model_private.h"

struct vocabulary_arrays {
        struct qvf_token_string *tokens, *merges;
        float *scores;
        int32_t *types;
};

static void free_arrays(struct vocabulary_arrays *arrays)
{
        free(arrays->tokens);
        free(arrays->merges);
        free(arrays->scores);
        free(arrays->types);
}

/* An absent key is no error: the count stays 0. */
static int read_strings(const struct qvf_gguf *gguf, const char *key, struct qvf_token_string **ret_strings,
                size_t *ret_count, struct qvf_error *error)
{
        struct qvf_gguf_array array;
        struct qvf_gguf_string string;
        struct qvf_token_string *strings;
        size_t count = 0;
        int r = qvf_gguf_get_array(gguf, key, QVF_GGUF_STRING, &array, error);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        /* Each string takes 8 bytes of the file or more, so the count is bounded by the file's size. */
        strings = calloc(array.length + 1, sizeof(*strings));
        if (!strings)
                return -ENOMEM;
        while (qvf_gguf_array_next_string(&array, &string))
                strings[count++] = (struct qvf_token_string){ string.bytes, string.length };
        *ret_strings = strings;
        *ret_count = count;
        return 0;
}

static int read_numbers(const struct qvf_gguf *gguf, size_t n_tokens, struct vocabulary_arrays *arrays,
                struct qvf_error *error)
{
        struct qvf_gguf_array array;
        int r = qvf_gguf_get_array(gguf, "tokenizer.ggml.scores", QVF_GGUF_F32, &array, error);

        if (r == 0 && array.length != n_tokens)
                return qvf_error_set(error, -EINVAL,
                                "key tokenizer.ggml.scores has %llu numbers for %zu tokens",
                                (unsigned long long)array.length, n_tokens);
        if (r == 0) {
                arrays->scores = calloc(n_tokens + 1, sizeof(*arrays->scores));
                if (!arrays->scores)
                        return -ENOMEM;
                for (size_t i = 0; i < n_tokens; i++)
                        arrays->scores[i] = qvf_gguf_array_f32(&array, i);
        } else if (r != -ENOENT) {
                return r;
        }
        r = qvf_gguf_get_array(gguf, "tokenizer.ggml.token_type", QVF_GGUF_I32, &array, error);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (array.length != n_tokens)
                return qvf_error_set(error, -EINVAL,
                                "key tokenizer.ggml.token_type has %llu numbers for %zu tokens",
                                (unsigned long long)array.length, n_tokens);
        arrays->types = calloc(n_tokens + 1, sizeof(*arrays->types));
        if (!arrays->types)
                return -ENOMEM;
        for (size_t i = 0; i < n_tokens; i++)
                arrays->types[i] = (int32_t)qvf_gguf_array_i64(&array, i);
        return 0;
}

static int read_named(const struct qvf_gguf *gguf, size_t n_tokens, struct qvf_vocabulary *vocabulary,
                struct qvf_error *error)
{
        static const char *const keys[QVF_NAMED_COUNT] = {
                [QVF_NAMED_BOS] = "tokenizer.ggml.bos_token_id",
                [QVF_NAMED_EOS] = "tokenizer.ggml.eos_token_id",
                [QVF_NAMED_EOT] = "tokenizer.ggml.eot_token_id",
                [QVF_NAMED_EOM] = "tokenizer.ggml.eom_token_id",
                [QVF_NAMED_UNKNOWN] = "tokenizer.ggml.unknown_token_id",
                [QVF_NAMED_PADDING] = "tokenizer.ggml.padding_token_id",
        };
        static const struct {
                const char *key;
                size_t offset;
        } switches[] = {
                { "tokenizer.ggml.add_bos_token", offsetof(struct qvf_vocabulary, add_bos) },
                { "tokenizer.ggml.add_eos_token", offsetof(struct qvf_vocabulary, add_eos) },
                { "tokenizer.ggml.add_space_prefix", offsetof(struct qvf_vocabulary, add_space_prefix) },
        };

        for (int i = 0; i < QVF_NAMED_COUNT; i++) {
                int64_t id;
                int r = qvf_gguf_get_i64(gguf, keys[i], &id, error);

                if (r < 0 && r != -ENOENT)
                        return r;
                /* Files with -1 or 2³²-1 for "none" are about. */
                if (r == 0 && id >= 0 && (uint64_t)id < n_tokens)
                        vocabulary->named[i] = (int32_t)id;
        }
        for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
                bool on;
                int r = qvf_gguf_get_bool(gguf, switches[i].key, &on, error);

                if (r < 0 && r != -ENOENT)
                        return r;
                if (r == 0)
                        *(int *)(void *)((char *)vocabulary + switches[i].offset) = on;
        }
        return 0;
}

static int copy_string(
                const struct qvf_gguf *gguf, const char *key, struct qvf_text *out, struct qvf_error *error)
{
        struct qvf_gguf_string string;
        int r = qvf_gguf_get_string(gguf, key, &string, error);

        return r < 0 ? r : qvf_text_append(out, string.bytes, string.length);
}

int qvf_model_load_tokenizer(struct qvf_model *model, struct qvf_error *error)
{
        _cleanup_(free_arrays) struct vocabulary_arrays arrays = { 0 };
        _cleanup_text_ struct qvf_text kind = { .limit = 64 }, pre = { .limit = 64 };
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();
        int r;

        r = copy_string(model->gguf, "tokenizer.ggml.model", &kind, error);
        if (r < 0)
                return r;
        r = copy_string(model->gguf, "tokenizer.ggml.pre", &pre, error);
        if (r < 0 && r != -ENOENT)
                return r;
        vocabulary.model = qvf_text_string(&kind);
        vocabulary.pre = r < 0 ? NULL : qvf_text_string(&pre);
        r = read_strings(model->gguf, "tokenizer.ggml.tokens", &arrays.tokens, &vocabulary.n_tokens, error);
        if (r == 0)
                r = read_strings(model->gguf, "tokenizer.ggml.merges", &arrays.merges, &vocabulary.n_merges,
                                error);
        if (r == 0)
                r = read_numbers(model->gguf, vocabulary.n_tokens, &arrays, error);
        if (r == 0)
                r = read_named(model->gguf, vocabulary.n_tokens, &vocabulary, error);
        if (r < 0)
                return r;
        vocabulary.tokens = arrays.tokens;
        vocabulary.merges = arrays.merges;
        vocabulary.scores = arrays.scores;
        vocabulary.types = arrays.types;
        r = qvf_tokenizer_new(&vocabulary, &model->tokenizer, error);
        if (r < 0)
                return r;
        if (qvf_tokenizer_n_tokens(model->tokenizer) > model->info->vocabulary_size)
                return qvf_error_set(error, -EINVAL,
                                "key tokenizer.ggml.tokens has %zu tokens, the embedding %u rows",
                                qvf_tokenizer_n_tokens(model->tokenizer), model->info->vocabulary_size);
        if (qvf_tokenizer_assumed(model->tokenizer)[0])
                qvf_log(QVF_LOG_INFO, "tokenizer: %s", qvf_tokenizer_assumed(model->tokenizer));
        return 0;
}
