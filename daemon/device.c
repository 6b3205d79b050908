/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "daemon/qvfd.h"
#include "qvf/backend.h"

#define FOUND_FILE "devices.json"
#define CRASHES_FILE "crashes.json"
enum { DEVICES_MOST = 64 };

static void set_text(char **text, const char *value)
{
        free(*text);
        *text = strdup(value);
}

static void free_device(struct qvfd_device *device)
{
        qvfd_object_exit(&device->object);
        free(device->backend);
        free(device->id);
        free(device->description);
        free(device->driver);
        free(device->device_kind);
        free(device->digest);
        free(device->tuning);
        free(device->version);
        free(device->reason);
        free(device->self_test);
        free(device->last_crash_reason);
        free(device);
}

void qvfd_devices_free(struct qvfd *service)
{
        while (service->objects[QVFD_DEVICE])
                free_device((struct qvfd_device *)service->objects[QVFD_DEVICE]);
}

bool qvfd_device_is_software(const struct qvfd_device *device)
{
        return device->device_kind && strcmp(device->device_kind, "software") == 0;
}

/* What crashes are counted by: another driver, or another version of us, starts from nothing. */
static void crash_key(const struct qvfd_device *device, char key[512])
{
        snprintf(key, 512, "%s|%s|%s|%s", device->backend, device->id, device->driver, QVF_VERSION);
}

static struct json_object *crashes_read(struct qvfd *service)
{
        struct json_object *record = NULL;

        if (qvfd_record_read(service->store.devices, CRASHES_FILE, &record, NULL) < 0)
                record = json_object_new_object();
        return record;
}

static void crashes_load(struct qvfd_device *device, struct json_object *record)
{
        struct json_object *entry = NULL;
        char key[512];

        crash_key(device, key);
        json_object_object_get_ex(record, key, &entry);
        device->crashes = (uint32_t)qvfd_json_u64(entry, "count");
        device->last_crash_us = qvfd_json_u64(entry, "last");
        set_text(&device->last_crash_reason, qvfd_json_string(entry, "reason"));
}

static void crashes_save(const struct qvfd_device *device)
{
        struct qvfd *service = device->object.service;
        _cleanup_json_ struct json_object *record = crashes_read(service);
        struct qvf_error error = { 0 };
        char key[512];

        crash_key(device, key);
        if (device->crashes == 0) {
                json_object_object_del(record, key);
        } else {
                struct json_object *entry = json_object_new_object();

                qvfd_json_set_u64(entry, "count", device->crashes);
                qvfd_json_set_u64(entry, "last", device->last_crash_us);
                qvfd_json_set_string(entry, "reason", device->last_crash_reason);
                json_object_object_add(record, key, entry);
        }
        if (qvfd_record_write(service->store.devices, CRASHES_FILE, record, &error) < 0)
                qvf_log(QVF_LOG_WARNING, "%s", error.text);
}

static bool matches(const struct qvfd_device *device, const char *pattern)
{
        char full[512];

        snprintf(full, sizeof(full), "%s/%s", device->backend, device->description);
        return fnmatch(pattern, device->backend, FNM_CASEFOLD) == 0 ||
               fnmatch(pattern, full, FNM_CASEFOLD) == 0 ||
               fnmatch(pattern, device->object.name, FNM_CASEFOLD) == 0;
}

/* The place of the first pattern that it matches; past the end: none. */
static unsigned rank_in(const struct qvf_names *patterns, const struct qvfd_device *device)
{
        unsigned i;

        for (i = 0; i < patterns->n && !matches(device, patterns->name[i]); i++)
                ;
        return i;
}

static void judge(struct qvfd_device *device)
{
        const struct qvf_config *config = &device->object.service->config;
        char reason[300] = "";
        const char *state = "ready", *before = device->state;

        if (rank_in(&config->devices.exclude, device) < config->devices.exclude.n) {
                state = "excluded";
                snprintf(reason, sizeof(reason), "devices.exclude names it");
        } else if (device->gone) {
                state = "gone";
                snprintf(reason, sizeof(reason), "the last discovery did not see it");
        } else if (strcmp(device->self_test, "passed") != 0 && strcmp(device->self_test, "skipped") != 0) {
                state = "failed";
                snprintf(reason, sizeof(reason), "the self-test ended with: %s", device->self_test);
        } else if (config->workers.crashes_most && device->crashes >= config->workers.crashes_most) {
                state = "fallen-back";
                snprintf(reason, sizeof(reason), "%u workers ended badly with this driver: %s",
                                device->crashes, device->last_crash_reason);
        }
        device->state = state;
        set_text(&device->reason, reason);
        if (before && before != state)
                QVFD_CHANGED(device, "State", "Reason");
}

void qvfd_devices_judge(struct qvfd *service)
{
        QVFD_EACH(struct qvfd_device, device, service, QVFD_DEVICE)
        judge(device);
}

static struct qvfd_device *find(struct qvfd *service, const char *backend, const char *id)
{
        QVFD_EACH(struct qvfd_device, device, service, QVFD_DEVICE)
        if (strcmp(device->backend, backend) == 0 && strcmp(device->id, id) == 0)
                return device;
        return NULL;
}

static struct qvfd_device *add(struct qvfd *service, const char *backend, const char *id)
{
        struct qvfd_device *device = calloc(1, sizeof(*device));
        char name[80];
        unsigned n = 0;

        if (!device || qvfd_object_count(service, QVFD_DEVICE) >= DEVICES_MOST) {
                free(device);
                return NULL;
        }
        do
                snprintf(name, sizeof(name), "%.60s-%u", backend, n++);
        while (qvfd_object_find(service, QVFD_DEVICE, name));
        if (qvfd_object_init(&device->object, service, QVFD_DEVICE, name) < 0) {
                free(device);
                return NULL;
        }
        set_text(&device->backend, backend);
        set_text(&device->id, id);
        device->trains = 1;
        return device;
}

/* What may travel to a worker as it is: the record may have been damaged. */
static const char *tuning_of(struct json_object *found)
{
        const char *text = qvfd_json_string(found, "tuning");
        size_t length = strlen(text);

        if (length < QVF_TUNING_BYTES && qvf_utf8_valid_prefix(text, length) == length)
                return text;
        qvf_log(QVF_LOG_WARNING,
                        "what was tuned for a device is no text of less than %u bytes, and is not used",
                        QVF_TUNING_BYTES);
        return "";
}

static void take_device(struct qvfd *service, const char *backend, struct json_object *found,
                const char *version, struct json_object *crashes)
{
        const char *id = qvfd_json_string(found, "id"), *digest = qvfd_json_string(found, "digest");
        const char *own_version =
                        qvfd_json_string(found, "version"); /* in our record; a discovery has one for all */
        struct qvfd_device *device = find(service, backend, id);
        bool is_new = !device;

        if (is_new)
                device = add(service, backend, id);
        if (!device)
                return;
        device->seen = true;
        set_text(&device->description, qvfd_json_string(found, "name"));
        set_text(&device->driver, qvfd_json_string(found, "driver"));
        set_text(&device->device_kind, qvfd_json_string(found, "kind"));
        if (digest[0] || !device->digest)
                set_text(&device->digest, digest);
        device->memory_bytes = qvfd_json_u64(found, "memory_bytes");
        device->buffer_bytes = qvfd_json_u64(found, "largest_buffer_bytes");
        /* One whose driver was tested before is not tested again: what was found then holds. */
        if (strcmp(qvfd_json_string(found, "self_test"), "skipped") != 0 || is_new) {
                device->score = qvfd_json_number(found, "score", device->score);
                set_text(&device->self_test, qvfd_json_string(found, "self_test"));
                set_text(&device->tuning, tuning_of(found));
                set_text(&device->version, own_version[0] ? own_version : version);
        }
        device->gone = false;
        crashes_load(device, crashes);
        judge(device);
        if (is_new)
                qvfd_object_announce(&device->object);
        else
                QVFD_CHANGED(device, "Description", "Driver", "Kind", "MemoryBytes", "BufferBytes", "Score",
                                "Crashes");
}

static void take_all(struct qvfd *service, struct json_object *found)
{
        const char *version = qvfd_json_string(found, "version");
        _cleanup_json_ struct json_object *crashes = crashes_read(service);
        struct json_object *backends, *devices;

        if (!json_object_object_get_ex(found, "backends", &backends) ||
                        !json_object_is_type(backends, json_type_array))
                return;
        for (size_t i = 0; i < json_object_array_length(backends); i++) {
                struct json_object *backend = json_object_array_get_idx(backends, i);
                const char *name = qvfd_json_string(backend, "name"),
                           *error = qvfd_json_string(backend, "error");

                if (!qvfd_name_valid(name))
                        continue;
                if (error[0])
                        qvf_log(QVF_LOG_INFO, "the backend %s can't be used: %s", name, error);
                if (!json_object_object_get_ex(backend, "devices", &devices) ||
                                !json_object_is_type(devices, json_type_array))
                        continue;
                for (size_t k = 0; k < json_object_array_length(devices); k++)
                        take_device(service, name, json_object_array_get_idx(devices, k), version, crashes);
        }
}

/* The same form as discovery's, so that it is read by the same code. */
static void save(struct qvfd *service)
{
        _cleanup_json_ struct json_object *record = json_object_new_object();
        struct json_object *backends = json_object_new_array();
        struct qvf_error error = { 0 };

        json_object_object_add(record, "backends", backends);
        QVFD_EACH(struct qvfd_device, device, service, QVFD_DEVICE)
        {
                struct json_object *backend = json_object_new_object(), *devices = json_object_new_array(),
                                   *entry = json_object_new_object();

                qvfd_json_set_string(backend, "name", device->backend);
                json_object_object_add(backend, "devices", devices);
                json_object_array_add(devices, entry);
                json_object_array_add(backends, backend);
                qvfd_json_set_string(entry, "id", device->id);
                qvfd_json_set_string(entry, "name", device->description);
                qvfd_json_set_string(entry, "driver", device->driver);
                qvfd_json_set_string(entry, "kind", device->device_kind);
                qvfd_json_set_string(entry, "digest", device->digest);
                qvfd_json_set_string(entry, "self_test", device->self_test);
                qvfd_json_set_string(entry, "version", device->version);
                qvfd_json_set_string(entry, "tuning", device->tuning);
                qvfd_json_set_u64(entry, "memory_bytes", device->memory_bytes);
                qvfd_json_set_u64(entry, "largest_buffer_bytes", device->buffer_bytes);
                qvfd_json_set_number(entry, "score", device->score);
        }
        if (qvfd_record_write(service->store.devices, FOUND_FILE, record, &error) < 0)
                qvf_log(QVF_LOG_WARNING, "%s", error.text);
}

void qvfd_devices_load(struct qvfd *service)
{
        _cleanup_json_ struct json_object *record = NULL;

        if (qvfd_record_read(service->store.devices, FOUND_FILE, &record, NULL) == 0)
                take_all(service, record);
}

void qvfd_devices_take(struct qvfd *service, struct json_object *found, bool all)
{
        QVFD_EACH(struct qvfd_device, device, service, QVFD_DEVICE)
        device->seen = !all;
        take_all(service, found);
        QVFD_EACH(struct qvfd_device, device, service, QVFD_DEVICE)
        {
                if (device->seen)
                        continue;
                device->gone = true;
                judge(device);
        }
        save(service);
}

struct qvfd_device *qvfd_device_choose(struct qvfd *service, const char *name, const char *backend)
{
        const struct qvf_names *prefer = &service->config.devices.prefer;
        struct qvfd_device *best = NULL;

        QVFD_EACH(struct qvfd_device, device, service, QVFD_DEVICE)
        {
                if (strcmp(device->state, "ready") != 0 ||
                                (name && name[0] && strcmp(device->object.name, name) != 0) ||
                                (backend && backend[0] && strcmp(device->backend, backend) != 0))
                        continue;
                if (!best || rank_in(prefer, device) < rank_in(prefer, best) ||
                                (rank_in(prefer, device) == rank_in(prefer, best) &&
                                                device->score > best->score))
                        best = device;
        }
        return best;
}

void qvfd_device_crashed(struct qvfd_device *device, const char *reason)
{
        struct qvfd *service = device->object.service;

        device->crashes++;
        device->last_crash_us = qvfd_wall_clock_us();
        set_text(&device->last_crash_reason, reason);
        crashes_save(device);
        judge(device);
        QVFD_CHANGED(device, "Crashes", "LastCrash", "LastCrashReason");
        if (strcmp(device->state, "fallen-back") == 0) {
                struct qvfd_device *next = qvfd_device_choose(service, NULL, NULL);

                qvfd_notice(service, "warning", &device->object,
                                "%u workers ended badly with %s (%s): %s is used until its driver changes",
                                device->crashes, device->description, device->driver,
                                next ? next->description : "nothing else is there, and nothing");
        }
}

void qvfd_device_forget_crashes(struct qvfd_device *device)
{
        device->crashes = 0;
        device->last_crash_us = 0;
        set_text(&device->last_crash_reason, "");
        crashes_save(device);
        judge(device);
        QVFD_CHANGED(device, "Crashes", "LastCrash", "LastCrashReason");
}
