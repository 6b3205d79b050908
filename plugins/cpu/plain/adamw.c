/* SPDX-License-Identifier: Apache-2.0 */
/* One step of AdamW on a run of numbers; ops.h has the formula.
 *
 * 8-bit state: a block of QVF_STATE_BLOCK numbers has one float scale, the largest magnitude in it. The
 * first moment is a signed byte k and means sign(k) (k / 127)² · scale; the second an unsigned byte k and
 * means (k / 255)⁴ · scale, so that small numbers, which stand under a square root in the divisor, keep
 * their precision; k is at least 1 where v > 0. */
#include <math.h>

#include "plugins/cpu/plain/plain.h"

enum { P, G, M, V, NORM2, M_SCALE, V_SCALE };

struct step {
        double gradient_factor, beta1, beta2, epsilon, decay, learning_rate, correction1, correction2;
};

static double update(const struct step *step, const float *p, double gradient, double *m, double *v)
{
        *m += (1 - step->beta1) * (gradient - *m);
        *v += (1 - step->beta2) * (gradient * gradient - *v);
        return *p -
               step->learning_rate *
                               (*m / step->correction1 / (sqrt(*v / step->correction2) + step->epsilon) +
                                               step->decay * *p);
}

static void block_f32(const struct cpu_operand *o, const struct step *step, uint64_t first, uint32_t count)
{
        float *p = (float *)o[P].data + first, *m = (float *)o[M].data + first,
              *v = (float *)o[V].data + first;
        const float *g = (const float *)o[G].data + first;

        for (uint32_t i = 0; i < count; i++) {
                double m_i = m[i], v_i = v[i];

                p[i] = (float)update(step, &p[i], g[i] * step->gradient_factor, &m_i, &v_i);
                m[i] = (float)m_i;
                v[i] = (float)v_i;
        }
}

static void store_block(const double *m, const double *v, uint32_t count, int8_t *m_codes, uint8_t *v_codes,
                float *m_scale, float *v_scale)
{
        double m_largest = 0, v_largest = 0;

        for (uint32_t i = 0; i < count; i++) {
                m_largest = fmax(m_largest, fabs(m[i]));
                v_largest = fmax(v_largest, v[i]);
        }
        *m_scale = (float)m_largest;
        *v_scale = (float)v_largest;
        for (uint32_t i = 0; i < count; i++) {
                double m_code = m_largest > 0 ? rint(127 * sqrt(fabs(m[i]) / m_largest)) : 0;
                double v_code = v_largest > 0 ? rint(255 * sqrt(sqrt(v[i] / v_largest))) : 0;

                m_codes[i] = (int8_t)(m[i] < 0 ? -m_code : m_code);
                v_codes[i] = (uint8_t)(v[i] > 0 && v_code < 1 ? 1 : v_code);
        }
}

static void block_u8(const struct cpu_operand *o, const struct step *step, uint64_t first, uint32_t count)
{
        float *p = (float *)o[P].data + first;
        const float *g = (const float *)o[G].data + first;
        int8_t *m_codes = (int8_t *)o[M].data + first;
        uint8_t *v_codes = (uint8_t *)o[V].data + first;
        float *m_scale = (float *)o[M_SCALE].data + first / QVF_STATE_BLOCK;
        float *v_scale = (float *)o[V_SCALE].data + first / QVF_STATE_BLOCK;
        double m[QVF_STATE_BLOCK], v[QVF_STATE_BLOCK];

        for (uint32_t i = 0; i < count; i++) {
                double m_root = m_codes[i] / 127.0, v_root = v_codes[i] / 255.0;

                m[i] = m_root * fabs(m_root) * *m_scale;
                v[i] = v_root * v_root * v_root * v_root * *v_scale;
                p[i] = (float)update(step, &p[i], g[i] * step->gradient_factor, &m[i], &v[i]);
        }
        store_block(m, v, count, m_codes, v_codes, m_scale, v_scale);
}

void plain_adamw(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        const struct qvf_args *args = call->args;
        const float *f = call->op->f;
        double norm = sqrt((double)*(const float *)o[NORM2].data);
        struct step step = {
                .gradient_factor = args->clip > 0 && norm > args->clip ? args->clip / norm : 1,
                .beta1 = f[0],
                .beta2 = f[1],
                .epsilon = f[2],
                .decay = f[3],
                .learning_rate = args->learning_rate,
                .correction1 = 1 - pow(f[0], args->step),
                .correction2 = 1 - pow(f[1], args->step),
        };
        uint64_t count = plain_count(&o[P]);
        uint32_t begin, end;

        if (!isfinite(norm))
                return;
        cpu_share(call, (uint32_t)((count + QVF_STATE_BLOCK - 1) / QVF_STATE_BLOCK), 1, &begin, &end);
        for (uint32_t block = begin; block < end; block++) {
                uint64_t first = (uint64_t)block * QVF_STATE_BLOCK, left = count - first;
                uint32_t length = left < QVF_STATE_BLOCK ? (uint32_t)left : QVF_STATE_BLOCK;

                if (o[M].dtype == QVF_U8)
                        block_u8(o, &step, first, length);
                else
                        block_f32(o, &step, first, length);
                cpu_pause_point(call);
        }
}
