/* SPDX-License-Identifier: Apache-2.0 */
/* Overflow-safe arithmetic on sizes that come from outside (M6). All return false on overflow. */
#ifndef QVF_COMMON_CHECKED_H
#define QVF_COMMON_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define QVF_ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static inline bool qvf_add_u64(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
        return !__builtin_add_overflow(a, b, ret_sum);
}

static inline bool qvf_mul_u64(uint64_t a, uint64_t b, uint64_t *ret_product)
{
        return !__builtin_mul_overflow(a, b, ret_product);
}

/* Rounds up to a multiple of `alignment`, a power of two. */
static inline bool qvf_align_u64(uint64_t value, uint64_t alignment, uint64_t *ret_aligned)
{
        uint64_t padded;

        if (!qvf_add_u64(value, alignment - 1, &padded))
                return false;
        *ret_aligned = padded & ~(alignment - 1);
        return true;
}

/* malloc() of a size that a 32-bit machine may not have: NULL then too. */
static inline void *qvf_malloc(uint64_t bytes)
{
        return bytes <= PTRDIFF_MAX ? malloc((size_t)bytes) : NULL;
}

static inline uint64_t qvf_min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static inline uint64_t qvf_max_u64(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

#endif
