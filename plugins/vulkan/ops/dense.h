/* SPDX-License-Identifier: Apache-2.0 */
/* Products with dense weights, for the operations that are one and for HEAD_LOSS, which is several. */
#ifndef QVF_PLUGINS_VULKAN_OPS_DENSE_H
#define QVF_PLUGINS_VULKAN_OPS_DENSE_H

#include "plugins/vulkan/emit.h"

struct vk_dense {
        bool transposed; /* y[m] = Σ_k x[m][k] W[k], else y[m][n] = Σ_k x[m][k] W[n][k] */
        const struct vk_operand *weight;
        uint32_t word, words;              /* the rows of W that take part, from `word` on */
        const struct qvf_value *y, *x, *s; /* s: NULL if there is none */
        uint32_t y_columns, x_columns;
        uint32_t x_row;     /* of x where row `row` of the operation stands */
        uint32_t y_row;     /* of y where row `row` of the operation goes */
        uint32_t row, rows; /* rows of the operation */
        uint32_t s_column;
        uint32_t flags;
        bool coarse;      /* x and W may be rounded to f16, as for training */
        bool loss_scaled; /* x is a gradient that args.loss_scale was put into */
        float factor;
};

void vk_dense_emit(struct vk_build *build, const struct vk_call *call, const struct vk_dense *product);

/* Whether vk_dense_emit() has matrix hardware for the product. */
bool vk_dense_matrix(const struct vk_call *call, const struct vk_dense *product);

#endif
