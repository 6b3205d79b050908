/* SPDX-License-Identifier: Apache-2.0 */
/* Which two tokens merge into which one, and how early: the merges of a "gpt2" vocabulary. */
#ifndef QVF_ENGINE_TOKENIZER_MERGE_TABLE_H
#define QVF_ENGINE_TOKENIZER_MERGE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define QVF_RANK_NONE UINT32_MAX

struct qvf_merge {
        uint32_t left, right;
        uint32_t rank; /* lower merges first; QVF_RANK_NONE: an empty slot */
        uint32_t merged;
};

struct qvf_merge_table {
        struct qvf_merge *slots;
        size_t n_slots;
        uint64_t key;
};

int qvf_merge_table_init(struct qvf_merge_table *table, size_t n_merges, uint64_t key);
void qvf_merge_table_exit(struct qvf_merge_table *table);
/* A pair that is there already keeps its rank. Not more than the n_merges of qvf_merge_table_init(). */
void qvf_merge_table_add(struct qvf_merge_table *table, const struct qvf_merge *merge);
/* An empty slot where the two do not merge. */
const struct qvf_merge *qvf_merge_table_find(
                const struct qvf_merge_table *table, int32_t left, int32_t right);

#endif
