/* SPDX-License-Identifier: Apache-2.0 */
/* Finds places in an arena for values that live at different times. */
#ifndef QVF_ENGINE_PROGRAM_PLANNER_H
#define QVF_ENGINE_PROGRAM_PLANNER_H

#include <stdint.h>

#define QVF_ARENA_ALIGNMENT 256u /* the largest minimum storage-buffer alignment that GPUs ask for */

struct qvf_lifetime {
        uint64_t bytes;       /* 0: needs no place */
        uint64_t offset;      /* what qvf_plan() finds */
        uint32_t first, last; /* the operations between which it lives; first > last: never used */
};

/* No two values whose lifetimes meet overlap; between two values a place rests for a while where that takes no more memory.
 * Returns 0, -ENOMEM or -EOVERFLOW. */
int qvf_plan(struct qvf_lifetime *lifetimes, uint32_t count, uint64_t *ret_arena_bytes);

#endif
