/* SPDX-License-Identifier: Apache-2.0 */
/* A file of weights in other forms than their model file's: in a backend's own layout, or brought to TQ2_0. It is
 * written once and mapped from then on, so that nothing is packed twice and processes share its pages. There is one
 * file for each content of a model, backend, version of the backend's layout and way to read I2_S.
 *
 * What is read is checked to the last byte when the file is opened: every number of the header and the table, and the
 * CRC-32 of each weight. That reads the whole file once, at several GB/s and in order, which is what the first token
 * would do anyway, page by page. A checksum finds damage and no malice: who may write into the folder may change the
 * model's answers, but nothing that is read from here leads outside of the mapping. */
#ifndef QVF_ENGINE_MODEL_WEIGHT_CACHE_H
#define QVF_ENGINE_MODEL_WEIGHT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/sha256.h"
#include "engine/files/ternary.h"

#define QVF_WEIGHT_CACHE_ALIGNMENT 256u /* of each weight in the file: a cache line of any device */

struct qvf_weight_cache_key {
        uint8_t content[QVF_SHA256_BYTES];
        const char *backend;
        uint32_t layout_version;
        enum qvf_i2s_order i2s_order;
};

struct qvf_weight_cache_entry {
        const char *name; /* of the tensor; lives as long as the cache */
        uint32_t dtype, rows, columns;
        float scale;
        bool block_scales, packed; /* as in struct qvf_value */
        uint64_t offset, length;   /* in the mapping; the offset is for the writer to choose */
};

struct qvf_weight_cache;

/* -ENOENT: there is none; -EBADMSG: it is damaged, cut, or of another version; else the folder can't be used. */
int qvf_weight_cache_open(int folder, const struct qvf_weight_cache_key *key,
                struct qvf_weight_cache **ret_cache, struct qvf_error *error);
struct qvf_weight_cache *qvf_weight_cache_free(struct qvf_weight_cache *cache);
QVF_DEFINE_CLEANUP(struct qvf_weight_cache *, qvf_weight_cache_free)

const void *qvf_weight_cache_mapping(const struct qvf_weight_cache *cache, uint64_t *ret_bytes);
/* In alphabetical order. */
uint32_t qvf_weight_cache_count(const struct qvf_weight_cache *cache);
const struct qvf_weight_cache_entry *qvf_weight_cache_entry(
                const struct qvf_weight_cache *cache, uint32_t index);
const struct qvf_weight_cache_entry *qvf_weight_cache_find(
                const struct qvf_weight_cache *cache, const char *name); /* or NULL; cache may be NULL */

struct qvf_weight_cache_writer;

int qvf_weight_cache_writer_new(int folder, const struct qvf_weight_cache_key *key,
                struct qvf_weight_cache_writer **ret_writer, struct qvf_error *error);
/* Appends one weight of entry->length bytes. The first failure to write sticks and is what commit returns. */
int qvf_weight_cache_writer_add(struct qvf_weight_cache_writer *writer,
                const struct qvf_weight_cache_entry *entry, const void *bytes);
int qvf_weight_cache_writer_commit(struct qvf_weight_cache_writer *writer, struct qvf_error *error);
/* What was not committed is removed. */
struct qvf_weight_cache_writer *qvf_weight_cache_writer_free(struct qvf_weight_cache_writer *writer);
QVF_DEFINE_CLEANUP(struct qvf_weight_cache_writer *, qvf_weight_cache_writer_free)

#endif
