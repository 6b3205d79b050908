/* SPDX-License-Identifier: Apache-2.0 */
/* The number formats of tensors in files: names, sizes, and the plain reference conversion of each. */
#ifndef QVF_ENGINE_FILES_DTYPE_H
#define QVF_ENGINE_FILES_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "qvf/dtype.h"

struct qvf_dtype_info {
        enum qvf_dtype dtype;
        const char *name;
        uint32_t block_length; /* elements in a block; a row holds whole blocks */
        uint32_t block_bytes;  /* 0: the size is no matter of blocks (I2_S) */
};

/* NULL for numbers that are no format. */
const struct qvf_dtype_info *qvf_dtype_info(enum qvf_dtype dtype);
/* Never NULL: "?" for numbers that are no format. */
const char *qvf_dtype_name(enum qvf_dtype dtype);
bool qvf_dtype_is_ternary(enum qvf_dtype dtype);

/* What a GGUF file means by a tensor type number: 0, or -EOPNOTSUPP where the type is not read. In both
 * cases *ret_name (may be NULL) is its name, or NULL where the number is not known at all. */
int qvf_dtype_from_file(uint32_t file_type_id, enum qvf_dtype *ret_dtype, const char **ret_name);

/* Bytes of one row. -EINVAL where columns are no whole blocks, -EOVERFLOW; I2_S has no rows: -EOPNOTSUPP. */
int qvf_dtype_row_bytes(enum qvf_dtype dtype, uint64_t columns, uint64_t *ret_bytes);
/* Bytes of a whole tensor of rows x columns, I2_S with its scale and padding. */
int qvf_dtype_tensor_bytes(enum qvf_dtype dtype, uint64_t rows, uint64_t columns, uint64_t *ret_bytes);

/* One row (or any run of whole blocks) to float. -EINVAL: `count` is no whole blocks; -EOPNOTSUPP: no such
 * conversion (I2_S: see ternary.h). */
int qvf_dtype_dequantise_row(enum qvf_dtype dtype, const void *row, float *ret_values, uint64_t count);
/* The way back for F32, F16, BF16, Q8_0, Q4_0, TQ1_0 and TQ2_0, rounding as GGUF writers do. */
int qvf_dtype_quantise_row(enum qvf_dtype dtype, const float *values, void *ret_row, uint64_t count);

/* One block from 256 codes (0, 1, 2 for -1, 0, +1) and the bits of its f16 scale. */
void qvf_tq1_pack(const uint8_t codes[256], uint16_t scale, uint8_t block[54]);
void qvf_tq2_pack(const uint8_t codes[256], uint16_t scale, uint8_t block[66]);

/* Five (or, in qh, four) base-3 digits of a TQ1_0 byte; digit n is worth (weight + 1). */
static inline unsigned qvf_tq1_digit(uint8_t byte, unsigned n)
{
        static const uint8_t power[5] = { 1, 3, 9, 27, 81 };

        return ((unsigned)(uint8_t)(byte * power[n]) * 3) >> 8;
}

#endif
