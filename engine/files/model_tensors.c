/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files/model_tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/dtype.h"

enum kind {
        KIND_NORM,      /* a vector of floats */
        KIND_EMBEDDING, /* a matrix that is read row by row, or the head */
        KIND_LINEAR,    /* a matrix, ternary where the model is */
};

/* Which tensors of the file are in use, one bit each, in the order of the file. */
struct search {
        struct qvf_model_info *info;
        uint8_t *used;
        uint32_t n_linear;
        uint32_t by_dtype[64]; /* linear weights of each file type number */
        struct qvf_error *error;
};

static void mark_used(struct search *search, const struct qvf_gguf_tensor *tensor)
{
        uint32_t index = qvf_gguf_tensor_index(search->info->gguf, tensor);

        if (!(search->used[index / 8] & (1u << index % 8))) {
                uint64_t elements = tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];

                search->info->n_parameters += elements;
        }
        search->used[index / 8] |= (uint8_t)(1u << index % 8);
}

static bool dtype_fits(enum kind kind, enum qvf_dtype dtype)
{
        switch (kind) {
        case KIND_NORM: return dtype == QVF_F32 || dtype == QVF_F16 || dtype == QVF_BF16;
        case KIND_EMBEDDING: return dtype != QVF_I2_S;
        case KIND_LINEAR: return true;
        }
        return false;
}

static const char *part_name(const struct search *search, const struct qvf_gguf_tensor *tensor)
{
        return qvf_gguf_part_name(search->info->gguf, tensor->file_index);
}

/* A tensor of this very shape; rows 0: any number of rows. *ret_tensor is NULL where it is absent. */
static int find_optional(struct search *search, const char *name, enum kind kind, uint64_t columns,
                uint64_t rows, const struct qvf_gguf_tensor **ret_tensor)
{
        const struct qvf_gguf_tensor *tensor = qvf_gguf_find_tensor(search->info->gguf, name);

        *ret_tensor = NULL;
        if (!tensor)
                return 0;
        if (tensor->ne[0] != columns || (rows && tensor->ne[1] != rows) || tensor->ne[2] != 1 ||
                        tensor->ne[3] != 1)
                return qvf_error_set(search->error, -EINVAL,
                                "%s: tensor '%s' is %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                                ", expected %" PRIu64 " x %" PRIu64,
                                part_name(search, tensor), name, tensor->ne[0], tensor->ne[1], tensor->ne[2],
                                tensor->ne[3], columns, rows ? rows : tensor->ne[1]);
        if (!dtype_fits(kind, tensor->dtype))
                return qvf_error_set(search->error, -EOPNOTSUPP,
                                "%s: tensor '%s' is of type %s, expected %s", part_name(search, tensor),
                                name, qvf_dtype_name(tensor->dtype),
                                kind == KIND_NORM ? "F32, F16 or BF16" : "one of the other types");
        mark_used(search, tensor);
        *ret_tensor = tensor;
        return 0;
}

static int find_required(struct search *search, const char *name, enum kind kind, uint64_t columns,
                uint64_t rows, const struct qvf_gguf_tensor **ret_tensor)
{
        int r = find_optional(search, name, kind, columns, rows, ret_tensor);

        if (r == 0 && !*ret_tensor)
                return qvf_error_set(search->error, -ENOENT, "%s: tensor '%s' is missing",
                                qvf_gguf_name(search->info->gguf), name);
        return r;
}

/* `name` without ".weight" and with ".scale": one float. */
static int find_scale(struct search *search, const char *name, struct qvf_model_weight *weight)
{
        const struct qvf_gguf_tensor *tensor;
        char scale_name[QVF_GGUF_NAME_BYTES_MOST + 1];
        int r;

        weight->scale = 1;
        snprintf(scale_name, sizeof(scale_name), "%.*s.scale", (int)(strlen(name) - strlen(".weight")),
                        name);
        r = find_optional(search, scale_name, KIND_NORM, 1, 1, &tensor);
        if (r < 0 || !tensor)
                return r;
        r = qvf_dtype_dequantise_row(tensor->dtype, tensor->data, &weight->scale, 1);
        if (r < 0)
                return r;
        if (!isfinite(weight->scale))
                return qvf_error_set(search->error, -EINVAL, "%s: tensor '%s' is no finite number",
                                part_name(search, tensor), scale_name);
        weight->has_scale = true;
        search->info->has_scales = true;
        return 0;
}

static int find_linear(struct search *search, const char *name, uint64_t columns, uint64_t rows,
                struct qvf_model_weight *weight)
{
        int r;

        r = find_required(search, name, KIND_LINEAR, columns, rows, &weight->tensor);
        if (r < 0)
                return r;
        search->n_linear++;
        search->by_dtype[weight->tensor->file_type_id % QVF_ARRAY_LENGTH(search->by_dtype)]++;
        search->info->n_linear_parameters += columns * rows;
        search->info->linear_bytes += weight->tensor->size_bytes;
        return find_scale(search, name, weight);
}

static int find_layer(struct search *search, uint32_t index)
{
        struct qvf_model_info *info = search->info;
        struct qvf_model_layer *layer = &info->layers[index];
        uint64_t query = (uint64_t)info->n_heads * info->head_dim,
                 key = (uint64_t)info->n_kv_heads * info->head_dim;
        const struct {
                const char *name;
                uint64_t columns;
                bool wanted;
                const struct qvf_gguf_tensor **ret_tensor;
        } norms[] = {
                { "attn_norm", info->dim, true, &layer->attn_norm },
                { "attn_sub_norm", query, info->sub_norms, &layer->attn_sub_norm },
                { "ffn_norm", info->dim, true, &layer->ffn_norm },
                { "ffn_sub_norm", info->ffn_dim, info->sub_norms, &layer->ffn_sub_norm },
        };
        const struct {
                const char *name;
                uint64_t columns, rows;
                struct qvf_model_weight *weight;
        } linears[] = {
                { "attn_q", info->dim, query, &layer->attn_q },
                { "attn_k", info->dim, key, &layer->attn_k },
                { "attn_v", info->dim, key, &layer->attn_v },
                { "attn_output", query, info->dim, &layer->attn_output },
                { "ffn_gate", info->dim, info->ffn_dim, &layer->ffn_gate },
                { "ffn_up", info->dim, info->ffn_dim, &layer->ffn_up },
                { "ffn_down", info->ffn_dim, info->dim, &layer->ffn_down },
        };
        char name[QVF_GGUF_NAME_BYTES_MOST + 1];
        int r;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(norms); i++) {
                if (!norms[i].wanted)
                        continue;
                snprintf(name, sizeof(name), "blk.%" PRIu32 ".%s.weight", index, norms[i].name);
                r = find_required(search, name, KIND_NORM, norms[i].columns, 1, norms[i].ret_tensor);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(linears); i++) {
                snprintf(name, sizeof(name), "blk.%" PRIu32 ".%s.weight", index, linears[i].name);
                r = find_linear(search, name, linears[i].columns, linears[i].rows, linears[i].weight);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The divisors of the rope's frequencies, each a positive number. */
static int find_rope_freqs(struct search *search)
{
        struct qvf_model_info *info = search->info;
        uint32_t n_pairs = info->rope_dims / 2;
        float divisors[QVF_MODEL_HEAD_DIM_MOST / 2];
        int r;

        r = find_optional(search, "rope_freqs.weight", KIND_NORM, n_pairs, 1, &info->rope_freqs);
        if (r < 0 || !info->rope_freqs)
                return r;
        r = qvf_dtype_dequantise_row(info->rope_freqs->dtype, info->rope_freqs->data, divisors, n_pairs);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < n_pairs; i++)
                if (!(divisors[i] > 0 && isfinite(divisors[i])))
                        return qvf_error_set(search->error, -EINVAL,
                                        "%s: tensor 'rope_freqs.weight' holds %g, expected positive numbers",
                                        part_name(search, info->rope_freqs), (double)divisors[i]);
        return 0;
}

static int find_global(struct search *search)
{
        struct qvf_model_info *info = search->info;
        int r;

        r = find_required(search, "token_embd.weight", KIND_EMBEDDING, info->dim, 0, &info->token_embd);
        if (r < 0)
                return r;
        info->embedding_bytes = info->token_embd->size_bytes;
        r = find_required(search, "output_norm.weight", KIND_NORM, info->dim, 1, &info->output_norm);
        if (r < 0)
                return r;
        info->output.scale = 1;
        r = find_optional(search, "output.weight", KIND_EMBEDDING, info->dim, info->token_embd->ne[1],
                        &info->output.tensor);
        if (r < 0)
                return r;
        info->tied = !info->output.tensor;
        if (!info->tied) {
                info->output_bytes = info->output.tensor->size_bytes;
                r = find_scale(search, "output.weight", &info->output);
                if (r < 0)
                        return r;
        }
        return find_rope_freqs(search);
}

static bool ends_with(const char *name, const char *end)
{
        size_t length = strlen(name), end_length = strlen(end);

        return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* What was not asked for: a bias would change the numbers, so it is refused; the rest is counted. */
static int check_unused(struct search *search)
{
        const struct qvf_gguf *gguf = search->info->gguf;

        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);

                if (search->used[i / 8] & (1u << i % 8))
                        continue;
                if (ends_with(tensor->name, ".bias") || strncmp(tensor->name, "rope_factors_", 13) == 0 ||
                                ends_with(tensor->name, "_sub_norm.weight") ||
                                ends_with(tensor->name, ".scale") || ends_with(tensor->name, "_scale"))
                        return qvf_error_set(search->error, -EOPNOTSUPP,
                                        "%s: tensor '%s' has no place in a model of architecture '%s', and "
                                        "leaving it "
                                        "out would change its answers",
                                        part_name(search, tensor), tensor->name,
                                        search->info->architecture_name);
                if (!search->info->unused_tensor)
                        search->info->unused_tensor = tensor->name;
                search->info->n_unused_tensors++;
        }
        return 0;
}

static void sum_up_dtypes(struct search *search)
{
        uint32_t most = 0;

        for (uint32_t i = 0; i < QVF_ARRAY_LENGTH(search->by_dtype); i++)
                if (search->by_dtype[i] > search->by_dtype[most])
                        most = i;
        qvf_dtype_from_file(most, &search->info->linear_dtype, NULL);
        search->info->linear_mixed = search->by_dtype[most] != search->n_linear;
}

int qvf_model_info_find_tensors(struct qvf_model_info *info, struct qvf_error *error)
{
        _cleanup_free_ uint8_t *used = NULL;
        struct search search = { .info = info, .error = error };
        int r;

        used = calloc(qvf_gguf_tensors(info->gguf) / 8 + 1, 1);
        if (!used)
                return -ENOMEM;
        search.used = used;
        r = find_global(&search);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < info->n_layers; i++) {
                r = find_layer(&search, i);
                if (r < 0)
                        return r;
        }
        sum_up_dtypes(&search);
        return check_unused(&search);
}
