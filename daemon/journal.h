/* SPDX-License-Identifier: Apache-2.0 */
/* The log: structured to the journal where there is one, lines on stderr elsewhere. */
#ifndef QVF_DAEMON_JOURNAL_H
#define QVF_DAEMON_JOURNAL_H

#include "common/log.h"
#include "daemon/object.h"

/* Takes over common/log.h's sink. The journal is used when stderr is connected to it, as systemd does for services. */
void qvfd_journal_open(bool verbose);
/* A line about an object, which becomes a field of the entry: JOB=, DEVICE=, MODEL=, ADAPTER=, SESSION=. */
void qvfd_journal(enum qvf_log_level level, const struct qvfd_object *subject, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
/* A verdict of the policy: ACTIVITY=, VERDICT=, CONSTRAINT=. */
void qvfd_journal_verdict(const char *activity, bool allowed, const char *constraint, const char *reason);

#endif
