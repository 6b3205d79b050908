/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/forward.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

float *test_forward(struct qvf_model *model, const struct qvf_adapter *adapter, const int32_t *tokens,
                uint32_t n_tokens)
{
        const struct qvf_context_options options = {
                .context_length = 64, .kv_f32 = true, .batch_rows = n_tokens, .output_rows = n_tokens
        };
        const struct qvf_adapter_choice choice = { adapter, 1 };
        uint32_t vocabulary = model->info->vocabulary_size;
        float *logits = calloc((size_t)n_tokens * vocabulary, sizeof(*logits));
        struct qvf_piece piece = { 0, tokens, n_tokens, QVF_OUTPUTS_ALL };
        struct qvf_context *context = NULL;
        struct qvf_error error = { 0 };

        ck_assert_ptr_nonnull(logits);
        ck_assert_msg(qvf_context_new(model, &options, &context, &error) == 0, "%s", error.text);
        ck_assert_int_eq(qvf_context_open(context, &choice, adapter ? 1 : 0, &piece.sequence, &error), 0);
        ck_assert_msg(qvf_context_run(context, &piece, 1, &error) == 0, "%s", error.text);
        for (uint32_t i = 0; i < n_tokens; i++)
                memcpy(logits + (size_t)i * vocabulary, qvf_context_logits(context, i),
                                vocabulary * sizeof(*logits));
        qvf_context_free(context);
        return logits;
}
