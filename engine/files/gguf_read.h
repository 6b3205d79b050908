/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of gguf*.c: a place in one file's bytes that never goes past their end, and the struct they share.
 */
#ifndef QVF_ENGINE_FILES_GGUF_READ_H
#define QVF_ENGINE_FILES_GGUF_READ_H

#include "engine/files/gguf.h"
#include "engine/files/mapped_file.h"

/* The fewest bytes that a key with its value, and a tensor's entry, take in a file: what a claimed count is
 * checked against before anything is allocated for it. */
#define QVF_GGUF_KEY_LEAST_BYTES (8 + 1 + 4 + 1)
#define QVF_GGUF_TENSOR_LEAST_BYTES (8 + 1 + 4 + 8 + 4 + 8)

struct qvf_gguf_reader {
        const struct qvf_mapped_file *file;
        uint64_t offset;
        const char *subject; /* "key" or "tensor", once its name is known, else NULL */
        struct qvf_gguf_string name;
        struct qvf_error *error;
};

struct qvf_gguf_part {
        struct qvf_mapped_file *file;
        uint32_t version;
        uint64_t n_keys, n_tensors;
        uint64_t tensors_offset; /* where the tensors' entries begin */
        uint64_t data_offset;    /* where the tensors' data begins */
        uint32_t alignment;
        struct qvf_gguf_value *values;
        uint32_t *values_by_key;
        char *names;              /* of the tensors, each with its NUL */
        uint32_t split_no;        /* from 0 */
        uint32_t split_count;     /* 1 for a whole file */
        uint64_t split_n_tensors; /* of all parts together */
};

struct qvf_gguf {
        struct qvf_gguf_part *parts; /* in the order of split_no */
        unsigned n_parts;
        struct qvf_gguf_tensor *tensors;
        uint32_t *tensors_by_name;
        uint32_t n_tensors;
        struct qvf_gguf_string architecture; /* empty where the file has none */
};

/* Fills the error with file, offset and subject before the words, and returns the code. */
int qvf_gguf_fail(const struct qvf_gguf_reader *reader, int code, const char *format, ...)
                __attribute__((format(printf, 3, 4)));

static inline uint64_t qvf_gguf_bytes_left(const struct qvf_gguf_reader *reader)
{
        return reader->file->size - reader->offset;
}

/* `what` names the thing for the message when the file ends inside it. */
int qvf_gguf_skip(struct qvf_gguf_reader *reader, uint64_t bytes, const char *what);
int qvf_gguf_read_u32(struct qvf_gguf_reader *reader, uint32_t *ret_value, const char *what);
int qvf_gguf_read_u64(struct qvf_gguf_reader *reader, uint64_t *ret_value, const char *what);
int qvf_gguf_read_string(struct qvf_gguf_reader *reader, uint64_t most, struct qvf_gguf_string *ret_string,
                const char *what);

/* Bytes of one value of a type of fixed size; 0 for strings, arrays and unknown types. */
unsigned qvf_gguf_type_bytes(uint32_t type);

/* A name from a file, fit for a message: cut, and ASCII only. */
#define QVF_GGUF_QUOTE_BYTES 84
const char *qvf_gguf_quote(struct qvf_gguf_string string, char buffer[QVF_GGUF_QUOTE_BYTES]);

/* Orders like strcmp, for strings without a NUL at their end. */
int qvf_gguf_compare(struct qvf_gguf_string a, struct qvf_gguf_string b);

/* The steps of opening one part, in this order. */
int qvf_gguf_parse_header(struct qvf_gguf_part *part, struct qvf_error *error);
int qvf_gguf_parse_keys(struct qvf_gguf_part *part, struct qvf_error *error);
int qvf_gguf_parse_tensors(struct qvf_gguf_part *part, uint32_t file_index, struct qvf_gguf_tensor *tensors,
                struct qvf_error *error);

const struct qvf_gguf_value *qvf_gguf_part_find_key(
                const struct qvf_gguf_part *part, struct qvf_gguf_string key);

#endif
