/* SPDX-License-Identifier: Apache-2.0 */
/* D-Bus without a bus: a socket in a folder of the user's own, for the user's own processes. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "daemon/connection.h"
#include "daemon/qvfd.h"

enum { CONNECTIONS_MOST = 512 };

struct qvfd_private_socket {
        int fd;
        char *path; /* to be removed at the end; NULL for an abstract name */
        sd_event_source *source;
};

static unsigned count(const struct qvfd *service)
{
        unsigned n = 0;

        for (const struct qvfd_connection *c = service->connections; c; c = c->next)
                n++;
        return n;
}

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct qvfd *service = userdata;
        struct ucred peer;
        socklen_t length = sizeof(peer);
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)source;
        (void)events;
        if (client < 0)
                return 0;
        if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ||
                        (peer.uid != geteuid() && peer.uid != 0) || count(service) >= CONNECTIONS_MOST) {
                close(client);
                return 0;
        }
        if (qvfd_connection_open_direct(service, client, peer.uid, peer.pid) < 0)
                qvf_log(QVF_LOG_WARNING, "a client could not be taken");
        return 0;
}

static int parse(const char *address, struct sockaddr_un *ret_address, socklen_t *ret_length,
                struct qvf_error *error)
{
        const char *path = NULL;
        struct sockaddr_un sockaddr = { .sun_family = AF_UNIX };
        bool abstract = false;

        if (strncmp(address, "unix:path=", 10) == 0)
                path = address + 10;
        else if (strncmp(address, "unix:abstract=", 14) == 0)
                path = address + 14, abstract = true;
        if (!path || !path[0] || strpbrk(path, ",;%"))
                return qvf_error_set(error, -EINVAL, "--address %s: expected unix:path=FILE", address);
        if (strlen(path) + 1 >= sizeof(sockaddr.sun_path))
                return qvf_error_set(error, -ENAMETOOLONG, "--address %s: the path is longer than %zu bytes",
                                address, sizeof(sockaddr.sun_path) - 2);
        strcpy(sockaddr.sun_path + abstract, path);
        *ret_address = sockaddr;
        *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) +
                                  (abstract ? 1 : 0));
        if (!abstract)
                *ret_length += 1;
        return 0;
}

/* A socket that nobody listens at any more is removed; anything else is not ours. */
static int remove_stale(const struct sockaddr_un *address, socklen_t length)
{
        _cleanup_close_ int fd = -1;
        struct stat status;

        if (!address->sun_path[0] || lstat(address->sun_path, &status) < 0)
                return 0;
        if (!S_ISSOCK(status.st_mode))
                return -EEXIST;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)address, length) == 0 || errno == EAGAIN)
                return -EADDRINUSE;
        return unlink(address->sun_path) < 0 ? -errno : 0;
}

int qvfd_private_socket_open(struct qvfd *service, const char *address, struct qvf_error *error)
{
        struct qvfd_private_socket *listener = calloc(1, sizeof(*listener));
        struct sockaddr_un sockaddr;
        socklen_t length;
        mode_t mask;
        int r;

        if (!listener)
                return qvf_error_set(error, -ENOMEM, "no memory");
        listener->fd = -1;
        service->socket = listener;
        r = parse(address, &sockaddr, &length, error);
        if (r < 0)
                return r;
        r = remove_stale(&sockaddr, length);
        if (r == 0) {
                listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                r = listener->fd < 0 ? -errno : 0;
        }
        if (r == 0) {
                mask = umask(0177);
                r = bind(listener->fd, (struct sockaddr *)&sockaddr, length) < 0 ? -errno : 0;
                umask(mask);
        }
        if (r == 0 && sockaddr.sun_path[0])
                listener->path = strdup(sockaddr.sun_path);
        if (r == 0 && listen(listener->fd, 128) < 0)
                r = -errno;
        if (r == 0)
                r = sd_event_add_io(service->event, &listener->source, listener->fd, EPOLLIN, on_connect,
                                service);
        return r < 0 ? qvf_error_set(error, r, "can't listen at %s: %s", address, strerror(-r)) : 0;
}

void qvfd_private_socket_close(struct qvfd *service)
{
        struct qvfd_private_socket *listener = service->socket;

        if (!listener)
                return;
        sd_event_source_disable_unref(listener->source);
        if (listener->fd >= 0)
                close(listener->fd);
        if (listener->path)
                unlink(listener->path);
        free(listener->path);
        free(listener);
        service->socket = NULL;
}
