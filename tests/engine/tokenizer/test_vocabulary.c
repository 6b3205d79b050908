/* SPDX-License-Identifier: Apache-2.0 */
/* Vocabularies that are wrong, odd, or made to hurt. */
#include <errno.h>
#include <math.h>

#include "engine/tokenizer/internal.h"
#include "tests/engine/tokenizer/vocabulary_file.h"

#define STRING(text)                                                                                        \
        {                                                                                                   \
                text, sizeof(text) - 1                                                                      \
        }

/* A small vocabulary of each kind that is right. */
static const struct qvf_token_string gpt2_tokens[] = { STRING("a"), STRING("b"), STRING("ab"),
        STRING("<|im_end|>"), STRING("\xc4\xa0"),
        STRING("\xc4\xa0"
               "a") };
static const int32_t gpt2_types[] = { 1, 1, 1, 3, 1, 1 };
static const struct qvf_token_string gpt2_merges[] = { STRING("a b"), STRING("\xc4\xa0 a") };
static const struct qvf_token_string llama_tokens[] = { STRING("<unk>"), STRING("<s>"), STRING("</s>"),
        STRING("<0x41>"), STRING("\xe2\x96\x81"), STRING("a"),
        STRING("\xe2\x96\x81"
               "a") };
static const float llama_scores[] = { 0, 0, 0, 0, -1, -2, -3 };

static struct qvf_vocabulary gpt2_vocabulary(void)
{
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();

        vocabulary.model = "gpt2";
        vocabulary.pre = "gpt-2";
        vocabulary.n_tokens = 6;
        vocabulary.tokens = gpt2_tokens;
        vocabulary.types = gpt2_types;
        vocabulary.n_merges = 2;
        vocabulary.merges = gpt2_merges;
        return vocabulary;
}

static struct qvf_vocabulary llama_vocabulary(void)
{
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();

        vocabulary.model = "llama";
        vocabulary.n_tokens = 7;
        vocabulary.tokens = llama_tokens;
        vocabulary.scores = llama_scores;
        return vocabulary;
}

static struct qvf_tokenizer *make(const struct qvf_vocabulary *vocabulary)
{
        struct qvf_tokenizer *tokenizer = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_tokenizer_new(vocabulary, &tokenizer, &error) == 0, "%s", error.text);
        return tokenizer;
}

static void check_refused(const struct qvf_vocabulary *vocabulary, int code, const char *words)
{
        struct qvf_tokenizer *tokenizer = NULL;
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_tokenizer_new(vocabulary, &tokenizer, &error), code);
        ck_assert_ptr_null(tokenizer);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
        ck_assert_int_eq(qvf_tokenizer_new(vocabulary, &tokenizer, NULL), code);
}

static void check_ids(
                const struct qvf_tokenizer *tokenizer, const char *text, size_t n, const int32_t *expected)
{
        _cleanup_free_ int32_t *ids = NULL;
        size_t count = 99;

        ck_assert_int_eq(qvf_tokenizer_encode(tokenizer, text, strlen(text), 0, &ids, &count, NULL), 0);
        ck_assert_msg(count == n, "'%s' has %zu ids", text, count);
        for (size_t i = 0; i < n; i++)
                ck_assert_msg(ids[i] == expected[i], "'%s', id %zu is %d", text, i, ids[i]);
}
#define CHECK_IDS(tokenizer, text, ...)                                                                     \
        do {                                                                                                \
                const int32_t expected_[] = { __VA_ARGS__ };                                                \
                check_ids(tokenizer, text, sizeof(expected_) / sizeof(int32_t), expected_);                 \
        } while (0)

START_TEST(what_is_missing)
{
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();

        vocabulary.model = NULL;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.model");
        vocabulary.model = "bert";
        check_refused(&vocabulary, -ENOTSUP, "tokenizer.ggml.model is 'bert'");
        vocabulary = gpt2_vocabulary();
        vocabulary.merges = NULL;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.merges");
        vocabulary = gpt2_vocabulary();
        vocabulary.n_merges = 0;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.merges");
        vocabulary = gpt2_vocabulary();
        vocabulary.n_tokens = 0;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.tokens: 0 tokens");
        vocabulary = gpt2_vocabulary();
        vocabulary.tokens = NULL;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.tokens");
        vocabulary = llama_vocabulary();
        vocabulary.scores = NULL;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.scores");
}
END_TEST

START_TEST(what_is_too_much)
{
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();
        const size_t many = QVF_TOKENS_BYTES_LIMIT / QVF_TOKEN_LENGTH_LIMIT + 1;
        struct qvf_token_string *tokens = calloc(many, sizeof(*tokens));
        char *bytes = calloc(QVF_TOKEN_LENGTH_LIMIT + 1, 1);

        vocabulary.n_tokens = QVF_TOKENS_LIMIT + 1;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.tokens: 2097153 tokens");
        vocabulary.n_tokens = SIZE_MAX;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.tokens");
        vocabulary = gpt2_vocabulary();
        vocabulary.n_merges = SIZE_MAX;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.merges");
        vocabulary = gpt2_vocabulary();
        vocabulary.tokens = tokens;
        tokens[5] = (struct qvf_token_string){ bytes, QVF_TOKEN_LENGTH_LIMIT + 1 };
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.tokens[5]: 4097 bytes");
        /* The length is what counts, not what lies there. */
        tokens[5].length = SIZE_MAX;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.tokens[5]");
        vocabulary.n_tokens = many;
        for (size_t i = 0; i < many; i++)
                tokens[i] = (struct qvf_token_string){ bytes, QVF_TOKEN_LENGTH_LIMIT };
        vocabulary.types = NULL;
        check_refused(&vocabulary, -EINVAL, "tokenizer.ggml.tokens[16384]");
        free(tokens);
        free(bytes);
}
END_TEST

START_TEST(small_ones_work)
{
        struct qvf_vocabulary gpt2 = gpt2_vocabulary(), llama = llama_vocabulary();
        struct qvf_tokenizer *tokenizer = make(&gpt2);

        CHECK_IDS(tokenizer, "abab a b", 2, 2, 5, 4, 1);
        ck_assert_uint_eq(qvf_tokenizer_missing_bytes(tokenizer), 253);
        ck_assert_int_eq(qvf_tokenizer_named(tokenizer, QVF_NAMED_EOT), 3);
        ck_assert(qvf_tokenizer_is_end(tokenizer, 3));
        ck_assert(!qvf_tokenizer_adds_bos(tokenizer));
        /* Bytes that no token stands for are lost, and counted before. */
        CHECK_IDS(tokenizer, "axb", 0, 1);
        qvf_tokenizer_free(tokenizer);
        tokenizer = make(&llama);
        CHECK_IDS(tokenizer, "a aA", 6, 6, 3);
        /* Without types, and by names: the unknown token, the special ones, the bytes. */
        CHECK_IDS(tokenizer, "a\xc3\xa9x", 6, 0, 0);
        ck_assert_int_eq(qvf_tokenizer_named(tokenizer, QVF_NAMED_UNKNOWN), 0);
        ck_assert(qvf_tokenizer_is_special(tokenizer, 1));
        ck_assert(qvf_tokenizer_is_end(tokenizer, 2));
        ck_assert(qvf_tokenizer_adds_bos(tokenizer));
        qvf_tokenizer_free(tokenizer);
        ck_assert_ptr_null(qvf_tokenizer_free(NULL));
}
END_TEST

START_TEST(merges_of_nothing)
{
        static const struct qvf_token_string merges[] = { STRING("a zz"), STRING("zz a"), STRING("b a"),
                STRING("ab"), STRING(""), STRING(" "), STRING("  "), STRING("a "), STRING(" a"),
                STRING("a\0 b"), STRING("\xff b"), STRING("a \xc4"), STRING("<|im_end|> a"), STRING("a b"),
                STRING("a b") };
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();
        char *endless = malloc(20000);
        struct qvf_token_string with_endless[] = { STRING("a b"), { endless, 20000 } };
        struct qvf_tokenizer *tokenizer;

        vocabulary.merges = merges;
        vocabulary.n_merges = sizeof(merges) / sizeof(merges[0]);
        tokenizer = make(&vocabulary);
        ck_assert_uint_eq(qvf_tokenizer_ignored_merges(tokenizer), vocabulary.n_merges - 2);
        CHECK_IDS(tokenizer, "ab", 2);
        qvf_tokenizer_free(tokenizer);
        memset(endless, 'a', 20000);
        endless[9000] = ' ';
        vocabulary.merges = with_endless;
        vocabulary.n_merges = 2;
        tokenizer = make(&vocabulary);
        ck_assert_uint_eq(qvf_tokenizer_ignored_merges(tokenizer), 1);
        qvf_tokenizer_free(tokenizer);
        free(endless);
}
END_TEST

START_TEST(odd_tokens)
{
        static const struct qvf_token_string tokens[] = { STRING("a"), STRING("a"), STRING(""),
                STRING("\0\0"), STRING("\xff\xfe"), STRING("\xc4"), STRING("a"), STRING("a\xe2\x96\x81"),
                STRING("<s>"), STRING("<s>"), STRING("<0xGG>"), STRING("<0x1>") };
        static const int32_t types[] = { 1, 1, 1, 3, 4, 1, 3, 1, 3, 1, 6, 6 };
        static const float scores[12] = { 0 };
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();
        struct qvf_tokenizer *tokenizer;
        int32_t *ids = NULL;
        size_t count;

        vocabulary.tokens = tokens;
        vocabulary.types = types;
        vocabulary.scores = scores;
        vocabulary.n_tokens = sizeof(tokens) / sizeof(tokens[0]);
        for (int kind = 0; kind < 2; kind++) {
                vocabulary.model = kind ? "llama" : "gpt2";
                vocabulary.add_space_prefix = 0;
                tokenizer = make(&vocabulary);
                /* The first of equal ones is text; a special one is text never. */
                CHECK_IDS(tokenizer, "a", 0);
                ck_assert_int_eq(qvf_tokenizer_find(tokenizer, "a", 1), 6);
                ck_assert_int_eq(qvf_tokenizer_find(tokenizer, "", 0), QVF_TOKEN_NONE);
                ck_assert_int_eq(qvf_tokenizer_encode(tokenizer,
                                                 "\0\0\xff\xfe"
                                                 "a<s>",
                                                 8, QVF_ENCODE_PARSE_SPECIAL, &ids, &count, NULL),
                                0);
                ck_assert_uint_eq(count, 4);
                ck_assert_int_eq(ids[0], 3);
                ck_assert_int_eq(ids[1], 4);
                ck_assert_int_eq(ids[2], 6);
                ck_assert_int_eq(ids[3], 8);
                ck_assert_uint_eq(qvf_tokenizer_piece(tokenizer, 2).length, 0);
                ck_assert_uint_eq(qvf_tokenizer_piece(tokenizer, 3).length, 2);
                free(ids);
                qvf_tokenizer_free(tokenizer);
        }
}
END_TEST

START_TEST(ids_out_of_range)
{
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();
        struct qvf_tokenizer *tokenizer;

        vocabulary.named[QVF_NAMED_BOS] = 6;
        vocabulary.named[QVF_NAMED_EOS] = INT32_MAX;
        vocabulary.named[QVF_NAMED_PADDING] = INT32_MIN;
        vocabulary.add_bos = vocabulary.add_eos = 1;
        tokenizer = make(&vocabulary);
        ck_assert_int_eq(qvf_tokenizer_named(tokenizer, QVF_NAMED_BOS), QVF_TOKEN_NONE);
        ck_assert_int_eq(qvf_tokenizer_named(tokenizer, QVF_NAMED_EOS), QVF_TOKEN_NONE);
        ck_assert_ptr_nonnull(strstr(qvf_tokenizer_assumed(tokenizer),
                        "tokenizer.ggml.bos_token_id is 6 but there are 6 tokens"));
        ck_assert_ptr_nonnull(strstr(qvf_tokenizer_assumed(tokenizer), "tokenizer.ggml.padding_token_id"));
        ck_assert(!qvf_tokenizer_adds_bos(tokenizer));
        ck_assert(!qvf_tokenizer_adds_eos(tokenizer));
        qvf_tokenizer_free(tokenizer);
}
END_TEST

START_TEST(pre_that_is_not_known)
{
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();
        const size_t n = 128002;
        struct qvf_token_string *tokens = calloc(n, sizeof(*tokens));
        char(*names)[8] = calloc(n, sizeof(*names));
        struct qvf_tokenizer *tokenizer;

        vocabulary.pre = "from-the-future";
        tokenizer = make(&vocabulary);
        ck_assert_str_eq(qvf_tokenizer_pre(tokenizer), "default");
        ck_assert_ptr_nonnull(strstr(qvf_tokenizer_assumed(tokenizer), "'from-the-future' is not known"));
        qvf_tokenizer_free(tokenizer);
        vocabulary.pre = NULL;
        tokenizer = make(&vocabulary);
        ck_assert_str_eq(qvf_tokenizer_pre(tokenizer), "default");
        ck_assert_ptr_nonnull(strstr(qvf_tokenizer_assumed(tokenizer), "tokenizer.ggml.pre is missing"));
        qvf_tokenizer_free(tokenizer);
        /* Llama 3's vocabulary is known by its first special token. */
        for (size_t i = 0; i < n; i++) {
                snprintf(names[i], sizeof(names[i]), "%zx", i);
                tokens[i] = (struct qvf_token_string){ names[i], strlen(names[i]) };
        }
        tokens[128000] = (struct qvf_token_string)STRING("<|begin_of_text|>");
        vocabulary.tokens = tokens;
        vocabulary.types = NULL;
        vocabulary.n_tokens = n;
        tokenizer = make(&vocabulary);
        ck_assert_str_eq(qvf_tokenizer_pre(tokenizer), "llama-bpe");
        ck_assert_ptr_nonnull(strstr(qvf_tokenizer_assumed(tokenizer), "as for 'llama-bpe'"));
        qvf_tokenizer_free(tokenizer);
        free(names);
        free(tokens);
}
END_TEST

START_TEST(ends_of_generation)
{
        static const struct qvf_token_string tokens[] = { STRING("a"), STRING("</s>"), STRING("<|end|>"),
                STRING("<|eom_id|>"), STRING("<EOT>"), STRING("b"), STRING("ab") };
        static const int32_t types[] = { 1, 1, 4, 3, 1, 1, 1 };
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();
        struct qvf_tokenizer *tokenizer;

        vocabulary.tokens = tokens;
        vocabulary.types = types;
        vocabulary.n_tokens = 7;
        vocabulary.named[QVF_NAMED_EOS] = 5;
        tokenizer = make(&vocabulary);
        ck_assert(!qvf_tokenizer_is_end(tokenizer, 0));
        ck_assert(!qvf_tokenizer_is_end(tokenizer, 1)); /* a text token of that name, as code has it */
        for (int32_t id = 2; id <= 5; id++)
                ck_assert_msg(qvf_tokenizer_is_end(tokenizer, id), "%d", id);
        ck_assert(qvf_tokenizer_is_special(tokenizer, 4));
        ck_assert(!qvf_tokenizer_is_special(tokenizer, 5));
        ck_assert_int_eq(qvf_tokenizer_named(tokenizer, QVF_NAMED_EOT), 2);
        ck_assert(!qvf_tokenizer_is_end(tokenizer, -1));
        ck_assert(!qvf_tokenizer_is_end(tokenizer, 7));
        qvf_tokenizer_free(tokenizer);
}
END_TEST

START_TEST(scores_of_all_kinds)
{
        static const struct qvf_token_string tokens[] = { STRING("a"), STRING("b"), STRING("c"),
                STRING("ab"), STRING("bc") };
        static const float scores[][2] = { { 1, 0 }, { 0, -1 }, { 0.5f, NAN }, { INFINITY, 1e30f },
                { -1e30f, -INFINITY }, { -1, -2 }, { 1e-40f, 0 }, { 0.0f, -0.0f }, { -0.0f, 0.0f },
                { 1e-40f, -1e-40f }, { NAN, NAN } };
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();

        vocabulary.model = "llama";
        vocabulary.tokens = tokens;
        vocabulary.n_tokens = 5;
        vocabulary.add_space_prefix = 0;
        /* The better score merges first; of equal ones the left one does. */
        for (size_t i = 0; i < sizeof(scores) / sizeof(scores[0]); i++) {
                const float left_wins[] = { 0, 0, 0, scores[i][0], scores[i][1] };
                const float right_wins[] = { 0, 0, 0, scores[i][1], scores[i][0] };
                const bool equal = scores[i][0] == scores[i][1] || isnan(scores[i][0]);
                struct qvf_tokenizer *tokenizer;

                vocabulary.scores = left_wins;
                tokenizer = make(&vocabulary);
                CHECK_IDS(tokenizer, "abc", 3, 2);
                qvf_tokenizer_free(tokenizer);
                if (equal)
                        continue;
                vocabulary.scores = right_wins;
                tokenizer = make(&vocabulary);
                CHECK_IDS(tokenizer, "abc", 0, 4);
                qvf_tokenizer_free(tokenizer);
        }
}
END_TEST

/* Tables that a file could try to make slow: all tokens equal, or all special with one beginning. */
START_TEST(equal_and_nested_tokens)
{
        const size_t n = 100000, length = 256;
        struct qvf_token_string *tokens = calloc(n, sizeof(*tokens));
        struct qvf_vocabulary vocabulary = gpt2_vocabulary();
        int32_t *types = calloc(n, sizeof(*types));
        char *bytes = malloc(length), *text = malloc(100000);
        int32_t *ids = NULL;
        size_t count = 0;

        memset(bytes, 'a', length);
        memset(text, 'a', 100000);
        vocabulary.tokens = tokens;
        vocabulary.types = types;
        vocabulary.n_tokens = n;
        for (int nested = 0; nested < 2; nested++) {
                struct qvf_tokenizer *tokenizer;

                for (size_t i = 0; i < n; i++) {
                        tokens[i] = (struct qvf_token_string){ bytes, nested ? i % length + 1 : 7 };
                        types[i] = i % 2 ? QVF_TOKEN_TYPE_CONTROL : QVF_TOKEN_TYPE_USER_DEFINED;
                }
                tokenizer = make(&vocabulary);
                ck_assert_int_eq(qvf_tokenizer_encode(tokenizer, text, 100000, QVF_ENCODE_PARSE_SPECIAL,
                                                 &ids, &count, NULL),
                                0);
                ck_assert_uint_eq(count, nested ? 391 : 14285);
                free(ids);
                qvf_tokenizer_free(tokenizer);
        }
        free(tokens);
        free(types);
        free(bytes);
        free(text);
}
END_TEST

static void random_string(unsigned *seed, struct qvf_token_string *string, char *room, size_t most)
{
        static const char often[] = "aab  <>\xc4\xa0\xc3\xa9\xe2\x96\x81|0x\n";
        size_t length = (size_t)rand_r(seed) % most;

        for (size_t i = 0; i < length; i++)
                room[i] = rand_r(seed) % 16 ? often[(size_t)rand_r(seed) % (sizeof(often) - 1)]
                                            : (char)rand_r(seed);
        *string = (struct qvf_token_string){ room, length };
}

static void check_random_vocabulary(unsigned *seed)
{
        static const char *const pres[] = { "default", "llama-bpe", "falcon", "gpt-4o", "deepseek-llm",
                "bloom", NULL };
        enum { N = 60 };
        struct qvf_token_string tokens[N], merges[N], text;
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();
        _cleanup_(qvf_tokenizer_freep) struct qvf_tokenizer *tokenizer = NULL;
        char room[2 * N][8], text_room[120];
        _cleanup_text_ struct qvf_text back = { 0 };
        _cleanup_free_ int32_t *ids = NULL;
        int32_t types[N];
        float scores[N];
        size_t count = 0;

        for (size_t i = 0; i < N; i++) {
                random_string(seed, &tokens[i], room[i], 5);
                random_string(seed, &merges[i], room[N + i], 8);
                types[i] = rand_r(seed) % 9 - 1;
                scores[i] = (float)(rand_r(seed) % 7) - 3;
        }
        vocabulary.model = rand_r(seed) % 2 ? "llama" : "gpt2";
        vocabulary.pre = pres[(size_t)rand_r(seed) % (sizeof(pres) / sizeof(pres[0]))];
        vocabulary.n_tokens = vocabulary.n_merges = N;
        vocabulary.tokens = tokens;
        vocabulary.merges = merges;
        vocabulary.scores = scores;
        vocabulary.types = rand_r(seed) % 4 ? types : NULL;
        for (size_t i = 0; i < QVF_NAMED_COUNT; i++)
                vocabulary.named[i] = rand_r(seed) % (N + 9) - 4;
        tokenizer = make(&vocabulary);
        random_string(seed, &text, text_room, sizeof(text_room));
        ck_assert_int_eq(qvf_tokenizer_encode(tokenizer, text.bytes, text.length, (unsigned)rand_r(seed) % 4,
                                         &ids, &count, NULL),
                        0);
        ck_assert_int_eq(
                        qvf_tokenizer_decode(tokenizer, ids, count, (unsigned)rand_r(seed) % 4, &back, NULL),
                        0);
}

START_TEST(random_vocabularies)
{
        unsigned seed = 11;

        for (size_t round = 0; round < 20000; round++)
                check_random_vocabulary(&seed);
}
END_TEST

QVF_SUITE("vocabulary", 120, what_is_missing, what_is_too_much, small_ones_work, merges_of_nothing,
                odd_tokens, ids_out_of_range, pre_that_is_not_known, ends_of_generation, scores_of_all_kinds,
                equal_and_nested_tokens, random_vocabularies)
