/* SPDX-License-Identifier: Apache-2.0 */
/* Which ways of doing things are the fastest on a device that passed its self-test, measured in a child process. */
#ifndef QVF_WORKER_TUNING_H
#define QVF_WORKER_TUNING_H

#include "qvf/backend.h"

/* "" where the backend has nothing to tune, or where it went wrong: the device is used as it is then. */
void tuning_run(const char *folder, const char *backend, uint32_t index, int64_t limit_ms,
                char ret_text[QVF_TUNING_BYTES]);

#endif
