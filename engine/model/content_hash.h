/* SPDX-License-Identifier: Apache-2.0 */
/* Names what a model's files hold. Reading a large file only to hash it takes longer than what the hash is for, so it
 * is done once: a small file in a folder remembers the hash for as long as the model's files are the same inodes with
 * the same sizes and times. */
#ifndef QVF_ENGINE_MODEL_CONTENT_HASH_H
#define QVF_ENGINE_MODEL_CONTENT_HASH_H

#include "common/sha256.h"
#include "engine/files/gguf.h"

/* Over the length and the bytes of every part, in order. That the folder takes no file costs the memory only. */
int qvf_content_hash(const struct qvf_gguf *gguf, int folder, uint8_t ret_digest[QVF_SHA256_BYTES],
                struct qvf_error *error);

/* 32 hex digits (half of a digest, for file names) and a NUL. */
#define QVF_DIGEST_NAME_BYTES 33u
void qvf_digest_name(const uint8_t digest[QVF_SHA256_BYTES], char ret_name[QVF_DIGEST_NAME_BYTES]);

#endif
