/* SPDX-License-Identifier: Apache-2.0 */
/* hold: nothing trains while this runs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

struct hold_options {
        struct ctl_common common;
        struct bench_words words;
        const char *reason, *duration;
        bool all;
};

static const struct hold_options defaults = { .common = CTL_COMMON_DEFAULTS };

#define AT(field) offsetof(struct hold_options, field)

static const struct bench_option options_table[] = {
        { "reason", 'r', BENCH_STRING, AT(reason), "TEXT", "what others are told (default: the command)", 0,
                        0 },
        { "for", 'f', BENCH_STRING, AT(duration), "TIME", "end it after this, as in 2h (default: no limit)",
                        0, 0 },
        { "all", 'a', BENCH_FLAG, AT(all), NULL, "hold answers too, not training alone", 0, 0 },
        { 0 },
};
static const struct bench_option_group groups[] = { { options_table, 0 }, { ctl_common_options, 0 }, { 0 } };

static int run_command(const struct bench_words *words)
{
        char *arguments[BENCH_LIST_MAX + 64];
        int status = 0;
        pid_t pid;

        for (uint32_t i = 0; i < words->count; i++)
                arguments[i] = words->items[i];
        arguments[words->count] = NULL;
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                signal(SIGPIPE, SIG_DFL);
                execvp(arguments[0], arguments);
                fprintf(stderr, "qvfctl hold: %s: %s\n", arguments[0], strerror(errno));
                _exit(127);
        }
        if (pid < 0)
                return CTL_FAILED;
        /* Ctrl-C is for the command; this waits until it has gone. */
        signal(SIGINT, SIG_IGN);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        signal(SIGINT, SIG_DFL);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int wait_for_end(struct ctl *ctl, uint64_t seconds, struct qvf_error *error)
{
        uint64_t end = seconds ? ctl_now_us() + seconds * 1000000 : UINT64_MAX;
        struct qvf_failure failure;

        while (!ctl_interrupted && ctl_now_us() < end) {
                uint64_t left = (end - ctl_now_us()) / 1000 + 1;

                if (qvf_dispatch(ctl->client, left < 60000 ? (int)left : 60000, &failure) < 0)
                        return ctl_failed(error, &failure);
        }
        return 0;
}

static int run(const void *given, struct qvf_error *error)
{
        const struct hold_options *options = given;
        const char *reason = options->reason        ? options->reason
                             : options->words.count ? options->words.items[0]
                                                    : "asked for by qvfctl hold";
        _cleanup_value_ struct qvf_value *reply = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        uint64_t seconds = 0, id;
        int r;

        if (options->duration && (ctl_parse_duration(options->duration, &seconds) < 0 || seconds == 0))
                return qvf_error_set(error, CTL_USAGE, "--for %s: expected a time, as in 90min or 2h",
                                options->duration);
        r = ctl_connect(ctl, &options->common, error);
        if (r != 0)
                return r;
        /* From here on, so that whoever reads that Ctrl-C ends it can press it. */
        if (options->words.count == 0)
                ctl_catch_interrupt(true);
        if (qvf_call(ctl->client, "manager", "", "Hold", &reply, &failure, "sst",
                            options->all ? "all" : "training", reason, seconds) < 0)
                return ctl_failed(error, &failure);
        id = qvf_value_unsigned(qvf_value_at(reply, 0));
        if (options->common.json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "hold", json_object_new_uint64(id));
                ctl_json_print(document, true);
        } else if (options->words.count == 0) {
                fprintf(stderr, "%s while this runs%s%s; Ctrl-C ends it\n",
                                options->all ? "nothing trains or answers" : "nothing trains",
                                seconds ? ", for " : "", seconds ? ctl_duration((double)seconds).text : "");
        }
        r = options->words.count ? run_command(&options->words) : wait_for_end(ctl, seconds, error);
        qvf_call(ctl->client, "manager", "", "Release", NULL, NULL, "t", id);
        ctl_catch_interrupt(false);
        return r;
}

CTL_VERB_TAKING(ctl_hold, "hold", "keep training from running for a while",
                "Keeps training from running while a command runs (and ends with its exit status), or until "
                "Ctrl-C.\nOptions of the command stand behind --, as in: qvfctl hold -- game --fullscreen",
                groups, "[COMMAND…]", 0, BENCH_LIST_MAX + 48, run);
