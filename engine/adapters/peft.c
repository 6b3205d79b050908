/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/peft.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/log.h"
#include "engine/adapters/peft_config.h"
#include "engine/adapters/safetensors.h"

#define PREFIX "base_model.model.model.layers."

void qvf_peft_base_from_model(const struct qvf_model_info *info, struct qvf_peft_base *ret_base)
{
        *ret_base = (struct qvf_peft_base){
                .n_layers = info->n_layers,
                .permuted = info->rope_pairing == QVF_ROPE_INTERLEAVED,
                .n_heads = info->n_heads,
                .n_kv_heads = info->n_kv_heads,
                .head_dim = info->head_dim,
        };
        snprintf(ret_base->architecture, sizeof(ret_base->architecture), "%s", info->architecture_name);
}

int qvf_peft_base_from_name(
                const char *architecture, struct qvf_peft_base *ret_base, struct qvf_error *error)
{
        if (strncmp(architecture, "bitnet", 6) != 0)
                return qvf_error_set(error, -EINVAL,
                                "architecture \"%.64s\": name the base model, as its heads must be known to "
                                "put "
                                "the rows of q and k in order",
                                architecture);
        *ret_base = (struct qvf_peft_base){ .permuted = false };
        snprintf(ret_base->architecture, sizeof(ret_base->architecture), "%s", architecture);
        return 0;
}

int qvf_peft_permute(struct qvf_adapter_numbers *b, uint32_t n_heads, bool to_gguf)
{
        uint64_t row_bytes = b->rows ? qvf_adapter_numbers_bytes(b) / b->rows : 0;
        uint32_t head = n_heads ? b->rows / n_heads : 0;
        uint8_t *turned;

        if (head == 0 || head % 2 != 0 || head * n_heads != b->rows)
                return -EINVAL;
        turned = qvf_malloc(row_bytes * b->rows + 1);
        if (!turned)
                return -ENOMEM;
        for (uint32_t row = 0; row < b->rows; row++) {
                uint32_t first = row / head * head, i = row % head;
                /* Row i of a head in the GGUF file, and the module's row for it. */
                uint32_t module_row = first + i % 2 * (head / 2) + i / 2;
                uint32_t from = to_gguf ? module_row : row, to = to_gguf ? row : module_row;

                memcpy(turned + to * row_bytes, (const uint8_t *)b->data + from * row_bytes, row_bytes);
        }
        free(b->owned);
        b->data = b->owned = turned;
        return 0;
}

/* Where a tensor belongs; false where it is none of the pairs. */
static bool parse_name(const char *name, uint32_t *ret_layer, enum qvf_module *ret_module, bool *ret_is_b)
{
        const char *at = name + sizeof(PREFIX) - 1;
        uint32_t layer = 0;

        if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0 || *at < '0' || *at > '9' ||
                        (*at == '0' && at[1] != '.'))
                return false;
        for (; *at >= '0' && *at <= '9'; at++) {
                layer = layer * 10 + (uint32_t)(*at - '0');
                if (layer >= QVF_MODEL_LAYERS_MOST)
                        return false;
        }
        if (*at++ != '.')
                return false;
        for (unsigned module = 0; module < QVF_MODULES; module++) {
                const char *wanted = qvf_peft_long_name(module), *rest = at + strlen(wanted);

                if (strncmp(at, wanted, strlen(wanted)) != 0 ||
                                (strcmp(rest, ".lora_A.weight") != 0 && strcmp(rest, ".lora_B.weight") != 0))
                        continue;
                *ret_layer = layer;
                *ret_module = module;
                *ret_is_b = rest[6] == 'B';
                return true;
        }
        return false;
}

static int unknown(const struct qvf_safetensor *tensor, struct qvf_error *error)
{
        const char *why = strstr(tensor->name, "lora_magnitude_vector") ? "it belongs to DoRA"
                          : strstr(tensor->name, "lora_embedding_")     ? "it is for an embedding"
                          : strstr(tensor->name, "lora_bias") || strstr(tensor->name, ".bias")
                                          ? "it is a bias"
                          : strstr(tensor->name, "lora_") ? "no such matrix can be adapted"
                                                          : "it is no part of a LoRA pair";

        return qvf_error_set(error, -EOPNOTSUPP,
                        "tensor %.200s: %s (those that can be used: " PREFIX
                        "N.{self_attn.{q,k,v,o}_proj,mlp.{gate,up,down}_proj}.lora_{A,B}.weight)",
                        tensor->name, why);
}

static int take_tensor(
                struct qvf_adapter_file *file, const struct qvf_safetensor *tensor, struct qvf_error *error)
{
        struct qvf_adapter_matrix *matrix;
        enum qvf_module module;
        uint32_t layer;
        bool is_b;

        if (!parse_name(tensor->name, &layer, &module, &is_b))
                return unknown(tensor, error);
        if (tensor->n_dims != 2 || tensor->shape[0] > QVF_MODEL_FFN_MOST ||
                        tensor->shape[1] > QVF_MODEL_FFN_MOST || tensor->shape[is_b] > QVF_ADAPTER_RANK_MOST)
                return qvf_error_set(error, -EINVAL,
                                "tensor %s has %u dimensions of %" PRIu64 " and %" PRIu64
                                ", expected 2, with rank 1 to %u",
                                tensor->name, tensor->n_dims, tensor->shape[0], tensor->shape[1],
                                QVF_ADAPTER_RANK_MOST);
        matrix = &file->matrices[layer * QVF_MODULES + module];
        *(is_b ? &matrix->b : &matrix->a) = (struct qvf_adapter_numbers){
                .rows = (uint32_t)tensor->shape[0],
                .columns = (uint32_t)tensor->shape[1],
                .dtype = tensor->dtype,
                .data = tensor->data,
        };
        return 0;
}

/* Alphas from the configuration, and the ranks that it claims against those of the tensors. */
static int apply_config(
                struct qvf_adapter_file *file, const struct qvf_peft_config *config, struct qvf_error *error)
{
        file->rank_stabilised = config->rank_stabilised;
        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++) {
                struct qvf_adapter_matrix *matrix = &file->matrices[i];
                char name[QVF_PEFT_NAME_BYTES];

                if (matrix->rank == 0)
                        continue;
                qvf_peft_module_name(i / QVF_MODULES, i % QVF_MODULES, name);
                matrix->alpha = qvf_peft_config_alpha(config, name);
                if (matrix->rank != qvf_peft_config_rank(config, name))
                        return qvf_error_set(error, -EINVAL,
                                        "%s has rank %u in the weights and %u in the configuration", name,
                                        matrix->rank, qvf_peft_config_rank(config, name));
        }
        return 0;
}

static int order_rows(
                struct qvf_adapter_file *file, const struct qvf_peft_base *base, struct qvf_error *error)
{
        for (uint32_t i = 0; base->permuted && i < file->n_layers * QVF_MODULES; i++) {
                enum qvf_module module = i % QVF_MODULES;
                uint32_t heads = module == QVF_ATTN_Q ? base->n_heads : base->n_kv_heads;
                int r;

                if (file->matrices[i].rank == 0 || module > QVF_ATTN_K)
                        continue;
                r = qvf_peft_permute(&file->matrices[i].b, heads, true);
                if (r < 0)
                        return qvf_error_set(error, r,
                                        "layer %u, %s: %u rows can't be put in order for %u heads",
                                        i / QVF_MODULES, qvf_module_name(module), file->matrices[i].b.rows,
                                        heads);
        }
        return 0;
}

static int read_config(int fd, struct qvf_peft_config *config, struct qvf_error *error)
{
        _cleanup_(qvf_mapped_file_freep) struct qvf_mapped_file *mapped = NULL;
        int r = qvf_mapped_file_open_fd(fd, QVF_PEFT_CONFIG, QVF_PEFT_CONFIG_BYTES_MOST, &mapped, error);

        if (r < 0)
                return r;
        r = qvf_peft_config_parse((const char *)mapped->data, mapped->size, config, error);
        if (r == -ENOMEM)
                qvf_error_set(error, r, "no memory to read it");
        if (r < 0)
                qvf_error_prefix(error, "%s", QVF_PEFT_CONFIG);
        return r;
}

static int take_tensors(struct qvf_adapter_file *file, const struct qvf_safetensors *tensors,
                const struct qvf_peft_config *config, const struct qvf_peft_base *base,
                struct qvf_error *error)
{
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < tensors->n_tensors; i++)
                r = take_tensor(file, &tensors->tensors[i], error);
        r = r < 0 ? r : qvf_adapter_file_check(file, error);
        r = r < 0 ? r : apply_config(file, config, error);
        r = r < 0 ? r : order_rows(file, base, error);
        if (r < 0)
                qvf_error_prefix(error, "%s", QVF_PEFT_WEIGHTS);
        return r;
}

int qvf_peft_open_fds(int weights_fd, int config_fd, const struct qvf_peft_base *base,
                struct qvf_adapter_file **ret_file, struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        _cleanup_(qvf_safetensors_freep) struct qvf_safetensors *tensors = NULL;
        _cleanup_(qvf_peft_config_exit) struct qvf_peft_config config = { 0 };
        uint32_t n_layers = 0;
        int r = read_config(config_fd, &config, error);

        r = r < 0 ? r : qvf_safetensors_open_fd(weights_fd, QVF_PEFT_WEIGHTS, &tensors, error);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < tensors->n_tensors; i++) {
                enum qvf_module module;
                uint32_t layer;
                bool is_b;

                if (parse_name(tensors->tensors[i].name, &layer, &module, &is_b) && layer >= n_layers)
                        n_layers = layer + 1;
        }
        r = qvf_adapter_file_new(base->architecture, n_layers, &file);
        if (r < 0)
                return qvf_error_set(error, r, "no memory for the adapter");
        r = take_tensors(file, tensors, &config, base, error);
        if (r < 0)
                return r;
        file->mapped = QVF_TAKE(tensors->file);
        file->name = QVF_TAKE(tensors->name);
        *ret_file = QVF_TAKE(file);
        return 0;
}

static int open_part(int folder, const char *name, int *ret_fd, struct qvf_error *error)
{
        /* O_NONBLOCK: opening a pipe that nobody writes would wait for ever. */
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd >= 0) {
                *ret_fd = fd;
                return 0;
        }
        if (errno == ENOENT && strcmp(name, QVF_PEFT_WEIGHTS) == 0 &&
                        faccessat(folder, "adapter_model.bin", F_OK, 0) == 0)
                return qvf_error_set(error, -EOPNOTSUPP,
                                "adapter_model.bin runs as a program where it is read, which is refused: "
                                "save it "
                                "with safe_serialization=True");
        return qvf_error_set(error, -errno, "%s: %s", name, strerror(errno));
}

int qvf_peft_open(const char *folder, const struct qvf_peft_base *base, struct qvf_adapter_file **ret_file,
                struct qvf_error *error)
{
        _cleanup_close_ int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int weights = -1;
        _cleanup_close_ int config = -1;
        int r;

        if (folder_fd < 0)
                return qvf_error_set(error, -errno, "%s: %s", folder, strerror(errno));
        r = open_part(folder_fd, QVF_PEFT_WEIGHTS, &weights, error);
        r = r < 0 ? r : open_part(folder_fd, QVF_PEFT_CONFIG, &config, error);
        r = r < 0 ? r : qvf_peft_open_fds(weights, config, base, ret_file, error);
        if (r < 0)
                qvf_error_prefix(error, "%s", folder);
        return r;
}
