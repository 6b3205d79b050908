/* SPDX-License-Identifier: Apache-2.0 */
/* How a product is shared out: its columns in panels, whose weights a task unpacks, and its rows in groups, where the panels
 * alone do not come out even for the threads. */
#ifndef QVF_PLUGINS_CPU_AMX_SHARE_H
#define QVF_PLUGINS_CPU_AMX_SHARE_H

#include <stdint.h>

#define ROW_GROUPS_MOST 8u

/* How many groups of rows: `blocks` of them are to be multiplied with each panel, and to unpack a panel takes as long as
 * `unpacking` blocks. */
static inline uint32_t row_groups(uint32_t panels, uint32_t blocks, uint32_t unpacking, unsigned n_threads)
{
        uint64_t best_time = UINT64_MAX;
        uint32_t best = 1;

        for (uint32_t groups = 1; groups <= ROW_GROUPS_MOST && groups <= blocks; groups++) {
                uint64_t rounds = ((uint64_t)panels * groups + n_threads - 1) / n_threads;
                uint64_t time = rounds * (unpacking + (blocks + groups - 1) / groups);

                if (time < best_time) {
                        best_time = time;
                        best = groups;
                }
        }
        return best;
}

#endif
