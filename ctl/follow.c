/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/follow.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/bar.h"
#include "ctl/json.h"
#include "ctl/terminal.h"
#include "ctl/units.h"

enum { LEFT_BY_USER = 1 };

struct following {
        const struct ctl_common *common;
        struct ctl_bar bar;
        uint64_t last_step;
        char last_state[32];
};

static void print_json(struct following *following, const struct qvf_value *job)
{
        _cleanup_json_ struct json_object *document = NULL;
        const char *state = ctl_string(job, "State");

        if (ctl_unsigned(job, "Step") == following->last_step && strcmp(state, following->last_state) == 0)
                return;
        following->last_step = ctl_unsigned(job, "Step");
        snprintf(following->last_state, sizeof(following->last_state), "%s", state);
        document = json_object_new_object();
        json_object_object_add(document, "job", ctl_json_properties(job));
        ctl_json_print(document, true);
}

static int on_change(void *context, const struct qvf_value *job)
{
        struct following *following = context;

        if (following->common->json)
                print_json(following, job);
        else
                ctl_bar_show(&following->bar, job);
        return ctl_interrupted ? LEFT_BY_USER : 0;
}

static void tell_left(const struct ctl *ctl, const char *id)
{
        fprintf(stderr,
                        ctl->daemon ? "job %s goes on when qvfd runs again: qvfctl --private job show -f "
                                      "%s\n"
                                    : "job %s goes on. Watch it: qvfctl job show -f %s",
                        id, id);
        if (!ctl->daemon)
                fprintf(stderr, "; end it: qvfctl job cancel %s\n", id);
}

static int tell_end(const struct ctl *ctl, const struct ctl_common *common, const struct qvf_value *job,
                struct qvf_error *error)
{
        const char *state = ctl_string(job, "State"), *id = ctl_string(job, "Id");

        if (strcmp(state, "finished") != 0)
                return qvf_error_set(error, CTL_FAILED, "job %s %s%s%s", id,
                                strcmp(state, "failed") == 0 ? "failed" : "was cancelled",
                                *ctl_string(job, "Reason") ? ": " : "", ctl_string(job, "Reason"));
        if (common->json)
                return 0;
        printf("job %s finished: %.0f steps in %s, loss %s, energy %s, memory %s (planned %s)\n", id,
                        ctl_number(job, "Step"), ctl_duration(ctl_number(job, "SecondsRun")).text,
                        ctl_loss(ctl_number(job, "Loss")).text,
                        ctl_energy(ctl_number(job, "EnergyJoules")).text,
                        ctl_bytes(ctl_unsigned(job, "MemoryPeak")).text,
                        ctl_bytes(ctl_unsigned(job, "MemoryPlanned")).text);
        printf("adapter %s%s%s is ready: qvfctl infer --adapter %s \"…\"\n",
                        ctl_colour(ctl->colour, CTL_BOLD), ctl_string(job, "Adapter"),
                        ctl_colour(ctl->colour, CTL_PLAIN), ctl_string(job, "Adapter"));
        return 0;
}

int ctl_follow(struct ctl *ctl, const struct ctl_common *common, const char *job, struct qvf_error *error)
{
        struct following following = { .common = common, .last_step = UINT64_MAX };
        _cleanup_value_ struct qvf_value *last = NULL;
        struct qvf_failure failure;
        int r;

        ctl_bar_init(&following.bar, STDERR_FILENO, common->no_colour);
        ctl_catch_interrupt(true);
        r = qvf_job_wait(ctl->client, job, -1, on_change, &following, &last, &failure);
        ctl_catch_interrupt(false);
        ctl_bar_end(&following.bar);
        if (r == LEFT_BY_USER) {
                tell_left(ctl, job);
                return 0;
        }
        if (r < 0)
                return ctl_failed(error, &failure);
        return tell_end(ctl, common, last, error);
}
