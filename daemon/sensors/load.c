/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, pressure (PSI), and how much of the processors' time is not our own. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "daemon/sensors/parts.h"
#include "daemon/sensors/root.h"

static struct qvf_reading kilobytes(const char *meminfo, const char *key)
{
        const char *at = strstr(meminfo, key);
        unsigned long long value;

        if (!at || sscanf(at + strlen(key), " %llu kB", &value) != 1)
                return (struct qvf_reading){ 0 };
        return qvf_reading_of((double)value * 1024);
}

/* "some avg10=1.25 avg60=…": the share of the last 10 s in which some task waited. */
static struct qvf_reading pressure(const char *root, const char *resource)
{
        char bytes[256];
        double percent;

        /* The kernel writes a point whatever the locale, and we never set one. */
        if (!qvf_root_read(root, bytes, sizeof(bytes), "/proc/pressure/%s", resource) ||
                        sscanf(bytes, "some avg10=%lf", &percent) != 1 || !(percent >= 0 && percent <= 100))
                return (struct qvf_reading){ 0 };
        return qvf_reading_of(percent);
}

void qvf_read_memory(const char *root, struct qvf_snapshot *snapshot)
{
        char bytes[4096];

        if (qvf_root_read(root, bytes, sizeof(bytes), "/proc/meminfo")) {
                snapshot->memory_total_bytes = kilobytes(bytes, "MemTotal:");
                snapshot->memory_available_bytes = kilobytes(bytes, "MemAvailable:");
        }
        snapshot->memory_pressure_percent = pressure(root, "memory");
        snapshot->cpu_pressure_percent = pressure(root, "cpu");
}

/* utime and stime, the 14th and 15th field; the second one, a name in brackets, may hold anything. */
static double process_ticks(const char *root, pid_t pid)
{
        unsigned long long user, system;
        char bytes[1024];
        const char *end;

        if (!qvf_root_read(root, bytes, sizeof(bytes), "/proc/%d/stat", (int)pid))
                return 0;
        end = strrchr(bytes, ')');
        if (!end || sscanf(end + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &user,
                                    &system) != 2)
                return 0;
        return (double)user + (double)system;
}

void qvf_read_load(const char *root, struct qvf_load *load, const pid_t *own, unsigned n_own,
                struct qvf_snapshot *snapshot)
{
        unsigned long long user, nice, system, idle, wait, irq, soft, steal;
        struct qvf_load now = { .seen = true };
        char bytes[512];

        snapshot->load_by_others_percent = (struct qvf_reading){ 0 };
        if (!qvf_root_read(root, bytes, sizeof(bytes), "/proc/stat") ||
                        sscanf(bytes, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
                                        &idle, &wait, &irq, &soft, &steal) != 8)
                return;
        now.busy = (double)user + (double)nice + (double)system + (double)irq + (double)soft + (double)steal;
        now.total = now.busy + (double)idle + (double)wait;
        now.own = process_ticks(root, getpid());
        for (unsigned i = 0; i < n_own; i++)
                now.own += process_ticks(root, own[i]);
        if (load->seen && now.total > load->total && now.busy >= load->busy) {
                double busy = now.busy - load->busy, ours = now.own - load->own;
                double others = busy - (ours > 0 ? ours : 0);

                snapshot->load_by_others_percent =
                                qvf_reading_of(others > 0 ? 100 * others / (now.total - load->total) : 0);
        }
        *load = now;
}
