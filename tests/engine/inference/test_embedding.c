/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/embedding.h"

#include <errno.h>
#include <math.h>

#include "tests/support/compute.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

/* Whatever the batches, and equal to what the head sees: logits = head · hidden. */
START_TEST(pooled_hidden_states)
{
        struct qvf_compute compute = test_compute(NULL, 2);
        struct qvf_model *model = test_model(&compute, "tiny-relu2.TQ2_0");
        struct test_golden *golden = test_golden_new("tiny-relu2");
        uint32_t dim = model->info->dim;
        float *vectors[4];
        struct qvf_error error = { 0 };
        double sum = 0;

        for (int i = 0; i < 4; i++) {
                struct qvf_context_options options = {
                        .context_length = 128,
                        .kv_f32 = true,
                        .batch_rows = i % 2 ? 96 : 11,
                        .output_rows = i % 2 ? 96 : 5,
                        .hidden = true,
                        .no_logits = true,
                };
                struct qvf_context *context;

                vectors[i] = calloc(dim, sizeof(float));
                ck_assert_msg(qvf_context_new(model, &options, &context, &error) == 0, "%s", error.text);
                ck_assert_msg(qvf_embed(context, golden->tokens, 40,
                                              i < 2 ? QVF_POOLING_MEAN : QVF_POOLING_LAST, i >= 2,
                                              vectors[i], &error) == 0,
                                "%s", error.text);
                ck_assert_int_eq(qvf_embed(context, golden->tokens, 0, QVF_POOLING_MEAN, true, vectors[i],
                                                 &error),
                                -EINVAL);
                qvf_context_free(context);
        }
        ck_assert_double_le(test_distance(vectors[0], vectors[1], dim), 1e-5);
        ck_assert_double_le(test_distance(vectors[2], vectors[3], dim), 1e-5);
        for (uint32_t i = 0; i < dim; i++)
                sum += (double)vectors[2][i] * vectors[2][i];
        ck_assert_double_eq_tol(sum, 1, 1e-5);
        ck_assert_double_ge(test_distance(vectors[0], vectors[2], dim), 1e-2);
        for (int i = 0; i < 4; i++)
                free(vectors[i]);
        test_golden_free(golden);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}
END_TEST

QVF_SUITE("embedding", 60, pooled_hidden_states)
