/* SPDX-License-Identifier: Apache-2.0 */
/* status and version. */
#include <stdio.h>
#include <string.h>

#include "ctl/follow.h"
#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/terminal.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

struct status_options {
        struct ctl_common common;
};

static const struct status_options defaults = { .common = CTL_COMMON_DEFAULTS };
static const struct bench_option_group status_groups[] = { { ctl_watch_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

struct status { /* everything that is shown */
        struct qvf_value *manager, *statistics, *devices, *models, *jobs;
};

static void status_exit(struct status *status)
{
        qvf_value_free(status->manager);
        qvf_value_free(status->statistics);
        qvf_value_free(status->devices);
        qvf_value_free(status->models);
        qvf_value_free(status->jobs);
}

static int get_status(struct ctl *ctl, struct status *status, struct qvf_error *error)
{
        struct qvf_failure failure;

        if (qvf_get(ctl->client, "manager", "", &status->manager, &failure) < 0 ||
                        qvf_call(ctl->client, "manager", "", "GetStatistics", &status->statistics, &failure,
                                        "") < 0 ||
                        qvf_list(ctl->client, "devices", &status->devices, &failure) < 0 ||
                        qvf_list(ctl->client, "models", &status->models, &failure) < 0 ||
                        qvf_list(ctl->client, "jobs", &status->jobs, &failure) < 0)
                return ctl_failed(error, &failure);
        return 0;
}

static int document(struct ctl *ctl, const void *context, struct json_object **ret_document,
                struct qvf_error *error)
{
        _cleanup_(status_exit) struct status status = { 0 };
        int r = get_status(ctl, &status, error);

        (void)context;
        if (r != 0)
                return r;
        *ret_document = json_object_new_object();
        json_object_object_add(*ret_document, "manager", ctl_json_properties(status.manager));
        json_object_object_add(
                        *ret_document, "statistics", ctl_json_value(qvf_value_at(status.statistics, 0)));
        json_object_object_add(*ret_document, "devices", ctl_json_objects(status.devices));
        json_object_object_add(*ret_document, "models", ctl_json_objects(status.models));
        json_object_object_add(*ret_document, "jobs", ctl_json_objects(status.jobs));
        return 0;
}

static void print_activity(const struct ctl *ctl, const struct qvf_value *manager, const char *label,
                const char *allowed_key, const char *reason_key)
{
        bool allowed = ctl_boolean(manager, allowed_key);
        _cleanup_free_ char *reason = ctl_printable(ctl_string(manager, reason_key), false);

        printf("%-9s  %s%s%s%s%s\n", label, ctl_colour(ctl->colour, allowed ? CTL_GREEN : CTL_YELLOW),
                        allowed ? "allowed" : "not now", ctl_colour(ctl->colour, CTL_PLAIN),
                        reason && *reason ? ": " : "", reason ? reason : "");
}

static void print_holds(const struct qvf_value *holds)
{
        for (size_t i = 0; i < qvf_value_count(holds); i++) {
                const struct qvf_value *hold = qvf_value_at(holds, i);
                _cleanup_free_ char *reason = ctl_printable(qvf_value_string(qvf_value_at(hold, 2)), false);

                printf("%-9s  %s is held by process %.0f: %s\n", "hold",
                                qvf_value_string(qvf_value_at(hold, 1)),
                                qvf_value_number(qvf_value_at(hold, 4)), reason ? reason : "");
        }
}

static void print_status(const struct ctl *ctl, const struct status *status)
{
        const struct qvf_value *statistics = qvf_value_at(status->statistics, 0), *manager = status->manager;
        _cleanup_free_ char *bad = ctl_printable(ctl_string(manager, "ConfigError"), false);
        size_t ready = 0;

        for (size_t i = 0; i < qvf_value_count(status->devices); i++)
                if (strcmp(ctl_string(qvf_value_at(status->devices, i), "State"), "ready") == 0)
                        ready++;
        printf("%-9s  %s (%s%s), up %s, %s\n", "qvfd", ctl_string(manager, "Version"),
                        ctl_string(manager, "Mode"), ctl_boolean(manager, "DryRun") ? ", dry run" : "",
                        ctl_duration(ctl_number(statistics, "uptime_seconds")).text,
                        ctl_bytes(ctl_unsigned(statistics, "resident_bytes")).text);
        print_activity(ctl, manager, "training", "TrainingAllowed", "TrainingReason");
        print_activity(ctl, manager, "answers", "InferenceAllowed", "InferenceReason");
        print_holds(qvf_value_get(manager, "Holds"));
        printf("%-9s  %zu ready of %zu%s\n", "devices", ready, qvf_value_count(status->devices),
                        ctl_boolean(manager, "Ready") ? "" : ", still looking");
        printf("%-9s  %zu%s%s\n", "models", qvf_value_count(status->models),
                        *ctl_string(manager, "DefaultModel") ? ", default " : "",
                        ctl_string(manager, "DefaultModel"));
        printf("%-9s  %.0f answered, %.0f refused, %.0f failed, %.0f tokens\n", "requests",
                        ctl_number(statistics, "requests"), ctl_number(statistics, "requests_refused"),
                        ctl_number(statistics, "requests_failed"),
                        ctl_number(statistics, "tokens_generated"));
        printf("%-9s  %s%s\n", "energy", ctl_energy(ctl_number(statistics, "energy_today_joules")).text,
                        ctl_number(statistics, "energy_today_joules") >= 0 ? " today" : "");
        if (bad && *bad)
                printf("%sconfiguration not taken: %s%s\n", ctl_colour(ctl->colour, CTL_RED), bad,
                                ctl_colour(ctl->colour, CTL_PLAIN));
        if (qvf_value_count(status->jobs) > 0) {
                putchar('\n');
                ctl_jobs_print(ctl, status->jobs);
        }
}

static int run_status(const void *given, struct qvf_error *error)
{
        const struct status_options *options = given;
        _cleanup_(status_exit) struct status status = { 0 };
        _cleanup_json_ struct json_object *object = NULL;
        struct ctl *ctl = ctl_context();
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        if (options->common.watch)
                return ctl_watch(ctl, NULL, document, NULL, error);
        if (options->common.json) {
                r = document(ctl, NULL, &object, error);
                if (r == 0)
                        ctl_json_print(object, false);
                return r;
        }
        r = get_status(ctl, &status, error);
        if (r == 0)
                print_status(ctl, &status);
        return r;
}

static int run_version(const void *given, struct qvf_error *error)
{
        const struct status_options *options = given;
        _cleanup_value_ struct qvf_value *manager = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        const char *daemon = NULL;
        int r = ctl_connect(ctl, &options->common, error);

        /* Without a daemon there is a version, too. */
        if (r == 0 && qvf_get(ctl->client, "manager", "", &manager, &failure) == 0)
                daemon = ctl_string(manager, "Version");
        else if (r == CTL_USAGE)
                return r;
        if (options->common.json) {
                _cleanup_json_ struct json_object *object = json_object_new_object();

                json_object_object_add(object, "qvfctl", json_object_new_string(QVF_VERSION));
                json_object_object_add(object, "libqvf", json_object_new_string(qvf_version()));
                json_object_object_add(object, "qvfd", daemon ? json_object_new_string(daemon) : NULL);
                ctl_json_print(object, false);
        } else {
                printf("qvfctl %s\nlibqvf %s\nqvfd %s\n", QVF_VERSION, qvf_version(),
                                daemon ? daemon : "is not running");
        }
        return 0;
}

CTL_VERB(ctl_status, "status", "what qvfd does now",
                "Prints what qvfd does now: what the policy says, devices, models, requests and jobs.",
                status_groups, run_status);

CTL_VERB(ctl_version, "version", "versions of the programs",
                "Prints the versions of qvfctl, of the library and, where it runs, of qvfd.", groups,
                run_version);
