/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the sensors, asks the policy, and says when the answer has changed. */
#ifndef QVF_DAEMON_WATCH_H
#define QVF_DAEMON_WATCH_H

#include <systemd/sd-event.h>

#include "daemon/policy/policy.h"
#include "daemon/sensors/sensors.h"

struct qvfd;

struct qvfd_watch {
        struct qvf_sensors *sensors;
        struct qvf_snapshot snapshot;
        struct qvf_policy_state state;
        struct qvf_verdict verdict;
        sd_event_source *timer;
        uint64_t sampled_us, saved_us;
        double job_energy_j; /* of training so far */
        bool suspending;
};

int qvfd_watch_start(struct qvfd *service, struct qvf_error *error);
void qvfd_watch_stop(struct qvfd *service);
/* Decides now; `sample`: with fresh readings where the last are older than half a period. */
void qvfd_watch_decide(struct qvfd *service, bool sample);
/* The time to the next look depends on whether there is anything to decide. */
void qvfd_watch_arm(struct qvfd *service);
bool qvfd_allowed(const struct qvfd *service, enum qvf_activity activity);
const char *qvfd_allowed_reason(const struct qvfd *service, enum qvf_activity activity);

#endif
