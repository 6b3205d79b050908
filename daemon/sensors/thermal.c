/* SPDX-License-Identifier: Apache-2.0 */
/* Thermal zones by their type, and the temperatures of those processors and GPUs that have no zone. */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "daemon/sensors/parts.h"
#include "daemon/sensors/root.h"

/* Outside of this a sensor is not connected, or writes nonsense. */
#define COLDEST_C (-60.0)
#define HOTTEST_C 200.0

/* hwmon drivers of what computes. Boards' own chips are left out: their unused inputs show any number. */
static const char *const hwmon_names[] = { "k10temp", "zenpower", "coretemp", "amdgpu", "radeon", "nouveau",
        "i915", "xe", "cpu_thermal", "gpu_thermal" };

static void add_zone(struct qvf_snapshot *snapshot, const char *type, double millidegrees)
{
        double celsius = millidegrees / 1000;

        if (celsius < COLDEST_C || celsius > HOTTEST_C || snapshot->n_zones == QVF_ZONES_MOST)
                return;
        snprintf(snapshot->zone[snapshot->n_zones].type, QVF_NAME_SIZE, "%s", type);
        snapshot->zone[snapshot->n_zones++].celsius = celsius;
}

static void read_zones(const char *root, struct qvf_snapshot *snapshot)
{
        _cleanup_closedir_ DIR *folder = qvf_root_folder(root, "/sys/class/thermal");
        const char *zone;

        while (folder && (zone = qvf_next_entry(folder, "thermal_zone"))) {
                char type[QVF_WORD_SIZE];
                double millidegrees;

                if (qvf_root_word(root, type, "/sys/class/thermal/%s/type", zone) &&
                                qvf_root_number(root, &millidegrees, "/sys/class/thermal/%s/temp", zone))
                        add_zone(snapshot, type, millidegrees);
        }
}

static void read_hwmon(const char *root, const char *chip, struct qvf_snapshot *snapshot)
{
        char name[QVF_WORD_SIZE];
        bool known = false;

        if (!qvf_root_word(root, name, "/sys/class/hwmon/%s/name", chip))
                return;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(hwmon_names); i++)
                known = known || strcmp(name, hwmon_names[i]) == 0;
        for (unsigned i = 0; i < snapshot->n_zones; i++)
                known = known && strcmp(snapshot->zone[i].type, name) != 0; /* has a zone of its own */
        if (known) {
                double hottest = 0, millidegrees;
                bool found = false;

                for (unsigned input = 1; input <= 16; input++)
                        if (qvf_root_number(root, &millidegrees, "/sys/class/hwmon/%s/temp%u_input", chip,
                                            input) &&
                                        (!found || millidegrees > hottest)) {
                                hottest = millidegrees;
                                found = true;
                        }
                if (found)
                        add_zone(snapshot, name, hottest);
        }
}

void qvf_read_thermal(const char *root, struct qvf_snapshot *snapshot)
{
        _cleanup_closedir_ DIR *folder = qvf_root_folder(root, "/sys/class/hwmon");
        const char *chip;

        snapshot->n_zones = 0;
        read_zones(root, snapshot);
        while (folder && (chip = qvf_next_entry(folder, "hwmon")))
                read_hwmon(root, chip, snapshot);
}
