/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/weight_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "engine/files/gguf.h"
#include "engine/files/mapped_file.h"
#include "engine/model/content_hash.h"
#include "engine/model/weight_cache_file.h"

#define SUFFIX ".weights"
#define FILE_NAME_BYTES (QVF_DIGEST_NAME_BYTES + sizeof(SUFFIX))
/* Nobody takes this long to write a cache: what has not changed since was left by a process that was killed. */
#define LEFT_BEHIND_SECONDS 3600

struct qvf_weight_cache {
        struct qvf_mapped_file *file;
        struct qvf_weight_cache_entry *entries;
        uint32_t n_entries;
};

struct qvf_weight_cache_writer {
        struct qvf_atomic_file file;
        struct qvf_error error; /* of the file */
        struct qvf_weight_file_header header;
        struct qvf_weight_file_entry *entries;
        uint32_t capacity;
        uint64_t bytes; /* so far */
};

/* The key as one digest, and the name of its file. */
static void name_file(const struct qvf_weight_cache_key *key, uint8_t ret_digest[QVF_SHA256_BYTES],
                char ret_name[FILE_NAME_BYTES])
{
        struct qvf_sha256 hash;

        qvf_sha256_init(&hash);
        qvf_sha256_update(&hash, key->content, sizeof(key->content));
        qvf_sha256_update_sized(&hash, key->backend, strlen(key->backend));
        qvf_sha256_update_u64(&hash, key->layout_version);
        qvf_sha256_update_u64(&hash, key->i2s_order);
        qvf_sha256_finish(&hash, ret_digest);
        qvf_digest_name(ret_digest, ret_name);
        strcat(ret_name, SUFFIX);
}

static uint32_t check_of_header(const struct qvf_weight_file_header *header)
{
        return qvf_weight_file_check(header, offsetof(struct qvf_weight_file_header, header_check));
}

static int bad(struct qvf_error *error, const char *name, const char *what)
{
        return qvf_error_set(error, -EBADMSG, "cached weights %s: %s", name, what);
}

static int check_header(const struct qvf_weight_file_header *header, uint64_t file_bytes,
                const uint8_t key[QVF_SHA256_BYTES], const char *name, struct qvf_error *error)
{
        uint64_t table_bytes;

        if (file_bytes < sizeof(*header))
                return bad(error, name, "shorter than its header");
        if (memcmp(header->magic, QVF_WEIGHT_FILE_MAGIC, sizeof(header->magic)) != 0)
                return bad(error, name, "it does not begin with " QVF_WEIGHT_FILE_MAGIC);
        if (header->byte_order != QVF_WEIGHT_FILE_BYTE_ORDER || header->version != QVF_WEIGHT_FILE_VERSION ||
                        header->header_bytes != sizeof(*header) ||
                        header->entry_bytes != sizeof(struct qvf_weight_file_entry))
                return bad(error, name, "of another version");
        if (header->header_check != check_of_header(header))
                return bad(error, name, "the header is damaged");
        if (memcmp(header->key, key, QVF_SHA256_BYTES) != 0)
                return bad(error, name, "made for another model or device");
        if (header->file_bytes != file_bytes)
                return bad(error, name, "of another length than it was written with");
        if (header->n_entries > QVF_GGUF_TENSORS_MOST || header->table_offset < sizeof(*header) ||
                        header->table_offset % QVF_WEIGHT_CACHE_ALIGNMENT != 0 ||
                        !qvf_mul_u64(header->n_entries, header->entry_bytes, &table_bytes) ||
                        header->table_offset > file_bytes ||
                        table_bytes != file_bytes - header->table_offset)
                return bad(error, name, "its table does not lie at its end");
        return 0;
}

static bool entry_is_sound(
                const struct qvf_weight_file_entry *entry, const struct qvf_weight_file_header *header)
{
        return entry->name[0] && memchr(entry->name, 0, sizeof(entry->name)) && entry->rows > 0 &&
               entry->columns > 0 && isfinite(entry->scale) && entry->block_scales <= 1 &&
               entry->packed <= 1 && entry->length > 0 && entry->offset >= sizeof(*header) &&
               entry->offset % QVF_WEIGHT_CACHE_ALIGNMENT == 0 && entry->offset <= header->table_offset &&
               entry->length <= header->table_offset - entry->offset;
}

static int read_entries(struct qvf_weight_cache *cache, const char *name, struct qvf_error *error)
{
        const struct qvf_weight_file_header *header = (const void *)cache->file->data;
        const struct qvf_weight_file_entry *table = (const void *)(cache->file->data + header->table_offset);

        if (qvf_weight_file_check(table, (uint64_t)header->n_entries * sizeof(*table)) !=
                        header->table_check)
                return bad(error, name, "the table is damaged");
        cache->entries = calloc((size_t)header->n_entries + 1, sizeof(*cache->entries));
        if (!cache->entries)
                return -ENOMEM;
        for (uint32_t i = 0; i < header->n_entries; i++) {
                const struct qvf_weight_file_entry *entry = &table[i];

                if (!entry_is_sound(entry, header) || (i > 0 && strcmp(entry[-1].name, entry->name) >= 0))
                        return bad(error, name, "an entry of its table makes no sense");
                if (qvf_weight_file_check(cache->file->data + entry->offset, entry->length) != entry->check)
                        return qvf_error_set(error, -EBADMSG, "cached weights %s: %s is damaged", name,
                                        entry->name);
                cache->entries[i] = (struct qvf_weight_cache_entry){
                        .name = entry->name,
                        .dtype = entry->dtype,
                        .rows = entry->rows,
                        .columns = entry->columns,
                        .scale = entry->scale,
                        .block_scales = entry->block_scales,
                        .packed = entry->packed,
                        .offset = entry->offset,
                        .length = entry->length,
                };
        }
        cache->n_entries = header->n_entries;
        return 0;
}

int qvf_weight_cache_open(int folder, const struct qvf_weight_cache_key *key,
                struct qvf_weight_cache **ret_cache, struct qvf_error *error)
{
        _cleanup_(qvf_weight_cache_freep) struct qvf_weight_cache *cache = NULL;
        _cleanup_close_ int fd = -1;
        uint8_t digest[QVF_SHA256_BYTES];
        char name[FILE_NAME_BYTES];
        int r;

        name_file(key, digest, name);
        fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return qvf_error_set(error, errno == ELOOP ? -EBADMSG : -errno, "cached weights %s: %s",
                                name, strerror(errno));
        cache = calloc(1, sizeof(*cache));
        if (!cache)
                return -ENOMEM;
        r = qvf_mapped_file_open_fd(fd, name, 0, &cache->file, error);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        r = check_header((const void *)cache->file->data, cache->file->size, digest, name, error);
        if (r == 0)
                r = read_entries(cache, name, error);
        if (r < 0)
                return r;
        *ret_cache = QVF_TAKE(cache);
        return 0;
}

struct qvf_weight_cache *qvf_weight_cache_free(struct qvf_weight_cache *cache)
{
        if (!cache)
                return NULL;
        qvf_mapped_file_free(cache->file);
        free(cache->entries);
        free(cache);
        return NULL;
}

const void *qvf_weight_cache_mapping(const struct qvf_weight_cache *cache, uint64_t *ret_bytes)
{
        *ret_bytes = cache->file->size;
        return cache->file->data;
}

uint32_t qvf_weight_cache_count(const struct qvf_weight_cache *cache)
{
        return cache->n_entries;
}

const struct qvf_weight_cache_entry *qvf_weight_cache_entry(
                const struct qvf_weight_cache *cache, uint32_t index)
{
        return index < cache->n_entries ? &cache->entries[index] : NULL;
}

static int compare_name(const void *name, const void *entry)
{
        return strcmp(name, ((const struct qvf_weight_cache_entry *)entry)->name);
}

const struct qvf_weight_cache_entry *qvf_weight_cache_find(
                const struct qvf_weight_cache *cache, const char *name)
{
        return cache ? bsearch(name, cache->entries, cache->n_entries, sizeof(*cache->entries), compare_name)
                     : NULL;
}

/* Of this very file only: another one may just be written by somebody else. */
static void remove_left_behind(int folder, const char *name)
{
        int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = copy < 0 ? NULL : fdopendir(copy);
        const struct dirent *file;

        while (directory && (file = readdir(directory))) {
                struct stat st;

                if (file->d_name[0] != '.' || strncmp(file->d_name + 1, name, strlen(name)) != 0 ||
                                fstatat(folder, file->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (time(NULL) - st.st_mtim.tv_sec > LEFT_BEHIND_SECONDS)
                        unlinkat(folder, file->d_name, 0);
        }
        if (directory)
                closedir(directory);
        else if (copy >= 0)
                close(copy);
}

int qvf_weight_cache_writer_new(int folder, const struct qvf_weight_cache_key *key,
                struct qvf_weight_cache_writer **ret_writer, struct qvf_error *error)
{
        static const struct qvf_weight_file_header nothing; /* the true one is written last */
        _cleanup_(qvf_weight_cache_writer_freep) struct qvf_weight_cache_writer *writer =
                        calloc(1, sizeof(*writer));
        char name[FILE_NAME_BYTES];
        int r;

        if (!writer)
                return -ENOMEM;
        writer->file = (struct qvf_atomic_file)QVF_ATOMIC_FILE_INIT;
        name_file(key, writer->header.key, name);
        remove_left_behind(folder, name);
        r = qvf_atomic_file_open(folder, name, 0600, &writer->file, error);
        if (r < 0)
                return r;
        writer->file.error = &writer->error;
        qvf_atomic_file_write(&writer->file, &nothing, sizeof(nothing));
        writer->bytes = sizeof(nothing);
        *ret_writer = QVF_TAKE(writer);
        return 0;
}

static uint64_t align(struct qvf_weight_cache_writer *writer)
{
        static const char zeros[QVF_WEIGHT_CACHE_ALIGNMENT];
        uint64_t gap = -writer->bytes % QVF_WEIGHT_CACHE_ALIGNMENT;

        qvf_atomic_file_write(&writer->file, zeros, gap);
        writer->bytes += gap;
        return writer->bytes;
}

int qvf_weight_cache_writer_add(struct qvf_weight_cache_writer *writer,
                const struct qvf_weight_cache_entry *entry, const void *bytes)
{
        struct qvf_weight_file_entry *to;

        if (strlen(entry->name) >= QVF_WEIGHT_FILE_NAME_BYTES || entry->length == 0)
                return -EINVAL;
        if (writer->header.n_entries == writer->capacity) {
                uint32_t capacity = writer->capacity ? 2 * writer->capacity : 64;
                struct qvf_weight_file_entry *entries =
                                reallocarray(writer->entries, capacity, sizeof(*entries));

                if (!entries)
                        return -ENOMEM;
                writer->entries = entries;
                writer->capacity = capacity;
        }
        to = &writer->entries[writer->header.n_entries++];
        *to = (struct qvf_weight_file_entry){
                .dtype = entry->dtype,
                .rows = entry->rows,
                .columns = entry->columns,
                .scale = entry->scale,
                .block_scales = entry->block_scales,
                .packed = entry->packed,
                .offset = align(writer),
                .length = entry->length,
                .check = qvf_weight_file_check(bytes, entry->length),
        };
        memcpy(to->name, entry->name, strlen(entry->name));
        qvf_atomic_file_write(&writer->file, bytes, entry->length);
        writer->bytes += entry->length;
        return writer->file.failure;
}

static int order_entries(const void *a, const void *b)
{
        return strcmp(((const struct qvf_weight_file_entry *)a)->name,
                        ((const struct qvf_weight_file_entry *)b)->name);
}

int qvf_weight_cache_writer_commit(struct qvf_weight_cache_writer *writer, struct qvf_error *error)
{
        struct qvf_weight_file_header *header = &writer->header;
        uint64_t table_bytes = (uint64_t)header->n_entries * sizeof(*writer->entries);
        int r;

        qsort(writer->entries, header->n_entries, sizeof(*writer->entries), order_entries);
        memcpy(header->magic, QVF_WEIGHT_FILE_MAGIC, sizeof(header->magic));
        header->version = QVF_WEIGHT_FILE_VERSION;
        header->byte_order = QVF_WEIGHT_FILE_BYTE_ORDER;
        header->header_bytes = sizeof(*header);
        header->entry_bytes = sizeof(*writer->entries);
        header->table_check = qvf_weight_file_check(writer->entries, table_bytes);
        header->table_offset = align(writer);
        header->file_bytes = header->table_offset + table_bytes;
        header->header_check = check_of_header(header);
        qvf_atomic_file_write(&writer->file, writer->entries, table_bytes);
        if (writer->file.failure == 0 &&
                        pwrite(writer->file.fd, header, sizeof(*header), 0) != (ssize_t)sizeof(*header))
                writer->file.failure = errno ? -errno : -EIO;
        r = qvf_atomic_file_commit(&writer->file);
        return r < 0 ? qvf_error_set(error, r, "%s", writer->error.text) : 0;
}

struct qvf_weight_cache_writer *qvf_weight_cache_writer_free(struct qvf_weight_cache_writer *writer)
{
        if (!writer)
                return NULL;
        qvf_atomic_file_abort(&writer->file);
        free(writer->entries);
        free(writer);
        return NULL;
}
