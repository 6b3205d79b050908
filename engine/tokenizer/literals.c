/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/literals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones are never matched. Real ones have 30 bytes at most, and a search looks at up to so many bytes
 * from every place of the text. */
#define LITERAL_LENGTH_LIMIT 256
#define KINDS (QVF_TOKEN_LITERAL | QVF_TOKEN_SPECIAL)

static int compare(const void *a, const void *b, void *context)
{
        const struct qvf_token_table *table = context;
        uint32_t left_id = *(const uint32_t *)a, right_id = *(const uint32_t *)b;
        struct qvf_token_string left = qvf_token_table_piece(table, (int32_t)left_id);
        struct qvf_token_string right = qvf_token_table_piece(table, (int32_t)right_id);
        size_t common = left.length < right.length ? left.length : right.length;
        int order = memcmp(left.bytes, right.bytes, common);

        if (order)
                return order;
        if (left.length != right.length)
                return left.length < right.length ? -1 : 1;
        return left_id < right_id ? -1 : 1;
}

static bool is_literal(const struct qvf_token_table *table, size_t id)
{
        size_t length = table->offsets[id + 1] - table->offsets[id];

        return (table->flags[id] & KINDS) && length > 0 && length <= LITERAL_LENGTH_LIMIT;
}

/* Whether `id` says nothing that the token before it in the order did not say. */
static bool is_repetition(const struct qvf_token_table *table, uint32_t before, uint32_t id)
{
        struct qvf_token_string left = qvf_token_table_piece(table, (int32_t)before);
        struct qvf_token_string right = qvf_token_table_piece(table, (int32_t)id);

        return left.length == right.length && memcmp(left.bytes, right.bytes, left.length) == 0 &&
               !((table->flags[before] ^ table->flags[id]) & KINDS);
}

int qvf_literals_init(struct qvf_literals *literals, const struct qvf_token_table *table)
{
        size_t count = 0, kept = 0;

        *literals = (struct qvf_literals){ 0 };
        for (size_t id = 0; id < table->n_tokens; id++)
                count += is_literal(table, id);
        literals->ids = calloc(count + 1, sizeof(*literals->ids));
        if (!literals->ids)
                return -ENOMEM;
        count = 0;
        for (size_t id = 0; id < table->n_tokens; id++)
                if (is_literal(table, id))
                        literals->ids[count++] = (uint32_t)id;
        qsort_r(literals->ids, count, sizeof(*literals->ids), compare, (void *)table);
        for (size_t i = 0; i < count; i++) {
                uint32_t id = literals->ids[i];

                if (kept && is_repetition(table, literals->ids[kept - 1], id))
                        continue;
                literals->ids[kept++] = id;
                literals->first[(uint8_t)table->bytes[table->offsets[id]] + 1]++;
                if (table->flags[id] & QVF_TOKEN_LITERAL)
                        literals->has_text = true;
        }
        for (size_t i = 1; i < 257; i++)
                literals->first[i] += literals->first[i - 1];
        return 0;
}

void qvf_literals_exit(struct qvf_literals *literals)
{
        free(literals->ids);
        *literals = (struct qvf_literals){ 0 };
}

static int byte_of(const struct qvf_literals *literals, const struct qvf_token_table *table, size_t index,
                size_t depth)
{
        return (uint8_t)table->bytes[table->offsets[literals->ids[index]] + depth];
}

/* The first index in [first, end) whose byte at `depth` is `byte` or more. */
static size_t bound(const struct qvf_literals *literals, const struct qvf_token_table *table, size_t first,
                size_t end, size_t depth, int byte)
{
        while (first < end) {
                size_t middle = first + (end - first) / 2;

                if (byte_of(literals, table, middle, depth) < byte)
                        first = middle + 1;
                else
                        end = middle;
        }
        return first;
}

/* The longest token with one of `flags` at the start of `text`; its id, or QVF_TOKEN_NONE. */
static int32_t longest_at(const struct qvf_literals *literals, const struct qvf_token_table *table,
                const char *text, size_t length, uint8_t flags)
{
        size_t first = literals->first[(uint8_t)*text], end = literals->first[(uint8_t)*text + 1];
        int32_t found = QVF_TOKEN_NONE;

        /* [first, end) are the tokens that agree with the text in its first `depth` bytes. */
        for (size_t depth = 1; first < end; depth++) {
                int byte;

                for (; first < end; first++) {
                        uint32_t id = literals->ids[first];

                        if (table->offsets[id + 1] - table->offsets[id] != depth)
                                break;
                        if (table->flags[id] & flags)
                                found = (int32_t)id;
                }
                if (first == end || depth == length)
                        break;
                byte = (uint8_t)text[depth];
                /* Sorted: where the first and the last have this byte, all between have it. */
                if (byte_of(literals, table, first, depth) != byte)
                        first = bound(literals, table, first, end, depth, byte);
                if (first < end && byte_of(literals, table, end - 1, depth) != byte)
                        end = bound(literals, table, first, end, depth, byte + 1);
        }
        return found;
}

bool qvf_literals_search(const struct qvf_literals *literals, const struct qvf_token_table *table,
                const char *text, size_t length, size_t from, uint8_t flags,
                struct qvf_literal_match *ret_match)
{
        if (!(flags & QVF_TOKEN_SPECIAL) && !literals->has_text)
                return false;
        for (size_t start = from; start < length; start++) {
                uint8_t byte = (uint8_t)text[start];
                int32_t id;

                if (literals->first[byte] == literals->first[byte + 1])
                        continue;
                id = longest_at(literals, table, text + start, length - start, flags);
                if (id == QVF_TOKEN_NONE)
                        continue;
                *ret_match = (struct qvf_literal_match){ start, qvf_token_table_piece(table, id).length,
                        id };
                return true;
        }
        return false;
}
