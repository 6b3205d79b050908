/* SPDX-License-Identifier: Apache-2.0 */
/* The constraints one by one, without memory of their own. */
#ifndef QVF_DAEMON_POLICY_CONSTRAINTS_H
#define QVF_DAEMON_POLICY_CONSTRAINTS_H

#include "daemon/policy/policy.h"

struct qvf_check {
        enum qvf_activity activity;
        const struct qvf_activity_config *config;
        const struct qvf_snapshot *snapshot;
        const struct qvf_activity_state *state;
        double power_average_w; /* NAN: unmetered, or too short a time */
        bool was_broken;        /* the limit is then moved by the hysteresis */
};

/* Judges all but "settle", which is about time and no sensor. Fills everything of the verdict but the name. */
void qvf_constraint_check(enum qvf_constraint constraint, const struct qvf_check *check,
                struct qvf_constraint_verdict *ret_verdict);

/* May the activity go on until its minimum run time is over, though this constraint is broken? */
bool qvf_constraint_patient(enum qvf_constraint constraint);
/* Is it somebody's wish? Then the activity starts again as soon as the wish is gone. */
bool qvf_constraint_wish(enum qvf_constraint constraint);

#endif
