/* SPDX-License-Identifier: Apache-2.0 */
/* monitor: what happens, as it does. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/terminal.h"
#include "ctl/verbs.h"

struct monitor_options {
        struct ctl_common common;
};

static const struct monitor_options defaults = { .common = CTL_COMMON_DEFAULTS };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

struct monitor {
        const struct ctl *ctl;
        bool json, gone;
};

static void print_json(const struct qvf_event *event)
{
        _cleanup_json_ struct json_object *document = json_object_new_object();
        bool list = qvf_value_type(event->content) == QVF_TYPE_LIST;

        json_object_object_add(document, "time", json_object_new_uint64(ctl_now_us()));
        json_object_object_add(document, "kind", json_object_new_string(event->kind));
        json_object_object_add(document, "name", json_object_new_string(event->name));
        json_object_object_add(document, "event", json_object_new_string(event->member));
        json_object_object_add(document, list ? "arguments" : "properties",
                        list ? ctl_json_value(event->content) : ctl_json_properties(event->content));
        ctl_json_print(document, true);
}

/* What changes all the time is for job show -f. */
static bool is_progress(const char *property)
{
        static const char *const progress[] = { "Step", "Epoch", "Loss", "Accuracy", "LearningRate",
                "GradientNorm", "Tokens", "TokensPerSecond", "SecondsRun", "SecondsLeft", "EnergyJoules",
                "MemoryPeak", "TokensGenerated", "Requests" };

        for (size_t i = 0; i < sizeof(progress) / sizeof(progress[0]); i++)
                if (strcmp(progress[i], property) == 0)
                        return true;
        return false;
}

static void print_line(const struct monitor *monitor, const struct qvf_event *event, const char *text)
{
        _cleanup_free_ char *printable = ctl_printable(text, false);
        time_t now = time(NULL);
        char clock[16] = "";
        struct tm parts;

        if (localtime_r(&now, &parts))
                strftime(clock, sizeof(clock), "%H:%M:%S", &parts);
        printf("%s%s%s %s%s%s: %s\n", ctl_colour(monitor->ctl->colour, CTL_DIM), clock,
                        ctl_colour(monitor->ctl->colour, CTL_PLAIN), *event->kind ? event->kind : "qvfd",
                        *event->name ? " " : "", event->name, printable ? printable : "");
        fflush(stdout);
}

static void print_changes(const struct monitor *monitor, const struct qvf_event *event)
{
        for (size_t i = 0; i < qvf_value_count(event->content); i++) {
                const char *property = qvf_value_key_at(event->content, i);
                struct json_object *value;
                char text[512];

                if (is_progress(property))
                        continue;
                value = ctl_json_value(qvf_value_at(event->content, i));
                snprintf(text, sizeof(text), "%s = %s", property,
                                value ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE)
                                      : "none");
                json_object_put(value);
                print_line(monitor, event, text);
        }
}

static void on_event(void *context, const struct qvf_event *event)
{
        struct monitor *monitor = context;
        char text[1200] = "";

        if (strcmp(event->member, "Gone") == 0)
                monitor->gone = true;
        if (monitor->json) {
                print_json(event);
                return;
        }
        if (strcmp(event->member, "Changed") == 0) {
                print_changes(monitor, event);
                return;
        }
        if (strcmp(event->member, "Notice") == 0)
                snprintf(text, sizeof(text), "%s: %s", qvf_value_string(qvf_value_at(event->content, 0)),
                                qvf_value_string(qvf_value_at(event->content, 2)));
        else if (strcmp(event->member, "Ended") == 0)
                snprintf(text, sizeof(text), "%s: %s", qvf_value_string(qvf_value_at(event->content, 0)),
                                qvf_value_string(qvf_value_at(event->content, 1)));
        else
                snprintf(text, sizeof(text), "%s", event->member);
        print_line(monitor, event, text);
}

static int run(const void *given, struct qvf_error *error)
{
        const struct monitor_options *options = given;
        struct ctl *ctl = ctl_context();
        struct monitor monitor = { .ctl = ctl, .json = options->common.json };
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        if (qvf_watch(ctl->client, NULL, NULL, on_event, &monitor, NULL, &failure) < 0)
                return ctl_failed(error, &failure);
        ctl_catch_interrupt(true);
        while (!ctl_interrupted && !monitor.gone && !ferror(stdout))
                if (qvf_dispatch(ctl->client, -1, &failure) < 0)
                        return ctl_failed(error, &failure);
        ctl_catch_interrupt(false);
        return monitor.gone ? qvf_error_set(error, CTL_NOT_RUNNING, "qvfd went away") : 0;
}

CTL_VERB(ctl_monitor, "monitor", "print what happens, as it happens",
                "Prints notices, and objects that come, go and change, until Ctrl-C. With --json a line of "
                "JSON for each,\nprogress of jobs included.",
                groups, run);
