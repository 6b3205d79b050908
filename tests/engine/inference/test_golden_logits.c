/* SPDX-License-Identifier: Apache-2.0 */
/* Logits against the independent reference, with and without an adapter, at every level of the CPU backend. */
#include <string.h>

#include "engine/inference/context.h"
#include "tests/support/compute.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

static float *logits_of(struct qvf_model *model, const struct test_golden *golden,
                const struct qvf_adapter *adapter, uint32_t batch_rows)
{
        const struct qvf_context_options options = {
                .context_length = 128,
                .kv_f32 = true, /* the reference keeps no cache at all */
                .batch_rows = batch_rows,
                .output_rows = batch_rows,
        };
        const struct qvf_adapter_choice choice = { adapter, 1 };
        uint32_t vocabulary = model->info->vocabulary_size, sequence, n;
        float *logits = calloc((size_t)golden->n_tokens * vocabulary, sizeof(*logits));
        struct qvf_context *context = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_context_new(model, &options, &context, &error) == 0, "%s", error.text);
        ck_assert_int_eq(qvf_context_open(context, &choice, adapter ? 1 : 0, &sequence, &error), 0);
        for (uint32_t at = 0; at < golden->n_tokens; at += n) {
                struct qvf_piece piece = { sequence, golden->tokens + at, 0, QVF_OUTPUTS_ALL };

                n = golden->n_tokens - at < batch_rows ? golden->n_tokens - at : batch_rows;
                piece.n_tokens = n;
                ck_assert_msg(qvf_context_run(context, &piece, 1, &error) == 0, "%s", error.text);
                for (uint32_t i = 0; i < n; i++)
                        memcpy(logits + (size_t)(at + i) * vocabulary, qvf_context_logits(context, i),
                                        vocabulary * sizeof(*logits));
        }
        qvf_context_free(context);
        return logits;
}

static void check_model(const char *name, const char *file, const char *level)
{
        struct qvf_compute compute = test_compute(level, 2);
        struct qvf_model *model = test_model(&compute, file);
        struct test_golden *golden = test_golden_new(name);
        struct qvf_adapter *adapter = NULL;
        struct qvf_error error = { 0 };
        static const uint32_t batches[] = { 96, 7, 1 };
        double most = 3 * golden->logits_distance;

        /* Another order of sums than any level of the CPU's flips other rounding ties; one moves logits by 0.2 %. */
        if (!test_on_cpu() && most < 5e-3)
                most = 5e-3;
        ck_assert_msg(qvf_adapter_new(model, golden->adapter, &adapter, &error) == 0, "%s", error.text);
        for (int with = 0; with < 2; with++) {
                uint64_t count;
                const float *wanted = test_golden_numbers(golden, with ? "logits.lora" : "logits", &count);

                for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
                        float *logits = logits_of(model, golden, with ? adapter : NULL, batches[i]);
                        double distance = test_distance(logits, wanted, count);

                        printf("%s %s%s, %u rows a batch: distance %.3g (float32 has %.3g)\n", file,
                                        level ? level : "best", with ? ", adapter" : "", batches[i],
                                        distance, golden->logits_distance);
                        ck_assert_double_le(distance, most);
                        free(logits);
                }
        }
        qvf_adapter_free(adapter);
        test_golden_free(golden);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}

enum { LEVELS = 7 };
static const char *const levels[LEVELS] = { "plain", "sse", "avx2", "avxvnni", "avx512", "amx-model", NULL };

START_TEST(silu)
{
        if (test_level_applies(levels[_i]))
                check_model("tiny-silu", "tiny-silu.TQ2_0", levels[_i]);
}
END_TEST

START_TEST(relu2)
{
        if (test_level_applies(levels[_i]))
                check_model("tiny-relu2", "tiny-relu2.TQ2_0", levels[_i]);
}
END_TEST

static void check_both_types(const char *level)
{
        struct qvf_compute compute = test_compute(level, 2);
        struct qvf_model *two = test_model(&compute, "tiny-relu2.TQ2_0");
        struct qvf_model *one = test_model(&compute, "tiny-relu2.TQ1_0");
        struct test_golden *golden = test_golden_new("tiny-relu2");
        size_t count = (size_t)golden->n_tokens * two->info->vocabulary_size;

        for (uint32_t rows = 1; rows <= 96; rows += 95) {
                float *a = logits_of(one, golden, NULL, rows), *b = logits_of(two, golden, NULL, rows);

                ck_assert(memcmp(a, b, count * sizeof(*a)) == 0);
                free(a);
                free(b);
        }
        test_golden_free(golden);
        qvf_model_free(one);
        qvf_model_free(two);
        compute.backend->device_close(compute.device);
}

START_TEST(both_ternary_types_give_the_same_bits)
{
        if (test_level_applies(levels[_i]))
                check_both_types(levels[_i]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("golden logits");
        TCase *tcase = tcase_create("golden logits");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 120);
        tcase_add_loop_test(tcase, silu, 0, LEVELS);
        tcase_add_loop_test(tcase, relu2, 0, LEVELS);
        tcase_add_loop_test(tcase, both_ternary_types_give_the_same_bits, 0, LEVELS);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
