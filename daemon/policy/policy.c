/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policy/policy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "daemon/policy/budget.h"
#include "daemon/policy/calendar.h"
#include "daemon/policy/constraints.h"

const char *const qvf_activity_names[QVF_ACTIVITIES] = { "training", "inference" };

/* A time on the policy's clock that is far enough in the future not to matter. */
static uint64_t after(uint64_t us, double seconds)
{
        return seconds < 1e9 ? us + (uint64_t)ceil(fmax(seconds, 0) * 1e6) : UINT64_MAX;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* Judges all constraints and remembers which are broken. */
static uint32_t judge(const struct qvf_policy_config *config, const struct qvf_snapshot *snapshot,
                struct qvf_activity_state *state, enum qvf_activity activity, uint64_t now_us,
                struct qvf_activity_verdict *verdict)
{
        struct qvf_check check = {
                .activity = activity,
                .config = &config->activity[activity],
                .snapshot = snapshot,
                .state = state,
                .power_average_w =
                                qvf_budget_power_w(state, config->activity[activity].power_window_s, now_us),
        };
        uint32_t broken = 0;

        for (int c = 0; c < QVF_C_SETTLE; c++) {
                check.was_broken = state->broken >> c & 1;
                qvf_constraint_check((enum qvf_constraint)c, &check, &verdict->constraint[c]);
                if (!verdict->constraint[c].ok)
                        broken |= 1u << c;
        }
        verdict->power_average_w = check.power_average_w;
        state->broken = broken;
        return broken;
}

static bool only(uint32_t broken, bool (*kind)(enum qvf_constraint))
{
        for (int c = 0; c < QVF_C_SETTLE; c++)
                if (broken >> c & 1 && !kind((enum qvf_constraint)c))
                        return false;
        return true;
}

/* When it may start at the earliest, given that everything is kept. */
static uint64_t start_us(const struct qvf_activity_config *config, const struct qvf_activity_state *state,
                uint64_t now_us)
{
        uint64_t settled, run;

        if (!state->ever_started || only(state->stopped_by, qvf_constraint_wish))
                return now_us;
        settled = after(state->kept_us, config->settle_for_s);
        run = after(state->started_us, config->minimum_run_s);
        return settled > run ? settled : run;
}

static void judge_settle(const struct qvf_activity_config *config, const struct qvf_activity_state *state,
                uint32_t broken, uint64_t now_us, struct qvf_constraint_verdict *verdict)
{
        uint64_t start = start_us(config, state, now_us);
        char text[QVF_UNIT_TEXT];

        *verdict = (struct qvf_constraint_verdict){ .name = qvf_constraint_name(QVF_C_SETTLE), .ok = true };
        verdict->set = config->settle_for_s > 0 || config->minimum_run_s > 0;
        qvf_unit_print(QVF_UNIT_DURATION, config->settle_for_s, text);
        snprintf(verdict->limit, sizeof(verdict->limit), "kept for %s", text);
        strcpy(verdict->reason, verdict->set ? "kept" : "no limit is set");
        strcpy(verdict->value, state->started ? "started" : "settled");
        if (state->started)
                return;
        if (broken) {
                strcpy(verdict->value, "not kept");
                strcpy(verdict->reason, "counts from when all others are kept");
                return;
        }
        qvf_unit_show(QVF_UNIT_DURATION, (double)(now_us - state->kept_us) / 1e6, text);
        snprintf(verdict->value, sizeof(verdict->value), "kept for %s", text);
        verdict->ok = now_us >= start;
        if (verdict->ok)
                return;
        qvf_unit_show(QVF_UNIT_DURATION, (double)(start - now_us) / 1e6, text);
        snprintf(verdict->reason, sizeof(verdict->reason),
                        "everything is kept again; it starts in %s if that lasts", text);
}

/* Starts or stops; returns when it would do so with the same readings. */
static uint64_t step(const struct qvf_activity_config *config, struct qvf_activity_state *state,
                uint32_t broken, uint64_t now_us)
{
        if (broken)
                state->kept_us = 0;
        else if (state->kept_us == 0)
                state->kept_us = now_us;
        if (state->started) {
                uint64_t patience = after(state->started_us, config->minimum_run_s);

                if (!broken)
                        return UINT64_MAX;
                if (only(broken, qvf_constraint_patient) && now_us < patience)
                        return patience;
                state->started = false;
                state->stopped_by = broken;
                return UINT64_MAX;
        }
        state->stopped_by |= broken;
        if (broken)
                return UINT64_MAX;
        if (now_us < start_us(config, state, now_us))
                return start_us(config, state, now_us);
        state->started = state->ever_started = true;
        state->started_us = now_us;
        state->stopped_by = 0;
        return UINT64_MAX;
}

static void tell(const struct qvf_activity_config *config, const struct qvf_snapshot *snapshot,
                const struct qvf_activity_state *state, enum qvf_activity activity,
                struct qvf_activity_verdict *verdict)
{
        double spare = snapshot->memory_available_bytes.value - config->memory_leave_free_bytes;

        verdict->allowed = state->started;
        verdict->first_broken = QVF_CONSTRAINTS;
        for (int c = QVF_C_SETTLE; c >= 0; c--)
                if (!verdict->constraint[c].ok)
                        verdict->first_broken = (enum qvf_constraint)c;
        if (verdict->first_broken == QVF_CONSTRAINTS)
                snprintf(verdict->reason, sizeof(verdict->reason), "%s may run",
                                qvf_activity_names[activity]);
        else
                snprintf(verdict->reason, sizeof(verdict->reason), "%s%s",
                                verdict->allowed ? "runs on for its minimum time, though " : "",
                                verdict->constraint[verdict->first_broken].reason);
        verdict->threads = config->threads;
        verdict->duty_cycle_percent = config->duty_cycle_percent;
        verdict->memory_limit_bytes = config->memory_limit_bytes;
        if (snapshot->memory_available_bytes.known && config->memory_leave_free_bytes > 0)
                verdict->memory_limit_bytes = fmin(verdict->memory_limit_bytes, fmax(spare, 0));
        verdict->energy_left_j = fmax(config->energy_per_day_j - state->energy_today_j, 0);
}

/* When the calendar or the growing idle time changes a verdict by themselves. */
static uint64_t next_by_itself(const struct qvf_activity_config *config, const struct qvf_snapshot *snapshot,
                uint32_t broken, uint64_t now_us)
{
        unsigned minute = snapshot->local_minute % (24 * 60);
        uint64_t next = UINT64_MAX;

        if (config->hours.n > 0 || (config->days & QVF_ALL_DAYS) != QVF_ALL_DAYS ||
                        broken >> QVF_C_ENERGY & 1)
                /* The minute has begun at some time; not sooner than in 5 s, lest its end be waited for in a circle. */
                next = after(now_us,
                                fmax(60.0 * (qvf_calendar_next_minutes(&config->hours, minute) - 1), 5));
        if (broken >> QVF_C_IDLE & 1)
                next = sooner(next, after(now_us, config->idle_for_s - snapshot->idle_s.value));
        return next;
}

void qvf_policy_decide(const struct qvf_policy_config *config, const struct qvf_snapshot *snapshot,
                struct qvf_policy_state *state, uint64_t now_us, struct qvf_verdict *ret_verdict)
{
        ret_verdict->again_us = UINT64_MAX;
        if (now_us < state->last_us)
                now_us = state->last_us;
        if (now_us == 0)
                now_us = 1;
        qvf_budget_advance(config, snapshot, state, now_us);
        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                const struct qvf_activity_config *activity = &config->activity[a];
                struct qvf_activity_state *memory = &state->activity[a];
                struct qvf_activity_verdict *verdict = &ret_verdict->activity[a];
                uint32_t broken = judge(config, snapshot, memory, (enum qvf_activity)a, now_us, verdict);
                uint64_t again = step(activity, memory, broken, now_us);

                judge_settle(activity, memory, broken, now_us, &verdict->constraint[QVF_C_SETTLE]);
                tell(activity, snapshot, memory, (enum qvf_activity)a, verdict);
                again = sooner(again, next_by_itself(activity, snapshot, broken, now_us));
                ret_verdict->again_us = sooner(ret_verdict->again_us, again);
        }
}

double qvf_policy_reaction_s(const struct qvf_activity_config *config, enum qvf_constraint constraint)
{
        return qvf_constraint_patient(constraint) ? config->minimum_run_s : 0;
}
