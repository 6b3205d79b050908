/* SPDX-License-Identifier: Apache-2.0 */
/* The frequencies of rotary position embedding, with the ways of stretching them to longer contexts. */
#include <errno.h>
#include <math.h>

#include "common/half.h"
#include "engine/files/dtype.h"
#include "engine/files/model_info.h"

/* The (fractional) pair whose wave turns `turns` times over the original context:
 * d/2 · ln(context / (turns · 2π)) / ln(base), from 2π · base^(2i/d) · turns = context. */
static double yarn_pair(const struct qvf_model_info *info, double turns)
{
        return info->rope_dims * log(info->rope_original_context / (turns * 2 * M_PI)) /
               (2 * log((double)info->rope_base));
}

int qvf_rope_frequencies(const struct qvf_model_info *info, float *ret_inverse, float *ret_magnitude)
{
        uint32_t n_pairs = info->rope_dims / 2;
        double factor = info->rope_factor, low = 0, high = 0, magnitude = info->rope_attn_factor;
        bool yarn = info->rope_scaling == QVF_ROPE_SCALING_YARN && info->rope_yarn_extrapolation > 0 &&
                    info->rope_base > 1;

        if (yarn) {
                /* Pairs below `low` turn often and stay as they are, those above `high` are stretched, those
                 * between are mixed. Peng et al., "YaRN", section 3.2, with its own rounding of the ends. */
                low = fmax(0, floor(yarn_pair(info, info->rope_yarn_beta_fast)));
                high = fmin(info->rope_dims - 1, ceil(yarn_pair(info, info->rope_yarn_beta_slow)));
                magnitude *= 1 + 0.1 * log(fmax(1, factor));
        }
        for (uint32_t i = 0; i < n_pairs; i++) {
                double inverse = pow((double)info->rope_base, -2.0 * i / info->rope_dims), mix = 0;
                float divisor = 1;

                if (info->rope_freqs) {
                        size_t bytes = info->rope_freqs->dtype == QVF_F32 ? 4 : 2;
                        int r = qvf_dtype_dequantise_row(info->rope_freqs->dtype,
                                        (const uint8_t *)info->rope_freqs->data + i * bytes, &divisor, 1);

                        if (r < 0)
                                return r;
                        if (!(divisor > 0 && isfinite(divisor)))
                                return -EINVAL;
                        inverse /= divisor;
                }
                if (yarn)
                        mix = (1 - fmin(1, fmax(0, (i - low) / fmax(0.001, high - low)))) *
                              info->rope_yarn_extrapolation;
                ret_inverse[i] = (float)(inverse / factor * (1 - mix) + inverse * mix);
        }
        *ret_magnitude = (float)magnitude;
        return 0;
}
