/* SPDX-License-Identifier: Apache-2.0 */
/* org.qvf.Fabric1.Device */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "daemon/device.h"
#include "daemon/discovery.h"
#include "daemon/failure.h"
#include "daemon/qvfd.h"
#include "daemon/vtables.h"

static int reset(struct qvfd_call *call)
{
        struct qvfd_device *device = (struct qvfd_device *)call->object;
        int r;

        qvfd_device_forget_crashes(device);
        r = qvfd_discovery_start(call->service, call->message, device);
        return r < 0 ? qvfd_fail(call->error, "WorkerFailed", "devices can't be looked for: %s",
                                       strerror(-r))
                     : 1;
}

const struct qvfd_method qvfd_device_methods[] = {
        { "Reset", "manage-policy", reset },
        { 0 },
};

#define AT(field) offsetof(struct qvfd_device, field)
#define CONSTANT(name, type, field)                                                                         \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGES(name, type, field)                                                                          \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

const sd_bus_vtable qvfd_device_vtable[] = {
        SD_BUS_VTABLE_START(0),
        QVFD_METHOD("Reset", "", "", "", ),
        CONSTANT("Name", "s", object.name),
        CONSTANT("Backend", "s", backend),
        CHANGES("Description", "s", description),
        CHANGES("Driver", "s", driver),
        CHANGES("Kind", "s", device_kind),
        CHANGES("MemoryBytes", "t", memory_bytes),
        CHANGES("BufferBytes", "t", buffer_bytes),
        CHANGES("Trains", "b", trains),
        CHANGES("Score", "d", score),
        CHANGES("State", "s", state),
        CHANGES("Reason", "s", reason),
        CHANGES("Crashes", "u", crashes),
        CHANGES("LastCrash", "t", last_crash_us),
        CHANGES("LastCrashReason", "s", last_crash_reason),
        SD_BUS_VTABLE_END,
};
