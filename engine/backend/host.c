/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/host.h"

#include <stdlib.h>

#include "common/log.h"

static void host_log(void *context, int level, const char *line)
{
        (void)context;
        qvf_log(level < QVF_LOG_ERROR || level > QVF_LOG_DEBUG ? QVF_LOG_DEBUG : (enum qvf_log_level)level,
                        "%s", line);
}

static void *host_alloc(void *context, size_t bytes, size_t alignment)
{
        void *memory;

        (void)context;
        if (alignment < sizeof(void *))
                alignment = sizeof(void *);
        return posix_memalign(&memory, alignment, bytes) == 0 ? memory : NULL;
}

static void host_free(void *context, void *memory, size_t bytes)
{
        (void)context;
        (void)bytes;
        free(memory);
}

const struct qvf_host qvf_host_default = {
        .size = sizeof(qvf_host_default),
        .log = host_log,
        .alloc = host_alloc,
        .free = host_free,
};
