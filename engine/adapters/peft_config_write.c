/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/adapters/json.h"
#include "engine/adapters/peft_config.h"

typedef float (*property)(const struct qvf_adapter_file *file, const struct qvf_adapter_matrix *matrix);

static float rank_of(const struct qvf_adapter_file *file, const struct qvf_adapter_matrix *matrix)
{
        (void)file;
        return (float)matrix->rank;
}

/* PEFT knows no adapter without alpha: one of scale 1 stands for it. */
static float alpha_of(const struct qvf_adapter_file *file, const struct qvf_adapter_matrix *matrix)
{
        if (matrix->alpha != 0)
                return matrix->alpha;
        return file->rank_stabilised ? sqrtf((float)matrix->rank) : (float)matrix->rank;
}

/* What most matrices have, the first of several such. */
static float most_common(const struct qvf_adapter_file *file, property get)
{
        uint32_t count = file->n_layers * QVF_MODULES, most = 0;
        float best = 1;

        for (uint32_t i = 0; i < count; i++) {
                float value = get(file, &file->matrices[i]);
                uint32_t same = 0;

                if (file->matrices[i].rank == 0 || (most > 0 && value == best))
                        continue;
                for (uint32_t k = 0; k < count; k++)
                        same += file->matrices[k].rank > 0 && get(file, &file->matrices[k]) == value;
                if (same > most) {
                        most = same;
                        best = value;
                }
        }
        return best;
}

/* Whether the module is adapted in all layers, and has one value in all where it is. */
static void look(const struct qvf_adapter_file *file, unsigned module, property get, bool *ret_everywhere,
                bool *ret_uniform, float *ret_value)
{
        *ret_everywhere = *ret_uniform = true;
        *ret_value = 0;
        for (uint32_t layer = 0; layer < file->n_layers; layer++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[layer * QVF_MODULES + module];

                if (matrix->rank == 0) {
                        *ret_everywhere = false;
                        continue;
                }
                if (*ret_value != 0 && get(file, matrix) != *ret_value)
                        *ret_uniform = false;
                *ret_value = get(file, matrix);
        }
}

static int append_number(struct qvf_text *text, float value)
{
        if (value == floorf(value) && value < 0x1p24f)
                return qvf_text_appendf(text, "%.0f", (double)value);
        return qvf_text_appendf(text, "%.9g", (double)value);
}

/* Names and values of the modules that are no common case. */
static int append_patterns(
                struct qvf_text *text, const struct qvf_adapter_file *file, const char *key, property get)
{
        float common = most_common(file, get), value;
        const char *separator = "";
        int r = qvf_text_appendf(text, "  \"%s\": {", key);

        for (unsigned module = 0; module < QVF_MODULES; module++) {
                bool everywhere, uniform;

                look(file, module, get, &everywhere, &uniform, &value);
                if (value == 0 || (uniform && value == common))
                        continue;
                for (uint32_t layer = 0; r == 0 && layer < file->n_layers; layer++) {
                        const struct qvf_adapter_matrix *matrix =
                                        &file->matrices[layer * QVF_MODULES + module];

                        if (matrix->rank == 0 || get(file, matrix) == common)
                                continue;
                        if (uniform)
                                r = qvf_text_appendf(text, "%s\n    \"%s\": ", separator,
                                                qvf_peft_short_name(module));
                        else
                                r = qvf_text_appendf(text, "%s\n    \"layers.%u.%s\": ", separator, layer,
                                                qvf_peft_long_name(module));
                        r = r < 0 ? r : append_number(text, get(file, matrix));
                        separator = ",";
                        if (uniform)
                                break;
                }
        }
        return r < 0 ? r : qvf_text_append_string(text, separator[0] ? "\n  },\n" : "},\n");
}

/* Short names where a module is adapted in every layer, else each module's whole name. */
static int append_targets(struct qvf_text *text, const struct qvf_adapter_file *file, uint32_t n_layers)
{
        const char *separator = "";
        int r = qvf_text_append_string(text, "  \"target_modules\": [");

        for (unsigned module = 0; module < QVF_MODULES; module++) {
                bool everywhere, uniform;
                float value;

                look(file, module, rank_of, &everywhere, &uniform, &value);
                everywhere = everywhere && n_layers <= file->n_layers;
                for (uint32_t layer = 0; r == 0 && value != 0 && layer < file->n_layers; layer++) {
                        char name[QVF_PEFT_NAME_BYTES];

                        if (file->matrices[layer * QVF_MODULES + module].rank == 0)
                                continue;
                        qvf_peft_module_name(layer, module, name);
                        r = qvf_text_appendf(text, "%s\n    \"%s\"", separator,
                                        everywhere ? qvf_peft_short_name(module) : name);
                        separator = ",";
                        if (everywhere)
                                break;
                }
        }
        return r < 0 ? r : qvf_text_append_string(text, "\n  ],\n");
}

static int append_string(struct qvf_text *text, const char *string)
{
        _cleanup_json_ struct json_object *value = NULL;

        if (!string)
                return qvf_text_append_string(text, "null");
        value = json_object_new_string(string);
        if (!value)
                return -ENOMEM;
        return qvf_text_append_string(
                        text, json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* The keys in the order of the alphabet, as PEFT writes them. */
int qvf_peft_config_write(const struct qvf_adapter_file *file, uint32_t n_layers, const char *base_model,
                struct qvf_text *text)
{
        int r = qvf_text_append_string(text, "{\n");

        r = r < 0 ? r : append_patterns(text, file, "alpha_pattern", alpha_of);
        r = r < 0 ? r
                  : qvf_text_append_string(
                                    text, "  \"auto_mapping\": null,\n  \"base_model_name_or_path\": ");
        r = r < 0 ? r : append_string(text, base_model);
        r = r < 0 ? r
                  : qvf_text_append_string(text,
                                    ",\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n"
                                    "  \"inference_mode\": true,\n  \"init_lora_weights\": true,\n"
                                    "  \"lora_alpha\": ");
        r = r < 0 ? r : append_number(text, most_common(file, alpha_of));
        r = r < 0 ? r
                  : qvf_text_append_string(text,
                                    ",\n  \"lora_dropout\": 0.0,\n  \"modules_to_save\": null,\n"
                                    "  \"peft_type\": \"LORA\",\n  \"r\": ");
        r = r < 0 ? r : append_number(text, most_common(file, rank_of));
        r = r < 0 ? r : qvf_text_append_string(text, ",\n");
        r = r < 0 ? r : append_patterns(text, file, "rank_pattern", rank_of);
        r = r < 0 ? r : qvf_text_append_string(text, "  \"revision\": null,\n");
        r = r < 0 ? r : append_targets(text, file, n_layers);
        return r < 0 ? r
                     : qvf_text_appendf(text,
                                       "  \"task_type\": \"CAUSAL_LM\",\n  \"use_dora\": false,\n"
                                       "  \"use_rslora\": %s\n}\n",
                                       file->rank_stabilised ? "true" : "false");
}
