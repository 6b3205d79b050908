/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/kv_blocks.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/checked.h"

#define NOBODY (-1)

struct block {
        uint32_t users;         /* sequences that hold it */
        bool known;             /* stands in the hash table: full, and its chain is valid */
        uint64_t serial;        /* a new number whenever its contents begin anew */
        uint64_t parent_serial; /* of the block before it; `family` for the first */
        uint64_t last_used;
        int32_t next_in_bucket;
        int32_t tokens[QVF_KV_BLOCK];
};

struct sequence {
        bool open;
        uint64_t family;
        uint32_t length;   /* positions */
        uint32_t n_blocks; /* in the table */
        uint32_t n_moved;  /* 1: blocks were dropped, what follows is no prefix of anything */
};

struct qvf_kv_blocks {
        uint32_t n_blocks, n_sequences, per_sequence, n_buckets;
        struct block *blocks;
        struct sequence *sequences;
        int32_t *table;
        int32_t *buckets;
        uint64_t clock; /* of serials and uses; families have the top bit set so that the two never meet */
};

int qvf_kv_blocks_new(uint32_t n_blocks, uint32_t n_sequences, uint32_t blocks_per_sequence,
                struct qvf_kv_blocks **ret_blocks)
{
        _cleanup_(qvf_kv_blocks_freep) struct qvf_kv_blocks *self = calloc(1, sizeof(*self));

        if (n_blocks == 0 || n_sequences == 0 || blocks_per_sequence == 0 ||
                        n_blocks > INT32_MAX / QVF_KV_BLOCK)
                return -EINVAL;
        if (!self)
                return -ENOMEM;
        self->n_blocks = n_blocks;
        self->n_sequences = n_sequences;
        self->per_sequence = blocks_per_sequence;
        self->n_buckets = n_blocks;
        self->blocks = calloc(n_blocks, sizeof(*self->blocks));
        self->sequences = calloc(n_sequences, sizeof(*self->sequences));
        self->table = calloc((size_t)n_sequences * blocks_per_sequence, sizeof(*self->table));
        self->buckets = calloc(self->n_buckets, sizeof(*self->buckets));
        if (!self->blocks || !self->sequences || !self->table || !self->buckets)
                return -ENOMEM;
        for (uint32_t i = 0; i < self->n_buckets; i++)
                self->buckets[i] = NOBODY;
        *ret_blocks = QVF_TAKE(self);
        return 0;
}

struct qvf_kv_blocks *qvf_kv_blocks_free(struct qvf_kv_blocks *self)
{
        if (!self)
                return NULL;
        free(self->blocks);
        free(self->sequences);
        free(self->table);
        free(self->buckets);
        free(self);
        return NULL;
}

static int32_t *table_of(struct qvf_kv_blocks *self, uint32_t sequence)
{
        return self->table + (size_t)sequence * self->per_sequence;
}

static uint32_t bucket_of(const struct qvf_kv_blocks *self, uint64_t parent, const int32_t *tokens)
{
        uint64_t hash = parent * 0x9e3779b97f4a7c15u;

        /* Only spreads the entries: find() compares all of what it hashes. */
        for (uint32_t i = 0; i < QVF_KV_BLOCK; i++)
                hash = (hash ^ (uint32_t)tokens[i]) * 0x100000001b3u ^ hash >> 29;
        return (uint32_t)(hash % self->n_buckets);
}

static int32_t find(const struct qvf_kv_blocks *self, uint64_t parent, const int32_t *tokens)
{
        int32_t at = self->buckets[bucket_of(self, parent, tokens)];

        while (at != NOBODY && (self->blocks[at].parent_serial != parent ||
                                               memcmp(self->blocks[at].tokens, tokens,
                                                               sizeof(self->blocks[at].tokens)) != 0))
                at = self->blocks[at].next_in_bucket;
        return at;
}

static void forget(struct qvf_kv_blocks *self, int32_t block)
{
        struct block *gone = &self->blocks[block];
        int32_t *link;

        if (!gone->known)
                return;
        link = &self->buckets[bucket_of(self, gone->parent_serial, gone->tokens)];
        while (*link != block)
                link = &self->blocks[*link].next_in_bucket;
        *link = gone->next_in_bucket;
        gone->known = false;
}

static void remember(struct qvf_kv_blocks *self, int32_t block, uint64_t parent)
{
        struct block *full = &self->blocks[block];
        int32_t *bucket;

        full->parent_serial = parent;
        if (find(self, parent, full->tokens) != NOBODY)
                return; /* the same prefix was computed twice at one time: one of them is enough */
        bucket = &self->buckets[bucket_of(self, parent, full->tokens)];
        full->next_in_bucket = *bucket;
        *bucket = block;
        full->known = true;
}

static void release(struct qvf_kv_blocks *self, int32_t block)
{
        self->blocks[block].users--;
        self->blocks[block].last_used = ++self->clock;
}

/* A block that nobody holds: one without a remembered prefix, else the one unused for longest. */
static int32_t take_free(struct qvf_kv_blocks *self)
{
        int32_t best = NOBODY;

        for (uint32_t i = 0; i < self->n_blocks; i++) {
                const struct block *block = &self->blocks[i];

                if (block->users > 0)
                        continue;
                if (!block->known) {
                        best = (int32_t)i;
                        break;
                }
                if (best == NOBODY || block->last_used < self->blocks[best].last_used)
                        best = (int32_t)i;
        }
        if (best != NOBODY) {
                forget(self, best);
                self->blocks[best].users = 1;
                self->blocks[best].serial = ++self->clock;
        }
        return best;
}

int qvf_kv_open(struct qvf_kv_blocks *self, uint64_t family, uint32_t *ret_sequence)
{
        for (uint32_t i = 0; i < self->n_sequences; i++) {
                if (self->sequences[i].open)
                        continue;
                self->sequences[i] = (struct sequence){ .open = true, .family = family | UINT64_C(1) << 63 };
                *ret_sequence = i;
                return 0;
        }
        return -EAGAIN;
}

static void shrink_table(struct qvf_kv_blocks *self, uint32_t sequence, uint32_t n_blocks)
{
        struct sequence *one = &self->sequences[sequence];

        while (one->n_blocks > n_blocks) {
                one->n_blocks--;
                release(self, table_of(self, sequence)[one->n_blocks]);
                table_of(self, sequence)[one->n_blocks] = 0;
        }
}

void qvf_kv_close(struct qvf_kv_blocks *self, uint32_t sequence)
{
        shrink_table(self, sequence, 0);
        self->sequences[sequence] = (struct sequence){ 0 };
}

static uint64_t serial_before(const struct qvf_kv_blocks *self, uint32_t sequence, uint32_t index)
{
        const int32_t *table = self->table + (size_t)sequence * self->per_sequence;

        return index == 0 ? self->sequences[sequence].family : self->blocks[table[index - 1]].serial;
}

uint32_t qvf_kv_reuse(
                struct qvf_kv_blocks *self, uint32_t sequence, const int32_t *tokens, uint32_t n_tokens)
{
        struct sequence *one = &self->sequences[sequence];

        while (one->n_blocks < self->per_sequence &&
                        (uint64_t)(one->n_blocks + 1) * QVF_KV_BLOCK < n_tokens) {
                int32_t block = find(self, serial_before(self, sequence, one->n_blocks),
                                tokens + (size_t)one->n_blocks * QVF_KV_BLOCK);

                if (block == NOBODY)
                        break;
                self->blocks[block].users++;
                table_of(self, sequence)[one->n_blocks++] = block;
        }
        one->length = one->n_blocks * QVF_KV_BLOCK;
        return one->length;
}

int qvf_kv_reserve(struct qvf_kv_blocks *self, uint32_t sequence, uint32_t n_positions)
{
        struct sequence *one = &self->sequences[sequence];

        if ((uint64_t)n_positions > (uint64_t)self->per_sequence * QVF_KV_BLOCK)
                return -E2BIG;
        while ((uint64_t)one->n_blocks * QVF_KV_BLOCK < n_positions) {
                int32_t block = take_free(self);

                if (block == NOBODY)
                        return -EAGAIN;
                table_of(self, sequence)[one->n_blocks++] = block;
        }
        return 0;
}

void qvf_kv_append(struct qvf_kv_blocks *self, uint32_t sequence, const int32_t *tokens, uint32_t n_tokens)
{
        struct sequence *one = &self->sequences[sequence];

        for (uint32_t i = 0; i < n_tokens; i++) {
                uint32_t index = one->length / QVF_KV_BLOCK;
                int32_t block = table_of(self, sequence)[index];

                self->blocks[block].tokens[one->length % QVF_KV_BLOCK] = tokens[i];
                one->length++;
                if (one->length % QVF_KV_BLOCK == 0 && !one->n_moved)
                        remember(self, block, serial_before(self, sequence, index));
        }
}

uint32_t qvf_kv_truncate(struct qvf_kv_blocks *self, uint32_t sequence, uint32_t n_positions)
{
        struct sequence *one = &self->sequences[sequence];
        uint32_t whole = n_positions / QVF_KV_BLOCK;

        if (n_positions >= one->length)
                return one->length;
        if (n_positions % QVF_KV_BLOCK) {
                int32_t cut = table_of(self, sequence)[whole];

                /* Its last cells will be written again, so nobody else may look at them. */
                if (self->blocks[cut].users > 1) {
                        n_positions = whole * QVF_KV_BLOCK;
                } else {
                        forget(self, cut);
                        self->blocks[cut].serial = ++self->clock;
                        whole++;
                }
        }
        shrink_table(self, sequence, whole);
        one->length = n_positions;
        return n_positions;
}

static uint32_t shared_behind(const struct qvf_kv_blocks *self, uint32_t sequence, uint32_t from)
{
        const int32_t *table = self->table + (size_t)sequence * self->per_sequence;
        uint32_t shared = 0;

        for (uint32_t i = from; i < self->sequences[sequence].n_blocks; i++)
                shared += self->blocks[table[i]].users > 1;
        return shared;
}

int qvf_kv_drop(struct qvf_kv_blocks *self, uint32_t sequence, uint32_t n_keep, uint32_t n_drop,
                struct qvf_kv_pair *ret_turn, uint32_t *ret_n_turn, struct qvf_kv_pair *ret_copy,
                uint32_t *ret_n_copy)
{
        struct sequence *one = &self->sequences[sequence];
        int32_t *table = table_of(self, sequence);
        uint32_t n_turn = 0, n_copy = 0, gap = n_keep + n_drop;

        if (n_drop == 0 || gap > one->length / QVF_KV_BLOCK)
                return -EINVAL;
        for (uint32_t i = n_keep; i < gap; i++)
                release(self, table[i]);
        if (shared_behind(self, sequence, gap) > qvf_kv_free_blocks(self)) {
                for (uint32_t i = n_keep; i < gap; i++)
                        self->blocks[table[i]].users++;
                return -EAGAIN;
        }
        for (uint32_t i = gap; i < one->n_blocks; i++) {
                int32_t block = table[i];

                if (self->blocks[block].users > 1) {
                        int32_t copy = take_free(self);

                        memcpy(self->blocks[copy].tokens, self->blocks[block].tokens,
                                        sizeof(self->blocks[copy].tokens));
                        ret_copy[n_copy++] = (struct qvf_kv_pair){ block, copy };
                        release(self, block);
                        block = copy;
                } else {
                        forget(self, block);
                        self->blocks[block].serial = ++self->clock;
                }
                ret_turn[n_turn++] = (struct qvf_kv_pair){ block, -(int32_t)(n_drop * QVF_KV_BLOCK) };
                table[i - n_drop] = block;
        }
        for (uint32_t i = one->n_blocks - n_drop; i < one->n_blocks; i++)
                table[i] = 0;
        one->n_blocks -= n_drop;
        one->length -= n_drop * QVF_KV_BLOCK;
        one->n_moved = 1;
        *ret_n_turn = n_turn;
        *ret_n_copy = n_copy;
        return 0;
}

uint32_t qvf_kv_length(const struct qvf_kv_blocks *self, uint32_t sequence)
{
        return self->sequences[sequence].length;
}

uint32_t qvf_kv_free_blocks(const struct qvf_kv_blocks *self)
{
        uint32_t count = 0;

        for (uint32_t i = 0; i < self->n_blocks; i++)
                count += self->blocks[i].users == 0;
        return count;
}

const int32_t *qvf_kv_table(const struct qvf_kv_blocks *self)
{
        return self->table;
}
