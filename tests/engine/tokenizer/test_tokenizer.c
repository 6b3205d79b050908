/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/engine/tokenizer/vocabulary_file.h"

static void check_ids(const struct qvf_tokenizer *tokenizer, const char *what, json_object *text,
                unsigned flags, json_object *expected)
{
        struct qvf_token_string bytes = json_bytes(text);
        _cleanup_text_ struct qvf_text back = { 0 };
        _cleanup_free_ int32_t *ids = NULL;
        size_t count = 0;

        ck_assert_int_eq(qvf_tokenizer_encode(
                                         tokenizer, bytes.bytes, bytes.length, flags, &ids, &count, NULL),
                        0);
        for (size_t i = 0; expected && i < count && i < json_object_array_length(expected); i++)
                ck_assert_msg(ids[i] == json_object_get_int(json_object_array_get_idx(expected, i)),
                                "%s: id %zu of %s is %d, expected %s", what, i,
                                json_object_to_json_string(text), ids[i],
                                json_object_to_json_string(expected));
        if (expected)
                ck_assert_msg(count == json_object_array_length(expected), "%s: %zu ids for %s", what, count,
                                json_object_to_json_string(text));
        ck_assert_int_eq(qvf_tokenizer_decode(tokenizer, ids, count, QVF_DECODE_SHOW_SPECIAL, &back, NULL),
                        0);
        ck_assert_msg(back.length == bytes.length &&
                                        memcmp(qvf_text_string(&back), bytes.bytes, bytes.length) == 0,
                        "%s: %s came back as '%s'", what, json_object_to_json_string(text),
                        qvf_text_string(&back));
}

/* The ids that the model was trained with. */
START_TEST(helper_ids)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_model("models/helper-29m.TQ2_0.gguf");
        json_object *cases = read_tokens_file("helper-29m-ids.json");

        for (size_t i = 0; i < json_object_array_length(cases); i++) {
                json_object *one = json_object_array_get_idx(cases, i);

                check_ids(tokenizer, "helper-29m", json_object_object_get(one, "text"),
                                QVF_ENCODE_PARSE_SPECIAL, json_object_object_get(one, "ids"));
        }
        ck_assert_str_eq(qvf_tokenizer_pre(tokenizer), "llama-bpe");
        ck_assert_str_eq(qvf_tokenizer_assumed(tokenizer), "");
        ck_assert_uint_eq(qvf_tokenizer_n_tokens(tokenizer), 8192);
        ck_assert_uint_eq(qvf_tokenizer_ignored_merges(tokenizer), 0);
        ck_assert_uint_eq(qvf_tokenizer_missing_bytes(tokenizer), 0);
        ck_assert_int_eq(qvf_tokenizer_named(tokenizer, QVF_NAMED_EOT), 8190);
        ck_assert_int_eq(qvf_tokenizer_find(tokenizer, "<|begin_of_text|>", 17), 8188);
        json_object_put(cases);
        qvf_tokenizer_free(tokenizer);
}
END_TEST

static const char *const pres[] = { "gpt-2", "llama-bpe", "qwen2", "falcon", "default", "tekken" };

/* The ids that Hugging Face's tokenizers gives for the same vocabulary and expressions. */
static void check_bpe_ids(const char *pre)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_file("bpe.json", pre);
        json_object *texts = read_tokens_file("strings.json"), *root = read_tokens_file("bpe-ids.json");
        json_object *extra = json_object_object_get(root, "extra");
        json_object *ids = json_object_object_get(json_object_object_get(root, "ids"), pre);
        json_object *plain = json_object_object_get(ids, "plain"),
                    *parsed = json_object_object_get(ids, "parsed");
        size_t n_texts = json_object_array_length(texts);

        for (size_t i = 0; i < n_texts; i++)
                check_ids(tokenizer, pre, json_object_array_get_idx(texts, i), 0,
                                json_object_array_get_idx(plain, i));
        for (size_t i = 0; i < json_object_array_length(extra); i++) {
                json_object *text = json_object_array_get_idx(extra, i);

                check_ids(tokenizer, pre, text, 0, json_object_array_get_idx(plain, n_texts + i));
                check_ids(tokenizer, pre, text, QVF_ENCODE_PARSE_SPECIAL,
                                json_object_array_get_idx(parsed, i));
        }
        json_object_put(texts);
        json_object_put(root);
        qvf_tokenizer_free(tokenizer);
}

START_TEST(bpe_ids)
{
        for (size_t i = 0; i < sizeof(pres) / sizeof(pres[0]); i++)
                check_bpe_ids(pres[i]);
}
END_TEST

/* The ids that SentencePiece gives for its own vocabulary. */
START_TEST(spm_ids)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_file("spm.json", NULL);
        json_object *texts = read_tokens_file("strings.json"), *root = read_tokens_file("spm-ids.json");
        json_object *extra = json_object_object_get(root, "extra"),
                    *ids = json_object_object_get(root, "ids");
        size_t n_texts = json_object_array_length(texts);

        /* Nothing is expected, but for the round trip, of the texts in which SentencePiece would lose
         * U+2581. */
        for (size_t i = 0; i < n_texts; i++)
                check_ids(tokenizer, "spm", json_object_array_get_idx(texts, i), 0,
                                json_object_array_get_idx(ids, i));
        for (size_t i = 0; i < json_object_array_length(extra); i++)
                check_ids(tokenizer, "spm", json_object_array_get_idx(extra, i), 0,
                                json_object_array_get_idx(ids, n_texts + i));
        ck_assert_uint_eq(qvf_tokenizer_missing_bytes(tokenizer), 0);
        ck_assert_str_eq(qvf_tokenizer_pre(tokenizer), "");
        json_object_put(texts);
        json_object_put(root);
        qvf_tokenizer_free(tokenizer);
}
END_TEST

static void check_list(const struct qvf_tokenizer *tokenizer, const char *text, unsigned flags, size_t n,
                const int32_t *expected)
{
        _cleanup_free_ int32_t *ids = NULL;
        size_t count = 0;

        ck_assert_int_eq(qvf_tokenizer_encode(tokenizer, text, strlen(text), flags, &ids, &count, NULL), 0);
        ck_assert_msg(count == n, "%zu ids for '%s', expected %zu", count, text, n);
        for (size_t i = 0; i < n; i++)
                ck_assert_msg(ids[i] == expected[i], "id %zu of '%s' is %d", i, text, ids[i]);
}
#define CHECK_LIST(tokenizer, text, flags, ...)                                                             \
        do {                                                                                                \
                const int32_t expected_[] = { __VA_ARGS__ };                                                \
                check_list(tokenizer, text, flags, sizeof(expected_) / sizeof(int32_t), expected_);         \
        } while (0)

/* "x", " x", and the user's and special tokens of spm.json. */
enum { SPM_BOS = 1, SPM_EOS = 2, SPM_USER = 3, SPM_USER_B = 4 };

START_TEST(spm_special)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_file("spm.json", NULL);
        const unsigned parse = QVF_ENCODE_PARSE_SPECIAL, add = QVF_ENCODE_ADD_SPECIAL;
        const int32_t x = qvf_tokenizer_find(tokenizer, "x", 1),
                      space = qvf_tokenizer_find(tokenizer, " ", 1);
        const int32_t first_x = qvf_tokenizer_find(tokenizer, " x", 2);
        size_t count;
        int32_t *ids;

        ck_assert_int_gt(x, 0);
        check_list(tokenizer, "", 0, 0, NULL);
        CHECK_LIST(tokenizer, "", add, SPM_BOS);
        CHECK_LIST(tokenizer, "x", add, SPM_BOS, first_x);
        CHECK_LIST(tokenizer, "<s>x</s>x", parse, SPM_BOS, first_x, SPM_EOS, first_x);
        CHECK_LIST(tokenizer, "x<user>x", parse, first_x, SPM_USER, x);
        CHECK_LIST(tokenizer, "<user><b><user>", 0, space, SPM_USER_B, SPM_USER);
        /* Without the flag the same text is text. */
        ck_assert_int_eq(qvf_tokenizer_encode(tokenizer, "<s>", 3, 0, &ids, &count, NULL), 0);
        for (size_t i = 0; i < count; i++)
                ck_assert(!qvf_tokenizer_is_special(tokenizer, ids[i]));
        free(ids);
        ck_assert(qvf_tokenizer_is_special(tokenizer, SPM_BOS));
        ck_assert(qvf_tokenizer_is_special(tokenizer, 0));
        ck_assert(!qvf_tokenizer_is_special(tokenizer, SPM_USER));
        ck_assert(!qvf_tokenizer_is_special(tokenizer, -1));
        ck_assert(!qvf_tokenizer_is_special(tokenizer, INT32_MAX));
        ck_assert(qvf_tokenizer_is_end(tokenizer, SPM_EOS));
        ck_assert(!qvf_tokenizer_is_end(tokenizer, SPM_BOS));
        ck_assert(qvf_tokenizer_adds_bos(tokenizer));
        ck_assert(!qvf_tokenizer_adds_eos(tokenizer));
        qvf_tokenizer_free(tokenizer);
}
END_TEST

START_TEST(flags_of_the_file)
{
        json_object *root = read_tokens_file("spm.json");
        struct qvf_vocabulary vocabulary = vocabulary_of(root);
        _cleanup_(qvf_tokenizer_freep) struct qvf_tokenizer *tokenizer = NULL;
        int32_t x;

        vocabulary.add_bos = 0;
        vocabulary.add_eos = 1;
        vocabulary.add_space_prefix = 0;
        ck_assert_int_eq(qvf_tokenizer_new(&vocabulary, &tokenizer, NULL), 0);
        x = qvf_tokenizer_find(tokenizer, "x", 1);
        CHECK_LIST(tokenizer, "x", QVF_ENCODE_ADD_SPECIAL, x, SPM_EOS);
        CHECK_LIST(tokenizer, "x", 0, x);
        free_vocabulary(&vocabulary);
        json_object_put(root);
}
END_TEST

START_TEST(too_long)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_file("spm.json", NULL);
        struct qvf_error error = { 0 };
        int32_t *ids = NULL;
        size_t count = 0;

        ck_assert_int_eq(qvf_tokenizer_encode(tokenizer, "", QVF_ENCODE_LENGTH_LIMIT + 1, 0, &ids, &count,
                                         &error),
                        -E2BIG);
        ck_assert_ptr_nonnull(strstr(error.text, "67108865 bytes"));
        ck_assert_ptr_null(ids);
        qvf_tokenizer_free(tokenizer);
}
END_TEST

QVF_SUITE("tokenizer", 60, helper_ids, bpe_ids, spm_ids, spm_special, flags_of_the_file, too_long)
