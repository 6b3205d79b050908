/* SPDX-License-Identifier: Apache-2.0 */
/* `qvfd --simulate TRACE`: the real policy on a recorded or made trace of sensors, with a virtual clock. docs/policy.md
 * describes the trace: one JSON object a line, each with "time" and those readings that have changed. */
#ifndef QVF_DAEMON_POLICY_SIMULATE_H
#define QVF_DAEMON_POLICY_SIMULATE_H

#include <stdio.h>

#include "common/error.h"
#include "daemon/policy/policy.h"

struct qvf_simulate_options {
        double sample_every_s; /* as qvfd's own; 0: 5 s */
        bool json;             /* a JSON object for each decision instead of a line for people */
        bool all;              /* every sample, not only changes */
};

/* Reads the trace to its end and prints each decision that differs from the one before, then a summary. */
int qvf_simulate(const struct qvf_policy_config *config, FILE *trace, const char *trace_name,
                const struct qvf_simulate_options *options, FILE *out, struct qvf_error *error);

#endif
