/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sensors/sensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/energy.h"
#include "common/text.h"
#include "common/units.h"
#include "daemon/sensors/parts.h"
#include "daemon/sensors/root.h"

struct qvf_sensors {
        char root[QVF_PATH_SIZE];
        int store;
        pid_t own[QVF_OWN_MOST];
        unsigned n_own;
        struct qvf_load load;
        struct qvf_gpu_use gpu;
        struct qvf_input input;
        struct qvf_energy *energy;
        struct {
                double seconds; /* those of which the meter knew */
                uint64_t us;    /* when it was asked */
                bool known;
        } energy_before;
        struct {
                bool known, idle,
                                was_idle; /* was_idle: it has said so at some time, so that somebody sets it */
                uint64_t since_us;
        } logind;
        char profile[32];
        unsigned metered;
};

static uint64_t boot_us(void)
{
        struct timespec now = { 0 };

        clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A battery tells nothing while the device hangs on mains: the meter knows only where its seconds go on. */
static void read_energy(struct qvf_sensors *sensors, uint64_t now_us, struct qvf_snapshot *snapshot)
{
        enum qvf_energy_kind kind = qvf_energy_kind(sensors->energy);
        struct qvf_energy_reading reading = { 0 };

        qvf_energy_sample(sensors->energy, (double)now_us / 1e6, &reading);
        if (reading.seconds > sensors->energy_before.seconds ||
                        now_us > sensors->energy_before.us + 1000000) {
                sensors->energy_before.known = reading.seconds > sensors->energy_before.seconds;
                sensors->energy_before.seconds = reading.seconds;
                sensors->energy_before.us = now_us;
        }
        snapshot->energy_j.known = kind != QVF_ENERGY_UNMETERED && sensors->energy_before.known;
        snapshot->energy_j.value = reading.joules;
        snprintf(snapshot->energy_source, sizeof(snapshot->energy_source), "%s", qvf_energy_kind_name(kind));
}

int qvf_sensors_new(const char *root, int store_folder, struct qvf_sensors **ret_sensors,
                struct qvf_error *error)
{
        _cleanup_(qvf_sensors_freep) struct qvf_sensors *sensors = calloc(1, sizeof(*sensors));
        struct qvf_snapshot first;
        int length;

        if (!sensors)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        sensors->store = -1;
        /* Less than the rest of a path needs. */
        length = snprintf(sensors->root, sizeof(sensors->root), "%s", root ? root : "");
        if (length >= QVF_PATH_SIZE / 2)
                return qvf_error_set(error, -ENAMETOOLONG, "%.60s…: too long a path", root);
        if (strcmp(sensors->root, "/") == 0)
                sensors->root[0] = 0;
        if (store_folder >= 0) {
                sensors->store = fcntl(store_folder, F_DUPFD_CLOEXEC, 3);
                if (sensors->store < 0)
                        return qvf_error_set(error, -errno, "the store's folder: %s", strerror(errno));
        }
        if (qvf_energy_new(sensors->root, &sensors->energy) < 0)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        /* A meter is known by how it goes on from its first sample. */
        read_energy(sensors, boot_us(), &first);
        *ret_sensors = QVF_TAKE(sensors);
        return 0;
}

struct qvf_sensors *qvf_sensors_free(struct qvf_sensors *sensors)
{
        if (!sensors)
                return NULL;
        if (sensors->store >= 0)
                close(sensors->store);
        qvf_energy_free(sensors->energy);
        free(sensors);
        return NULL;
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(const struct tm *date)
{
        /* Years begin in March, so that the leap day is the last one. */
        int64_t year = date->tm_year + 1900 - (date->tm_mon < 2);
        int64_t era = (year >= 0 ? year : year - 399) / 400;
        int64_t year_of_era = year - era * 400;
        int64_t month = (date->tm_mon + 10) % 12;
        int64_t day_of_year = (153 * month + 2) / 5 + date->tm_mday - 1;

        return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void read_calendar(time_t wall_s, struct qvf_snapshot *snapshot)
{
        struct tm local = { 0 };

        localtime_r(&wall_s, &local);
        snapshot->local_day = days_of(&local);
        snapshot->local_minute = (unsigned)(local.tm_hour * 60 + local.tm_min);
        snapshot->weekday = (unsigned)(local.tm_wday + 6) % 7;
}

static void read_disk(const struct qvf_sensors *sensors, struct qvf_snapshot *snapshot)
{
        struct statvfs status;

        snapshot->disk_free_bytes = snapshot->disk_total_bytes = (struct qvf_reading){ 0 };
        if (sensors->store < 0 || fstatvfs(sensors->store, &status) < 0)
                return;
        snapshot->disk_free_bytes = qvf_reading_of((double)status.f_bavail * (double)status.f_frsize);
        snapshot->disk_total_bytes = qvf_reading_of((double)status.f_blocks * (double)status.f_frsize);
}

/* The latest of all signs of use. logind's "not idle" counts only where somebody has set the hint before, or where
 * there is no other sign: many desktops never do. Its "idle" alone never makes the device idle while others speak. */
static void read_idle(
                struct qvf_sensors *sensors, uint64_t now_us, int64_t wall_s, struct qvf_snapshot *snapshot)
{
        struct qvf_input *input = &sensors->input;
        int64_t now = (int64_t)now_us, latest = INT64_MIN;
        const char *source = "";

        qvf_read_input(sensors->root, input, now_us, wall_s);
        if (input->has_counters) {
                latest = input->counter_use_us;
                source = "input";
        }
        if (input->has_terminals && input->terminal_use_us > latest) {
                latest = input->terminal_use_us;
                source = "terminal";
        }
        if (sensors->logind.known &&
                        (sensors->logind.idle || sensors->logind.was_idle || latest == INT64_MIN)) {
                int64_t use = sensors->logind.idle ? (int64_t)sensors->logind.since_us : now;

                if (use > latest) {
                        latest = use;
                        source = "logind";
                }
        }
        snapshot->idle_s = (struct qvf_reading){ 0 };
        snprintf(snapshot->idle_source, sizeof(snapshot->idle_source), "%s", source);
        if (latest != INT64_MIN)
                snapshot->idle_s = qvf_reading_of(now > latest ? (double)(now - latest) / 1e6 : 0);
}

/* What firmware calls its profiles, in the words of power-profiles-daemon. */
static void read_profile(const struct qvf_sensors *sensors, struct qvf_snapshot *snapshot)
{
        static const char *const names[][2] = { { "low-power", "power-saver" }, { "quiet", "power-saver" },
                { "cool", "balanced" }, { "balanced", "balanced" },
                { "balanced-performance", "performance" }, { "performance", "performance" } };
        char word[QVF_WORD_SIZE];

        snprintf(snapshot->power_profile, sizeof(snapshot->power_profile), "%s", sensors->profile);
        if (sensors->profile[0] ||
                        !qvf_root_word(sensors->root, word, "/sys/firmware/acpi/platform_profile"))
                return;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(names); i++)
                if (strcmp(word, names[i][0]) == 0)
                        snprintf(snapshot->power_profile, sizeof(snapshot->power_profile), "%s",
                                        names[i][1]);
}

void qvf_sensors_read(struct qvf_sensors *sensors, uint64_t now_us, struct qvf_snapshot *snapshot)
{
        time_t wall_s = time(NULL);

        read_calendar(wall_s, snapshot);
        read_idle(sensors, now_us, wall_s, snapshot);
        snapshot->battery_percent = (struct qvf_reading){ 0 };
        qvf_read_power_supplies(sensors->root, snapshot);
        qvf_read_thermal(sensors->root, snapshot);
        read_energy(sensors, now_us, snapshot);
        snapshot->memory_total_bytes = snapshot->memory_available_bytes = (struct qvf_reading){ 0 };
        qvf_read_memory(sensors->root, snapshot);
        qvf_read_load(sensors->root, &sensors->load, sensors->own, sensors->n_own, snapshot);
        qvf_read_gpu(sensors->root, &sensors->gpu, sensors->own, sensors->n_own, now_us, snapshot);
        read_disk(sensors, snapshot);
        read_profile(sensors, snapshot);
        snapshot->metered = (struct qvf_reading){ 0 };
        if (sensors->metered != 0)
                snapshot->metered = qvf_reading_of(sensors->metered == 1 || sensors->metered == 3);
}

void qvf_sensors_set_own(struct qvf_sensors *sensors, const pid_t *pids, unsigned n)
{
        sensors->n_own = n < QVF_OWN_MOST ? n : QVF_OWN_MOST;
        if (n > 0)
                memcpy(sensors->own, pids, sensors->n_own * sizeof(*pids));
}

void qvf_sensors_set_logind(struct qvf_sensors *sensors, bool known, bool idle, uint64_t since_us)
{
        sensors->logind.known = known;
        sensors->logind.idle = idle;
        sensors->logind.since_us = since_us;
        if (known && idle)
                sensors->logind.was_idle = true;
}

void qvf_sensors_set_power_profile(struct qvf_sensors *sensors, const char *profile)
{
        snprintf(sensors->profile, sizeof(sensors->profile), "%s", profile ? profile : "");
}

void qvf_sensors_set_metered(struct qvf_sensors *sensors, unsigned metered)
{
        sensors->metered = metered <= 4 ? metered : 0;
}

static int describe_zones(const struct qvf_snapshot *snapshot, struct qvf_text *text)
{
        int r = qvf_text_appendf(text, "thermal zones: %u", snapshot->n_zones);

        for (unsigned i = 0; i < snapshot->n_zones && r == 0; i++)
                r = qvf_text_appendf(text, "%s%s %.1f °C", i ? ", " : " (", snapshot->zone[i].type,
                                snapshot->zone[i].celsius);
        return r < 0 ? r : qvf_text_append_string(text, snapshot->n_zones ? ")\n" : "\n");
}

static int describe_reading(const char *what, const struct qvf_reading *reading, enum qvf_unit unit,
                const char *more, struct qvf_text *text)
{
        char shown[QVF_UNIT_TEXT] = "not to be read here";

        if (reading->known)
                qvf_unit_show(unit, reading->value, shown);
        return qvf_text_appendf(
                        text, "%s: %s%s%s%s\n", what, shown, more[0] ? " (" : "", more, more[0] ? ")" : "");
}

int qvf_sensors_describe(struct qvf_sensors *sensors, struct qvf_text *text)
{
        struct qvf_snapshot now = { 0 };
        int r;

        qvf_sensors_read(sensors, boot_us(), &now);
        {
                const struct {
                        const char *what;
                        const struct qvf_reading *reading;
                        enum qvf_unit unit;
                        const char *more;
                } lines[] = {
                        { "last use", &now.idle_s, QVF_UNIT_DURATION, now.idle_source },
                        { "battery", &now.battery_percent, QVF_UNIT_PERCENT, "" },
                        { "energy meter", &now.energy_j, QVF_UNIT_ENERGY, now.energy_source },
                        { "memory available", &now.memory_available_bytes, QVF_UNIT_BYTES, "" },
                        { "memory pressure", &now.memory_pressure_percent, QVF_UNIT_PERCENT, "" },
                        { "CPU pressure", &now.cpu_pressure_percent, QVF_UNIT_PERCENT, "" },
                        { "load by others", &now.load_by_others_percent, QVF_UNIT_PERCENT, "" },
                        { "GPU busy by others", &now.gpu_busy_by_others_percent, QVF_UNIT_PERCENT, "" },
                        { "disk free", &now.disk_free_bytes, QVF_UNIT_BYTES, "" },
                };

                r = describe_zones(&now, text);
                for (size_t i = 0; i < QVF_ARRAY_LENGTH(lines) && r == 0; i++)
                        r = describe_reading(
                                        lines[i].what, lines[i].reading, lines[i].unit, lines[i].more, text);
        }
        if (r == 0)
                r = qvf_text_appendf(text, "power: %s\npower profile: %s\nnetwork: %s\n",
                                now.charging.value > 0 ? "mains, charging or full"
                                : now.mains.value > 0  ? "mains, not charging"
                                                       : "battery",
                                now.power_profile[0] ? now.power_profile : "unknown",
                                !now.metered.known      ? "unknown"
                                : now.metered.value > 0 ? "metered"
                                                        : "not metered");
        return r;
}
