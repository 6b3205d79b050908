/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the files of tests/data/tokens, which tools/make-token-goldens.py wrote. */
#ifndef QVF_TESTS_ENGINE_TOKENIZER_VOCABULARY_FILE_H
#define QVF_TESTS_ENGINE_TOKENIZER_VOCABULARY_FILE_H

#include <check.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/gguf.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/support/suite.h"

static inline json_object *read_tokens_file(const char *name)
{
        json_object *root;
        char path[256];

        snprintf(path, sizeof(path), "tests/data/tokens/%s", name);
        root = json_object_from_file(path);
        ck_assert_msg(root != NULL, "%s: %s", path, json_util_get_last_err());
        return root;
}

static inline struct qvf_token_string json_bytes(json_object *value)
{
        return (struct qvf_token_string){ json_object_get_string(value),
                (size_t)json_object_get_string_len(value) };
}

static inline size_t json_strings(json_object *root, const char *key, const struct qvf_token_string **ret)
{
        json_object *array;
        struct qvf_token_string *strings;
        size_t count;

        *ret = NULL;
        if (!json_object_object_get_ex(root, key, &array))
                return 0;
        count = json_object_array_length(array);
        strings = calloc(count + 1, sizeof(*strings));
        for (size_t i = 0; i < count; i++)
                strings[i] = json_bytes(json_object_array_get_idx(array, i));
        *ret = strings;
        return count;
}

/* The strings of the vocabulary point into `root`. */
static inline struct qvf_vocabulary vocabulary_of(json_object *root)
{
        static const char *const keys[QVF_NAMED_COUNT] = { "bos", "eos", "eot", "eom", "unknown",
                "padding" };
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();
        json_object *value;
        int32_t *types;
        float *scores;

        vocabulary.model = json_object_get_string(json_object_object_get(root, "model"));
        vocabulary.pre = json_object_get_string(json_object_object_get(root, "pre"));
        vocabulary.n_tokens = json_strings(root, "tokens", &vocabulary.tokens);
        vocabulary.n_merges = json_strings(root, "merges", &vocabulary.merges);
        if (json_object_object_get_ex(root, "types", &value)) {
                vocabulary.types = types = calloc(vocabulary.n_tokens, sizeof(*types));
                for (size_t i = 0; i < vocabulary.n_tokens; i++)
                        types[i] = json_object_get_int(json_object_array_get_idx(value, i));
        }
        if (json_object_object_get_ex(root, "scores", &value)) {
                vocabulary.scores = scores = calloc(vocabulary.n_tokens, sizeof(*scores));
                for (size_t i = 0; i < vocabulary.n_tokens; i++)
                        scores[i] = (float)json_object_get_double(json_object_array_get_idx(value, i));
        }
        for (size_t i = 0; i < QVF_NAMED_COUNT; i++)
                if (json_object_object_get_ex(root, keys[i], &value))
                        vocabulary.named[i] = json_object_get_int(value);
        return vocabulary;
}

static inline void free_vocabulary(struct qvf_vocabulary *vocabulary)
{
        free((void *)vocabulary->tokens);
        free((void *)vocabulary->merges);
        free((void *)vocabulary->types);
        free((void *)vocabulary->scores);
}

/* The tokenizer of a file, with another pre-tokenizer where `pre` is not NULL. */
static inline struct qvf_tokenizer *tokenizer_of_file(const char *name, const char *pre)
{
        json_object *root = read_tokens_file(name);
        struct qvf_vocabulary vocabulary = vocabulary_of(root);
        struct qvf_tokenizer *tokenizer = NULL;
        struct qvf_error error = { 0 };

        if (pre)
                vocabulary.pre = pre;
        ck_assert_msg(qvf_tokenizer_new(&vocabulary, &tokenizer, &error) == 0, "%s: %s", name, error.text);
        free_vocabulary(&vocabulary);
        json_object_put(root);
        return tokenizer;
}

/* One of the models that ship. */
static inline struct qvf_tokenizer *tokenizer_of_model(const char *path)
{
        static const char *const keys[] = { "tokenizer.ggml.tokens", "tokenizer.ggml.merges" };
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();
        struct qvf_tokenizer *tokenizer = NULL;
        struct qvf_gguf_string *strings[2];
        struct qvf_token_string *tokens[2];
        struct qvf_gguf_array types;
        struct qvf_gguf *gguf = NULL;
        struct qvf_error error = { 0 };
        uint64_t lengths[2];
        int32_t *type_numbers;
        uint32_t id;

        ck_assert_msg(qvf_gguf_open(path, &gguf, &error) == 0, "%s", error.text);
        for (size_t i = 0; i < 2; i++) {
                ck_assert_int_eq(qvf_gguf_get_strings(gguf, keys[i], &strings[i], &lengths[i], NULL), 0);
                tokens[i] = calloc(lengths[i], sizeof(*tokens[i]));
                for (size_t k = 0; k < lengths[i]; k++)
                        tokens[i][k] = (struct qvf_token_string){ strings[i][k].bytes,
                                strings[i][k].length };
                free(strings[i]);
        }
        ck_assert_int_eq(qvf_gguf_get_array(gguf, "tokenizer.ggml.token_type", QVF_GGUF_I32, &types, NULL),
                        0);
        ck_assert_uint_eq(types.length, lengths[0]);
        type_numbers = calloc(types.length, sizeof(*type_numbers));
        for (size_t i = 0; i < types.length; i++)
                type_numbers[i] = (int32_t)qvf_gguf_array_i64(&types, i);
        vocabulary.model = "gpt2";
        vocabulary.pre = "llama-bpe";
        vocabulary.n_tokens = lengths[0];
        vocabulary.tokens = tokens[0];
        vocabulary.n_merges = lengths[1];
        vocabulary.merges = tokens[1];
        vocabulary.types = type_numbers;
        if (qvf_gguf_get_u32(gguf, "tokenizer.ggml.bos_token_id", &id, NULL) == 0)
                vocabulary.named[QVF_NAMED_BOS] = (int32_t)id;
        if (qvf_gguf_get_u32(gguf, "tokenizer.ggml.eos_token_id", &id, NULL) == 0)
                vocabulary.named[QVF_NAMED_EOS] = (int32_t)id;
        ck_assert_msg(qvf_tokenizer_new(&vocabulary, &tokenizer, &error) == 0, "%s", error.text);
        free_vocabulary(&vocabulary);
        qvf_gguf_free(gguf);
        return tokenizer;
}

#endif
