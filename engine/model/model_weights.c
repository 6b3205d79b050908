/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the tensors of a model file to its device: as they lie in the mapped file where the device can read
 * that, else as a copy; in the backend's own layout where it has one; converted where no kernel reads the
 * file's form. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/dtype.h"
#include "engine/model/model_private.h"
#include "engine/model/ternary_weight.h"

struct mapped_part { /* the bytes of one file from its start to the end of its last tensor */
        const void *start;
        uint64_t bytes;
        struct qvf_buffer *buffer; /* NULL: the device can't read host memory */
};

struct loader {
        struct qvf_model *model;
        struct mapped_part *parts;
        struct qvf_error *error;
};

static int keep_buffer(struct qvf_model *model, struct qvf_buffer *buffer)
{
        if (model->n_buffers == model->buffers_capacity) {
                uint32_t capacity = model->buffers_capacity ? 2 * model->buffers_capacity : 64;
                struct qvf_buffer **buffers =
                                reallocarray(model->buffers, capacity, sizeof(struct qvf_buffer *));

                if (!buffers) {
                        qvf_compute_buffer_free(&model->compute, buffer);
                        return -ENOMEM;
                }
                model->buffers = buffers;
                model->buffers_capacity = capacity;
        }
        model->buffers[model->n_buffers++] = buffer;
        return 0;
}

/* A value of its own buffer, filled with these bytes. */
static int place_copy(struct loader *loader, const char *name, const void *bytes, uint64_t length,
                struct qvf_value *value)
{
        struct qvf_buffer *buffer;
        int r = qvf_compute_upload(&loader->model->compute, bytes, length, name, &buffer, loader->error);

        if (r == 0)
                r = keep_buffer(loader->model, buffer);
        if (r < 0)
                return r;
        loader->model->device_bytes += length;
        value->buffer = buffer;
        value->offset = 0;
        return 0;
}

/* A value over the tensor's own bytes. */
static int place_tensor(struct loader *loader, const struct qvf_gguf_tensor *tensor, struct qvf_value *value)
{
        const struct mapped_part *part = &loader->parts[tensor->file_index];

        if (!part->buffer)
                return place_copy(loader, tensor->name, tensor->data, tensor->size_bytes, value);
        value->buffer = part->buffer;
        value->offset = tensor->file_offset;
        loader->model->mapped_bytes += tensor->size_bytes;
        return 0;
}

static int import_parts(struct loader *loader)
{
        struct qvf_model *model = loader->model;
        const struct qvf_compute *compute = &model->compute;
        unsigned n_parts = qvf_gguf_parts(model->gguf);

        loader->parts = calloc(n_parts, sizeof(*loader->parts));
        if (!loader->parts)
                return -ENOMEM;
        for (uint32_t i = 0; i < qvf_gguf_tensors(model->gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(model->gguf, i);
                struct mapped_part *part = &loader->parts[tensor->file_index];

                part->start = (const char *)tensor->data - tensor->file_offset;
                part->bytes = qvf_max_u64(part->bytes, tensor->file_offset + tensor->size_bytes);
        }
        for (unsigned i = 0; i < n_parts; i++) {
                struct mapped_part *part = &loader->parts[i];
                int r = part->bytes == 0 ? -ENOTSUP
                                         : compute->backend->buffer_import(compute->device, part->start,
                                                           part->bytes, &part->buffer);

                if (r == 0)
                        r = keep_buffer(model, part->buffer);
                else if (r == -ENOTSUP)
                        r = 0;
                if (r < 0)
                        return qvf_error_set(loader->error, r,
                                        "the mapped file can't be brought to the %s device: %s",
                                        compute->backend->name, strerror(-r));
        }
        return 0;
}

/* Norms are small and read by float kernels only: F32 whatever the file has. */
static int place_norm(struct loader *loader, const struct qvf_gguf_tensor *tensor, struct qvf_value *value)
{
        _cleanup_free_ float *row = NULL;

        *value = (struct qvf_value){
                .rows = 1, .columns = (uint32_t)tensor->ne[0], .dtype = QVF_F32, .scale = 1
        };
        if (tensor->dtype == QVF_F32)
                return place_tensor(loader, tensor, value);
        row = malloc(tensor->ne[0] * sizeof(*row));
        if (!row)
                return -ENOMEM;
        if (qvf_dtype_dequantise_row(tensor->dtype, tensor->data, row, tensor->ne[0]) < 0)
                return qvf_error_set(loader->error, -EINVAL, "tensor %s: a norm of this type can't be read",
                                tensor->name);
        return place_copy(loader, tensor->name, row, tensor->ne[0] * sizeof(*row), value);
}

static int pack(struct loader *loader, const struct qvf_gguf_tensor *tensor, const struct qvf_weight *weight,
                uint64_t packed_bytes, struct qvf_value *value)
{
        const struct qvf_compute *compute = &loader->model->compute;
        _cleanup_free_ void *packed = malloc(packed_bytes);
        int r;

        if (!packed)
                return -ENOMEM;
        r = compute->backend->pack(compute->device, weight, packed);
        if (r < 0)
                return qvf_error_set(loader->error, r, "tensor %s can't be packed for the %s device: %s",
                                tensor->name, compute->backend->name, strerror(-r));
        value->packed = 1;
        return place_copy(loader, tensor->name, packed, packed_bytes, value);
}

/* A weight matrix whose bytes are the tensor's own, or, if given, `bytes` of another form. */
static int place_weight(struct loader *loader, const struct qvf_gguf_tensor *tensor, const void *bytes,
                uint64_t length, struct qvf_value *value)
{
        const struct qvf_compute *compute = &loader->model->compute;
        struct qvf_weight weight = {
                .size = sizeof(weight),
                .dtype = value->dtype,
                .rows = value->rows,
                .columns = value->columns,
                .scale = value->scale,
                .block_scales = value->block_scales,
                .data = bytes ? bytes : tensor->data,
                .bytes = bytes ? length : tensor->size_bytes,
        };
        uint64_t packed_bytes;
        int r = compute->backend->pack_size(compute->device, &weight, &packed_bytes);

        if (r < 0)
                return qvf_error_set(loader->error, r, "tensor %s can't be used on the %s device: %s",
                                tensor->name, compute->backend->name, strerror(-r));
        if (packed_bytes > 0)
                return pack(loader, tensor, &weight, packed_bytes, value);
        return bytes ? place_copy(loader, tensor->name, bytes, length, value)
                     : place_tensor(loader, tensor, value);
}

/* The embedding and the head: any format that kernels read as it is. */
static int place_dense(struct loader *loader, const struct qvf_gguf_tensor *tensor, struct qvf_value *value)
{
        *value = (struct qvf_value){
                .rows = (uint32_t)tensor->ne[1],
                .columns = (uint32_t)tensor->ne[0],
                .dtype = tensor->dtype,
                .scale = 1,
        };
        return place_weight(loader, tensor, NULL, 0, value);
}

/* `norm`: what stands before the matrix; its weights are in the order of the columns. */
static int place_linear(struct loader *loader, const struct qvf_model_weight *weight,
                const struct qvf_gguf_tensor *norm, struct qvf_linear *linear)
{
        const struct qvf_gguf_tensor *tensor = weight->tensor;
        struct qvf_ternary_weight ternary;
        const float *hint =
                        norm && norm->dtype == QVF_F32 && norm->ne[0] == tensor->ne[0] ? norm->data : NULL;
        int r;

        linear->inputs = (uint32_t)tensor->ne[0];
        linear->outputs = (uint32_t)tensor->ne[1];
        linear->scale = weight->scale;
        r = qvf_ternary_weight_read(tensor, loader->model->i2s_order, hint, &ternary, loader->error);
        if (r == -ERANGE) /* not ternary */
                return place_dense(loader, tensor, &linear->weight);
        if (r < 0)
                return r;
        linear->ternary = true;
        linear->weight = (struct qvf_value){
                .rows = linear->outputs,
                .columns = ternary.columns,
                .dtype = ternary.dtype,
                .block_scales = ternary.block_scales,
                .scale = ternary.scale * weight->scale,
        };
        r = place_weight(loader, tensor, ternary.owned, ternary.bytes, &linear->weight);
        free(ternary.owned);
        return r;
}

static int place_layer(struct loader *loader, const struct qvf_model_layer *in, struct qvf_layer *out)
{
        const struct {
                const struct qvf_model_weight *weight;
                const struct qvf_gguf_tensor *norm;
        } weights[QVF_MODULES] = {
                [QVF_ATTN_Q] = { &in->attn_q, in->attn_norm },
                [QVF_ATTN_K] = { &in->attn_k, in->attn_norm },
                [QVF_ATTN_V] = { &in->attn_v, in->attn_norm },
                [QVF_ATTN_OUTPUT] = { &in->attn_output, in->attn_sub_norm },
                [QVF_FFN_GATE] = { &in->ffn_gate, in->ffn_norm },
                [QVF_FFN_UP] = { &in->ffn_up, in->ffn_norm },
                [QVF_FFN_DOWN] = { &in->ffn_down, in->ffn_sub_norm },
        };
        const struct {
                const struct qvf_gguf_tensor *tensor;
                struct qvf_value *value;
        } norms[] = {
                { in->attn_norm, &out->attn_norm },
                { in->attn_sub_norm, &out->attn_sub_norm },
                { in->ffn_norm, &out->ffn_norm },
                { in->ffn_sub_norm, &out->ffn_sub_norm },
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < QVF_ARRAY_LENGTH(norms); i++)
                if (norms[i].tensor)
                        r = place_norm(loader, norms[i].tensor, norms[i].value);
        for (unsigned i = 0; r == 0 && i < QVF_MODULES; i++)
                r = place_linear(loader, weights[i].weight, weights[i].norm, &out->linear[i]);
        return r;
}

static int place_rope(struct loader *loader)
{
        struct qvf_model *model = loader->model;
        uint32_t pairs = model->info->rope_dims / 2;
        _cleanup_free_ float *frequency = calloc((size_t)pairs + 1, sizeof(*frequency));
        int r;

        if (!frequency)
                return -ENOMEM;
        r = qvf_rope_frequencies(model->info, frequency, &model->rope_magnitude);
        if (r < 0)
                return qvf_error_set(loader->error, r, "the model's rope scaling can't be computed");
        model->rope_frequency =
                        (struct qvf_value){ .rows = 1, .columns = pairs, .dtype = QVF_F32, .scale = 1 };
        return place_copy(loader, "rope frequencies", frequency, pairs * sizeof(*frequency),
                        &model->rope_frequency);
}

static int place_all(struct loader *loader)
{
        struct qvf_model *model = loader->model;
        const struct qvf_model_info *info = model->info;
        int r = import_parts(loader);

        if (r == 0)
                r = place_dense(loader, info->token_embd, &model->embedding);
        if (r == 0)
                r = place_norm(loader, info->output_norm, &model->output_norm);
        if (r == 0)
                r = place_rope(loader);
        for (uint32_t i = 0; r == 0 && i < info->n_layers; i++)
                r = place_layer(loader, &info->layers[i], &model->layers[i]);
        if (r < 0)
                return r;
        model->head = model->embedding;
        model->head_scale = 1;
        if (info->tied)
                return 0;
        model->head_scale = info->output.scale;
        return place_dense(loader, info->output.tensor, &model->head);
}

int qvf_model_load_weights(struct qvf_model *model, struct qvf_error *error)
{
        struct loader loader = { .model = model, .error = error };
        int r;

        model->layers = calloc(model->info->n_layers, sizeof(*model->layers));
        if (!model->layers)
                return -ENOMEM;
        r = place_all(&loader);
        free(loader.parts);
        return r;
}
