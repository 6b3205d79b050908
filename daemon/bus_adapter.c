/* SPDX-License-Identifier: Apache-2.0 */
/* org.qvf.Fabric1.Adapter */
#include <stddef.h>

#include "daemon/adapter.h"
#include "daemon/adapter_work.h"
#include "daemon/failure.h"
#include "daemon/store.h"
#include "daemon/vtables.h"

static int remove_adapter(struct qvfd_call *call)
{
        struct qvfd_adapter *adapter = (struct qvfd_adapter *)call->object;
        const char *user = qvfd_adapter_user(adapter);

        if (user)
                return qvfd_fail(call->error, "Busy", "the adapter %s is used by %s", adapter->object.name,
                                user);
        qvfd_adapter_remove(adapter);
        return sd_bus_reply_method_return(call->message, "");
}

const struct qvfd_method qvfd_adapter_methods[] = {
        { "Export", "infer", qvfd_adapter_export },
        { "MergeIntoModel", "infer", qvfd_adapter_into_model },
        { "Remove", "manage-adapters", remove_adapter },
        { 0 },
};

static int get_modules(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct qvfd_adapter *adapter = userdata;
        int r = sd_bus_message_open_container(reply, 'a', "s");

        (void)bus;
        (void)path;
        (void)interface;
        (void)property;
        (void)error;
        for (size_t i = 0; r >= 0 && adapter->modules && i < json_object_array_length(adapter->modules); i++)
                r = sd_bus_message_append(reply, "s",
                                json_object_get_string(json_object_array_get_idx(adapter->modules, i)));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define AT(field) offsetof(struct qvfd_adapter, field)
#define CONSTANT(name, type, field)                                                                         \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGES(name, type, field)                                                                          \
        SD_BUS_PROPERTY(name, type, NULL, AT(field), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

const sd_bus_vtable qvfd_adapter_vtable[] = {
        SD_BUS_VTABLE_START(0),
        QVFD_METHOD("Export", "ha{sv}", SD_BUS_PARAM(file) SD_BUS_PARAM(options), "", ),
        QVFD_METHOD("MergeIntoModel", "ha{sv}", SD_BUS_PARAM(file) SD_BUS_PARAM(options), "", ),
        QVFD_METHOD("Remove", "", "", "", ),
        CONSTANT("Name", "s", object.name),
        CHANGES("Description", "s", description),
        CONSTANT("Model", "s", model),
        CHANGES("Rank", "u", rank),
        CHANGES("Alpha", "d", alpha),
        SD_BUS_PROPERTY("Modules", "as", get_modules, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        CHANGES("Parameters", "t", parameters),
        CHANGES("SizeBytes", "t", size_bytes),
        CHANGES("Digest", "s", digest),
        CHANGES("Added", "t", added_us),
        CHANGES("Job", "s", job),
        CHANGES("Loss", "d", loss),
        CHANGES("EvaluationLoss", "d", evaluation_loss),
        SD_BUS_VTABLE_END,
};
