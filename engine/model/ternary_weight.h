/* SPDX-License-Identifier: Apache-2.0 */
/* A linear layer's matrix in the form that the ternary kernels read, however the file stores it. */
#ifndef QVF_ENGINE_MODEL_TERNARY_WEIGHT_H
#define QVF_ENGINE_MODEL_TERNARY_WEIGHT_H

#include "common/error.h"
#include "engine/files/gguf.h"
#include "engine/files/ternary.h"

struct qvf_ternary_weight {
        enum qvf_dtype dtype; /* TQ1_0 or TQ2_0 */
        uint32_t columns;     /* padded to whole blocks */
        bool block_scales;
        float scale;
        void *owned; /* NULL: the tensor's bytes are it; else `bytes` bytes that the caller frees */
        uint64_t bytes;
};

/* -ERANGE: the matrix is not ternary. `order` says how I2_S is read, and must not be QVF_I2S_AUTO for it. */
int qvf_ternary_weight_read(const struct qvf_gguf_tensor *tensor, enum qvf_i2s_order order,
                struct qvf_ternary_weight *ret_weight, struct qvf_error *error);

#endif
