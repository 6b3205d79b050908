/* SPDX-License-Identifier: Apache-2.0 */
/* Work that may crash or hang without harm: in a child process with a time limit. */
#ifndef QVF_WORKER_THROWAWAY_H
#define QVF_WORKER_THROWAWAY_H

#include <stddef.h>
#include <stdint.h>

#define WORKER_THROWAWAY_BYTES 4096u /* of a result: what a pipe takes at once */

/* `work` fills `result`, which comes back as the child left it. Forks: the process must have one thread only.
 * -ETIMEDOUT: it was killed after `limit_ms`; -EIO: it ended without a result, as waitpid() says in `ret_status`. */
int worker_throwaway(void (*work)(const void *task, void *result), const void *task, void *result,
                size_t size, int64_t limit_ms, int *ret_status);

#endif
