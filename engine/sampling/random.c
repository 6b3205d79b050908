/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sampling/random.h"

#include <sys/random.h>
#include <time.h>

static uint64_t splitmix64(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

static uint64_t rotate_left(uint64_t value, int bits)
{
        return value << bits | value >> (64 - bits);
}

void qvf_random_seed(struct qvf_random *random, uint64_t seed)
{
        for (int i = 0; i < 4; i++)
                random->state[i] = splitmix64(&seed);
}

uint64_t qvf_random_next(struct qvf_random *random)
{
        uint64_t *s = random->state;
        uint64_t result = rotate_left(s[1] * 5, 7) * 9;
        uint64_t shifted = s[1] << 17;

        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = rotate_left(s[3], 45);
        return result;
}

double qvf_random_uniform(struct qvf_random *random)
{
        return (double)(qvf_random_next(random) >> 11) * 0x1p-53;
}

uint64_t qvf_random_fresh_seed(void)
{
        struct timespec now;
        uint64_t seed;

        if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
                return seed;
        /* Early in the boot the kernel may have none yet; variety is all that is wanted here. */
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec;
        return splitmix64(&seed);
}
