/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/golden.h"

#include <check.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/compute.h"

static struct qvf_gguf *open_part(const char *name, const char *kind)
{
        struct qvf_error error = { 0 };
        struct qvf_gguf *gguf = NULL;
        char path[256];

        snprintf(path, sizeof(path), "tests/data/golden/%s.%s.gguf", name, kind);
        ck_assert_msg(qvf_gguf_open(test_path(path), &gguf, &error) == 0, "%s", error.text);
        return gguf;
}

static struct json_object *member(struct json_object *object, const char *name)
{
        struct json_object *value = NULL;

        ck_assert_msg(json_object_object_get_ex(object, name, &value), "%s is missing", name);
        return value;
}

static double number(struct json_object *object, const char *name)
{
        return json_object_get_double(member(object, name));
}

static void read_lists(struct test_golden *golden, struct json_object *json)
{
        struct json_object *tokens = member(json, "tokens"), *mask = member(json, "loss_mask");
        struct json_object *curve = member(json, "loss_curve");

        golden->n_tokens = (uint32_t)json_object_array_length(tokens);
        golden->n_mask = (uint32_t)json_object_array_length(mask);
        golden->tokens = calloc(golden->n_tokens, sizeof(*golden->tokens));
        golden->loss_mask = calloc(golden->n_mask, 1);
        for (uint32_t i = 0; i < golden->n_tokens; i++)
                golden->tokens[i] = json_object_get_int(json_object_array_get_idx(tokens, i));
        for (uint32_t i = 0; i < golden->n_mask; i++)
                golden->loss_mask[i] = (uint8_t)json_object_get_int(json_object_array_get_idx(mask, i));
        for (size_t i = 0; i < json_object_array_length(curve) && i < 16; i++)
                golden->loss_curve[i] = json_object_get_double(json_object_array_get_idx(curve, i));
}

struct test_golden *test_golden_new(const char *name)
{
        struct test_golden *golden = calloc(1, sizeof(*golden));
        struct json_object *json, *adamw, *betas, *distance;
        char path[256];

        snprintf(path, sizeof(path), "tests/data/golden/%s.golden.json", name);
        json = json_object_from_file(test_path(path));
        ck_assert_msg(json != NULL, "%s", json_util_get_last_err());
        golden->numbers = open_part(name, "golden");
        golden->adapter = open_part(name, "adapter-init");
        adamw = member(json, "adamw");
        betas = member(adamw, "betas");
        distance = member(json, "float32_vs_float64");
        golden->rank = (uint32_t)number(member(json, "lora"), "rank");
        golden->alpha = (float)number(member(json, "lora"), "alpha");
        golden->learning_rate = (float)number(adamw, "lr");
        golden->beta1 = (float)json_object_get_double(json_object_array_get_idx(betas, 0));
        golden->beta2 = (float)json_object_get_double(json_object_array_get_idx(betas, 1));
        golden->epsilon = (float)number(adamw, "eps");
        golden->weight_decay = (float)number(adamw, "weight_decay");
        golden->n_steps = (uint32_t)number(adamw, "steps");
        golden->loss = number(json, "loss");
        golden->gradient_norm = number(json, "grad_norm");
        golden->logits_distance = number(distance, "logits_rel_l2");
        golden->gradient_distance = number(distance, "grad_rel_l2");
        read_lists(golden, json);
        json_object_put(json);
        return golden;
}

struct test_golden *test_golden_free(struct test_golden *golden)
{
        if (!golden)
                return NULL;
        qvf_gguf_free(golden->numbers);
        qvf_gguf_free(golden->adapter);
        free(golden->tokens);
        free(golden->loss_mask);
        free(golden);
        return NULL;
}

const float *test_golden_numbers(const struct test_golden *golden, const char *name, uint64_t *ret_count)
{
        const struct qvf_gguf_tensor *tensor = qvf_gguf_find_tensor(golden->numbers, name);

        ck_assert_msg(tensor != NULL && tensor->dtype == QVF_F32, "no %s among the golden numbers", name);
        *ret_count = tensor->size_bytes / sizeof(float);
        return tensor->data;
}
