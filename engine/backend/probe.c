/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/text.h"
#include "engine/backend/host.h"
#include "engine/backend/loader.h"

#define KILL_LIMIT_MS 2000 /* for a killed child to go away: a driver may hold it in the kernel */

struct answer { /* what the child writes, as it is */
        int32_t result;
        uint32_t count;
        char error[512];
        struct qvf_device_info infos[QVF_PROBE_DEVICES];
};

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static _Noreturn void run_child(const char *folder, const char *name, uint32_t capacity, int fd)
{
        static struct answer answer;
        const struct qvf_backend *backend;
        struct qvf_error error = { 0 };
        const char *bytes = (const char *)&answer;
        size_t left = sizeof(answer);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        answer.result = qvf_backend_open(folder, name, &backend, &error);
        if (answer.result == 0) {
                for (uint32_t i = 0; i < QVF_PROBE_DEVICES; i++)
                        answer.infos[i].size = sizeof(answer.infos[i]);
                answer.result = backend->probe(&qvf_host_default, answer.infos, capacity, &answer.count);
                if (answer.result < 0)
                        qvf_error_set(&error, answer.result, "plugin %s: looking for devices: %s", name,
                                        strerror(-answer.result));
        }
        snprintf(answer.error, sizeof(answer.error), "%.*s", (int)sizeof(answer.error) - 1, error.text);
        while (left > 0) {
                ssize_t n = write(fd, bytes, left);

                if (n <= 0)
                        _exit(1);
                bytes += n;
                left -= (size_t)n;
        }
        _exit(0); /* without the plugin's destructors */
}

/* Reads to the end of the pipe or of the time; returns how many bytes came. */
static size_t read_answer(int fd, struct answer *answer, int64_t end_ms)
{
        size_t length = 0;

        while (length < sizeof(*answer)) {
                struct pollfd poll_fd = { fd, POLLIN, 0 };
                int64_t left = end_ms - now_ms();
                ssize_t n;

                if (left <= 0)
                        break;
                if (poll(&poll_fd, 1, (int)left) < 0 && errno != EINTR)
                        break;
                if (poll_fd.revents == 0)
                        continue;
                n = read(fd, (char *)answer + length, sizeof(*answer) - length);
                if (n <= 0)
                        break;
                length += (size_t)n;
        }
        return length;
}

/* Returns the child's status, or -ETIMEDOUT. */
static int wait_child(pid_t child, int64_t end_ms, int *ret_status)
{
        for (;;) {
                pid_t ended = waitpid(child, ret_status, WNOHANG);

                if (ended == child)
                        return 0;
                if (ended < 0 && errno != EINTR)
                        return -errno;
                if (now_ms() >= end_ms)
                        return -ETIMEDOUT;
                nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
        }
}

static bool is_text(const char *text, size_t size)
{
        size_t length = strnlen(text, size);

        for (size_t i = 0; i < length; i++)
                if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                        return false;
        return length > 0 && length < size && qvf_utf8_valid_prefix(text, length) == length;
}

static bool is_sound(const struct qvf_device_info *info)
{
        return info->size == sizeof(*info) && info->kind <= QVF_DEVICE_SOFTWARE &&
               is_text(info->id, sizeof(info->id)) && is_text(info->name, sizeof(info->name)) &&
               is_text(info->driver, sizeof(info->driver)) && info->unified_memory <= 1 &&
               (info->import_alignment & (info->import_alignment - 1)) == 0;
}

static int take_answer(const char *name, struct answer *answer, size_t length, uint32_t capacity,
                struct qvf_device_info *infos, uint32_t *ret_count, struct qvf_error *error)
{
        if (length < sizeof(*answer))
                return qvf_error_set(error, -EBADMSG, "plugin %s: it ended without an answer", name);
        answer->error[sizeof(answer->error) - 1] = 0;
        if (answer->result < 0)
                return qvf_error_set(error, answer->result >= -4095 ? answer->result : -EBADMSG, "%s",
                                answer->error);
        if (answer->count > capacity)
                return qvf_error_set(error, -EBADMSG,
                                "plugin %s: it says that it has %u devices, asked for %u", name,
                                answer->count, capacity);
        for (uint32_t i = 0; i < answer->count; i++)
                if (!is_sound(&answer->infos[i]))
                        return qvf_error_set(error, -EBADMSG,
                                        "plugin %s: what it says of device %u makes no sense", name, i);
        memcpy(infos, answer->infos, answer->count * sizeof(*infos));
        *ret_count = answer->count;
        return 0;
}

int qvf_backend_probe(const char *folder, const char *name, unsigned limit_ms, struct qvf_device_info *infos,
                uint32_t capacity, uint32_t *ret_count, struct qvf_error *error)
{
        _cleanup_close_ int read_fd = -1, write_fd = -1;
        _cleanup_free_ struct answer *answer = calloc(1, sizeof(*answer));
        int64_t end_ms = now_ms() + limit_ms;
        int fds[2], status = 0;
        size_t length;
        pid_t child;

        capacity = capacity < QVF_PROBE_DEVICES ? capacity : QVF_PROBE_DEVICES;
        if (!answer)
                return -ENOMEM;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return qvf_error_set(error, -errno, "plugin %s: pipe: %s", name, strerror(errno));
        read_fd = fds[0];
        write_fd = fds[1];
        fflush(NULL); /* or the child would write it a second time */
        child = fork();
        if (child < 0)
                return qvf_error_set(error, -errno, "plugin %s: fork: %s", name, strerror(errno));
        if (child == 0)
                run_child(folder, name, capacity, write_fd);
        close(write_fd);
        write_fd = -1;
        length = read_answer(read_fd, answer, end_ms);
        if (wait_child(child, end_ms, &status) < 0) {
                kill(child, SIGKILL);
                wait_child(child, now_ms() + KILL_LIMIT_MS, &status);
                return qvf_error_set(error, -ETIMEDOUT, "plugin %s: looking for devices took over %u ms",
                                name, limit_ms);
        }
        if (WIFSIGNALED(status))
                return qvf_error_set(error, -EIO, "plugin %s: it crashed with signal %d (%s)", name,
                                WTERMSIG(status), strsignal(WTERMSIG(status)));
        return take_answer(name, answer, length, capacity, infos, ret_count, error);
}
