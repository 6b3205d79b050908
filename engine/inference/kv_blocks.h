/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns which block of the key and value caches: tables from a sequence's positions to blocks, with
 * shared prefixes. Knows nothing of what stands in the cells.
 *
 * A full block remembers the tokens that it was computed from and the block before it. A new sequence that
 * begins with the same tokens, under the same adapters, takes those blocks instead of computing them again;
 * they stay findable after their sequence has gone, until their memory is needed. */
#ifndef QVF_ENGINE_INFERENCE_KV_BLOCKS_H
#define QVF_ENGINE_INFERENCE_KV_BLOCKS_H

#include <stdint.h>

#include "common/cleanup.h"
#include "qvf/ops.h"

struct qvf_kv_blocks;

struct qvf_kv_pair { /* a block to copy to another, or a block to turn by so many positions */
        int32_t block, other;
};

int qvf_kv_blocks_new(uint32_t n_blocks, uint32_t n_sequences, uint32_t blocks_per_sequence,
                struct qvf_kv_blocks **ret_blocks);
struct qvf_kv_blocks *qvf_kv_blocks_free(struct qvf_kv_blocks *blocks);
QVF_DEFINE_CLEANUP(struct qvf_kv_blocks *, qvf_kv_blocks_free)

/* A free slot, or -EAGAIN. `family` tells prefixes apart that the same tokens do not make equal (adapters).
 */
int qvf_kv_open(struct qvf_kv_blocks *blocks, uint64_t family, uint32_t *ret_sequence);
void qvf_kv_close(struct qvf_kv_blocks *blocks, uint32_t sequence);

/* Takes over as many of the tokens' leading blocks as are known, but never all of the tokens: the last one
 * must be computed for its logits. The sequence must be empty. Returns how many tokens are there now. */
uint32_t qvf_kv_reuse(
                struct qvf_kv_blocks *blocks, uint32_t sequence, const int32_t *tokens, uint32_t n_tokens);

/* Makes room for positions up to `n_positions`. -EAGAIN: no block is free; -E2BIG: past blocks_per_sequence.
 */
int qvf_kv_reserve(struct qvf_kv_blocks *blocks, uint32_t sequence, uint32_t n_positions);
/* The cells of these positions are (being) computed from these tokens; reserves nothing. */
void qvf_kv_append(
                struct qvf_kv_blocks *blocks, uint32_t sequence, const int32_t *tokens, uint32_t n_tokens);
/* Forgets all positions from `n_positions` on. A block cut in two that others share is given up as a whole:
 * the returned number of positions that are left is then smaller. */
uint32_t qvf_kv_truncate(struct qvf_kv_blocks *blocks, uint32_t sequence, uint32_t n_positions);

/* Drops `n_drop` blocks after the first `n_keep` ones. Every block behind them must then be turned by
 * -n_drop * QVF_KV_BLOCK positions (`ret_turn`, room for blocks_per_sequence); one that others share must be
 * copied before that (`ret_copy`, likewise). -EAGAIN, and nothing changed, where no block is free for a
 * copy. */
int qvf_kv_drop(struct qvf_kv_blocks *blocks, uint32_t sequence, uint32_t n_keep, uint32_t n_drop,
                struct qvf_kv_pair *ret_turn, uint32_t *ret_n_turn, struct qvf_kv_pair *ret_copy,
                uint32_t *ret_n_copy);

uint32_t qvf_kv_length(const struct qvf_kv_blocks *blocks, uint32_t sequence); /* positions */
uint32_t qvf_kv_free_blocks(const struct qvf_kv_blocks *blocks); /* also those only kept for their prefix */
/* [n_sequences, blocks_per_sequence]: what the operations read. Unused entries are 0. */
const int32_t *qvf_kv_table(const struct qvf_kv_blocks *blocks);

#endif
