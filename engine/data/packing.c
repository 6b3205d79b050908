/* SPDX-License-Identifier: Apache-2.0 */
/* Best fit: of the sequences with room for a window it goes into the fullest. Windows are taken 1,024 at a time in the
 * epoch's order, the longest first: longest first is what fills sequences well, and 1,024 at a time is what keeps the
 * neighbours of a window a matter of chance. */
#include "engine/data/packing.h"

#include <errno.h>
#include <string.h>

#include "engine/data/shuffle.h"

#define LOOK_AHEAD 1024
#define NONE UINT32_MAX

struct packer {
        const struct qvf_windows *windows;
        uint32_t rows;
        uint32_t n_bins;
        uint32_t *first, *last; /* [bin]: its windows, linked by `next` */
        uint32_t *next;         /* [window] */
        uint32_t *with_room;    /* [rows + 1]: the bins with so much room, linked by `next_bin` */
        uint32_t *next_bin;     /* [bin] */
        uint64_t *has_room;     /* a bit for each entry of with_room that is not empty */
};

static void packer_exit(struct packer *packer)
{
        free(packer->first);
        free(packer->last);
        free(packer->next);
        free(packer->with_room);
        free(packer->next_bin);
        free(packer->has_room);
}

static uint32_t *new_links(size_t count)
{
        uint32_t *links = malloc(count * sizeof(*links));

        if (links)
                memset(links, 0xff, count * sizeof(*links)); /* NONE */
        return links;
}

static int packer_init(struct packer *packer, const struct qvf_windows *windows, uint32_t rows)
{
        size_t count = windows->count, n_words = (size_t)rows / 64 + 1;

        *packer = (struct packer){ .windows = windows, .rows = rows };
        packer->first = new_links(count);
        packer->last = new_links(count);
        packer->next = new_links(count);
        packer->next_bin = new_links(count);
        packer->with_room = new_links((size_t)rows + 1);
        packer->has_room = calloc(n_words, sizeof(*packer->has_room));
        return packer->first && packer->last && packer->next && packer->next_bin && packer->with_room &&
                                               packer->has_room
                               ? 0
                               : -ENOMEM;
}

static void push(struct packer *packer, uint32_t room, uint32_t bin)
{
        packer->next_bin[bin] = packer->with_room[room];
        packer->with_room[room] = bin;
        packer->has_room[room / 64] |= (uint64_t)1 << room % 64;
}

/* The least room that is enough; NONE where there is none. */
static uint32_t find_room(const struct packer *packer, uint32_t rows)
{
        uint64_t word = packer->has_room[rows / 64] & UINT64_MAX << rows % 64;

        for (uint32_t i = rows / 64;;) {
                if (word)
                        return i * 64 + (uint32_t)__builtin_ctzll(word);
                if (++i > packer->rows / 64)
                        return NONE;
                word = packer->has_room[i];
        }
}

static void place(struct packer *packer, uint32_t window)
{
        uint32_t rows = packer->windows->items[window].rows, room = find_room(packer, rows), bin;

        if (room == NONE) {
                bin = packer->n_bins++;
                packer->first[bin] = window;
                room = packer->rows;
        } else {
                bin = packer->with_room[room];
                packer->with_room[room] = packer->next_bin[bin];
                if (packer->with_room[room] == NONE)
                        packer->has_room[room / 64] &= ~((uint64_t)1 << room % 64);
                packer->next[packer->last[bin]] = window;
        }
        packer->last[bin] = window;
        push(packer, room - rows, bin);
}

struct block_item {
        uint32_t rows, position, window;
};

static int compare_items(const void *a, const void *b)
{
        const struct block_item *left = a, *right = b;

        if (left->rows != right->rows)
                return left->rows > right->rows ? -1 : 1;
        return left->position < right->position ? -1 : left->position > right->position;
}

static void place_all(struct packer *packer, const uint32_t *order)
{
        struct block_item block[LOOK_AHEAD];
        uint32_t count = packer->windows->count;

        for (uint32_t done = 0; done < count;) {
                uint32_t taken = count - done < LOOK_AHEAD ? count - done : LOOK_AHEAD;

                for (uint32_t i = 0; i < taken; i++)
                        block[i] = (struct block_item){ packer->windows->items[order[done + i]].rows, i,
                                order[done + i] };
                qsort(block, taken, sizeof(block[0]), compare_items);
                for (uint32_t i = 0; i < taken; i++)
                        place(packer, block[i].window);
                done += taken;
        }
}

/* Packs packing->order in place. */
static int pack(struct qvf_packing *packing, const struct qvf_packing_options *options, uint64_t epoch)
{
        _cleanup_(packer_exit) struct packer packer = { 0 };
        uint32_t written = 0, *sequences;
        int r = packer_init(&packer, packing->windows, packing->rows);

        if (r < 0)
                return r;
        place_all(&packer, packing->order);
        /* The lists by room are done with: their memory takes the order of the sequences. */
        sequences = packer.next_bin;
        for (uint32_t i = 0; i < packer.n_bins; i++)
                sequences[i] = i;
        if (!options->file_order)
                qvf_shuffle(sequences, packer.n_bins, options->seed, QVF_SHUFFLE_SEQUENCES + 2 * epoch);
        for (uint32_t i = 0; i < packer.n_bins; i++) {
                packing->starts[i] = written;
                for (uint32_t window = packer.first[sequences[i]]; window != NONE;
                                window = packer.next[window])
                        packing->order[written++] = window;
        }
        packing->starts[packer.n_bins] = written;
        packing->n_sequences = packer.n_bins;
        return 0;
}

int qvf_packing_new(const struct qvf_windows *windows, const struct qvf_packing_options *options,
                uint64_t epoch, struct qvf_packing **ret_packing, struct qvf_error *error)
{
        _cleanup_(qvf_packing_freep) struct qvf_packing *packing = calloc(1, sizeof(*packing));
        uint32_t rows = options->rows ? options->rows : windows->context, count = windows->count;
        int r = 0;

        if (rows < windows->context || rows > QVF_DATA_CONTEXT_LIMIT)
                return qvf_error_set(error, -EINVAL, "sequences of %u rows, expected %u (the context) to %u",
                                rows, windows->context, QVF_DATA_CONTEXT_LIMIT);
        if (packing) {
                packing->starts = calloc((size_t)count + 1, sizeof(*packing->starts));
                packing->order = calloc((size_t)count + 1, sizeof(*packing->order));
        }
        if (!packing || !packing->starts || !packing->order)
                return qvf_error_set(error, -ENOMEM, "no memory to pack %u windows", count);
        packing->windows = windows;
        packing->rows = rows;
        packing->n_sequences = count;
        for (uint32_t i = 0; i < count; i++)
                packing->starts[i] = packing->order[i] = i;
        packing->starts[count] = count;
        if (!options->file_order)
                qvf_shuffle(packing->order, count, options->seed, QVF_SHUFFLE_WINDOWS + 2 * epoch);
        if (!options->one_each)
                r = pack(packing, options, epoch);
        if (r < 0)
                return qvf_error_set(error, r, "no memory to pack %u windows", count);
        *ret_packing = QVF_TAKE(packing);
        return 0;
}

struct qvf_packing *qvf_packing_free(struct qvf_packing *packing)
{
        if (!packing)
                return NULL;
        free(packing->starts);
        free(packing->order);
        free(packing);
        return NULL;
}

struct qvf_packing_size qvf_packing_measure(
                const struct qvf_packing *packing, uint32_t first, uint32_t count)
{
        struct qvf_packing_size size = { 0 };
        uint32_t end;

        if (first >= packing->n_sequences)
                return size;
        end = count > packing->n_sequences - first ? packing->n_sequences : first + count;
        for (uint32_t i = packing->starts[first]; i < packing->starts[end]; i++) {
                size.rows += packing->windows->items[packing->order[i]].rows;
                size.counting += packing->windows->items[packing->order[i]].counting;
        }
        return size;
}

double qvf_packing_fill(const struct qvf_packing *packing)
{
        return (double)packing->windows->counts.rows / ((double)packing->n_sequences * packing->rows);
}
