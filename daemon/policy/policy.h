/* SPDX-License-Identifier: Apache-2.0 */
/* May the device work now? A pure function of what the sensors say, the configuration, the state and the time: it
 * reads no file and no clock, so that it can be tested with tables and with simulated days.
 *
 * Each activity is judged by itself against the same list of constraints. A constraint that is broken stops the
 * activity at once, or, where a short breach does no harm (see `patient` in constraints.c), when the minimum run time
 * is over. It starts again when every constraint has been kept, with its hysteresis, for `settle_for`, and never
 * sooner than `minimum_run` after the last start. */
#ifndef QVF_DAEMON_POLICY_POLICY_H
#define QVF_DAEMON_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum qvf_activity { QVF_TRAINING, QVF_INFERENCE, QVF_ACTIVITIES };
extern const char *const qvf_activity_names[QVF_ACTIVITIES]; /* "training", "inference" */

/* Texts and lists have a fixed size, so that a configuration is copied by assignment and never freed. */
enum { QVF_NAME_SIZE = 64, QVF_NAMES_MOST = 16, QVF_SPANS_MOST = 8, QVF_ZONES_MOST = 32 };

struct qvf_names {
        unsigned n;
        char name[QVF_NAMES_MOST][QVF_NAME_SIZE];
};

struct qvf_hours { /* none: at all hours */
        unsigned n;
        struct {
                uint16_t from_minute, to_minute; /* of the local day; to <= from: past midnight */
        } span[QVF_SPANS_MOST];
};

enum qvf_power_source { QVF_POWER_ANY, QVF_POWER_MAINS, QVF_POWER_CHARGING };

/* What qvfd.yaml says about one activity. A maximum that is not set is INFINITY, a minimum that is not set 0. */
struct qvf_activity_config {
        bool allowed;
        struct qvf_hours hours;
        unsigned days; /* bit 0: Monday … bit 6: Sunday */
        double idle_for_s;
        enum qvf_power_source power_source;
        double battery_at_least_percent;
        double temperature_max_c, temperature_hysteresis_c;
        struct qvf_names temperature_zones; /* patterns for a zone's type; none: every zone */
        double power_max_w, power_window_s;
        double energy_per_day_j;
        double assumed_power_w; /* what to count by where there is no meter; 0: do not guess */
        double memory_limit_bytes;
        double memory_leave_free_bytes;
        double memory_pressure_max_percent, cpu_pressure_max_percent;
        double load_by_others_max_percent, gpu_busy_by_others_max_percent;
        struct qvf_names power_profiles; /* those that allow it; none: all */
        double disk_leave_free_bytes;
        bool on_metered_network;
        double duty_cycle_percent; /* of the time; 100: always */
        unsigned threads;          /* 0: as many as there are processors */
        double minimum_run_s, settle_for_s;
};

struct qvf_policy_config {
        struct qvf_activity_config activity[QVF_ACTIVITIES];
};

/* A number that a sensor may not have. */
struct qvf_reading {
        bool known;
        double value;
};

struct qvf_snapshot {
        /* The local calendar: qvf_sensors_read() asks the clock. */
        int64_t local_day;     /* days since 1970-01-01, local */
        unsigned local_minute; /* of that day */
        unsigned weekday;      /* 0: Monday */

        struct qvf_reading idle_s;   /* since anybody last used the device */
        char idle_source[32];        /* the signal that says so: "input", "terminal", "logind" */
        struct qvf_reading mains;    /* 0 or 1 */
        struct qvf_reading charging; /* 0 or 1; a full battery on mains counts as charging */
        struct qvf_reading battery_percent;
        unsigned n_zones;
        struct {
                char type[QVF_NAME_SIZE];
                double celsius;
        } zone[QVF_ZONES_MOST];
        struct qvf_reading energy_j; /* a meter that only grows; where it goes back it has been reset */
        char energy_source[32];      /* "rapl", "battery", … */
        struct qvf_reading memory_total_bytes, memory_available_bytes;
        struct qvf_reading memory_pressure_percent, cpu_pressure_percent;
        struct qvf_reading load_by_others_percent; /* of all processors together */
        struct qvf_reading gpu_busy_by_others_percent;
        struct qvf_reading disk_free_bytes, disk_total_bytes;
        struct qvf_reading metered; /* 0 or 1 */
        char power_profile[32];     /* "": unknown */

        /* What qvfd itself knows. */
        bool running[QVF_ACTIVITIES];   /* is it computing at this moment? It is charged with the energy */
        bool suspending;                /* the machine is about to sleep */
        unsigned holds[QVF_ACTIVITIES]; /* how many clients ask for quiet */
        char hold_text[96];             /* of one of them: who and why */
};

enum qvf_constraint {
        QVF_C_ALLOWED,
        QVF_C_HOLD,
        QVF_C_SUSPEND,
        QVF_C_HOURS,
        QVF_C_DAYS,
        QVF_C_IDLE,
        QVF_C_POWER_SOURCE,
        QVF_C_BATTERY,
        QVF_C_TEMPERATURE,
        QVF_C_POWER,
        QVF_C_ENERGY,
        QVF_C_MEMORY_FREE,
        QVF_C_MEMORY_PRESSURE,
        QVF_C_CPU_PRESSURE,
        QVF_C_LOAD,
        QVF_C_GPU_BUSY,
        QVF_C_POWER_PROFILE,
        QVF_C_DISK_FREE,
        QVF_C_METERED,
        QVF_C_SETTLE, /* all others are kept again, but not for long enough */
        QVF_CONSTRAINTS
};

/* What is remembered between two decisions. All zeros is a fresh one. qvf_policy_state_save() keeps of it what must
 * outlive a restart. */
enum { QVF_POWER_SAMPLES = 64 };

struct qvf_activity_state {
        bool started;          /* allowed at the last decision */
        bool ever_started;     /* started_us holds a time */
        uint64_t started_us;   /* the last start */
        uint64_t kept_us;      /* since when every constraint has been kept; 0: some is broken */
        uint32_t stopped_by;   /* what was broken at any time since it stopped */
        uint32_t broken;       /* bit for each constraint: broken, and not yet kept by its hysteresis */
        double energy_today_j; /* charged on `energy_day` */
        int64_t energy_day;
        uint64_t behind_us;    /* since when the calendar has been before energy_day; 0: it is not */
        double energy_total_j; /* of all days */
        double run_today_s;
        struct {
                uint64_t us;
                double joules;      /* between the sample before and this one */
        } power[QVF_POWER_SAMPLES]; /* a ring: the newest at power_at - 1 */
        unsigned power_at, power_n;
};

struct qvf_policy_state {
        uint64_t last_us; /* time of the last decision; 0: none yet */
        double meter_j;   /* the meter then */
        bool meter_known;
        bool was_running[QVF_ACTIVITIES];
        struct qvf_activity_state activity[QVF_ACTIVITIES];
};

struct qvf_constraint_verdict {
        const char *name; /* the key in qvfd.yaml that sets it, as "battery_at_least"; also "hold", "suspend", "settle" */
        bool set; /* there is a limit at all */
        bool ok;
        char value[64];   /* as people write it: "37%", "61.5 °C (cpu-thermal)", "unknown" */
        char limit[64];   /* "at least 40%", "none" */
        char reason[160]; /* one sentence: why it forbids, or why it does not */
};

struct qvf_activity_verdict {
        bool allowed;
        char reason[192];                 /* of the first broken constraint; when allowed: what it may do */
        enum qvf_constraint first_broken; /* QVF_CONSTRAINTS: none */
        struct qvf_constraint_verdict constraint[QVF_CONSTRAINTS]; /* every one, in the order of the enum */
        /* Limits in force while it runs. */
        unsigned threads; /* 0: as many as there are processors */
        double duty_cycle_percent;
        double memory_limit_bytes; /* for work that starts now: no more than is free beyond what to leave. INFINITY: none */
        double energy_left_j;   /* of today; INFINITY: no budget */
        double power_average_w; /* over the window; NAN: unmetered */
};

struct qvf_verdict {
        struct qvf_activity_verdict activity[QVF_ACTIVITIES];
        uint64_t again_us; /* with the same readings, the verdict changes at this time at the earliest; UINT64_MAX: never */
};

/* `now_us` is a clock that never goes back and counts sleep too (CLOCK_BOOTTIME). Call it at each sample, and at once
 * when a hold comes or goes; also while nothing runs, if seldom: the power average lives from it. */
void qvf_policy_decide(const struct qvf_policy_config *config, const struct qvf_snapshot *snapshot,
                struct qvf_policy_state *state, uint64_t now_us, struct qvf_verdict *ret_verdict);

/* The longest that an activity may go on after a constraint was broken, in seconds, beyond one sampling period. */
double qvf_policy_reaction_s(const struct qvf_activity_config *config, enum qvf_constraint constraint);

/* The name in qvf_constraint_verdict. */
const char *qvf_constraint_name(enum qvf_constraint constraint);

#endif
