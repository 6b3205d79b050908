/* SPDX-License-Identifier: Apache-2.0 */
/* adapter_config.json of a PEFT folder. */
#ifndef QVF_ENGINE_ADAPTERS_PEFT_CONFIG_H
#define QVF_ENGINE_ADAPTERS_PEFT_CONFIG_H

#include "common/text.h"
#include "engine/adapters/adapter_file.h"

#define QVF_PEFT_CONFIG_BYTES_MOST ((uint64_t)1 << 20)
#define QVF_PEFT_PATTERNS_MOST (QVF_MODEL_LAYERS_MOST * QVF_MODULES)

struct qvf_peft_pattern { /* for the modules whose name is this, or ends with a dot and this */
        char *name;
        float value;
};

struct qvf_peft_config {
        uint32_t rank;
        float alpha;
        bool rank_stabilised;
        struct qvf_peft_pattern *ranks, *alphas; /* the first that fits counts */
        uint32_t n_ranks, n_alphas;
        char *base_model; /* what base_model_name_or_path says, or NULL */
};

/* Refuses, with the key's name, whatever this program could not represent: other kinds of adapter, biases, whole
 * modules, weights that were changed when training began. */
int qvf_peft_config_parse(
                const char *text, uint64_t length, struct qvf_peft_config *config, struct qvf_error *error);
void qvf_peft_config_exit(struct qvf_peft_config *config);

/* "model.layers.3.self_attn.q_proj" */
#define QVF_PEFT_NAME_BYTES 64
void qvf_peft_module_name(uint32_t layer, enum qvf_module module, char name[QVF_PEFT_NAME_BYTES]);
/* "q_proj", and the same behind "self_attn." or "mlp." */
const char *qvf_peft_short_name(enum qvf_module module);
const char *qvf_peft_long_name(enum qvf_module module);

float qvf_peft_config_alpha(const struct qvf_peft_config *config, const char *module);
uint32_t qvf_peft_config_rank(const struct qvf_peft_config *config, const char *module);

/* The JSON that PEFT's loader takes for this adapter. n_layers: of the base model, 0 where not known; base_model: a
 * name or path for people, or NULL. */
int qvf_peft_config_write(const struct qvf_adapter_file *file, uint32_t n_layers, const char *base_model,
                struct qvf_text *text);

#endif
