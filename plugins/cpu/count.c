/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "plugins/cpu/cpu.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* CPUs' worth of time that "QUOTA PERIOD" in cpu.max of a cgroup allows, rounded up; 0: no limit there. */
static unsigned quota_of(const char *folder)
{
        _cleanup_fclose_ FILE *file = NULL;
        char path[600]; /* the root, a line and the name */
        char line[64], *end;
        unsigned long long quota, period;

        snprintf(path, sizeof(path), "%s/cpu.max", folder);
        file = fopen(path, "re");
        if (!file || !fgets(line, sizeof(line), file))
                return 0;
        quota = strtoull(line, &end, 10); /* 0 where it says "max" */
        period = strtoull(end, NULL, 10);
        if (quota == 0 || period == 0)
                return 0;
        quota = quota / period + (quota % period != 0);
        return quota < 1024 ? (unsigned)quota : 0;
}

static unsigned cgroup_quota(void)
{
        _cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
        char line[512], folder[sizeof(CGROUP_ROOT) + sizeof(line)];
        unsigned least = 0;

        while (file && fgets(line, sizeof(line), file)) {
                if (strncmp(line, "0::/", 4) != 0)
                        continue;
                line[strcspn(line, "\n")] = 0;
                snprintf(folder, sizeof(folder), "%s%s", CGROUP_ROOT, line + 3);
                while (strlen(folder) >= strlen(CGROUP_ROOT)) { /* the cgroup and those above it */
                        unsigned quota = quota_of(folder);

                        if (quota && (least == 0 || quota < least))
                                least = quota;
                        *strrchr(folder, '/') = 0;
                }
        }
        return least;
}

unsigned cpu_count(void)
{
        unsigned quota = cgroup_quota(), count = 1;
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(set), &set) == 0)
                count = (unsigned)CPU_COUNT(&set);
        else if (online > 0)
                count = (unsigned)online; /* more CPUs than a cpu_set_t has room for */
        if (quota && quota < count)
                count = quota;
        return count ? count : 1;
}
