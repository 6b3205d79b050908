/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/program/planner.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/checked.h"
#include "common/cleanup.h"

/* Operations between two values in the same place, where there is room: what makes the second one can then begin before
 * all is through with the first one. A norm and its quantisation stand two operations from what was read before. */
#define REST 2u

static int larger_first(const void *a, const void *b)
{
        const struct qvf_lifetime *left = *(struct qvf_lifetime *const *)a,
                                  *right = *(struct qvf_lifetime *const *)b;

        if (left->bytes != right->bytes)
                return left->bytes < right->bytes ? 1 : -1;
        if (left->first != right->first)
                return left->first < right->first ? -1 : 1;
        return left < right ? -1 : left > right;
}

static uint64_t end_of(const struct qvf_lifetime *lifetime)
{
        return lifetime->offset +
               lifetime->bytes; /* bytes are aligned by now, and place() checked the sum */
}

/* At least `rest` operations stand between the two lifetimes. */
static bool apart(const struct qvf_lifetime *a, const struct qvf_lifetime *b, uint32_t rest)
{
        return a->last < b->first ? b->first - a->last > rest
                                  : b->last < a->first && a->first - b->last > rest;
}

/* The lowest gap between the placed values that live at the same time or near it; `placed` is sorted by offset. */
static int find_gap(const struct qvf_lifetime *lifetime, struct qvf_lifetime *const *placed,
                uint32_t n_placed, uint32_t rest, uint64_t *ret_offset)
{
        uint64_t offset = 0, end;

        for (uint32_t i = 0; i < n_placed; i++) {
                const struct qvf_lifetime *other = placed[i];

                if (apart(other, lifetime, rest))
                        continue;
                if (other->offset >= offset + lifetime->bytes)
                        break;
                offset = qvf_max_u64(offset, end_of(other));
                if (!qvf_add_u64(offset, lifetime->bytes, &end))
                        return -EOVERFLOW;
        }
        if (!qvf_add_u64(offset, lifetime->bytes, &end))
                return -EOVERFLOW;
        *ret_offset = offset;
        return 0;
}

static void insert(struct qvf_lifetime **placed, uint32_t n_placed, struct qvf_lifetime *lifetime)
{
        uint32_t at = n_placed;

        while (at > 0 && placed[at - 1]->offset > lifetime->offset) {
                placed[at] = placed[at - 1];
                at--;
        }
        placed[at] = lifetime;
}

struct attempt {
        uint64_t most_bytes; /* the places of values up to this size rest */
        uint64_t limit;      /* of the arena */
};

/* -ENOSPC: this way the arena would be larger. */
static int place_all(struct qvf_lifetime **order, struct qvf_lifetime **placed, uint32_t count,
                const struct attempt *attempt, uint64_t *ret_arena_bytes)
{
        uint64_t arena = 0;

        for (uint32_t i = 0; i < count; i++) {
                uint64_t offset, bytes = order[i]->bytes;
                uint32_t rest = bytes <= attempt->most_bytes ? REST : 0;
                int r = find_gap(order[i], placed, i, rest, &offset);

                if (r == 0 && rest > 0 && offset + bytes > attempt->limit)
                        r = find_gap(order[i], placed, i, 0, &offset);
                if (r == 0 && offset + bytes > attempt->limit)
                        r = -ENOSPC;
                if (r < 0)
                        return r;
                order[i]->offset = offset;
                insert(placed, i, order[i]);
                arena = qvf_max_u64(arena, offset + bytes);
        }
        *ret_arena_bytes = arena;
        return 0;
}

int qvf_plan(struct qvf_lifetime *lifetimes, uint32_t count, uint64_t *ret_arena_bytes)
{
        _cleanup_free_ struct qvf_lifetime **order = calloc((size_t)count + 1, sizeof(*order));
        _cleanup_free_ struct qvf_lifetime **placed = calloc((size_t)count + 1, sizeof(*placed));
        struct attempt attempt = { .most_bytes = 0, .limit = UINT64_MAX };
        uint32_t n_order = 0;
        int r;

        if (!order || !placed)
                return -ENOMEM;
        for (uint32_t i = 0; i < count; i++) {
                if (lifetimes[i].bytes == 0 || lifetimes[i].first > lifetimes[i].last)
                        continue;
                if (!qvf_align_u64(lifetimes[i].bytes, QVF_ARENA_ALIGNMENT, &lifetimes[i].bytes))
                        return -EOVERFLOW;
                order[n_order++] = &lifetimes[i];
        }
        /* Large values first leave the small ones to fill the gaps: within a few per cent of the lower bound
         * on the programs that we make, and simple. */
        qsort(order, n_order, sizeof(*order), larger_first);
        r = place_all(order, placed, n_order, &attempt, ret_arena_bytes);
        if (r < 0)
                return r;
        /* Once more in as many bytes, with places that rest: all values', or, where that does not fit, those of the small
         * ones; none at last. */
        attempt.limit = *ret_arena_bytes;
        attempt.most_bytes = n_order > 0 ? order[0]->bytes : 0;
        while ((r = place_all(order, placed, n_order, &attempt, ret_arena_bytes)) == -ENOSPC)
                attempt.most_bytes /= 2;
        return r;
}
