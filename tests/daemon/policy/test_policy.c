/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: what the file says, what the sensors say (as a line of a trace), and what is decided. */
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "daemon/config/config.h"
#include "daemon/policy/budget.h"
#include "daemon/policy/calendar.h"
#include "daemon/policy/trace.h"
#include "tests/support/suite.h"

#define SECOND 1000000ull
#define MONDAY "\"time\": \"2026-01-05 12:00:00\""

/* Nothing is limited, so that a case sets what it is about. */
static const char open_yaml[] =
                "training: {idle_for: 0s, power_source: any, battery_at_least: 0%, temperature_max: none,\n"
                " memory_leave_free: 0, memory_pressure_max: none, load_by_others_max: none,\n"
                " gpu_busy_by_others_max: none, power_profiles: all, disk_leave_free: 0, minimum_run: 0s,\n"
                " settle_for: 0s}\n";

static struct qvf_config config;
static struct qvf_trace trace;
static struct qvf_policy_state state;
static struct qvf_verdict verdict;

static void read_yaml(const char *yaml)
{
        struct qvf_error error = { 0 };

        qvf_config_defaults(&config);
        ck_assert_int_eq(qvf_config_merge(&config, "open", open_yaml, strlen(open_yaml), &error), 0);
        ck_assert_msg(qvf_config_merge(&config, "case", yaml, strlen(yaml), &error) == 0, "%s", error.text);
}

static void begin(const char *yaml)
{
        read_yaml(yaml);
        trace = (struct qvf_trace){ 0 };
        state = (struct qvf_policy_state){ 0 };
}

/* Merges readings, and decides. */
static const struct qvf_activity_verdict *decide(const char *line, uint64_t now_us)
{
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_trace_read(&trace, line, strlen(line), &error) == 0, "%s: %s", line, error.text);
        trace.snapshot.running[QVF_TRAINING] = verdict.activity[QVF_TRAINING].allowed;
        qvf_policy_decide(&config.policy, &trace.snapshot, &state, now_us, &verdict);
        return &verdict.activity[QVF_TRAINING];
}

static const struct {
        const char *yaml, *line;
        enum qvf_constraint broken; /* QVF_CONSTRAINTS: allowed */
        const char *value, *reason;
} cases[] = {
        { "", "", QVF_CONSTRAINTS, "", "training may run" },
        { "training: {allowed: no}", "", QVF_C_ALLOWED, "no", "switched off in the configuration" },
        { "", ", \"holds\": 2", QVF_C_HOLD, "2", "held by 2 clients" },
        { "", ", \"holds\": {\"inference\": 1}", QVF_CONSTRAINTS, "", "" },
        { "", ", \"suspending\": true", QVF_C_SUSPEND, "going to sleep", "about to sleep" },
        { "training: {hours: 22:00-07:00}", "", QVF_C_HOURS, "12:00",
                        "it is 12:00, outside the hours 22:00-07:00" },
        { "training: {hours: [22:00-07:00, 11:59-12:01]}", "", QVF_CONSTRAINTS, "", "" },
        { "training: {days: weekend}", "", QVF_C_DAYS, "mon", "none of the days sat, sun" },
        { "training: {days: [mon]}", "", QVF_CONSTRAINTS, "", "" },
        { "training: {idle_for: 5min}", ", \"idle\": 299", QVF_C_IDLE, "4 min 59 s",
                        "used 4 min 59 s ago: it must be idle for 5 min" },
        { "training: {idle_for: 5min}", ", \"idle\": 300", QVF_CONSTRAINTS, "", "" },
        { "training: {idle_for: 5min}", "", QVF_CONSTRAINTS, "", "" },
        { "training: {power_source: mains}", ", \"mains\": false", QVF_C_POWER_SOURCE, "battery",
                        "runs on its battery" },
        { "training: {power_source: mains}", ", \"mains\": true", QVF_CONSTRAINTS, "", "" },
        { "training: {power_source: charging}", ", \"mains\": true, \"charging\": false", QVF_C_POWER_SOURCE,
                        "mains, not charging", "not being charged" },
        { "training: {power_source: charging}", ", \"mains\": true, \"charging\": true", QVF_CONSTRAINTS, "",
                        "" },
        { "training: {battery_at_least: 40%}", ", \"battery\": 39", QVF_C_BATTERY, "39%",
                        "the battery is 39%, below 40%" },
        { "training: {battery_at_least: 40%}", ", \"battery\": 40", QVF_CONSTRAINTS, "", "" },
        { "training: {battery_at_least: 40%}", "", QVF_CONSTRAINTS, "", "" },
        { "training: {temperature_max: 75C}", ", \"zones\": {\"cpu-thermal\": 70, \"gpu\": 75.5}",
                        QVF_C_TEMPERATURE, "75.5 °C (gpu)", "gpu is at 75.5 °C, above 75 °C" },
        { "training: {temperature_max: 75C, temperature_zones: 'cpu*'}",
                        ", \"zones\": {\"cpu-thermal\": 70, \"gpu\": 75.5}", QVF_CONSTRAINTS, "", "" },
        { "training: {temperature_max: 75C}", "", QVF_CONSTRAINTS, "", "" },
        { "training: {power_max: 8W}", "", QVF_C_POWER, "unmetered", "set training.assumed_power" },
        { "training: {power_max: 8W, assumed_power: 5W}", "", QVF_CONSTRAINTS, "", "" },
        { "training: {energy_per_day: 1Wh}", "", QVF_C_ENERGY, "unmetered", "no energy meter" },
        { "training: {energy_per_day: 0Wh, assumed_power: 5W}", "", QVF_C_ENERGY, "0 J today (assumed)",
                        "today's energy is spent" },
        { "training: {memory_leave_free: 1GiB}", ", \"memory_available\": 1073741823", QVF_C_MEMORY_FREE,
                        "GiB", "free memory is " },
        { "training: {memory_leave_free: 1GiB}", ", \"memory_available\": 1073741824", QVF_CONSTRAINTS, "",
                        "" },
        { "training: {memory_pressure_max: 10%}", ", \"memory_pressure\": 10.5", QVF_C_MEMORY_PRESSURE,
                        "10.5%", "memory pressure is 10.5%, above 10%" },
        { "training: {cpu_pressure_max: 10%}", ", \"cpu_pressure\": 11", QVF_C_CPU_PRESSURE, "11%",
                        "CPU pressure" },
        { "training: {load_by_others_max: 50%}", ", \"load_by_others\": 51", QVF_C_LOAD, "51%",
                        "other programs" },
        { "training: {gpu_busy_by_others_max: 0%}", ", \"gpu_busy_by_others\": 1", QVF_C_GPU_BUSY, "1%",
                        "GPU" },
        { "training: {power_profiles: [balanced, performance]}", ", \"power_profile\": \"power-saver\"",
                        QVF_C_POWER_PROFILE, "power-saver", "is power-saver, not balanced or performance" },
        { "training: {power_profiles: balanced}", ", \"power_profile\": \"balanced\"", QVF_CONSTRAINTS, "",
                        "" },
        { "training: {power_profiles: balanced}", "", QVF_CONSTRAINTS, "", "" },
        { "training: {disk_leave_free: 1GiB}", ", \"disk_free\": 1000", QVF_C_DISK_FREE, "1000 B",
                        "free disk space" },
        { "training: {on_metered_network: no}", ", \"metered\": true", QVF_C_METERED, "metered",
                        "network is metered" },
        { "training: {on_metered_network: no}", ", \"metered\": false", QVF_CONSTRAINTS, "", "" },
        { "training: {on_metered_network: no}", "", QVF_CONSTRAINTS, "", "" },
};

START_TEST(each_constraint_by_itself)
{
        const struct qvf_activity_verdict *training;
        char line[512];

        begin(cases[_i].yaml);
        snprintf(line, sizeof(line), "{" MONDAY "%s}", cases[_i].line);
        training = decide(line, SECOND);
        ck_assert_msg(training->allowed == (cases[_i].broken == QVF_CONSTRAINTS), "%s %s: %s",
                        cases[_i].yaml, line, training->reason);
        ck_assert_msg(training->first_broken == cases[_i].broken, "%s %s: %s", cases[_i].yaml, line,
                        training->reason);
        ck_assert_msg(strstr(training->reason, cases[_i].reason) != NULL, "%s: %s", cases[_i].yaml,
                        training->reason);
        for (int c = 0; c < QVF_CONSTRAINTS; c++) {
                const struct qvf_constraint_verdict *one = &training->constraint[c];

                ck_assert_str_eq(one->name, qvf_constraint_name((enum qvf_constraint)c));
                ck_assert(one->value[0] && one->limit[0] && one->reason[0]);
                ck_assert_msg(one->ok == (c != (int)cases[_i].broken && c != QVF_C_SETTLE) ||
                                                c == QVF_C_SETTLE,
                                "%s: %s", one->name, one->reason);
        }
        if (cases[_i].broken < QVF_CONSTRAINTS)
                ck_assert_msg(strstr(training->constraint[cases[_i].broken].value, cases[_i].value) != NULL,
                                "%s: %s", cases[_i].yaml, training->constraint[cases[_i].broken].value);
        /* Inference has limits of its own. */
        ck_assert(verdict.activity[QVF_INFERENCE].allowed || strstr(cases[_i].line, "suspending") ||
                        strstr(cases[_i].line, "holds") || strstr(cases[_i].line, "memory_available"));
}
END_TEST

START_TEST(inference_is_judged_by_itself)
{
        begin("inference: {battery_at_least: 20%}");
        decide("{" MONDAY ", \"battery\": 10}", SECOND);
        ck_assert(verdict.activity[QVF_TRAINING].allowed);
        ck_assert(!verdict.activity[QVF_INFERENCE].allowed);
        ck_assert_str_eq(verdict.activity[QVF_INFERENCE].reason, "the battery is 10%, below 20%");
}
END_TEST

START_TEST(limits_in_force_come_with_the_verdict)
{
        const struct qvf_activity_verdict *training;

        begin("training: {threads: 3, duty_cycle: 50%, memory_limit: 1GiB, memory_leave_free: 1GiB,\n"
              " energy_per_day: 10Wh}");
        training = decide("{" MONDAY ", \"memory_available\": 4e9, \"energy_j\": 5}", SECOND);
        ck_assert_uint_eq(training->threads, 3);
        ck_assert_double_eq(training->duty_cycle_percent, 50);
        ck_assert_double_eq(training->memory_limit_bytes, 0x1p30);
        ck_assert_double_eq(training->energy_left_j, 36000);
        training = decide("{" MONDAY ", \"memory_available\": 1610612736}", 2 * SECOND);
        ck_assert_double_eq(training->memory_limit_bytes, 0x1p29);
        begin("");
        training = decide("{" MONDAY "}", SECOND);
        ck_assert(isinf(training->memory_limit_bytes) && isinf(training->energy_left_j));
        ck_assert(isnan(training->power_average_w));
}
END_TEST

START_TEST(temperature_has_its_hysteresis)
{
        begin("training: {temperature_max: 80C, temperature_hysteresis: 5C}");
        ck_assert(decide("{" MONDAY ", \"zones\": {\"cpu\": 80}}", 1 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"zones\": {\"cpu\": 80.1}}", 2 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"zones\": {\"cpu\": 75.1}}", 3 * SECOND)->allowed);
        ck_assert_ptr_nonnull(strstr(verdict.activity[0].reason, "above 75 °C (where it may start again)"));
        ck_assert(decide("{" MONDAY ", \"zones\": {\"cpu\": 75}}", 4 * SECOND)->allowed);
        ck_assert(decide("{" MONDAY ", \"zones\": {\"cpu\": 79}}", 5 * SECOND)->allowed);
}
END_TEST

START_TEST(a_gauge_at_its_limit_does_not_flap)
{
        begin("training: {battery_at_least: 40%}");
        ck_assert(decide("{" MONDAY ", \"battery\": 40}", 1 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"battery\": 39}", 2 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"battery\": 41}", 3 * SECOND)->allowed);
        ck_assert(decide("{" MONDAY ", \"battery\": 42}", 4 * SECOND)->allowed);
        /* No hysteresis asks for more than there is. */
        begin("training: {battery_at_least: 100%}");
        ck_assert(!decide("{" MONDAY ", \"battery\": 99}", 1 * SECOND)->allowed);
        ck_assert(decide("{" MONDAY ", \"battery\": 100}", 2 * SECOND)->allowed);
}
END_TEST

START_TEST(it_settles_before_it_goes_on)
{
        begin("training: {power_source: mains, settle_for: 20s, minimum_run: 60s}");
        /* The first start waits for nothing. */
        ck_assert(decide("{" MONDAY ", \"mains\": true}", 100 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"mains\": false}", 110 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"mains\": true}", 150 * SECOND)->allowed);
        ck_assert_int_eq(verdict.activity[0].first_broken, QVF_C_SETTLE);
        ck_assert_ptr_nonnull(strstr(verdict.activity[0].reason, "it starts in 20 s if that lasts"));
        ck_assert_uint_eq(verdict.again_us, 170 * SECOND);
        ck_assert(!decide("{" MONDAY ", \"mains\": false}", 160 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"mains\": true}", 161 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY "}", 180 * SECOND)->allowed);
        ck_assert(decide("{" MONDAY "}", 181 * SECOND)->allowed);
        /* The minimum run counts from the last start, however short the breach was. */
        ck_assert(!decide("{" MONDAY ", \"mains\": false}", 182 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"mains\": true}", 183 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY "}", 240 * SECOND)->allowed);
        ck_assert(decide("{" MONDAY "}", 241 * SECOND)->allowed);
}
END_TEST

START_TEST(wishes_are_heeded_at_once)
{
        begin("training: {settle_for: 20s, minimum_run: 60s}");
        ck_assert(decide("{" MONDAY "}", 100 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"holds\": 1}", 101 * SECOND)->allowed);
        ck_assert(decide("{" MONDAY ", \"holds\": 0}", 102 * SECOND)->allowed);
        /* A breach of something else during the hold brings the waiting back. */
        ck_assert(!decide("{" MONDAY ", \"holds\": 1}", 103 * SECOND)->allowed);
        read_yaml("training: {settle_for: 20s, minimum_run: 60s, power_source: mains}");
        ck_assert(!decide("{" MONDAY ", \"mains\": false}", 104 * SECOND)->allowed);
        ck_assert(!decide("{" MONDAY ", \"mains\": true, \"holds\": 0}", 105 * SECOND)->allowed);
        ck_assert_int_eq(verdict.activity[0].first_broken, QVF_C_SETTLE);
}
END_TEST

START_TEST(load_is_borne_for_the_minimum_run)
{
        const struct qvf_activity_verdict *training;

        begin("training: {load_by_others_max: 50%, minimum_run: 60s}");
        ck_assert(decide("{" MONDAY ", \"load_by_others\": 10}", 100 * SECOND)->allowed);
        training = decide("{" MONDAY ", \"load_by_others\": 90}", 130 * SECOND);
        ck_assert(training->allowed);
        ck_assert_ptr_nonnull(strstr(training->reason, "runs on for its minimum time, though the load"));
        ck_assert_uint_eq(verdict.again_us, 160 * SECOND);
        ck_assert(!decide("{" MONDAY "}", 160 * SECOND)->allowed);
        ck_assert_double_eq(qvf_policy_reaction_s(&config.policy.activity[0], QVF_C_LOAD), 60);
        ck_assert_double_eq(qvf_policy_reaction_s(&config.policy.activity[0], QVF_C_BATTERY), 0);
}
END_TEST

START_TEST(the_next_change_is_foretold)
{
        begin("training: {idle_for: 5min}");
        ck_assert(!decide("{" MONDAY ", \"idle\": 100}", 100 * SECOND)->allowed);
        ck_assert_uint_eq(verdict.again_us, 300 * SECOND);
        begin("training: {hours: 22:00-07:00}");
        decide("{\"time\": \"2026-01-05 21:30:00\"}", 100 * SECOND);
        ck_assert_uint_eq(verdict.again_us, (100 + 29 * 60) * SECOND);
        decide("{\"time\": \"2026-01-05 21:59:10\"}", 2000 * SECOND);
        ck_assert_uint_eq(verdict.again_us, 2005 * SECOND);
        begin("");
        decide("{" MONDAY "}", 100 * SECOND);
        ck_assert_uint_eq(verdict.again_us, UINT64_MAX);
}
END_TEST

START_TEST(nights_belong_to_the_day_they_begin_on)
{
        static const struct {
                const char *time;
                bool allowed;
        } times[] = {
                { "2026-01-05 21:59:00", false }, /* Monday */
                { "2026-01-05 22:00:00", true }, { "2026-01-06 06:59:00", true },
                { "2026-01-06 07:00:00", false }, { "2026-01-06 23:00:00", false }, /* Tuesday */
                { "2026-01-05 03:00:00", false },                                   /* Sunday's night */
        };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(times); i++) {
                char line[128];

                begin("training: {hours: 22:00-07:00, days: mon}");
                snprintf(line, sizeof(line), "{\"time\": \"%s\"}", times[i].time);
                ck_assert_msg(decide(line, SECOND)->allowed == times[i].allowed, "%s", line);
        }
}
END_TEST

START_TEST(the_days_budget_ends_and_begins_anew)
{
        begin("training: {energy_per_day: 1Wh, settle_for: 20s}");
        ck_assert(decide("{\"time\": \"2026-01-05 23:00:00\", \"energy_j\": 1000}", 100 * SECOND)->allowed);
        ck_assert(decide("{\"time\": \"2026-01-05 23:10:00\", \"energy_j\": 4599}", 700 * SECOND)->allowed);
        ck_assert_double_eq(verdict.activity[0].energy_left_j, 1);
        ck_assert(!decide("{\"time\": \"2026-01-05 23:11:00\", \"energy_j\": 4600}", 760 * SECOND)->allowed);
        ck_assert_ptr_nonnull(strstr(verdict.activity[0].reason, "1 Wh of 1Wh; it goes on tomorrow"));
        /* What is drawn while it does not run is not its own, but for the step in which it stopped. */
        decide("{\"time\": \"2026-01-05 23:12:00\", \"energy_j\": 4700}", 820 * SECOND);
        decide("{\"time\": \"2026-01-05 23:30:00\", \"energy_j\": 9999}", 1900 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 3700);
        ck_assert(!decide("{\"time\": \"2026-01-06 00:00:00\"}", 3700 * SECOND)->allowed);
        ck_assert_int_eq(verdict.activity[0].first_broken, QVF_C_SETTLE);
        ck_assert(decide("{\"time\": \"2026-01-06 00:00:20\"}", 3720 * SECOND)->allowed);
        ck_assert_double_eq(verdict.activity[0].energy_left_j, 3600);
}
END_TEST

START_TEST(a_clock_that_goes_back_gives_no_new_budget)
{
        begin("training: {energy_per_day: 1Wh}");
        decide("{\"time\": \"2026-01-05 12:00:00\", \"energy_j\": 0}", 100 * SECOND);
        ck_assert(!decide("{\"time\": \"2026-01-05 12:01:00\", \"energy_j\": 3600}", 160 * SECOND)->allowed);
        /* The board lost its clock, and gets it back. */
        trace.time_s = 0;
        ck_assert(!decide("{\"time\": \"1970-01-01 00:00:00\"}", 200 * SECOND)->allowed);
        ck_assert(!decide("{\"time\": \"1970-01-01 23:00:00\"}", 83000 * SECOND)->allowed);
        ck_assert(!decide("{\"time\": \"2026-01-05 18:00:00\"}", 83100 * SECOND)->allowed);
        ck_assert(decide("{\"time\": \"2026-01-06 00:00:00\"}", 90000 * SECOND)->allowed);
        /* One that stays behind for a day was wrong before. */
        begin("training: {energy_per_day: 1Wh}");
        decide("{\"time\": \"2040-01-05 12:00:00\", \"energy_j\": 0}", 100 * SECOND);
        ck_assert(!decide("{\"time\": \"2040-01-05 12:01:00\", \"energy_j\": 3600}", 160 * SECOND)->allowed);
        trace.time_s = 0;
        ck_assert(!decide("{\"time\": \"2026-01-05 12:00:00\"}", 200 * SECOND)->allowed);
        ck_assert(!decide("{\"time\": \"2026-01-06 11:00:00\"}", 80000 * SECOND)->allowed);
        ck_assert(decide("{\"time\": \"2026-01-06 12:30:00\"}", 90000 * SECOND)->allowed);
}
END_TEST

START_TEST(meters_that_jump_are_not_believed)
{
        begin("");
        decide("{" MONDAY ", \"energy_j\": 1000}", 100 * SECOND);
        decide("{" MONDAY ", \"energy_j\": 1100}", 110 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 100);
        decide("{" MONDAY ", \"energy_j\": 5}", 120 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 100);
        decide("{" MONDAY ", \"energy_j\": 25}", 130 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 120);
        decide("{" MONDAY ", \"energy_j\": 1e14}", 140 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 120);
        /* Unreadable for a while: charged for when it can be read again. */
        decide("{" MONDAY ", \"energy_j\": 100}", 150 * SECOND);
        decide("{" MONDAY ", \"energy_j\": null}", 160 * SECOND);
        decide("{" MONDAY ", \"energy_j\": 180}", 170 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 200);
}
END_TEST

START_TEST(power_is_averaged_over_its_window)
{
        begin("training: {power_max: 8W, power_window: 100s}");
        ck_assert(decide("{" MONDAY ", \"energy_j\": 0}", 1000 * SECOND)->allowed);
        ck_assert(isnan(verdict.activity[0].power_average_w));
        for (unsigned i = 1; i <= 20; i++) {
                char line[128];

                /* 4 W, and 12 W from the tenth sample on: the average passes 8 W at the fifteenth. */
                snprintf(line, sizeof(line), "{" MONDAY ", \"energy_j\": %u}",
                                i <= 10 ? 40 * i : 400 + 120 * (i - 10));
                ck_assert_msg(decide(line, (1000 + 10 * i) * SECOND)->allowed == (i <= 15), "%u: %s", i,
                                verdict.activity[0].reason);
        }
        ck_assert_double_eq_tol(verdict.activity[0].power_average_w, 12, 1e-9);
        ck_assert_ptr_nonnull(strstr(verdict.activity[0].reason, "over 100s is 12 W"));
}
END_TEST

START_TEST(time_that_stands_still_or_goes_back_does_no_harm)
{
        begin("training: {power_max: 8W, settle_for: 20s}");
        decide("{" MONDAY ", \"energy_j\": 0}", 1000 * SECOND);
        decide("{" MONDAY ", \"energy_j\": 10}", 1000 * SECOND);
        decide("{" MONDAY ", \"energy_j\": 20}", 500 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 0);
        decide("{" MONDAY ", \"energy_j\": 30}", 1010 * SECOND);
        ck_assert_double_eq(state.activity[0].energy_today_j, 30);
        begin("");
        decide("{" MONDAY "}", 0);
        ck_assert(verdict.activity[0].allowed);
}
END_TEST

START_TEST(spans_and_days_are_read_strictly)
{
        static const char *const bad[] = { "", "22:00", "22:00-", "22-07", "24:01-07:00", "24:00-07:00",
                "7:0-8:00", "12:60-13:00", "22:00-22:00", "22:00-07:00x", "-1:00-2:00", "022:00-07:00" };
        unsigned from, to;
        char text[64];

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(bad); i++)
                ck_assert_msg(qvf_span_parse(bad[i], &from, &to) < 0, "%s", bad[i]);
        ck_assert_int_eq(qvf_span_parse(" 7:05 - 24:00 ", &from, &to), 0);
        ck_assert_uint_eq(from, 425);
        ck_assert_uint_eq(to, 1440);
        ck_assert_uint_eq(qvf_day_parse("Weekdays"), 31);
        ck_assert_uint_eq(qvf_day_parse("mo"), 0);
        qvf_days_print(31, text, sizeof(text));
        ck_assert_str_eq(text, "mon, tue, wed, thu, fri");
        qvf_days_print(31, text, 6);
        ck_assert_str_eq(text, "mon, ");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("policy");
        TCase *tcase = tcase_create("policy");
        SRunner *runner = srunner_create(suite);
        const TTest *const tests[] = { inference_is_judged_by_itself, limits_in_force_come_with_the_verdict,
                temperature_has_its_hysteresis, a_gauge_at_its_limit_does_not_flap,
                it_settles_before_it_goes_on, wishes_are_heeded_at_once, load_is_borne_for_the_minimum_run,
                the_next_change_is_foretold, nights_belong_to_the_day_they_begin_on,
                the_days_budget_ends_and_begins_anew, a_clock_that_goes_back_gives_no_new_budget,
                meters_that_jump_are_not_believed, power_is_averaged_over_its_window,
                time_that_stands_still_or_goes_back_does_no_harm, spans_and_days_are_read_strictly };
        int failed;

        tcase_add_loop_test(tcase, each_constraint_by_itself, 0, (int)QVF_ARRAY_LENGTH(cases));
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(tests); i++)
                tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
