/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that sensors.c puts together. Each reads what it can into the snapshot and leaves the rest alone. */
#ifndef QVF_DAEMON_SENSORS_PARTS_H
#define QVF_DAEMON_SENSORS_PARTS_H

#include <sys/types.h>

#include "daemon/policy/policy.h"

enum { QVF_OWN_MOST = 64 };

/* power_supply.c: mains, charging, battery_percent */
void qvf_read_power_supplies(const char *root, struct qvf_snapshot *snapshot);
/* thermal.c: zones */
void qvf_read_thermal(const char *root, struct qvf_snapshot *snapshot);
/* load.c: memory, pressure, and the load by others since the reading before */
struct qvf_load {
        bool seen;
        double total, busy, own; /* ticks */
};
void qvf_read_memory(const char *root, struct qvf_snapshot *snapshot);
void qvf_read_load(const char *root, struct qvf_load *load, const pid_t *own, unsigned n_own,
                struct qvf_snapshot *snapshot);
/* gpu.c: the GPU's use by others */
struct qvf_gpu_use {
        bool seen;
        double own_ns;
        uint64_t us;
};
void qvf_read_gpu(const char *root, struct qvf_gpu_use *use, const pid_t *own, unsigned n_own,
                uint64_t now_us, struct qvf_snapshot *snapshot);
/* input.c: when was the device last touched? Counters of interrupts and USB transfers, and the terminals' times. */
struct qvf_input {
        bool seen, has_counters, has_terminals;
        uint64_t counters;      /* a sum: only that it changes counts */
        int64_t terminal_s;     /* the newest time of a terminal, of the wall clock */
        int64_t counter_use_us; /* the last uses, of the policy's clock; they may lie before boot */
        int64_t terminal_use_us;
};
void qvf_read_input(const char *root, struct qvf_input *input, uint64_t now_us, int64_t wall_s);

#endif
