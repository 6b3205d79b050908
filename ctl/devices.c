/* SPDX-License-Identifier: Apache-2.0 */
/* devices, devices reset, devices discover. */
#include <stdio.h>
#include <string.h>

#include "ctl/lists.h"
#include "ctl/terminal.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

struct device_options {
        struct ctl_common common;
        struct bench_words words;
};

static const struct device_options defaults = { .common = CTL_COMMON_DEFAULTS };

static const struct bench_option_group list_groups[] = { { ctl_watch_options, 0 }, { ctl_names_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

static enum ctl_colour state_colour(const char *state)
{
        if (strcmp(state, "ready") == 0)
                return CTL_GREEN;
        return strcmp(state, "failed") == 0 || strcmp(state, "fallen-back") == 0 ? CTL_RED : CTL_YELLOW;
}

static void print_devices(const struct ctl *ctl, const struct qvf_value *objects)
{
        _cleanup_table_ struct ctl_table table;

        ctl_table_init(&table, "NAME|STATE|>SCORE|>MEMORY|TRAINS|DEVICE");
        for (size_t i = 0; i < qvf_value_count(objects); i++) {
                const struct qvf_value *device = qvf_value_at(objects, i);
                const char *state = ctl_string(device, "State"), *reason = ctl_string(device, "Reason");

                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_string(device, "Name"));
                ctl_table_add(&table, state_colour(state), "%s", state);
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_count(ctl_number(device, "Score")).text);
                ctl_table_add(&table, CTL_PLAIN, "%s",
                                ctl_unsigned(device, "MemoryBytes")
                                                ? ctl_bytes(ctl_unsigned(device, "MemoryBytes")).text
                                                : "-");
                ctl_table_add(&table, CTL_PLAIN, "%s", ctl_boolean(device, "Trains") ? "yes" : "no");
                ctl_table_add(&table, CTL_PLAIN, "%s%s%s", ctl_string(device, "Description"),
                                *reason && strcmp(state, "ready") != 0 ? "; " : "",
                                strcmp(state, "ready") != 0 ? reason : "");
        }
        ctl_table_print(&table, ctl->colour);
}

static int run_list(const void *given, struct qvf_error *error)
{
        const struct device_options *options = given;
        static const struct ctl_list list = { "devices",
                "no device was found yet: qvfctl devices discover looks again", print_devices };

        return ctl_list_show(&list, &options->common, error);
}

static int run_reset(const void *given, struct qvf_error *error)
{
        const struct device_options *options = given;
        const char *name = options->words.items[0];
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        r = qvf_call(ctl->client, "devices", name, "Reset", NULL, &failure, "");
        return ctl_act(&options->common, error, r, &failure, "%s was tested again", name);
}

static int run_discover(const void *given, struct qvf_error *error)
{
        const struct device_options *options = given;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        r = qvf_call(ctl->client, "manager", "", "Discover", NULL, &failure, "");
        return ctl_act(&options->common, error, r, &failure,
                        "looked for devices: qvfctl devices lists them");
}

CTL_VERB(ctl_devices, "devices", "the devices that can compute, and how they do",
                "Lists each device under each driver that can use it. The one with the highest score that "
                "is ready is\ntaken.",
                list_groups, run_list);

CTL_VERB_TAKING(ctl_devices_reset, "devices reset", "forget a device's crashes, and test it again",
                "Forgets the crashes and the self-test of a device and tests it again, which takes a while.",
                groups, "NAME", 1, 1, run_reset);

CTL_VERB(ctl_devices_discover, "devices discover", "look for devices again",
                "Looks for devices again. qvfd does so by itself when it starts and when one is plugged in.",
                groups, run_discover);
