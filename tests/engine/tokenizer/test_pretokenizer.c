/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/unicode.h"
#include "tests/engine/tokenizer/vocabulary_file.h"

struct words {
        size_t lengths[4096];
        size_t count;
};

static int take_word(void *context, size_t start, size_t end)
{
        struct words *words = context;

        ck_assert_uint_lt(start, end);
        ck_assert_uint_lt(words->count, sizeof(words->lengths) / sizeof(words->lengths[0]));
        words->lengths[words->count++] = end - start;
        return 0;
}

static void split(const struct qvf_pretokenizer *pretokenizer, struct qvf_token_string text,
                struct words *words)
{
        uint8_t *classes = malloc(text.length + 1);

        words->count = 0;
        qvf_unicode_classify(text.bytes, text.length, classes);
        ck_assert_int_eq(qvf_pretokenizer_split(
                                         pretokenizer, text.bytes, classes, text.length, take_word, words),
                        0);
        free(classes);
}

/* Every text is cut as the published regular expressions cut it. */
START_TEST(words_are_those_of_the_expressions)
{
        json_object *texts = read_tokens_file("strings.json"), *splits = read_tokens_file("splits.json");
        struct words *words = malloc(sizeof(*words));

        json_object_object_foreach(splits, name, lists)
        {
                const struct qvf_pretokenizer *pretokenizer = qvf_pretokenizer_find(name);

                ck_assert_msg(pretokenizer != NULL, "%s is not known", name);
                ck_assert_uint_eq(json_object_array_length(lists), json_object_array_length(texts));
                for (size_t i = 0; i < json_object_array_length(texts); i++) {
                        json_object *text = json_object_array_get_idx(texts, i);
                        json_object *lengths = json_object_array_get_idx(lists, i);

                        split(pretokenizer, json_bytes(text), words);
                        for (size_t k = 0; k < words->count && k < json_object_array_length(lengths); k++)
                                ck_assert_msg(words->lengths[k] ==
                                                                json_object_get_uint64(
                                                                                json_object_array_get_idx(
                                                                                                lengths, k)),
                                                "%s, text %zu, word %zu: %zu bytes; expected %s in %s", name,
                                                i, k, words->lengths[k], json_object_to_json_string(lengths),
                                                json_object_to_json_string(text));
                        ck_assert_msg(words->count == json_object_array_length(lengths), "%s, text %zu",
                                        name, i);
                }
        }
        free(words);
        json_object_put(texts);
        json_object_put(splits);
}
END_TEST

static const char *const names[] = { "default", "llama-bpe", "qwen2", "seed-coder", "falcon", "gpt-2",
        "smollm", "tekken", "gpt-4o", "deepseek-llm", "deepseek-coder", "deepseek-v3", "bloom", "viking" };

/* Whatever the bytes: the words are the text, in order, and none is empty. */
static void cut_garbage(const char *name)
{
        const struct qvf_pretokenizer *pretokenizer = qvf_pretokenizer_find(name);
        struct words *words = malloc(sizeof(*words));
        unsigned seed = 7;

        ck_assert_ptr_nonnull(pretokenizer);
        for (size_t round = 0; round < 1500; round++) {
                char *bytes = malloc(round % 97 + 1);
                size_t length = round % 97, sum = 0;

                for (size_t i = 0; i < length; i++) {
                        static const char often[] = " \n'\r\xe2\x80\x81\xc3\xa9\xf0\x9f\x98\xcc\x81"
                                                    "1aA.s";
                        int value = rand_r(&seed);

                        bytes[i] = value & 0x100 ? (char)value
                                                 : often[(unsigned)value % (sizeof(often) - 1)];
                }
                split(pretokenizer, (struct qvf_token_string){ bytes, length }, words);
                for (size_t i = 0; i < words->count; i++)
                        sum += words->lengths[i];
                ck_assert_uint_eq(sum, length);
                free(bytes);
        }
        free(words);
}

START_TEST(garbage_is_cut_without_loss)
{
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                cut_garbage(names[i]);
}
END_TEST

START_TEST(deepseek_llm_words)
{
        static const size_t expected[] = { 5, 6, 2, 1, 4, 2, 6, 3, 2 };
        struct words *words = malloc(sizeof(*words));

        /* "Hello| world|!!|\n|\t\tab"… : letters and marks take one space, Chinese and digits are runs. */
        split(qvf_pretokenizer_find("deepseek-llm"),
                        (struct qvf_token_string){ "Hello world!!\n caf ?\xe4\xb8\xad\xe5\x9b\xbd"
                                                   "123  ",
                                        31 },
                        words);
        for (size_t i = 0; i < words->count; i++)
                ck_assert_uint_eq(words->lengths[i], expected[i]);
        ck_assert_uint_eq(words->count, sizeof(expected) / sizeof(expected[0]));
        free(words);
}
END_TEST

START_TEST(known_names)
{
        ck_assert_ptr_null(qvf_pretokenizer_find("no-such-thing"));
        ck_assert_ptr_null(qvf_pretokenizer_find(""));
        ck_assert(qvf_pretokenizer_find("falcon3")->whole_words);
        ck_assert(!qvf_pretokenizer_find("qwen2")->whole_words);
}
END_TEST

START_TEST(classes)
{
        static const struct {
                uint32_t codepoint;
                uint8_t class;
        } facts[] = { { 0, 0 }, { '\t', QVF_CLASS_SPACE }, { 0x1c, 0 }, { ' ', QVF_CLASS_SPACE },
                { 'A', QVF_CLASS_UPPER }, { 'z', QVF_CLASS_LOWER }, { '5', QVF_CLASS_NUMBER },
                { '$', QVF_CLASS_SYMBOL }, { '_', QVF_CLASS_PUNCTUATION }, { 0x85, QVF_CLASS_SPACE },
                { 0xa0, QVF_CLASS_SPACE }, { 0xaa, QVF_CLASS_CASELESS }, { 0x1c5, QVF_CLASS_UPPER },
                { 0x301, QVF_CLASS_MARK }, { 0x378, 0 }, { 0x200b, 0 }, { 0x2028, QVF_CLASS_SPACE },
                { 0x2160, QVF_CLASS_NUMBER }, { 0x3000, QVF_CLASS_SPACE }, { 0x4e2d, QVF_CLASS_CASELESS },
                { 0xd800, 0 }, { 0x1f680, QVF_CLASS_SYMBOL }, { 0x10400, QVF_CLASS_UPPER }, { 0x10ffff, 0 },
                { 0x110000, 0 }, { UINT32_MAX, 0 } };
        uint8_t of_bytes[8];

        for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
                ck_assert_msg(qvf_unicode_class(facts[i].codepoint) == facts[i].class, "U+%04X",
                                facts[i].codepoint);
        qvf_unicode_classify("a\xc3\xa9\xff\xe2\x82", 6, of_bytes);
        ck_assert_uint_eq(of_bytes[0], QVF_CLASS_LOWER);
        ck_assert_uint_eq(of_bytes[1], QVF_CLASS_LOWER);
        ck_assert_uint_eq(of_bytes[2], QVF_CLASS_INSIDE);
        ck_assert_uint_eq(of_bytes[3], 0);
        ck_assert_uint_eq(of_bytes[4], 0);
        ck_assert_uint_eq(of_bytes[5], 0);
}
END_TEST

QVF_SUITE("pretokenizer", 60, words_are_those_of_the_expressions, garbage_is_cut_without_loss,
                deepseek_llm_words, known_names, classes)
