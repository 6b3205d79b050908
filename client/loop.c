/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a client: one epoll descriptor over the connection and the pipes of answers. Calls have no time-outs of
 * libdbus: a call that must end gets its deadline here, so that there are no timers to watch. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "client/client.h"

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the watches of one descriptor want together: libdbus has one for reading and one for writing. */
static uint32_t wanted(const struct qvf_client *client, int fd)
{
        uint32_t events = 0;

        for (size_t i = 0; i < client->watch_count; i++) {
                unsigned flags = dbus_watch_get_flags(client->watches[i]);

                if (dbus_watch_get_unix_fd(client->watches[i]) != fd ||
                                !dbus_watch_get_enabled(client->watches[i]))
                        continue;
                events |= (flags & DBUS_WATCH_READABLE ? (uint32_t)EPOLLIN : 0) |
                          (flags & DBUS_WATCH_WRITABLE ? (uint32_t)EPOLLOUT : 0);
        }
        return events;
}

static dbus_bool_t update(struct qvf_client *client, int fd)
{
        struct epoll_event event = { .events = wanted(client, fd), .data.fd = fd };

        if (event.events == 0)
                return epoll_ctl(client->epoll, EPOLL_CTL_DEL, fd, NULL) == 0 || errno == ENOENT ||
                       errno == EBADF;
        return epoll_ctl(client->epoll, EPOLL_CTL_MOD, fd, &event) == 0 ||
               (errno == ENOENT && epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static dbus_bool_t add_watch(DBusWatch *watch, void *data)
{
        struct qvf_client *client = data;

        if (client->watch_count == sizeof(client->watches) / sizeof(client->watches[0]))
                return FALSE;
        client->watches[client->watch_count++] = watch;
        return update(client, dbus_watch_get_unix_fd(watch));
}

static void remove_watch(DBusWatch *watch, void *data)
{
        struct qvf_client *client = data;

        for (size_t i = 0; i < client->watch_count; i++)
                if (client->watches[i] == watch) {
                        client->watches[i] = client->watches[--client->watch_count];
                        break;
                }
        update(client, dbus_watch_get_unix_fd(watch));
}

static void toggle_watch(DBusWatch *watch, void *data)
{
        update(data, dbus_watch_get_unix_fd(watch));
}

/* Messages can wait inside the library, where no descriptor shows them. */
static void on_status(DBusConnection *connection, DBusDispatchStatus status, void *data)
{
        struct qvf_client *client = data;

        (void)connection;
        if (status == DBUS_DISPATCH_DATA_REMAINS)
                eventfd_write(client->wake, 1);
}

static DBusHandlerResult on_message(DBusConnection *connection, DBusMessage *message, void *data)
{
        struct qvf_client *client = data;

        (void)connection;
        if (dbus_message_is_signal(message, DBUS_INTERFACE_LOCAL, "Disconnected"))
                client->lost = true;
        if (dbus_message_get_type(message) != DBUS_MESSAGE_TYPE_SIGNAL)
                return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
        qvf_requests_message(client, message);
        qvf_watch_message(client, message);
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
}

int qvf_loop_init(struct qvf_client *client, struct qvf_failure *failure)
{
        struct epoll_event event = { .events = EPOLLIN };

        client->epoll = epoll_create1(EPOLL_CLOEXEC);
        client->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        event.data.fd = client->wake;
        if (client->epoll < 0 || client->wake < 0 ||
                        epoll_ctl(client->epoll, EPOLL_CTL_ADD, client->wake, &event) < 0)
                return qvf_fail(failure, QVF_FAILED, "", "no descriptors to wait with: %s", strerror(errno));
        dbus_connection_set_exit_on_disconnect(client->connection, FALSE);
        dbus_connection_set_dispatch_status_function(client->connection, on_status, client, NULL);
        if (!dbus_connection_set_watch_functions(
                            client->connection, add_watch, remove_watch, toggle_watch, client, NULL) ||
                        !dbus_connection_add_filter(client->connection, on_message, client, NULL))
                return qvf_fail(failure, QVF_NO_MEMORY, "", "not enough memory to connect");
        on_status(client->connection, dbus_connection_get_dispatch_status(client->connection), client);
        return 0;
}

void qvf_loop_exit(struct qvf_client *client)
{
        if (client->connection) {
                dbus_connection_remove_filter(client->connection, on_message, client);
                dbus_connection_set_dispatch_status_function(client->connection, NULL, NULL, NULL);
                dbus_connection_set_watch_functions(client->connection, NULL, NULL, NULL, NULL, NULL);
        }
        if (client->epoll >= 0)
                close(client->epoll);
        if (client->wake >= 0)
                close(client->wake);
        client->epoll = client->wake = -1;
}

int qvf_loop_add_pipe(struct qvf_client *client, int fd)
{
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

        return epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void handle_watches(struct qvf_client *client, int fd, uint32_t events)
{
        unsigned flags = (events & EPOLLIN ? (unsigned)DBUS_WATCH_READABLE : 0) |
                         (events & EPOLLOUT ? (unsigned)DBUS_WATCH_WRITABLE : 0) |
                         (events & EPOLLHUP ? (unsigned)DBUS_WATCH_HANGUP : 0) |
                         (events & EPOLLERR ? (unsigned)DBUS_WATCH_ERROR : 0);

        for (size_t i = 0; i < client->watch_count; i++) {
                DBusWatch *watch = client->watches[i];
                unsigned mine = dbus_watch_get_flags(watch) | DBUS_WATCH_HANGUP | DBUS_WATCH_ERROR;

                if (dbus_watch_get_unix_fd(watch) == fd && dbus_watch_get_enabled(watch) && (flags & mine))
                        dbus_watch_handle(watch, flags & mine);
        }
}

/* Handles what one wait brought; returns how many descriptors had something. */
static int wait_once(struct qvf_client *client, int timeout_ms)
{
        struct epoll_event events[16];
        int count = epoll_wait(client->epoll, events, 16, timeout_ms);

        for (int i = 0; i < count; i++) {
                int fd = events[i].data.fd;
                eventfd_t ignored;

                if (fd == client->wake)
                        eventfd_read(client->wake, &ignored);
                else if (wanted(client, fd))
                        handle_watches(client, fd, events[i].events);
                else
                        qvf_requests_readable(client, fd);
        }
        return count;
}

static bool is_answered(DBusPendingCall *call)
{
        return call && dbus_pending_call_get_completed(call);
}

/* One message at a time: what follows an answer is handled after the caller has seen the answer. */
static int dispatch_waiting(struct qvf_client *client, DBusPendingCall *call)
{
        int handled = 0;

        while (!is_answered(call) && dbus_connection_get_dispatch_status(client->connection) ==
                                                     DBUS_DISPATCH_DATA_REMAINS) {
                dbus_connection_dispatch(client->connection);
                handled++;
        }
        if (dbus_connection_get_dispatch_status(client->connection) == DBUS_DISPATCH_DATA_REMAINS)
                eventfd_write(client->wake, 1);
        return handled;
}

static int lost(struct qvf_client *client, struct qvf_failure *failure)
{
        qvf_requests_lost(client);
        qvf_watch_lost(client);
        return qvf_fail(failure, QVF_NOT_RUNNING, "Disconnected", "the connection to qvfd is lost");
}

int qvf_loop_run(struct qvf_client *client, DBusPendingCall *call, int timeout_ms,
                struct qvf_failure *failure)
{
        int64_t end = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;

        for (;;) {
                int handled = dispatch_waiting(client, call), count;
                int64_t left;

                if (is_answered(call))
                        return 1;
                if (client->lost)
                        return lost(client, failure);
                left = end == INT64_MAX ? -1 : end - now_ms();
                if (end != INT64_MAX && left < 0)
                        left = 0;
                if (!call && handled > 0)
                        left = 0;
                count = wait_once(client, left > 1 << 30 ? 1 << 30 : (int)left);
                if (count < 0 && errno == EINTR && !call)
                        return 0; /* a signal is what a program may wait for */
                if (!call && (count > 0 || handled > 0)) {
                        dispatch_waiting(client, NULL);
                        return client->lost ? lost(client, failure) : 1;
                }
                if (count == 0 && (!call || now_ms() >= end))
                        return call ? qvf_fail(failure, QVF_TIMED_OUT, "", "qvfd did not answer in %d s",
                                                      timeout_ms / 1000)
                                    : 0;
        }
}
