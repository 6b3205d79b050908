/* SPDX-License-Identifier: Apache-2.0 */
/* The gradients of whole training steps against differences of the loss, at random coordinates of random adapters on
 * random shapes, with the plain kernels.
 *
 * Quantised activations make the loss of a ternary model a staircase, whose slope is not what the straight-through
 * gradient is. So the models here have dense weights, where every formula of the way back but that one is at work; of
 * ternary models only what comes behind their last quantisation is asked: the last ffn_down. */
#include <math.h>
#include <string.h>

#include "engine/sampling/random.h"
#include "engine/training/trainer.h"
#include "tests/support/compute.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/suite.h"

#define SHAPES 10
#define COORDINATES 32
#define ROWS_MOST 40
#define VOCABULARY 280
#define STEP 4e-3f
/* Of all slopes together: a loss of about 6 is a float, so its mean is off by some 1e-7, and a slope by that over twice
 * the step. Measured: 3e-5 to 2e-4. */
#define NOISE 3e-4

struct check {
        struct qvf_random random;
        struct qvf_compute compute;
        struct qvf_model *model;
        struct qvf_lora *lora;
        struct qvf_trainer *trainer;
        struct qvf_train_rows rows;
        int32_t ids[ROWS_MOST], position[ROWS_MOST], first[ROWS_MOST], index[ROWS_MOST], target[ROWS_MOST];
};

static uint32_t between(struct check *c, uint32_t least, uint32_t most)
{
        return least + (uint32_t)(qvf_random_next(&c->random) % (most - least + 1));
}

static float spread(struct check *c, float most)
{
        return (float)(2 * qvf_random_uniform(&c->random) - 1) * most;
}

static struct gguf_model_shape random_shape(struct check *c)
{
        static const char *const architectures[] = { "bitnet", "bitnet-b1.58", "llama" };
        uint32_t kind = between(c, 0, 2), kv_heads = between(c, 1, 2);

        bool untied = between(c, 0, 1);

        return (struct gguf_model_shape){
                .architecture = architectures[kind],
                .n_layers = between(c, 1, 3),
                .dim = between(c, 9, 60),
                .ffn_dim = between(c, 9, 80),
                .n_heads = kv_heads * between(c, 1, 3),
                .n_kv_heads = kv_heads,
                .head_dim = 2 * between(c, 3, 12),
                .vocabulary = VOCABULARY,
                .rope_base = 10000,
                .untied = untied,
                .head_scale = untied ? (float)between(c, 0, 1) * 2.5f : 0,
                .sub_norms = kind < 2,
                .scales = between(c, 0, 1),
                .embedding = between(c, 0, 1) ? QVF_F16 : QVF_F32,
                .uneven = true,
                .dense = true,
                .scale = 0.3f,
        };
}

static void make_model(struct check *c, const struct gguf_model_shape *shape)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        struct qvf_error error = { 0 };
        struct qvf_gguf *gguf;

        gguf_add_tokenizer(&builder, shape->vocabulary);
        gguf_add_model(&builder, shape, between(c, 1, 1u << 30));
        ck_assert_msg(gguf_builder_open(&builder, &gguf, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_model_new(gguf, &c->compute, NULL, &c->model, &error) == 0, "%s", error.text);
}

/* Documents of random lengths; the loss looks at about two rows of three. */
static void make_rows(struct check *c)
{
        uint32_t n_rows = between(c, 2, ROWS_MOST), n_outputs = 0, start = 0;

        for (uint32_t i = 0; i < n_rows; i++) {
                if (between(c, 0, 9) == 0)
                        start = i;
                c->ids[i] = (int32_t)between(c, 0, VOCABULARY - 1);
                c->position[i] = (int32_t)(i - start);
                c->first[i] = (int32_t)start;
                if (between(c, 0, 2) == 0 && i > 0)
                        continue;
                c->index[n_outputs] = (int32_t)i;
                c->target[n_outputs++] = (int32_t)between(c, 0, VOCABULARY - 1);
        }
        c->rows = (struct qvf_train_rows){ n_rows, n_outputs, c->ids, c->position, c->first, c->index,
                c->target };
}

/* All of the adapter is random: with B zero nothing would come to A. */
static void fill_adapter(struct check *c)
{
        const struct qvf_backend *backend = c->compute.backend;
        float *numbers = malloc(c->lora->n_parameters * sizeof(*numbers));

        for (uint64_t i = 0; i < c->lora->n_parameters; i++)
                numbers[i] = spread(c, 0.3f);
        ck_assert_int_eq(backend->buffer_upload(c->lora->parameters.buffer, 0, numbers,
                                         c->lora->n_parameters * sizeof(*numbers)),
                        0);
        free(numbers);
}

static void make_trainer(struct check *c, const struct qvf_lora_options *options)
{
        const struct qvf_trainer_plan plan = {
                .rows = ROWS_MOST,
                .outputs = ROWS_MOST,
                .recomputed_layers = between(c, 0, c->model->info->n_layers),
                .recomputed_gates = c->model->info->dim % (c->model->info->n_layers + 1),
                .loss_rows = between(c, 1, 9),
                .loss_columns = between(c, 16, VOCABULARY),
        };
        const struct qvf_adamw_options adamw = { 0.9f, 0.999f, 1e-8f, 0 };
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_lora_new(c->model, options, &c->lora, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_trainer_new(c->lora, &plan, &adamw, &c->trainer, &error) == 0, "%s", error.text);
        fill_adapter(c);
        make_rows(c);
}

/* The mean loss with the same dropout each time. */
static double loss_of(struct check *c)
{
        struct qvf_train_result result;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_trainer_accumulate(c->trainer, &c->rows, 1 / (float)c->rows.n_outputs, 77, &result,
                                      &error) == 0,
                        "%s", error.text);
        return result.loss_sum / c->rows.n_outputs;
}

/* Where a coordinate of a random adapted matrix stands in the flat run. */
static uint64_t random_place(struct check *c)
{
        for (;;) {
                const struct qvf_lora_pair *pair =
                                &c->lora->pairs[between(c, 0, c->model->info->n_layers * QVF_MODULES - 1)];
                const struct qvf_value *value = between(c, 0, 1) ? &pair->a : &pair->b;

                if (pair->rank > 0)
                        return value->offset / sizeof(float) +
                               between(c, 0, value->rows * value->columns - 1);
        }
}

static double difference(struct check *c, uint64_t place, float step)
{
        const struct qvf_backend *backend = c->compute.backend;
        struct qvf_buffer *buffer = c->lora->parameters.buffer;
        double loss[2];
        float was, moved[2];

        ck_assert_int_eq(backend->buffer_download(buffer, place * 4, &was, sizeof(was)), 0);
        for (int side = 0; side < 2; side++) {
                moved[side] = side ? was - step : was + step;
                ck_assert_int_eq(backend->buffer_upload(buffer, place * 4, &moved[side], sizeof(was)), 0);
                loss[side] = loss_of(c);
        }
        ck_assert_int_eq(backend->buffer_upload(buffer, place * 4, &was, sizeof(was)), 0);
        return (loss[0] - loss[1]) / ((double)moved[0] - (double)moved[1]);
}

/* A difference is off by the curvature times step²: two of them know how much. */
static double slope_at(struct check *c, uint64_t place)
{
        return (4 * difference(c, place, STEP) - difference(c, place, 2 * STEP)) / 3;
}

static void compare(struct check *c, const char *what)
{
        const struct qvf_backend *backend = c->compute.backend;
        double error = 0, size = 0;
        float *gradients = malloc(c->lora->n_parameters * sizeof(*gradients));

        loss_of(c);
        ck_assert_int_eq(backend->buffer_download(c->lora->gradients.buffer, 0, gradients,
                                         c->lora->n_parameters * sizeof(*gradients)),
                        0);
        for (int i = 0; i < COORDINATES; i++) {
                uint64_t place = random_place(c);
                double gradient = (double)gradients[place], slope = slope_at(c, place);

                error += (slope - gradient) * (slope - gradient);
                size += slope * slope;
        }
        printf("%s: %u layers, %u wide, %u rows: off by %.2g of %.2g\n", what, c->model->info->n_layers,
                        c->model->info->dim, c->rows.n_rows, sqrt(error), sqrt(size));
        ck_assert_double_gt(sqrt(size), 10 * NOISE);
        ck_assert_double_le(sqrt(error), 2e-3 * sqrt(size) + NOISE);
        free(gradients);
        qvf_trainer_free(c->trainer);
        qvf_lora_free(c->lora);
        qvf_model_free(c->model);
}

static struct check *begin(uint64_t seed)
{
        struct check *c = calloc(1, sizeof(*c));

        ck_assert_ptr_nonnull(c);
        qvf_random_seed(&c->random, seed);
        c->compute = test_compute("plain", 1);
        return c;
}

static void end(struct check *c)
{
        c->compute.backend->device_close(c->compute.device);
        free(c);
}

START_TEST(dense_models)
{
        struct check *c = begin(1000 + (uint64_t)_i);
        struct gguf_model_shape shape = random_shape(c);
        struct qvf_lora_options options = { .alpha = 1 + (float)between(c, 0, 8) };

        make_model(c, &shape);
        options.rank_stabilised = between(c, 0, 1);
        options.dropout = between(c, 0, 1) ? 0.2f : 0;
        options.rank[between(c, 0, QVF_MODULES - 1)] = between(c, 1, 7);
        for (int i = 0; i < QVF_MODULES; i++)
                if (between(c, 0, 2) > 0)
                        options.rank[i] = between(c, 1, 7);
        make_trainer(c, &options);
        compare(c, shape.architecture);
        end(c);
}
END_TEST

START_TEST(last_matrix_of_ternary_models)
{
        struct check *c = begin(2000 + (uint64_t)_i);
        struct gguf_model_shape shape = random_shape(c);
        struct qvf_lora_options options = { .alpha = 4 };

        shape.dense = false;
        shape.n_layers = 1;
        shape.dim = 256;
        shape.ffn_dim = 256 * between(c, 1, 2);
        shape.n_heads = shape.n_kv_heads = 4;
        shape.head_dim = 64;
        shape.linear = between(c, 0, 1) ? QVF_TQ2_0 : QVF_TQ1_0;
        make_model(c, &shape);
        options.rank[QVF_FFN_DOWN] = between(c, 1, 7);
        make_trainer(c, &options);
        compare(c, "ternary");
        end(c);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("finite differences");
        TCase *tcase = tcase_create("finite differences");
        SRunner *runner = srunner_create(suite);
        int failed;

        setvbuf(stdout, NULL, _IOLBF, 0);
        tcase_set_timeout(tcase, 120);
        tcase_add_loop_test(tcase, dense_models, 0, SHAPES);
        tcase_add_loop_test(tcase, last_matrix_of_ternary_models, 0, 3);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
