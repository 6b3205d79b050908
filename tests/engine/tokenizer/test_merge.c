/* SPDX-License-Identifier: Apache-2.0 */
/* Merging and the round trip over random text. The plain twin of engine/tokenizer/merge.c is here: it looks through
 * the whole word for the best pair, again and again. */
#include "engine/tokenizer/internal.h"
#include "tests/engine/tokenizer/vocabulary_file.h"

struct plain_word {
        struct {
                size_t start, end;
                int32_t id;
        } symbols[256];
        size_t count;
};

static uint32_t plain_rank(const struct qvf_tokenizer *tokenizer, const char *bytes,
                const struct plain_word *word, size_t i, int32_t *ret_merged)
{
        if (tokenizer->kind == QVF_TOKENIZER_GPT2) {
                const struct qvf_merge *merge = qvf_merge_table_find(
                                &tokenizer->merges, word->symbols[i].id, word->symbols[i + 1].id);

                *ret_merged = (int32_t)merge->merged;
                return merge->rank;
        }
        *ret_merged = qvf_token_table_find(&tokenizer->tokens, bytes + word->symbols[i].start,
                        word->symbols[i + 1].end - word->symbols[i].start, QVF_TOKEN_TEXT);
        return *ret_merged == QVF_TOKEN_NONE ? QVF_RANK_NONE : tokenizer->ranks[*ret_merged];
}

static void plain_merge(const struct qvf_tokenizer *tokenizer, const char *bytes, struct plain_word *word)
{
        for (;;) {
                uint32_t best = QVF_RANK_NONE;
                int32_t best_id = QVF_TOKEN_NONE;
                size_t place = 0;

                for (size_t i = 0; i + 1 < word->count; i++) {
                        int32_t merged;
                        uint32_t rank = plain_rank(tokenizer, bytes, word, i, &merged);

                        if (rank < best) {
                                best = rank;
                                best_id = merged;
                                place = i;
                        }
                }
                if (best == QVF_RANK_NONE)
                        return;
                word->symbols[place].end = word->symbols[place + 1].end;
                word->symbols[place].id = best_id;
                word->count--;
                memmove(&word->symbols[place + 1], &word->symbols[place + 2],
                                (word->count - place - 1) * sizeof(word->symbols[0]));
        }
}

/* The word has only characters that are tokens. */
static void check_word(const struct qvf_tokenizer *tokenizer, const char *bytes, size_t length)
{
        struct qvf_merger merger = { .tokenizer = tokenizer };
        struct qvf_id_list ids = { 0 };
        struct plain_word word = { 0 };

        for (size_t i = 0; i < length; i++) {
                word.symbols[i].start = i;
                word.symbols[i].end = i + 1;
                word.symbols[i].id = tokenizer->text_ids[(uint8_t)bytes[i]];
                ck_assert_int_ne(word.symbols[i].id, QVF_TOKEN_NONE);
        }
        word.count = length;
        plain_merge(tokenizer, bytes, &word);
        ck_assert_int_eq(qvf_merger_run(&merger, bytes, length, &ids), 0);
        ck_assert_msg(ids.count == word.count, "'%.*s'", (int)length, bytes);
        for (size_t i = 0; i < word.count; i++)
                ck_assert_msg(ids.ids[i] == word.symbols[i].id, "'%.*s', id %zu", (int)length, bytes, i);
        qvf_merger_exit(&merger);
        free(ids.ids);
}

static void check_words(struct qvf_tokenizer *tokenizer)
{
        static const char letters[] = "etaoinshrdlu  ,.theing";
        unsigned seed = 3;
        char bytes[200];

        for (size_t round = 0; round < 2000; round++) {
                size_t length = 1 + (size_t)rand_r(&seed) % (sizeof(bytes) - 1);
                size_t n_letters = 1 + (size_t)rand_r(&seed) % (sizeof(letters) - 1);

                for (size_t i = 0; i < length; i++)
                        bytes[i] = letters[(size_t)rand_r(&seed) % n_letters];
                check_word(tokenizer, bytes, length);
        }
        qvf_tokenizer_free(tokenizer);
}

START_TEST(same_as_the_plain_twin)
{
        check_words(tokenizer_of_file("bpe.json", "gpt-2"));
        check_words(tokenizer_of_file("spm.json", NULL));
        check_words(tokenizer_of_model("models/helper-29m.TQ2_0.gguf"));
}
END_TEST

static void check_round_trip(
                const struct qvf_tokenizer *tokenizer, const char *bytes, size_t length, unsigned flags)
{
        _cleanup_text_ struct qvf_text whole = { 0 }, pushed = { 0 };
        _cleanup_free_ int32_t *ids = NULL;
        struct qvf_detokenizer detokenizer;
        size_t count = 0;

        ck_assert_int_eq(qvf_tokenizer_encode(tokenizer, bytes, length, flags, &ids, &count, NULL), 0);
        ck_assert_int_eq(qvf_tokenizer_decode(tokenizer, ids, count, QVF_DECODE_SHOW_SPECIAL, &whole, NULL),
                        0);
        ck_assert_uint_eq(whole.length, length);
        ck_assert(length == 0 || memcmp(whole.bytes, bytes, length) == 0);
        qvf_detokenizer_init(&detokenizer, tokenizer, QVF_DECODE_SHOW_SPECIAL);
        for (size_t i = 0; i < count; i++) {
                ck_assert(flags || !qvf_tokenizer_is_special(tokenizer, ids[i]));
                ck_assert_int_eq(qvf_detokenizer_push(&detokenizer, ids[i], &pushed), 0);
        }
        ck_assert_int_eq(qvf_detokenizer_flush(&detokenizer, &pushed), 0);
        ck_assert_uint_eq(qvf_utf8_valid_prefix(qvf_text_string(&pushed), pushed.length), pushed.length);
        if (qvf_utf8_valid_prefix(bytes, length) == length)
                ck_assert(pushed.length == length &&
                                (length == 0 || memcmp(pushed.bytes, bytes, length) == 0));
}

#define STRING(text)                                                                                        \
        {                                                                                                   \
                text, sizeof(text) - 1                                                                      \
        }

static size_t random_text(unsigned *seed, char *bytes, size_t most)
{
        static const struct qvf_token_string often[] = { STRING("<|eot_id|>"), STRING("<s>"), STRING("</s>"),
                STRING("<user>"), STRING("<user><b>"), STRING("\xe2\x96\x81"), STRING(" "), STRING("  "),
                STRING("\n"), STRING("the "), STRING("<0x41>"), STRING("\xe2\x96") };
        size_t length = 0, room = (size_t)rand_r(seed) % most;
        int kind = rand_r(seed) % 3;

        while (length + 16 < room) {
                int value = rand_r(seed);

                if (value % 5 == 0) {
                        struct qvf_token_string piece =
                                        often[(size_t)value / 5 %
                                                        (sizeof(often) / sizeof(often[0]) - (kind != 2))];

                        memcpy(bytes + length, piece.bytes, piece.length);
                        length += piece.length;
                } else if (kind == 2) {
                        bytes[length++] = (char)(value >> 8);
                } else {
                        length += qvf_utf8_encode(
                                        (uint32_t)value % (kind ? 0x300 : 0x110000), bytes + length);
                }
        }
        return length;
}

static void check_round_trips(struct qvf_tokenizer *tokenizer)
{
        unsigned seed = 5;
        char bytes[400];

        for (size_t round = 0; round < 2500; round++) {
                size_t length = random_text(&seed, bytes, sizeof(bytes));

                check_round_trip(tokenizer, bytes, length, 0);
                check_round_trip(tokenizer, bytes, length, QVF_ENCODE_PARSE_SPECIAL);
        }
        qvf_tokenizer_free(tokenizer);
}

/* Text, valid or not, comes back to the byte; valid text through the streaming detokeniser too. */
START_TEST(round_trip)
{
        check_round_trips(tokenizer_of_file("spm.json", NULL));
        check_round_trips(tokenizer_of_model("models/helper-29m.TQ2_0.gguf"));
        check_round_trips(tokenizer_of_file("bpe.json", "falcon"));
        check_round_trips(tokenizer_of_file("bpe.json", "tekken"));
}
END_TEST

/* One word of so many bytes would take minutes if merging looked at it again for every merge. */
START_TEST(long_words)
{
        static const char *const files[] = { "bpe.json", "spm.json" };
        const size_t length = 300000;
        char *bytes = malloc(length);

        for (size_t f = 0; f < 2; f++) {
                struct qvf_tokenizer *tokenizer = tokenizer_of_file(files[f], NULL);
                static const char *const patterns[] = { " ", "a", "the", "\n", "\xf0\x9f\x98\x80", "7",
                        "\x80", "<u" };

                for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
                        for (size_t i = 0; i < length; i++)
                                bytes[i] = patterns[p][i % strlen(patterns[p])];
                        check_round_trip(tokenizer, bytes, length, QVF_ENCODE_PARSE_SPECIAL);
                }
                qvf_tokenizer_free(tokenizer);
        }
        free(bytes);
}
END_TEST

QVF_SUITE("merge", 120, same_as_the_plain_twin, round_trip, long_words)
