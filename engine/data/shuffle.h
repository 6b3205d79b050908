/* SPDX-License-Identifier: Apache-2.0 */
/* Orders that are the same on every machine for the same seed. */
#ifndef QVF_ENGINE_DATA_SHUFFLE_H
#define QVF_ENGINE_DATA_SHUFFLE_H

#include <stdint.h>

/* What an order is for: two purposes, or two epochs, never get the same numbers. */
enum qvf_shuffle_purpose {
        QVF_SHUFFLE_HELD_OUT = 0,
        QVF_SHUFFLE_WINDOWS = 1,   /* + 2 * epoch */
        QVF_SHUFFLE_SEQUENCES = 2, /* + 2 * epoch */
};

void qvf_shuffle(uint32_t *items, uint32_t count, uint64_t seed, uint64_t purpose);

#endif
