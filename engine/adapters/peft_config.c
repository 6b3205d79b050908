/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/peft_config.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "engine/adapters/json.h"

#define DEPTH_MOST 8

static const char *const long_names[QVF_MODULES] = {
        [QVF_ATTN_Q] = "self_attn.q_proj",
        [QVF_ATTN_K] = "self_attn.k_proj",
        [QVF_ATTN_V] = "self_attn.v_proj",
        [QVF_ATTN_OUTPUT] = "self_attn.o_proj",
        [QVF_FFN_GATE] = "mlp.gate_proj",
        [QVF_FFN_UP] = "mlp.up_proj",
        [QVF_FFN_DOWN] = "mlp.down_proj",
};

const char *qvf_peft_long_name(enum qvf_module module)
{
        return long_names[module];
}

const char *qvf_peft_short_name(enum qvf_module module)
{
        return strchr(long_names[module], '.') + 1;
}

void qvf_peft_module_name(uint32_t layer, enum qvf_module module, char name[QVF_PEFT_NAME_BYTES])
{
        snprintf(name, QVF_PEFT_NAME_BYTES, "model.layers.%u.%s", layer, long_names[module]);
}

/* Keys that must be absent, null, false or empty, and what they would mean. */
static const struct {
        const char *key, *meaning;
} refused[] = {
        { "use_dora", "DoRA scales whole rows" },
        { "use_qalora", "QALoRA pools the input" },
        { "use_bdlora", "its matrices are in blocks" },
        { "lora_bias", "B would have a bias" },
        { "fan_in_fan_out", "the base weights are transposed" },
        { "modules_to_save", "whole modules were trained beside the adapter" },
        { "layer_replication", "layers are repeated" },
        { "trainable_token_indices", "rows of the embedding were trained" },
        { "target_parameters", "parameters that belong to no linear module were trained" },
        { "alora_invocation_tokens", "the adapter works only behind certain tokens" },
        { "arrow_config", "adapters are chosen token by token" },
        { "monteclora_config", "its scales are drawn at random" },
        { "kasa_config", "the base weights are truncated" },
};

static bool is_nothing(struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null: return true;
        case json_type_boolean: return !json_object_get_boolean(value);
        case json_type_array: return json_object_array_length(value) == 0;
        case json_type_object: return json_object_object_length(value) == 0;
        default: return false;
        }
}

static int check_refused(struct json_object *root, struct qvf_error *error)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(refused); i++) {
                struct json_object *value = NULL;

                if (json_object_object_get_ex(root, refused[i].key, &value) && !is_nothing(value))
                        return qvf_error_set(error, -EOPNOTSUPP,
                                        "%s is set (%s): such an adapter can't be used here", refused[i].key,
                                        refused[i].meaning);
        }
        return 0;
}

/* A text that must be `wanted`, or absent or null where `optional`. */
static int check_text(struct json_object *root, const char *key, const char *wanted, bool optional,
                struct qvf_error *error)
{
        struct json_object *value = NULL;

        json_object_object_get_ex(root, key, &value);
        if (!value && optional)
                return 0;
        if (json_object_is_type(value, json_type_string) &&
                        strcmp(json_object_get_string(value), wanted) == 0)
                return 0;
        return qvf_error_set(error, value ? -EOPNOTSUPP : -EINVAL, "%s is %.60s, expected \"%s\"", key,
                        value ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN) : "missing",
                        wanted);
}

/* Some ways to begin also change the base weights: without those changes the adapter means nothing. */
static int check_beginning(struct json_object *root, struct qvf_error *error)
{
        static const char *const changing[] = { "pissa", "olora", "corda", "loftq", "lora_ga" };
        struct json_object *value = NULL;
        const char *text;

        json_object_object_get_ex(root, "init_lora_weights", &value);
        if (!json_object_is_type(value, json_type_string))
                return 0;
        text = json_object_get_string(value);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(changing); i++)
                if (strncasecmp(text, changing[i], strlen(changing[i])) == 0)
                        return qvf_error_set(error, -EOPNOTSUPP,
                                        "init_lora_weights is \"%.40s\", which changed the base weights "
                                        "when "
                                        "training began; PEFT can save it as a plain adapter "
                                        "(path_initial_model_for_weight_conversion)",
                                        text);
        return 0;
}

static bool known_module(const char *name)
{
        const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

        for (unsigned i = 0; i < QVF_MODULES; i++)
                if (strcmp(last, qvf_peft_short_name(i)) == 0)
                        return true;
        return false;
}

/* A list of names; a text is a regular expression (or "all-linear"), which only the tensors can answer. */
static int check_targets(struct json_object *root, struct qvf_error *error)
{
        struct json_object *targets = NULL;

        json_object_object_get_ex(root, "target_modules", &targets);
        if (!targets || json_object_is_type(targets, json_type_string))
                return 0;
        if (!json_object_is_type(targets, json_type_array))
                return qvf_error_set(error, -EINVAL, "target_modules is no list of names");
        for (size_t i = 0; i < json_object_array_length(targets); i++) {
                struct json_object *target = json_object_array_get_idx(targets, i);

                if (!json_object_is_type(target, json_type_string))
                        return qvf_error_set(error, -EINVAL, "target_modules is no list of names");
                if (!known_module(json_object_get_string(target)))
                        return qvf_error_set(error, -EOPNOTSUPP,
                                        "target_modules names \"%.60s\"; those that can be adapted are "
                                        "q_proj, "
                                        "k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj",
                                        json_object_get_string(target));
        }
        return 0;
}

static int read_number(struct json_object *value, const char *key, double least, double most, bool is_whole,
                float *ret_number, struct qvf_error *error)
{
        double number = json_object_get_double(value);

        if ((!json_object_is_type(value, json_type_int) &&
                            (is_whole || !json_object_is_type(value, json_type_double))) ||
                        !(number >= least && number <= most) || !((float)number > 0))
                return qvf_error_set(error, -EINVAL, "%.100s is %.60s, expected %s above 0 and at most %g",
                                key, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN),
                                is_whole ? "a whole number" : "a number", most);
        *ret_number = (float)number;
        return 0;
}

/* PEFT takes the names as regular expressions. Those that are plain names are read; a dot or an escaped dot is one. */
static int plain_name(const char *pattern, const char *key, char **ret_name, struct qvf_error *error)
{
        char *name = calloc(1, strlen(pattern) + 1), *out = name;

        if (!name)
                return -ENOMEM;
        for (const char *at = pattern; *at; at++) {
                if (at[0] == '\\' && at[1] == '.')
                        at++;
                if ((*at < '0' || *at > '9') && (*at < 'a' || *at > 'z') && (*at < 'A' || *at > 'Z') &&
                                !strchr("._-", *at)) {
                        free(name);
                        return qvf_error_set(error, -EOPNOTSUPP,
                                        "%s holds the regular expression \"%.60s\"; only plain names are "
                                        "read",
                                        key, pattern);
                }
                *out++ = *at;
        }
        *ret_name = name;
        return 0;
}

static int read_patterns(struct json_object *root, const char *key, double most, bool is_whole,
                struct qvf_peft_pattern **ret_patterns, uint32_t *ret_count, struct qvf_error *error)
{
        struct json_object *object = NULL;
        struct json_object_iterator at, end;

        json_object_object_get_ex(root, key, &object);
        if (is_nothing(object))
                return 0;
        if (!json_object_is_type(object, json_type_object) ||
                        json_object_object_length(object) > (int)QVF_PEFT_PATTERNS_MOST)
                return qvf_error_set(error, -EINVAL, "%s is no object of at most %d names", key,
                                QVF_PEFT_PATTERNS_MOST);
        *ret_patterns = calloc((size_t)json_object_object_length(object), sizeof(**ret_patterns));
        if (!*ret_patterns)
                return -ENOMEM;
        at = json_object_iter_begin(object);
        end = json_object_iter_end(object);
        for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
                struct qvf_peft_pattern *pattern = &(*ret_patterns)[*ret_count];
                const char *name = json_object_iter_peek_name(&at);
                int r = plain_name(name, key, &pattern->name, error);

                if (r < 0)
                        return r;
                ++*ret_count;
                r = read_number(json_object_iter_peek_value(&at), key, 0, most, is_whole, &pattern->value,
                                error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_config(struct json_object *root, struct qvf_peft_config *config, struct qvf_error *error)
{
        struct json_object *value = NULL;
        float rank;
        int r;

        json_object_object_get_ex(root, "r", &value);
        r = read_number(value, "r", 1, QVF_ADAPTER_RANK_MOST, true, &rank, error);
        if (r < 0)
                return r;
        config->rank = (uint32_t)rank;
        json_object_object_get_ex(root, "lora_alpha", &value);
        r = read_number(value, "lora_alpha", 0, (double)QVF_ADAPTER_ALPHA_MOST, false, &config->alpha,
                        error);
        if (r < 0)
                return r;
        if (json_object_object_get_ex(root, "use_rslora", &value) && value &&
                        !json_object_is_type(value, json_type_boolean))
                return qvf_error_set(error, -EINVAL, "use_rslora is neither true nor false");
        config->rank_stabilised = value && json_object_get_boolean(value);
        if (json_object_object_get_ex(root, "base_model_name_or_path", &value) &&
                        json_object_is_type(value, json_type_string)) {
                config->base_model = strdup(json_object_get_string(value));
                if (!config->base_model)
                        return -ENOMEM;
        }
        r = read_patterns(root, "rank_pattern", QVF_ADAPTER_RANK_MOST, true, &config->ranks,
                        &config->n_ranks, error);
        return r < 0 ? r
                     : read_patterns(root, "alpha_pattern", (double)QVF_ADAPTER_ALPHA_MOST, false,
                                       &config->alphas, &config->n_alphas, error);
}

int qvf_peft_config_parse(
                const char *text, uint64_t length, struct qvf_peft_config *config, struct qvf_error *error)
{
        _cleanup_json_ struct json_object *root = NULL;
        struct qvf_peft_config read = { 0 };
        int r;

        if (length > QVF_PEFT_CONFIG_BYTES_MOST)
                return qvf_error_set(error, -E2BIG, "%llu bytes, expected at most %llu",
                                (unsigned long long)length, (unsigned long long)QVF_PEFT_CONFIG_BYTES_MOST);
        r = qvf_json_parse(text, length, DEPTH_MOST, "the configuration", &root, error);
        if (r < 0)
                return r;
        if (!json_object_is_type(root, json_type_object))
                return qvf_error_set(error, -EINVAL, "the configuration is no JSON object");
        r = check_text(root, "peft_type", "LORA", false, error);
        r = r < 0 ? r : check_text(root, "task_type", "CAUSAL_LM", true, error);
        r = r < 0 ? r : check_text(root, "bias", "none", true, error);
        r = r < 0 ? r : check_refused(root, error);
        r = r < 0 ? r : check_beginning(root, error);
        r = r < 0 ? r : check_targets(root, error);
        r = r < 0 ? r : read_config(root, &read, error);
        if (r < 0) {
                qvf_peft_config_exit(&read);
                return r;
        }
        *config = read;
        return 0;
}

void qvf_peft_config_exit(struct qvf_peft_config *config)
{
        for (uint32_t i = 0; i < config->n_ranks; i++)
                free(config->ranks[i].name);
        for (uint32_t i = 0; i < config->n_alphas; i++)
                free(config->alphas[i].name);
        free(config->ranks);
        free(config->alphas);
        free(config->base_model);
        *config = (struct qvf_peft_config){ 0 };
}

static const struct qvf_peft_pattern *find(
                const struct qvf_peft_pattern *patterns, uint32_t count, const char *module)
{
        size_t length = strlen(module);

        for (uint32_t i = 0; i < count; i++) {
                size_t end = strlen(patterns[i].name);

                if (end <= length && strcmp(module + length - end, patterns[i].name) == 0 &&
                                (end == length || module[length - end - 1] == '.'))
                        return &patterns[i];
        }
        return NULL;
}

float qvf_peft_config_alpha(const struct qvf_peft_config *config, const char *module)
{
        const struct qvf_peft_pattern *pattern = find(config->alphas, config->n_alphas, module);

        return pattern ? pattern->value : config->alpha;
}

uint32_t qvf_peft_config_rank(const struct qvf_peft_config *config, const char *module)
{
        const struct qvf_peft_pattern *pattern = find(config->ranks, config->n_ranks, module);

        return pattern ? (uint32_t)pattern->value : config->rank;
}
