/* SPDX-License-Identifier: Apache-2.0 */
/* What only the system bus knows: logind's idea of idle, the sleep that is about to come, the power profile, whether the
 * network is metered. Where there is no such bus, or nobody on it, these are simply not known. */
#ifndef QVF_DAEMON_SYSTEM_BUS_H
#define QVF_DAEMON_SYSTEM_BUS_H

struct qvfd;

void qvfd_system_bus_start(struct qvfd *service);
void qvfd_system_bus_stop(struct qvfd *service);
/* Lets the machine sleep, once no job runs any more. */
void qvfd_system_bus_pass(struct qvfd *service);

#endif
