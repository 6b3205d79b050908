/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/text.h"
#include "ctl/ctl.h"

enum {
        START_TRIES = 100, /* of 100 ms: a cold start from a slow card */
        STOP_TRIES = 150,  /* a running job writes its checkpoint first */
};

struct ctl_daemon {
        pid_t pid; /* 0: it ran already */
        char *address;
        char log[PATH_MAX];
};

char *ctl_find_program(const char *name)
{
        char self[PATH_MAX], path[PATH_MAX + 64];
        static const char *const places[] = { "", "/../libexec/qvf", "/../sbin" };
        ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (length <= 0)
                return NULL;
        self[length] = 0;
        *strrchr(self, '/') = 0;
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                snprintf(path, sizeof(path), "%s%s/%s", self, places[i], name);
                if (access(path, X_OK) == 0)
                        return strdup(path);
        }
        return NULL;
}

/* The folder of the socket: only its owner may look into it. */
static int make_folder(char folder[PATH_MAX], struct qvf_error *error)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        struct stat status;

        if (runtime && *runtime == '/')
                snprintf(folder, PATH_MAX, "%s/qvf", runtime);
        else
                snprintf(folder, PATH_MAX, "/tmp/qvf-%u", (unsigned)getuid());
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return qvf_error_set(
                                error, CTL_FAILED, "folder %s can't be made: %s", folder, strerror(errno));
        /* In /tmp anybody could have made it first. */
        if (lstat(folder, &status) < 0 || !S_ISDIR(status.st_mode) || status.st_uid != getuid() ||
                        (status.st_mode & 077))
                return qvf_error_set(error, CTL_DENIED, "%s is not a folder of this user alone", folder);
        return 0;
}

static bool answers(const char *address)
{
        struct qvf_client *client = NULL;

        if (qvf_connect(address, &client, NULL) < 0)
                return false;
        qvf_disconnect(client);
        return true;
}

/* The child: qvfd in a session of its own, so that a Ctrl-C meant for qvfctl does not reach it. It ends when qvfctl
 * does, however that ends. */
static _Noreturn void become_daemon(const char *program, struct ctl_daemon *daemon, pid_t parent)
{
        int log = open(daemon->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(1);
        setsid();
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(log >= 0 ? log : null, STDERR_FILENO);
        execl(program, program, "--address", daemon->address, (char *)NULL);
        _exit(127);
}

static int start(struct ctl_daemon *daemon, struct qvf_error *error)
{
        _cleanup_free_ char *program = ctl_find_program("qvfd");
        pid_t parent = getpid();
        int status;

        if (!program)
                return qvf_error_set(error, CTL_NOT_RUNNING, "qvfd is not installed beside qvfctl");
        daemon->pid = fork();
        if (daemon->pid < 0) {
                daemon->pid = 0;
                return qvf_error_set(error, CTL_FAILED, "no process can be started: %s", strerror(errno));
        }
        if (daemon->pid == 0)
                become_daemon(program, daemon, parent);
        for (int i = 0; i < START_TRIES; i++) {
                if (answers(daemon->address))
                        return 0;
                if (waitpid(daemon->pid, &status, WNOHANG) == daemon->pid) {
                        daemon->pid = 0;
                        return qvf_error_set(error, CTL_NOT_RUNNING, "qvfd ended at once: %s says why",
                                        daemon->log);
                }
                poll(NULL, 0, 100);
        }
        return qvf_error_set(error, CTL_TIMED_OUT, "qvfd does not answer on its socket: %s says more",
                        daemon->log);
}

int ctl_daemon_start(struct ctl_daemon **ret_daemon, const char **ret_address, struct qvf_error *error)
{
        struct ctl_daemon *daemon = calloc(1, sizeof(*daemon));
        char folder[PATH_MAX];
        int r;

        if (!daemon)
                return qvf_error_set(error, CTL_FAILED, "not enough memory");
        *ret_daemon = daemon;
        r = make_folder(folder, error);
        if (r != 0)
                return r;
        if (asprintf(&daemon->address, "unix:path=%s/private", folder) < 0) {
                daemon->address = NULL;
                return qvf_error_set(error, CTL_FAILED, "not enough memory");
        }
        snprintf(daemon->log, sizeof(daemon->log), "%.4000s/private.log", folder);
        if (!answers(daemon->address))
                r = start(daemon, error);
        *ret_address = daemon->address;
        return r;
}

struct ctl_daemon *ctl_daemon_stop(struct ctl_daemon *daemon)
{
        if (!daemon)
                return NULL;
        if (daemon->pid > 0) {
                kill(daemon->pid, SIGTERM);
                for (int i = 0; i < STOP_TRIES && waitpid(daemon->pid, NULL, WNOHANG) == 0; i++)
                        poll(NULL, 0, 100);
        }
        free(daemon->address);
        free(daemon);
        return NULL;
}
