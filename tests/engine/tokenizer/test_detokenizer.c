/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/engine/tokenizer/vocabulary_file.h"

/* Every byte is a token of its own: token b + 3 is byte b. */
static struct qvf_tokenizer *tokenizer_of_bytes(void)
{
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();
        struct qvf_token_string tokens[259] = { { "<unk>", 5 }, { "<s>", 3 }, { "</s>", 4 } };
        int32_t types[259] = { QVF_TOKEN_TYPE_UNKNOWN, QVF_TOKEN_TYPE_CONTROL, QVF_TOKEN_TYPE_CONTROL };
        struct qvf_tokenizer *tokenizer = NULL;
        float scores[259] = { 0 };
        char names[256][8];

        for (unsigned byte = 0; byte < 256; byte++) {
                snprintf(names[byte], sizeof(names[byte]), "<0x%02X>", byte);
                tokens[byte + 3] = (struct qvf_token_string){ names[byte], 6 };
                types[byte + 3] = QVF_TOKEN_TYPE_BYTE;
        }
        vocabulary.model = "llama";
        vocabulary.n_tokens = 259;
        vocabulary.tokens = tokens;
        vocabulary.types = types;
        vocabulary.scores = scores;
        ck_assert_int_eq(qvf_tokenizer_new(&vocabulary, &tokenizer, NULL), 0);
        return tokenizer;
}

static void push_bytes(
                struct qvf_detokenizer *detokenizer, const char *bytes, size_t length, struct qvf_text *text)
{
        for (size_t i = 0; i < length; i++) {
                ck_assert_int_eq(qvf_detokenizer_push(detokenizer, (uint8_t)bytes[i] + 3, text), 0);
                ck_assert_uint_eq(qvf_utf8_valid_prefix(qvf_text_string(text), text->length), text->length);
        }
}

#define FFFD "\xef\xbf\xbd"

/* As the Unicode standard recommends, and Python's decode(errors="replace") does it: one U+FFFD for each longest
 * beginning of a character. */
START_TEST(bytes_to_characters)
{
        static const struct {
                const char *bytes, *text;
        } cases[] = {
                { "abc", "abc" },
                { "\xf0\x9f\x9a\x80!", "\xf0\x9f\x9a\x80!" },
                { "\xe6\x9d\xb1\xe4\xba\xac", "\xe6\x9d\xb1\xe4\xba\xac" },
                { "a\x80z", "a" FFFD "z" },
                { "\xe6\x9d", FFFD },
                { "\xe6\x9dz", FFFD "z" },
                { "\xf0\x9f\x9a\xc3\xa9", FFFD "\xc3\xa9" },
                { "\xf0\x9f\xf0\x9f\x9a\x80", FFFD "\xf0\x9f\x9a\x80" },
                { "\xc0\xaf", FFFD FFFD },
                { "\xe0\x80\x80", FFFD FFFD FFFD },
                { "\xed\xa0\x80", FFFD FFFD FFFD },
                { "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD },
                { "\xf5\xff\xfe", FFFD FFFD FFFD },
                { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
        };
        struct qvf_tokenizer *tokenizer = tokenizer_of_bytes();

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                _cleanup_text_ struct qvf_text text = { 0 };
                struct qvf_detokenizer detokenizer;

                qvf_detokenizer_init(&detokenizer, tokenizer, 0);
                push_bytes(&detokenizer, cases[i].bytes, strlen(cases[i].bytes), &text);
                ck_assert_int_eq(qvf_detokenizer_flush(&detokenizer, &text), 0);
                ck_assert_int_eq(qvf_detokenizer_flush(&detokenizer, &text), 0);
                ck_assert_str_eq(qvf_text_string(&text), cases[i].text);
        }
        qvf_tokenizer_free(tokenizer);
}
END_TEST

START_TEST(holds_back_until_whole)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_bytes();
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_detokenizer detokenizer;

        qvf_detokenizer_init(&detokenizer, tokenizer, 0);
        push_bytes(&detokenizer, "\xf0\x9f\x9a", 3, &text);
        ck_assert_uint_eq(text.length, 0);
        ck_assert_int_eq(qvf_detokenizer_push(&detokenizer, 0x80 + 3, &text), 0);
        ck_assert_uint_eq(text.length, 4);
        ck_assert_int_eq(qvf_detokenizer_push(&detokenizer, 259, &text), -EINVAL);
        ck_assert_int_eq(qvf_detokenizer_push(&detokenizer, -1, &text), -EINVAL);
        ck_assert_uint_eq(text.length, 4);
        qvf_tokenizer_free(tokenizer);
}
END_TEST

static void check_decoded(const struct qvf_tokenizer *tokenizer, const int32_t *ids, size_t count,
                unsigned flags, const char *expected)
{
        _cleanup_text_ struct qvf_text whole = { 0 }, pushed = { 0 };
        struct qvf_detokenizer detokenizer;

        ck_assert_int_eq(qvf_tokenizer_decode(tokenizer, ids, count, flags, &whole, NULL), 0);
        ck_assert_str_eq(qvf_text_string(&whole), expected);
        qvf_detokenizer_init(&detokenizer, tokenizer, flags);
        for (size_t i = 0; i < count; i++)
                ck_assert_int_eq(qvf_detokenizer_push(&detokenizer, ids[i], &pushed), 0);
        ck_assert_str_eq(qvf_text_string(&pushed), expected);
}

START_TEST(leading_space)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_file("spm.json", NULL);
        const int32_t x = qvf_tokenizer_find(tokenizer, "x", 1),
                      space_x = qvf_tokenizer_find(tokenizer, " x", 2);
        const int32_t ids[] = { 1, space_x, space_x, 2, space_x, x, 3, space_x };

        ck_assert_int_gt(x, 0);
        ck_assert_int_gt(space_x, 0);
        check_decoded(tokenizer, ids, 8, 0, "x xxx<user> x");
        check_decoded(tokenizer, ids, 8, QVF_DECODE_SHOW_SPECIAL, "<s>x x</s>xx<user> x");
        check_decoded(tokenizer, ids + 1, 2, 0, "x x");
        check_decoded(tokenizer, ids + 1, 2, QVF_DECODE_CONTINUES, " x x");
        check_decoded(tokenizer, ids + 5, 1, 0, "x");
        check_decoded(tokenizer, ids, 0, 0, "");
        qvf_tokenizer_free(tokenizer);
}
END_TEST

START_TEST(special_is_hidden_or_shown)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_file("bpe.json", "gpt-2");
        const int32_t eot = qvf_tokenizer_named(tokenizer, QVF_NAMED_EOT);
        const int32_t ids[] = { eot, qvf_tokenizer_find(tokenizer, "a", 1), eot };

        ck_assert_int_gt(eot, 0);
        ck_assert(qvf_tokenizer_is_end(tokenizer, eot));
        check_decoded(tokenizer, ids, 3, 0, "a");
        check_decoded(tokenizer, ids, 3, QVF_DECODE_SHOW_SPECIAL, "<|eot_id|>a<|eot_id|>");
        ck_assert_uint_eq(qvf_tokenizer_piece(tokenizer, eot).length, 10);
        ck_assert_uint_eq(qvf_tokenizer_piece(tokenizer, -1).length, 0);
        ck_assert_uint_eq(qvf_tokenizer_piece(tokenizer, INT32_MAX).length, 0);
        qvf_tokenizer_free(tokenizer);
}
END_TEST

START_TEST(decode_names_the_bad_id)
{
        struct qvf_tokenizer *tokenizer = tokenizer_of_bytes();
        _cleanup_text_ struct qvf_text text = { 0 };
        const int32_t ids[] = { 70, 71, 259 };
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_tokenizer_decode(tokenizer, ids, 3, 0, &text, &error), -EINVAL);
        ck_assert_str_eq(error.text, "token 2 is 259, expected 0 to 258");
        text.limit = text.length + 1;
        ck_assert_int_eq(qvf_tokenizer_decode(tokenizer, ids, 2, 0, &text, &error), -E2BIG);
        qvf_tokenizer_free(tokenizer);
}
END_TEST

QVF_SUITE("detokenizer", 60, bytes_to_characters, holds_back_until_whole, leading_space,
                special_is_hidden_or_shown, decode_names_the_bad_id)
