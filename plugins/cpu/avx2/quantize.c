/* SPDX-License-Identifier: Apache-2.0 */
/* m = max(max|x|, 1e-5); q = clamp(rint(x * (127 / m)), -128, 127); scale = m / 127: the same integers as plain. */
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx2/vector.h"

static ALWAYS_INLINE __m256 magnitude(__m256 x)
{
        return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static float largest_of(const float *x, uint32_t count)
{
        __m256 largest = _mm256_set1_ps(1e-5f);
        float lanes[LANES], most;

        /* Of a number that is none and another, max gives its second operand: a NaN is passed over. */
        for (uint32_t i = 0; i < count; i += LANES)
                largest = _mm256_max_ps(magnitude(count - i >= LANES ? _mm256_loadu_ps(x + i)
                                                                     : load_floats(x + i, count - i, false)),
                                largest);
        _mm256_storeu_ps(lanes, largest);
        most = lanes[0];
        for (unsigned i = 1; i < LANES; i++)
                most = lanes[i] > most ? lanes[i] : most;
        return most;
}

static ALWAYS_INLINE __m256i quantize_8(__m256 x, __m256 factor)
{
        return _mm256_cvtps_epi32(_mm256_mul_ps(x, factor));
}

/* 32 numbers; packing works in halves of vectors, and the last step puts them in order. */
static ALWAYS_INLINE __m256i quantize_32(const float *x, __m256 factor)
{
        __m256i low = _mm256_packs_epi32(
                        quantize_8(_mm256_loadu_ps(x), factor), quantize_8(_mm256_loadu_ps(x + 8), factor));
        __m256i high = _mm256_packs_epi32(quantize_8(_mm256_loadu_ps(x + 16), factor),
                        quantize_8(_mm256_loadu_ps(x + 24), factor));

        return _mm256_permutevar8x32_epi32(
                        _mm256_packs_epi16(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

void cpu_avx2_quantize(const struct cpu_call *call)
{
        const struct cpu_operand *q = &call->operand[0], *x = &call->operand[2];
        uint32_t begin, end, columns = x->columns;
        float *scale = call->operand[1].data;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *from = (const float *)x->data + (size_t)r * columns;
                int8_t *to = (int8_t *)q->data + (size_t)r * q->columns;
                float m = largest_of(from, columns), last[BYTES] = { 0 };
                __m256 factor = _mm256_set1_ps(127.0f / m);
                int8_t codes[BYTES];
                uint32_t c = 0;

                for (; c + BYTES <= columns; c += BYTES)
                        _mm256_storeu_si256((__m256i *)(to + c), quantize_32(from + c, factor));
                if (c < columns) {
                        memcpy(last, from + c, (columns - c) * sizeof(*last));
                        _mm256_storeu_si256((__m256i *)codes, quantize_32(last, factor));
                        memcpy(to + c, codes, columns - c);
                }
                memset(to + columns, 0, q->columns - columns);
                scale[r] = m / 127.0f;
        }
}
