/* SPDX-License-Identifier: Apache-2.0 */
/* y = keep ? x / (1 - f0) : 0; keep where qvf_dropout_hash() is at least f0 · 2³². */
#include <math.h>

#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

static ALWAYS_INLINE __m512i mix(__m512i h)
{
        h = _mm512_xor_si512(h, _mm512_srli_epi32(h, 16));
        h = _mm512_mullo_epi32(h, _mm512_set1_epi32((int)0x85ebca6bu));
        h = _mm512_xor_si512(h, _mm512_srli_epi32(h, 13));
        h = _mm512_mullo_epi32(h, _mm512_set1_epi32((int)0xc2b2ae35u));
        return _mm512_xor_si512(h, _mm512_srli_epi32(h, 16));
}

void cpu_avx512_dropout(const struct cpu_call *call)
{
        const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        uint64_t seed = call->args->seed, i, end;
        double drop = (double)call->op->f[0], threshold = ceil(drop * 0x1p32);
        /* The first round of the hash is the same for all numbers. */
        __m512i key = mix(_mm512_set1_epi32((int)((uint32_t)seed ^ ((uint32_t)call->op->i[0] * 0x9e3779b9u) ^
                                                  (uint32_t)(seed >> 32))));
        __m512i least = _mm512_set1_epi32((int)(uint32_t)(threshold < 0x1p32 ? threshold : 0));
        __m512 rest = _mm512_set1_ps((float)(1 - drop));
        bool none = threshold >= 0x1p32;

        share_numbers(call, &i, &end);
        for (; i < end; i += LANES) {
                __m512i index = _mm512_add_epi32(_mm512_set1_epi32((int)(uint32_t)i), lanes);
                __m512i hash = mix(_mm512_xor_si512(key, index));
                __mmask16 keep = none ? 0 : _mm512_cmpge_epu32_mask(hash, least);
                __m512 x = load_floats((const float *)call->operand[1].data + i, end - i, false);

                store_floats((float *)call->operand[0].data + i, end - i, false,
                                _mm512_maskz_div_ps(keep, x, rest));
        }
}
