/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files, version 3, little-endian. First all keys and tensors are named, then the file is written in one pass
 * from its start to its end, so that it can go to any descriptor and no tensor need be in memory as a whole.
 *
 * The first failure sticks: later calls do nothing, and qvf_gguf_writer_begin() and _end() return it with its words.
 * For a file that is there as a whole or not at all see common/atomic_file.h. */
#ifndef QVF_ENGINE_FILES_GGUF_WRITE_H
#define QVF_ENGINE_FILES_GGUF_WRITE_H

#include "engine/files/gguf.h"

struct qvf_gguf_writer;

int qvf_gguf_writer_new(struct qvf_gguf_writer **ret_writer);
struct qvf_gguf_writer *qvf_gguf_writer_free(struct qvf_gguf_writer *writer);
QVF_DEFINE_CLEANUP(struct qvf_gguf_writer *, qvf_gguf_writer_free)

/* Of the tensors' data; a power of two from QVF_GGUF_ALIGNMENT_LEAST to _MOST; 32 unless set. */
void qvf_gguf_writer_set_alignment(struct qvf_gguf_writer *writer, uint32_t alignment);

/* Keys, in the order in which they are first set; a later value takes the place of the earlier. */
void qvf_gguf_writer_set_u32(struct qvf_gguf_writer *writer, const char *key, uint32_t value);
void qvf_gguf_writer_set_u64(struct qvf_gguf_writer *writer, const char *key, uint64_t value);
void qvf_gguf_writer_set_f32(struct qvf_gguf_writer *writer, const char *key, float value);
void qvf_gguf_writer_set_bool(struct qvf_gguf_writer *writer, const char *key, bool value);
void qvf_gguf_writer_set_string(struct qvf_gguf_writer *writer, const char *key, const char *value);
/* An array of numbers or bools, `elements` as they stand in the file. */
void qvf_gguf_writer_set_numbers(struct qvf_gguf_writer *writer, const char *key, enum qvf_gguf_type type,
                uint64_t length, const void *elements);
void qvf_gguf_writer_set_strings(struct qvf_gguf_writer *writer, const char *key,
                const struct qvf_gguf_string *strings, uint64_t length);
/* All keys of a file but those that are about its being in parts; its alignment too. */
void qvf_gguf_writer_copy_keys(struct qvf_gguf_writer *writer, const struct qvf_gguf *gguf);

/* The tensors' data follows in this order. `ne` has n_dims numbers, ne[0] the columns. */
void qvf_gguf_writer_add_tensor(struct qvf_gguf_writer *writer, const char *name, enum qvf_dtype dtype,
                uint32_t n_dims, const uint64_t *ne);

/* Writes all that stands before the data. The descriptor stays the caller's. */
int qvf_gguf_writer_begin(struct qvf_gguf_writer *writer, int fd, struct qvf_error *error);
/* The next bytes of the tensor that is not whole yet; never of two tensors at once. Returns the failure that sticks, so
 * that long work can end early. */
int qvf_gguf_writer_put(struct qvf_gguf_writer *writer, const void *bytes, uint64_t length);
/* -EINVAL where a tensor is not whole. Does not sync. */
int qvf_gguf_writer_end(struct qvf_gguf_writer *writer, struct qvf_error *error);

#endif
