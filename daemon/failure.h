/* SPDX-License-Identifier: Apache-2.0 */
/* The names of errors on the bus. */
#ifndef QVF_DAEMON_FAILURE_H
#define QVF_DAEMON_FAILURE_H

#include <systemd/sd-bus.h>

#include "common/error.h"

/* Sets org.qvf.Fabric1.Error.NAME; returns a negative errno, so that callers can `return qvfd_fail(…)`. */
int qvfd_fail(sd_bus_error *error, const char *name, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
/* The same from an errno and its words. */
int qvfd_fail_from(sd_bus_error *error, int code, const struct qvf_error *words);
/* "DiskFull" for what came from a worker or from here; "Internal" where the name is none of ours. */
const char *qvfd_error_short(const char *dbus_name);
/* What a worker answered, as an error of the service: names stay, a worker that is gone becomes WorkerFailed. */
void qvfd_error_from_worker(const sd_bus_error *from, const char *ended, sd_bus_error *ret_error);

#endif
