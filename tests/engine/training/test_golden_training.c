/* SPDX-License-Identifier: Apache-2.0 */
/* Loss, gradients and five AdamW steps against the independent reference, at every level of the CPU backend. */
#include <math.h>
#include <string.h>

#include "engine/training/trainer.h"
#include "tests/support/compute.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

struct bench {
        struct qvf_compute compute;
        struct qvf_model *model;
        struct test_golden *golden;
        struct qvf_lora *lora;
        struct qvf_trainer *trainer;
        int32_t position[256], first[256], output_index[256], target[256];
        struct qvf_train_rows rows;
};

/* What a plan gives up to need less memory. */
static const struct qvf_trainer_plan frugal[] = {
        { .halves = false },
        { .recomputed_layers = 1, .recomputed_gates = 1 },
        { .recomputed_layers = 2, .recomputed_gates = 2 },
        { .recomputed_gates = 2 },
        { .halves = true },
        { .halves = true, .recomputed_gates = 2 },
        { .halves = true, .recomputed_layers = 1, .recomputed_gates = 2 },
};
#define FRUGAL (sizeof(frugal) / sizeof(frugal[0]))

static void set_up(struct bench *b, const char *name, const char *level, const struct qvf_trainer_plan *less)
{
        struct qvf_error error = { 0 };
        struct qvf_lora_options options = { 0 };
        struct qvf_trainer_plan plan = *less;
        struct qvf_adamw_options adamw;
        char file[64];

        snprintf(file, sizeof(file), "%s.TQ2_0", name);
        b->compute = test_compute(level, 2);
        b->model = test_model(&b->compute, file);
        b->golden = test_golden_new(name);
        for (int i = 0; i < QVF_MODULES; i++)
                options.rank[i] = b->golden->rank;
        options.alpha = b->golden->alpha;
        b->rows = (struct qvf_train_rows){ b->golden->n_tokens, 0, b->golden->tokens, b->position, b->first,
                b->output_index, b->target };
        for (uint32_t i = 0; i < b->golden->n_tokens; i++) {
                b->position[i] = (int32_t)i;
                b->first[i] = 0;
                if (i + 1 < b->golden->n_tokens && b->golden->loss_mask[i]) {
                        b->output_index[b->rows.n_outputs] = (int32_t)i;
                        b->target[b->rows.n_outputs++] = b->golden->tokens[i + 1];
                }
        }
        plan.loss_rows = 7;
        plan.loss_columns = 100;
        plan.rows = b->golden->n_tokens;
        plan.outputs = b->rows.n_outputs;
        adamw = (struct qvf_adamw_options){ b->golden->beta1, b->golden->beta2, b->golden->epsilon,
                b->golden->weight_decay };
        ck_assert_msg(qvf_lora_new(b->model, &options, &b->lora, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_lora_load(b->lora, b->golden->adapter, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_trainer_new(b->lora, &plan, &adamw, &b->trainer, &error) == 0, "%s", error.text);
}

static void tear_down(struct bench *b)
{
        qvf_trainer_free(b->trainer);
        qvf_lora_free(b->lora);
        test_golden_free(b->golden);
        qvf_model_free(b->model);
        b->compute.backend->device_close(b->compute.device);
}

static double accumulate(struct bench *b)
{
        struct qvf_error error = { 0 };
        struct qvf_train_result result;

        ck_assert_msg(qvf_trainer_accumulate(b->trainer, &b->rows, 1 / (float)b->rows.n_outputs, 1, &result,
                                      &error) == 0,
                        "%s", error.text);
        return result.loss_sum / b->rows.n_outputs;
}

/* The largest distance of any matrix from the reference's PREFIX.blk.… */
static double worst_distance(struct bench *b, const char *prefix, bool gradients)
{
        double worst = 0;

        for (uint32_t i = 0; i < 2 * b->model->info->n_layers * QVF_MODULES; i++) {
                const struct qvf_lora_pair *pair = &b->lora->pairs[i / 2];
                const struct qvf_value *value = i % 2 ? (gradients ? &pair->b_gradient : &pair->b)
                                                      : (gradients ? &pair->a_gradient : &pair->a);
                uint64_t count, bytes = (uint64_t)value->rows * value->columns * sizeof(float);
                float *numbers = malloc(bytes);
                const float *wanted;
                char name[128];
                double distance;

                snprintf(name, sizeof(name), "%s.blk.%u.%s.weight.lora_%c", prefix, i / 2 / QVF_MODULES,
                                qvf_module_name(i / 2 % QVF_MODULES), i % 2 ? 'b' : 'a');
                wanted = test_golden_numbers(b->golden, name, &count);
                ck_assert_uint_eq(count * sizeof(float), bytes);
                ck_assert_int_eq(b->compute.backend->buffer_download(
                                                 value->buffer, value->offset, numbers, bytes),
                                0);
                distance = test_distance(numbers, wanted, count);
                if (distance > worst)
                        worst = distance;
                free(numbers);
        }
        return worst;
}

static void check(const char *name, const char *level, const struct qvf_trainer_plan *less)
{
        struct bench b = { 0 };
        struct qvf_error error = { 0 };
        double loss, norm, distance, most;

        set_up(&b, name, level, less);
        most = level && strcmp(level, "plain") == 0 && !less->halves ? 3 * b.golden->gradient_distance
                                                                     : 1e-2;
        loss = accumulate(&b);
        distance = worst_distance(&b, "grad", true);
        printf("%s %s, %u layers and %u gates recomputed%s: loss %.6f (%.6f), gradients off by %.3g (at "
               "most "
               "%.3g)\n",
                        name, level ? level : "best", less->recomputed_layers, less->recomputed_gates,
                        less->halves ? ", halves" : "", loss, b.golden->loss, distance, most);
        ck_assert_double_eq_tol(loss, b.golden->loss, 1e-3 * b.golden->loss);
        ck_assert_double_le(distance, most);
        ck_assert_int_eq(qvf_trainer_update(b.trainer, 1, b.golden->learning_rate, 0, &norm, &error), 0);
        ck_assert_double_eq_tol(norm, b.golden->gradient_norm, 1e-2 * b.golden->gradient_norm);
        tear_down(&b);
}

/* How much is computed again moves no bit of a gradient: a run may be resumed with another plan. */
static void check_same(const char *name, const char *level)
{
        float *first = NULL;

        for (size_t i = 0; i < FRUGAL; i++) {
                struct bench b = { 0 };
                uint64_t bytes;
                float *gradients;

                set_up(&b, name, level, &frugal[i]);
                accumulate(&b);
                bytes = b.lora->n_parameters * sizeof(float);
                gradients = malloc(bytes);
                ck_assert_int_eq(b.compute.backend->buffer_download(
                                                 b.lora->gradients.buffer, 0, gradients, bytes),
                                0);
                if (!first || frugal[i].halves != frugal[i - 1].halves) {
                        free(first);
                        first = gradients;
                } else {
                        ck_assert_msg(memcmp(first, gradients, bytes) == 0, "%s %s, plan %zu", name, level,
                                        i);
                        free(gradients);
                }
                tear_down(&b);
        }
        free(first);
}

static void check_curve(const char *name, const char *level)
{
        struct bench b = { 0 };
        struct qvf_error error = { 0 };
        double norm, distance;

        set_up(&b, name, level, &frugal[FRUGAL - 1]);
        for (uint32_t step = 0; step <= b.golden->n_steps; step++) {
                double loss = accumulate(&b);

                printf("%s %s step %u: loss %.6f (%.6f)\n", name, level ? level : "best", step, loss,
                                b.golden->loss_curve[step]);
                ck_assert_double_eq_tol(loss, b.golden->loss_curve[step], 2e-3 * b.golden->loss_curve[step]);
                if (step == b.golden->n_steps)
                        break;
                ck_assert_int_eq(qvf_trainer_update(b.trainer, step + 1, b.golden->learning_rate, 0, &norm,
                                                 &error),
                                0);
        }
        distance = worst_distance(&b, "final", false);
        printf("%s %s after %u steps: adapter off by %.3g\n", name, level ? level : "best",
                        b.golden->n_steps, distance);
        ck_assert_double_le(distance, 3e-2);
        tear_down(&b);
}

static const char *const names[] = { "tiny-silu", "tiny-relu2" };
enum { LEVELS = 7 };
static const char *const levels[LEVELS] = { "plain", "sse", "avx2", "avxvnni", "avx512", "amx-model", NULL };

START_TEST(gradients)
{
        if (test_level_applies(levels[_i % LEVELS]))
                check(names[_i / LEVELS % 2], levels[_i % LEVELS], &frugal[_i / (2 * LEVELS)]);
}
END_TEST

START_TEST(same_gradients)
{
        static const char *const own[] = { "plain", "avx512" };

        if (test_level_applies(own[_i % 2]))
                check_same(names[_i / 2], own[_i % 2]);
}
END_TEST

START_TEST(loss_curve)
{
        if (test_level_applies(levels[_i % LEVELS]))
                check_curve(names[_i / LEVELS], levels[_i % LEVELS]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("golden training");
        TCase *tcase = tcase_create("golden training");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 120);
        tcase_add_loop_test(tcase, gradients, 0, 2 * LEVELS * FRUGAL);
        tcase_add_loop_test(tcase, same_gradients, 0, 4);
        tcase_add_loop_test(tcase, loss_curve, 0, 2 * LEVELS);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
