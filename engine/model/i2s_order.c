/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "engine/model/model_private.h"

/* One matrix may show either order by chance (see CORRELATION_LEAST in i2s.c): so many more must speak for one. */
#define LEAD_ENOUGH 3

/* Votes that are sure count 1 for ARM and -1 for x86. */
static int vote(const struct qvf_linear_source *source, int *lead, struct qvf_error *error)
{
        const struct qvf_gguf_tensor *tensor = source->weight->tensor, *norm = source->norm;
        const float *hint =
                        norm && norm->dtype == QVF_F32 && norm->ne[0] == tensor->ne[0] ? norm->data : NULL;
        struct qvf_i2s_guess guess;
        int r = qvf_i2s_guess_order(tensor->data, tensor->ne[1], tensor->ne[0], hint, &guess);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return qvf_error_set(
                                error, r, "tensor %s is in no order of I2_S that is known", tensor->name);
        if (guess.sure)
                *lead += guess.order == QVF_I2S_ARM ? 1 : -1;
        return 0;
}

int qvf_model_decide_i2s_order(
                const struct qvf_model_info *info, enum qvf_i2s_order *order, struct qvf_error *error)
{
        struct qvf_linear_source sources[QVF_MODULES];
        bool any = false;
        int lead = 0;

        if (*order != QVF_I2S_AUTO)
                return 0;
        for (uint32_t i = 0; i < info->n_layers && abs(lead) < LEAD_ENOUGH; i++) {
                qvf_linear_sources(&info->layers[i], sources);
                for (unsigned k = 0; k < QVF_MODULES && abs(lead) < LEAD_ENOUGH; k++) {
                        int r;

                        if (sources[k].weight->tensor->dtype != QVF_I2_S)
                                continue;
                        any = true;
                        r = vote(&sources[k], &lead, error);
                        if (r < 0)
                                return r;
                }
        }
        if (!any)
                return 0;
        /* The files that are published were written on x86. */
        *order = lead > 0 ? QVF_I2S_ARM : QVF_I2S_X86;
        qvf_log(QVF_LOG_INFO, "%s: I2_S weights are read in the order of %s, %s", qvf_gguf_name(info->gguf),
                        qvf_i2s_order_name(*order),
                        lead != 0 ? "which suits the norms" : "which is assumed: the file does not say");
        return 0;
}
