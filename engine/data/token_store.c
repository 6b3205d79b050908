/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/token_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "common/checked.h"
#include "engine/data/chat_tokens.h"
#include "engine/files/mapped_file.h"

#define BUFFER_TOKENS ((size_t)16 << 10)
#define STORE_VERSION 1

static const char magic[8] = "QVFTOKEN";

struct header {
        char magic[8];
        uint32_t version, bytes; /* of the header */
        uint32_t kind, n_vocabulary;
        uint64_t n_tokens, n_documents;
        uint64_t lines, blank_lines, bad_lines, empty_documents, counting_tokens;
        uint8_t key[QVF_SHA256_BYTES];
        uint8_t body[QVF_SHA256_BYTES];   /* checksum of all that follows the header */
        uint8_t header[QVF_SHA256_BYTES]; /* of all of the header before this */
};
_Static_assert(sizeof(struct header) % sizeof(uint64_t) == 0, "the tokens begin at a multiple of 8");

static void write_all(struct qvf_token_writer *writer, const void *bytes, size_t length)
{
        const char *at = bytes;

        while (writer->failure == 0 && length > 0) {
                ssize_t n = write(writer->fd, at, length);

                if (n < 0 && errno != EINTR)
                        writer->failure = -errno;
                if (n <= 0)
                        continue;
                at += n;
                length -= (size_t)n;
        }
}

static void write_body(struct qvf_token_writer *writer, const void *bytes, size_t length)
{
        qvf_sha256_update(&writer->body, bytes, length);
        write_all(writer, bytes, length);
}

static void flush(struct qvf_token_writer *writer)
{
        write_body(writer, writer->buffer, writer->n_buffered * sizeof(*writer->buffer));
        writer->n_buffered = 0;
}

/* Where the next document starts, or the last one ended. */
static int add_start(struct qvf_token_writer *writer)
{
        if (writer->n_documents + 1 >= writer->capacity) {
                uint64_t capacity = writer->capacity ? writer->capacity * 2 : 1024;
                uint64_t *starts = reallocarray(writer->starts, (size_t)capacity, sizeof(*starts));

                if (!starts)
                        return -ENOMEM;
                writer->starts = starts;
                writer->capacity = capacity;
        }
        writer->starts[writer->n_documents] = writer->n_tokens;
        return 0;
}

int qvf_token_writer_init(
                struct qvf_token_writer *writer, int folder, const char *name, struct qvf_error *error)
{
        const struct header header = { .bytes = 0 };
        int r = 0;

        *writer = (struct qvf_token_writer){
                .file = QVF_ATOMIC_FILE_INIT, .fd = -1, .in_memory = folder < 0
        };
        qvf_sha256_init(&writer->body);
        writer->buffer = calloc(BUFFER_TOKENS, sizeof(*writer->buffer));
        if (!writer->buffer || add_start(writer) < 0) {
                qvf_token_writer_exit(writer);
                return qvf_error_set(error, -ENOMEM, "no memory for a buffer of tokens");
        }
        if (folder >= 0) {
                r = qvf_atomic_file_open(folder, name, 0600, &writer->file, error);
                writer->fd = writer->file.fd;
        } else {
                writer->fd = memfd_create("qvf-tokens", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                if (writer->fd < 0)
                        r = qvf_error_set(error, -errno, "no memory for tokens: %s", strerror(errno));
        }
        if (r < 0) {
                writer->fd = -1;
                qvf_token_writer_exit(writer);
                return r;
        }
        write_all(writer, &header, sizeof(header)); /* the true one comes last */
        return 0;
}

void qvf_token_writer_exit(struct qvf_token_writer *writer)
{
        if (!writer->in_memory)
                qvf_atomic_file_abort(&writer->file);
        else if (writer->fd >= 0)
                close(writer->fd);
        free(writer->starts);
        free(writer->buffer);
        *writer = (struct qvf_token_writer){ .file = QVF_ATOMIC_FILE_INIT, .fd = -1 };
}

int qvf_token_writer_add(struct qvf_token_writer *writer, const uint32_t *tokens, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                bool is_first = writer->n_tokens == writer->document_start;
                uint32_t token = is_first ? tokens[i] & ~QVF_DATA_COUNTS : tokens[i];

                if (writer->n_buffered == BUFFER_TOKENS)
                        flush(writer);
                writer->buffer[writer->n_buffered++] = token;
                writer->n_counting += token / QVF_DATA_COUNTS;
                writer->n_tokens++;
        }
        return writer->failure;
}

int qvf_token_writer_end_document(struct qvf_token_writer *writer)
{
        writer->n_documents++;
        writer->document_start = writer->n_tokens;
        return add_start(writer);
}

static void fill_header(const struct qvf_token_writer *writer, size_t n_vocabulary,
                const struct qvf_dataset *dataset, struct header *header)
{
        *header = (struct header){ .version = STORE_VERSION,
                .bytes = sizeof(*header),
                .kind = dataset->kind,
                .n_vocabulary = (uint32_t)n_vocabulary,
                .n_tokens = writer->n_tokens,
                .n_documents = writer->n_documents,
                .lines = dataset->counts.lines,
                .blank_lines = dataset->counts.blank_lines,
                .bad_lines = dataset->counts.bad_lines,
                .empty_documents = dataset->counts.empty_documents,
                .counting_tokens = writer->n_counting };
        memcpy(header->magic, magic, sizeof(magic));
        memcpy(header->key, dataset->key, sizeof(header->key));
}

/* Points the dataset into the mapped file, whose header was checked. */
static void take_file(struct qvf_dataset *dataset, struct qvf_mapped_file *file)
{
        const struct header *header = (const void *)file->data;
        uint64_t tokens_bytes = (header->n_tokens * sizeof(uint32_t) + 7) & ~(uint64_t)7;

        dataset->kind = (enum qvf_data_kind)header->kind;
        dataset->counts = (struct qvf_data_counts){ .lines = header->lines,
                .blank_lines = header->blank_lines,
                .bad_lines = header->bad_lines,
                .empty_documents = header->empty_documents,
                .tokens = header->n_tokens,
                .counting_tokens = header->counting_tokens };
        dataset->n_documents = header->n_documents;
        dataset->tokens = (const void *)(file->data + sizeof(*header));
        dataset->starts = (const void *)(file->data + sizeof(*header) + tokens_bytes);
        dataset->file = file;
}

static int map_memory(struct qvf_token_writer *writer, struct qvf_dataset *dataset, struct qvf_error *error)
{
        struct qvf_mapped_file *file;
        int r;

        /* What cannot shrink cannot be pulled from under its readers. */
        if (fcntl(writer->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return qvf_error_set(error, -errno, "sealing the tokens: %s", strerror(errno));
        r = qvf_mapped_file_open_fd(writer->fd, "the tokens in memory", 0, &file, error);
        if (r >= 0)
                take_file(dataset, file);
        return r;
}

int qvf_token_writer_commit(struct qvf_token_writer *writer, int folder, const char *name,
                size_t n_vocabulary, struct qvf_dataset *dataset, struct qvf_error *error)
{
        struct header header;
        int r;

        flush(writer);
        if (writer->n_tokens % 2)
                write_body(writer, (const uint32_t[1]){ 0 }, sizeof(uint32_t));
        write_body(writer, writer->starts, (size_t)(writer->n_documents + 1) * sizeof(*writer->starts));
        fill_header(writer, n_vocabulary, dataset, &header);
        qvf_sha256_finish(&writer->body, header.body);
        qvf_sha256(&header, offsetof(struct header, header), header.header);
        if (writer->failure == 0 && pwrite(writer->fd, &header, sizeof(header), 0) != sizeof(header))
                writer->failure = -EIO;
        if (writer->failure < 0)
                return qvf_error_set(error, writer->failure, "writing the tokens: %s",
                                strerror(-writer->failure));
        if (writer->in_memory)
                return map_memory(writer, dataset, error);
        r = qvf_atomic_file_commit(&writer->file);
        return r < 0 ? r : qvf_token_store_open(folder, name, n_vocabulary, dataset, error);
}

/* The sizes that the header claims against that of the file. */
static bool size_fits(const struct header *header, uint64_t file_size)
{
        uint64_t tokens_bytes, starts_bytes, size;

        return header->n_tokens <= QVF_DATA_TOKENS_LIMIT && header->n_documents > 0 &&
               header->n_documents <= header->n_tokens &&
               qvf_mul_u64(header->n_tokens, sizeof(uint32_t), &tokens_bytes) &&
               qvf_align_u64(tokens_bytes, 8, &tokens_bytes) &&
               qvf_mul_u64(header->n_documents + 1, sizeof(uint64_t), &starts_bytes) &&
               qvf_add_u64(sizeof(*header), tokens_bytes, &size) && qvf_add_u64(size, starts_bytes, &size) &&
               size == file_size;
}

static bool numbers_fit(const struct qvf_dataset *dataset, size_t n_vocabulary)
{
        uint64_t n_tokens = dataset->counts.tokens;

        if (dataset->kind <= QVF_DATA_AUTO || dataset->kind >= QVF_DATA_KINDS || dataset->starts[0] != 0 ||
                        dataset->starts[dataset->n_documents] != n_tokens)
                return false;
        for (uint64_t i = 0; i < dataset->n_documents; i++)
                if (dataset->starts[i] >= dataset->starts[i + 1] || dataset->starts[i + 1] > n_tokens)
                        return false;
        for (uint64_t i = 0; i < n_tokens; i++)
                if ((size_t)QVF_DATA_ID(dataset->tokens[i]) >= n_vocabulary)
                        return false;
        return true;
}

static int check(const struct qvf_mapped_file *file, size_t n_vocabulary, const struct qvf_dataset *dataset,
                struct qvf_error *error)
{
        const struct header *header = (const void *)file->data;
        uint8_t digest[QVF_SHA256_BYTES];

        if (file->size < sizeof(*header) || memcmp(header->magic, magic, sizeof(magic)) != 0)
                return qvf_error_set(error, -EBADMSG, "%s is no file of tokens", file->name);
        if (header->version != STORE_VERSION || header->bytes != sizeof(*header))
                return qvf_error_set(error, -ESTALE, "%s was written by another version", file->name);
        qvf_sha256(header, offsetof(struct header, header), digest);
        if (memcmp(digest, header->header, sizeof(digest)) != 0)
                return qvf_error_set(error, -EBADMSG, "%s: the header's checksum is wrong", file->name);
        if (memcmp(header->key, dataset->key, sizeof(header->key)) != 0 ||
                        header->n_vocabulary != n_vocabulary)
                return qvf_error_set(error, -ESTALE, "%s was made from other data or with other options",
                                file->name);
        if (!size_fits(header, file->size))
                return qvf_error_set(error, -EBADMSG, "%s has %llu bytes, not what its header says",
                                file->name, (unsigned long long)file->size);
        qvf_sha256(file->data + sizeof(*header), (size_t)file->size - sizeof(*header), digest);
        if (memcmp(digest, header->body, sizeof(digest)) != 0)
                return qvf_error_set(error, -EBADMSG, "%s: the checksum is wrong", file->name);
        return 0;
}

int qvf_token_store_open(int folder, const char *name, size_t n_vocabulary, struct qvf_dataset *dataset,
                struct qvf_error *error)
{
        _cleanup_(qvf_mapped_file_freep) struct qvf_mapped_file *file = NULL;
        _cleanup_close_ int fd = -1;
        struct qvf_dataset found;
        int r;

        fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
        if (fd < 0)
                return qvf_error_set(error, -errno, "%s: %s", name, strerror(errno));
        r = qvf_mapped_file_open_fd(fd, name, 0, &file, error);
        if (r >= 0)
                r = check(file, n_vocabulary, dataset, error);
        if (r < 0)
                return r;
        found = *dataset;
        take_file(&found, file);
        if (!numbers_fit(&found, n_vocabulary))
                return qvf_error_set(error, -EBADMSG, "%s: numbers out of their range", name);
        *dataset = found;
        file = NULL;
        return 0;
}
