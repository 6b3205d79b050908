/* SPDX-License-Identifier: Apache-2.0 */
/* Every level of the CPU backend gives a model's logits as plain does, but for the rounding of the head's products
 * (docs/arithmetic.md), and the same bits however many rows a batch has. */
#include <math.h>
#include <string.h>

#include "engine/inference/context.h"
#include "tests/support/compute.h"
#include "tests/support/suite.h"

struct subject {
        const char *model;
        uint32_t tokens;
};

/* The tiny ones go past a span of attention, which is 512 positions. */
static const struct subject subjects[] = {
        { "tiny-silu.TQ2_0", 530 },
        { "tiny-relu2.TQ1_0", 530 },
        { "helper-29m.TQ2_0", 64 },
};
static const uint32_t batches[] = { 96, 7, 1 };
/* The level sse has no fused product, and is not among them. */
static const char *const levels[] = { "avx2", "avxvnni", "avx512", "amx-model", NULL };

static float *logits_of(struct qvf_model *model, uint32_t n_tokens, uint32_t batch_rows)
{
        const struct qvf_context_options options = {
                .context_length = 576, .batch_rows = batch_rows, .output_rows = batch_rows
        };
        uint32_t vocabulary = model->info->vocabulary_size, sequence, n;
        float *logits = calloc((size_t)n_tokens * vocabulary, sizeof(*logits));
        int32_t *tokens = calloc(n_tokens, sizeof(*tokens));
        struct qvf_context *context = NULL;
        struct qvf_error error = { 0 };

        for (uint32_t i = 0; i < n_tokens; i++)
                tokens[i] = (int32_t)(((uint64_t)i * 2654435761u >> 7) % vocabulary);
        ck_assert_msg(qvf_context_new(model, &options, &context, &error) == 0, "%s", error.text);
        ck_assert_int_eq(qvf_context_open(context, NULL, 0, &sequence, &error), 0);
        for (uint32_t at = 0; at < n_tokens; at += n) {
                struct qvf_piece piece = { sequence, tokens + at, 0, QVF_OUTPUTS_ALL };

                n = n_tokens - at < batch_rows ? n_tokens - at : batch_rows;
                piece.n_tokens = n;
                ck_assert_msg(qvf_context_run(context, &piece, 1, &error) == 0, "%s", error.text);
                for (uint32_t i = 0; i < n; i++)
                        memcpy(logits + (size_t)(at + i) * vocabulary, qvf_context_logits(context, i),
                                        vocabulary * sizeof(*logits));
        }
        qvf_context_free(context);
        free(tokens);
        return logits;
}

static double log_of_sum(const float *logits, uint32_t count)
{
        double largest = -INFINITY, sum = 0;

        for (uint32_t i = 0; i < count; i++)
                largest = fmax(largest, logits[i]);
        for (uint32_t i = 0; i < count; i++)
                sum += exp(logits[i] - largest);
        return largest + log(sum);
}

/* The mean of Σ p log(p / q) over the rows. */
static double divergence(const float *p, const float *q, uint32_t rows, uint32_t vocabulary)
{
        double sum = 0;

        for (uint32_t r = 0; r < rows; r++, p += vocabulary, q += vocabulary) {
                double of_p = log_of_sum(p, vocabulary), of_q = log_of_sum(q, vocabulary);

                for (uint32_t i = 0; i < vocabulary; i++)
                        sum += exp(p[i] - of_p) * ((p[i] - of_p) - (q[i] - of_q));
        }
        return sum / rows;
}

static void check_level(const struct subject *subject, const char *level, const float *wanted)
{
        struct qvf_compute compute = test_compute(level, 2);
        struct qvf_model *model = test_model(&compute, subject->model);
        uint32_t vocabulary = model->info->vocabulary_size;
        float *first = NULL;

        for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
                float *logits = logits_of(model, subject->tokens, batches[i]);
                double kl = divergence(wanted, logits, subject->tokens, vocabulary);

                printf("%s %s, %u rows a batch: mean KL to plain %.2g\n", subject->model,
                                level ? level : "best", batches[i], kl);
                ck_assert_double_lt(kl, 1e-9);
                ck_assert(!first || memcmp(first, logits,
                                                    (size_t)subject->tokens * vocabulary *
                                                                    sizeof(*logits)) == 0);
                if (first)
                        free(logits);
                else
                        first = logits;
        }
        free(first);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}

static bool has_fused_products(void)
{
#ifdef __x86_64__
        return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
#else
        return true;
#endif
}

START_TEST(same_logits)
{
        const struct subject *subject = &subjects[_i];
        struct qvf_compute compute;
        struct qvf_model *model;
        float *wanted;

        if (!test_on_cpu() || !has_fused_products()) {
                printf("SKIP the same logits: another backend, or a CPU without fused products\n");
                return;
        }
        compute = test_compute("plain", 2);
        model = test_model(&compute, subject->model);
        wanted = logits_of(model, subject->tokens, batches[0]);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
                if (test_level_applies(levels[i]))
                        check_level(subject, levels[i], wanted);
        free(wanted);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("same logits");
        TCase *tcase = tcase_create("same logits");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 240);
        tcase_add_loop_test(tcase, same_logits, 0, (int)(sizeof(subjects) / sizeof(subjects[0])));
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
