/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs on disk. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "daemon/job.h"
#include "daemon/qvfd.h"

#define RECORD "job.json"
#define LAST_ID "last-id"
enum { LOG_BYTES_MOST = 1 << 20, ENDED_MOST = 100 };

static const char *const fates[] = { "open", "finished", "failed", "cancelled" };

static const struct {
        const char *key;
        size_t offset;
} numbers[] = {
        { "step", offsetof(struct qvfd_job, step) },
        { "total_steps", offsetof(struct qvfd_job, total_steps) },
        { "tokens", offsetof(struct qvfd_job, tokens) },
        { "checkpoint_step", offsetof(struct qvfd_job, checkpoint_step) },
        { "memory_planned", offsetof(struct qvfd_job, memory_planned) },
        { "memory_peak", offsetof(struct qvfd_job, memory_peak) },
        { "not_before", offsetof(struct qvfd_job, not_before_us) },
        { "created", offsetof(struct qvfd_job, created_us) },
        { "started", offsetof(struct qvfd_job, started_us) },
        { "finished", offsetof(struct qvfd_job, finished_us) },
}, doubles[] = {
        { "epoch", offsetof(struct qvfd_job, epoch) },
        { "loss", offsetof(struct qvfd_job, loss) },
        { "accuracy", offsetof(struct qvfd_job, accuracy) },
        { "evaluation_loss", offsetof(struct qvfd_job, evaluation_loss) },
        { "best_evaluation_loss", offsetof(struct qvfd_job, best_evaluation_loss) },
        { "seconds_run", offsetof(struct qvfd_job, seconds_run) },
        { "energy_joules", offsetof(struct qvfd_job, energy_joules) },
}, texts[] = {
        { "title", offsetof(struct qvfd_job, title) },
        { "model", offsetof(struct qvfd_job, model) },
        { "adapter", offsetof(struct qvfd_job, adapter) },
        { "after", offsetof(struct qvfd_job, after) },
        { "repeat", offsetof(struct qvfd_job, repeat) },
        { "device", offsetof(struct qvfd_job, device) },
        { "last_error", offsetof(struct qvfd_job, last_error) },
        { "wait_reason", offsetof(struct qvfd_job, wait_reason) },
}, flags[] = {
        { "paused", offsetof(struct qvfd_job, paused) },
        { "after_done", offsetof(struct qvfd_job, after_done) },
        { "has_held_out", offsetof(struct qvfd_job, has_held_out) },
        { "data_gone", offsetof(struct qvfd_job, data_gone) },
        { "stopped_early", offsetof(struct qvfd_job, stopped_early) },
};

/* Reason codes are compared by value and never freed: those that a record may hold. */
static const char *const codes[] = { "", "time", "retry", "disk", "memory", "no-device", "data", "crash",
        "hang", "device-lost", "wrong-numbers", "early-stop", "internal", "user" };

int qvfd_job_open_folder(const struct qvfd_job *job)
{
        int fd = openat(job->object.service->store.jobs, job->object.name,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int qvfd_job_open_run(const struct qvfd_job *job)
{
        _cleanup_close_ int folder = qvfd_job_open_folder(job);
        char name[24];
        int fd;

        if (folder < 0)
                return folder;
        snprintf(name, sizeof(name), "run-%" PRIu32, job->runs + 1);
        if (mkdirat(folder, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int qvfd_job_save(struct qvfd_job *job, struct qvf_error *error)
{
        _cleanup_json_ struct json_object *record = json_object_new_object();
        _cleanup_close_ int folder = qvfd_job_open_folder(job);
        const char *at = (const char *)job;

        if (folder < 0)
                return qvf_error_set(error, folder, "its folder can't be opened: %s", strerror(-folder));
        qvfd_json_set_string(record, "fate", fates[job->fate]);
        qvfd_json_set_string(record, "code", job->wait_code);
        qvfd_json_set_u64(record, "owner", job->owner);
        json_object_object_add(record, "priority", json_object_new_int(job->priority));
        qvfd_json_set_u64(record, "runs", job->runs);
        qvfd_json_set_u64(record, "crashes", job->crashes);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(texts); i++)
                qvfd_json_set_string(record, texts[i].key, *(char *const *)(at + texts[i].offset));
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(numbers); i++)
                qvfd_json_set_u64(record, numbers[i].key, *(const uint64_t *)(at + numbers[i].offset));
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(doubles); i++)
                qvfd_json_set_number(record, doubles[i].key, *(const double *)(at + doubles[i].offset));
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(flags); i++)
                json_object_object_add(record, flags[i].key,
                                json_object_new_boolean(*(const bool *)(at + flags[i].offset)));
        json_object_object_add(record, "options", json_object_get(job->options));
        return qvfd_record_write(folder, RECORD, record, error);
}

static int read_job(struct qvfd_job *job, struct json_object *record)
{
        const char *fate = qvfd_json_string(record, "fate"), *code = qvfd_json_string(record, "code");
        struct json_object *options = NULL;
        char *at = (char *)job;
        unsigned i;

        for (i = 0; i < QVF_ARRAY_LENGTH(fates) && strcmp(fates[i], fate) != 0; i++)
                ;
        if (i == QVF_ARRAY_LENGTH(fates))
                return -EBADMSG;
        job->fate = i;
        for (i = 0; i < QVF_ARRAY_LENGTH(codes); i++)
                if (strcmp(codes[i], code) == 0)
                        job->wait_code = codes[i];
        job->owner = (uint32_t)qvfd_json_u64(record, "owner");
        job->priority = (int32_t)qvfd_json_number(record, "priority", 0);
        job->runs = (uint32_t)qvfd_json_u64(record, "runs");
        job->crashes = (uint32_t)qvfd_json_u64(record, "crashes");
        for (i = 0; i < QVF_ARRAY_LENGTH(texts); i++)
                qvfd_job_set_text((char **)(at + texts[i].offset), qvfd_json_string(record, texts[i].key));
        for (i = 0; i < QVF_ARRAY_LENGTH(numbers); i++)
                *(uint64_t *)(at + numbers[i].offset) = qvfd_json_u64(record, numbers[i].key);
        for (i = 0; i < QVF_ARRAY_LENGTH(doubles); i++)
                *(double *)(at + doubles[i].offset) = qvfd_json_number(
                                record, doubles[i].key, *(double *)(at + doubles[i].offset));
        for (i = 0; i < QVF_ARRAY_LENGTH(flags); i++)
                *(bool *)(at + flags[i].offset) = qvfd_json_bool(record, flags[i].key);
        if (json_object_object_get_ex(record, "options", &options) &&
                        json_object_is_type(options, json_type_object)) {
                json_object_put(job->options);
                job->options = json_object_get(options);
        }
        job->seconds_before = job->seconds_run;
        return 0;
}

static int load_one(struct qvfd *service, const char *id)
{
        _cleanup_json_ struct json_object *record = NULL;
        struct qvf_error error = { 0 };
        struct qvfd_job *job;
        char path[96];
        int r;

        snprintf(path, sizeof(path), "%s/" RECORD, id);
        r = qvfd_record_read(service->store.jobs, path, &record, &error);
        if (r < 0) {
                qvf_log(QVF_LOG_WARNING, "the job %s is left out: %s", id, error.text);
                return r;
        }
        r = qvfd_job_new(service, id, &job);
        if (r < 0)
                return r;
        r = read_job(job, record);
        if (r < 0) {
                qvf_log(QVF_LOG_WARNING, "the job %s is left out: its record makes no sense", id);
                qvfd_job_free(job);
                return r;
        }
        if (job->fate != QVFD_OPEN)
                qvfd_job_tidy(job); /* the last process may have died before it did */
        qvfd_job_update(job);
        return 0;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
        return strverscmp((*a)->d_name, (*b)->d_name);
}

void qvfd_jobs_load(struct qvfd *service)
{
        struct dirent **entries;
        int n = scandirat(service->store.jobs, ".", &entries, NULL, by_number);

        for (int i = 0; i < n; i++) {
                if (strspn(entries[i]->d_name, "0123456789") == strlen(entries[i]->d_name))
                        load_one(service, entries[i]->d_name);
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
}

int qvfd_job_next_id(struct qvfd *service, char ret_id[24], struct qvf_error *error)
{
        _cleanup_close_ int fd = openat(service->store.jobs, LAST_ID, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        char text[24] = "";
        uint64_t last = 0;

        if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
                last = strtoull(text, NULL, 10);
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        last = qvf_max_u64(last, strtoull(job->object.name, NULL, 10));
        snprintf(ret_id, 24, "%" PRIu64, last + 1);
        return qvf_atomic_file_put(service->store.jobs, LAST_ID, 0600, ret_id, strlen(ret_id), error);
}

void qvfd_job_log(struct qvfd_job *job, const char *format, ...)
{
        _cleanup_close_ int folder = qvfd_job_open_folder(job), fd = -1;
        char line[1200], when[40];
        time_t now = time(NULL);
        struct tm local;
        struct stat status;
        va_list arguments;
        int at;

        if (folder >= 0)
                fd = openat(folder, "log", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || fstat(fd, &status) < 0 || status.st_size > LOG_BYTES_MOST)
                return;
        localtime_r(&now, &local);
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", &local);
        at = snprintf(line, sizeof(line), "%s ", when);
        va_start(arguments, format);
        vsnprintf(line + at, sizeof(line) - (size_t)at - 1, format, arguments);
        va_end(arguments);
        for (unsigned char *c = (unsigned char *)line; *c; c++)
                if (*c < 0x20 || *c == 0x7f)
                        *c = '?';
        strcat(line, "\n");
        if (write(fd, line, strlen(line)) < 0)
                return;
}

/* All of run-N but what people may want to read later. */
static void tidy_run(int folder, const char *run)
{
        int fd = openat(folder, run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!directory)
                return;
        while ((entry = readdir(directory)) != NULL)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                                strcmp(entry->d_name, "metrics.jsonl") != 0)
                        qvfd_remove_all(fd, entry->d_name);
        closedir(directory);
}

void qvfd_job_tidy(struct qvfd_job *job)
{
        _cleanup_close_ int folder = qvfd_job_open_folder(job);
        bool again = job->fate == QVFD_OPEN; /* of a repeated job: only what the last run left */
        char name[24];

        if (folder < 0)
                return;
        /* A failed job may be retried, so that it keeps all. */
        if (job->fate == QVFD_FAILED)
                return;
        if (!again) {
                qvfd_remove_all(folder, "data");
                qvfd_remove_all(folder, "held-out");
                job->data_gone = true;
        }
        for (uint32_t run = job->runs > 1 ? job->runs - 1 : 1; run <= job->runs + (again ? 0 : 1); run++) {
                snprintf(name, sizeof(name), "run-%" PRIu32, run);
                if (run + 1 == job->runs)
                        qvfd_remove_all(folder, name);
                else
                        tidy_run(folder, name);
        }
}

void qvfd_job_remove(struct qvfd_job *job)
{
        struct qvfd *service = job->object.service;
        char id[32];

        /* Renamed first: half of a job is none. */
        snprintf(id, sizeof(id), ".%s", job->object.name);
        if (renameat(service->store.jobs, job->object.name, service->store.jobs, id) == 0)
                qvfd_remove_all(service->store.jobs, id);
        qvfd_job_free(job);
}
