/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/embedding.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"

static int add_up(struct qvf_context *context, uint32_t sequence, const int32_t *tokens, uint32_t n_tokens,
                enum qvf_pooling pooling, double *sum, struct qvf_error *error)
{
        const struct qvf_context_options *options = qvf_context_options(context);
        uint32_t dim = qvf_context_model(context)->info->dim;
        uint32_t step = pooling == QVF_POOLING_MEAN ? options->output_rows : options->batch_rows;

        for (uint32_t at = 0; at < n_tokens; at += step) {
                struct qvf_piece piece = {
                        .sequence = sequence,
                        .tokens = tokens + at,
                        .n_tokens = (uint32_t)qvf_min_u64(step, n_tokens - at),
                        .outputs = pooling == QVF_POOLING_MEAN ? QVF_OUTPUTS_ALL : QVF_OUTPUTS_LAST,
                };
                int r = qvf_context_run(context, &piece, 1, error);

                if (r < 0)
                        return r;
                if (pooling == QVF_POOLING_LAST)
                        memset(sum, 0, dim * sizeof(*sum));
                for (uint32_t row = 0; row < qvf_context_outputs(context); row++)
                        for (uint32_t i = 0; i < dim; i++)
                                sum[i] += (double)qvf_context_hidden(context, row)[i];
        }
        return 0;
}

int qvf_embed(struct qvf_context *context, const int32_t *tokens, uint32_t n_tokens,
                enum qvf_pooling pooling, bool unit, float *ret_vector, struct qvf_error *error)
{
        uint32_t dim = qvf_context_model(context)->info->dim, sequence;
        _cleanup_free_ double *sum = calloc(dim, sizeof(*sum));
        double length = 0, factor;
        int r;

        if (!sum)
                return -ENOMEM;
        if (!qvf_context_options(context)->hidden)
                return qvf_error_set(error, -EINVAL, "this context gives no hidden states");
        if (n_tokens == 0)
                return qvf_error_set(error, -EINVAL, "the text is empty");
        r = qvf_context_open(context, NULL, 0, &sequence, error);
        if (r < 0)
                return r;
        r = add_up(context, sequence, tokens, n_tokens, pooling, sum, error);
        qvf_context_close(context, sequence);
        if (r < 0)
                return r;
        factor = pooling == QVF_POOLING_MEAN ? 1.0 / n_tokens : 1;
        for (uint32_t i = 0; i < dim; i++)
                length += sum[i] * sum[i] * factor * factor;
        if (unit && length > 0)
                factor /= sqrt(length);
        for (uint32_t i = 0; i < dim; i++)
                ret_vector[i] = (float)(sum[i] * factor);
        return 0;
}
