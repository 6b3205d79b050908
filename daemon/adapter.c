/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sha256.h"
#include "daemon/job.h"
#include "daemon/qvfd.h"
#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/stored.h"

static void set_text(char **text, const char *value)
{
        free(*text);
        *text = strdup(value);
}

static void describe(struct qvfd_adapter *adapter, struct json_object *record)
{
        struct json_object *modules = NULL;

        set_text(&adapter->description, qvfd_json_string(record, "description"));
        set_text(&adapter->model, qvfd_json_string(record, "model"));
        set_text(&adapter->digest, qvfd_json_string(record, "digest"));
        set_text(&adapter->job, qvfd_json_string(record, "job"));
        json_object_put(adapter->modules);
        adapter->modules = NULL;
        if (json_object_object_get_ex(record, "modules", &modules) &&
                        json_object_is_type(modules, json_type_array))
                adapter->modules = json_object_get(modules);
        adapter->rank = (uint32_t)qvfd_json_u64(record, "rank");
        adapter->alpha = qvfd_json_number(record, "alpha", NAN);
        adapter->loss = qvfd_json_number(record, "loss", NAN);
        adapter->evaluation_loss = qvfd_json_number(record, "evaluation_loss", NAN);
        adapter->parameters = qvfd_json_u64(record, "parameters");
        adapter->size_bytes = qvfd_json_u64(record, "size");
        adapter->added_us = qvfd_json_u64(record, "added");
        adapter->version = ++adapter->object.service->next_number;
}

static void free_adapter(struct qvfd_adapter *adapter)
{
        qvfd_object_exit(&adapter->object);
        free(adapter->description);
        free(adapter->model);
        free(adapter->digest);
        free(adapter->job);
        json_object_put(adapter->modules);
        free(adapter);
}

static int new_adapter(struct qvfd *service, const char *name, struct json_object *record,
                struct qvfd_adapter **ret_adapter)
{
        struct qvfd_adapter *adapter = calloc(1, sizeof(*adapter));
        int r = adapter ? qvfd_object_init(&adapter->object, service, QVFD_ADAPTER, name) : -ENOMEM;

        if (r < 0) {
                free(adapter);
                return r;
        }
        describe(adapter, record);
        *ret_adapter = adapter;
        return 0;
}

static int load_one(struct qvfd *service, const char *name, struct json_object *record)
{
        struct qvfd_adapter *adapter;

        return new_adapter(service, name, record, &adapter);
}

void qvfd_adapters_load(struct qvfd *service)
{
        qvfd_stored_load(service, service->store.adapters, load_one);
}

void qvfd_adapters_free(struct qvfd *service)
{
        while (service->objects[QVFD_ADAPTER])
                free_adapter((struct qvfd_adapter *)service->objects[QVFD_ADAPTER]);
}

struct qvfd_adapter *qvfd_adapter_find(struct qvfd *service, const char *name)
{
        return qvfd_object_find(service, QVFD_ADAPTER, name);
}

int qvfd_adapter_open_file(const struct qvfd_adapter *adapter)
{
        return qvfd_stored_open(adapter->object.service->store.adapters, adapter->object.name);
}

/* Adapters are small: a few MB, read once. */
static void add_digest(int folder, const char *name, struct json_object *record)
{
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        struct qvf_sha256 hash;
        uint8_t digest[QVF_SHA256_BYTES], bytes[16384];
        char text[2 * QVF_SHA256_BYTES + 1];
        uint64_t size = 0;
        ssize_t n;

        if (fd < 0)
                return;
        qvf_sha256_init(&hash);
        while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
                qvf_sha256_update(&hash, bytes, (size_t)n);
                size += (uint64_t)n;
        }
        qvf_sha256_finish(&hash, digest);
        for (unsigned i = 0; i < QVF_SHA256_BYTES; i++)
                snprintf(text + 2 * i, 3, "%02x", digest[i]);
        qvfd_json_set_string(record, "digest", text);
        qvfd_json_set_u64(record, "size", size);
}

int qvfd_adapter_put(struct qvfd *service, const char *name, int from, const char *from_name,
                struct json_object *record, struct qvfd_adapter **ret_adapter, struct qvf_error *error)
{
        struct qvfd_adapter *adapter = qvfd_adapter_find(service, name);
        int r;

        add_digest(from, from_name, record);
        qvfd_json_set_u64(record, "added", qvfd_wall_clock_us());
        r = qvfd_stored_put(service, service->store.adapters, name, from, from_name, record, error);
        if (r < 0)
                return r;
        if (adapter) {
                describe(adapter, record);
                QVFD_CHANGED(adapter, "Description", "Rank", "Alpha", "Modules", "Parameters", "SizeBytes",
                                "Digest", "Added", "Job", "Loss", "EvaluationLoss");
        } else {
                r = new_adapter(service, name, record, &adapter);
                if (r < 0)
                        return qvf_error_set(error, r, "no memory");
                qvfd_object_announce(&adapter->object);
        }
        if (ret_adapter)
                *ret_adapter = adapter;
        return 0;
}

void qvfd_adapter_remove(struct qvfd_adapter *adapter)
{
        qvfd_stored_remove(adapter->object.service->store.adapters, adapter->object.name);
        free_adapter(adapter);
}

const char *qvfd_adapter_user(const struct qvfd_adapter *adapter)
{
        struct qvfd *service = adapter->object.service;

        for (const struct qvfd_request *request = service->requests; request; request = request->next)
                if (qvfd_request_uses_adapter(request, adapter->object.name))
                        return "a request";
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        if (!qvfd_job_has_ended(job) &&
                        strcmp(qvfd_json_string(job->options, "init"), adapter->object.name) == 0)
                return "a job that starts from it";
        return NULL;
}
