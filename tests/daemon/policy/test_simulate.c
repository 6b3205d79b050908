/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "daemon/config/config.h"
#include "daemon/policy/policy_state.h"
#include "daemon/policy/simulate.h"
#include "daemon/policy/trace.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

static struct qvf_error error;

/* Runs a trace and returns what it printed; NULL where it failed. To be freed. */
static char *simulate(const char *yaml, const char *text, const struct qvf_simulate_options *options)
{
        FILE *trace = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
        struct qvf_config config;
        char *printed = NULL;
        size_t length;
        FILE *out = open_memstream(&printed, &length);
        int r;

        error = (struct qvf_error){ 0 };
        qvf_config_defaults(&config);
        ck_assert_msg(qvf_config_merge(&config, "yaml", yaml, strlen(yaml), &error) == 0, "%s", error.text);
        r = qvf_simulate(&config.policy, trace, "day.jsonl", options, out, &error);
        fclose(trace);
        fclose(out);
        if (r == 0)
                return printed;
        free(printed);
        return NULL;
}

static const char evening[] = "# an evening\n"
                              "{\"time\": \"2026-01-05 20:00:00\", \"idle\": 0, \"mains\": true, "
                              "\"battery\": 80, \"power_w\": 5,"
                              " \"work_w\": 10, \"zones\": {\"cpu-thermal\": 45}}\n"
                              "\n"
                              "{\"time\": \"2026-01-05 20:30:00\", \"zones\": {\"cpu-thermal\": 82}}\n"
                              "{\"time\": \"2026-01-05 20:31:00\", \"zones\": {\"cpu-thermal\": 60}}\n"
                              "{\"time\": \"2026-01-05 21:00:00\", \"idle\": 0}\n"
                              "{\"time\": \"2026-01-05 22:00:00\"}\n";

static const char expected[] = "2026-01-05 20:00:00  training   waits   idle_for: the device was used 0 s "
                               "ago: it must be idle for 5 min\n"
                               "2026-01-05 20:00:00  inference  starts  inference may run\n"
                               "2026-01-05 20:05:00  training   starts  training may run\n"
                               "2026-01-05 20:30:00  training   pauses  temperature_max: cpu-thermal is at "
                               "82 °C, above 80 °C\n"
                               "2026-01-05 20:31:00  training   waits   settle_for: everything is kept "
                               "again; it starts in 20 s if that lasts\n"
                               "2026-01-05 20:31:20  training   starts  training may run\n"
                               "2026-01-05 21:00:00  training   pauses  idle_for: the device was used 0 s "
                               "ago: it must be idle for 5 min\n"
                               "2026-01-05 21:05:00  training   waits   settle_for: everything is kept "
                               "again; it starts in 20 s if that lasts\n"
                               "2026-01-05 21:05:20  training   starts  training may run\n"
                               "2026-01-05 21:31:40  training   pauses  energy_per_day: today's energy is "
                               "spent: 20.0 Wh of 20Wh; it goes on tomorrow\n"
                               "training ran 1 h 20 min of 2 h in 3 starts and was charged with 20.0 Wh\n"
                               "  waited 10 min for idle_for\n"
                               "  waited 1 min for temperature_max\n"
                               "  waited 28 min 20 s for energy_per_day\n"
                               "  waited 40 s for settle_for\n"
                               "inference ran 0 s of 2 h in 1 start and was charged with 0 J\n";

START_TEST(a_trace_gives_decisions)
{
        const struct qvf_simulate_options options = { 0 };
        char *printed = simulate("training: {energy_per_day: 20Wh}", evening, &options);

        ck_assert_msg(printed != NULL, "%s", error.text);
        ck_assert_msg(strcmp(printed, expected) == 0, "%.900s", printed);
        free(printed);
}
END_TEST

START_TEST(it_prints_json_too)
{
        const struct qvf_simulate_options options = { .json = true };
        char *printed = simulate("", evening, &options);

        ck_assert_msg(printed != NULL, "%s", error.text);
        ck_assert_ptr_eq(strstr(printed, "{\"time\":\"2026-01-05 "
                                         "20:00:00\",\"activity\":\"training\",\"allowed\":false,"
                                         "\"reason\":\"the device was used 0 s ago: it must be idle for 5 "
                                         "min\","
                                         "\"broken\":[\"idle_for\"]}\n"),
                        printed);
        free(printed);
}
END_TEST

START_TEST(every_sample_on_demand)
{
        const struct qvf_simulate_options options = { .all = true, .sample_every_s = 600 };
        char *printed = simulate("", evening, &options);
        unsigned lines = 0;

        ck_assert_msg(printed != NULL, "%s", error.text);
        for (const char *at = printed; (at = strstr(at, "  training   ")); at++)
                lines++;
        ck_assert_uint_eq(lines, 14);
        free(printed);
}
END_TEST

START_TEST(bad_traces_are_refused_with_their_place)
{
        static const struct {
                const char *trace, *words;
        } cases[] = {
                { "", "day.jsonl: no line with a \"time\"" },
                { "{}", "day.jsonl:1: no \"time\"" },
                { "hello", "day.jsonl:1: not JSON" },
                { "{\"time\": 5} x", "not JSON" },
                { "[1]", "expected one JSON object" },
                { "{\"time\": 5}\n{\"time\": 4}", "day.jsonl:2: time: before that of the line before" },
                { "{\"time\": 5}\n{\"time\": 1e9}", "day.jsonl:2: time: more than 31 days" },
                { "{\"time\": -5}", "time: expected a time" },
                { "{\"time\": \"2026-13-05 20:00:00\"}", "time: expected a time" },
                { "{\"time\": \"2026-01-05\"}", "time: expected a time" },
                { "{\"time\": 5, \"batery\": 3}", "unknown key \"batery\", did you mean \"battery\"?" },
                { "{\"time\": 5, \"battery\": 101}", "battery: expected a number from 0 to 100" },
                { "{\"time\": 5, \"battery\": \"3\"}", "battery: expected a number" },
                { "{\"time\": 5, \"mains\": 1}", "mains: expected true, false or null" },
                { "{\"time\": 5, \"zones\": [1]}", "zones: expected an object" },
                { "{\"time\": 5, \"zones\": {\"x\": \"hot\"}}", "zones: expected at most 32" },
                { "{\"time\": 5, \"holds\": true}", "holds: expected a number" },
                { "{\"time\": 5, \"work\": 1}", "work: expected true or false" },
                { "{\"time\": 5, \"suspending\": 1}", "suspending: expected true or false" },
                { "{\"time\": 5, \"power_profile\": 1}", "power_profile: expected the name" },
                { "{\"time\": 5, \"idle\": NaN}", "idle: expected a number" },
                { "{\"time\": [[[[[[[[[[1]]]]]]]]]]}", "not JSON" },
        };
        const struct qvf_simulate_options options = { 0 };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(cases); i++) {
                ck_assert_msg(simulate("", cases[i].trace, &options) == NULL, "%s", cases[i].trace);
                ck_assert_msg(strstr(error.text, cases[i].words) != NULL, "%s gave %s", cases[i].trace,
                                error.text);
        }
        {
                char *line = malloc(80000);

                memset(line, ' ', 79999);
                line[79999] = 0;
                ck_assert_ptr_null(simulate("", line, &options));
                ck_assert_ptr_nonnull(strstr(error.text, "longer than 64 KiB"));
                free(line);
        }
}
END_TEST

START_TEST(the_state_outlives_a_restart)
{
        struct qvf_policy_state state = { 0 }, back;
        int folder = test_folder();

        ck_assert_int_eq(qvf_policy_state_load(&back, folder, &error), 0);
        ck_assert_mem_eq(&state, &back, sizeof(state));
        state.activity[0] = (struct qvf_activity_state){ .energy_day = 20458,
                .energy_today_j = 1234.5,
                .energy_total_j = 1e7 + 1.0 / 3,
                .run_today_s = 7 };
        state.activity[1].energy_day = -3;
        ck_assert_int_eq(qvf_policy_state_save(&state, folder, &error), 0);
        ck_assert_int_eq(qvf_policy_state_load(&back, folder, &error), 0);
        ck_assert_mem_eq(&state, &back, sizeof(state));
        /* What hangs on the clock since boot does not. */
        state.last_us = 5;
        state.activity[0].started = true;
        ck_assert_int_eq(qvf_policy_state_save(&state, folder, &error), 0);
        ck_assert_int_eq(qvf_policy_state_load(&back, folder, &error), 0);
        ck_assert_uint_eq(back.last_us, 0);
        ck_assert(!back.activity[0].started);
}
END_TEST

START_TEST(a_spoilt_state_is_a_fresh_one_with_a_warning)
{
        static const char *const texts[] = { "", "{", "[]", "{\"version\": 2}", "{\"version\": 1}",
                "{\"version\": 1, \"training\": 5}", "{\"version\": 1, \"training\": {\"day\": \"x\"}}",
                "{\"version\": 1, \"training\": {\"day\": 1, \"energy_today_j\": -1, \"energy_total_j\": 1, "
                "\"run_today_s\": 1}}",
                "{\"version\": 1, \"training\": {\"day\": 1, \"energy_today_j\": NaN, \"energy_total_j\": "
                "1, "
                "\"run_today_s\": 1}}" };
        struct qvf_policy_state fresh = { 0 }, state;
        int folder = test_folder();

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(texts); i++) {
                ck_assert_int_eq(qvf_atomic_file_put(folder, QVF_POLICY_STATE_FILE, 0600, texts[i],
                                                 strlen(texts[i]), NULL),
                                0);
                ck_assert_msg(qvf_policy_state_load(&state, folder, &error) == -EBADMSG, "%s", texts[i]);
                ck_assert_mem_eq(&state, &fresh, sizeof(state));
                ck_assert_ptr_nonnull(strstr(error.text, "the energy spent today is lost"));
        }
        unlinkat(folder, QVF_POLICY_STATE_FILE, 0);
        ck_assert_int_eq(symlinkat("/etc/passwd", folder, QVF_POLICY_STATE_FILE), 0);
        ck_assert_int_eq(qvf_policy_state_load(&state, folder, &error), -ELOOP);
}
END_TEST

QVF_SUITE("simulate", 60, a_trace_gives_decisions, it_prints_json_too, every_sample_on_demand,
                bad_traces_are_refused_with_their_place, the_state_outlives_a_restart,
                a_spoilt_state_is_a_fresh_one_with_a_warning)
