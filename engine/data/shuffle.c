/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/shuffle.h"

#include "engine/sampling/random.h"

/* Below `bound` without bias: what would make some numbers likelier is drawn again (Lemire 2019). */
static uint32_t below(struct qvf_random *random, uint32_t bound)
{
        /* cppcheck-suppress oppositeExpression ; 2³² - bound, in 32 bits */
        uint32_t threshold = (UINT32_MAX - bound + 1) % bound; /* 2³² mod bound */

        for (;;) {
                uint64_t product = (qvf_random_next(random) >> 32) * bound;

                if ((uint32_t)product >= threshold)
                        return (uint32_t)(product >> 32);
        }
}

void qvf_shuffle(uint32_t *items, uint32_t count, uint64_t seed, uint64_t purpose)
{
        struct qvf_random random;

        /* The golden ratio spreads neighbouring purposes; seeding mixes all bits. */
        qvf_random_seed(&random, seed);
        qvf_random_seed(&random, qvf_random_next(&random) ^ purpose * 0x9e3779b97f4a7c15u);
        for (uint32_t left = count; left > 1; left--) {
                uint32_t chosen = below(&random, left);
                uint32_t item = items[left - 1];

                items[left - 1] = items[chosen];
                items[chosen] = item;
        }
}
