/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters against the model that they are for: what is refused, with words, and what an accepted one does. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/half.h"
#include "tests/support/compute.h"
#include "tests/support/forward.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/suite.h"

#define RANK 4u

static const int32_t tokens[] = { 3, 141, 59, 26, 5 };
#define N_TOKENS (sizeof(tokens) / sizeof(tokens[0]))

struct pair { /* zeros: what is right */
        const char *type, *adapter_type, *architecture;
        const char *name;
        float alpha;
        bool no_alpha;
        uint32_t a_columns, a_rows, b_columns, b_rows;
        enum qvf_dtype dtype;
        bool no_b, nothing;
        float b_value;
};

static void add_matrix(struct gguf_builder *builder, const char *name, char which, enum qvf_dtype dtype,
                uint32_t columns, uint32_t rows, float value)
{
        uint64_t count = (uint64_t)columns * rows;
        _cleanup_free_ float *values = calloc(count + 1, sizeof(*values));
        _cleanup_free_ uint16_t *halves = calloc(count + 1, sizeof(*halves));
        char whole[128];

        ck_assert(values && halves);
        for (uint64_t i = 0; i < count; i++) {
                values[i] = value * (float)(i % 7) / 8;
                halves[i] = qvf_f32_to_f16(values[i]);
        }
        snprintf(whole, sizeof(whole), "%s.lora_%c", name, which);
        gguf_add_tensor(builder, whole, dtype, columns, rows,
                        dtype == QVF_F32   ? (const void *)values
                        : dtype == QVF_F16 ? halves
                                           : NULL);
}

static int open_adapter(const struct qvf_model *model, const struct pair *pair,
                struct qvf_adapter **ret_adapter, struct qvf_error *error)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        const struct qvf_linear *q = &model->layers[0].linear[QVF_ATTN_Q];
        const char *name = pair->name ? pair->name : "blk.0.attn_q.weight";

        gguf_add_string(&builder, "general.type", pair->type ? pair->type : "adapter");
        gguf_add_string(&builder, "adapter.type", pair->adapter_type ? pair->adapter_type : "lora");
        gguf_add_string(&builder, "general.architecture",
                        pair->architecture ? pair->architecture : "bitnet");
        if (!pair->no_alpha)
                gguf_add_f32(&builder, "adapter.lora.alpha", pair->alpha != 0 ? pair->alpha : RANK);
        if (!pair->nothing) {
                add_matrix(&builder, name, 'a', pair->dtype, pair->a_columns ? pair->a_columns : q->inputs,
                                pair->a_rows ? pair->a_rows : RANK, 0.25f);
                if (!pair->no_b)
                        add_matrix(&builder, name, 'b', pair->dtype,
                                        pair->b_columns ? pair->b_columns : RANK,
                                        pair->b_rows ? pair->b_rows : q->outputs, pair->b_value);
        }
        ck_assert_msg(gguf_builder_open(&builder, &gguf, error) == 0, "%s", error->text);
        return qvf_adapter_new(model, gguf, ret_adapter, error);
}

START_TEST(what_does_not_fit_is_refused)
{
        static const struct pair pairs[] = {
                { .type = "model" },
                { .adapter_type = "control_vector" },
                { .architecture = "llama" },
                { .alpha = NAN },
                { .alpha = -1 },
                { .alpha = INFINITY },
                { .name = "blk.99.attn_q.weight" },
                { .name = "blk.0.attn_q" },
                { .name = "blk.0.attn_x.weight" },
                { .name = "blk.0.attn_norm.weight" },
                { .name = "blk.00.attn_q.weight" },
                { .a_columns = 64 },
                { .b_rows = 64 },
                { .b_columns = RANK + 1 },
                { .a_rows = 5000, .b_columns = 5000 },
                { .dtype = QVF_Q8_0, .a_rows = 32, .b_columns = 32 },
                { .no_b = true },
                { .nothing = true },
        };
        struct qvf_compute compute = test_compute(NULL, 1);
        struct qvf_model *model = test_model(&compute, "tiny-silu.TQ2_0");

        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
                struct qvf_error error = { 0 };
                struct qvf_adapter *adapter;

                ck_assert_msg(open_adapter(model, &pairs[i], &adapter, &error) < 0, "pair %zu was taken", i);
                ck_assert_msg(error.text[0], "pair %zu: no words", i);
        }
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}
END_TEST

static float *adapted(struct qvf_model *model, const struct pair *pair)
{
        struct qvf_error error = { 0 };
        struct qvf_adapter *adapter;
        float *logits;

        ck_assert_msg(open_adapter(model, pair, &adapter, &error) == 0, "%s", error.text);
        logits = test_forward(model, adapter, tokens, N_TOKENS);
        qvf_adapter_free(adapter);
        return logits;
}

START_TEST(what_an_adapter_does)
{
        const struct pair zero = { 0 }, full = { .b_value = 1 },
                          half = { .b_value = 1, .alpha = RANK / 2.0f };
        const struct pair halved = { .b_value = 0.5f }, f16 = { .b_value = 1, .dtype = QVF_F16 };
        const struct pair no_alpha = { .b_value = 1, .no_alpha = true };
        struct qvf_compute compute = test_compute(NULL, 1);
        struct qvf_model *model = test_model(&compute, "tiny-silu.TQ2_0");
        size_t bytes = N_TOKENS * model->info->vocabulary_size * sizeof(float);
        float *plain = test_forward(model, NULL, tokens, N_TOKENS);
        float *same = adapted(model, &zero), *one = adapted(model, &full), *a = adapted(model, &half);
        float *b = adapted(model, &halved), *short_floats = adapted(model, &f16),
              *bare = adapted(model, &no_alpha);

        ck_assert(memcmp(plain, same, bytes) == 0);       /* B = 0 changes nothing */
        ck_assert(memcmp(plain, one, bytes) != 0);        /* another does */
        ck_assert(memcmp(a, b, bytes) == 0);              /* half of alpha is half of B */
        ck_assert(memcmp(one, short_floats, bytes) == 0); /* these numbers are the same in F16 */
        ck_assert(memcmp(one, bare, bytes) == 0);         /* no alpha: as alpha = rank */
        free(plain);
        free(same);
        free(one);
        free(a);
        free(b);
        free(short_floats);
        free(bare);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}
END_TEST

QVF_SUITE("adapter", 60, what_does_not_fit_is_refused, what_an_adapter_does)
