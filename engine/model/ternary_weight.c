/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/ternary_weight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/dtype.h"

static int allocate(const struct qvf_gguf_tensor *tensor, struct qvf_ternary_weight *weight,
                struct qvf_error *error)
{
        int r = qvf_ternary_tq2_bytes(tensor->ne[1], tensor->ne[0], &weight->bytes);

        if (r < 0)
                return qvf_error_set(error, r, "tensor %s is too large", tensor->name);
        weight->owned = qvf_malloc(weight->bytes);
        if (!weight->owned)
                return qvf_error_set(error, -ENOMEM, "no memory for tensor %s", tensor->name);
        weight->dtype = QVF_TQ2_0;
        return 0;
}

/* TQ1_0 and TQ2_0 are read as they are, but where blocks that count as zero hold other codes. */
static int read_blocks(const struct qvf_gguf_tensor *tensor, struct qvf_ternary_weight *weight,
                struct qvf_error *error)
{
        struct qvf_ternary_facts facts;
        int r = qvf_ternary_inspect(tensor->dtype, tensor->data, tensor->ne[1], tensor->ne[0], tensor->name,
                        &facts, error);

        if (r < 0)
                return r;
        weight->dtype = tensor->dtype;
        weight->scale = facts.scale;
        weight->block_scales = !facts.uniform;
        if (facts.dead_blocks_with_codes == 0 || weight->block_scales)
                return 0;
        weight->bytes = tensor->size_bytes;
        weight->owned = qvf_malloc(weight->bytes);
        if (!weight->owned)
                return qvf_error_set(error, -ENOMEM, "no memory for tensor %s", tensor->name);
        memcpy(weight->owned, tensor->data, weight->bytes);
        return qvf_ternary_clear_dead(tensor->dtype, weight->owned,
                        tensor->ne[0] / QVF_TERNARY_BLOCK_LENGTH * tensor->ne[1]);
}

static int read_i2s(const struct qvf_gguf_tensor *tensor, enum qvf_i2s_order order,
                struct qvf_ternary_weight *weight, struct qvf_error *error)
{
        int r = allocate(tensor, weight, error);

        if (r < 0)
                return r;
        return qvf_i2s_unpack(tensor->data, tensor->ne[1], tensor->ne[0], order, tensor->name, weight->owned,
                        &weight->scale, error);
}

static int recover(const struct qvf_gguf_tensor *tensor, struct qvf_ternary_weight *weight,
                struct qvf_error *error)
{
        struct qvf_ternary_recovered recovered;
        int r = qvf_ternary_recover(
                        tensor->dtype, tensor->data, tensor->ne[1], tensor->ne[0], NULL, &recovered);

        if (r == -EOPNOTSUPP)
                return -ERANGE;
        if (r < 0)
                return r;
        r = allocate(tensor, weight, error);
        if (r == 0)
                r = qvf_ternary_recover(tensor->dtype, tensor->data, tensor->ne[1], tensor->ne[0],
                                weight->owned, &recovered);
        weight->scale = recovered.scale;
        weight->block_scales = recovered.block_scales;
        return r;
}

int qvf_ternary_weight_read(const struct qvf_gguf_tensor *tensor, enum qvf_i2s_order order,
                struct qvf_ternary_weight *ret_weight, struct qvf_error *error)
{
        struct qvf_ternary_weight weight = { 0 };
        uint64_t blocks = (tensor->ne[0] + QVF_TERNARY_BLOCK_LENGTH - 1) / QVF_TERNARY_BLOCK_LENGTH;
        int r;

        if (tensor->dtype == QVF_TQ1_0 || tensor->dtype == QVF_TQ2_0)
                r = read_blocks(tensor, &weight, error);
        else if (tensor->dtype == QVF_I2_S)
                r = read_i2s(tensor, order, &weight, error);
        else
                r = recover(tensor, &weight, error);
        if (r < 0) {
                free(weight.owned);
                return r;
        }
        weight.columns = (uint32_t)(blocks * QVF_TERNARY_BLOCK_LENGTH);
        *ret_weight = weight;
        return 0;
}
