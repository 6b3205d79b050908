/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/program/planner.h"

#include <errno.h>
#include <stdlib.h>

#include "common/checked.h"
#include "common/cleanup.h"

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

/* The lowest gap between the placed values that live at the same time; `placed` is sorted by offset. */
static int place(struct qvf_lifetime *lifetime, struct qvf_lifetime *const *placed, uint32_t n_placed)
{
        uint64_t offset = 0, end;

        for (uint32_t i = 0; i < n_placed; i++) {
                const struct qvf_lifetime *other = placed[i];

                if (other->last < lifetime->first || other->first > lifetime->last)
                        continue;
                if (other->offset >= offset + lifetime->bytes)
                        break;
                offset = qvf_max_u64(offset, end_of(other));
                if (!qvf_add_u64(offset, lifetime->bytes, &end))
                        return -EOVERFLOW;
        }
        if (!qvf_add_u64(offset, lifetime->bytes, &end))
                return -EOVERFLOW;
        lifetime->offset = offset;
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

int qvf_plan(struct qvf_lifetime *lifetimes, uint32_t count, uint64_t *ret_arena_bytes)
{
        _cleanup_free_ struct qvf_lifetime **order = calloc((size_t)count + 1, sizeof(*order));
        _cleanup_free_ struct qvf_lifetime **placed = calloc((size_t)count + 1, sizeof(*placed));
        uint32_t n_order = 0;
        uint64_t arena = 0;

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
        for (uint32_t i = 0; i < n_order; i++) {
                int r = place(order[i], placed, i);

                if (r < 0)
                        return r;
                insert(placed, i, order[i]);
                arena = qvf_max_u64(arena, end_of(order[i]));
        }
        *ret_arena_bytes = arena;
        return 0;
}
