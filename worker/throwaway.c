/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/throwaway.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILL_LIMIT_MS 2000 /* for a killed child to go away: a driver may hold it in the kernel */

/* Whether all of it came; a child writes it at once, which a pipe never splits. */
static bool read_result(int fd, int64_t limit_ms, void *result, size_t size, bool *ret_late)
{
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        int r;

        do
                r = poll(&poll_fd, 1, (int)limit_ms);
        while (r < 0 && errno == EINTR);
        *ret_late = r == 0;
        return r > 0 && read(fd, result, size) == (ssize_t)size;
}

static void reap(pid_t child, int *ret_status)
{
        for (unsigned i = 0; i < KILL_LIMIT_MS; i++) {
                if (waitpid(child, ret_status, WNOHANG) != 0)
                        return;
                nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
        }
}

int worker_throwaway(void (*work)(const void *task, void *result), const void *task, void *result,
                size_t size, int64_t limit_ms, int *ret_status)
{
        bool late = false, whole;
        int pipe_fds[2];
        pid_t child;

        if (size > WORKER_THROWAWAY_BYTES)
                return -EINVAL;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        fflush(NULL); /* or the child would write it a second time */
        child = fork();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(pipe_fds[0]);
                work(task, result);
                _exit(write(pipe_fds[1], result, size) !=
                                (ssize_t)size); /* without the plugin's destructors */
        }
        close(pipe_fds[1]);
        whole = child > 0 && read_result(pipe_fds[0], limit_ms, result, size, &late);
        close(pipe_fds[0]);
        if (child < 0)
                return -ENOMEM;
        if (!whole)
                kill(child, SIGKILL);
        reap(child, ret_status);
        return whole ? 0 : late ? -ETIMEDOUT : -EIO;
}
