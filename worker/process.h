/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of this process' memory, in bytes; 0 where it says nothing. */
#ifndef QVF_WORKER_PROCESS_H
#define QVF_WORKER_PROCESS_H

#include <stdint.h>

struct worker_memory {
        uint64_t resident, peak;
        uint64_t own; /* of resident: not of files that are mapped */
};

struct worker_memory worker_memory(void);

#endif
