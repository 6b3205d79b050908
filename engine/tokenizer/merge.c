/* SPDX-License-Identifier: Apache-2.0 */
/* Merging neighbours, the best pair first and of equal ones the leftmost, until none merges. Both kinds of
 * vocabularies do this; they differ in what the first symbols are and in how good a pair is.
 *
 * Every pair that can merge waits in a heap as rank << 32 | place. A pair that has changed since is known by
 * its rank, and is left behind in the heap. So a word of n bytes takes n log n, whatever it holds. */
#include <errno.h>
#include <stdlib.h>

#include "engine/tokenizer/internal.h"

#define NOWHERE UINT32_MAX

/* The symbol at its first byte's place; the places of its other bytes are unused. It ends where `next` is.
 */
struct qvf_symbol {
        int32_t id; /* QVF_TOKEN_NONE: no token has these bytes */
        uint32_t previous, next;
        uint32_t rank; /* of the pair with the next symbol; QVF_RANK_NONE where they do not merge */
        int32_t merged;
};

int qvf_id_list_append(struct qvf_id_list *list, int32_t id)
{
        if (list->count == list->capacity) {
                size_t capacity = list->capacity ? list->capacity * 2 : 64;
                int32_t *ids = realloc(list->ids, capacity * sizeof(*ids));

                if (!ids)
                        return -ENOMEM;
                list->ids = ids;
                list->capacity = capacity;
        }
        list->ids[list->count++] = id;
        return 0;
}

void qvf_merger_exit(struct qvf_merger *merger)
{
        free(merger->symbols);
        free(merger->heap);
        merger->symbols = NULL;
        merger->heap = NULL;
        merger->n_symbols = merger->heap_capacity = 0;
}

static int reserve(struct qvf_merger *merger, size_t length)
{
        /* Of n symbols n - 1 pairs go into the heap at first. A merge takes one out and puts two in, at
         * most, and there are fewer than n merges. */
        if (length > merger->n_symbols) {
                size_t n = length < 64 ? 64 : length;

                qvf_merger_exit(merger);
                merger->symbols = malloc(n * sizeof(*merger->symbols));
                merger->heap = malloc(2 * n * sizeof(*merger->heap));
                if (!merger->symbols || !merger->heap) {
                        qvf_merger_exit(merger);
                        return -ENOMEM;
                }
                merger->n_symbols = n;
                merger->heap_capacity = 2 * n;
        }
        merger->n_heap = 0;
        return 0;
}

/* Eight children a node: a third of the levels of a binary heap, and the children lie in one or two cache
 * lines. */
#define CHILDREN 8

static void heap_push(struct qvf_merger *merger, uint64_t key)
{
        uint64_t *heap = merger->heap;
        size_t place = merger->n_heap++;

        while (place && heap[(place - 1) / CHILDREN] > key) {
                heap[place] = heap[(place - 1) / CHILDREN];
                place = (place - 1) / CHILDREN;
        }
        heap[place] = key;
}

static uint64_t heap_pop(struct qvf_merger *merger)
{
        uint64_t *heap = merger->heap, top = heap[0], last = heap[--merger->n_heap];
        size_t place = 0, child;

        while ((child = CHILDREN * place + 1) < merger->n_heap) {
                size_t end = child + CHILDREN < merger->n_heap ? child + CHILDREN : merger->n_heap,
                       least = child;

                for (size_t i = child + 1; i < end; i++)
                        if (heap[i] < heap[least])
                                least = i;
                if (heap[least] >= last)
                        break;
                heap[place] = heap[least];
                place = least;
        }
        heap[place] = last;
        return top;
}

/* Looks up what the symbol at `place` and the next one make, and queues it. */
static void offer(struct qvf_merger *merger, const char *bytes, size_t length, uint32_t place)
{
        const struct qvf_tokenizer *tokenizer = merger->tokenizer;
        struct qvf_symbol *left = &merger->symbols[place], *right;

        left->rank = QVF_RANK_NONE;
        if (left->next >= length)
                return;
        right = &merger->symbols[left->next];
        if (tokenizer->kind == QVF_TOKENIZER_GPT2) {
                const struct qvf_merge *merge =
                                qvf_merge_table_find(&tokenizer->merges, left->id, right->id);

                left->rank = merge->rank;
                left->merged = (int32_t)merge->merged;
        } else if (right->next - place <= tokenizer->tokens.longest) {
                left->merged = qvf_token_table_find(
                                &tokenizer->tokens, bytes + place, right->next - place, QVF_TOKEN_TEXT);
                if (left->merged != QVF_TOKEN_NONE)
                        left->rank = tokenizer->ranks[left->merged];
        }
        if (left->rank != QVF_RANK_NONE)
                heap_push(merger, (uint64_t)left->rank << 32 | place);
}

/* A character of "llama" text, a byte of a "gpt2" word. */
static size_t first_symbol(
                const struct qvf_tokenizer *tokenizer, const char *bytes, size_t length, int32_t *ret_id)
{
        uint32_t codepoint;
        size_t size;

        *ret_id = tokenizer->text_ids[(uint8_t)*bytes];
        if (tokenizer->kind == QVF_TOKENIZER_GPT2 || !(*bytes & 0x80))
                return 1;
        size = qvf_utf8_decode(bytes, length, &codepoint);
        if (size < 2)
                return 1;
        *ret_id = qvf_token_table_find(&tokenizer->tokens, bytes, size, QVF_TOKEN_TEXT);
        return size;
}

/* The bytes of a symbol that is no token. */
static int append_bytes(const struct qvf_tokenizer *tokenizer, const char *bytes, size_t length,
                struct qvf_id_list *ids)
{
        const int32_t unknown = tokenizer->named[QVF_NAMED_UNKNOWN];
        int r = 0;

        for (size_t i = 0; i < length; i++)
                if (tokenizer->byte_ids[(uint8_t)bytes[i]] == QVF_TOKEN_NONE)
                        return unknown == QVF_TOKEN_NONE ? 0 : qvf_id_list_append(ids, unknown);
        for (size_t i = 0; i < length && r == 0; i++)
                r = qvf_id_list_append(ids, tokenizer->byte_ids[(uint8_t)bytes[i]]);
        return r;
}

static int merge_part(struct qvf_merger *merger, const char *bytes, size_t length, struct qvf_id_list *ids)
{
        struct qvf_symbol *symbols;
        uint32_t previous = NOWHERE;
        int r = reserve(merger, length);

        if (r < 0)
                return r;
        symbols = merger->symbols;
        for (size_t place = 0, size; place < length; place += size) {
                size = first_symbol(merger->tokenizer, bytes + place, length - place, &symbols[place].id);
                symbols[place].previous = previous;
                symbols[place].next = (uint32_t)(place + size);
                previous = (uint32_t)place;
        }
        for (uint32_t place = 0; place < length; place = symbols[place].next)
                offer(merger, bytes, length, place);
        while (merger->n_heap) {
                uint64_t key = heap_pop(merger);
                uint32_t place = (uint32_t)key, next;

                if (symbols[place].rank != key >> 32)
                        continue;
                next = symbols[place].next;
                symbols[next].rank = QVF_RANK_NONE;
                symbols[place].id = symbols[place].merged;
                symbols[place].next = symbols[next].next;
                if (symbols[place].next < length)
                        symbols[symbols[place].next].previous = place;
                offer(merger, bytes, length, place);
                if (symbols[place].previous != NOWHERE)
                        offer(merger, bytes, length, symbols[place].previous);
        }
        for (uint32_t place = 0; place < length && r == 0; place = symbols[place].next) {
                size_t size = symbols[place].next - place;

                r = symbols[place].id != QVF_TOKEN_NONE
                                    ? qvf_id_list_append(ids, symbols[place].id)
                                    : append_bytes(merger->tokenizer, bytes + place, size, ids);
        }
        return r;
}

/* Whether no token reaches across the start of `bytes[at]`, so that both sides can be merged apart. */
static bool is_seam(const struct qvf_token_table *tokens, const char *bytes, size_t at)
{
        uint8_t before = (uint8_t)bytes[at - 1], after = (uint8_t)bytes[at];

        return (after & 0xc0) != 0x80 && !(tokens->neighbours[before][after / 8] & 1 << after % 8);
}

int qvf_merger_run(struct qvf_merger *merger, const char *bytes, size_t length, struct qvf_id_list *ids)
{
        size_t start = 0;
        int r = 0;

        while (start < length && r == 0) {
                size_t end = start + 1;

                while (end < length && !is_seam(&merger->tokenizer->tokens, bytes, end))
                        end++;
                r = merge_part(merger, bytes + start, end - start, ids);
                start = end;
        }
        return r;
}
