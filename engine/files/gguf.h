/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files, versions 2 and 3, little-endian, whole or in parts (NAME-00001-of-00003.gguf).
 *
 * A file is mapped and checked once, wholly, when it is opened: every length against the bytes that are
 * left, every tensor against the end of its file. What the getters give points into the mapping and lives as
 * long as the struct. Keys that begin with "A." stand for the file's general.architecture: "A.block_count"
 * finds "bitnet.block_count". */
#ifndef QVF_ENGINE_FILES_GGUF_H
#define QVF_ENGINE_FILES_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "qvf/dtype.h"

#define QVF_GGUF_KEYS_MOST 65536
#define QVF_GGUF_TENSORS_MOST 65536
#define QVF_GGUF_KEY_BYTES_MOST 65535
#define QVF_GGUF_NAME_BYTES_MOST                                                                            \
        64 /* of a tensor: readers of the format agree on 63 and a NUL, writers on 64 */
#define QVF_GGUF_STRING_BYTES_MOST ((uint64_t)16 << 20)
#define QVF_GGUF_DIMS_MOST 4
#define QVF_GGUF_ALIGNMENT_LEAST 8
#define QVF_GGUF_ALIGNMENT_MOST 65536
#define QVF_GGUF_PARTS_MOST 256

enum qvf_gguf_type {
        QVF_GGUF_U8 = 0,
        QVF_GGUF_I8 = 1,
        QVF_GGUF_U16 = 2,
        QVF_GGUF_I16 = 3,
        QVF_GGUF_U32 = 4,
        QVF_GGUF_I32 = 5,
        QVF_GGUF_F32 = 6,
        QVF_GGUF_BOOL = 7,
        QVF_GGUF_STRING = 8,
        QVF_GGUF_ARRAY = 9,
        QVF_GGUF_U64 = 10,
        QVF_GGUF_I64 = 11,
        QVF_GGUF_F64 = 12,
};

struct qvf_gguf;

struct qvf_gguf_tensor {
        const char *name;
        uint32_t file_type_id; /* the number that stands in the file */
        enum qvf_dtype dtype;
        uint32_t n_dims;
        uint64_t ne[QVF_GGUF_DIMS_MOST]; /* ne[0]: columns, next to each other in memory; 1 past n_dims */
        const void *data;                /* aligned to QVF_GGUF_ALIGNMENT_LEAST or more */
        uint64_t size_bytes;
        uint64_t file_offset; /* of the data, from the start of its file */
        uint32_t file_index;  /* which part; see qvf_gguf_part_name() */
};

/* Bytes of the file, not NUL-terminated. */
struct qvf_gguf_string {
        const char *bytes;
        size_t length;
};

struct qvf_gguf_array {
        enum qvf_gguf_type type;
        uint64_t length;     /* elements */
        const uint8_t *data; /* unaligned: read it through the functions below */
        uint64_t size_bytes;
};

/* A key with its value; compact, as a file may hold many. */
struct qvf_gguf_value {
        const char *key; /* not NUL-terminated */
        uint32_t key_length;
        uint8_t type;         /* enum qvf_gguf_type */
        uint8_t element_type; /* of an array; otherwise as `type` */
        uint64_t length;      /* elements of an array; 1 */
        const uint8_t *data;  /* the number, the bytes of the string, or the first element; unaligned */
        uint64_t size_bytes;
};

/* Any part of a split file may be named; the others are looked for beside it. */
int qvf_gguf_open(const char *path, struct qvf_gguf **ret_gguf, struct qvf_error *error);
/* All parts, in any order. The descriptors stay the caller's and may be closed at once; names (may be NULL)
 * are for messages. */
int qvf_gguf_open_fds(const int *fds, const char *const *names, unsigned n_fds, struct qvf_gguf **ret_gguf,
                struct qvf_error *error);
struct qvf_gguf *qvf_gguf_free(struct qvf_gguf *gguf);
QVF_DEFINE_CLEANUP(struct qvf_gguf *, qvf_gguf_free)

/* -ESTALE once a part is shorter than it was: reading tensors now would raise SIGBUS. */
int qvf_gguf_check(const struct qvf_gguf *gguf, struct qvf_error *error);

const char *qvf_gguf_name(const struct qvf_gguf *gguf); /* of the first part, for messages */
const char *qvf_gguf_part_name(const struct qvf_gguf *gguf, unsigned part);
int qvf_gguf_part_fd(const struct qvf_gguf *gguf, unsigned part); /* stays the struct's */
unsigned qvf_gguf_parts(const struct qvf_gguf *gguf);
uint32_t qvf_gguf_version(const struct qvf_gguf *gguf);
uint64_t qvf_gguf_size_bytes(const struct qvf_gguf *gguf); /* all parts */

/* Tensors, in the order of the file. */
uint32_t qvf_gguf_tensors(const struct qvf_gguf *gguf);
const struct qvf_gguf_tensor *qvf_gguf_tensor(const struct qvf_gguf *gguf, uint32_t index);
const struct qvf_gguf_tensor *qvf_gguf_find_tensor(
                const struct qvf_gguf *gguf, const char *name); /* or NULL */
uint32_t qvf_gguf_tensor_index(const struct qvf_gguf *gguf, const struct qvf_gguf_tensor *tensor);

/* Keys, in the order of the file. */
uint32_t qvf_gguf_keys(const struct qvf_gguf *gguf);
const struct qvf_gguf_value *qvf_gguf_key(const struct qvf_gguf *gguf, uint32_t index);
const struct qvf_gguf_value *qvf_gguf_find_key(const struct qvf_gguf *gguf, const char *key); /* or NULL */
const char *qvf_gguf_type_name(enum qvf_gguf_type type);

/* Typed getters: 0, -ENOENT where the key is absent, -EINVAL where it is of another kind or out of range;
 * both with words. Integers of any width are taken as long as the value fits, f64 where f32 is asked for. A
 * string that holds a NUL is refused. */
int qvf_gguf_get_u32(
                const struct qvf_gguf *gguf, const char *key, uint32_t *ret_value, struct qvf_error *error);
int qvf_gguf_get_u64(
                const struct qvf_gguf *gguf, const char *key, uint64_t *ret_value, struct qvf_error *error);
int qvf_gguf_get_i64(
                const struct qvf_gguf *gguf, const char *key, int64_t *ret_value, struct qvf_error *error);
int qvf_gguf_get_f32(
                const struct qvf_gguf *gguf, const char *key, float *ret_value, struct qvf_error *error);
int qvf_gguf_get_bool(
                const struct qvf_gguf *gguf, const char *key, bool *ret_value, struct qvf_error *error);
int qvf_gguf_get_string(const struct qvf_gguf *gguf, const char *key, struct qvf_gguf_string *ret_value,
                struct qvf_error *error);
/* The array's elements must be of `type` exactly. */
int qvf_gguf_get_array(const struct qvf_gguf *gguf, const char *key, enum qvf_gguf_type type,
                struct qvf_gguf_array *ret_array, struct qvf_error *error);
/* An array of strings as a table (16 bytes a string) that the caller frees with free(). */
int qvf_gguf_get_strings(const struct qvf_gguf *gguf, const char *key, struct qvf_gguf_string **ret_strings,
                uint64_t *ret_length, struct qvf_error *error);
/* The same from a key that was found: false where it is no array. */
bool qvf_gguf_value_array(const struct qvf_gguf_value *value, struct qvf_gguf_array *ret_array);
bool qvf_gguf_string_is(struct qvf_gguf_string string, const char *text);

/* Elements of number arrays; `index` must be below the length, and the type one of those named. */
float qvf_gguf_array_f32(const struct qvf_gguf_array *array, uint64_t index); /* F32, F64 */
int64_t qvf_gguf_array_i64(
                const struct qvf_gguf_array *array, uint64_t index); /* integers, BOOL; U64 wraps */
/* Takes the first string off an array of strings; false at its end. */
bool qvf_gguf_array_next_string(struct qvf_gguf_array *array, struct qvf_gguf_string *ret_string);

#endif
