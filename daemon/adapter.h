/* SPDX-License-Identifier: Apache-2.0 */
/* Stored adapters. */
#ifndef QVF_DAEMON_ADAPTER_H
#define QVF_DAEMON_ADAPTER_H

#include <json-c/json.h>

#include "common/error.h"
#include "daemon/object.h"

struct qvfd_model;

struct qvfd_adapter {
        struct qvfd_object object;
        char *description, *model, *digest, *job;
        struct json_object *modules; /* an array of strings */
        uint32_t rank;
        double alpha, loss, evaluation_loss;
        uint64_t parameters, size_bytes, added_us;
        uint64_t version; /* another one each time that its file is replaced: workers compare it */
};

void qvfd_adapters_load(struct qvfd *service);
void qvfd_adapters_free(struct qvfd *service);
struct qvfd_adapter *qvfd_adapter_find(struct qvfd *service, const char *name);
int qvfd_adapter_open_file(const struct qvfd_adapter *adapter);
/* Stores a file of the folder `from` under this name, in the place of what has it, and tells everybody. */
int qvfd_adapter_put(struct qvfd *service, const char *name, int from, const char *from_name,
                struct json_object *record, struct qvfd_adapter **ret_adapter, struct qvf_error *error);
void qvfd_adapter_remove(struct qvfd_adapter *adapter); /* also its files */
/* Who uses it now, in words; NULL: nobody. */
const char *qvfd_adapter_user(const struct qvfd_adapter *adapter);

#endif
