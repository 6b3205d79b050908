/* SPDX-License-Identifier: Apache-2.0 */
/* Training runs in the idle class of the scheduler: only where no other thread of the machine wants the CPU. An answer
 * must not, so that the threads are brought back for it, which the kernel allows only to those who may raise priorities
 * (RLIMIT_NICE of 20, which is what LimitNICE=0 of a unit gives). Where they could not come back they never go. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "worker/engine_private.h"

#define NICE_NORMAL 20u /* RLIMIT_NICE counts from 40 (nice -20) down to 1 (nice 19) */

bool engine_may_yield(void)
{
        struct rlimit limit;

        return geteuid() == 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= NICE_NORMAL);
}

void engine_yield(struct worker_engine *engine, bool on)
{
        const struct sched_param none = { 0 };
        struct dirent *entry;
        DIR *folder;

        if (!engine->idle_class || engine->yielding == on)
                return;
        folder = opendir("/proc/self/task");
        if (!folder)
                return;
        while ((entry = readdir(folder))) {
                pid_t thread = (pid_t)atoi(entry->d_name);

                if (thread > 0 && thread != getpid() && thread != engine->thread_id)
                        sched_setscheduler(thread, on ? SCHED_IDLE : SCHED_OTHER, &none);
        }
        closedir(folder);
        engine->yielding = on;
}
