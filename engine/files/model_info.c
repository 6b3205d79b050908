/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files/model_info.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/dtype.h"
#include "engine/files/model_tensors.h"

/* Without them a layer is not whole: two norms and seven matrices. */
#define LAYER_TENSORS_LEAST 9

static const struct {
        const char *name;
        enum qvf_architecture architecture;
        enum qvf_activation activation;
        bool sub_norms;
        enum qvf_rope_pairing pairing;
} architectures[] = {
        { "bitnet", QVF_ARCHITECTURE_BITNET, QVF_ACTIVATION_SILU, true, QVF_ROPE_NEOX },
        { "bitnet-b1.58", QVF_ARCHITECTURE_BITNET_B158, QVF_ACTIVATION_RELU2, true, QVF_ROPE_NEOX },
        { "bitnet-25", QVF_ARCHITECTURE_BITNET_25, QVF_ACTIVATION_RELU2, true, QVF_ROPE_NEOX },
        { "llama", QVF_ARCHITECTURE_LLAMA, QVF_ACTIVATION_SILU, false, QVF_ROPE_INTERLEAVED },
};

struct qvf_model_info *qvf_model_info_free(struct qvf_model_info *info)
{
        if (!info)
                return NULL;
        free(info->layers);
        free(info);
        return NULL;
}

static int read_architecture(struct qvf_model_info *info, struct qvf_error *error)
{
        struct qvf_gguf_string name, kind;
        int r;

        r = qvf_gguf_get_string(info->gguf, "general.type", &kind, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0 && !qvf_gguf_string_is(kind, "model"))
                return qvf_error_set(error, -EINVAL, "%s: key 'general.type' is '%.*s', expected 'model'%s",
                                qvf_gguf_name(info->gguf), (int)qvf_min_u64(kind.length, 40), kind.bytes,
                                qvf_gguf_string_is(kind, "adapter") ? ": this is an adapter, not a model"
                                                                    : "");
        r = qvf_gguf_get_string(info->gguf, "general.architecture", &name, error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(architectures); i++) {
                if (!qvf_gguf_string_is(name, architectures[i].name))
                        continue;
                info->architecture = architectures[i].architecture;
                info->architecture_name = architectures[i].name;
                info->activation = architectures[i].activation;
                info->sub_norms = architectures[i].sub_norms;
                info->rope_pairing = architectures[i].pairing;
                return 0;
        }
        return qvf_error_set(error, -EOPNOTSUPP,
                        "%s: key 'general.architecture' is '%.*s', expected bitnet, bitnet-b1.58, bitnet-25 "
                        "or llama",
                        qvf_gguf_name(info->gguf), (int)qvf_min_u64(name.length, 40), name.bytes);
}

/* A required (`missing` 0) or optional number from 1 to `most`. Some writers store one value per layer: they
 * must all be equal. */
static int read_size(const struct qvf_model_info *info, const char *key, uint32_t most, uint32_t missing,
                uint32_t *ret_size, struct qvf_error *error)
{
        const struct qvf_gguf_value *value = qvf_gguf_find_key(info->gguf, key);
        struct qvf_gguf_array array;
        uint32_t size;
        int r;

        if (value && value->type == QVF_GGUF_ARRAY && value->length > 0 &&
                        value->length <= QVF_MODEL_LAYERS_MOST &&
                        (value->element_type == QVF_GGUF_U32 || value->element_type == QVF_GGUF_I32)) {
                qvf_gguf_value_array(value, &array);
                for (uint64_t i = 0; i < array.length; i++)
                        if (qvf_gguf_array_i64(&array, i) != qvf_gguf_array_i64(&array, 0))
                                return qvf_error_set(error, -EOPNOTSUPP,
                                                "%s: key '%s' differs between layers, which is not "
                                                "supported",
                                                qvf_gguf_name(info->gguf), key);
                size = (uint32_t)qvf_gguf_array_i64(&array, 0);
        } else {
                r = qvf_gguf_get_u32(info->gguf, key, &size, error);
                if (r == -ENOENT && missing) {
                        *ret_size = missing;
                        return 0;
                }
                if (r < 0)
                        return r;
        }
        if (size < 1 || size > most)
                return qvf_error_set(error, -EINVAL,
                                "%s: key '%s' (A is '%s') is %" PRIu32 ", expected 1 to %" PRIu32,
                                qvf_gguf_name(info->gguf), key, info->architecture_name, size, most);
        *ret_size = size;
        return 0;
}

/* An optional float from `least` to `most`. */
static int read_float(const struct qvf_model_info *info, const char *key, float least, float most,
                float missing, float *ret_value, struct qvf_error *error)
{
        float value;
        int r;

        r = qvf_gguf_get_f32(info->gguf, key, &value, error);
        if (r == -ENOENT) {
                *ret_value = missing;
                return 0;
        }
        if (r < 0)
                return r;
        if (!(value >= least && value <= most))
                return qvf_error_set(error, -EINVAL, "%s: key '%s' (A is '%s') is %g, expected %g to %g",
                                qvf_gguf_name(info->gguf), key, info->architecture_name, (double)value,
                                (double)least, (double)most);
        *ret_value = value;
        return 0;
}

static int read_sizes(struct qvf_model_info *info, struct qvf_error *error)
{
        uint32_t experts;
        const struct {
                const char *key;
                uint32_t most;
                uint32_t *ret_size;
        } sizes[] = {
                { "A.block_count", QVF_MODEL_LAYERS_MOST, &info->n_layers },
                { "A.embedding_length", QVF_MODEL_DIM_MOST, &info->dim },
                { "A.feed_forward_length", QVF_MODEL_FFN_MOST, &info->ffn_dim },
                { "A.attention.head_count", QVF_MODEL_HEADS_MOST, &info->n_heads },
                { "A.context_length", QVF_MODEL_CONTEXT_MOST, &info->context_length },
        };
        int r;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(sizes); i++) {
                r = read_size(info, sizes[i].key, sizes[i].most, 0, sizes[i].ret_size, error);
                if (r < 0)
                        return r;
        }
        r = read_size(info, "A.attention.head_count_kv", QVF_MODEL_HEADS_MOST, info->n_heads,
                        &info->n_kv_heads, error);
        if (r < 0)
                return r;
        if (info->n_heads % info->n_kv_heads != 0)
                return qvf_error_set(error, -EINVAL,
                                "%s: %" PRIu32
                                " heads (A.attention.head_count), expected a multiple of the %" PRIu32
                                " key-value heads (A.attention.head_count_kv)",
                                qvf_gguf_name(info->gguf), info->n_heads, info->n_kv_heads);
        if (qvf_gguf_get_u32(info->gguf, "A.expert_count", &experts, NULL) == 0 && experts > 0)
                return qvf_error_set(error, -EOPNOTSUPP, "%s: a mixture of experts, which is not supported",
                                qvf_gguf_name(info->gguf));
        /* Nothing but the file's own words bound the context: an epsilon of 0 would divide by 0 on a row of
         * zeros. */
        r = read_float(info, "A.attention.layer_norm_rms_epsilon", 1e-12f, 1e-1f, -1, &info->norm_epsilon,
                        error);
        if (r < 0)
                return r;
        if (info->norm_epsilon < 0)
                return qvf_gguf_get_f32(info->gguf, "A.attention.layer_norm_rms_epsilon",
                                &info->norm_epsilon, error);
        return 0;
}

/* The head's size as the keys say it, else as the rows of the first layer's attn_q do. */
static int read_head_dim(struct qvf_model_info *info, struct qvf_error *error)
{
        const struct qvf_gguf_tensor *query = qvf_gguf_find_tensor(info->gguf, "blk.0.attn_q.weight");
        uint32_t head_dim = 0, value_length, rope_dims;
        int r;

        r = read_size(info, "A.rope.dimension_count", QVF_MODEL_HEAD_DIM_MOST, UINT32_MAX, &rope_dims,
                        error);
        if (r < 0)
                return r;
        if (info->dim % info->n_heads == 0)
                head_dim = info->dim / info->n_heads;
        if (query && rope_dims != UINT32_MAX && query->ne[1] != (uint64_t)head_dim * info->n_heads &&
                        query->ne[1] == (uint64_t)rope_dims * info->n_heads)
                head_dim = rope_dims;
        r = read_size(info, "A.attention.key_length", QVF_MODEL_HEAD_DIM_MOST,
                        head_dim ? head_dim : UINT32_MAX, &head_dim, error);
        if (r < 0)
                return r;
        if (head_dim == UINT32_MAX || head_dim > QVF_MODEL_HEAD_DIM_MOST || head_dim % 2 != 0)
                return qvf_error_set(error, -EINVAL,
                                "%s: the size of a head cannot be told, or is odd or over %d: %" PRIu32
                                " wide, %" PRIu32 " heads and no fitting A.attention.key_length",
                                qvf_gguf_name(info->gguf), QVF_MODEL_HEAD_DIM_MOST, info->dim,
                                info->n_heads);
        r = read_size(info, "A.attention.value_length", QVF_MODEL_HEAD_DIM_MOST, head_dim, &value_length,
                        error);
        if (r < 0)
                return r;
        if (value_length != head_dim)
                return qvf_error_set(error, -EOPNOTSUPP,
                                "%s: A.attention.value_length is %" PRIu32
                                ", expected the key length, %" PRIu32,
                                qvf_gguf_name(info->gguf), value_length, head_dim);
        info->head_dim = head_dim;
        info->rope_dims = rope_dims == UINT32_MAX ? head_dim : rope_dims;
        if (info->rope_dims > head_dim || info->rope_dims % 2 != 0)
                return qvf_error_set(error, -EINVAL,
                                "%s: A.rope.dimension_count is %" PRIu32
                                ", expected an even number up to %" PRIu32,
                                qvf_gguf_name(info->gguf), info->rope_dims, head_dim);
        return 0;
}

static int read_rope_scaling_type(struct qvf_model_info *info, struct qvf_error *error)
{
        static const struct {
                const char *name;
                enum qvf_rope_scaling scaling;
        } kinds[] = {
                { "none", QVF_ROPE_SCALING_NONE },
                { "linear", QVF_ROPE_SCALING_LINEAR },
                { "yarn", QVF_ROPE_SCALING_YARN },
        };
        struct qvf_gguf_string name;
        int r;

        r = qvf_gguf_get_string(info->gguf, "A.rope.scaling.type", &name, error);
        if (r == -ENOENT) { /* a factor alone means linear */
                info->rope_scaling =
                                info->rope_factor != 1 ? QVF_ROPE_SCALING_LINEAR : QVF_ROPE_SCALING_NONE;
                return 0;
        }
        if (r < 0)
                return r;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(kinds); i++)
                if (qvf_gguf_string_is(name, kinds[i].name)) {
                        info->rope_scaling = kinds[i].scaling;
                        return 0;
                }
        return qvf_error_set(error, -EOPNOTSUPP,
                        "%s: key 'A.rope.scaling.type' is '%.*s', expected none, linear or yarn",
                        qvf_gguf_name(info->gguf), (int)qvf_min_u64(name.length, 40), name.bytes);
}

static int read_rope(struct qvf_model_info *info, struct qvf_error *error)
{
        const struct {
                const char *key;
                float least, most, missing;
                float *ret_value;
        } values[] = {
                { "A.rope.freq_base", 1, 1e12f, 10000, &info->rope_base },
                { "A.rope.scale_linear", 0, 1e6f, 0, &info->rope_factor }, /* the older name */
                { "A.rope.scaling.attn_factor", 0, 1e3f, 1, &info->rope_attn_factor },
                { "A.rope.scaling.yarn_ext_factor", 0, 1e3f, 1, &info->rope_yarn_extrapolation },
                { "A.rope.scaling.yarn_attn_factor", 0, 1e3f, 1, NULL },
                { "A.rope.scaling.yarn_beta_fast", 0, 1e6f, 32, &info->rope_yarn_beta_fast },
                { "A.rope.scaling.yarn_beta_slow", 0, 1e6f, 1, &info->rope_yarn_beta_slow },
        };
        float yarn_attn_factor = 1;
        int r;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(values); i++) {
                r = read_float(info, values[i].key, values[i].least, values[i].most, values[i].missing,
                                values[i].ret_value ? values[i].ret_value : &yarn_attn_factor, error);
                if (r < 0)
                        return r;
        }
        info->rope_attn_factor *= yarn_attn_factor;
        r = read_float(info, "A.rope.scaling.factor", 0, 1e6f, info->rope_factor, &info->rope_factor, error);
        if (r < 0)
                return r;
        if (info->rope_factor == 0) /* "no scaling" for some writers */
                info->rope_factor = 1;
        r = read_rope_scaling_type(info, error);
        if (r < 0)
                return r;
        if (info->rope_scaling == QVF_ROPE_SCALING_NONE)
                info->rope_factor = 1;
        return read_size(info, "A.rope.scaling.original_context_length", QVF_MODEL_CONTEXT_MOST,
                        info->context_length, &info->rope_original_context, error);
}

/* The vocabulary is what the embedding has rows for; the keys must not claim more (CVE-2025-49847). */
static int check_vocabulary(struct qvf_model_info *info, struct qvf_error *error)
{
        uint64_t rows = info->token_embd->ne[1];
        struct qvf_gguf_array tokens;
        uint32_t claimed;
        int r;

        if (rows > QVF_MODEL_VOCABULARY_MOST)
                return qvf_error_set(error, -EINVAL,
                                "%s: tensor 'token_embd.weight' has %" PRIu64 " rows, expected at most %d",
                                qvf_gguf_name(info->gguf), rows, QVF_MODEL_VOCABULARY_MOST);
        r = read_size(info, "A.vocab_size", QVF_MODEL_VOCABULARY_MOST, (uint32_t)rows, &claimed, error);
        if (r < 0)
                return r;
        if (claimed > rows)
                return qvf_error_set(error, -EINVAL,
                                "%s: A.vocab_size is %" PRIu32 ", but 'token_embd.weight' has %" PRIu64
                                " rows",
                                qvf_gguf_name(info->gguf), claimed, rows);
        r = qvf_gguf_get_array(info->gguf, "tokenizer.ggml.tokens", QVF_GGUF_STRING, &tokens, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0 && tokens.length > rows)
                return qvf_error_set(error, -EINVAL,
                                "%s: key 'tokenizer.ggml.tokens' holds %" PRIu64
                                " tokens, but 'token_embd.weight' has %" PRIu64 " rows",
                                qvf_gguf_name(info->gguf), tokens.length, rows);
        info->vocabulary_size = (uint32_t)rows;
        return 0;
}

int qvf_model_info_new(
                const struct qvf_gguf *gguf, struct qvf_model_info **ret_info, struct qvf_error *error)
{
        _cleanup_(qvf_model_info_freep) struct qvf_model_info *info = NULL;
        int r;

        info = calloc(1, sizeof(*info));
        if (!info)
                return -ENOMEM;
        info->gguf = gguf;
        r = read_architecture(info, error);
        if (r < 0)
                return r;
        r = read_sizes(info, error);
        if (r < 0)
                return r;
        /* The layers' table is allocated by a number of the file's: let the tensors bear it out first. */
        if (info->n_layers > qvf_gguf_tensors(gguf) / LAYER_TENSORS_LEAST)
                return qvf_error_set(error, -EINVAL,
                                "%s: A.block_count is %" PRIu32 ", but the file has only %" PRIu32
                                " tensors",
                                qvf_gguf_name(gguf), info->n_layers, qvf_gguf_tensors(gguf));
        r = read_head_dim(info, error);
        if (r < 0)
                return r;
        r = read_rope(info, error);
        if (r < 0)
                return r;
        info->layers = calloc(info->n_layers, sizeof(*info->layers));
        if (!info->layers)
                return -ENOMEM;
        r = qvf_model_info_find_tensors(info, error);
        if (r < 0)
                return r;
        r = check_vocabulary(info, error);
        if (r < 0)
                return r;
        *ret_info = QVF_TAKE(info);
        return 0;
}
