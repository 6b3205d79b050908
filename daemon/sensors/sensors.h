/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine says about itself, read from sysfs, procfs and /dev below a root prefix, so that tests feed folders
 * of files. Nothing here blocks or needs privilege; a file that is missing, unreadable or nonsense makes its reading
 * unknown. What only a bus knows is told by those who watch the bus. */
#ifndef QVF_DAEMON_SENSORS_SENSORS_H
#define QVF_DAEMON_SENSORS_SENSORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "daemon/policy/policy.h"

struct qvf_sensors;

/* `root`: NULL or "" is the machine itself. `store_folder`: a descriptor of a folder on the file system whose space
 * counts (copied); below 0: none. */
int qvf_sensors_new(const char *root, int store_folder, struct qvf_sensors **ret_sensors,
                struct qvf_error *error);
struct qvf_sensors *qvf_sensors_free(struct qvf_sensors *sensors);
static inline void qvf_sensors_freep(struct qvf_sensors **sensors)
{
        qvf_sensors_free(*sensors);
}

/* One sample: fills the sensors' part of the snapshot and the local calendar, and leaves running, suspending and
 * holds as they are. Loads are differences to the sample before, so that the first one lacks them. `now_us` is
 * CLOCK_BOOTTIME. */
void qvf_sensors_read(struct qvf_sensors *sensors, uint64_t now_us, struct qvf_snapshot *snapshot);

/* Whose load and GPU time are our own: qvfd itself always is; these are the workers. At most 64. */
void qvf_sensors_set_own(struct qvf_sensors *sensors, const pid_t *pids, unsigned n);
/* logind's IdleHint and IdleSinceHintMonotonic turned into CLOCK_BOOTTIME; `known` false: no logind. */
void qvf_sensors_set_logind(struct qvf_sensors *sensors, bool known, bool idle, uint64_t since_us);
/* power-profiles-daemon's ActiveProfile; NULL: no such daemon (then platform_profile of sysfs is taken). */
void qvf_sensors_set_power_profile(struct qvf_sensors *sensors, const char *profile);
/* NetworkManager's Metered: 1 and 3 mean yes, 2 and 4 no, 0 unknown. */
void qvf_sensors_set_metered(struct qvf_sensors *sensors, unsigned metered);

/* A line for each thing found or missed, for `qvfctl doctor`: "thermal zones: 4 (cpu-thermal, …)". */
struct qvf_text;
int qvf_sensors_describe(struct qvf_sensors *sensors, struct qvf_text *text);

#endif
