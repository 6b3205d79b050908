/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policy/budget.h"

#include <math.h>

/* A device that draws more than this is none of ours: a meter that says so was reset, or jumped. */
#define POWER_BELIEVED_W 5000.0

/* The meter's growth since the last decision; a meter that went back was reset, and tells nothing this time. */
static bool metered_joules(const struct qvf_snapshot *snapshot, const struct qvf_policy_state *state,
                double elapsed_s, double *ret_joules)
{
        double grown;

        if (!snapshot->energy_j.known || !state->meter_known)
                return false;
        grown = snapshot->energy_j.value - state->meter_j;
        if (!(grown >= 0) || grown > POWER_BELIEVED_W * fmax(elapsed_s, 1))
                return false;
        *ret_joules = grown;
        return true;
}

static void turn_day(struct qvf_activity_state *state, int64_t day, uint64_t now_us)
{
        if (day == state->energy_day) {
                state->behind_us = 0;
                return;
        }
        /* A clock that goes back (no battery behind it, a time zone) must not give the day's budget again. Where it
         * stays behind for a whole day, it was the old date that was wrong. */
        if (day < state->energy_day) {
                if (state->behind_us == 0)
                        state->behind_us = now_us ? now_us : 1;
                if (now_us - state->behind_us < 24ull * 3600 * 1000000)
                        return;
        }
        state->energy_day = day;
        state->energy_today_j = 0;
        state->run_today_s = 0;
        state->behind_us = 0;
}

/* Steps are merged up to a thirtieth of the window. Each is then longer than a sixtieth (or a whole sample), so that the
 * ring always reaches back over all of it. */
static void remember_power(struct qvf_activity_state *state, double window_s, uint64_t from_us,
                uint64_t now_us, double joules)
{
        unsigned newest = (state->power_at + QVF_POWER_SAMPLES - 1) % QVF_POWER_SAMPLES;
        uint64_t step_us = (uint64_t)(window_s * 1e6 / 30);

        if (state->power_n == 0) {
                state->power[0].us = from_us;
                state->power[0].joules = 0;
                state->power_n = 1;
                state->power_at = 1;
                newest = 0;
        }
        if (state->power_n >= 2) {
                unsigned before = (newest + QVF_POWER_SAMPLES - 1) % QVF_POWER_SAMPLES;

                if (now_us - state->power[before].us <= step_us) {
                        state->power[newest].us = now_us;
                        state->power[newest].joules += joules;
                        return;
                }
        }
        state->power[state->power_at].us = now_us;
        state->power[state->power_at].joules = joules;
        state->power_at = (state->power_at + 1) % QVF_POWER_SAMPLES;
        if (state->power_n < QVF_POWER_SAMPLES)
                state->power_n++;
}

static void charge(const struct qvf_activity_config *config, struct qvf_activity_state *state,
                const struct qvf_snapshot *snapshot, bool ran, bool metered, double joules, uint64_t from_us,
                uint64_t now_us)
{
        double elapsed_s = (double)(now_us - from_us) / 1e6;

        if (ran) {
                state->energy_today_j += metered ? joules : config->assumed_power_w * elapsed_s;
                state->energy_total_j += metered ? joules : config->assumed_power_w * elapsed_s;
                state->run_today_s += elapsed_s;
        }
        if (metered)
                remember_power(state, config->power_window_s, from_us, now_us, joules);
        else if (!snapshot->energy_j.known && config->assumed_power_w > 0)
                remember_power(state, config->power_window_s, from_us, now_us,
                                ran ? config->assumed_power_w * elapsed_s : 0);
}

void qvf_budget_advance(const struct qvf_policy_config *config, const struct qvf_snapshot *snapshot,
                struct qvf_policy_state *state, uint64_t now_us)
{
        bool seen = state->last_us != 0;
        uint64_t from_us = seen ? state->last_us : now_us;
        double joules = 0;
        bool metered = seen && metered_joules(snapshot, state, (double)(now_us - from_us) / 1e6, &joules);

        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                struct qvf_activity_state *activity = &state->activity[a];

                turn_day(activity, snapshot->local_day, now_us);
                /* Whoever ran at either end of the step is charged with all of it: never too little. */
                if (seen && now_us > from_us)
                        charge(&config->activity[a], activity, snapshot,
                                        state->was_running[a] || snapshot->running[a], metered, joules,
                                        from_us, now_us);
                state->was_running[a] = snapshot->running[a];
        }
        /* A meter that can't be read for a while is charged for when it can again. */
        if (snapshot->energy_j.known && (now_us > from_us || !state->meter_known)) {
                state->meter_known = true;
                state->meter_j = snapshot->energy_j.value;
        }
        state->last_us = now_us ? now_us : 1;
}

double qvf_budget_power_w(const struct qvf_activity_state *state, double window_s, uint64_t now_us)
{
        double window_us = window_s * 1e6;
        double joules = 0, covered_us = 0;

        for (unsigned back = 0; back + 1 < state->power_n; back++) {
                unsigned at = (state->power_at + 2 * QVF_POWER_SAMPLES - 1 - back) % QVF_POWER_SAMPLES;
                unsigned before = (at + QVF_POWER_SAMPLES - 1) % QVF_POWER_SAMPLES;
                double end_age = (double)(now_us - state->power[at].us);
                double length = (double)(state->power[at].us - state->power[before].us);
                double inside = fmin(length, window_us - end_age);

                if (inside <= 0 || length <= 0)
                        break;
                joules += state->power[at].joules * inside / length;
                covered_us += inside;
        }
        if (covered_us <= 0 || covered_us < window_us / 20)
                return NAN;
        return joules / covered_us * 1e6;
}
