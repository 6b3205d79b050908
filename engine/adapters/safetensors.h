/* SPDX-License-Identifier: Apache-2.0 */
/* Safetensors files: 8 bytes of length, a JSON header of that length, then the tensors' bytes. A file is mapped and
 * checked wholly when it is opened: the tensors cover the data from its start to its end, none overlaps another, and
 * each has just the bytes of its type and shape. */
#ifndef QVF_ENGINE_ADAPTERS_SAFETENSORS_H
#define QVF_ENGINE_ADAPTERS_SAFETENSORS_H

#include "common/text.h"
#include "engine/files/mapped_file.h"
#include "qvf/dtype.h"

/* The header of an adapter with all modules of 512 layers takes 1.2 MB. */
#define QVF_SAFETENSORS_HEADER_BYTES_MOST ((uint64_t)2 << 20)
#define QVF_SAFETENSORS_TENSORS_MOST 65536u
#define QVF_SAFETENSORS_NAME_BYTES_MOST 512u
#define QVF_SAFETENSORS_DIMS_MOST 8u

struct qvf_safetensor {
        char *name;
        enum qvf_dtype dtype; /* F32, F16 or BF16 */
        uint32_t n_dims;
        uint64_t shape[QVF_SAFETENSORS_DIMS_MOST]; /* the last one is next to each other in memory */
        const void *data;                          /* of any alignment */
        uint64_t bytes;
};

struct qvf_safetensors {
        struct qvf_mapped_file *file;   /* whoever takes it away sets NULL */
        struct qvf_safetensor *tensors; /* in the order of the data */
        uint32_t n_tensors;
        char *name; /* "name" of the metadata, or NULL */
};

/* The descriptor stays the caller's; `name` is for messages. */
int qvf_safetensors_open_fd(
                int fd, const char *name, struct qvf_safetensors **ret_tensors, struct qvf_error *error);
struct qvf_safetensors *qvf_safetensors_free(struct qvf_safetensors *tensors);
QVF_DEFINE_CLEANUP(struct qvf_safetensors *, qvf_safetensors_free)

/* The same about a header alone, for `data_bytes` bytes behind it. */
int qvf_safetensors_parse(const char *header, uint64_t header_bytes, const uint8_t *data,
                uint64_t data_bytes, struct qvf_safetensors *tensors, struct qvf_error *error);

/* How the format names a type, NULL where it has no such type. */
const char *qvf_safetensors_dtype_name(enum qvf_dtype dtype);

#endif
