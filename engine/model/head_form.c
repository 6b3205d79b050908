/* SPDX-License-Identifier: Apache-2.0 */
/* The output head in another number format than the file's. In a small model it is half of what a token reads. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/dtype.h"
#include "engine/model/model_private.h"

/* All rows of the head, which stand in the file in some format, in another one. */
static int convert(const struct qvf_gguf_tensor *tensor, enum qvf_dtype dtype, uint8_t *to, uint64_t to_row,
                struct qvf_error *error)
{
        _cleanup_free_ float *row = calloc(tensor->ne[0] + 1, sizeof(*row));
        uint64_t from_row;
        int r = row ? qvf_dtype_row_bytes(tensor->dtype, tensor->ne[0], &from_row) : -ENOMEM;

        for (uint64_t i = 0; i < tensor->ne[1] && r == 0; i++) {
                r = qvf_dtype_dequantise_row(tensor->dtype, (const uint8_t *)tensor->data + i * from_row,
                                row, tensor->ne[0]);
                if (r == 0)
                        r = qvf_dtype_quantise_row(dtype, row, to + i * to_row, tensor->ne[0]);
        }
        return r < 0 ? qvf_error_set(error, r, "tensor %s can't become %s: %s", tensor->name,
                                       qvf_dtype_name(dtype), strerror(-r))
                     : 0;
}

int qvf_model_convert_head(struct qvf_model *model, enum qvf_dtype dtype, struct qvf_error *error)
{
        const struct qvf_gguf_tensor *tensor =
                        model->info->tied ? model->info->token_embd : model->info->output.tensor;
        struct qvf_value head = {
                .rows = (uint32_t)tensor->ne[1],
                .columns = (uint32_t)tensor->ne[0],
                .dtype = dtype,
                .scale = 1,
        };
        _cleanup_free_ uint8_t *bytes = NULL;
        uint64_t row_bytes, length;
        int r = qvf_dtype_row_bytes(dtype, head.columns, &row_bytes);

        if (r == 0)
                r = qvf_dtype_tensor_bytes(dtype, head.rows, head.columns, &length);
        if (r < 0)
                return qvf_error_set(error, r, "a head of %u columns can't be %s", head.columns,
                                qvf_dtype_name(dtype));
        bytes = qvf_malloc(length);
        if (!bytes)
                return -ENOMEM;
        r = convert(tensor, dtype, bytes, row_bytes, error);
        if (r == 0)
                r = qvf_model_place_copy(model, tensor->name, bytes, length, &head, error);
        if (r == 0)
                model->head = head;
        return r;
}
