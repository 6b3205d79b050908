/* SPDX-License-Identifier: Apache-2.0 */
/* What a training run keeps in its folder: checkpoints, metrics, adapters. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "common/log.h"
#include "common/text.h"
#include "engine/files/mapped_file.h"
#include "engine/training/checkpoint.h"
#include "engine/training/job_private.h"
#include "engine/training/lora_save.h"

#define METRICS "metrics.jsonl"
#define METRICS_BYTES_MOST ((uint64_t)4 << 30)
#define NUMBERS_MOST 5

/* The flat runs that make up adapter and optimizer, as sections: over the device's own memory where it can be mapped,
 * because a copy would be a large part of what training takes, else over a copy. */
struct numbers {
        struct qvf_checkpoint_section sections[NUMBERS_MOST + 1]; /* the last: the state */
        const struct qvf_value *values[NUMBERS_MOST];
        bool copied[NUMBERS_MOST];
        unsigned count;
};

static void numbers_exit(struct numbers *numbers)
{
        for (unsigned i = 0; i < numbers->count; i++)
                if (numbers->copied[i])
                        free(numbers->sections[i].bytes);
}

static int numbers_init(const struct qvf_train_job *job, struct numbers *numbers)
{
        static const char *const names[NUMBERS_MOST] = { "adapter", "m", "v", "m_scale", "v_scale" };
        const struct qvf_lora *lora = job->lora;
        const struct qvf_backend *backend = lora->model->compute.backend;
        const struct qvf_value *all[NUMBERS_MOST] = { &lora->parameters, &lora->m, &lora->v, &lora->m_scale,
                &lora->v_scale };

        for (unsigned i = 0; i < NUMBERS_MOST; i++) {
                struct qvf_checkpoint_section *section = &numbers->sections[numbers->count];
                char *mapped;

                if (all[i]->rows == 0)
                        continue;
                section->length = all[i]->rows * qvf_row_bytes(all[i]->dtype, all[i]->columns);
                memcpy(section->name, names[i], strlen(names[i]));
                mapped = backend->buffer_map(all[i]->buffer);
                section->bytes = mapped ? mapped + all[i]->offset : qvf_malloc(section->length);
                numbers->copied[numbers->count] = !mapped;
                numbers->values[numbers->count++] = all[i];
                if (!section->bytes)
                        return -ENOMEM;
        }
        return 0;
}

static int move_numbers(const struct qvf_train_job *job, const struct numbers *numbers, bool to_device,
                struct qvf_error *error)
{
        const struct qvf_backend *backend = job->lora->model->compute.backend;

        for (unsigned i = 0; i < numbers->count; i++) {
                const struct qvf_checkpoint_section *section = &numbers->sections[i];
                const struct qvf_value *value = numbers->values[i];
                int r = !numbers->copied[i] ? 0
                        : to_device ? backend->buffer_upload(value->buffer, value->offset, section->bytes,
                                                      section->length)
                                    : backend->buffer_download(value->buffer, value->offset, section->bytes,
                                                      section->length);

                if (r < 0)
                        return qvf_error_set(error, r, "the adapter can't be moved %s the device: %s",
                                        to_device ? "to" : "from", strerror(-r));
        }
        return 0;
}

int qvf_train_job_checkpoint(struct qvf_train_job *job, struct qvf_error *error)
{
        _cleanup_(numbers_exit) struct numbers numbers = { 0 };
        int r = numbers_init(job, &numbers);

        if (r == 0)
                r = move_numbers(job, &numbers, false, error);
        if (r < 0)
                return r;
        numbers.sections[numbers.count] =
                        (struct qvf_checkpoint_section){ "state", &job->state, sizeof(job->state) };
        return qvf_checkpoint_write(
                        job->folder, job->state.step, numbers.sections, numbers.count + 1, error);
}

/* Lines of steps that will be done again would stand there twice. */
static int cut_metrics(struct qvf_train_job *job, struct qvf_error *error)
{
        struct qvf_mapped_file *file;
        struct qvf_error absent = { 0 };
        _cleanup_close_ int fd =
                        openat(job->folder, METRICS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        const char *at, *end, *line;
        uint64_t kept = 0;
        int r;

        if (fd < 0 || qvf_mapped_file_open_fd(fd, METRICS, METRICS_BYTES_MOST, &file, &absent) < 0)
                return 0; /* nothing to cut, or an empty file */
        at = (const char *)file->data;
        end = at + file->size;
        for (line = at; line < end;) {
                const char *stop = memchr(line, '\n', (size_t)(end - line));
                char start[40] = ""; /* the mapping has no NUL that would stop sscanf() */
                uint64_t step = UINT64_MAX;

                if (!stop)
                        break;
                memcpy(start, line, qvf_min_u64(sizeof(start) - 1, (uint64_t)(stop - line)));
                if (sscanf(start, "{\"step\":%" SCNu64, &step) != 1 || step > job->state.step)
                        break;
                line = stop + 1;
                kept = (uint64_t)(line - at);
        }
        r = kept == file->size ? 0 : qvf_atomic_file_put(job->folder, METRICS, 0600, at, kept, error);
        qvf_mapped_file_free(file);
        return r;
}

int qvf_train_job_resume(struct qvf_train_job *job, struct qvf_error *error)
{
        _cleanup_(numbers_exit) struct numbers numbers = { 0 };
        struct train_state state;
        uint64_t step;
        int r = numbers_init(job, &numbers);

        if (r == 0) {
                numbers.sections[numbers.count] =
                                (struct qvf_checkpoint_section){ "state", &state, sizeof(state) };
                r = qvf_checkpoint_read(job->folder, numbers.sections, numbers.count + 1, &step, error);
        }
        if (r == 0 && state.fingerprint != job->options.fingerprint)
                r = qvf_error_set(error, -EINVAL,
                                "the checkpoint of step %" PRIu64
                                " is of other data or other options: give those again, "
                                "or start in an empty folder",
                                step);
        if (r == 0)
                r = move_numbers(job, &numbers, true, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0) {
                job->state = state;
                job->resumed_from = state.step;
        }
        job->metrics.n_skipped = job->state.n_skipped;
        job->metrics.best_evaluation_loss = job->state.best_loss;
        job->metrics.best_step = job->state.best_step;
        return cut_metrics(job, error);
}

int qvf_train_job_remove_checkpoints(struct qvf_train_job *job)
{
        return qvf_checkpoint_remove_all(job->folder);
}

int qvf_train_job_write_adapter(struct qvf_train_job *job, const char *name, struct qvf_error *error)
{
        return qvf_lora_save(job->lora, job->folder, name, error);
}

static uint64_t resident_bytes(void)
{
        unsigned long long pages = 0;
        _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");

        if (!file || fscanf(file, "%*u %llu", &pages) != 1)
                return 0;
        return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* JSON has no word for NaN and infinity: null. */
static void add_number(struct json_object *object, const char *name, double value)
{
        json_object_object_add(object, name, isfinite(value) ? json_object_new_double(value) : NULL);
}

static void add_integer(struct json_object *object, const char *name, uint64_t value)
{
        json_object_object_add(object, name, json_object_new_int64((int64_t)value));
}

static struct json_object *line_of(const struct qvf_train_job *job, enum qvf_train_event event)
{
        const struct qvf_train_metrics *metrics = &job->metrics;
        struct json_object *object = json_object_new_object();

        add_integer(object, "step", metrics->step ? metrics->step : job->state.step);
        add_number(object, "epoch", metrics->epoch);
        if (event == QVF_TRAIN_EVALUATED) {
                add_number(object, "evaluation_loss", metrics->evaluation_loss);
                add_number(object, "evaluation_accuracy", metrics->evaluation_accuracy);
                add_number(object, "best_evaluation_loss", metrics->best_evaluation_loss);
                add_integer(object, "best_step", metrics->best_step);
                return object;
        }
        add_integer(object, "tokens", metrics->tokens);
        add_number(object, "loss", metrics->loss);
        add_number(object, "accuracy", metrics->accuracy);
        add_number(object, "learning_rate", metrics->learning_rate);
        add_number(object, "gradient_norm", metrics->gradient_norm);
        add_number(object, "seconds", metrics->seconds);
        add_number(object, "tokens_per_second",
                        metrics->seconds > 0 ? (double)metrics->tokens / metrics->seconds : NAN);
        add_integer(object, "rows", metrics->rows);
        add_integer(object, "memory_bytes", resident_bytes());
        json_object_object_add(object, "skipped", json_object_new_boolean(metrics->skipped));
        add_integer(object, "skipped_steps", metrics->n_skipped);
        return object;
}

int qvf_train_job_write_metrics(
                struct qvf_train_job *job, enum qvf_train_event event, struct qvf_error *error)
{
        _cleanup_close_ int fd = openat(
                        job->folder, METRICS, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct json_object *object = fd < 0 ? NULL : line_of(job, event);
        _cleanup_text_ struct qvf_text line = { 0 };
        int r = fd < 0 ? -errno : object ? 0 : -ENOMEM;

        if (r == 0)
                r = qvf_text_appendf(&line, "%s\n",
                                json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
        json_object_put(object);
        if (r == 0 && write(fd, line.bytes, line.length) != (ssize_t)line.length)
                r = errno ? -errno : -EIO;
        if (r < 0)
                return qvf_error_set(error, r, METRICS " can't be written: %s", strerror(-r));
        return 0;
}
