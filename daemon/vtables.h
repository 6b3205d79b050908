/* SPDX-License-Identifier: Apache-2.0 */
/* The six interfaces, each in a file of its own (bus_*.c). */
#ifndef QVF_DAEMON_VTABLES_H
#define QVF_DAEMON_VTABLES_H

#include <systemd/sd-bus.h>

#include "daemon/dispatch.h"

extern const sd_bus_vtable qvfd_manager_vtable[], qvfd_device_vtable[], qvfd_model_vtable[],
                qvfd_adapter_vtable[], qvfd_job_vtable[], qvfd_session_vtable[];
extern const struct qvfd_method qvfd_manager_methods[], qvfd_device_methods[], qvfd_model_methods[],
                qvfd_adapter_methods[], qvfd_job_methods[], qvfd_session_methods[];

/* A method that dispatch.c runs, with the names of its arguments in and out. */
#define QVFD_METHOD(member, in, in_names, out, out_names)                                                   \
        SD_BUS_METHOD_WITH_NAMES(                                                                           \
                        member, in, in_names, out, out_names, qvfd_dispatch, SD_BUS_VTABLE_UNPRIVILEGED)

#endif
