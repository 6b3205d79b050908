/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MOUNT "/sys/fs/cgroup"

static struct {
        int folder; /* the service's own group; 0: not open (0 is never a folder here) */
        unsigned number;
} state;

static bool put(int folder, const char *name, const char *text)
{
        _cleanup_close_ int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The number after `key` in a file of lines "key number". */
static uint64_t find_number(int folder, const char *name, const char *key)
{
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        _cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
        char line[256];
        uint64_t value;
        size_t length = strlen(key);

        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, key, length) == 0 && sscanf(line + length, " %" SCNu64, &value) == 1)
                        return value;
        return 0;
}

uint64_t qvfd_oom_kills(void)
{
        return find_number(AT_FDCWD, "/proc/vmstat", "oom_kill");
}

void qvfd_cgroup_open(void)
{
        _cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
        char line[1024], path[1100];
        int folder;

        /* The root group is nobody's to divide, and without systemd's word no other is either. */
        if (!getenv("INVOCATION_ID"))
                return;
        while (file && fgets(line, sizeof(line), file)) {
                line[strcspn(line, "\n")] = 0;
                if (strncmp(line, "0::/", 4) != 0 || !line[4])
                        continue;
                snprintf(path, sizeof(path), MOUNT "%s", line + 3);
                folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (folder < 0)
                        return;
                if (mkdirat(folder, "qvfd", 0755) < 0 && errno != EEXIST) {
                        close(folder);
                        return;
                }
                if (!put(folder, "qvfd/cgroup.procs", "0") ||
                                !put(folder, "cgroup.subtree_control", "+memory")) {
                        close(folder);
                        return;
                }
                put(folder, "cgroup.subtree_control", "+cpu");
                state.folder = folder;
                return;
        }
}

int qvfd_cgroup_new(int *ret_procs)
{
        char name[32];
        int folder;

        *ret_procs = -1;
        if (state.folder <= 0)
                return -1;
        snprintf(name, sizeof(name), "worker-%u", ++state.number);
        if (mkdirat(state.folder, name, 0755) < 0 && errno != EEXIST)
                return -1;
        folder = openat(state.folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                return -1;
        *ret_procs = openat(folder, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        put(folder, "cpu.weight", "20"); /* a fifth of what others get when all want it */
        return folder;
}

void qvfd_cgroup_limit(int folder, uint64_t memory_bytes)
{
        char text[32] = "max";

        if (folder < 0)
                return;
        if (memory_bytes > 0)
                snprintf(text, sizeof(text), "%" PRIu64, memory_bytes);
        put(folder, "memory.max", text);
}

bool qvfd_cgroup_was_killed(int folder)
{
        return folder >= 0 && find_number(folder, "memory.events", "oom_kill") > 0;
}

void qvfd_cgroup_remove(int folder)
{
        char link[64], path[1100];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
        n = readlink(link, path, sizeof(path) - 1);
        close(folder);
        if (n <= 0)
                return;
        path[n] = 0;
        rmdir(path);
}
