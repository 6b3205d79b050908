/* SPDX-License-Identifier: Apache-2.0 */
/* cache[cell] = x[r]; nothing where the table or the cache has no such cell. */
#include "plugins/cpu/avx512/cells.h"
#include "plugins/cpu/avx512/dense.h"
#include "plugins/cpu/avx512/kernels.h"

static void store_f16(uint8_t *to, const float *from, uint32_t columns)
{
        for (uint32_t c = 0; c < columns; c += LANES) {
                __mmask16 there = lanes_left(columns - c);

                _mm256_mask_storeu_epi16(to + 2 * (size_t)c, there,
                                _mm512_cvtps_ph(_mm512_maskz_loadu_ps(there, from + c),
                                                _MM_FROUND_TO_NEAREST_INT));
        }
}

/* m = max|x| of 32 numbers; scale = f16(m / 127); q = rint(x · (127 / m)), all zero where m is. */
static void store_q8_0(uint8_t *to, const float *from, uint32_t columns)
{
        for (uint32_t c = 0; c < columns; c += 32, to += 34) {
                __m512 low = _mm512_loadu_ps(from + c), high = _mm512_loadu_ps(from + c + LANES);
                __m512 magnitude = _mm512_max_ps(
                                _mm512_abs_ps(low), _mm512_max_ps(_mm512_abs_ps(high), _mm512_setzero_ps()));
                float largest = _mm512_reduce_max_ps(magnitude);
                __m512 factor = _mm512_set1_ps(largest > 0 ? 127.0f / largest : 0);
                __m512i least = _mm512_set1_epi32(-127);
                uint16_t scale = _cvtss_sh(largest / 127.0f, _MM_FROUND_TO_NEAREST_INT);

                memcpy(to, &scale, sizeof(scale));
                _mm_storeu_si128((__m128i *)(to + 2),
                                _mm512_cvtsepi32_epi8(_mm512_max_epi32(
                                                _mm512_cvtps_epi32(_mm512_mul_ps(low, factor)), least)));
                _mm_storeu_si128((__m128i *)(to + 18),
                                _mm512_cvtsepi32_epi8(_mm512_max_epi32(
                                                _mm512_cvtps_epi32(_mm512_mul_ps(high, factor)), least)));
        }
}

void cpu_avx512_kv_store(const struct cpu_call *call)
{
        const struct cpu_operand *cache = &call->operand[0], *x = &call->operand[1];
        const int32_t *position = call->operand[2].data, *sequence = call->operand[3].data;
        size_t cell_bytes = dense_row_bytes(cache->dtype, cache->columns);
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                uint32_t block = cell_block(&call->operand[4], cache, sequence[r], position[r]);
                const float *from = (const float *)x->data + (size_t)r * x->columns;
                uint8_t *to;

                if (block == NO_BLOCK)
                        continue;
                to = (uint8_t *)cache->data +
                     ((size_t)block * QVF_KV_BLOCK + (uint32_t)position[r] % QVF_KV_BLOCK) * cell_bytes;
                if (cache->dtype == QVF_F32)
                        memcpy(to, from, cell_bytes);
                else if (cache->dtype == QVF_F16)
                        store_f16(to, from, cache->columns);
                else
                        store_q8_0(to, from, cache->columns);
        }
}

bool cpu_avx512_kv_store_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        uint32_t dtype = operands[0].dtype;

        (void)op;
        return dtype == QVF_F32 || dtype == QVF_F16 || (dtype == QVF_Q8_0 && operands[0].columns % 32 == 0);
}
