/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/gguf_adapter.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/checked.h"
#include "common/log.h"

#define SUFFIX_LENGTH (sizeof(".lora_a") - 1)

static int check_kind(const struct qvf_gguf *gguf, struct qvf_gguf_string *ret_architecture,
                struct qvf_error *error)
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
        if (qvf_gguf_find_key(gguf, "adapter.alora.invocation_tokens"))
                return qvf_error_set(error, -EOPNOTSUPP,
                                "key adapter.alora.invocation_tokens: an adapter that works only behind "
                                "certain "
                                "tokens is not supported");
        r = qvf_gguf_get_string(gguf, "general.architecture", ret_architecture, error);
        if (r == 0 && (ret_architecture->length == 0 || ret_architecture->length > 64))
                r = qvf_error_set(error, -EINVAL, "key general.architecture has %zu bytes, expected 1 to 64",
                                ret_architecture->length);
        return r;
}

/* "blk.N.attn_q.weight.lora_a" → layer, module, and which of the two. */
static bool parse_name(const char *name, uint32_t *ret_layer, enum qvf_module *ret_module, bool *ret_is_b)
{
        const char *at = name + 4;
        uint32_t layer = 0;

        if (strncmp(name, "blk.", 4) != 0 || *at < '0' || *at > '9' || (*at == '0' && at[1] != '.'))
                return false;
        for (; *at >= '0' && *at <= '9'; at++) {
                layer = layer * 10 + (uint32_t)(*at - '0');
                if (layer >= QVF_MODEL_LAYERS_MOST)
                        return false;
        }
        if (*at++ != '.')
                return false;
        for (unsigned module = 0; module < QVF_MODULES; module++) {
                const char *wanted = qvf_module_name(module), *rest = at + strlen(wanted);

                if (strncmp(at, wanted, strlen(wanted)) != 0 ||
                                (strcmp(rest, ".weight.lora_a") != 0 && strcmp(rest, ".weight.lora_b") != 0))
                        continue;
                *ret_layer = layer;
                *ret_module = module;
                *ret_is_b = rest[strlen(rest) - 1] == 'b';
                return true;
        }
        return false;
}

/* A whole norm, or a pair for one: what QVAC writes for "all" modules and llama.cpp reads but never uses. */
static bool is_norm(const char *name)
{
        static const char wanted[] = "_norm.weight";
        size_t length = strlen(name);

        if (length > SUFFIX_LENGTH && (strcmp(name + length - SUFFIX_LENGTH, ".lora_a") == 0 ||
                                                      strcmp(name + length - SUFFIX_LENGTH, ".lora_b") == 0))
                length -= SUFFIX_LENGTH;
        return length >= sizeof(wanted) - 1 &&
               memcmp(name + length - (sizeof(wanted) - 1), wanted, sizeof(wanted) - 1) == 0;
}

static int take_tensor(struct qvf_adapter_file *file, const struct qvf_gguf_tensor *tensor, float alpha,
                struct qvf_error *error)
{
        struct qvf_adapter_matrix *matrix;
        enum qvf_module module;
        uint32_t layer;
        bool is_b;

        if (!parse_name(tensor->name, &layer, &module, &is_b))
                return qvf_error_set(error, -EINVAL,
                                "tensor %s is for no matrix that can be adapted (blk.0 to blk.%d; attn_q, "
                                "attn_k, "
                                "attn_v, attn_output, ffn_gate, ffn_up, ffn_down)",
                                tensor->name, QVF_MODEL_LAYERS_MOST - 1);
        if (tensor->dtype != QVF_F32 && tensor->dtype != QVF_F16 && tensor->dtype != QVF_BF16)
                return qvf_error_set(error, -EINVAL, "tensor %s is of type %u, not F32, F16 or BF16",
                                tensor->name, tensor->file_type_id);
        if (tensor->n_dims > 2 || tensor->ne[0] > QVF_MODEL_FFN_MOST || tensor->ne[1] > QVF_MODEL_FFN_MOST ||
                        tensor->ne[is_b ? 0 : 1] > QVF_ADAPTER_RANK_MOST)
                return qvf_error_set(error, -EINVAL,
                                "tensor %s has shape %" PRIu64 " x %" PRIu64
                                " in %u dimensions, expected 2, with "
                                "rank 1 to %u",
                                tensor->name, tensor->ne[0], tensor->ne[1], tensor->n_dims,
                                QVF_ADAPTER_RANK_MOST);
        matrix = &file->matrices[layer * QVF_MODULES + module];
        matrix->alpha = alpha;
        *(is_b ? &matrix->b : &matrix->a) = (struct qvf_adapter_numbers){
                .rows = (uint32_t)tensor->ne[1],
                .columns = (uint32_t)tensor->ne[0],
                .dtype = tensor->dtype,
                .data = tensor->data,
        };
        return 0;
}

static int take_tensors(struct qvf_adapter_file *file, const struct qvf_gguf *gguf, float alpha,
                struct qvf_error *error)
{
        const char *skipped = NULL;
        uint32_t n_skipped = 0;

        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);
                int r;

                if (is_norm(tensor->name)) {
                        skipped = skipped ? skipped : tensor->name;
                        n_skipped++;
                        continue;
                }
                r = take_tensor(file, tensor, alpha, error);
                if (r < 0)
                        return r;
        }
        if (n_skipped > 0)
                qvf_log(QVF_LOG_WARNING,
                                "%s: %u tensors for norms are skipped (the first is %.64s): LoRA is applied "
                                "to "
                                "matrices only, here as in llama.cpp",
                                qvf_gguf_name(gguf), n_skipped, skipped);
        return 0;
}

static uint32_t count_layers(const struct qvf_gguf *gguf)
{
        uint32_t n_layers = 0;

        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                enum qvf_module module;
                uint32_t layer;
                bool is_b;

                if (parse_name(qvf_gguf_tensor(gguf, i)->name, &layer, &module, &is_b) && layer >= n_layers)
                        n_layers = layer + 1;
        }
        return n_layers;
}

static int take_name(struct qvf_adapter_file *file, const struct qvf_gguf *gguf, struct qvf_error *error)
{
        struct qvf_gguf_string name;
        int r = qvf_gguf_get_string(gguf, "general.name", &name, error);

        if (r == -ENOENT || (r == 0 && name.length > 1024))
                return 0;
        if (r < 0)
                return r;
        file->name = strndup(name.bytes, name.length);
        return file->name ? 0 : -ENOMEM;
}

int qvf_adapter_file_from_gguf(
                const struct qvf_gguf *gguf, struct qvf_adapter_file **ret_file, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        struct qvf_gguf_string architecture;
        char name[65];
        float alpha = 0;
        int r = check_kind(gguf, &architecture, error);

        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "%.*s", (int)architecture.length, architecture.bytes);
        r = qvf_gguf_get_f32(gguf, "adapter.lora.alpha", &alpha, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (!(alpha >= 0 && alpha <= QVF_ADAPTER_ALPHA_MOST))
                return qvf_error_set(error, -EINVAL, "key adapter.lora.alpha is %g, expected 0 to %g",
                                (double)alpha, (double)QVF_ADAPTER_ALPHA_MOST);
        r = qvf_adapter_file_new(name, count_layers(gguf), &file);
        if (r < 0)
                return qvf_error_set(error, r, "no memory for the adapter");
        r = take_name(file, gguf, error);
        if (r == 0)
                r = take_tensors(file, gguf, alpha, error);
        if (r == 0)
                r = qvf_adapter_file_check(file, error);
        if (r < 0)
                return r;
        *ret_file = QVF_TAKE(file);
        return 0;
}

/* Takes over the gguf. */
static int open_owned(struct qvf_gguf *gguf, struct qvf_adapter_file **ret_file, struct qvf_error *error)
{
        int r = qvf_adapter_file_from_gguf(gguf, ret_file, error);

        if (r < 0) {
                qvf_error_prefix(error, "%s", qvf_gguf_name(gguf));
                qvf_gguf_free(gguf);
                return r;
        }
        (*ret_file)->gguf = gguf;
        return 0;
}

int qvf_adapter_file_open_gguf(const char *path, struct qvf_adapter_file **ret_file, struct qvf_error *error)
{
        struct qvf_gguf *gguf;
        int r = qvf_gguf_open(path, &gguf, error);

        return r < 0 ? r : open_owned(gguf, ret_file, error);
}

int qvf_adapter_file_open_gguf_fd(
                int fd, const char *name, struct qvf_adapter_file **ret_file, struct qvf_error *error)
{
        struct qvf_gguf *gguf;
        int r = qvf_gguf_open_fds(&fd, &name, 1, &gguf, error);

        return r < 0 ? r : open_owned(gguf, ret_file, error);
}
