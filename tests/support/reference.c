/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/reference.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "engine/files/dtype.h"

static float *dequantised(const struct qvf_gguf_tensor *tensor)
{
        uint64_t count = tensor->ne[0] * tensor->ne[1];
        float *values = calloc(count, sizeof(*values));

        ck_assert_ptr_nonnull(values);
        ck_assert_int_eq(qvf_dtype_dequantise_row(tensor->dtype, tensor->data, values, count), 0);
        return values;
}

static double *zeros(uint64_t count)
{
        double *values = calloc(count, sizeof(*values));

        ck_assert_ptr_nonnull(values);
        return values;
}

/* y = x / sqrt(mean(x²) + epsilon) * w */
static double *normalised(
                const double *x, uint32_t rows, const struct qvf_gguf_tensor *weight, double epsilon)
{
        uint64_t columns = weight->ne[0];
        double *y = zeros(rows * columns);
        float *w = dequantised(weight);

        for (uint32_t r = 0; r < rows; r++) {
                double sum = 0;

                for (uint64_t c = 0; c < columns; c++)
                        sum += x[r * columns + c] * x[r * columns + c];
                for (uint64_t c = 0; c < columns; c++)
                        y[r * columns + c] =
                                        x[r * columns + c] / sqrt(sum / (double)columns + epsilon) * w[c];
        }
        free(w);
        return y;
}

/* y = s · max|x|/127 · (W·q), q = clamp(round(x · 127 / max|x|), -128, 127); not quantised: y = s · (W·x) */
static double *product(const double *x, uint32_t rows, const struct qvf_model_weight *weight, bool quantised)
{
        uint64_t inputs = weight->tensor->ne[0], outputs = weight->tensor->ne[1];
        double *y = zeros(rows * outputs), *q = zeros(inputs);
        float *w = dequantised(weight->tensor);

        for (uint32_t r = 0; r < rows; r++) {
                double most = 1e-5;

                for (uint64_t c = 0; c < inputs; c++)
                        most = fmax(most, fabs(x[r * inputs + c]));
                for (uint64_t c = 0; c < inputs; c++)
                        q[c] = quantised ? rint(x[r * inputs + c] * (127 / most)) : x[r * inputs + c];
                for (uint64_t n = 0; n < outputs; n++) {
                        double sum = 0;

                        for (uint64_t c = 0; c < inputs; c++)
                                sum += w[n * inputs + c] * q[c];
                        y[r * outputs + n] = weight->scale * sum * (quantised ? most / 127 : 1);
                }
        }
        free(w);
        free(q);
        return y;
}

static void rotate(double *x, uint32_t rows, uint32_t heads, const struct qvf_model_info *info)
{
        float inverse[QVF_MODEL_HEAD_DIM_MOST / 2], magnitude;
        uint32_t half = info->rope_dims / 2;

        ck_assert_int_eq(qvf_rope_frequencies(info, inverse, &magnitude), 0);
        for (uint32_t r = 0; r < rows; r++)
                for (uint32_t h = 0; h < heads; h++)
                        for (uint32_t i = 0; i < half; i++) {
                                double *head = x + ((uint64_t)r * heads + h) * info->head_dim;
                                bool next = info->rope_pairing == QVF_ROPE_INTERLEAVED;
                                double *a = head + (next ? 2 * i : i),
                                       *b = head + (next ? 2 * i + 1 : i + half);
                                double c = magnitude * cos((double)r * inverse[i]), old = *a;
                                double s = magnitude * sin((double)r * inverse[i]);

                                *a = old * c - *b * s;
                                *b = old * s + *b * c;
                        }
}

/* Every row looks at the rows up to itself; heads share the keys and values of their group. */
static double *attention(const double *q, const double *k, const double *v, uint32_t rows,
                const struct qvf_model_info *info)
{
        uint32_t size = info->head_dim, heads = info->n_heads, group = info->n_heads / info->n_kv_heads;
        double *y = zeros((uint64_t)rows * heads * size), *weight = zeros(rows);

        for (uint32_t r = 0; r < rows; r++)
                for (uint32_t h = 0; h < heads; h++) {
                        const double *query = q + ((uint64_t)r * heads + h) * size;
                        double *out = y + ((uint64_t)r * heads + h) * size, sum = 0;

                        for (uint32_t t = 0; t <= r; t++) {
                                uint64_t at = ((uint64_t)t * info->n_kv_heads + h / group) * size;
                                double score = 0;

                                for (uint32_t i = 0; i < size; i++)
                                        score += query[i] * k[at + i];
                                weight[t] = exp(score / sqrt(size));
                                sum += weight[t];
                                for (uint32_t i = 0; i < size; i++)
                                        out[i] += weight[t] * v[at + i];
                        }
                        for (uint32_t i = 0; i < size; i++)
                                out[i] /= sum;
                }
        free(weight);
        return y;
}

static void add(double *x, double *more, uint64_t count)
{
        for (uint64_t i = 0; i < count; i++)
                x[i] += more[i];
        free(more);
}

static double *sub_normalised(double *x, uint32_t rows, const struct qvf_gguf_tensor *norm, double epsilon)
{
        double *y;

        if (!norm)
                return x;
        y = normalised(x, rows, norm, epsilon);
        free(x);
        return y;
}

/* x += O(subnorm(attn(norm(x)))) */
static void attend(double *x, uint32_t rows, const struct qvf_model_info *info,
                const struct qvf_model_layer *layer)
{
        double *n = normalised(x, rows, layer->attn_norm, info->norm_epsilon);
        double *q = product(n, rows, &layer->attn_q, true), *k = product(n, rows, &layer->attn_k, true);
        double *v = product(n, rows, &layer->attn_v, true), *y;

        rotate(q, rows, info->n_heads, info);
        rotate(k, rows, info->n_kv_heads, info);
        y = sub_normalised(attention(q, k, v, rows, info), rows, layer->attn_sub_norm, info->norm_epsilon);
        add(x, product(y, rows, &layer->attn_output, true), (uint64_t)rows * info->dim);
        free(n);
        free(q);
        free(k);
        free(v);
        free(y);
}

/* x += Down(subnorm(act(Gate·n) ∘ Up·n)), n = norm(x) */
static void feed_forward(double *x, uint32_t rows, const struct qvf_model_info *info,
                const struct qvf_model_layer *layer)
{
        double *n = normalised(x, rows, layer->ffn_norm, info->norm_epsilon);
        double *g = product(n, rows, &layer->ffn_gate, true), *u = product(n, rows, &layer->ffn_up, true);

        for (uint64_t i = 0; i < (uint64_t)rows * info->ffn_dim; i++) {
                double relu = fmax(g[i], 0);

                g[i] = u[i] *
                       (info->activation == QVF_ACTIVATION_RELU2 ? relu * relu : g[i] / (1 + exp(-g[i])));
        }
        g = sub_normalised(g, rows, layer->ffn_sub_norm, info->norm_epsilon);
        add(x, product(g, rows, &layer->ffn_down, true), (uint64_t)rows * info->dim);
        free(n);
        free(g);
        free(u);
}

float *reference_logits(const struct qvf_model_info *info, const int32_t *tokens, uint32_t n_tokens)
{
        const struct qvf_model_weight tied = { .tensor = info->token_embd, .scale = 1 };
        double *x = zeros((uint64_t)n_tokens * info->dim), *n, *y;
        uint64_t count = (uint64_t)n_tokens * info->vocabulary_size;
        float *embedding = dequantised(info->token_embd), *logits = calloc(count, sizeof(*logits));

        ck_assert_ptr_nonnull(logits);
        for (uint64_t r = 0; r < n_tokens; r++)
                for (uint64_t c = 0; c < info->dim; c++)
                        x[r * info->dim + c] = embedding[(uint64_t)tokens[r] * info->dim + c];
        for (uint32_t i = 0; i < info->n_layers; i++) {
                attend(x, n_tokens, info, &info->layers[i]);
                feed_forward(x, n_tokens, info, &info->layers[i]);
        }
        n = normalised(x, n_tokens, info->output_norm, info->norm_epsilon);
        y = product(n, n_tokens, info->tied ? &tied : &info->output, false);
        for (uint64_t i = 0; i < count; i++)
                logits[i] = (float)y[i];
        free(embedding);
        free(x);
        free(n);
        free(y);
        return logits;
}
