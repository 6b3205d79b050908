/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for devices in a throw-away process: looking alone can take a driver down. */
#ifndef QVF_DAEMON_DISCOVERY_H
#define QVF_DAEMON_DISCOVERY_H

#include <systemd/sd-bus.h>

struct qvfd;
struct qvfd_device;

/* Starts one unless one is under way. `message` (may be NULL) is answered when it has ended; `again` is tested though
 * it passed before. */
int qvfd_discovery_start(struct qvfd *service, sd_bus_message *message, const struct qvfd_device *again);
void qvfd_discovery_free(struct qvfd *service);
/* Starts one when a GPU comes or goes. Without udev nothing is watched. */
void qvfd_hotplug_start(struct qvfd *service);
void qvfd_hotplug_stop(struct qvfd *service);

#endif
