/* SPDX-License-Identifier: Apache-2.0 */
/* Energy: what was spent today, and the average power over a window. */
#ifndef QVF_DAEMON_POLICY_BUDGET_H
#define QVF_DAEMON_POLICY_BUDGET_H

#include "daemon/policy/policy.h"

/* Charges what has passed since the last decision, and turns the day. */
void qvf_budget_advance(const struct qvf_policy_config *config, const struct qvf_snapshot *snapshot,
                struct qvf_policy_state *state, uint64_t now_us);
/* Over the last `window_s`, or over as much of it as was seen; NAN while that is less than a twentieth of it. */
double qvf_budget_power_w(const struct qvf_activity_state *state, double window_s, uint64_t now_us);

#endif
