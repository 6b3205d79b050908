/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that discovery found, which of them may be used, and which comes first. */
#ifndef QVF_DAEMON_DEVICE_H
#define QVF_DAEMON_DEVICE_H

#include <json-c/json.h>

#include "daemon/object.h"

struct qvf_config;

struct qvfd_device {
        struct qvfd_object object;
        char *backend, *id, *description, *driver, *device_kind, *digest;
        char *tuning;  /* what its backend measured on it, for its next opening; "": nothing */
        char *version; /* of the worker that tested it */
        uint64_t memory_bytes, buffer_bytes;
        int trains;
        double score;
        const char *state; /* one of Device.State; not freed */
        char *reason;
        char *self_test; /* as discovery had it */
        uint32_t crashes;
        uint64_t last_crash_us;
        char *last_crash_reason;
        bool seen; /* in the discovery that is being read */
        bool gone; /* not in the last one */
};

/* What the last run found, so that nothing waits for the first discovery. */
void qvfd_devices_load(struct qvfd *service);
void qvfd_devices_free(struct qvfd *service);
/* Takes the JSON that a discovery printed; `all`: what it does not name is gone. */
void qvfd_devices_take(struct qvfd *service, struct json_object *found, bool all);
/* Looks at configuration and crashes anew: who is excluded, who has fallen back. */
void qvfd_devices_judge(struct qvfd *service);
/* The best that is ready; `device` and `backend` may be NULL or "". NULL: none. */
struct qvfd_device *qvfd_device_choose(struct qvfd *service, const char *device, const char *backend);
/* A worker on it ended badly: counted by driver and version, and remembered. */
void qvfd_device_crashed(struct qvfd_device *device, const char *reason);
void qvfd_device_forget_crashes(struct qvfd_device *device);
bool qvfd_device_is_software(const struct qvfd_device *device);

#endif
