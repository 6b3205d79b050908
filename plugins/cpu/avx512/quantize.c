/* SPDX-License-Identifier: Apache-2.0 */
/* m = max(max|x|, 1e-5); q = clamp(rint(x * (127 / m)), -128, 127); scale = m / 127: the same integers as plain. */
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/vector.h"

static float largest_of(const float *x, uint32_t count)
{
        __m512 largest[2] = { _mm512_set1_ps(1e-5f), _mm512_set1_ps(1e-5f) };
        uint32_t i = 0;

        /* Of a number that is none and another, max gives its second operand: a NaN is passed over. */
        for (; i + 2 * LANES <= count; i += 2 * LANES) {
                largest[0] = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + i)), largest[0]);
                largest[1] = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + i + LANES)), largest[1]);
        }
        for (; i < count; i += LANES)
                largest[0] = _mm512_max_ps(_mm512_abs_ps(load_floats(x + i, count - i, false)), largest[0]);
        return _mm512_reduce_max_ps(_mm512_max_ps(largest[0], largest[1]));
}

static ALWAYS_INLINE __m128i quantize_16(__m512 x, __m512 factor)
{
        return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(x, factor)));
}

void cpu_avx512_quantize(const struct cpu_call *call)
{
        const struct cpu_operand *q = &call->operand[0], *x = &call->operand[2];
        uint32_t begin, end, columns = x->columns;
        float *scale = call->operand[1].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = (const float *)x->data + (size_t)r * columns;
                int8_t *to = (int8_t *)q->data + (size_t)r * q->columns;
                float m = largest_of(from, columns);
                __m512 factor = _mm512_set1_ps(127.0f / m);
                uint32_t c = 0;

                for (; c + LANES <= columns; c += LANES)
                        _mm_storeu_si128(
                                        (__m128i *)(to + c), quantize_16(_mm512_loadu_ps(from + c), factor));
                if (c < columns)
                        _mm_mask_storeu_epi8(to + c, lanes_left(columns - c),
                                        quantize_16(load_floats(from + c, columns - c, false), factor));
                memset(to + columns, 0, q->columns - columns);
                scale[r] = m / 127.0f;
        }
}
