/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/client.h"
#include "daemon/failure.h"
#include "daemon/qvfd.h"
#include "daemon/spawn.h"

enum { PIECE = 1 << 20, COPIES_MOST = 32 };
#define LIMIT_US (UINT64_C(30) * 60 * 1000000) /* a model of many GB from a slow card */

struct qvfd_copy {
        struct qvfd *service;
        struct qvfd_client *client;
        struct qvfd_copy *next;
        struct qvfd_child child;
        sd_event_source *source, *timer;
        char what[32];
        uint64_t most;
        qvfd_copied done;
        void *context;
};

static int check(int fd, const char *what, bool writing, uint16_t *ret_mode, uint32_t *ret_links,
                sd_bus_error *error)
{
        struct statx status;
        int flags = fcntl(fd, F_GETFL), access = flags & O_ACCMODE;

        if (flags < 0 || (flags & O_PATH))
                return qvfd_fail(error, "InvalidArgument", "%s: the descriptor can't be used", what);
        if (access != O_RDWR && access != (writing ? O_WRONLY : O_RDONLY))
                return qvfd_fail(error, "InvalidArgument", "%s: not open for %s", what,
                                writing ? "writing" : "reading");
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_NLINK, &status) < 0)
                return qvfd_fail(error, "InvalidArgument", "%s: %s", what, strerror(errno));
        *ret_mode = status.stx_mode;
        *ret_links = status.stx_nlink;
        return 0;
}

int qvfd_check_input(int fd, const char *what, sd_bus_error *error)
{
        uint32_t links = 0;
        uint16_t mode = 0;
        int r = check(fd, what, false, &mode, &links, error), seals;

        if (r < 0)
                return r;
        if (!S_ISREG(mode))
                return qvfd_fail(error, "InvalidArgument", "%s: not a regular file", what);
        seals = links == 0 ? fcntl(fd, F_GET_SEALS) : -1;
        if (seals >= 0 && !(seals & F_SEAL_WRITE))
                return qvfd_fail(error, "InvalidArgument", "%s: a memfd must be sealed against writing",
                                what);
        return 0;
}

int qvfd_check_output(int fd, const char *what, sd_bus_error *error)
{
        uint32_t links;
        uint16_t mode = 0;
        int r = check(fd, what, true, &mode, &links, error);

        if (r == 0 && !S_ISREG(mode))
                return qvfd_fail(error, "InvalidArgument", "%s: not a regular file", what);
        return r;
}

int qvfd_check_stream(int fd, const char *what, sd_bus_error *error)
{
        uint32_t links;
        uint16_t mode = 0;
        int r = check(fd, what, true, &mode, &links, error);

        if (r == 0 && !S_ISFIFO(mode) && !S_ISSOCK(mode))
                return qvfd_fail(error, "InvalidArgument", "%s: neither a pipe nor a socket", what);
        return r;
}

static int write_all(int to, const char *bytes, size_t length)
{
        while (length > 0) {
                ssize_t n = write(to, bytes, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno;
                bytes += n;
                length -= (size_t)n;
        }
        return 0;
}

/* In the child: the exit status is an errno. */
static int copy_all(int from, int to, uint64_t most)
{
        char *piece = malloc(PIECE);
        uint64_t at = 0;

        if (!piece || ftruncate(to, 0) < 0 || lseek(to, 0, SEEK_SET) < 0)
                return piece ? errno : ENOMEM;
        for (;;) {
                ssize_t n = pread(from, piece, PIECE, (off_t)at);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? errno : fsync(to) < 0 ? errno : 0;
                if (at + (uint64_t)n > most)
                        return EFBIG;
                r = write_all(to, piece, (size_t)n);
                if (r != 0)
                        return r;
                /* On its way to the disk now, so that the sync at the end has little left to do. */
                sync_file_range(to, (off_t)at, n, SYNC_FILE_RANGE_WRITE);
                at += (uint64_t)n;
        }
}

static void finish(struct qvfd_copy *copy, int result)
{
        struct qvfd_copy **link = &copy->service->copies;
        struct qvf_error error = { 0 };

        while (*link != copy)
                link = &(*link)->next;
        *link = copy->next;
        sd_event_source_disable_unref(copy->source);
        sd_event_source_disable_unref(copy->timer);
        qvfd_child_end(&copy->child);
        if (result == -EFBIG)
                qvf_error_set(&error, result, "%s is larger than %llu bytes", copy->what,
                                (unsigned long long)copy->most);
        else if (result < 0)
                qvf_error_set(&error, result, "%s can't be copied: %s", copy->what, strerror(-result));
        copy->done(copy->context, result, &error);
        free(copy);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct qvfd_copy *copy = userdata;
        siginfo_t info;

        (void)source;
        (void)fd;
        (void)events;
        if (qvfd_child_reap(&copy->child, &info) > 0)
                finish(copy, info.si_code == CLD_EXITED ? -info.si_status : -EIO);
        return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        finish(userdata, -ETIMEDOUT);
        return 0;
}

static int start(struct qvfd_copy *copy, int from, int to)
{
        int r = qvfd_child_fork(&copy->child);

        if (r == 0) {
                /* Nothing of the service stays open in the child but the two files. */
                if (dup2(from, 0) < 0 || dup2(to, 1) < 0)
                        _exit(errno);
                close_range(3, ~0U, 0);
                _exit(copy_all(0, 1, copy->most) & 127);
        }
        if (r > 0)
                r = sd_event_add_io(copy->service->event, &copy->source, copy->child.pidfd, EPOLLIN, on_end,
                                copy);
        if (r >= 0)
                r = sd_event_add_time_relative(copy->service->event, &copy->timer, CLOCK_MONOTONIC, LIMIT_US,
                                1000000, on_limit, copy);
        return r;
}

int qvfd_copy_start(struct qvfd *service, struct qvfd_client *client, const char *what, int from, int to,
                uint64_t most, qvfd_copied done, void *context, struct qvf_error *error)
{
        struct qvfd_copy *copy;
        unsigned n = 0;
        int r;

        for (copy = service->copies; copy; copy = copy->next)
                n++;
        if (n >= COPIES_MOST)
                return qvf_error_set(error, -EBUSY, "more than %d files are being copied", COPIES_MOST);
        copy = calloc(1, sizeof(*copy));
        if (!copy)
                return qvf_error_set(error, -ENOMEM, "no memory");
        copy->service = service;
        copy->client = client;
        copy->child = QVFD_CHILD_NONE;
        copy->most = most;
        copy->done = done;
        copy->context = context;
        strncpy(copy->what, what, sizeof(copy->what) - 1);
        r = start(copy, from, to);
        if (r < 0) {
                sd_event_source_disable_unref(copy->source);
                qvfd_child_end(&copy->child);
                free(copy);
                return qvf_error_set(error, r, "%s can't be copied: %s", what, strerror(-r));
        }
        copy->next = service->copies;
        service->copies = copy;
        return 0;
}

void qvfd_copies_drop(struct qvfd_client *client)
{
        for (struct qvfd_copy *copy = client->service->copies, *next; copy; copy = next) {
                next = copy->next;
                if (copy->client == client)
                        finish(copy, -ECANCELED);
        }
}
