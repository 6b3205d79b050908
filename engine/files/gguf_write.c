/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files/gguf_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/text.h"
#include "engine/files/dtype.h"

#define BUFFER_BYTES ((size_t)256 << 10)
#define ALIGNMENT_UNLESS_SET 32u

struct key {
        char *name;
        struct qvf_text value; /* the type's number, then the value as it stands in the file */
};

struct tensor {
        char *name;
        enum qvf_dtype dtype;
        uint32_t n_dims;
        uint64_t ne[QVF_GGUF_DIMS_MOST];
        uint64_t bytes;
        uint64_t offset; /* from the start of the data */
};

struct qvf_gguf_writer {
        struct key *keys;
        size_t n_keys, keys_capacity;
        struct tensor *tensors;
        size_t n_tensors, tensors_capacity;
        uint32_t alignment;
        uint64_t data_bytes; /* of the tensors so far, padding included */
        int fd;
        struct qvf_text buffer; /* what was put and not written yet */
        size_t current;         /* the tensor that is being put */
        uint64_t put;           /* bytes of it */
        struct qvf_error failure;
};

static int fail(struct qvf_gguf_writer *writer, int code, const char *format, ...)
                __attribute__((format(printf, 3, 4)));

/* Keeps the first failure. */
static int fail(struct qvf_gguf_writer *writer, int code, const char *format, ...)
{
        char words[sizeof(writer->failure.text)];
        va_list arguments;

        if (writer->failure.code < 0)
                return writer->failure.code;
        va_start(arguments, format);
        vsnprintf(words, sizeof(words), format, arguments);
        va_end(arguments);
        return qvf_error_set(&writer->failure, code, "%s", words);
}

static int no_memory(struct qvf_gguf_writer *writer)
{
        return fail(writer, -ENOMEM, "no memory to write a GGUF file");
}

int qvf_gguf_writer_new(struct qvf_gguf_writer **ret_writer)
{
        struct qvf_gguf_writer *writer = calloc(1, sizeof(*writer));

        if (!writer)
                return -ENOMEM;
        writer->fd = -1;
        writer->alignment = ALIGNMENT_UNLESS_SET;
        *ret_writer = writer;
        return 0;
}

struct qvf_gguf_writer *qvf_gguf_writer_free(struct qvf_gguf_writer *writer)
{
        if (!writer)
                return NULL;
        for (size_t i = 0; i < writer->n_keys; i++) {
                free(writer->keys[i].name);
                qvf_text_exit(&writer->keys[i].value);
        }
        for (size_t i = 0; i < writer->n_tensors; i++)
                free(writer->tensors[i].name);
        free(writer->keys);
        free(writer->tensors);
        qvf_text_exit(&writer->buffer);
        free(writer);
        return NULL;
}

static int put_string(struct qvf_text *text, const char *bytes, uint64_t length)
{
        int r = qvf_text_append(text, &length, sizeof(length));

        return r < 0 ? r : qvf_text_append(text, bytes, (size_t)length);
}

/* Room for one more in a table. */
static bool grow(void **items, size_t *capacity, size_t count, size_t size)
{
        size_t more = *capacity ? 2 * *capacity : 32;
        void *grown;

        if (count < *capacity)
                return true;
        grown = reallocarray(*items, more, size);
        if (!grown)
                return false;
        *items = grown;
        *capacity = more;
        return true;
}

static struct key *append_key(struct qvf_gguf_writer *writer, const char *name, size_t length)
{
        struct key key = { .name = strndup(name, length) };

        if (!key.name ||
                        !grow((void **)&writer->keys, &writer->keys_capacity, writer->n_keys, sizeof(key))) {
                free(key.name);
                no_memory(writer);
                return NULL;
        }
        writer->keys[writer->n_keys] = key;
        return &writer->keys[writer->n_keys++];
}

/* The key's empty value with its type, or NULL after a failure. */
static struct qvf_text *set(struct qvf_gguf_writer *writer, const char *name, uint32_t type)
{
        size_t length = strlen(name);
        struct key *key = NULL;

        if (writer->failure.code < 0)
                return NULL;
        if (length == 0 || length > QVF_GGUF_KEY_BYTES_MOST || writer->fd >= 0) {
                fail(writer, -EINVAL,
                                "key %.80s can't be set: expected 1 to %d bytes, before the file is begun",
                                name, QVF_GGUF_KEY_BYTES_MOST);
                return NULL;
        }
        for (size_t i = 0; !key && i < writer->n_keys; i++)
                if (strcmp(writer->keys[i].name, name) == 0)
                        key = &writer->keys[i];
        if (!key)
                key = append_key(writer, name, length);
        if (!key)
                return NULL;
        qvf_text_clear(&key->value);
        if (qvf_text_append(&key->value, &type, sizeof(type)) < 0) {
                no_memory(writer);
                return NULL;
        }
        return &key->value;
}

static void set_number(struct qvf_gguf_writer *writer, const char *key, uint32_t type, const void *value,
                size_t bytes)
{
        struct qvf_text *text = set(writer, key, type);

        if (text && qvf_text_append(text, value, bytes) < 0)
                no_memory(writer);
}

void qvf_gguf_writer_set_u32(struct qvf_gguf_writer *writer, const char *key, uint32_t value)
{
        set_number(writer, key, QVF_GGUF_U32, &value, sizeof(value));
}

void qvf_gguf_writer_set_u64(struct qvf_gguf_writer *writer, const char *key, uint64_t value)
{
        set_number(writer, key, QVF_GGUF_U64, &value, sizeof(value));
}

void qvf_gguf_writer_set_f32(struct qvf_gguf_writer *writer, const char *key, float value)
{
        set_number(writer, key, QVF_GGUF_F32, &value, sizeof(value));
}

void qvf_gguf_writer_set_bool(struct qvf_gguf_writer *writer, const char *key, bool value)
{
        uint8_t byte = value;

        set_number(writer, key, QVF_GGUF_BOOL, &byte, sizeof(byte));
}

void qvf_gguf_writer_set_string(struct qvf_gguf_writer *writer, const char *key, const char *value)
{
        struct qvf_text *text = set(writer, key, QVF_GGUF_STRING);

        if (text && put_string(text, value, strlen(value)) < 0)
                no_memory(writer);
}

static struct qvf_text *set_array(
                struct qvf_gguf_writer *writer, const char *key, uint32_t type, uint64_t length)
{
        struct qvf_text *text = set(writer, key, QVF_GGUF_ARRAY);

        if (text && (qvf_text_append(text, &type, sizeof(type)) < 0 ||
                                    qvf_text_append(text, &length, sizeof(length)) < 0)) {
                no_memory(writer);
                return NULL;
        }
        return text;
}

static unsigned element_bytes(enum qvf_gguf_type type)
{
        switch (type) {
        case QVF_GGUF_U8:
        case QVF_GGUF_I8:
        case QVF_GGUF_BOOL: return 1;
        case QVF_GGUF_U16:
        case QVF_GGUF_I16: return 2;
        case QVF_GGUF_U32:
        case QVF_GGUF_I32:
        case QVF_GGUF_F32: return 4;
        case QVF_GGUF_U64:
        case QVF_GGUF_I64:
        case QVF_GGUF_F64: return 8;
        default: return 0;
        }
}

void qvf_gguf_writer_set_numbers(struct qvf_gguf_writer *writer, const char *key, enum qvf_gguf_type type,
                uint64_t length, const void *elements)
{
        unsigned bytes = element_bytes(type);
        struct qvf_text *text = set_array(writer, key, type, length);

        if (!text)
                return;
        if (bytes == 0 || length > QVF_TEXT_LIMIT / bytes)
                fail(writer, -EINVAL, "key %s: an array of %" PRIu64 " %s can't be written", key, length,
                                qvf_gguf_type_name(type));
        else if (qvf_text_append(text, elements, (size_t)length * bytes) < 0)
                no_memory(writer);
}

void qvf_gguf_writer_set_strings(struct qvf_gguf_writer *writer, const char *key,
                const struct qvf_gguf_string *strings, uint64_t length)
{
        struct qvf_text *text = set_array(writer, key, QVF_GGUF_STRING, length);

        for (uint64_t i = 0; text && i < length; i++)
                if (put_string(text, strings[i].bytes, strings[i].length) < 0) {
                        no_memory(writer);
                        return;
                }
}

void qvf_gguf_writer_set_alignment(struct qvf_gguf_writer *writer, uint32_t alignment)
{
        if (writer->n_tensors > 0 || alignment < QVF_GGUF_ALIGNMENT_LEAST ||
                        alignment > QVF_GGUF_ALIGNMENT_MOST || (alignment & (alignment - 1)) != 0) {
                fail(writer, -EINVAL,
                                "an alignment of %u, expected a power of two from %d to %d, before any "
                                "tensor",
                                alignment, QVF_GGUF_ALIGNMENT_LEAST, QVF_GGUF_ALIGNMENT_MOST);
                return;
        }
        writer->alignment = alignment;
        qvf_gguf_writer_set_u32(writer, "general.alignment", alignment);
}

static bool key_is(const struct qvf_gguf_value *value, const char *name)
{
        return qvf_gguf_string_is((struct qvf_gguf_string){ value->key, value->key_length }, name);
}

static int copy_value(const struct qvf_gguf_value *value, struct qvf_text *text)
{
        uint32_t type = value->type, element_type = value->element_type;
        int r = qvf_text_append(text, &type, sizeof(type));

        if (r == 0 && type == QVF_GGUF_STRING)
                return put_string(text, (const char *)value->data, value->size_bytes);
        if (r == 0 && type == QVF_GGUF_ARRAY) {
                r = qvf_text_append(text, &element_type, sizeof(element_type));
                if (r == 0)
                        r = qvf_text_append(text, &value->length, sizeof(value->length));
        }
        return r < 0 ? r : qvf_text_append(text, value->data, (size_t)value->size_bytes);
}

void qvf_gguf_writer_copy_keys(struct qvf_gguf_writer *writer, const struct qvf_gguf *gguf)
{
        size_t before = writer->n_keys;
        uint32_t alignment;

        for (uint32_t i = 0; writer->failure.code == 0 && i < qvf_gguf_keys(gguf); i++) {
                const struct qvf_gguf_value *value = qvf_gguf_key(gguf, i);
                struct key *key = NULL;

                if ((value->key_length >= 6 && memcmp(value->key, "split.", 6) == 0) ||
                                key_is(value, "general.alignment"))
                        continue;
                /* The keys of one file differ from each other: only older ones can be the same. */
                for (size_t k = 0; !key && k < before; k++)
                        if (key_is(value, writer->keys[k].name))
                                key = &writer->keys[k];
                if (!key)
                        key = append_key(writer, value->key, value->key_length);
                if (!key)
                        return;
                qvf_text_clear(&key->value);
                if (copy_value(value, &key->value) < 0)
                        no_memory(writer);
        }
        if (qvf_gguf_get_u32(gguf, "general.alignment", &alignment, NULL) == 0)
                qvf_gguf_writer_set_alignment(writer, alignment);
}

void qvf_gguf_writer_add_tensor(struct qvf_gguf_writer *writer, const char *name, enum qvf_dtype dtype,
                uint32_t n_dims, const uint64_t *ne)
{
        struct tensor tensor = { .dtype = dtype, .n_dims = n_dims };
        size_t length = strlen(name);
        uint64_t rows = 1, padded;

        if (writer->failure.code < 0)
                return;
        if (length == 0 || length >= QVF_GGUF_NAME_BYTES_MOST || n_dims < 1 || n_dims > QVF_GGUF_DIMS_MOST ||
                        writer->n_tensors == QVF_GGUF_TENSORS_MOST || dtype == QVF_U8 || writer->fd >= 0) {
                fail(writer, -EINVAL, "tensor %.80s (%u dimensions, %s) can't stand in a GGUF file", name,
                                n_dims, qvf_dtype_name(dtype));
                return;
        }
        for (uint32_t i = 0; i < n_dims; i++) {
                tensor.ne[i] = ne[i];
                if (ne[i] == 0 || (i > 0 && !qvf_mul_u64(rows, ne[i], &rows)))
                        rows = 0;
        }
        if (rows == 0 || qvf_dtype_tensor_bytes(dtype, rows, ne[0], &tensor.bytes) < 0 ||
                        !qvf_align_u64(tensor.bytes, writer->alignment, &padded) ||
                        !qvf_add_u64(writer->data_bytes, padded, &padded)) {
                fail(writer, -EINVAL, "tensor %s: a row of %" PRIu64 " can't be of type %s", name, ne[0],
                                qvf_dtype_name(dtype));
                return;
        }
        tensor.offset = writer->data_bytes;
        tensor.name = strdup(name);
        if (!tensor.name || !grow((void **)&writer->tensors, &writer->tensors_capacity, writer->n_tensors,
                                            sizeof(tensor))) {
                free(tensor.name);
                no_memory(writer);
                return;
        }
        writer->data_bytes = padded;
        writer->tensors[writer->n_tensors++] = tensor;
}

static void write_all(struct qvf_gguf_writer *writer, const uint8_t *bytes, uint64_t length)
{
        while (length > 0 && writer->failure.code == 0) {
                ssize_t n = write(writer->fd, bytes, (size_t)qvf_min_u64(length, 1u << 30));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        fail(writer, -errno, "a GGUF file can't be written: %s", strerror(errno));
                        return;
                }
                bytes += n;
                length -= (uint64_t)n;
        }
}

static void flush(struct qvf_gguf_writer *writer)
{
        write_all(writer, (const uint8_t *)writer->buffer.bytes, writer->buffer.length);
        qvf_text_clear(&writer->buffer);
}

static void put(struct qvf_gguf_writer *writer, const void *bytes, uint64_t length)
{
        if (writer->buffer.length + length > BUFFER_BYTES)
                flush(writer);
        if (length >= BUFFER_BYTES)
                write_all(writer, bytes, length);
        else if (qvf_text_append(&writer->buffer, bytes, (size_t)length) < 0)
                no_memory(writer);
}

static void pad(struct qvf_gguf_writer *writer, uint64_t written)
{
        static const uint8_t zeros[4096];
        uint64_t left = -written & (writer->alignment - 1);

        while (left > 0) {
                uint64_t n = qvf_min_u64(left, sizeof(zeros));

                put(writer, zeros, n);
                left -= n;
        }
}

static int order_names(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(struct qvf_gguf_writer *writer)
{
        _cleanup_free_ const char **names = calloc(writer->n_tensors + 1, sizeof(*names));

        if (!names)
                return no_memory(writer);
        for (size_t i = 0; i < writer->n_tensors; i++)
                names[i] = writer->tensors[i].name;
        qsort(names, writer->n_tensors, sizeof(*names), order_names);
        for (size_t i = 1; i < writer->n_tensors; i++)
                if (strcmp(names[i - 1], names[i]) == 0)
                        return fail(writer, -EINVAL, "tensor %s stands twice, expected once", names[i]);
        return 0;
}

static int put_header(struct qvf_gguf_writer *writer, struct qvf_text *header)
{
        const uint32_t version = 3;
        const uint64_t counts[2] = { writer->n_tensors, writer->n_keys };
        int r = qvf_text_append(header, "GGUF", 4);

        r = r < 0 ? r : qvf_text_append(header, &version, sizeof(version));
        r = r < 0 ? r : qvf_text_append(header, counts, sizeof(counts));
        for (size_t i = 0; r == 0 && i < writer->n_keys; i++) {
                const struct key *key = &writer->keys[i];

                r = put_string(header, key->name, strlen(key->name));
                r = r < 0 ? r : qvf_text_append(header, key->value.bytes, key->value.length);
        }
        for (size_t i = 0; r == 0 && i < writer->n_tensors; i++) {
                const struct tensor *tensor = &writer->tensors[i];
                uint32_t type = tensor->dtype == QVF_I2_S ? 36 : (uint32_t)tensor->dtype;

                r = put_string(header, tensor->name, strlen(tensor->name));
                r = r < 0 ? r : qvf_text_append(header, &tensor->n_dims, sizeof(tensor->n_dims));
                r = r < 0 ? r : qvf_text_append(header, tensor->ne, tensor->n_dims * sizeof(tensor->ne[0]));
                r = r < 0 ? r : qvf_text_append(header, &type, sizeof(type));
                r = r < 0 ? r : qvf_text_append(header, &tensor->offset, sizeof(tensor->offset));
        }
        return r;
}

static int result(const struct qvf_gguf_writer *writer, struct qvf_error *error)
{
        return writer->failure.code < 0
                               ? qvf_error_set(error, writer->failure.code, "%s", writer->failure.text)
                               : 0;
}

int qvf_gguf_writer_begin(struct qvf_gguf_writer *writer, int fd, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text header = { 0 };

        if (writer->n_keys > QVF_GGUF_KEYS_MOST)
                fail(writer, -E2BIG, "%zu keys, expected at most %d", writer->n_keys, QVF_GGUF_KEYS_MOST);
        if (writer->failure.code == 0 && check_names(writer) == 0 && put_header(writer, &header) < 0)
                no_memory(writer);
        if (writer->failure.code == 0) {
                writer->fd = fd;
                put(writer, header.bytes, header.length);
                pad(writer, header.length);
        }
        return result(writer, error);
}

int qvf_gguf_writer_put(struct qvf_gguf_writer *writer, const void *bytes, uint64_t length)
{
        const struct tensor *tensor;

        if (writer->failure.code < 0)
                return writer->failure.code;
        if (writer->fd < 0 || writer->current == writer->n_tensors ||
                        length > writer->tensors[writer->current].bytes - writer->put)
                return fail(writer, -EINVAL, "%" PRIu64 " bytes more than tensor %zu of a GGUF file has",
                                length, writer->current);
        tensor = &writer->tensors[writer->current];
        put(writer, bytes, length);
        writer->put += length;
        if (writer->put < tensor->bytes)
                return writer->failure.code;
        /* Behind the last one too: readers count on it. */
        pad(writer, tensor->bytes);
        writer->current++;
        writer->put = 0;
        return writer->failure.code;
}

int qvf_gguf_writer_end(struct qvf_gguf_writer *writer, struct qvf_error *error)
{
        if (writer->failure.code == 0 && (writer->fd < 0 || writer->current != writer->n_tensors))
                fail(writer, -EINVAL, "tensor %s of a GGUF file is not whole",
                                writer->n_tensors ? writer->tensors[writer->current].name : "?");
        if (writer->failure.code == 0)
                flush(writer);
        return result(writer, error);
}
