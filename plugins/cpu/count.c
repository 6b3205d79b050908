/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "plugins/cpu/cpu.h"

#define CGROUPS "/sys/fs/cgroup"

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

static unsigned cgroup_quota(const char *root)
{
        _cleanup_fclose_ FILE *file = NULL;
        char line[512], folder[768], path[256];
        unsigned least = 0;
        size_t top;

        snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
        file = fopen(path, "re");
        top = (size_t)snprintf(folder, sizeof(folder), "%s" CGROUPS, root);
        while (file && top < sizeof(folder) && fgets(line, sizeof(line), file)) {
                if (strncmp(line, "0::/", 4) != 0)
                        continue;
                line[strcspn(line, "\n")] = 0;
                snprintf(folder + top, sizeof(folder) - top, "%s", line + 3);
                while (strlen(folder) >= top) { /* the cgroup and those above it */
                        unsigned quota = quota_of(folder);

                        if (quota && (least == 0 || quota < least))
                                least = quota;
                        *strrchr(folder, '/') = 0;
                }
        }
        return least;
}

/* A number in a file of a CPU's folder; 0: there is none. */
static unsigned long cpu_number(const char *root, unsigned cpu, const char *name)
{
        _cleanup_fclose_ FILE *file = NULL;
        char path[256];
        unsigned long number;

        snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/cpu%u/%s", root, cpu, name);
        file = fopen(path, "re");
        return file && fscanf(file, "%lu", &number) == 1 ? number : 0;
}

/* Those of the CPUs with at least half of what the best of them can do: all, where that is not known of each. With even
 * shares twice as many threads, of which one takes more than twice as long, are later than half of them. */
static cpu_set_t fast_ones(const char *root, const cpu_set_t *cpus, const char *name)
{
        unsigned long number[CPU_SETSIZE] = { 0 }, most = 0;
        cpu_set_t fast;

        for (unsigned i = 0; i < CPU_SETSIZE; i++) {
                if (!CPU_ISSET(i, cpus))
                        continue;
                number[i] = cpu_number(root, i, name);
                if (number[i] == 0)
                        return *cpus;
                most = number[i] > most ? number[i] : most;
        }
        CPU_ZERO(&fast);
        for (unsigned i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, cpus) && number[i] >= most / 2)
                        CPU_SET(i, &fast);
        return fast;
}

struct cpu_choice cpu_choose_below(const char *root, const cpu_set_t *cpus)
{
        struct cpu_choice choice = { .fast = fast_ones(root, cpus, "cpu_capacity") };
        unsigned quota = cgroup_quota(root);

        if (CPU_EQUAL(&choice.fast, cpus)) /* or the kernel does not say: then the clocks */
                choice.fast = fast_ones(root, cpus, "cpufreq/cpuinfo_max_freq");
        choice.cpus = (unsigned)CPU_COUNT(cpus);
        choice.threads = (unsigned)CPU_COUNT(&choice.fast);
        choice.uneven = choice.threads < choice.cpus;
        if (quota && quota < choice.cpus)
                choice.cpus = quota;
        if (quota && quota < choice.threads)
                choice.threads = quota;
        return choice;
}

struct cpu_choice cpu_choose(void)
{
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        struct cpu_choice choice = { .cpus = 1 };
        unsigned quota;
        cpu_set_t cpus;

        if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 0)
                return cpu_choose_below("", &cpus);
        if (online > 0)
                choice.cpus = (unsigned)online; /* more CPUs than a cpu_set_t has room for */
        quota = cgroup_quota("");
        if (quota && quota < choice.cpus)
                choice.cpus = quota;
        choice.threads = choice.cpus;
        return choice;
}
