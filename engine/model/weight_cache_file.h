/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a cache of weights: a header, the weights, each aligned, and a table of them, ordered by name.
 * Numbers are of the machine that wrote it; one of another byte order is refused by the marker. */
#ifndef QVF_ENGINE_MODEL_WEIGHT_CACHE_FILE_H
#define QVF_ENGINE_MODEL_WEIGHT_CACHE_FILE_H

#include <stdint.h>
#include <zlib.h>

#include "common/sha256.h"

#define QVF_WEIGHT_FILE_MAGIC "QVFWCACH" /* without its NUL */
/* To be raised when this layout changes, and when a model's weights are recovered to TQ2_0 in another way. */
#define QVF_WEIGHT_FILE_VERSION 1u
#define QVF_WEIGHT_FILE_BYTE_ORDER 0x01020304u
#define QVF_WEIGHT_FILE_NAME_BYTES 72u /* longer than any tensor's name, with its NUL */

struct qvf_weight_file_header {
        char magic[8];
        uint32_t version, byte_order;
        uint32_t header_bytes, entry_bytes;
        uint32_t n_entries, table_check; /* CRC-32 of the table */
        uint64_t table_offset, file_bytes;
        uint8_t key[QVF_SHA256_BYTES];   /* hash of struct qvf_weight_cache_key */
        uint32_t reserved, header_check; /* CRC-32 of what stands before */
};

struct qvf_weight_file_entry {
        char name[QVF_WEIGHT_FILE_NAME_BYTES]; /* padded with NULs */
        uint32_t dtype, rows, columns;
        float scale;
        uint32_t block_scales, packed; /* 0 or 1 */
        uint64_t offset, length;
        uint32_t check, reserved; /* CRC-32 of the weight */
};

static inline uint32_t qvf_weight_file_check(const void *bytes, uint64_t length)
{
        return (uint32_t)crc32_z(0, bytes, length);
}

#endif
