/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/worker/peer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const keys[] = { "step", "loss", "generated_tokens", "first_token_ms", "checkpoint_step",
        "reused_tokens", "total_steps" };

double peer_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* The value of a number of any type, or NaN. */
static double read_variant(sd_bus_message *message, const char *contents)
{
        double number = (double)NAN;

        if (strcmp(contents, "d") == 0) {
                sd_bus_message_read_basic(message, 'd', &number);
        } else if (strcmp(contents, "u") == 0) {
                uint32_t value;

                if (sd_bus_message_read_basic(message, 'u', &value) >= 0)
                        number = value;
        } else if (strcmp(contents, "t") == 0) {
                uint64_t value;

                if (sd_bus_message_read_basic(message, 't', &value) >= 0)
                        number = (double)value;
        } else {
                sd_bus_message_skip(message, contents);
        }
        return number;
}

/* Reads an a{sv} that comes next; each key is shown with its number. */
static void read_values(sd_bus_message *message, double *values, const char *wanted, double *ret_wanted)
{
        const char *key, *contents;

        if (sd_bus_message_enter_container(message, 'a', "{sv}") <= 0)
                return;
        while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
                double number;

                sd_bus_message_read_basic(message, 's', &key);
                sd_bus_message_peek_type(message, NULL, &contents);
                sd_bus_message_enter_container(message, 'v', contents);
                number = read_variant(message, contents);
                sd_bus_message_exit_container(message);
                sd_bus_message_exit_container(message);
                for (unsigned i = 0; values && i < sizeof(keys) / sizeof(keys[0]); i++)
                        if (strcmp(keys[i], key) == 0)
                                values[i] = number;
                if (wanted && strcmp(wanted, key) == 0)
                        *ret_wanted = number;
        }
        sd_bus_message_exit_container(message);
}

double peer_number(sd_bus_message *reply, const char *key)
{
        double number = (double)NAN;

        sd_bus_message_rewind(reply, 1);
        read_values(reply, NULL, key, &number);
        return number;
}

static int on_signal(sd_bus_message *message, void *peer_, sd_bus_error *unused)
{
        struct peer *peer = peer_;
        const char *name = sd_bus_message_get_member(message), *text;
        struct peer_signal *signal_;
        char *const places[3] = { peer->signals[peer->n_signals % PEER_SIGNALS_MOST].subject,
                peer->signals[peer->n_signals % PEER_SIGNALS_MOST].word,
                peer->signals[peer->n_signals % PEER_SIGNALS_MOST].text };
        const size_t sizes[3] = { sizeof(signal_->subject), sizeof(signal_->word), sizeof(signal_->text) };

        (void)unused;
        if (!sd_bus_message_is_signal(message, "org.qvf.Worker1", NULL))
                return 0;
        if (strcmp(name, "Heartbeat") == 0) {
                sd_bus_message_read(message, "s", &text);
                snprintf(peer->activity, sizeof(peer->activity), "%s", text);
                peer->n_heartbeats++;
                return 0;
        }
        if (peer->n_signals >= PEER_SIGNALS_MOST)
                return 0;
        signal_ = &peer->signals[peer->n_signals++];
        memset(signal_, 0, sizeof(*signal_));
        for (unsigned i = 0; i < 8; i++)
                signal_->values[i] = (double)NAN;
        snprintf(signal_->name, sizeof(signal_->name), "%s", name);
        for (unsigned i = 0; i < 3 && sd_bus_message_peek_type(message, NULL, NULL) > 0; i++) {
                char type;

                sd_bus_message_peek_type(message, &type, NULL);
                if (type != 's')
                        break;
                sd_bus_message_read_basic(message, 's', &text);
                snprintf(places[i], sizes[i], "%s", text);
        }
        read_values(message, signal_->values, NULL, NULL);
        return 0;
}

/* Tests stand in BUILD/tests/worker. */
static _Noreturn void run_worker(int fd)
{
        char path[PATH_MAX];
        ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/qvf-worker"));

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        path[length > 0 ? length : 0] = 0;
        for (unsigned i = 0; i < 3; i++)
                *strrchr(path, '/') = 0;
        strcat(path, "/qvf-worker");
        if (fd != 3)
                dup2(fd, 3);
        else
                fcntl(3, F_SETFD, 0);
        execl(path, "qvf-worker", (char *)NULL);
        _exit(127);
}

struct peer *peer_start(void)
{
        struct peer *peer = calloc(1, sizeof(*peer));
        int fds[2];

        ck_assert_ptr_nonnull(peer);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        peer->pid = fork();
        ck_assert_int_ge(peer->pid, 0);
        if (peer->pid == 0)
                run_worker(fds[1]);
        close(fds[1]);
        ck_assert_int_ge(sd_bus_new(&peer->bus), 0);
        ck_assert_int_ge(sd_bus_set_fd(peer->bus, fds[0], fds[0]), 0);
        ck_assert_int_ge(sd_bus_negotiate_fds(peer->bus, 1), 0);
        ck_assert_int_ge(sd_bus_start(peer->bus), 0);
        ck_assert_int_ge(sd_bus_add_filter(peer->bus, NULL, on_signal, peer), 0);
        return peer;
}

int peer_wait_end(struct peer *peer, unsigned limit_ms)
{
        double end = peer_now_ms() + limit_ms;
        int status = -1;

        while (peer_now_ms() < end && waitpid(peer->pid, &status, WNOHANG) == 0)
                peer_run(peer, 10);
        return status;
}

int peer_stop(struct peer *peer)
{
        int status = -1;

        sd_bus_flush_close_unref(peer->bus);
        if (waitpid(peer->pid, &status, 0) < 0)
                status = -1;
        sd_bus_error_free(&peer->error);
        free(peer);
        return status;
}

int peer_call(struct peer *peer, const char *member, sd_bus_message **ret_reply, const char *types, ...)
{
        sd_bus_message *call = NULL, *reply = NULL;
        va_list arguments;
        int r;

        sd_bus_error_free(&peer->error);
        r = sd_bus_message_new_method_call(
                        peer->bus, &call, NULL, "/org/qvf/Worker1", "org.qvf.Worker1", member);
        va_start(arguments, types);
        if (r >= 0 && *types)
                r = sd_bus_message_appendv(call, types, arguments);
        va_end(arguments);
        if (r >= 0)
                r = sd_bus_call(peer->bus, call, 120000000, &peer->error, &reply);
        sd_bus_message_unref(call);
        if (ret_reply)
                *ret_reply = reply;
        else
                sd_bus_message_unref(reply);
        return r < 0 ? r : 0;
}

const char *peer_error(const struct peer *peer)
{
        static const char prefix[] = "org.qvf.Worker1.Error.";

        if (!peer->error.name)
                return "";
        return strncmp(peer->error.name, prefix, strlen(prefix)) == 0 ? peer->error.name + strlen(prefix)
                                                                      : peer->error.name;
}

void peer_run(struct peer *peer, unsigned milliseconds)
{
        double end = peer_now_ms() + milliseconds;

        for (;;) {
                int r = sd_bus_process(peer->bus, NULL);
                double left = end - peer_now_ms();

                if (r > 0)
                        continue;
                if (left <= 0)
                        return;
                if (r < 0)
                        usleep((useconds_t)(left * 1e3));
                else
                        sd_bus_wait(peer->bus, (uint64_t)(left * 1e3));
        }
}

static const struct peer_signal *find(const struct peer *peer, const char *name, const char *subject)
{
        for (unsigned i = 0; i < peer->n_signals; i++)
                if (strcmp(peer->signals[i].name, name) == 0 &&
                                (!subject || strcmp(peer->signals[i].subject, subject) == 0))
                        return &peer->signals[i];
        return NULL;
}

const struct peer_signal *peer_wait(
                struct peer *peer, const char *name, const char *subject, unsigned limit_ms)
{
        double end = peer_now_ms() + limit_ms;
        const struct peer_signal *found;

        while (!(found = find(peer, name, subject)) && peer_now_ms() < end)
                peer_run(peer, 5);
        return found;
}

void peer_forget(struct peer *peer)
{
        peer->n_signals = 0;
}

void peer_load(struct peer *peer, const char *path, bool infer)
{
        const char *backend = getenv("QVF_TEST_BACKEND");
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int r;

        ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
        r = peer_call(peer, "Load", NULL, "ha{sv}", fd, 3, "infer", "b", (int)infer, "context_length", "u",
                        (uint32_t)512, "backend", "s", backend ? backend : "cpu");
        ck_assert_msg(r == 0, "Load: %s: %s", peer_error(peer), peer->error.message);
        close(fd);
}

int peer_infer(struct peer *peer, const char *request, const char *prompt, uint32_t max_tokens,
                const char *adapter)
{
        int fds[2], r;

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        if (adapter)
                r = peer_call(peer, "Infer", NULL, "sha{sv}", request, fds[1], 3, "prompt", "s", prompt,
                                "max_tokens", "u", max_tokens, "adapters", "a(sd)", 1, adapter, 1.0);
        else
                r = peer_call(peer, "Infer", NULL, "sha{sv}", request, fds[1], 3, "prompt", "s", prompt,
                                "max_tokens", "u", max_tokens, "ignore_end", "b", 1);
        close(fds[1]);
        if (r < 0) {
                close(fds[0]);
                return r;
        }
        return fds[0];
}

char *peer_read_all(struct peer *peer, int fd, unsigned limit_ms)
{
        double end = peer_now_ms() + limit_ms;
        char *text = calloc(1, 1 << 20);
        size_t length = 0;

        while (peer_now_ms() < end && length < (1 << 20) - 1) {
                struct pollfd ready = { .fd = fd, .events = POLLIN };
                ssize_t n;

                peer_run(peer, 0);
                if (poll(&ready, 1, 20) <= 0)
                        continue;
                n = read(fd, text + length, (1 << 20) - 1 - length);
                if (n == 0) {
                        close(fd);
                        return text;
                }
                if (n > 0)
                        length += (size_t)n;
        }
        close(fd);
        free(text);
        return NULL;
}

char *peer_ask(struct peer *peer, const char *request, const char *prompt, uint32_t max_tokens,
                const char *adapter)
{
        int fd = peer_infer(peer, request, prompt, max_tokens, adapter);

        ck_assert_msg(fd >= 0, "Infer: %s: %s", peer_error(peer), peer->error.message);
        return peer_read_all(peer, fd, PEER_LIMIT_MS);
}

int peer_train(struct peer *peer, const char *job, const char *data, int folder,
                const struct peer_training *options, sd_bus_message **ret_reply)
{
        int fd = open(data, O_RDONLY | O_CLOEXEC), r;

        ck_assert_msg(fd >= 0, "%s: %s", data, strerror(errno));
        r = peer_call(peer, "Train", ret_reply, "shha{sv}", job, fd, folder, 8, "steps", "t",
                        (uint64_t)options->steps, "epochs", "u", (uint32_t)1000, "batch", "u",
                        options->batch ? options->batch : 1, "context", "u",
                        options->context ? options->context : 64, "checkpoint_every", "u",
                        options->checkpoint_every, "rank", "u", options->rank ? options->rank : 4,
                        "learning_rate", "d", options->rate > 0 ? options->rate : 1e-3, "paused", "b",
                        (int)options->paused);
        close(fd);
        return r;
}
