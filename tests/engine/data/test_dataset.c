/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of file, and every way in which one can be bad. */
#include "common/log.h"
#include "engine/data/record.h"
#include "tests/engine/data/data_support.h"

static struct qvf_text logged;

static void keep_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        (void)level;
        qvf_text_append_string(&logged, line);
        qvf_text_append_char(&logged, '\n');
}

/* Begin and end tokens on, as most tests want them. */
static struct opening bpe(void)
{
        return (struct opening){ .tokenizer = bpe_tokenizer(false), .options.add_eos = QVF_DATA_ON };
}

static void expect_counts(const struct qvf_dataset *dataset, uint64_t lines, uint64_t blank, uint64_t bad,
                uint64_t empty)
{
        ck_assert_uint_eq(dataset->counts.lines, lines);
        ck_assert_uint_eq(dataset->counts.blank_lines, blank);
        ck_assert_uint_eq(dataset->counts.bad_lines, bad);
        ck_assert_uint_eq(dataset->counts.empty_documents, empty);
}

START_TEST(plain_text)
{
        struct opening opening = bpe();
        struct qvf_dataset *dataset;

        opening.name = "a.TXT";
        expect(&opening, "one\n\ntwo <|eot_id|>\n",
                        "^<|begin_of_text|>[one\n\ntwo <|eot_id|>\n^<|end_of_text|>]");
        expect(&opening, "{\"text\": 1}", "^<|begin_of_text|>[{\"text\": 1}^<|end_of_text|>]");
        opening.options.parse_special = true;
        expect(&opening, "a<|eot_id|>b", "^<|begin_of_text|>[a^<|eot_id|>b^<|end_of_text|>]");
        opening.options = (struct qvf_data_options){ 0 };
        expect(&opening, "x", "^<|begin_of_text|>[x]"); /* what the tokenizer asks for */
        opening.options.add_bos = QVF_DATA_OFF;
        expect(&opening, "xy", "x[y]"); /* nothing predicts the first */
        opening.name = NULL;
        expect(&opening, "\n no JSON", "\n[ no JSON]");
        /* A mark at the start and CR before LF are no text; a CR alone is. */
        dataset = opened(&opening, "\xef\xbb\xbf"
                                   "a\r\nb\rc\r\r\nd\r\n");
        expect_document(dataset, 0, opening.tokenizer, "a[\nb\rc\r\nd\n]");
        ck_assert_int_eq(dataset->kind, QVF_DATA_TEXT);
        expect_counts(dataset, 3, 0, 0, 0);
        qvf_dataset_free(dataset);
}
END_TEST

START_TEST(separated_text)
{
        struct opening opening = bpe();
        struct qvf_dataset *dataset;

        opening.options = (struct qvf_data_options){ .separator = "---", .add_bos = QVF_DATA_OFF };
        dataset = opened(&opening, "7x\n\n9\r\n---\r\n---\n --- \n---\n  \n---\nz\n");
        ck_assert_uint_eq(dataset->n_documents, 3);
        expect_document(dataset, 0, opening.tokenizer, "7[x\n\n9]");
        expect_document(dataset, 1, opening.tokenizer, " [--- ]");
        expect_document(dataset, 2, opening.tokenizer, "z");
        expect_counts(dataset, 10, 2, 0, 2);
        qvf_dataset_free(dataset);
}
END_TEST

START_TEST(json_text)
{
        struct opening opening = bpe();
        struct qvf_dataset *dataset;

        dataset = opened(&opening,
                        "\xef\xbb\xbf \t\r\n{\"text\": \"a\\u00e4\\n\", \"label\": [1, {\"x\": null}]}\r\n"
                        "\n{\"text\":\"\"}\n{\"text\":\" \\n\"}\n{\"id\":7,\"text\":\"<|eot_id|>\"}");
        ck_assert_int_eq(dataset->kind, QVF_DATA_JSON_TEXT);
        ck_assert_uint_eq(dataset->n_documents, 2);
        expect_document(dataset, 0, opening.tokenizer, "^<|begin_of_text|>[a\xc3\xa4\n^<|end_of_text|>]");
        expect_document(dataset, 1, opening.tokenizer, "^<|begin_of_text|>[<|eot_id|>^<|end_of_text|>]");
        expect_counts(dataset, 6, 2, 0, 2);
        ck_assert_uint_eq(dataset->counts.tokens, dataset->starts[2]);
        ck_assert_uint_eq(dataset->counts.counting_tokens, dataset->starts[2] - 2);
        qvf_dataset_free(dataset);
}
END_TEST

START_TEST(completions)
{
        struct opening opening = bpe();
        struct qvf_dataset *dataset;
        char *found;

        opening.options = (struct qvf_data_options){ 0 };
        expect(&opening, "{\"prompt\": \"Q: <|eot_id|>\\nA:\", \"completion\": \" yes\"}",
                        "^<|begin_of_text|>Q: <|eot_id|>\nA:[ yes^<|end_of_text|>]");
        expect(&opening, "{\"completion\": \"b\", \"prompt\": \"\"}",
                        "^<|begin_of_text|>[b^<|end_of_text|>]");
        opening.options.all_count = true;
        expect(&opening, "{\"prompt\": \"a\", \"completion\": \"b\"}",
                        "^<|begin_of_text|>[ab^<|end_of_text|>]");
        opening.options = (struct qvf_data_options){ .add_eos = QVF_DATA_OFF };
        /* " the" is one token, but not across the boundary. */
        dataset = opened(&opening, "{\"prompt\": \"a \", \"completion\": \"the\"}\n{\"prompt\": \"a\", "
                                   "\"completion\": \" the\"}\n{\"prompt\": \"a\", \"completion\": \"\"}");
        ck_assert_uint_eq(dataset->n_documents, 2);
        ck_assert_uint_eq(dataset->counts.empty_documents, 1);
        found = shown(dataset, 0, opening.tokenizer, true);
        ck_assert_str_eq(found, "^<|begin_of_text|>|a| |[t|he]");
        free(found);
        found = shown(dataset, 1, opening.tokenizer, true);
        ck_assert_str_eq(found, "^<|begin_of_text|>|a|[ the]");
        free(found);
        qvf_dataset_free(dataset);
        /* SentencePiece puts a space before the prompt, but not before what goes on. */
        opening.tokenizer = spm_tokenizer();
        expect(&opening, "{\"prompt\": \"a\", \"completion\": \"b\"}", "^<s> a[b]");
}
END_TEST

/* Long text is encoded in parts, and they show nowhere. */
START_TEST(text_in_parts)
{
        struct opening opening = bpe();
        _cleanup_text_ struct qvf_text text = { 0 };
        _cleanup_free_ int32_t *ids = NULL;
        struct qvf_dataset *dataset;
        const uint32_t *tokens;
        uint64_t count, bad = 0;
        size_t wanted;

        for (unsigned i = 0; text.length < ((size_t)6 << 20); i++)
                qvf_text_appendf(&text, "Line %u of the text, %s\n%s", i, i % 3 ? "and on" : "a \xc3\xa4",
                                i % 7 ? "" : "  \n\n");
        for (unsigned kind = 0; kind < 2; kind++) {
                opening.tokenizer = kind ? spm_tokenizer() : bpe_tokenizer(false);
                opening.options.add_bos = QVF_DATA_OFF;
                opening.options.add_eos = QVF_DATA_OFF;
                opening.name = "a.txt";
                dataset = opened(&opening, qvf_text_string(&text));
                tokens = qvf_dataset_document(dataset, 0, &count);
                ck_assert_int_eq(qvf_tokenizer_encode(opening.tokenizer, text.bytes, text.length, 0, &ids,
                                                 &wanted, NULL),
                                0);
                ck_assert_uint_eq(count, wanted);
                for (size_t i = 0; i < wanted; i++)
                        bad += QVF_DATA_ID(tokens[i]) != ids[i];
                ck_assert_uint_eq(bad, 0);
                qvf_dataset_free(dataset);
                free(ids);
                ids = NULL;
        }
}
END_TEST

static const struct {
        const char *line, *place, *words;
} bad_lines[] = {
        { "{\"text\": \"a\"", "3:13: ", "the line ends inside of the JSON object" },
        { "{\"text\": \"a", "3:12: ", "the line ends inside" },
        { "{\"text\" \"a\"}", "3:9: ", "bad JSON: object property name separator ':' expected" },
        { "{\"text\": \"a\",}", "3:14: ", "bad JSON" },
        { "{'text': 'a'}", "3:2: ", "bad JSON: ' outside of a string" },
        { "{\"text\": \"a\" /* */}", "3:14: ", "bad JSON: / outside of a string" },
        { "{\"text\": \"a\"} x", "3:15: ", "bad JSON" },
        { "{\"text\": nul}", "3:13: ", "bad JSON" },
        { "[\"text\"]", "3:1: ", "expected a JSON object" },
        { "\"text\"", "3:1: ", "expected a JSON object" },
        { "null", "3:1: ", "expected a JSON object" },
        { " 17", "3:2: ", "expected a JSON object" },
        { "hello", "3:1: ", "expected a JSON object" },
        { "{\"text\": 5}", "3:10: ", "\"text\" is int, expected a string" },
        { "{\"\xc3\xa4\": 1, \"text\" :\t{}}", "3:19: ", "\"text\" is object, expected a string" },
        { "{\"text\": null}", "3:10: ", "expected a string" },
        { "{\"label\": \"a\"}", "3:1: ", "expected the member \"text\"" },
        { "{\"text\": \"a\\u0000b\"}", "3:10: ", "\\u0000" },
        { "{\"text\": \"a\xff\"}", "3:12: ", "the byte 0xff is no UTF-8" },
        { "{\"text\": \"\xed\xa0\x80\"}", "3:11: ", "is no UTF-8" },
};

START_TEST(bad_line_is_named)
{
        struct opening opening = bpe();
        char text[256];

        snprintf(text, sizeof(text), "{\"text\": \"good\"}\n\n%s\n{\"text\": \"good\"}\n",
                        bad_lines[_i].line);
        refused(&opening, text, strlen(text), -EBADMSG, bad_lines[_i].place);
        refused(&opening, text, strlen(text), -EBADMSG, bad_lines[_i].words);
}
END_TEST

static const struct {
        const char *messages, *place, *words;
} bad_messages[] = {
        { "5", "1:14: ", "\"messages\" is int, expected an array" },
        { "[]", "1:14: ", "0 messages, expected 1 to 4096" },
        { "[5]", "1:15: ", "expected an object with \"role\" and \"content\"" },
        { "[{\"role\": \"user\", \"content\": \"x\"}, {\"content\": \"x\"}]",
                        "1:49: ", "expected the member \"role\"" },
        { "[{\"role\": 5, \"content\": \"x\"}]", "1:24: ", "\"role\" is int" },
        { "[{\"role\": \"\", \"content\": \"x\"}]", "1:15: ", "1 to 32 letters" },
        { "[{\"role\": \"<|eot_id|>\", \"content\": \"x\"}]", "1:15: ", "the role \"<|eot_id|>\"" },
        { "[{\"role\": \"user\"}]", "1:15: ", "expected the member \"content\"" },
        { "[{\"role\": \"user\", \"content\": null}]", "1:15: ", "expected the member \"content\"" },
        { "[{\"role\": \"user\", \"content\": 7}]", "1:43: ", "\"content\" is int" },
        { "[{\"role\": \"user\", \"content\": \"\\u0000\"}]", "1:43: ", "\\u0000" },
        { "[{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]", "1:44: ", "the member \"text\"" },
        { "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]", "1:44: ", "the only type" },
        { "[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": 1}]}]", "1:69: ", "is int" },
        { "[{\"role\": \"user\", \"content\": \"x\", \"weight\": 2}]", "1:58: ", "to be 0 or 1" },
        { "[{\"role\": \"user\", \"content\": \"x\", \"weight\": null}]", "1:58: ", "to be 0 or 1" },
        { "[{\"role\": \"user\", \"content\": \"x\"}], \"tools\": 5", "1:59: ", "\"tools\" is int" },
};

START_TEST(bad_message_is_named)
{
        struct opening opening = bpe();
        char text[256];

        snprintf(text, sizeof(text), "{\"messages\": %s}", bad_messages[_i].messages);
        refused(&opening, text, strlen(text), -EBADMSG, bad_messages[_i].place);
        refused(&opening, text, strlen(text), -EBADMSG, bad_messages[_i].words);
}
END_TEST

static void repeat(struct qvf_text *text, const char *string, size_t count)
{
        for (size_t i = 0; i < count; i++)
                ck_assert_int_eq(qvf_text_append_string(text, string), 0);
}

START_TEST(limits)
{
        struct opening opening = bpe();
        _cleanup_text_ struct qvf_text text = { 0 };
        char line[64];

        qvf_text_append_string(&text, "{\"text\": \"x\", \"a\": ");
        repeat(&text, "[", QVF_DATA_DEPTH_LIMIT);
        repeat(&text, "]", QVF_DATA_DEPTH_LIMIT);
        qvf_text_append_string(&text, "}");
        refused(&opening, text.bytes, text.length, -EBADMSG,
                        "1:83: more than 64 brackets inside one another");
        qvf_text_clear(&text);
        qvf_text_append_string(&text, "{\"text\": \"x\", \"a\": [");
        repeat(&text, "1,", QVF_DATA_VALUES_LIMIT);
        qvf_text_append_string(&text, "1]}");
        refused(&opening, text.bytes, text.length, -EBADMSG, "1:1: a line of more than 262144 values");
        qvf_text_clear(&text);
        qvf_text_append_string(&text, "{\"text\": \"x\", \"a\": \"");
        repeat(&text, "0123456789abcde ", QVF_DATA_LINE_LIMIT / 16);
        qvf_text_append_string(&text, "\"}");
        snprintf(line, sizeof(line), "1:1: a line of %zu bytes", text.length);
        refused(&opening, text.bytes, text.length, -EBADMSG, line);
        /* The largest line that is allowed. */
        text.bytes[QVF_DATA_LINE_LIMIT - 2] = '"';
        text.bytes[QVF_DATA_LINE_LIMIT - 1] = '}';
        text.bytes[QVF_DATA_LINE_LIMIT] = 0;
        expect(&opening, text.bytes, "^<|begin_of_text|>[x^<|end_of_text|>]");
        qvf_text_clear(&text);
        qvf_text_append_string(&text, "{\"messages\": [");
        repeat(&text, "{\"role\": \"user\", \"content\": \"\"},", QVF_DATA_MESSAGES_LIMIT);
        qvf_text_append_string(&text, "{}]}");
        refused(&opening, text.bytes, text.length, -EBADMSG, "4097 messages, expected 1 to 4096");
}
END_TEST

/* A line with as much text as a line may have. */
START_TEST(huge_line)
{
        struct opening opening = bpe();
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_dataset *dataset;

        qvf_text_append_string(&text, "{\"text\": \"");
        repeat(&text, "0123 abc\\n def ", ((size_t)15 << 20) / 15);
        qvf_text_append_string(&text, "\"}\n");
        dataset = opened(&opening, qvf_text_string(&text));
        ck_assert_uint_eq(dataset->n_documents, 1);
        ck_assert_uint_gt(dataset->counts.tokens, 1 << 20);
        qvf_dataset_free(dataset);
}
END_TEST

START_TEST(bad_text)
{
        struct opening opening = bpe();
        struct qvf_dataset *dataset;

        opening.name = "a.txt";
        refused(&opening, "ab\nc\xc3\xa4\x80", 7, -EBADMSG, "a.txt:2:3: the byte 0x80 is no UTF-8");
        refused(&opening, "ab\0", 3, -EBADMSG, "a.txt:1:3: a NUL byte");
        opening.options = (struct qvf_data_options){
                .separator = "", .skip_bad_lines = true, .add_bos = QVF_DATA_OFF
        };
        qvf_log_set(keep_line, NULL, QVF_LOG_DEBUG);
        dataset = opened(&opening, "7x\n\nc\xff\nd\n\n9y");
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        ck_assert_uint_eq(dataset->n_documents, 2);
        expect_document(dataset, 0, opening.tokenizer, "7[x]");
        expect_document(dataset, 1, opening.tokenizer, "9[y]");
        ck_assert_uint_eq(dataset->counts.bad_lines, 1);
        ck_assert_ptr_nonnull(strstr(qvf_text_string(&logged), "a.txt:3:2: the byte 0xff"));
        qvf_dataset_free(dataset);
}
END_TEST

START_TEST(skipped_lines_are_counted)
{
        struct opening opening = bpe();
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_dataset *dataset;

        qvf_text_append_string(&text, "bad\n{\"text\": \"a\"}\n");
        repeat(&text, "{\"text\": 5}\n\n", 20);
        qvf_text_append_string(&text, "{\"text\": \"b\"}");
        opening.name = "a.jsonl";
        opening.options.skip_bad_lines = true;
        qvf_log_set(keep_line, NULL, QVF_LOG_DEBUG);
        dataset = opened(&opening, qvf_text_string(&text));
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        ck_assert_uint_eq(dataset->n_documents, 2);
        expect_counts(dataset, 43, 20, 21, 0);
        ck_assert_ptr_nonnull(strstr(qvf_text_string(&logged), "a.jsonl:1:1: expected a JSON object"));
        ck_assert_ptr_nonnull(strstr(qvf_text_string(&logged), "a.jsonl:9:10: "));
        ck_assert_ptr_null(strstr(qvf_text_string(&logged), "a.jsonl:11:10: "));
        ck_assert_ptr_nonnull(strstr(qvf_text_string(&logged), "21 bad lines were left out in all"));
        qvf_dataset_free(dataset);
}
END_TEST

START_TEST(kinds_do_not_mix)
{
        struct opening opening = bpe();
        const char *text = "{\"text\": \"a\"}\n\n{\"prompt\": \"a\", \"completion\": \"b\"}\n";
        struct qvf_dataset *dataset;
        enum qvf_data_kind kind;

        for (int skip = 0; skip < 2; skip++) {
                opening.options.skip_bad_lines = skip;
                refused(&opening, text, strlen(text), -EMEDIUMTYPE,
                                "data:3:1: a line of kind jsonl-completion in a file of kind jsonl-text, "
                                "expected "
                                "one kind, like line 1");
        }
        /* A kind that is asked for takes every line that can be it. */
        text = "{\"text\": \"a\"}\n{\"text\": \"b\", \"prompt\": \"a\", \"completion\": \"b\"}\n";
        dataset = opened(&opening, text);
        ck_assert_uint_eq(dataset->n_documents, 2);
        ck_assert_int_eq(dataset->kind, QVF_DATA_JSON_TEXT);
        qvf_dataset_free(dataset);
        opening.options.kind = QVF_DATA_COMPLETION;
        refused(&opening, text, strlen(text), -EMEDIUMTYPE, "data:1:1: a line of kind jsonl-text");
        opening.options.kind = QVF_DATA_TEXT;
        expect(&opening, "{\"text\": 1}", "^<|begin_of_text|>[{\"text\": 1}^<|end_of_text|>]");
        refused(&(struct opening){ .tokenizer = opening.tokenizer }, "{\"x\": 1}", 8, -EBADMSG,
                        "1:1: expected \"messages\", or \"prompt\" and \"completion\", or \"text\"");
        for (int i = 0; i < QVF_DATA_KINDS; i++) {
                ck_assert_int_eq(qvf_data_kind_find(qvf_data_kind_name(i), &kind), 0);
                ck_assert_int_eq(kind, i);
        }
        ck_assert_int_eq(qvf_data_kind_find("csv", &kind), -EINVAL);
}
END_TEST

START_TEST(nothing_to_read)
{
        struct opening opening = bpe();

        for (int named = 0; named < 3; named++) {
                opening.name = (const char *[]){ "data", "a.txt", "a.jsonl" }[named];
                refused(&opening, "", 0, -ENODATA, "holds no document: 0 lines");
                refused(&opening, "\n \n\t\r\n\n", 7, -ENODATA,
                                "holds no document: 4 lines, 4 of them blank");
                refused(&opening, "\xef\xbb\xbf", 3, -ENODATA, "holds no document");
        }
        refused(&opening, "{\"text\": \"\"}", 12, -ENODATA, "1 documents without text");
        opening.options.skip_bad_lines = true;
        refused(&opening, "{\"x\": 1}", 8, -ENODATA, "1 bad");
}
END_TEST

static int count_calls(void *context, uint64_t done, uint64_t size)
{
        unsigned *calls = context;

        ck_assert_uint_le(done, size);
        return ++*calls == 3 ? -ECANCELED : 0;
}

START_TEST(files)
{
        struct qvf_data_source source = {
                .name = "/", .fd = -1, .tokenizer = bpe_tokenizer(false), .cache_folder = -1
        };
        const struct qvf_data_options options = { 0 };
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_dataset *dataset = NULL;
        struct qvf_error error = { 0 };
        unsigned calls = 0;

        ck_assert_int_eq(qvf_dataset_open(&source, &options, &dataset, &error), -EISDIR);
        source.name = "/nowhere/at.all";
        ck_assert_int_eq(qvf_dataset_open(&source, &options, &dataset, &error), -ENOENT);
        source.name = "/dev/null";
        ck_assert_int_eq(qvf_dataset_open(&source, &options, &dataset, &error), -EINVAL);
        repeat(&text, "{\"text\": \"abcdefghijklmnopqrstuvwxyz\"}\n", 200000);
        source.name = "a.jsonl";
        source.fd = memory_file(text.bytes, text.length);
        source.progress = count_calls;
        source.context = &calls;
        ck_assert_int_eq(qvf_dataset_open(&source, &options, &dataset, &error), -ECANCELED);
        ck_assert_uint_eq(calls, 3);
        close(source.fd);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("dataset");
        TCase *tcase = tcase_create("dataset");
        const TTest *const tests[] = { plain_text, separated_text, json_text, completions, text_in_parts,
                limits, huge_line, bad_text, skipped_lines_are_counted, kinds_do_not_mix, nothing_to_read,
                files };
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 120);
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
                tcase_add_test(tcase, tests[i]);
        tcase_add_loop_test(tcase, bad_line_is_named, 0, sizeof(bad_lines) / sizeof(bad_lines[0]));
        tcase_add_loop_test(tcase, bad_message_is_named, 0, sizeof(bad_messages) / sizeof(bad_messages[0]));
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
