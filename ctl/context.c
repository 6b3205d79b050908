/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/daemon.h"
#include "ctl/terminal.h"

#define AT(field) offsetof(struct ctl_common, field)

const struct bench_option ctl_common_options[] = {
        { "address", 0, BENCH_STRING, AT(address), "ADDRESS",
                        "system, user, or where the private socket is: unix:path=FILE (default: "
                        "$QVF_ADDRESS, or "
                        "the buses)",
                        0, 0 },
        { "user", 0, BENCH_FLAG, AT(user), NULL, "the qvfd of this user's session bus", 0, 0 },
        { "private", 0, BENCH_FLAG, AT(private), NULL,
                        "a qvfd of one's own, without a bus: started when none runs, and ended with this", 0,
                        0 },
        { "json", 0, BENCH_FLAG, AT(json), NULL, "print JSON", 0, 0 },
        { "no-color", 0, BENCH_FLAG, AT(no_colour), NULL, "no colours, as with NO_COLOR in the environment",
                        0, 0 },
        { "timeout", 0, BENCH_COUNT, AT(timeout_s), "SECONDS",
                        "how long qvfd may take to answer, of what is no long work; 0: any time (default: "
                        "25)",
                        0, 86400 },
        { "ask-password", 0, BENCH_FLAG, AT(ask), NULL,
                        "let the system ask for a password where it wants one", 0, 0 },
        { 0 },
};

const struct bench_option ctl_watch_options[] = {
        { "watch", 'w', BENCH_FLAG, AT(watch), NULL, "go on: a line of JSON now and after each change", 0,
                        0 },
        { 0 },
};

const struct bench_option ctl_names_options[] = {
        { "names", 0, BENCH_FLAG, AT(names), NULL, "print the names alone, one a line", 0, 0 },
        { 0 },
};

static struct ctl context;
volatile sig_atomic_t ctl_interrupted;

struct ctl *ctl_context(void)
{
        return &context;
}

static void on_interrupt(int signal)
{
        (void)signal;
        /* Somebody who presses it three times has waited long enough. */
        if (++ctl_interrupted == 3)
                _exit(130);
}

void ctl_catch_interrupt(bool catch)
{
        /* No SA_RESTART: a wait ends when it comes. */
        const struct sigaction action = { .sa_handler = catch ? on_interrupt : SIG_DFL };

        ctl_interrupted = 0;
        sigaction(SIGINT, &action, NULL);
}

int ctl_failed(struct qvf_error *error, const struct qvf_failure *failure)
{
        static const struct {
                int code;
                enum ctl_exit exit;
        } exits[] = {
                { QVF_TIMED_OUT, CTL_TIMED_OUT },
                { QVF_NOT_FOUND, CTL_NOT_FOUND },
                { QVF_DENIED, CTL_DENIED },
                { QVF_FORBIDDEN, CTL_DENIED },
                { QVF_NOT_RUNNING, CTL_NOT_RUNNING },
        };
        int exit = CTL_FAILED;

        for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
                if (exits[i].code == failure->code)
                        exit = exits[i].exit;
        snprintf(context.error_name, sizeof(context.error_name), "%s", failure->name);
        return qvf_error_set(error, exit, "%s", failure->message[0] ? failure->message : failure->name);
}

static int choose_address(const struct ctl_common *common, const char **ret_address, struct qvf_error *error)
{
        int chosen = (common->address != NULL) + common->user + common->private;

        if (chosen > 1)
                return qvf_error_set(error, CTL_USAGE, "only one of --address, --user and --private can be");
        *ret_address = common->address ? common->address : common->user ? "user" : NULL;
        return 0;
}

int ctl_connect(struct ctl *ctl, const struct ctl_common *common, struct qvf_error *error)
{
        struct qvf_failure failure;
        const char *address;
        int r = choose_address(common, &address, error);

        if (r != 0 || ctl->client)
                return r;
        ctl->colour = ctl_terminal_wants_colour(STDOUT_FILENO, common->no_colour);
        if (common->private) {
                r = ctl_daemon_start(&ctl->daemon, &address, error);
                if (r != 0)
                        return r;
        }
        if (qvf_connect(address, &ctl->client, &failure) < 0)
                return ctl_failed(error, &failure);
        qvf_set_timeout(ctl->client, common->timeout_s ? (int)common->timeout_s * 1000 : -1);
        qvf_set_interactive(ctl->client, common->ask);
        return 0;
}

void ctl_disconnect(struct ctl *ctl)
{
        ctl->client = qvf_disconnect(ctl->client);
        ctl->daemon = ctl_daemon_stop(ctl->daemon);
}

int ctl_default_model(struct ctl *ctl, const char *name, char **ret_name, struct qvf_error *error)
{
        _cleanup_value_ struct qvf_value *manager = NULL;
        struct qvf_failure failure;

        if (!name || !*name) {
                if (qvf_get(ctl->client, "manager", "", &manager, &failure) < 0)
                        return ctl_failed(error, &failure);
                name = ctl_string(manager, "DefaultModel");
                if (!*name)
                        return qvf_error_set(error, CTL_NOT_FOUND,
                                        "which model? None is the default: qvfctl models lists them, qvfctl "
                                        "models "
                                        "add NAME FILE brings one");
        }
        *ret_name = strdup(name);
        return *ret_name ? 0 : qvf_error_set(error, -ENOMEM, "not enough memory");
}
