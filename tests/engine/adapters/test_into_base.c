/* SPDX-License-Identifier: Apache-2.0 */
/* An adapter inside a dense base: the numbers, all that must stay as it was, and what the engine makes of the file. */
#include <errno.h>
#include <fcntl.h>

#include "engine/adapters/into_base.h"
#include "engine/files/dtype.h"
#include "engine/inference/context.h"
#include "tests/engine/adapters/adapter_helper.h"
#include "tests/support/compute.h"
#include "tests/support/golden.h"

/* Of whole blocks of every format. */
static const struct gguf_model_shape shape = {
        .architecture = "bitnet",
        .n_layers = 2,
        .dim = 256,
        .ffn_dim = 512,
        .n_heads = 4,
        .n_kv_heads = 2,
        .vocabulary = 40,
        .sub_norms = true,
        .linear = QVF_TQ2_0,
        .embedding = QVF_F16,
};

struct base {
        struct qvf_gguf *gguf;
        struct qvf_model_info *info;
};

static void base_exit(struct base *base)
{
        qvf_model_info_free(base->info);
        qvf_gguf_free(base->gguf);
}

static struct base make_base(const struct gguf_model_shape *of)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        struct qvf_error error = { 0 };
        struct base base = { 0 };

        gguf_add_u32(&builder, "general.file_type", 37);
        gguf_add_string(&builder, "general.name", "a base");
        gguf_add_model(&builder, of, 1);
        ck_assert_msg(gguf_builder_open(&builder, &base.gguf, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_model_info_new(base.gguf, &base.info, &error) == 0, "%s", error.text);
        return base;
}

/* For the base's matrices; the last layer has no ffn_down. */
static struct qvf_adapter_file *adapter_for(const struct qvf_model_info *info, float size)
{
        struct qvf_adapter_file *file = NULL;
        struct qvf_random random;
        struct qvf_error error = { 0 };

        qvf_random_seed(&random, 7);
        ck_assert_int_eq(qvf_adapter_file_new(info->architecture_name, info->n_layers, &file), 0);
        for (uint32_t i = 0; i + 1 < info->n_layers * QVF_MODULES; i++) {
                uint32_t inputs, outputs;
                float *b;

                qvf_adapter_module_shape(info, i % QVF_MODULES, &inputs, &outputs);
                file->matrices[i].alpha = 8;
                fill_random(&file->matrices[i].a, 3, inputs, QVF_F32, &random);
                fill_random(&file->matrices[i].b, outputs, 3, QVF_F32, &random);
                b = file->matrices[i].b.owned;
                for (uint32_t k = 0; k < 3 * outputs; k++)
                        b[k] *= size;
        }
        ck_assert_int_eq(qvf_adapter_file_check(file, &error), 0);
        return file;
}

static struct base into(const struct base *base, const struct qvf_adapter_file *file, enum qvf_dtype dtype,
                float scale, struct qvf_into_base_report *report)
{
        const struct qvf_into_base_options options = { dtype, scale, QVF_I2S_X86 };
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct base merged = { 0 };
        struct qvf_error error = { 0 };
        const char *name = "merged.gguf";

        ck_assert_msg(qvf_into_base_write(base->info, file, &options, fd, report, &error) == 0, "%s",
                        error.text);
        ck_assert_msg(qvf_gguf_open_fds(&fd, &name, 1, &merged.gguf, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_model_info_new(merged.gguf, &merged.info, &error) == 0, "%s", error.text);
        return merged;
}

static const struct qvf_model_weight *weight_of(const struct qvf_model_info *info, uint32_t index)
{
        const struct qvf_model_layer *layer = &info->layers[index / QVF_MODULES];
        const struct qvf_model_weight *weights[QVF_MODULES] = { &layer->attn_q, &layer->attn_k,
                &layer->attn_v, &layer->attn_output, &layer->ffn_gate, &layer->ffn_up, &layer->ffn_down };

        return weights[index % QVF_MODULES];
}

/* W·s + scale·B·A in double, from a base whose weights are F32. */
static double *wanted_of(
                const struct base *plain, const struct qvf_adapter_file *file, uint32_t index, double scale)
{
        const struct qvf_model_weight *weight = weight_of(plain->info, index);
        uint64_t columns = weight->tensor->ne[0], rows = weight->tensor->ne[1];
        const struct qvf_adapter_matrix *matrix = &file->matrices[index];
        double *wanted = calloc(rows * columns, sizeof(*wanted));

        ck_assert_ptr_nonnull(wanted);
        scale *= qvf_adapter_file_scale(file, matrix);
        for (uint64_t i = 0; i < rows; i++)
                for (uint64_t j = 0; j < columns; j++) {
                        wanted[i * columns + j] =
                                        (double)((const float *)weight->tensor->data)[i * columns + j] *
                                        (double)weight->scale;
                        for (uint32_t k = 0; k < matrix->rank; k++)
                                wanted[i * columns + j] +=
                                                scale *
                                                (double)((const float *)matrix->b.data)[i * matrix->rank +
                                                                                        k] *
                                                (double)((const float *)matrix->a.data)[k * columns + j];
                }
        return wanted;
}

static double weights_distance(const struct base *plain, const struct qvf_adapter_file *file, double scale,
                const struct base *merged)
{
        double difference = 0, size = 0;

        for (uint32_t index = 0; index < plain->info->n_layers * QVF_MODULES; index++) {
                _cleanup_free_ double *wanted = wanted_of(plain, file, index, scale);
                const struct qvf_gguf_tensor *tensor = weight_of(merged->info, index)->tensor;
                float row[512];
                uint64_t bytes;

                ck_assert_float_eq(weight_of(merged->info, index)->scale, 1);
                ck_assert_int_eq(qvf_dtype_row_bytes(tensor->dtype, tensor->ne[0], &bytes), 0);
                for (uint64_t i = 0; i < tensor->ne[1]; i++) {
                        ck_assert_int_eq(qvf_dtype_dequantise_row(tensor->dtype,
                                                         (const uint8_t *)tensor->data + i * bytes, row,
                                                         tensor->ne[0]),
                                        0);
                        for (uint64_t j = 0; j < tensor->ne[0]; j++) {
                                double distance = (double)row[j] - wanted[i * tensor->ne[0] + j];

                                difference += distance * distance;
                                size += wanted[i * tensor->ne[0] + j] * wanted[i * tensor->ne[0] + j];
                        }
                }
        }
        return sqrt(difference / size);
}

START_TEST(numbers_of_every_base_format)
{
        static const enum qvf_dtype linears[] = { QVF_TQ2_0, QVF_TQ1_0, QVF_I2_S, QVF_F32, QVF_F16, QVF_BF16,
                QVF_Q8_0 };
        static const struct {
                enum qvf_dtype dtype;
                double distance;
                uint32_t file_type;
        } outputs[] = { { QVF_F32, 1e-6, 0 }, { QVF_F16, 3e-4, 1 }, { QVF_Q8_0, 6e-3, 7 } };

        for (unsigned i = 0; i < sizeof(linears) / sizeof(linears[0]); i++)
                for (unsigned k = 0; k < 3; k++) {
                        struct gguf_model_shape plain_shape = shape, packed_shape = shape;
                        _cleanup_(base_exit) struct base plain = { 0 };
                        _cleanup_(base_exit) struct base packed = { 0 };
                        _cleanup_(base_exit) struct base merged = { 0 };
                        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
                        struct qvf_into_base_report report;
                        uint32_t file_type;
                        double distance;

                        plain_shape.linear = QVF_F32;
                        packed_shape.linear = linears[i];
                        plain_shape.scales = packed_shape.scales = k != 0;
                        plain = make_base(&plain_shape);
                        packed = make_base(&packed_shape);
                        file = adapter_for(plain.info, 0.1f);
                        merged = into(&packed, file, outputs[k].dtype, 0.5f, &report);
                        distance = weights_distance(&plain, file, 0.5, &merged);
                        /* Q8_0 itself holds ±s only nearly. */
                        ck_assert_msg(distance <= outputs[k].distance + (linears[i] == QVF_Q8_0 ? 1e-4 : 0),
                                        "%s to %s: %g", qvf_dtype_name(linears[i]),
                                        qvf_dtype_name(outputs[k].dtype), distance);
                        ck_assert_int_eq(
                                        qvf_gguf_get_u32(merged.gguf, "general.file_type", &file_type, NULL),
                                        0);
                        ck_assert_uint_eq(file_type, outputs[k].file_type);
                        ck_assert_uint_eq(report.n_adapted, 13);
                        ck_assert_uint_eq(report.n_unadapted, 1);
                        ck_assert_uint_eq(report.n_as_f16, 0);
                }
}
END_TEST

START_TEST(everything_else_stays)
{
        struct gguf_model_shape with_scales = shape;
        struct qvf_into_base_report report;
        _cleanup_(base_exit) struct base base = { 0 };
        _cleanup_(base_exit) struct base merged = { 0 };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        uint32_t left_out = 0;

        with_scales.scales = true;
        with_scales.untied = true;
        base = make_base(&with_scales);
        file = adapter_for(base.info, 0.1f);
        merged = into(&base, file, QVF_F16, 1, &report);
        ck_assert_uint_eq(qvf_gguf_keys(base.gguf), qvf_gguf_keys(merged.gguf));
        for (uint32_t i = 0; i < qvf_gguf_tensors(base.gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(base.gguf, i);
                const struct qvf_gguf_tensor *other = qvf_gguf_find_tensor(merged.gguf, tensor->name);

                if (strstr(tensor->name, ".scale")) { /* they went into the matrices */
                        ck_assert_ptr_null(other);
                        left_out++;
                        continue;
                }
                ck_assert_ptr_nonnull(other);
                if (tensor->dtype == QVF_TQ2_0) {
                        ck_assert_uint_eq(other->dtype, QVF_F16);
                        continue;
                }
                ck_assert_uint_eq(other->dtype, tensor->dtype);
                ck_assert_uint_eq(other->size_bytes, tensor->size_bytes);
                ck_assert_mem_eq(other->data, tensor->data, tensor->size_bytes);
        }
        ck_assert_uint_eq(left_out, 14);
        ck_assert_uint_eq(qvf_gguf_tensors(merged.gguf) + 14, qvf_gguf_tensors(base.gguf));
}
END_TEST

/* Rows of 1bitLLM's xl model, 5460 weights, are no whole blocks of Q8_0. */
START_TEST(rows_that_are_no_blocks)
{
        struct gguf_model_shape odd = shape;
        struct qvf_into_base_report report;
        _cleanup_(base_exit) struct base base = { 0 };
        _cleanup_(base_exit) struct base merged = { 0 };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;

        odd.ffn_dim = 500;
        odd.linear = QVF_F32;
        base = make_base(&odd);
        file = adapter_for(base.info, 0.1f);
        merged = into(&base, file, QVF_Q8_0, 1, &report);
        ck_assert_uint_eq(report.n_as_f16, 2);
        ck_assert_uint_eq(weight_of(merged.info, QVF_FFN_DOWN)->tensor->dtype, QVF_F16);
        ck_assert_uint_eq(weight_of(merged.info, QVF_FFN_UP)->tensor->dtype, QVF_Q8_0);
        ck_assert_double_le(weights_distance(&base, file, 1, &merged), 6e-3);
}
END_TEST

static void expect(const struct base *base, const struct qvf_adapter_file *file, enum qvf_dtype dtype,
                float scale, int code, const char *words)
{
        const struct qvf_into_base_options options = { dtype, scale, QVF_I2S_AUTO };
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_error error = { 0 };
        int r = qvf_into_base_write(base->info, file, &options, fd, NULL, &error);

        ck_assert_msg(r == code, "%d instead of %d: %s", r, code, error.text);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
}

START_TEST(what_is_refused)
{
        _cleanup_(base_exit) struct base base = make_base(&shape);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = adapter_for(base.info, 0.1f);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *large = adapter_for(base.info, 1e6f);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *small = random_adapter(
                        "bitnet", 1, (const uint32_t[]){ 4, 0, 0, 0, 0, 0, 0 }, 1, QVF_F32, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *llama =
                        random_adapter("llama", 1, (const uint32_t[]){ 4, 0, 0, 0, 0, 0, 0 }, 1, QVF_F32, 1);
        _cleanup_close_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        const struct qvf_into_base_options options = { QVF_F16, 1, QVF_I2S_AUTO };
        struct qvf_error error = { 0 };

        expect(&base, file, QVF_TQ2_0, 1, -EINVAL,
                        "TQ2_0 has only -s, 0 and +s for a weight, and the sum of a ternary matrix and an "
                        "adapter has "
                        "other values: merge to F16 or Q8_0");
        expect(&base, file, QVF_TQ1_0, 1, -EINVAL, "TQ1_0 has only");
        expect(&base, file, QVF_I2_S, 1, -EINVAL, "I2_S has only");
        expect(&base, file, QVF_Q4_0, 1, -EINVAL, "Q4_0, expected F16, Q8_0 or F32");
        expect(&base, file, QVF_F16, NAN, -EINVAL, "the scale is no number");
        expect(&base, large, QVF_F16, 1, -ERANGE, "is too large for F16");
        expect(&base, large, QVF_Q8_0, 1e6f, -ERANGE, "is too large for Q8_0");
        expect(&base, small, QVF_F16, 1, -EINVAL,
                        "layer 0, attn_q: the adapter is for a matrix of 24 inputs and 24 outputs, the "
                        "model's has 256 "
                        "and 256");
        expect(&base, llama, QVF_F16, 1, -EINVAL, "for architecture \"llama\", the model is \"bitnet\"");
        if (full >= 0)
                ck_assert_int_eq(
                                qvf_into_base_write(base.info, file, &options, full, NULL, &error), -ENOSPC);
}
END_TEST

/* --- what the engine makes of it --- */

static float *logits_of(
                struct qvf_model *model, const struct test_golden *golden, const struct qvf_adapter *adapter)
{
        const struct qvf_context_options options = {
                .context_length = 128, .kv_f32 = true, .batch_rows = 96, .output_rows = 96
        };
        const struct qvf_adapter_choice choice = { adapter, 1 };
        uint32_t vocabulary = model->info->vocabulary_size, sequence;
        float *logits = calloc((size_t)golden->n_tokens * vocabulary, sizeof(*logits));
        struct qvf_context *context = NULL;
        struct qvf_error error = { 0 };

        ck_assert_ptr_nonnull(logits);
        ck_assert_msg(qvf_context_new(model, &options, &context, &error) == 0, "%s", error.text);
        ck_assert_int_eq(qvf_context_open(context, &choice, adapter ? 1 : 0, &sequence, &error), 0);
        for (uint32_t at = 0; at < golden->n_tokens; at += 96) {
                uint32_t n = golden->n_tokens - at < 96 ? golden->n_tokens - at : 96;
                struct qvf_piece piece = { sequence, golden->tokens + at, n, QVF_OUTPUTS_ALL };

                ck_assert_msg(qvf_context_run(context, &piece, 1, &error) == 0, "%s", error.text);
                for (uint32_t i = 0; i < n; i++)
                        memcpy(logits + (size_t)(at + i) * vocabulary, qvf_context_logits(context, i),
                                        vocabulary * sizeof(*logits));
        }
        qvf_context_free(context);
        return logits;
}

static float *merged_logits(const struct qvf_compute *compute, const struct qvf_model *base,
                const struct test_golden *golden, const struct qvf_adapter_file *file, enum qvf_dtype dtype)
{
        const struct qvf_into_base_options options = { dtype, 1, QVF_I2S_AUTO };
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_model *model = NULL;
        struct qvf_gguf *gguf = NULL;
        struct qvf_error error = { 0 };
        const char *name = "merged.gguf";
        float *logits;

        ck_assert_msg(qvf_into_base_write(base->info, file, &options, fd, NULL, &error) == 0, "%s",
                        error.text);
        ck_assert_msg(qvf_gguf_open_fds(&fd, &name, 1, &gguf, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_model_new(gguf, compute, NULL, &model, &error) == 0, "%s", error.text);
        logits = logits_of(model, golden, NULL);
        qvf_model_free(model);
        return logits;
}

START_TEST(merged_model_answers_nearly_as_base_and_adapter)
{
        struct qvf_compute compute = test_compute(NULL, 2);
        struct qvf_model *base = test_model(&compute, "tiny-silu.TQ2_0");
        struct test_golden *golden = test_golden_new("tiny-silu");
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        struct qvf_adapter *adapter = NULL;
        struct qvf_error error = { 0 };
        static const enum qvf_dtype dtypes[] = { QVF_F32, QVF_F16, QVF_Q8_0 };
        size_t count = (size_t)golden->n_tokens * base->info->vocabulary_size;
        float *without, *with;

        ck_assert_int_eq(qvf_adapter_file_from_gguf(golden->adapter, &file, &error), 0);
        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++)
                file->matrices[i].alpha *=
                                16; /* else it moves the logits less than 8 bits of activations do */
        ck_assert_int_eq(qvf_adapter_new_from_file(base, file, &adapter, &error), 0);
        without = logits_of(base, golden, NULL);
        with = logits_of(base, golden, adapter);
        printf("the adapter moves the logits by %.3g\n", test_distance(without, with, count));
        for (unsigned i = 0; i < 3; i++) {
                float *merged = merged_logits(&compute, base, golden, file, dtypes[i]);
                double distance = test_distance(merged, with, count);

                printf("%s: %.3g from base and adapter\n", qvf_dtype_name(dtypes[i]), distance);
                /* The activations' 8 bits are all that is left between them. */
                ck_assert_double_le(distance, 0.05);
                ck_assert_double_le(distance, 0.2 * test_distance(without, with, count));
                free(merged);
        }
        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++) {
                float *b;

                ck_assert_int_eq(qvf_adapter_numbers_allocate(&file->matrices[i].b, file->matrices[i].b.rows,
                                                 file->matrices[i].b.columns, &b),
                                0);
        }
        /* With B = 0 the dense matrices are found to be ternary: not a bit is different. */
        for (unsigned i = 0; i < 2; i++) {
                float *merged = merged_logits(&compute, base, golden, file, dtypes[i]);

                ck_assert_mem_eq(merged, without, count * sizeof(*merged));
                free(merged);
        }
        free(with);
        free(without);
        qvf_adapter_free(adapter);
        test_golden_free(golden);
        qvf_model_free(base);
        compute.backend->device_close(compute.device);
}
END_TEST

QVF_SUITE("into_base", 120, numbers_of_every_base_format, everything_else_stays, rows_that_are_no_blocks,
                what_is_refused, merged_model_answers_nearly_as_base_and_adapter)
