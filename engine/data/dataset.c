/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/dataset.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "engine/data/reading.h"
#include "engine/data/token_store.h"
#include "engine/files/mapped_file.h"

/* Goes up whenever this code makes other tokens of the same file. */
#define DATASET_VERSION 1

static void add_string(struct qvf_sha256 *hash, const char *string)
{
        qvf_sha256_update_u64(hash, string != NULL);
        qvf_sha256_update_sized(hash, string ? string : "", string ? strlen(string) : 0);
}

/* All that decides about the tokens. */
static int make_key(const struct qvf_data_source *source, const struct qvf_data_options *options,
                const struct qvf_mapped_file *file, uint8_t key[QVF_SHA256_BYTES])
{
        uint8_t fingerprint[QVF_TOKENIZER_FINGERPRINT_BYTES], content[QVF_SHA256_BYTES];
        const char *template_source = NULL;
        size_t template_length = 0;
        struct qvf_sha256 hash;
        int r = qvf_tokenizer_fingerprint(source->tokenizer, fingerprint);

        if (r < 0)
                return r;
        qvf_sha256(file->data, (size_t)file->size, content);
        if (source->chat_template)
                template_source = qvf_chat_template_source(source->chat_template, &template_length);
        qvf_sha256_init(&hash);
        qvf_sha256_update_u64(&hash, DATASET_VERSION);
        qvf_sha256_update(&hash, fingerprint, sizeof(fingerprint));
        qvf_sha256_update(&hash, content, sizeof(content));
        qvf_sha256_update_sized(&hash, template_source, template_length);
        qvf_sha256_update_u64(&hash, qvf_data_kind_by_name(source->name, options->kind));
        add_string(&hash, options->separator);
        qvf_sha256_update_u64(&hash, options->all_count);
        qvf_sha256_update_u64(&hash, options->add_bos);
        qvf_sha256_update_u64(&hash, options->add_eos);
        qvf_sha256_update_u64(&hash, options->parse_special);
        qvf_sha256_update_u64(&hash, options->skip_bad_lines);
        qvf_sha256_update_u64(&hash, (uint64_t)options->now);
        qvf_sha256_finish(&hash, key);
        return 0;
}

/* Tokenises the file into the cache file, or into memory where folder is below 0. *ret_store_failed: it was the
 * writing that went wrong, not the data. */
static int build(const struct qvf_data_source *source, const struct qvf_data_options *options,
                const struct qvf_mapped_file *file, int folder, struct qvf_dataset *dataset,
                bool *ret_store_failed, struct qvf_error *error)
{
        _cleanup_(qvf_token_writer_exit) struct qvf_token_writer writer = { .file = QVF_ATOMIC_FILE_INIT,
                .fd = -1 };
        int r = qvf_token_writer_init(&writer, folder, source->cache_name, error);

        *ret_store_failed = r < 0;
        if (r < 0)
                return r;
        r = qvf_data_read(source, options, file, &writer, dataset, error);
        if (r >= 0)
                r = qvf_mapped_file_check(file, error);
        *ret_store_failed = writer.failure < 0;
        if (r < 0)
                return r;
        r = qvf_token_writer_commit(&writer, folder, source->cache_name,
                        qvf_tokenizer_n_tokens(source->tokenizer), dataset, error);
        *ret_store_failed = r < 0;
        return r;
}

static int open_cached(const struct qvf_data_source *source, struct qvf_dataset *dataset)
{
        struct qvf_error error = { 0 };
        int r = qvf_token_store_open(source->cache_folder, source->cache_name,
                        qvf_tokenizer_n_tokens(source->tokenizer), dataset, &error);

        if (r < 0 && r != -ENOENT)
                qvf_log(r == -ESTALE ? QVF_LOG_INFO : QVF_LOG_WARNING, "%s; it is made anew", error.text);
        return r;
}

static int fill(const struct qvf_data_source *source, const struct qvf_data_options *options,
                const struct qvf_mapped_file *file, struct qvf_dataset *dataset, struct qvf_error *error)
{
        bool has_cache = source->cache_folder >= 0 && source->cache_name, store_failed = false;
        int r = make_key(source, options, file, dataset->key);

        if (r < 0)
                return qvf_error_set(error, r, "%s: no memory to read it", file->name);
        if (has_cache && open_cached(source, dataset) == 0) {
                dataset->from_cache = true;
                return 0;
        }
        if (has_cache) {
                struct qvf_error store_error = { 0 };

                r = build(source, options, file, source->cache_folder, dataset, &store_failed, &store_error);
                if (r >= 0)
                        return r;
                if (!store_failed) {
                        if (error)
                                *error = store_error;
                        return r;
                }
                qvf_log(QVF_LOG_WARNING, "%s; the tokens stay in memory", store_error.text);
                dataset->counts = (struct qvf_data_counts){ 0 };
        }
        return build(source, options, file, -1, dataset, &store_failed, error);
}

int qvf_dataset_open(const struct qvf_data_source *source, const struct qvf_data_options *options,
                struct qvf_dataset **ret_dataset, struct qvf_error *error)
{
        _cleanup_(qvf_mapped_file_freep) struct qvf_mapped_file *file = NULL;
        _cleanup_(qvf_dataset_freep) struct qvf_dataset *dataset = calloc(1, sizeof(*dataset));
        int r;

        if (!dataset)
                return qvf_error_set(error, -ENOMEM, "no memory for a dataset");
        if (source->fd >= 0)
                r = qvf_mapped_file_open_fd(source->fd, source->name, QVF_DATA_FILE_LIMIT, &file, error);
        else
                r = qvf_mapped_file_open(source->name, QVF_DATA_FILE_LIMIT, &file, error);
        if (r >= 0)
                r = fill(source, options, file, dataset, error);
        if (r < 0)
                return r;
        *ret_dataset = QVF_TAKE(dataset);
        return 0;
}

struct qvf_dataset *qvf_dataset_free(struct qvf_dataset *dataset)
{
        if (!dataset)
                return NULL;
        qvf_mapped_file_free(dataset->file);
        free(dataset);
        return NULL;
}
