/* SPDX-License-Identifier: Apache-2.0 */
/* y = keep ? x / (1 - f0) : 0; keep where qvf_dropout_hash() is at least f0 · 2³². */
#include <math.h>

#include "plugins/cpu/lanes/lanes.h"

typedef uint32_t hashes __attribute__((vector_size(4 * LANES)));

static ALWAYS_INLINE hashes mix(hashes h)
{
        h = (h ^ h >> 16) * 0x85ebca6bu;
        h = (h ^ h >> 13) * 0xc2b2ae35u;
        return h ^ h >> 16;
}

void LEVEL(dropout)(const struct cpu_call *call)
{
        uint64_t seed = call->args->seed, i, end;
        double drop = (double)call->op->f[0], threshold = ceil(drop * 0x1p32);
        uint32_t least = (uint32_t)(threshold < 0x1p32 ? threshold : 0);
        /* The first round of the hash is the same for all numbers. */
        hashes key = mix(((uint32_t)seed ^ ((uint32_t)call->op->i[0] * 0x9e3779b9u) ^
                                         (uint32_t)(seed >> 32)) -
                         (hashes){ 0 });
        floats rest = all((float)(1 - drop));
        ints all_of_them = (ints){ 0 } - (threshold < 0x1p32);
        hashes lanes;

        for (unsigned j = 0; j < LANES; j++)
                lanes[j] = j;
        share_numbers(call, &i, &end);
        for (; i < end; i += LANES) {
                bool whole = end - i >= LANES;
                hashes hash = mix(key ^ (lanes + (uint32_t)i));
                ints keep = (ints)(hash >= least) & all_of_them;
                floats x = load_left((const float *)call->operand[1].data + i, end - i, whole);

                store_left((float *)call->operand[0].data + i, end - i, whole,
                                choose(keep, x / rest, zeros()));
        }
}
