/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sha256.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
        0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74,
        0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3,
        0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354,
        0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
        0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3,
        0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
        0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };

static uint32_t rotate(uint32_t word, unsigned bits)
{
        return word >> bits | word << (32 - bits);
}

static uint32_t load_big_endian(const uint8_t *bytes)
{
        return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void store_big_endian(uint8_t *bytes, uint32_t word)
{
        for (unsigned i = 0; i < 4; i++)
                bytes[i] = (uint8_t)(word >> (24 - 8 * i));
}

/* FIPS 180-4, 6.2.2; the letters are those of the standard. */
static void compress(uint32_t state[8], const uint8_t *block)
{
        uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

        for (unsigned t = 0; t < 16; t++)
                w[t] = load_big_endian(block + 4 * t);
        for (unsigned t = 16; t < 64; t++) {
                uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
                uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;

                w[t] = w[t - 16] + s0 + w[t - 7] + s1;
        }
        for (unsigned t = 0; t < 64; t++) {
                uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) +
                              round_constants[t] + w[t];
                uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

                h = g;
                g = f;
                f = e;
                e = d + t1;
                d = c;
                c = b;
                b = a;
                a = t1 + t2;
        }
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
        state[5] += f;
        state[6] += g;
        state[7] += h;
}

void qvf_sha256_init(struct qvf_sha256 *hash)
{
        *hash = (struct qvf_sha256){ .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                                     0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } };
}

void qvf_sha256_update(struct qvf_sha256 *hash, const void *bytes, size_t length)
{
        const uint8_t *at = bytes;
        size_t held = (size_t)(hash->length % 64);

        hash->length += length;
        if (held > 0) {
                size_t taken = length < 64 - held ? length : 64 - held;

                if (taken == 0)
                        return;
                memcpy(hash->block + held, at, taken);
                if (held + taken < 64)
                        return;
                compress(hash->state, hash->block);
                at += taken;
                length -= taken;
        }
        for (; length >= 64; at += 64, length -= 64)
                compress(hash->state, at);
        if (length > 0)
                memcpy(hash->block, at, length);
}

void qvf_sha256_finish(struct qvf_sha256 *hash, uint8_t ret_digest[QVF_SHA256_BYTES])
{
        static const uint8_t padding[64] = { 0x80 };
        uint64_t bits = hash->length * 8;
        uint8_t length[8];

        store_big_endian(length, (uint32_t)(bits >> 32));
        store_big_endian(length + 4, (uint32_t)bits);
        qvf_sha256_update(hash, padding, (size_t)((119 - hash->length % 64) % 64 + 1));
        qvf_sha256_update(hash, length, sizeof(length));
        for (unsigned i = 0; i < 8; i++)
                store_big_endian(ret_digest + 4 * i, hash->state[i]);
}

void qvf_sha256_update_u64(struct qvf_sha256 *hash, uint64_t value)
{
        uint8_t bytes[8];

        store_big_endian(bytes, (uint32_t)(value >> 32));
        store_big_endian(bytes + 4, (uint32_t)value);
        qvf_sha256_update(hash, bytes, sizeof(bytes));
}

void qvf_sha256_update_sized(struct qvf_sha256 *hash, const void *bytes, size_t length)
{
        qvf_sha256_update_u64(hash, length);
        qvf_sha256_update(hash, bytes, length);
}

void qvf_sha256(const void *bytes, size_t length, uint8_t ret_digest[QVF_SHA256_BYTES])
{
        struct qvf_sha256 hash;

        qvf_sha256_init(&hash);
        qvf_sha256_update(&hash, bytes, length);
        qvf_sha256_finish(&hash, ret_digest);
}
