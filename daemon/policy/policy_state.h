/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the policy's state that outlives a restart, as one small JSON file: the energy and the time spent today.
 * Starts, stops and the power average begin anew: they hang on a clock that a reboot sets back. */
#ifndef QVF_DAEMON_POLICY_POLICY_STATE_H
#define QVF_DAEMON_POLICY_POLICY_STATE_H

#include "common/error.h"
#include "daemon/policy/policy.h"

#define QVF_POLICY_STATE_FILE "policy.json"

/* `folder` is a descriptor. Written atomically. */
int qvf_policy_state_save(const struct qvf_policy_state *state, int folder, struct qvf_error *error);
/* Without a file: 0 and a fresh state. A file that can't be read as a state: its errno, and a fresh state: the words
 * say what was lost. */
int qvf_policy_state_load(struct qvf_policy_state *ret_state, int folder, struct qvf_error *error);

#endif
