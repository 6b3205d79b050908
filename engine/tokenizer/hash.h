/* SPDX-License-Identifier: Apache-2.0 */
/* Keyed hashing for the two tables of a tokenizer: with a key that a file cannot know, it cannot make them
 * slow. */
#ifndef QVF_ENGINE_TOKENIZER_HASH_H
#define QVF_ENGINE_TOKENIZER_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Both halves of a 128-bit product: every bit of the result hangs on every bit of both factors. */
static inline uint64_t qvf_hash_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
        unsigned __int128 product = (unsigned __int128)a * b;

        return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
        uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
        uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), other = a0 * b1 + (uint32_t)middle;

        return (other << 32 | (uint32_t)low) ^ (a1 * b1 + (middle >> 32) + (other >> 32));
#endif
}

static inline uint64_t qvf_hash_load(const char *bytes, size_t length)
{
        uint64_t value = 0;
        uint32_t first, last;

        if (length >= 8) {
                memcpy(&value, bytes, 8);
                return value;
        }
        if (length >= 4) {
                memcpy(&first, bytes, 4);
                memcpy(&last, bytes + length - 4, 4);
                return (uint64_t)last << 32 | first;
        }
        if (length)
                value = (unsigned char)bytes[0] | (uint64_t)(unsigned char)bytes[length / 2] << 8 |
                        (uint64_t)(unsigned char)bytes[length - 1] << 16;
        return value;
}

static inline uint64_t qvf_hash_bytes(const char *bytes, size_t length, uint64_t key)
{
        uint64_t hash = key ^ length * 0x9e3779b97f4a7c15u;

        for (; length > 8; bytes += 8, length -= 8)
                hash = qvf_hash_fold(hash ^ qvf_hash_load(bytes, 8), 0xd6e8feb86659fd93u);
        hash = qvf_hash_fold(hash ^ qvf_hash_load(bytes, length), 0xa0761d6478bd642fu);
        return qvf_hash_fold(hash, key | 1);
}

/* A slot below n_slots, from the upper half of the hash. */
static inline size_t qvf_hash_slot(uint64_t hash, size_t n_slots)
{
        return (size_t)(((hash >> 32) * (uint64_t)n_slots) >> 32);
}

#endif
