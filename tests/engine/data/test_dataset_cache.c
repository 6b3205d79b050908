/* SPDX-License-Identifier: Apache-2.0 */
/* The cache file: used again, made anew when it is stale or damaged, and never needed. */
#include <dirent.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/log.h"
#include "engine/files/mapped_file.h"
#include "tests/engine/data/data_support.h"

#define TEXT "{\"text\": \"one line\"}\n{\"text\": \"another\"}\n\n{\"text\": \"\"}\n{\"text\": \"odd\"}\n"

static struct qvf_text logged;

static void keep_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        (void)level;
        qvf_text_append_string(&logged, line);
        qvf_text_append_char(&logged, '\n');
}

static int scratch_folder(char path[64])
{
        strcpy(path, "/tmp/qvf-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(path));
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_folder(int folder, const char *path)
{
        unlinkat(folder, "tokens", 0);
        rmdir(path); /* fails where something else was left behind, which remains_clean() finds */
        close(folder);
}

static unsigned entries(const char *path)
{
        DIR *folder = opendir(path);
        unsigned count = 0;

        while (readdir(folder))
                count++;
        closedir(folder);
        return count - 2;
}

struct cached {
        const struct qvf_tokenizer *tokenizer;
        const struct qvf_chat_template *chat_template;
        struct qvf_data_options options;
        int folder;
};

static struct qvf_dataset *cached_open(const struct cached *cached, const char *text)
{
        int fd = memory_file(text, strlen(text));
        const struct qvf_data_source source = { .name = "data",
                .fd = fd,
                .tokenizer = cached->tokenizer,
                .chat_template = cached->chat_template,
                .cache_folder = cached->folder,
                .cache_name = "tokens" };
        struct qvf_dataset *dataset = NULL;
        struct qvf_error error = { 0 };

        qvf_text_clear(&logged);
        qvf_log_set(keep_line, NULL, QVF_LOG_DEBUG);
        ck_assert_msg(qvf_dataset_open(&source, &cached->options, &dataset, &error) == 0, "%s", error.text);
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        close(fd);
        return dataset;
}

static bool same(const struct qvf_dataset *a, const struct qvf_dataset *b)
{
        return a->kind == b->kind && a->n_documents == b->n_documents &&
               memcmp(&a->counts, &b->counts, sizeof(a->counts)) == 0 &&
               memcmp(a->starts, b->starts, (a->n_documents + 1) * sizeof(*a->starts)) == 0 &&
               memcmp(a->tokens, b->tokens, a->counts.tokens * sizeof(*a->tokens)) == 0 &&
               memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

START_TEST(used_again)
{
        char path[64];
        struct cached cached = { .tokenizer = bpe_tokenizer(false), .folder = scratch_folder(path) };
        struct qvf_dataset *first = cached_open(&cached, TEXT), *again = cached_open(&cached, TEXT), *memory;
        struct stat status;

        ck_assert(!first->from_cache);
        ck_assert(again->from_cache);
        ck_assert(same(first, again));
        ck_assert_uint_eq(again->counts.lines, 5);
        ck_assert_uint_eq(again->counts.blank_lines, 1);
        ck_assert_uint_eq(again->counts.empty_documents, 1);
        ck_assert_uint_eq(again->n_documents, 3);
        ck_assert_int_eq(fstatat(cached.folder, "tokens", &status, 0), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0600);
        ck_assert_uint_eq(entries(path), 1);
        cached.folder = -1;
        memory = cached_open(&cached, TEXT);
        ck_assert(!memory->from_cache);
        ck_assert(memory->file->sealed);
        ck_assert(same(first, memory));
        cached.folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        qvf_dataset_free(first);
        qvf_dataset_free(again);
        qvf_dataset_free(memory);
        remove_folder(cached.folder, path);
}
END_TEST

/* Each thing that decides about the tokens makes another key. */
START_TEST(stale)
{
        char path[64];
        struct cached cached = { .tokenizer = bpe_tokenizer(false), .folder = scratch_folder(path) };
        struct qvf_dataset *dataset = cached_open(&cached, TEXT);
        const char *text = TEXT;

        for (unsigned change = 0; change < 12; change++) {
                qvf_dataset_free(dataset);
                switch (change) {
                case 0: text = TEXT "\n"; break;
                case 1: cached.tokenizer = spm_tokenizer(); break;
                case 2: cached.tokenizer = bpe_tokenizer(true); break;
                case 3: cached.chat_template = template_of(TEMPLATE_HELPER); break;
                case 4: cached.chat_template = template_of(TEMPLATE_CHATML); break;
                case 5: cached.options.kind = QVF_DATA_JSON_TEXT; break;
                case 6: cached.options.add_bos = QVF_DATA_OFF; break;
                case 7: cached.options.add_eos = QVF_DATA_ON; break;
                case 8: cached.options.skip_bad_lines = true; break;
                case 9: cached.options.parse_special = true; break;
                case 10: cached.options.separator = "x"; break;
                case 11: cached.options.now = 1; break;
                }
                dataset = cached_open(&cached, text);
                ck_assert_msg(!dataset->from_cache, "change %u was not seen", change);
                ck_assert_msg(strstr(qvf_text_string(&logged),
                                              "made from other data or with other options") != NULL,
                                "%s", qvf_text_string(&logged));
                qvf_dataset_free(dataset);
                dataset = cached_open(&cached, text);
                ck_assert_msg(dataset->from_cache, "change %u was not kept", change);
        }
        qvf_dataset_free(dataset);
        remove_folder(cached.folder, path);
}
END_TEST

/* Every byte of the file, and every length. */
START_TEST(damaged)
{
        char path[64];
        struct cached cached = { .tokenizer = bpe_tokenizer(false), .folder = scratch_folder(path) };
        struct qvf_dataset *good = cached_open(&cached, TEXT), *dataset;
        size_t size = good->file->size;
        _cleanup_free_ uint8_t *bytes = malloc(size);
        unsigned n_stale = 0;

        memcpy(bytes, good->file->data, size);
        for (size_t at = 0; at < 2 * size; at++) {
                int fd = openat(cached.folder, "tokens", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

                bytes[at % size] ^= 0x10;
                ck_assert_int_eq(write(fd, bytes, at < size ? size : at - size),
                                at < size ? size : at - size);
                close(fd);
                bytes[at % size] ^= 0x10;
                dataset = cached_open(&cached, TEXT);
                if (dataset->from_cache || !same(dataset, good))
                        ck_abort_msg("damage at %zu was not seen", at);
                if (!strstr(qvf_text_string(&logged), "it is made anew"))
                        ck_abort_msg("damage at %zu: %s", at, qvf_text_string(&logged));
                n_stale += strstr(qvf_text_string(&logged), "another version") != NULL;
                qvf_dataset_free(dataset);
        }
        ck_assert_uint_gt(n_stale, 0);
        ck_assert_uint_eq(entries(path), 1);
        qvf_dataset_free(good);
        remove_folder(cached.folder, path);
}
END_TEST

static void limit_files(rlim_t bytes)
{
        const struct rlimit limit = { bytes, RLIM_INFINITY };

        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A folder that cannot be written costs the cache and nothing else. */
START_TEST(without_room)
{
        char path[64];
        struct cached cached = { .tokenizer = bpe_tokenizer(false), .folder = scratch_folder(path) };
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_dataset *dataset;
        int folder = cached.folder;

        for (unsigned i = 0; i < 2000; i++)
                qvf_text_appendf(&text, "{\"text\": \"line %u of many, many lines\"}\n", i);
        cached.folder = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dataset = cached_open(&cached, qvf_text_string(&text));
        ck_assert_uint_eq(dataset->n_documents, 2000);
        ck_assert_ptr_nonnull(strstr(qvf_text_string(&logged), "the tokens stay in memory"));
        qvf_dataset_free(dataset);
        close(cached.folder);
        remove_folder(folder, path);
}
END_TEST

/* Where writing fails half-way, nothing is left behind. A memory file has no limit of its own here, so that both
 * ways fail alike, with words. */
START_TEST(disk_full)
{
        char path[64];
        int folder = scratch_folder(path), fd = memory_file(TEXT, strlen(TEXT));
        const struct qvf_data_source source = { .name = "data",
                .fd = fd,
                .tokenizer = bpe_tokenizer(false),
                .cache_folder = folder,
                .cache_name = "tokens" };
        struct qvf_dataset *dataset = NULL;
        struct qvf_error error = { 0 };
        int r;

        qvf_log_set(keep_line, NULL, QVF_LOG_DEBUG);
        limit_files(200);
        r = qvf_dataset_open(&source, &(struct qvf_data_options){ 0 }, &dataset, &error);
        limit_files(RLIM_INFINITY);
        ck_assert_ptr_nonnull(strstr(qvf_text_string(&logged), "the tokens stay in memory"));
        if (r < 0)
                ck_assert_ptr_nonnull(strstr(error.text, "writing the tokens: File too large"));
        qvf_dataset_free(dataset);
        ck_assert_uint_eq(entries(path), 0);
        close(fd);
        remove_folder(folder, path);
}
END_TEST

QVF_SUITE("dataset_cache", 120, used_again, stale, damaged, without_room, disk_full)
