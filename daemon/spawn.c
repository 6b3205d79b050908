/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/qvfd.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum {
        NICE = 5,
        OOM_SCORE = 500
}; /* what answers people comes before a worker, and a worker dies before it */

int qvfd_child_fork(struct qvfd_child *ret_child)
{
        struct qvfd_child child = QVFD_CHILD_NONE;
        pid_t parent = getpid();
        sigset_t none;

        child.pid = fork();
        if (child.pid < 0)
                return -errno;
        if (child.pid == 0) {
                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(127);
                return 0;
        }
        child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
        if (child.pidfd < 0) {
                int r = -errno;

                qvfd_child_end(&child);
                return r;
        }
        fcntl(child.pidfd, F_SETFD, FD_CLOEXEC);
        *ret_child = child;
        return 1;
}

int qvfd_child_reap(struct qvfd_child *child, siginfo_t *ret_info)
{
        siginfo_t info = { 0 };

        if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0)
                return -errno;
        if (info.si_pid == 0)
                return 0;
        *ret_info = info;
        child->pid = 0;
        return 1;
}

void qvfd_child_kill(const struct qvfd_child *child, int signal)
{
        if (child->pid > 0 && child->pidfd >= 0)
                syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0);
}

void qvfd_child_end(struct qvfd_child *child)
{
        if (child->pid > 0) {
                kill(child->pid, SIGKILL); /* not reaped yet, so that the number is still its own */
                waitpid(child->pid, NULL, 0);
        }
        if (child->pidfd >= 0)
                close(child->pidfd);
        *child = QVFD_CHILD_NONE;
}

/* The folder that this program lies in. */
static int own_folder(char folder[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
        char *slash;

        if (n < 0)
                return -errno;
        folder[n] = 0;
        slash = strrchr(folder, '/');
        if (!slash)
                return -ENOENT;
        *slash = 0;
        return 0;
}

/* Only a service of one's own may be pointed at another program. */
static char *worker_program(const struct qvfd *service)
{
        const char *given = service->options.worker        ? service->options.worker
                            : service->mode == QVFD_SYSTEM ? NULL
                                                           : getenv("QVF_WORKER");
        char folder[PATH_MAX], *path = NULL;

        if (given)
                return strdup(given);
        if (own_folder(folder) < 0 || asprintf(&path, "%s/qvf-worker", folder) < 0)
                return NULL;
        if (access(path, X_OK) == 0)
                return path;
        free(path);
        return strdup(QVF_LIBEXEC_DIR "/qvf-worker");
}

/* In a build tree the plugins lie beside the programs. */
static void choose_plugins(const struct qvfd *service)
{
        char folder[PATH_MAX];
        struct stat status;

        if (service->mode == QVFD_SYSTEM) {
                unsetenv("QVF_PLUGIN_DIR");
                return;
        }
        if (getenv("QVF_PLUGIN_DIR") || own_folder(folder) < 0 || strlen(folder) + 9 >= sizeof(folder))
                return;
        strcat(folder, "/plugins");
        if (stat(folder, &status) == 0 && S_ISDIR(status.st_mode))
                setenv("QVF_PLUGIN_DIR", folder, 1);
}

static void write_text(const char *path, const char *text)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && write(fd, text, strlen(text)) < 0)
                return;
}

static void become_worker(
                struct qvfd *service, const struct qvfd_spawn *spawn, char *program, char **arguments)
{
        int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), high = -1;
        char score[16];

        if (spawn->cgroup >= 0 && write(spawn->cgroup, "0", 1) < 0)
                _exit(126);
        snprintf(score, sizeof(score), "%d", OOM_SCORE);
        write_text("/proc/self/oom_score_adj", score);
        setpriority(PRIO_PROCESS, 0, NICE);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        unsetenv("JOURNAL_STREAM");
        choose_plugins(service);
        if (spawn->fd3 >= 0)
                high = fcntl(spawn->fd3, F_DUPFD, 16);
        dup2(nothing, 0);
        dup2(spawn->out >= 0 ? spawn->out : nothing, 1);
        if (spawn->err >= 0)
                dup2(spawn->err, 2);
        if (high >= 0 && dup2(high, 3) < 0)
                _exit(126);
        close_range(high >= 0 ? 4 : 3, ~0U, 0);
        execv(program, arguments);
        _exit(127);
}

int qvfd_spawn_worker(struct qvfd *service, const struct qvfd_spawn *spawn, struct qvfd_child *ret_child,
                struct qvf_error *error)
{
        _cleanup_free_ char *program = worker_program(service);
        char *arguments[64];
        unsigned n = 0;
        int r;

        if (!program)
                return qvf_error_set(error, -ENOMEM, "no memory");
        if (access(program, X_OK) < 0)
                return qvf_error_set(error, -errno, "%s can't be started: %s", program, strerror(errno));
        arguments[n++] = program;
        for (const char *const *a = spawn->arguments; a && *a && n < 63; a++)
                arguments[n++] = (char *)*a;
        arguments[n] = NULL;
        r = qvfd_child_fork(ret_child);
        if (r == 0)
                become_worker(service, spawn, program, arguments);
        return r < 0 ? qvf_error_set(error, r, "a worker can't be started: %s", strerror(-r)) : 0;
}
