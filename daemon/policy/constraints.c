/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policy/constraints.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/units.h"
#include "daemon/policy/calendar.h"

typedef void (*constraint_check)(const struct qvf_check *check, struct qvf_constraint_verdict *verdict);

static void say_reason(struct qvf_constraint_verdict *verdict, const char *format, ...)
                __attribute__((format(printf, 2, 3)));
static void say_reason(struct qvf_constraint_verdict *verdict, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(verdict->reason, sizeof(verdict->reason), format, arguments);
        va_end(arguments);
}

/* A reading with a bound: at most, or at least. */
struct bounded {
        const char *what; /* "the battery" */
        enum qvf_unit unit;
        size_t reading, limit; /* offsets in the snapshot and in the configuration */
        bool at_least;
        /* Once broken, it is kept again this far inside the limit: a share of the limit, and no less than `margin`.
         * Without it a reading that sits at its limit would start and stop the work for ever. */
        double margin_share, margin;
};

#define READING(name) offsetof(struct qvf_snapshot, name)
#define LIMIT(name) offsetof(struct qvf_activity_config, name)

static const struct bounded bounded[QVF_CONSTRAINTS] = {
        [QVF_C_IDLE] = { "the time since the last use", QVF_UNIT_DURATION, READING(idle_s),
                        LIMIT(idle_for_s), true, 0, 0 },
        /* A battery's gauge moves by one percent when the load goes away. */
        [QVF_C_BATTERY] = { "the battery", QVF_UNIT_PERCENT, READING(battery_percent),
                        LIMIT(battery_at_least_percent), true, 0, 2 },
        [QVF_C_MEMORY_FREE] = { "free memory", QVF_UNIT_BYTES, READING(memory_available_bytes),
                        LIMIT(memory_leave_free_bytes), true, 0.1, 0 },
        [QVF_C_MEMORY_PRESSURE] = { "memory pressure", QVF_UNIT_PERCENT, READING(memory_pressure_percent),
                        LIMIT(memory_pressure_max_percent), false, 0.25, 0 },
        [QVF_C_CPU_PRESSURE] = { "CPU pressure", QVF_UNIT_PERCENT, READING(cpu_pressure_percent),
                        LIMIT(cpu_pressure_max_percent), false, 0.25, 0 },
        [QVF_C_LOAD] = { "the load by other programs", QVF_UNIT_PERCENT, READING(load_by_others_percent),
                        LIMIT(load_by_others_max_percent), false, 0.25, 0 },
        [QVF_C_GPU_BUSY] = { "the GPU's use by other programs", QVF_UNIT_PERCENT,
                        READING(gpu_busy_by_others_percent), LIMIT(gpu_busy_by_others_max_percent), false,
                        0.25, 0 },
        [QVF_C_DISK_FREE] = { "free disk space", QVF_UNIT_BYTES, READING(disk_free_bytes),
                        LIMIT(disk_leave_free_bytes), true, 0.05, 0 },
};

static void judge_bounded(const struct bounded *bound, const struct qvf_check *check, double limit,
                const struct qvf_reading *reading, struct qvf_constraint_verdict *verdict)
{
        double margin = check->was_broken ? fmax(bound->margin, limit * bound->margin_share) : 0;
        double edge = bound->at_least ? limit + margin : limit - margin;
        char shown[QVF_UNIT_TEXT], edge_shown[QVF_UNIT_TEXT];

        verdict->set = bound->at_least ? limit > 0 : !isinf(limit);
        if (verdict->set) {
                qvf_unit_print(bound->unit, limit, edge_shown);
                snprintf(verdict->limit, sizeof(verdict->limit), "%s %s",
                                bound->at_least ? "at least" : "at most", edge_shown);
        }
        if (!reading->known)
                return;
        qvf_unit_show(bound->unit, reading->value, shown);
        snprintf(verdict->value, sizeof(verdict->value), "%s", shown);
        if (!verdict->set)
                return;
        /* A share can't be more than all of it, and a reading that is not a number keeps no limit. */
        if (bound->unit == QVF_UNIT_PERCENT)
                edge = fmin(edge, 100);
        verdict->ok = bound->at_least ? reading->value >= edge : reading->value <= edge;
        qvf_unit_show(bound->unit, edge, edge_shown);
        if (verdict->ok)
                return;
        say_reason(verdict, "%s is %s, %s %s%s", bound->what, shown, bound->at_least ? "below" : "above",
                        edge_shown, margin > 0 ? " (where it may start again)" : "");
}

static const struct bounded *bound_of(const struct qvf_check *check, enum qvf_constraint constraint,
                struct qvf_constraint_verdict *verdict)
{
        const struct bounded *bound = &bounded[constraint];
        double limit;

        memcpy(&limit, (const char *)check->config + bound->limit, sizeof(limit));
        judge_bounded(bound, check, limit,
                        (const struct qvf_reading *)(const void *)((const char *)check->snapshot +
                                                                   bound->reading),
                        verdict);
        return bound;
}

static void check_allowed(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        verdict->set = true;
        verdict->ok = check->config->allowed;
        strcpy(verdict->limit, "yes");
        strcpy(verdict->value, verdict->ok ? "yes" : "no");
        if (!verdict->ok)
                say_reason(verdict, "%s is switched off in the configuration",
                                qvf_activity_names[check->activity]);
}

static void check_hold(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        unsigned holds = check->snapshot->holds[check->activity];

        verdict->set = true;
        verdict->ok = holds == 0;
        snprintf(verdict->value, sizeof(verdict->value), "%u", holds);
        strcpy(verdict->limit, "no holds");
        if (!verdict->ok)
                say_reason(verdict, "held by %u client%s%s%.90s%s", holds, holds == 1 ? "" : "s",
                                check->snapshot->hold_text[0] ? " (" : "", check->snapshot->hold_text,
                                check->snapshot->hold_text[0] ? ")" : "");
}

static void check_suspend(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        verdict->set = true;
        verdict->ok = !check->snapshot->suspending;
        strcpy(verdict->value, verdict->ok ? "awake" : "going to sleep");
        strcpy(verdict->limit, "awake");
        if (!verdict->ok)
                say_reason(verdict, "the machine is about to sleep");
}

static void check_hours(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        unsigned minute = check->snapshot->local_minute % (24 * 60);

        verdict->set = check->config->hours.n > 0;
        verdict->ok = qvf_hours_contain(&check->config->hours, minute);
        snprintf(verdict->value, sizeof(verdict->value), "%02u:%02u", minute / 60, minute % 60);
        qvf_hours_print(&check->config->hours, verdict->limit, sizeof(verdict->limit));
        if (!verdict->ok)
                say_reason(verdict, "it is %s, outside the hours %.60s", verdict->value, verdict->limit);
}

static void check_days(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        const struct qvf_activity_config *config = check->config;
        unsigned weekday = check->snapshot->weekday % 7;

        verdict->set = (config->days & QVF_ALL_DAYS) != QVF_ALL_DAYS;
        verdict->ok = qvf_days_contain(
                        &config->hours, config->days, weekday, check->snapshot->local_minute % (24 * 60));
        qvf_days_print(1u << weekday, verdict->value, sizeof(verdict->value));
        qvf_days_print(config->days, verdict->limit, sizeof(verdict->limit));
        if (!verdict->ok)
                say_reason(verdict, "today (%s) is none of the days %.60s", verdict->value, verdict->limit);
}

static void check_idle(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        char limit[QVF_UNIT_TEXT], value[QVF_UNIT_TEXT];

        bound_of(check, QVF_C_IDLE, verdict);
        if (!check->snapshot->idle_s.known) {
                strcpy(verdict->value, "nobody to be seen");
                return;
        }
        qvf_unit_show(QVF_UNIT_DURATION, check->snapshot->idle_s.value, value);
        snprintf(verdict->value, sizeof(verdict->value), "%s%s%.31s%s", value,
                        check->snapshot->idle_source[0] ? " (" : "", check->snapshot->idle_source,
                        check->snapshot->idle_source[0] ? ")" : "");
        qvf_unit_show(QVF_UNIT_DURATION, check->config->idle_for_s, limit);
        if (!verdict->ok)
                say_reason(verdict, "the device was used %s ago: it must be idle for %s", value, limit);
}

static void check_power_source(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        static const char *const limits[] = { "any", "mains", "charging" };
        const struct qvf_snapshot *snapshot = check->snapshot;
        enum qvf_power_source needed = check->config->power_source;
        bool mains = snapshot->mains.value > 0, charging = snapshot->charging.value > 0;

        verdict->set = needed != QVF_POWER_ANY;
        strcpy(verdict->limit, limits[needed]);
        if (!snapshot->mains.known)
                return;
        strcpy(verdict->value, charging ? "charging" : mains ? "mains, not charging" : "battery");
        verdict->ok = needed == QVF_POWER_ANY || (mains && (needed == QVF_POWER_MAINS || charging));
        if (!verdict->ok)
                say_reason(verdict, "%s",
                                mains ? "the battery is not being charged"
                                      : "the device runs on its battery");
}

static void check_battery(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        bound_of(check, QVF_C_BATTERY, verdict);
        if (!check->snapshot->battery_percent.known)
                strcpy(verdict->value, "no battery");
}

static bool zone_counts(const struct qvf_names *patterns, const char *type)
{
        for (unsigned i = 0; i < patterns->n; i++)
                if (fnmatch(patterns->name[i], type, 0) == 0)
                        return true;
        return patterns->n == 0;
}

static void check_temperature(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        const struct qvf_snapshot *snapshot = check->snapshot;
        const struct qvf_activity_config *config = check->config;
        double limit = config->temperature_max_c, hottest = -INFINITY;
        double edge = check->was_broken ? limit - config->temperature_hysteresis_c : limit;
        const char *type = "";
        char shown[QVF_UNIT_TEXT], edge_shown[QVF_UNIT_TEXT];

        verdict->set = !isinf(limit);
        if (verdict->set) {
                qvf_unit_print(QVF_UNIT_CELSIUS, limit, shown);
                snprintf(verdict->limit, sizeof(verdict->limit), "at most %s", shown);
        }
        for (unsigned i = 0; i < snapshot->n_zones && i < QVF_ZONES_MOST; i++) {
                if (!zone_counts(&config->temperature_zones, snapshot->zone[i].type) ||
                                !(snapshot->zone[i].celsius > hottest))
                        continue;
                hottest = snapshot->zone[i].celsius;
                type = snapshot->zone[i].type;
        }
        if (isinf(hottest)) {
                strcpy(verdict->value, config->temperature_zones.n ? "no such zone" : "no thermal zone");
                return;
        }
        qvf_unit_show(QVF_UNIT_CELSIUS, hottest, shown);
        snprintf(verdict->value, sizeof(verdict->value), "%s (%.40s)", shown, type);
        verdict->ok = hottest <= edge;
        qvf_unit_show(QVF_UNIT_CELSIUS, edge, edge_shown);
        if (!verdict->ok)
                say_reason(verdict, "%.40s is at %s, above %s%s", type, shown, edge_shown,
                                check->was_broken ? " (where it may start again)" : "");
}

/* Energy is never guessed in silence: a limit that can't be checked is not kept. */
static bool unmetered(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        if (check->snapshot->energy_j.known || check->config->assumed_power_w > 0)
                return false;
        strcpy(verdict->value, "unmetered");
        verdict->ok = !verdict->set;
        if (!verdict->ok)
                say_reason(verdict,
                                "no energy meter can be read here: set %s.assumed_power to count by a guess",
                                qvf_activity_names[check->activity]);
        return true;
}

static void check_power(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        double limit = check->config->power_max_w, average = check->power_average_w;
        double edge = check->was_broken ? limit * 0.9 : limit;
        char shown[QVF_UNIT_TEXT], edge_shown[QVF_UNIT_TEXT], window[QVF_UNIT_TEXT];

        verdict->set = !isinf(limit);
        qvf_unit_print(QVF_UNIT_DURATION, check->config->power_window_s, window);
        if (verdict->set) {
                qvf_unit_print(QVF_UNIT_POWER, limit, shown);
                snprintf(verdict->limit, sizeof(verdict->limit), "at most %s over %s", shown, window);
        }
        if (unmetered(check, verdict))
                return;
        if (isnan(average)) {
                strcpy(verdict->value, "being measured");
                return;
        }
        qvf_unit_show(QVF_UNIT_POWER, average, shown);
        snprintf(verdict->value, sizeof(verdict->value), "%s%s", shown,
                        check->snapshot->energy_j.known ? "" : " (assumed)");
        verdict->ok = average <= edge;
        qvf_unit_show(QVF_UNIT_POWER, edge, edge_shown);
        if (!verdict->ok)
                say_reason(verdict, "the average power over %s is %s, above %s%s", window, shown, edge_shown,
                                check->was_broken ? " (where it may start again)" : "");
}

static void check_energy(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        double limit = check->config->energy_per_day_j, spent = check->state->energy_today_j;
        char shown[QVF_UNIT_TEXT], limit_shown[QVF_UNIT_TEXT];

        verdict->set = !isinf(limit);
        qvf_unit_print(QVF_UNIT_ENERGY, limit, limit_shown);
        if (verdict->set)
                snprintf(verdict->limit, sizeof(verdict->limit), "%s a day", limit_shown);
        if (unmetered(check, verdict))
                return;
        qvf_unit_show(QVF_UNIT_ENERGY, spent, shown);
        snprintf(verdict->value, sizeof(verdict->value), "%s today%s", shown,
                        check->snapshot->energy_j.known ? "" : " (assumed)");
        verdict->ok = spent < limit;
        if (!verdict->ok)
                say_reason(verdict, "today's energy is spent: %s of %s; it goes on tomorrow", shown,
                                limit_shown);
}

static void check_power_profile(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        const struct qvf_names *allowed = &check->config->power_profiles;
        const char *profile = check->snapshot->power_profile;
        size_t at = 0;

        verdict->set = allowed->n > 0;
        for (unsigned i = 0; i < allowed->n && at < sizeof(verdict->limit); i++)
                at += (size_t)snprintf(verdict->limit + at, sizeof(verdict->limit) - at, "%s%s",
                                i ? " or " : "", allowed->name[i]);
        if (!profile[0])
                return;
        snprintf(verdict->value, sizeof(verdict->value), "%s", profile);
        verdict->ok = allowed->n == 0;
        for (unsigned i = 0; i < allowed->n && !verdict->ok; i++)
                verdict->ok = strcmp(allowed->name[i], profile) == 0;
        if (!verdict->ok)
                say_reason(verdict, "the power profile is %s, not %.60s", profile, verdict->limit);
}

static void check_metered(const struct qvf_check *check, struct qvf_constraint_verdict *verdict)
{
        const struct qvf_reading *metered = &check->snapshot->metered;

        verdict->set = !check->config->on_metered_network;
        if (verdict->set)
                strcpy(verdict->limit, "not metered");
        if (!metered->known)
                return;
        strcpy(verdict->value, metered->value > 0 ? "metered" : "not metered");
        verdict->ok = !verdict->set || !(metered->value > 0);
        if (!verdict->ok)
                say_reason(verdict, "the network is metered");
}

static const struct {
        const char *name;
        constraint_check check; /* NULL: the table of bounds says it all */
        bool patient; /* a short breach harms nobody: training runs below everything else (SCHED_IDLE) */
        bool wish;
} constraints[QVF_CONSTRAINTS] = {
        [QVF_C_ALLOWED] = { "allowed", check_allowed, false, true },
        [QVF_C_HOLD] = { "hold", check_hold, false, true },
        [QVF_C_SUSPEND] = { "suspend", check_suspend, false, true },
        [QVF_C_HOURS] = { "hours", check_hours, false, false },
        [QVF_C_DAYS] = { "days", check_days, false, false },
        [QVF_C_IDLE] = { "idle_for", check_idle, false, false },
        [QVF_C_POWER_SOURCE] = { "power_source", check_power_source, false, false },
        [QVF_C_BATTERY] = { "battery_at_least", check_battery, false, false },
        [QVF_C_TEMPERATURE] = { "temperature_max", check_temperature, false, false },
        [QVF_C_POWER] = { "power_max", check_power, false, false },
        [QVF_C_ENERGY] = { "energy_per_day", check_energy, false, false },
        [QVF_C_MEMORY_FREE] = { "memory_leave_free", NULL, false, false },
        [QVF_C_MEMORY_PRESSURE] = { "memory_pressure_max", NULL, false, false },
        [QVF_C_CPU_PRESSURE] = { "cpu_pressure_max", NULL, true, false },
        [QVF_C_LOAD] = { "load_by_others_max", NULL, true, false },
        [QVF_C_GPU_BUSY] = { "gpu_busy_by_others_max", NULL, false, false },
        [QVF_C_POWER_PROFILE] = { "power_profiles", check_power_profile, false, false },
        [QVF_C_DISK_FREE] = { "disk_leave_free", NULL, false, false },
        [QVF_C_METERED] = { "on_metered_network", check_metered, false, false },
        [QVF_C_SETTLE] = { "settle_for", NULL, false, false },
};

const char *qvf_constraint_name(enum qvf_constraint constraint)
{
        return constraints[constraint].name;
}

bool qvf_constraint_patient(enum qvf_constraint constraint)
{
        return constraints[constraint].patient;
}

bool qvf_constraint_wish(enum qvf_constraint constraint)
{
        return constraints[constraint].wish;
}

void qvf_constraint_check(enum qvf_constraint constraint, const struct qvf_check *check,
                struct qvf_constraint_verdict *ret_verdict)
{
        struct qvf_constraint_verdict *verdict = ret_verdict;

        *verdict = (struct qvf_constraint_verdict){ .name = constraints[constraint].name, .ok = true };
        strcpy(verdict->value, "unknown");
        strcpy(verdict->limit, "none");
        if (constraints[constraint].check)
                constraints[constraint].check(check, verdict);
        else
                bound_of(check, constraint, verdict);
        if (verdict->ok && !verdict->reason[0])
                say_reason(verdict, "%s",
                                !verdict->set ? "no limit is set"
                                : strcmp(verdict->value, "unknown") == 0
                                                ? "nothing here tells: it is let pass"
                                                : "kept");
}
