/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a trace of sensors: what has changed at a time. docs/policy.md describes the keys. */
#ifndef QVF_DAEMON_POLICY_TRACE_H
#define QVF_DAEMON_POLICY_TRACE_H

#include "common/error.h"
#include "daemon/policy/policy.h"

/* Everything that lines have said so far. All zeros is the start. */
struct qvf_trace {
        bool begun;
        int64_t time_s; /* local time as seconds since 1970; the fraction of a second is not kept */
        struct qvf_snapshot snapshot;
        int64_t idle_since_s;          /* so that the idle time grows between lines */
        bool work[QVF_ACTIVITIES];     /* is there anything to do? */
        struct qvf_reading power_w;    /* of the machine as it is, without our work; makes up the meter */
        double work_w[QVF_ACTIVITIES]; /* what our work draws on top */
};

/* Merges a line. `bytes` is one JSON object. Untouched on failure. */
int qvf_trace_read(struct qvf_trace *trace, const char *bytes, size_t length, struct qvf_error *error);
/* Local time, day and idle time as they are at `time_s`. */
void qvf_trace_clock(struct qvf_trace *trace, int64_t time_s);

#endif
