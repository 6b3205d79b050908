/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that are the same on every machine for the same seed: xoshiro256** (Blackman and Vigna,
 * public domain algorithm), its state filled by splitmix64. The whole state is these four words, so a
 * checkpoint can keep it. Not for secrets. */
#ifndef QVF_ENGINE_SAMPLING_RANDOM_H
#define QVF_ENGINE_SAMPLING_RANDOM_H

#include <stdint.h>

struct qvf_random {
        uint64_t state[4];
};

void qvf_random_seed(struct qvf_random *random, uint64_t seed);
uint64_t qvf_random_next(struct qvf_random *random);
/* In [0, 1), a multiple of 2⁻⁵³. */
double qvf_random_uniform(struct qvf_random *random);
/* A seed from the kernel, for those who did not ask for one. */
uint64_t qvf_random_fresh_seed(void);

#endif
