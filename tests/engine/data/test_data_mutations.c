/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged data files: each is refused with words, or read to the last batch; none crashes or takes a second.
 * QVF_SEED chooses other files, QVF_MUTATIONS how many. */
#include <time.h>

#include "common/log.h"
#include "engine/sampling/random.h"
#include "tests/engine/data/data_exercise.h"
#include "tests/engine/data/data_support.h"

#define SLOWEST_MS 1000

static const char *const names[] = { "notes.txt", "facts.jsonl", "chats.jsonl", "commands.jsonl" };
#define NAMES (sizeof(names) / sizeof(names[0]))

static struct qvf_text sets[NAMES];

static void load_sets(void)
{
        for (size_t i = 0; i < NAMES; i++) {
                char path[128], bytes[4096];
                FILE *file;
                size_t n;

                snprintf(path, sizeof(path), "tests/data/sets/%s", names[i]);
                file = fopen(path, "re");
                ck_assert_msg(file != NULL, "%s", path);
                while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
                        ck_assert_int_eq(qvf_text_append(&sets[i], bytes, n), 0);
                fclose(file);
        }
}

static void drop_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        (void)level;
        (void)line;
}

static unsigned number_from(const char *name, unsigned otherwise)
{
        const char *value = getenv(name);

        return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

static size_t pick(struct qvf_random *random, size_t count)
{
        return count ? (size_t)(qvf_random_next(random) % count) : 0;
}

/* Pieces that mean something somewhere. */
static const char *const pieces[] = { "{", "}", "[", "]", "\"", "\\", ":", ",", "\n", "\r\n", "\xff", "\xc3",
        "\xef\xbb\xbf", "null", "true", "-1e999", "\\u0000", "\\ud800", "\"text\"", "\"messages\"",
        "\"role\"", "\"content\"", "\"prompt\":\"\"", "\"completion\"", "\"tools\":[]", "\"weight\":0",
        "<|eot_id|>", "assistant", "{\"text\":\"\"}", "[[[[[[[[[[[[[[[[", "'", "/*", "---", " ", "\t" };

static void mutate(struct qvf_random *random, struct qvf_text *text)
{
        _cleanup_text_ struct qvf_text out = { 0 };
        size_t at = pick(random, text->length + 1), length = pick(random, 1 + text->length - at);
        const char *piece = pieces[pick(random, sizeof(pieces) / sizeof(pieces[0]))];
        size_t way = pick(random, 7), from = pick(random, text->length + 1);

        if (way >= 3 && length > 16)
                length %= 16;
        qvf_text_append(&out, text->bytes, at);
        if (way == 0) /* cut off */
                length = text->length - at;
        if (way == 1 || way == 6) /* a piece goes in */
                length = way == 1 ? 0 : length;
        if (way == 1 || way == 3 || way == 6)
                qvf_text_append_string(&out, piece);
        if (way == 4) /* a byte */
                qvf_text_append_char(&out, (char)pick(random, 256));
        if (way == 5) /* a run of it again */
                qvf_text_append(&out, text->bytes + from, pick(random, text->length - from + 1));
        qvf_text_append(&out, text->bytes + at + length, text->length - at - length);
        qvf_text_exit(text);
        *text = out;
        out = (struct qvf_text){ 0 };
}

static double now_ms(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

START_TEST(mutated_files)
{
        const struct qvf_tokenizer *tokenizers[] = { bpe_tokenizer(true), spm_tokenizer() };
        const struct qvf_chat_template *templates[] = { NULL, template_of(TEMPLATE_HELPER),
                template_of(TEMPLATE_CHATML), template_of(TEMPLATE_GENERATION) };
        unsigned count = number_from("QVF_MUTATIONS", 10000), taken = 0;
        struct qvf_random random;
        double slowest = 0;

        load_sets();
        qvf_random_seed(&random, number_from("QVF_SEED", 1));
        qvf_log_set(drop_line, NULL, QVF_LOG_ERROR);
        for (unsigned i = 0; i < count; i++) {
                _cleanup_text_ struct qvf_text text = { 0 };
                const struct qvf_text *set = &sets[pick(&random, NAMES)];
                size_t mutations = i < 200 ? 0 : 1 + pick(&random, 4);
                double start = now_ms();

                qvf_text_append(&text, set->bytes, set->length);
                while (mutations--)
                        mutate(&random, &text);
                taken += data_exercise(tokenizers[pick(&random, 2)], templates[pick(&random, 4)],
                                qvf_text_string(&text), text.length, (unsigned)pick(&random, 32));
                slowest = now_ms() - start > slowest ? now_ms() - start : slowest;
        }
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        printf("%u files, %u taken, the slowest in %.1f ms\n", count, taken, slowest);
        ck_assert_uint_gt(taken, count / 10);
        ck_assert_uint_lt(taken, count);
        ck_assert_double_lt(slowest, SLOWEST_MS);
        for (size_t i = 0; i < NAMES; i++)
                qvf_text_exit(&sets[i]);
}
END_TEST

/* The samples as they stand. */
START_TEST(samples)
{
        static const struct {
                enum qvf_data_kind kind;
                uint64_t documents;
        } wanted[NAMES] = { { QVF_DATA_TEXT, 3 }, { QVF_DATA_JSON_TEXT, 3 }, { QVF_DATA_MESSAGES, 3 },
                { QVF_DATA_COMPLETION, 3 } };
        struct opening opening = { .tokenizer = bpe_tokenizer(true),
                .chat_template = template_of(
                                "{% for m in messages %}{{ m.role + ':' }}{{ m.content or '' }}{{ "
                                "'<|eot_id|>' }}{% endfor %}") };

        load_sets();
        for (size_t i = 0; i < NAMES; i++) {
                struct qvf_dataset *dataset;

                opening.options.separator = i == 0 ? "---" : NULL;
                opening.name = names[i];
                dataset = opened(&opening, qvf_text_string(&sets[i]));
                ck_assert_int_eq(dataset->kind, wanted[i].kind);
                ck_assert_uint_eq(dataset->n_documents, wanted[i].documents);
                if (wanted[i].kind == QVF_DATA_MESSAGES)
                        expect_document(dataset, 1, opening.tokenizer,
                                        "^<|begin_of_text|>user:Hi^<|eot_id|>assistant:Hello.^<|eot_id|>"
                                        "user:And "
                                        "cd?^<|eot_id|>assistant:[It changes the folder.^<|eot_id|>]");
                qvf_dataset_free(dataset);
                qvf_text_exit(&sets[i]);
        }
}
END_TEST

QVF_SUITE("data_mutations", 240, samples, mutated_files)
