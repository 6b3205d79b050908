/* SPDX-License-Identifier: Apache-2.0 */
/* Random days of random machines with random limits. What must hold is written down here a second time, in the plainest
 * way, from what the machine really did: nothing of the policy's own judging is used.
 *  - Training never runs while a limit is broken longer than that constraint's reaction time.
 *  - The day's energy and the average power are passed by no more than one sampling period.
 *  - It starts no sooner than the minimum run time after the last start, and only when all has settled.
 *  - Each pause has a reason, and without one it runs. */
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "daemon/config/config.h"
#include "tests/support/suite.h"

#ifdef __SANITIZE_ADDRESS__
enum { DAYS = 400 };
#else
enum { DAYS = 10000 };
#endif
enum { BATCHES = 8, SEGMENTS_MOST = 4096 };

struct machine {
        uint64_t random;
        unsigned day;
        struct qvf_policy_config config;
        struct qvf_snapshot snapshot;
        struct qvf_policy_state state;
        struct qvf_verdict verdict;
        /* How it moves. */
        double step_s, now_s, wall_s, use_s; /* use_s: somebody works at it until then */
        double base_w, work_w, ambient_c, meter_j;
        bool metered, clock_jumps, any_wish;
        /* What really happened. */
        double started_s, ok_since_s, last_power_w;
        bool decided, ever_started, was_allowed, pause_by_wishes;
        double broken_since_s[QVF_CONSTRAINTS];
        double spent_today_j;
        int64_t spent_day;
        struct {
                double end_s, seconds, joules;
        } segment[SEGMENTS_MOST];
        unsigned n_segments;
        /* What the whole batch has seen, so that no property holds for want of cases. */
        unsigned starts, stops[QVF_CONSTRAINTS];
};

static double uniform(struct machine *m, double least, double most)
{
        m->random ^= m->random << 13;
        m->random ^= m->random >> 7;
        m->random ^= m->random << 17;
        return least + (most - least) * (double)(m->random >> 11) * 0x1p-53;
}

static bool chance(struct machine *m, double probability)
{
        return uniform(m, 0, 1) < probability;
}

static double some(struct machine *m, double probability, double least, double most, double otherwise)
{
        return chance(m, probability) ? rint(uniform(m, least, most)) : otherwise;
}

static void draw_config(struct machine *m)
{
        struct qvf_activity_config *c = &m->config.activity[QVF_TRAINING];

        c->idle_for_s = some(m, 0.5, 0, 1800, 0);
        c->power_source = (enum qvf_power_source)(int)uniform(m, 0, 2.999);
        c->battery_at_least_percent = some(m, 0.5, 5, 90, 0);
        c->temperature_max_c = some(m, 0.4, 45, 85, INFINITY);
        c->temperature_hysteresis_c = rint(uniform(m, 0, 10));
        c->power_max_w = some(m, 0.25, 3, 40, INFINITY);
        c->power_window_s = rint(uniform(m, 60, 3600));
        c->energy_per_day_j = some(m, 0.3, 0, 600000, INFINITY);
        c->assumed_power_w = some(m, 0.5, 1, 20, 0);
        c->memory_leave_free_bytes = some(m, 0.3, 1e8, 3e9, 0);
        c->memory_pressure_max_percent = some(m, 0.3, 0, 50, INFINITY);
        c->cpu_pressure_max_percent = some(m, 0.2, 0, 80, INFINITY);
        c->load_by_others_max_percent = some(m, 0.4, 0, 90, INFINITY);
        c->gpu_busy_by_others_max_percent = some(m, 0.2, 0, 90, INFINITY);
        c->disk_leave_free_bytes = some(m, 0.2, 0, 5e9, 0);
        c->on_metered_network = chance(m, 0.8);
        c->minimum_run_s = some(m, 0.7, 0, 3600, 0);
        c->settle_for_s = some(m, 0.7, 0, 600, 0);
        if (chance(m, 0.3)) {
                c->hours.n = 1;
                c->hours.span[0].from_minute = (uint16_t)uniform(m, 0, 1439);
                c->hours.span[0].to_minute = (uint16_t)uniform(m, 0, 1439);
        }
        if (chance(m, 0.2))
                c->days = (unsigned)uniform(m, 1, 127);
        if (chance(m, 0.2)) {
                c->power_profiles.n = 1;
                strcpy(c->power_profiles.name[0], "balanced");
        }
        m->config.activity[QVF_INFERENCE] = *c;
}

static void draw_machine(struct machine *m, unsigned day)
{
        struct qvf_config defaults;

        *m = (struct machine){ .random = 0x9e3779b97f4a7c15u * (day + 1), .day = day };
        for (unsigned i = 0; i < 8; i++)
                uniform(m, 0, 1);
        qvf_config_defaults(&defaults);
        m->config = defaults.policy;
        draw_config(m);
        m->step_s = chance(m, 0.02) ? 30 : chance(m, 0.1) ? 120 : uniform(m, 400, 600);
        m->now_s = uniform(m, 1, 1e6);
        m->wall_s = uniform(m, 1.7e9, 1.8e9);
        m->base_w = uniform(m, 1, 10);
        m->work_w = uniform(m, 1, 30);
        m->ambient_c = uniform(m, 20, 60);
        m->metered = chance(m, 0.8);
        m->clock_jumps = chance(m, 0.1);
        m->snapshot.n_zones = 1;
        strcpy(m->snapshot.zone[0].type, "cpu-thermal");
        m->snapshot.zone[0].celsius = m->ambient_c;
        m->snapshot.battery_percent = (struct qvf_reading){ chance(m, 0.8), uniform(m, 0, 100) };
        m->snapshot.mains = (struct qvf_reading){ true, chance(m, 0.7) };
        strcpy(m->snapshot.power_profile, "balanced");
        m->spent_day = -1;
        m->ok_since_s = -1;
        for (int c = 0; c < QVF_CONSTRAINTS; c++)
                m->broken_since_s[c] = -1;
}

/* What the machine did since the last decision: with its work or without. */
static double let_time_pass(struct machine *m)
{
        double seconds = m->step_s * uniform(m, 0.5, 1.5);
        bool ran = m->snapshot.running[QVF_TRAINING];
        double watts = m->base_w * uniform(m, 0.5, 2) + (ran ? m->work_w : 0);
        double target = m->ambient_c + (ran ? 30 : 0);

        m->now_s += seconds;
        m->wall_s += seconds;
        if (m->clock_jumps && chance(m, 0.02))
                m->wall_s += uniform(m, -90000, 90000);
        m->snapshot.zone[0].celsius += (target - m->snapshot.zone[0].celsius) * (1 - exp(-seconds / 120));
        m->meter_j += watts * seconds;
        m->last_power_w = watts;
        if (m->snapshot.battery_percent.known) {
                double flow = m->snapshot.mains.value > 0 ? 20 : -watts;

                m->snapshot.battery_percent.value += flow * seconds / 3600 * 2;
                m->snapshot.battery_percent.value = fmax(0, fmin(100, m->snapshot.battery_percent.value));
        }
        return seconds;
}

static void drift(struct machine *m, struct qvf_reading *reading, double probability, double least,
                double most)
{
        if (chance(m, probability))
                *reading = (struct qvf_reading){ chance(m, 0.95), uniform(m, least, most) };
}

static void move_world(struct machine *m)
{
        struct qvf_snapshot *s = &m->snapshot;
        int64_t wall = (int64_t)m->wall_s;

        if (chance(m, 0.02))
                m->use_s = m->now_s + uniform(m, 0, 7200);
        s->idle_s = (struct qvf_reading){ true, m->now_s < m->use_s ? 0 : m->now_s - m->use_s };
        if (chance(m, 0.02))
                s->mains.value = s->mains.value > 0 ? 0 : 1;
        s->charging = (struct qvf_reading){ true, s->mains.value > 0 && chance(m, 0.95) };
        drift(m, &s->memory_available_bytes, 0.1, 0, 4e9);
        drift(m, &s->memory_pressure_percent, 0.1, 0, chance(m, 0.8) ? 5 : 100);
        drift(m, &s->cpu_pressure_percent, 0.2, 0, 100);
        drift(m, &s->load_by_others_percent, 0.2, 0, 100);
        drift(m, &s->gpu_busy_by_others_percent, 0.1, 0, 100);
        drift(m, &s->disk_free_bytes, 0.05, 0, 2e10);
        if (chance(m, 0.02))
                s->metered = (struct qvf_reading){ true, chance(m, 0.3) };
        if (chance(m, 0.02))
                strcpy(s->power_profile, chance(m, 0.7) ? "balanced" : "power-saver");
        if (chance(m, 0.02))
                s->holds[QVF_TRAINING] = chance(m, 0.5);
        s->suspending = chance(m, 0.005);
        s->energy_j = (struct qvf_reading){ m->metered, m->meter_j };
        s->local_day = wall / 86400;
        s->local_minute = (unsigned)(wall % 86400 / 60);
        s->weekday = (unsigned)((s->local_day + 3) % 7);
}

static bool in_hours(const struct qvf_activity_config *c, const struct qvf_snapshot *s, bool *ret_day)
{
        unsigned from = c->hours.span[0].from_minute, to = c->hours.span[0].to_minute, now = s->local_minute;
        bool inside = c->hours.n == 0 || (from < to ? now >= from && now < to : now >= from || now < to);
        /* The night's second half is of the day before. */
        bool second = c->hours.n && to <= from && now < to && now < from;

        *ret_day = c->days >> ((s->weekday + (second ? 6 : 0)) % 7) & 1;
        if (c->hours.n && to <= from && now < to && now >= from)
                *ret_day = *ret_day || (c->days >> ((s->weekday + 6) % 7) & 1);
        return inside;
}

/* Which limits the machine breaks at this moment, without any hysteresis. */
static void find_broken(const struct machine *m, bool broken[QVF_CONSTRAINTS])
{
        const struct qvf_activity_config *c = &m->config.activity[QVF_TRAINING];
        const struct qvf_snapshot *s = &m->snapshot;
        bool unmetered = !s->energy_j.known && c->assumed_power_w <= 0, day;

        memset(broken, 0, QVF_CONSTRAINTS * sizeof(*broken));
        broken[QVF_C_HOLD] = s->holds[QVF_TRAINING] > 0;
        broken[QVF_C_SUSPEND] = s->suspending;
        broken[QVF_C_HOURS] = !in_hours(c, s, &day);
        broken[QVF_C_DAYS] = !broken[QVF_C_HOURS] && !day;
        broken[QVF_C_IDLE] = s->idle_s.value < c->idle_for_s;
        broken[QVF_C_POWER_SOURCE] = (c->power_source != QVF_POWER_ANY && s->mains.value <= 0) ||
                                     (c->power_source == QVF_POWER_CHARGING && s->charging.value <= 0);
        broken[QVF_C_BATTERY] =
                        s->battery_percent.known && s->battery_percent.value < c->battery_at_least_percent;
        broken[QVF_C_TEMPERATURE] = s->zone[0].celsius > c->temperature_max_c;
        broken[QVF_C_POWER] = c->power_max_w < INFINITY && unmetered;
        broken[QVF_C_ENERGY] = c->energy_per_day_j < INFINITY && unmetered;
        broken[QVF_C_MEMORY_FREE] = s->memory_available_bytes.known &&
                                    s->memory_available_bytes.value < c->memory_leave_free_bytes;
        broken[QVF_C_MEMORY_PRESSURE] = s->memory_pressure_percent.known &&
                                        s->memory_pressure_percent.value > c->memory_pressure_max_percent;
        broken[QVF_C_CPU_PRESSURE] = s->cpu_pressure_percent.known &&
                                     s->cpu_pressure_percent.value > c->cpu_pressure_max_percent;
        broken[QVF_C_LOAD] = s->load_by_others_percent.known &&
                             s->load_by_others_percent.value > c->load_by_others_max_percent;
        broken[QVF_C_GPU_BUSY] = s->gpu_busy_by_others_percent.known &&
                                 s->gpu_busy_by_others_percent.value > c->gpu_busy_by_others_max_percent;
        broken[QVF_C_POWER_PROFILE] = c->power_profiles.n > 0 && strcmp(s->power_profile, "balanced") != 0;
        broken[QVF_C_DISK_FREE] =
                        s->disk_free_bytes.known && s->disk_free_bytes.value < c->disk_leave_free_bytes;
        broken[QVF_C_METERED] = !c->on_metered_network && s->metered.known && s->metered.value > 0;
}

#define hold_that(m, condition, ...)                                                                        \
        do {                                                                                                \
                if (!(condition)) {                                                                         \
                        fprintf(stderr, "day %u at %.0f s (%s): ", (m)->day, (m)->now_s,                    \
                                        (m)->verdict.activity[0].reason);                                   \
                        fprintf(stderr, __VA_ARGS__);                                                       \
                        fprintf(stderr, "\n");                                                              \
                }                                                                                           \
                ck_assert(condition);                                                                       \
        } while (0)

static void check_reactions(struct machine *m)
{
        bool allowed = m->verdict.activity[QVF_TRAINING].allowed, broken[QVF_CONSTRAINTS];

        find_broken(m, broken);
        for (int c = 0; c < QVF_CONSTRAINTS; c++) {
                double reaction = c == QVF_C_LOAD || c == QVF_C_CPU_PRESSURE
                                                  ? m->config.activity[QVF_TRAINING].minimum_run_s
                                                  : 0;

                if (!broken[c])
                        m->broken_since_s[c] = -1;
                else if (m->broken_since_s[c] < 0)
                        m->broken_since_s[c] = m->now_s;
                if (!broken[c] || !allowed)
                        continue;
                hold_that(m, reaction > 0 && m->now_s - m->broken_since_s[c] <= reaction + 1e-3,
                                "runs though %s is broken for %.0f s",
                                qvf_constraint_name((enum qvf_constraint)c),
                                m->now_s - m->broken_since_s[c]);
        }
}

/* `joules` were spent in the `seconds` before now, by training if it ran. */
static void check_budgets(struct machine *m, double seconds, bool ran, double joules)
{
        const struct qvf_activity_config *c = &m->config.activity[QVF_TRAINING];
        bool allowed = m->verdict.activity[QVF_TRAINING].allowed;
        double in_window_j = 0, in_window_s = 0;

        /* A clock that jumps makes other days than these. */
        if (m->snapshot.local_day != m->spent_day)
                m->spent_today_j = 0;
        m->spent_day = m->snapshot.local_day;
        if (ran && !m->clock_jumps)
                hold_that(m, m->spent_today_j <= c->energy_per_day_j + 1e-6,
                                "ran with %.0f J spent of %.0f J", m->spent_today_j, c->energy_per_day_j);
        m->spent_today_j += ran ? joules : 0;
        /* What was before the first sample, nobody has measured. */
        if (!m->decided || m->n_segments == SEGMENTS_MOST) {
                m->decided = true;
                return;
        }
        m->segment[m->n_segments].end_s = m->now_s;
        m->segment[m->n_segments].seconds = seconds;
        m->segment[m->n_segments++].joules = m->metered ? joules : ran ? joules : 0;
        for (unsigned i = m->n_segments; i-- > 0;) {
                double inside = fmin(
                                m->segment[i].seconds, c->power_window_s - (m->now_s - m->segment[i].end_s));

                if (inside <= 0)
                        break;
                in_window_j += m->segment[i].joules * inside / m->segment[i].seconds;
                in_window_s += inside;
        }
        /* The ring merges short steps: at its far end it may be wrong by a thirtieth of the window. */
        if (allowed && in_window_s >= c->power_window_s * 0.999)
                hold_that(m, in_window_j / in_window_s <= c->power_max_w + 50.0 / 30,
                                "%.2f W over the window, limit %.2f W", in_window_j / in_window_s,
                                c->power_max_w);
}

static void check_starts(struct machine *m)
{
        const struct qvf_activity_config *c = &m->config.activity[QVF_TRAINING];
        const struct qvf_activity_verdict *v = &m->verdict.activity[QVF_TRAINING];
        bool kept = true;

        for (int i = 0; i < QVF_C_SETTLE; i++)
                kept = kept && v->constraint[i].ok;
        for (int i = 0; i < QVF_C_SETTLE; i++)
                if (!v->constraint[i].ok && i != QVF_C_HOLD && i != QVF_C_SUSPEND)
                        m->pause_by_wishes = false;
        if (!kept)
                m->ok_since_s = -1;
        else if (m->ok_since_s < 0)
                m->ok_since_s = m->now_s;
        if (v->allowed && !m->was_allowed) {
                if (m->ever_started && !m->pause_by_wishes) {
                        hold_that(m, m->now_s - m->started_s >= c->minimum_run_s - 1e-3,
                                        "started %.0f s after the last start, minimum %.0f s",
                                        m->now_s - m->started_s, c->minimum_run_s);
                        hold_that(m,
                                        m->ok_since_s >= 0 &&
                                                        m->now_s - m->ok_since_s >= c->settle_for_s - 1e-3,
                                        "started before it settled");
                }
                m->started_s = m->now_s;
                m->ever_started = true;
                m->starts++;
        }
        if (v->allowed)
                m->pause_by_wishes = true;
        if (!v->allowed && m->was_allowed)
                m->stops[v->first_broken]++;
        m->was_allowed = v->allowed;
}

static void check_reasons(const struct machine *m)
{
        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                const struct qvf_activity_verdict *v = &m->verdict.activity[a];

                hold_that(m, v->reason[0], "no reason");
                hold_that(m, v->allowed || v->first_broken < QVF_CONSTRAINTS,
                                "a pause without a constraint");
                if (v->first_broken < QVF_CONSTRAINTS) {
                        const struct qvf_constraint_verdict *one = &v->constraint[v->first_broken];

                        hold_that(m,
                                        !one->ok && one->reason[0] && one->limit[0] && one->value[0] &&
                                                        strstr(v->reason, one->reason),
                                        "a constraint without words");
                } else {
                        hold_that(m, v->allowed, "it stands still with everything kept");
                }
        }
}

static void live_a_day(struct machine *m)
{
        double end_s = m->now_s + 86400;

        while (m->now_s < end_s) {
                bool ran = m->snapshot.running[QVF_TRAINING];
                double before_j = m->meter_j, seconds = let_time_pass(m), joules;
                uint64_t now_us;

                move_world(m);
                m->now_s = floor(m->now_s * 1e6) / 1e6;
                now_us = (uint64_t)(m->now_s * 1e6);
                m->snapshot.running[QVF_TRAINING] = ran;
                qvf_policy_decide(&m->config, &m->snapshot, &m->state, now_us, &m->verdict);
                joules = m->metered ? m->meter_j - before_j
                                    : m->config.activity[QVF_TRAINING].assumed_power_w * seconds;
                check_reactions(m);
                check_budgets(m, seconds, ran, joules);
                check_starts(m);
                check_reasons(m);
                hold_that(m, m->verdict.again_us > now_us, "the next change is in the past");
                m->snapshot.running[QVF_TRAINING] =
                                m->verdict.activity[QVF_TRAINING].allowed && chance(m, 0.97);
        }
}

START_TEST(random_days)
{
        static struct machine machine;
        unsigned starts = 0, stops[QVF_CONSTRAINTS] = { 0 };

        for (unsigned day = (unsigned)_i; day < DAYS; day += BATCHES) {
                draw_machine(&machine, day);
                live_a_day(&machine);
                starts += machine.starts;
                for (int c = 0; c < QVF_CONSTRAINTS; c++)
                        stops[c] += machine.stops[c];
        }
        ck_assert_uint_gt(starts, DAYS / BATCHES / 4);
        for (int c = 0; c < QVF_C_SETTLE && DAYS >= 10000; c++)
                if (c != QVF_C_ALLOWED)
                        ck_assert_msg(stops[c] > 0, "no day was stopped by %s",
                                        qvf_constraint_name((enum qvf_constraint)c));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("days");
        TCase *tcase = tcase_create("days");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 280);
        tcase_add_loop_test(tcase, random_days, 0, BATCHES);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
