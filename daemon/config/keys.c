/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config/keys.h"

#include <math.h>
#include <string.h>

#include "common/checked.h"

#define KIB 0x1p10
#define MIB 0x1p20
#define GIB 0x1p30
#define TIB 0x1p40
#define MINUTE 60.0
#define HOUR 3600.0
#define DAY 86400.0
#define WH 3600.0

#define AT(member) .offset = offsetof(struct qvf_activity_config, member)

/* training: and inference: have the same keys. */
static const struct qvf_key activity_keys[] = {
        { "allowed", QVF_KEY_BOOL, AT(allowed), .initial = { "yes", "yes" },
                        .text = "Whether the device may do this at all." },
        { "hours", QVF_KEY_HOURS, AT(hours), .none = "all", .initial = { "all", "all" },
                        .text = "The hours of the day in which it may run, as 22:00-07:00, in local time." },
        { "days", QVF_KEY_DAYS, AT(days), .none = "all", .initial = { "all", "all" },
                        .text = "The days of the week on which it may run; a night belongs to the day it "
                                "begins "
                                "on." },
        { "idle_for", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(idle_for_s), 0, 7 * DAY,
                        .initial = { "5min", "0s" },
                        .text = "How long nobody must have used the device: its keyboards, pointers, touch "
                                "screens, terminals and sessions." },
        { "power_source", QVF_KEY_CHOICE, AT(power_source), .choices = "any mains charging",
                        .initial = { "mains", "any" },
                        .text = "What must power the device: anything, mains, or mains while the battery is "
                                "charged (or full)." },
        { "battery_at_least", QVF_KEY_NUMBER, QVF_UNIT_PERCENT, AT(battery_at_least_percent), 0, 100,
                        .initial = { "40%", "5%" },
                        .text = "How full the battery must be; several are taken together." },
        { "temperature_max", QVF_KEY_NUMBER, QVF_UNIT_CELSIUS, AT(temperature_max_c), 0, 150, "none",
                        INFINITY, .initial = { "80°C", "95°C" },
                        .text = "How hot the hottest of temperature_zones may be." },
        { "temperature_hysteresis", QVF_KEY_NUMBER, QVF_UNIT_KELVIN, AT(temperature_hysteresis_c), 0, 50,
                        .initial = { "5°C", "5°C" },
                        .text = "How far below temperature_max it must have cooled before the work goes "
                                "on." },
        { "temperature_zones", QVF_KEY_NAMES, AT(temperature_zones), .none = "all",
                        .initial = { "all", "all" },
                        .text = "Patterns (with * and ?) for the types of the thermal zones that count." },
        { "power_max", QVF_KEY_NUMBER, QVF_UNIT_POWER, AT(power_max_w), 0.1, 2000, "none", INFINITY,
                        .initial = { "none", "none" },
                        .text = "How much power the device may draw, averaged over power_window." },
        { "power_window", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(power_window_s), 10, HOUR,
                        .initial = { "5min", "5min" },
                        .text = "The time over which power_max is averaged." },
        { "energy_per_day", QVF_KEY_NUMBER, QVF_UNIT_ENERGY, AT(energy_per_day_j), 0, 1e6 * WH, "none",
                        INFINITY, .initial = { "none", "none" },
                        .text = "How much energy may be spent from midnight to midnight while it runs." },
        { "assumed_power", QVF_KEY_NUMBER, QVF_UNIT_POWER, AT(assumed_power_w), 0.1, 2000, "none", 0,
                        .initial = { "none", "none" },
                        .text = "The power to count with where no energy meter can be read; without it, "
                                "power_max "
                                "and energy_per_day forbid the work there." },
        { "memory_limit", QVF_KEY_NUMBER, QVF_UNIT_BYTES, AT(memory_limit_bytes), 16 * MIB, 16 * TIB, "none",
                        INFINITY, .initial = { "none", "none" },
                        .text = "How much memory one worker may take for it; a job that needs more is "
                                "shrunk or "
                                "refused." },
        { "memory_leave_free", QVF_KEY_NUMBER, QVF_UNIT_BYTES, AT(memory_leave_free_bytes), 0, 16 * TIB,
                        .initial = { "512MiB", "128MiB" },
                        .text = "How much memory must stay available to other programs." },
        { "memory_pressure_max", QVF_KEY_NUMBER, QVF_UNIT_PERCENT, AT(memory_pressure_max_percent), 0, 100,
                        "none", INFINITY, .initial = { "10%", "none" },
                        .text = "How much of the last 10 s some program may have waited for memory (PSI)." },
        { "cpu_pressure_max", QVF_KEY_NUMBER, QVF_UNIT_PERCENT, AT(cpu_pressure_max_percent), 0, 100, "none",
                        INFINITY, .initial = { "none", "none" },
                        .text = "How much of the last 10 s some program may have waited for a processor "
                                "(PSI); the "
                                "work itself waits too, and is counted." },
        { "load_by_others_max", QVF_KEY_NUMBER, QVF_UNIT_PERCENT, AT(load_by_others_max_percent), 0, 100,
                        "none", INFINITY, .initial = { "50%", "none" },
                        .text = "How much of all processors' time other programs may use." },
        { "gpu_busy_by_others_max", QVF_KEY_NUMBER, QVF_UNIT_PERCENT, AT(gpu_busy_by_others_max_percent), 0,
                        100, "none", INFINITY, .initial = { "30%", "none" },
                        .text = "How much of the GPU's time other programs may use." },
        { "power_profiles", QVF_KEY_NAMES, AT(power_profiles), .none = "all",
                        .initial = { "balanced, performance", "all" },
                        .text = "The power profiles in which it may run: power-saver, balanced, "
                                "performance, "
                                "low-power." },
        { "disk_leave_free", QVF_KEY_NUMBER, QVF_UNIT_BYTES, AT(disk_leave_free_bytes), 0, 1024 * TIB,
                        .initial = { "1GiB", "0" },
                        .text = "How much space must stay free where the store is." },
        { "on_metered_network", QVF_KEY_BOOL, AT(on_metered_network), .initial = { "yes", "yes" },
                        .text = "Whether it may run while the network is metered; for work that uses the "
                                "network." },
        { "duty_cycle", QVF_KEY_NUMBER, QVF_UNIT_PERCENT, AT(duty_cycle_percent), 1, 100,
                        .initial = { "100%", "100%" },
                        .text = "The share of the time in which it computes; it rests in between." },
        { "threads", QVF_KEY_COUNT, AT(threads), 1, 1024, "auto", 0, .initial = { "auto", "auto" },
                        .text = "How many processors it may use at a time; a model that is already loaded "
                                "keeps the number that it was loaded with." },
        { "minimum_run", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(minimum_run_s), 0, DAY,
                        .initial = { "1min", "0s" },
                        .text = "Load by others and CPU pressure stop it only when it has run for so long, "
                                "and no "
                                "start follows the last one sooner." },
        { "settle_for", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(settle_for_s), 0, DAY,
                        .initial = { "20s", "0s" },
                        .text = "How long everything must have been kept again before it goes on." },
};

#undef AT
#define AT(member) .offset = offsetof(struct qvf_devices_config, member)
static const struct qvf_key device_keys[] = {
        { "prefer", QVF_KEY_NAMES, AT(prefer), .none = "auto", .initial = { "auto" },
                        .text = "Patterns for backends (vulkan) or devices (vulkan/*RADV*), best first; "
                                "auto goes by "
                                "what was measured." },
        { "exclude", QVF_KEY_NAMES, AT(exclude), .none = "none", .initial = { "none" },
                        .text = "Patterns for backends or devices that are never used." },
};

#undef AT
#define AT(member) .offset = offsetof(struct qvf_clients_config, member)
static const struct qvf_key client_keys[] = {
        { "requests", QVF_KEY_COUNT, AT(requests), 1, 1024, .initial = { "8" },
                        .text = "Completions of one client that run or wait at a time." },
        { "requests_all", QVF_KEY_COUNT, AT(requests_all), 1, 65536, .initial = { "256" },
                        .text = "Completions of all clients together that run or wait at a time." },
        { "tokens", QVF_KEY_COUNT, AT(tokens), 1, 1 << 20, .initial = { "4096" },
                        .text = "Tokens that one completion may ask for." },
        { "prompt_tokens", QVF_KEY_COUNT, AT(prompt_tokens), 1, 1 << 20, .initial = { "32768" },
                        .text = "Tokens that one completion may bring." },
        { "sessions", QVF_KEY_COUNT, AT(sessions), 0, 1024, .initial = { "8" },
                        .text = "Sessions of one client." },
        { "jobs", QVF_KEY_COUNT, AT(jobs), 0, 1024, .initial = { "16" },
                        .text = "Jobs of one user that have not ended." },
        { "jobs_all", QVF_KEY_COUNT, AT(jobs_all), 0, 65536, .initial = { "64" },
                        .text = "Jobs of all users together that have not ended." },
        { "holds", QVF_KEY_COUNT, AT(holds), 0, 1024, .initial = { "16" }, .text = "Holds of one client." },
        { "memory", QVF_KEY_NUMBER, QVF_UNIT_BYTES, AT(memory_bytes), 64 * KIB, TIB, .initial = { "64MiB" },
                        .text = "Memory for one client's prompts, sessions and waiting output." },
};

#undef AT
#define AT(member) .offset = offsetof(struct qvf_workers_config, member)
static const struct qvf_key worker_keys[] = {
        { "idle_unload", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(idle_unload_s), 0, 30 * DAY, "none", INFINITY,
                        .initial = { "10min" },
                        .text = "A model leaves memory when no request came for so long." },
        { "hang_after", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(hang_after_s), 1, HOUR, .initial = { "15s" },
                        .text = "A worker that gave no sign of life for so long is ended; software drivers "
                                "get twice "
                                "that." },
        { "crashes_most", QVF_KEY_COUNT, AT(crashes_most), 1, 100, .initial = { "3" },
                        .text = "After so many crashes of one driver and device the next backend is "
                                "taken." },
        { "retry_after", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(retry_after_s), 0, HOUR, .initial = { "5s" },
                        .text = "How long to wait after a crash before trying again; doubles each time." },
        { "retry_most", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(retry_most_s), 0, DAY, .initial = { "10min" },
                        .text = "The longest that such a wait becomes." },
};

#undef AT
#define AT(member) .offset = offsetof(struct qvf_store_config, member)
static const struct qvf_key store_keys[] = {
        { "model_size_most", QVF_KEY_NUMBER, QVF_UNIT_BYTES, AT(model_size_most_bytes), MIB, 16 * TIB,
                        .initial = { "16GiB" }, .text = "The largest model file that is taken." },
        { "adapter_size_most", QVF_KEY_NUMBER, QVF_UNIT_BYTES, AT(adapter_size_most_bytes), 64 * KIB, TIB,
                        .initial = { "1GiB" }, .text = "The largest adapter file that is taken." },
        { "data_size_most", QVF_KEY_NUMBER, QVF_UNIT_BYTES, AT(data_size_most_bytes), KIB, TIB,
                        .initial = { "1GiB" }, .text = "The largest file of training data that is taken." },
        { "keep_jobs", QVF_KEY_NUMBER, QVF_UNIT_DURATION, AT(keep_jobs_s), 0, 3650 * DAY, "none", INFINITY,
                        .initial = { "30d" },
                        .text = "How long the record of a job that has ended is kept; its adapter stays." },
};

#undef AT
static const struct qvf_key sensor_keys[] = {
        { "sample_every", QVF_KEY_NUMBER, QVF_UNIT_DURATION, .offset = 0, 1, MINUTE, .initial = { "5s" },
                        .text = "How often the sensors are read while there is work." },
};

#define SECTION(section_name, place, column_number, table, words)                                           \
        {                                                                                                   \
                .name = (section_name), .offset = offsetof(struct qvf_config, place),                       \
                .column = (column_number), .keys = (table), .n_keys = QVF_ARRAY_LENGTH(table),              \
                .text = (words)                                                                             \
        }

const struct qvf_section qvf_sections[] = {
        SECTION("training", policy.activity[QVF_TRAINING], 0, activity_keys, "When the device may train."),
        SECTION("inference", policy.activity[QVF_INFERENCE], 1, activity_keys, "When it may answer."),
        SECTION("devices", devices, 0, device_keys, "Which devices compute."),
        SECTION("clients", clients, 0, client_keys, "What one program that asks may take."),
        SECTION("workers", workers, 0, worker_keys, "The processes that compute."),
        SECTION("store", store, 0, store_keys, "What is kept on disk."),
        SECTION("sensors", sample_every_s, 0, sensor_keys, "How the machine is watched."),
};
const size_t qvf_n_sections = QVF_ARRAY_LENGTH(qvf_sections);

const struct qvf_section *qvf_section_find(const char *name)
{
        for (size_t i = 0; i < qvf_n_sections; i++)
                if (strcmp(qvf_sections[i].name, name) == 0)
                        return &qvf_sections[i];
        return NULL;
}

const struct qvf_key *qvf_key_find(const struct qvf_section *section, const char *name)
{
        for (size_t i = 0; i < section->n_keys; i++)
                if (strcmp(section->keys[i].name, name) == 0)
                        return &section->keys[i];
        return NULL;
}
