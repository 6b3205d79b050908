/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files/dtype.h"

#include <errno.h>
#include <stddef.h>

#include "common/checked.h"

/* I2_S: whole groups of 64 or 128 weights in 2 bits each, then the scale in 32 bytes of its own. */
#define I2S_GROUP 64
#define I2S_TAIL_BYTES 32

static const struct qvf_dtype_info formats[] = {
        { QVF_F32, "F32", 1, 4 },
        { QVF_F16, "F16", 1, 2 },
        { QVF_BF16, "BF16", 1, 2 },
        { QVF_Q4_0, "Q4_0", 32, 18 },
        { QVF_Q8_0, "Q8_0", 32, 34 },
        { QVF_Q4_K, "Q4_K", 256, 144 },
        { QVF_Q6_K, "Q6_K", 256, 210 },
        { QVF_TQ1_0, "TQ1_0", 256, 54 },
        { QVF_TQ2_0, "TQ2_0", 256, 66 },
        { QVF_I2_S, "I2_S", I2S_GROUP, 0 },
        { QVF_I8, "I8", 1, 1 },
        { QVF_I32, "I32", 1, 4 },
        { QVF_U8, "U8", 1, 1 },
};

/* Every number that a GGUF file may hold; `read` marks those that this program reads. */
static const struct {
        uint32_t id;
        const char *name;
        bool read;
        enum qvf_dtype dtype;
} file_types[] = {
        { 0, "F32", true, QVF_F32 },
        { 1, "F16", true, QVF_F16 },
        { 2, "Q4_0", true, QVF_Q4_0 },
        { 3, "Q4_1", false, 0 },
        { 6, "Q5_0", false, 0 },
        { 7, "Q5_1", false, 0 },
        { 8, "Q8_0", true, QVF_Q8_0 },
        { 9, "Q8_1", false, 0 },
        { 10, "Q2_K", false, 0 },
        { 11, "Q3_K", false, 0 },
        { 12, "Q4_K", true, QVF_Q4_K },
        { 13, "Q5_K", false, 0 },
        { 14, "Q6_K", true, QVF_Q6_K },
        { 15, "Q8_K", false, 0 },
        { 16, "IQ2_XXS", false, 0 },
        { 17, "IQ2_XS", false, 0 },
        { 18, "IQ3_XXS", false, 0 },
        { 19, "IQ1_S", false, 0 },
        { 20, "IQ4_NL", false, 0 },
        { 21, "IQ3_S", false, 0 },
        { 22, "IQ2_S", false, 0 },
        { 23, "IQ4_XS", false, 0 },
        { 24, "I8", false, 0 },
        { 25, "I16", false, 0 },
        { 26, "I32", false, 0 },
        { 27, "I64", false, 0 },
        { 28, "F64", false, 0 },
        { 29, "IQ1_M", false, 0 },
        { 30, "BF16", true, QVF_BF16 },
        { 34, "TQ1_0", true, QVF_TQ1_0 },
        { 35, "TQ2_0", true, QVF_TQ2_0 },
        { 36, "I2_S", true, QVF_I2_S },
        { 38, "TL1", false, 0 },
        { 39, "MXFP4 (TL2 in files of bitnet.cpp)", false, 0 },
};

const struct qvf_dtype_info *qvf_dtype_info(enum qvf_dtype dtype)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(formats); i++)
                if (formats[i].dtype == dtype)
                        return &formats[i];
        return NULL;
}

const char *qvf_dtype_name(enum qvf_dtype dtype)
{
        const struct qvf_dtype_info *info = qvf_dtype_info(dtype);

        return info ? info->name : "?";
}

bool qvf_dtype_is_ternary(enum qvf_dtype dtype)
{
        return dtype == QVF_TQ1_0 || dtype == QVF_TQ2_0 || dtype == QVF_I2_S;
}

int qvf_dtype_from_file(uint32_t file_type_id, enum qvf_dtype *ret_dtype, const char **ret_name)
{
        if (ret_name)
                *ret_name = NULL;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(file_types); i++) {
                if (file_types[i].id != file_type_id)
                        continue;
                if (ret_name)
                        *ret_name = file_types[i].name;
                if (!file_types[i].read)
                        return -EOPNOTSUPP;
                *ret_dtype = file_types[i].dtype;
                return 0;
        }
        return -EOPNOTSUPP;
}

int qvf_dtype_row_bytes(enum qvf_dtype dtype, uint64_t columns, uint64_t *ret_bytes)
{
        const struct qvf_dtype_info *info = qvf_dtype_info(dtype);

        if (!info || info->block_bytes == 0)
                return -EOPNOTSUPP;
        if (columns % info->block_length != 0)
                return -EINVAL;
        if (!qvf_mul_u64(columns / info->block_length, info->block_bytes, ret_bytes))
                return -EOVERFLOW;
        return 0;
}

int qvf_dtype_tensor_bytes(enum qvf_dtype dtype, uint64_t rows, uint64_t columns, uint64_t *ret_bytes)
{
        uint64_t row_bytes, elements, bytes;
        int r;

        if (!qvf_mul_u64(rows, columns, &elements))
                return -EOVERFLOW;
        if (dtype == QVF_I2_S) {
                if (elements % I2S_GROUP != 0)
                        return -EINVAL;
                *ret_bytes = elements / 4 + I2S_TAIL_BYTES; /* a quarter and 32 cannot overflow */
                return 0;
        }
        r = qvf_dtype_row_bytes(dtype, columns, &row_bytes);
        if (r < 0)
                return r;
        if (!qvf_mul_u64(row_bytes, rows, &bytes))
                return -EOVERFLOW;
        *ret_bytes = bytes;
        return 0;
}
