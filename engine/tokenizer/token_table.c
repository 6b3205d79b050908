/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/token_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/tokenizer/hash.h"

int qvf_token_table_init(struct qvf_token_table *table, size_t n_tokens, size_t n_bytes)
{
        *table = (struct qvf_token_table){ .n_tokens = n_tokens };
        /* Three of four slots are taken at most: few probes, and 11 bytes a token. */
        table->n_slots = n_tokens + n_tokens / 3 + 1;
        table->bytes = malloc(n_bytes + 1);
        table->offsets = calloc(n_tokens + 1, sizeof(*table->offsets));
        table->flags = calloc(n_tokens + 1, 1);
        table->slots = calloc(table->n_slots, sizeof(*table->slots));
        if (!table->bytes || !table->offsets || !table->flags || !table->slots) {
                qvf_token_table_exit(table);
                return -ENOMEM;
        }
        /* Without randomness only the defence against made-up collisions is lost. */
        if (getrandom(&table->key, sizeof(table->key), GRND_NONBLOCK) != sizeof(table->key))
                table->key = 0x2545f4914f6cdd1du;
        return 0;
}

void qvf_token_table_exit(struct qvf_token_table *table)
{
        free(table->bytes);
        free(table->offsets);
        free(table->flags);
        free(table->slots);
        *table = (struct qvf_token_table){ 0 };
}

static bool has_bytes(const struct qvf_token_table *table, int32_t id, const char *bytes, size_t length)
{
        struct qvf_token_string piece = qvf_token_table_piece(table, id);

        return piece.length == length && memcmp(piece.bytes, bytes, length) == 0;
}

/* The slot that holds these bytes with one of `flags`, or the empty one where they belong. */
static size_t find_slot(const struct qvf_token_table *table, const char *bytes, size_t length, uint8_t flags,
                uint32_t *ret_tag)
{
        uint64_t hash = qvf_hash_bytes(bytes, length, table->key), value;
        size_t slot = qvf_hash_slot(hash, table->n_slots);

        *ret_tag = (uint32_t)hash;
        while ((value = table->slots[slot]) != 0) {
                int32_t id = (int32_t)(value & UINT32_MAX) - 1;

                if (value >> 32 == *ret_tag && (table->flags[id] & flags) &&
                                has_bytes(table, id, bytes, length))
                        break;
                if (++slot == table->n_slots)
                        slot = 0;
        }
        return slot;
}

char *qvf_token_table_next(struct qvf_token_table *table, size_t id)
{
        return table->bytes + table->offsets[id];
}

void qvf_token_table_add(struct qvf_token_table *table, size_t id, size_t length, uint8_t flags)
{
        const char *bytes = qvf_token_table_next(table, id);
        uint8_t kind = flags & QVF_TOKEN_TEXT ? QVF_TOKEN_TEXT : QVF_TOKEN_SPECIAL;
        uint32_t tag;
        size_t slot;

        table->offsets[id + 1] = table->offsets[id] + (uint32_t)length;
        table->flags[id] = flags;
        if (flags & QVF_TOKEN_TEXT) {
                if (length > table->longest)
                        table->longest = length;
                for (size_t i = 1; i < length; i++) {
                        uint8_t before = (uint8_t)bytes[i - 1], after = (uint8_t)bytes[i];

                        table->neighbours[before][after / 8] |= (uint8_t)(1 << after % 8);
                }
        }
        /* At most one of a kind for the same bytes, or a file of equal tokens would fill one long run of
         * slots. */
        if (length == 0 || !(flags & (QVF_TOKEN_TEXT | QVF_TOKEN_SPECIAL)))
                return;
        slot = find_slot(table, bytes, length, kind, &tag);
        if (table->slots[slot] == 0)
                table->slots[slot] = (uint64_t)tag << 32 | (id + 1);
}

int32_t qvf_token_table_find(
                const struct qvf_token_table *table, const char *bytes, size_t length, uint8_t flags)
{
        uint32_t tag;

        if (length == 0)
                return QVF_TOKEN_NONE;
        return (int32_t)(table->slots[find_slot(table, bytes, length, flags, &tag)] & UINT32_MAX) - 1;
}
