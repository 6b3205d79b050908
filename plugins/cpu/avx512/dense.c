/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/cpu/avx512/dense.h"

static ALWAYS_INLINE void dequantise(const uint32_t dtype, const uint8_t *row, uint32_t columns, float *to)
{
        uint32_t c = 0;

        for (; c + LANES <= columns; c += LANES)
                _mm512_storeu_ps(to + c, load_weights(dtype, row, c));
        if (c < columns)
                _mm512_storeu_ps(to + c, load_last_weights(dtype, row, c, columns - c));
}

void cpu_avx512_dequantise(uint32_t dtype, const uint8_t *row, uint32_t columns, float *to)
{
        switch (dtype) {
        case QVF_F16: dequantise(QVF_F16, row, columns, to); break;
        case QVF_BF16: dequantise(QVF_BF16, row, columns, to); break;
        case QVF_Q8_0: dequantise(QVF_Q8_0, row, columns, to); break;
        case QVF_Q4_0: dequantise(QVF_Q4_0, row, columns, to); break;
        case QVF_Q4_K: dequantise(QVF_Q4_K, row, columns, to); break;
        case QVF_Q6_K: dequantise(QVF_Q6_K, row, columns, to); break;
        default: dequantise(QVF_F32, row, columns, to); break;
        }
}
