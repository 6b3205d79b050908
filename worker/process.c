/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/process.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/cleanup.h"

struct worker_memory worker_memory(void)
{
        static const char *const keys[] = { "VmRSS: %" SCNu64, "VmHWM: %" SCNu64, "RssAnon: %" SCNu64 };
        uint64_t kib[3] = { 0 };
        char line[256];
        _cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");

        while (file && fgets(line, sizeof(line), file))
                for (unsigned i = 0; i < 3; i++)
                        sscanf(line, keys[i], &kib[i]);
        return (struct worker_memory){ kib[0] << 10, kib[1] << 10, kib[2] << 10 };
}
