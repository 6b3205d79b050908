/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/adapter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "engine/program/builder.h"
#include "engine/program/planner.h"

static int check_kind(const struct qvf_model *model, const struct qvf_gguf *gguf, struct qvf_error *error)
{
        static const struct {
                const char *key, *wanted;
        } kinds[] = { { "general.type", "adapter" }, { "adapter.type", "lora" } };
        struct qvf_gguf_string string;
        int r;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(kinds); i++) {
                r = qvf_gguf_get_string(gguf, kinds[i].key, &string, error);
                if (r < 0)
                        return r;
                if (!qvf_gguf_string_is(string, kinds[i].wanted))
                        return qvf_error_set(error, -EINVAL,
                                        "key %s is \"%.*s\", not \"%s\": this is no LoRA adapter",
                                        kinds[i].key, (int)qvf_min_u64(string.length, 64), string.bytes,
                                        kinds[i].wanted);
        }
        r = qvf_gguf_get_string(gguf, "general.architecture", &string, error);
        if (r < 0)
                return r;
        if (!qvf_gguf_string_is(string, model->info->architecture_name))
                return qvf_error_set(error, -EINVAL,
                                "the adapter is for architecture \"%.*s\", the model is \"%s\"",
                                (int)qvf_min_u64(string.length, 64), string.bytes,
                                model->info->architecture_name);
        return 0;
}

/* "blk.N.attn_q.weight.lora_a" → layer, module, and which of the two. */
static int parse_name(const struct qvf_model *model, const char *name, uint32_t *ret_layer,
                enum qvf_module *ret_module, bool *ret_is_b)
{
        for (uint32_t layer = 0; layer < model->info->n_layers; layer++) {
                char prefix[32];
                int length = snprintf(prefix, sizeof(prefix), "blk.%u.", layer);

                if (strncmp(name, prefix, (size_t)length) != 0)
                        continue;
                for (unsigned module = 0; module < QVF_MODULES; module++) {
                        const char *rest = name + length, *wanted = qvf_module_name(module);

                        if (strncmp(rest, wanted, strlen(wanted)) != 0)
                                continue;
                        rest += strlen(wanted);
                        if (strcmp(rest, ".weight.lora_a") != 0 && strcmp(rest, ".weight.lora_b") != 0)
                                continue;
                        *ret_layer = layer;
                        *ret_module = module;
                        *ret_is_b = rest[strlen(rest) - 1] == 'b';
                        return 0;
                }
        }
        return -ENOENT;
}

/* Notes the tensor's shape in its pair; b's columns must be a's rows, which is checked when both are known.
 */
static int take_tensor(
                struct qvf_adapter *adapter, const struct qvf_gguf_tensor *tensor, struct qvf_error *error)
{
        const struct qvf_linear *linear;
        struct qvf_value *value;
        enum qvf_module module;
        uint32_t layer;
        uint64_t inner, outer;
        bool is_b;

        if (parse_name(adapter->model, tensor->name, &layer, &module, &is_b) < 0)
                return qvf_error_set(error, -EINVAL,
                                "tensor %s belongs to no matrix of the model that can be adapted (blk.0 to "
                                "blk.%u; "
                                "attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down)",
                                tensor->name, adapter->model->info->n_layers - 1);
        if (tensor->dtype != QVF_F32 && tensor->dtype != QVF_F16 && tensor->dtype != QVF_BF16)
                return qvf_error_set(error, -EINVAL, "tensor %s is of type %u, not F32, F16 or BF16",
                                tensor->name, tensor->file_type_id);
        linear = &adapter->model->layers[layer].linear[module];
        inner = is_b ? tensor->ne[1] : tensor->ne[0];
        outer = is_b ? tensor->ne[0] : tensor->ne[1];
        if (tensor->n_dims > 2 || inner != (is_b ? linear->outputs : linear->inputs) || outer == 0 ||
                        outer > QVF_ADAPTER_RANK_MOST)
                return qvf_error_set(error, -EINVAL,
                                "tensor %s has shape %" PRIu64 " x %" PRIu64
                                ", expected %u %s, with rank 1 to %u",
                                tensor->name, tensor->ne[0], tensor->ne[1],
                                is_b ? linear->outputs : linear->inputs,
                                is_b ? "rows of rank" : "columns and rank rows", QVF_ADAPTER_RANK_MOST);
        value = is_b ? &adapter->pairs[layer * QVF_MODULES + module].b
                     : &adapter->pairs[layer * QVF_MODULES + module].a;
        *value = (struct qvf_value){
                .offset = adapter->bytes,
                .rows = (uint32_t)tensor->ne[1],
                .columns = (uint32_t)tensor->ne[0],
                .dtype = tensor->dtype,
                .scale = 1,
        };
        adapter->bytes += (tensor->size_bytes + QVF_ARENA_ALIGNMENT - 1) &
                          ~(uint64_t)(QVF_ARENA_ALIGNMENT - 1);
        return 0;
}

static int pair_up(struct qvf_adapter *adapter, struct qvf_error *error)
{
        uint32_t count = adapter->model->info->n_layers * QVF_MODULES, n_pairs = 0;

        for (uint32_t i = 0; i < count; i++) {
                struct qvf_adapter_pair *pair = &adapter->pairs[i];

                if (pair->a.rows == 0 && pair->b.rows == 0)
                        continue;
                if (pair->a.rows == 0 || pair->b.rows == 0 || pair->a.rows != pair->b.columns)
                        return qvf_error_set(error, -EINVAL,
                                        "blk.%u.%s: lora_a has rank %u and lora_b %u; both must be there "
                                        "and equal",
                                        i / QVF_MODULES, qvf_module_name(i % QVF_MODULES), pair->a.rows,
                                        pair->b.rows ? pair->b.columns : 0);
                pair->rank = pair->a.rows;
                pair->scale = adapter->alpha != 0 ? adapter->alpha / (float)pair->rank : 1;
                n_pairs++;
        }
        if (n_pairs == 0)
                return qvf_error_set(error, -EINVAL, "the adapter holds no matrices");
        return 0;
}

static int upload(struct qvf_adapter *adapter, const struct qvf_gguf *gguf, struct qvf_error *error)
{
        const struct qvf_compute *compute = &adapter->model->compute;
        int r = qvf_compute_buffer(compute, adapter->bytes, "adapter", &adapter->buffer, error);

        for (uint32_t i = 0; r == 0 && i < qvf_gguf_tensors(gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);
                struct qvf_adapter_pair *pair;
                struct qvf_value *value;
                enum qvf_module module;
                uint32_t layer;
                bool is_b;

                if (parse_name(adapter->model, tensor->name, &layer, &module, &is_b) < 0)
                        return -EINVAL;
                pair = &adapter->pairs[layer * QVF_MODULES + module];
                value = is_b ? &pair->b : &pair->a;
                value->buffer = adapter->buffer;
                r = compute->backend->buffer_upload(
                                adapter->buffer, value->offset, tensor->data, tensor->size_bytes);
                if (r < 0)
                        return qvf_error_set(error, r, "tensor %s can't be brought to the device: %s",
                                        tensor->name, strerror(-r));
        }
        return r;
}

int qvf_adapter_new_empty(const struct qvf_model *model, struct qvf_adapter **ret_adapter)
{
        static uint64_t serial;
        _cleanup_(qvf_adapter_freep) struct qvf_adapter *adapter = calloc(1, sizeof(*adapter));

        if (!adapter)
                return -ENOMEM;
        adapter->model = model;
        adapter->serial = ++serial;
        adapter->pairs = calloc((size_t)model->info->n_layers * QVF_MODULES, sizeof(*adapter->pairs));
        if (!adapter->pairs)
                return -ENOMEM;
        *ret_adapter = QVF_TAKE(adapter);
        return 0;
}

int qvf_adapter_new(const struct qvf_model *model, const struct qvf_gguf *gguf,
                struct qvf_adapter **ret_adapter, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_freep) struct qvf_adapter *adapter = NULL;
        int r = qvf_adapter_new_empty(model, &adapter);

        if (r < 0)
                return r;
        r = check_kind(model, gguf, error);
        if (r < 0)
                return r;
        r = qvf_gguf_get_f32(gguf, "adapter.lora.alpha", &adapter->alpha, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (!(adapter->alpha >= 0 && adapter->alpha <= 1e6f))
                return qvf_error_set(error, -EINVAL, "key adapter.lora.alpha is %g, expected 0 to 1000000",
                                (double)adapter->alpha);
        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                r = take_tensor(adapter, qvf_gguf_tensor(gguf, i), error);
                if (r < 0)
                        return r;
        }
        r = pair_up(adapter, error);
        if (r == 0)
                r = upload(adapter, gguf, error);
        if (r < 0)
                return r;
        *ret_adapter = QVF_TAKE(adapter);
        return 0;
}

int qvf_adapter_open(const struct qvf_model *model, const char *path, struct qvf_adapter **ret_adapter,
                struct qvf_error *error)
{
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        int r = qvf_gguf_open(path, &gguf, error);

        if (r < 0)
                return r;
        r = qvf_adapter_new(model, gguf, ret_adapter, error);
        if (r < 0)
                qvf_error_prefix(error, "%s", path);
        return r;
}

struct qvf_adapter *qvf_adapter_free(struct qvf_adapter *adapter)
{
        if (!adapter)
                return NULL;
        qvf_compute_buffer_free(&adapter->model->compute, adapter->buffer);
        free(adapter->pairs);
        free(adapter);
        return NULL;
}
