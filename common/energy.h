/* SPDX-License-Identifier: Apache-2.0 */
/* Joules that this machine uses, from what the kernel shows of its meters under /sys.
 *
 * One kind of meter is taken, the first of these that can be read, because two kinds would count the same joules twice:
 *  - rapl: powercap's counters: "psys" (the whole board) where there is one, else the processor packages and their memory.
 *  - hwmon: counters of energy (energyN_input); without them meters of power (powerN_input or powerN_average), whose
 *    readings are summed up over time.
 *  - battery: what batteries give while they discharge, summed up over time; on mains nothing is known.
 * What a meter leaves out (a screen, a power supply's loss) is not in its joules. Nothing is written anywhere. */
#ifndef QVF_COMMON_ENERGY_H
#define QVF_COMMON_ENERGY_H

#include "common/cleanup.h"

enum qvf_energy_kind { QVF_ENERGY_UNMETERED, QVF_ENERGY_RAPL, QVF_ENERGY_HWMON, QVF_ENERGY_BATTERY };

struct qvf_energy;

struct qvf_energy_reading { /* since the first sample; both only grow */
        double joules;
        double seconds; /* of which the joules are known: less than have passed where a meter gave nothing */
};

/* `root` stands before "/sys": "" but in tests. A machine without a meter is no error. -ENOMEM. */
int qvf_energy_new(const char *root, struct qvf_energy **ret_energy);
struct qvf_energy *qvf_energy_free(struct qvf_energy *energy);
QVF_DEFINE_CLEANUP(struct qvf_energy *, qvf_energy_free)

enum qvf_energy_kind qvf_energy_kind(const struct qvf_energy *energy);
/* "unmetered", "rapl", "hwmon" or "battery" */
const char *qvf_energy_kind_name(enum qvf_energy_kind kind);
/* The meters' own names: "package-0, dram"; "" where there are none. */
const char *qvf_energy_meters(const struct qvf_energy *energy);

/* Reads all meters. `now_seconds` is of a clock that never goes back. To be called every few seconds while the device
 * works: counters may wrap around once between two calls, and power is known only when it is looked at. */
void qvf_energy_sample(
                struct qvf_energy *energy, double now_seconds, struct qvf_energy_reading *ret_reading);

#endif
