/* SPDX-License-Identifier: Apache-2.0 */
/* Small adapters with random numbers, their files in memory, and their products. */
#ifndef QVF_TESTS_ENGINE_ADAPTERS_ADAPTER_HELPER_H
#define QVF_TESTS_ENGINE_ADAPTERS_ADAPTER_HELPER_H

#include <math.h>
#include <string.h>

#include "common/half.h"
#include "engine/adapters/gguf_adapter.h"
#include "engine/adapters/peft.h"
#include "engine/sampling/random.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/suite.h"

/* A base of 4 heads of 6, 2 of them for keys, and a feed-forward of 20. */
enum { HEADS = 4, KEY_HEADS = 2, HEAD = 6, DIM = 24, KEYS = 12, FFN = 20 };

static const struct {
        uint32_t inputs, outputs;
} small_shapes[QVF_MODULES] = { { DIM, DIM }, { DIM, KEYS }, { DIM, KEYS }, { DIM, DIM }, { DIM, FFN },
        { DIM, FFN }, { FFN, DIM } };

static inline void fill_random(struct qvf_adapter_numbers *numbers, uint32_t rows, uint32_t columns,
                enum qvf_dtype dtype, struct qvf_random *random)
{
        float *values;

        ck_assert_int_eq(qvf_adapter_numbers_allocate(numbers, rows, columns, &values), 0);
        for (uint32_t i = 0; i < rows * columns; i++) {
                float value = (float)(2 * qvf_random_uniform(random) - 1);

                if (dtype == QVF_F32)
                        values[i] = value;
                else
                        qvf_store_u16((uint8_t *)values + 2 * i,
                                        dtype == QVF_F16 ? qvf_f32_to_f16(value) : qvf_f32_to_bf16(value));
        }
        numbers->dtype = dtype;
}

/* ranks: of each module, 0 where it is not adapted. */
static inline struct qvf_adapter_file *random_adapter(const char *architecture, uint32_t n_layers,
                const uint32_t ranks[QVF_MODULES], float alpha, enum qvf_dtype dtype, uint64_t seed)
{
        struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };
        struct qvf_random random;

        qvf_random_seed(&random, seed);
        ck_assert_int_eq(qvf_adapter_file_new(architecture, n_layers, &file), 0);
        for (uint32_t i = 0; i < n_layers * QVF_MODULES; i++) {
                uint32_t module = i % QVF_MODULES, rank = ranks[module];

                if (rank == 0)
                        continue;
                file->matrices[i].alpha = alpha;
                fill_random(&file->matrices[i].a, rank, small_shapes[module].inputs, dtype, &random);
                fill_random(&file->matrices[i].b, small_shapes[module].outputs, rank, dtype, &random);
        }
        ck_assert_msg(qvf_adapter_file_check(file, &error) == 0, "%s", error.text);
        return file;
}

/* sum[i][j] += weight · scale · B·A */
static inline void add_product(
                const struct qvf_adapter_file *file, uint32_t index, double weight, double *sum)
{
        const struct qvf_adapter_matrix *matrix = &file->matrices[index];
        double scale;
        float a[64], b[64];

        if (index >= file->n_layers * QVF_MODULES || matrix->rank == 0)
                return;
        scale = weight * qvf_adapter_file_scale(file, matrix);
        for (uint32_t k = 0; k < matrix->rank; k++) {
                qvf_adapter_numbers_read(&matrix->a, (uint64_t)k * matrix->a.columns, matrix->a.columns, a);
                for (uint32_t i = 0; i < matrix->b.rows; i++) {
                        qvf_adapter_numbers_read(&matrix->b, (uint64_t)i * matrix->rank, matrix->rank, b);
                        for (uint32_t j = 0; j < matrix->a.columns; j++)
                                sum[i * matrix->a.columns + j] += scale * (double)b[k] * (double)a[j];
                }
        }
}

/* The largest relative distance of the products of one matrix. */
static inline double product_distance(
                const struct qvf_adapter_file *one, const struct qvf_adapter_file *other)
{
        double worst = 0;

        ck_assert_uint_eq(one->n_layers, other->n_layers);
        for (uint32_t index = 0; index < one->n_layers * QVF_MODULES; index++) {
                double x[DIM * DIM] = { 0 }, y[DIM * DIM] = { 0 }, difference = 0, size = 0;

                ck_assert_uint_eq(one->matrices[index].rank > 0, other->matrices[index].rank > 0);
                add_product(one, index, 1, x);
                add_product(other, index, 1, y);
                for (uint32_t i = 0; i < DIM * DIM; i++) {
                        difference += (x[i] - y[i]) * (x[i] - y[i]);
                        size += x[i] * x[i];
                }
                if (size > 0)
                        worst = fmax(worst, sqrt(difference / size));
        }
        return worst;
}

static inline struct qvf_text read_all(int fd)
{
        struct qvf_text text = { 0 };
        char buffer[4096];
        off_t at = 0;
        ssize_t n;

        while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
                ck_assert_int_eq(qvf_text_append(&text, buffer, (size_t)n), 0);
                at += n;
        }
        ck_assert_int_eq((int)n, 0);
        return text;
}

static inline struct qvf_text gguf_of(const struct qvf_adapter_file *file, enum qvf_adapter_dtype dtype)
{
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_adapter_file_write_gguf(file, dtype, fd, NULL, &error) == 0, "%s", error.text);
        return read_all(fd);
}

static inline struct qvf_adapter_file *from_gguf(const struct qvf_text *text)
{
        _cleanup_close_ int fd = gguf_memory_file(text->bytes, text->length);
        struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_adapter_file_open_gguf_fd(fd, "a.gguf", &file, &error) == 0, "%s", error.text);
        return file;
}

#endif
