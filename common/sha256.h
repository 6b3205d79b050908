/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4): names content, so that a cache knows what it was made from. */
#ifndef QVF_COMMON_SHA256_H
#define QVF_COMMON_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define QVF_SHA256_BYTES 32

struct qvf_sha256 {
        uint32_t state[8];
        uint64_t length; /* bytes so far */
        uint8_t block[64];
};

void qvf_sha256_init(struct qvf_sha256 *hash);
void qvf_sha256_update(struct qvf_sha256 *hash, const void *bytes, size_t length);
/* Ends the hash; it must be initialised before it is used again. */
void qvf_sha256_finish(struct qvf_sha256 *hash, uint8_t ret_digest[QVF_SHA256_BYTES]);

/* For keys made of several parts: the length goes before the bytes, so that no two lists of parts look the same. */
void qvf_sha256_update_sized(struct qvf_sha256 *hash, const void *bytes, size_t length);
void qvf_sha256_update_u64(struct qvf_sha256 *hash, uint64_t value);

/* The whole of it in one call. */
void qvf_sha256(const void *bytes, size_t length, uint8_t ret_digest[QVF_SHA256_BYTES]);

#endif
