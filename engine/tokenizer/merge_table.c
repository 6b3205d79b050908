/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/merge_table.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/tokenizer/hash.h"

int qvf_merge_table_init(struct qvf_merge_table *table, size_t n_merges, uint64_t key)
{
        /* Three of four slots are taken at most, and one is always empty. */
        table->n_slots = n_merges + n_merges / 3 + 1;
        table->key = key;
        table->slots = calloc(table->n_slots, sizeof(*table->slots));
        if (!table->slots)
                return -ENOMEM;
        for (size_t i = 0; i < table->n_slots; i++)
                table->slots[i].rank = QVF_RANK_NONE;
        return 0;
}

void qvf_merge_table_exit(struct qvf_merge_table *table)
{
        free(table->slots);
        *table = (struct qvf_merge_table){ 0 };
}

static size_t find_slot(const struct qvf_merge_table *table, uint32_t left, uint32_t right)
{
        uint64_t pair = (uint64_t)left << 32 | right;
        uint64_t hash = qvf_hash_fold(pair ^ table->key, 0xa0761d6478bd642fu);
        size_t slot = qvf_hash_slot(qvf_hash_fold(hash, table->key | 1), table->n_slots);

        while (table->slots[slot].rank != QVF_RANK_NONE &&
                        (table->slots[slot].left != left || table->slots[slot].right != right))
                if (++slot == table->n_slots)
                        slot = 0;
        return slot;
}

void qvf_merge_table_add(struct qvf_merge_table *table, const struct qvf_merge *merge)
{
        struct qvf_merge *slot = &table->slots[find_slot(table, merge->left, merge->right)];

        if (slot->rank == QVF_RANK_NONE)
                *slot = *merge;
}

const struct qvf_merge *qvf_merge_table_find(
                const struct qvf_merge_table *table, int32_t left, int32_t right)
{
        return &table->slots[find_slot(table, (uint32_t)left, (uint32_t)right)];
}
