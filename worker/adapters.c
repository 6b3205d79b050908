/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: those that answers are given with, and work on their files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "engine/adapters/gguf_adapter.h"
#include "engine/adapters/into_base.h"
#include "engine/adapters/merge.h"
#include "engine/adapters/peft.h"
#include "engine/adapters/peft_config.h"
#include "worker/engine_private.h"

#define ADAPTERS_MOST 256u

static void describe(const struct qvf_adapter_file *file, struct worker_values *values)
{
        bool modules[QVF_MODULES] = { false };
        _cleanup_text_ struct qvf_text names = { 0 };
        uint64_t parameters = 0;
        uint32_t rank = 0;
        float alpha = 0;

        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[i];

                if (matrix->rank == 0)
                        continue;
                modules[i % QVF_MODULES] = true;
                parameters += (uint64_t)matrix->rank * (matrix->a.columns + matrix->b.rows);
                rank = matrix->rank > rank ? matrix->rank : rank;
                alpha = alpha == 0 ? matrix->alpha : alpha;
        }
        for (int i = 0; i < QVF_MODULES; i++)
                if (modules[i])
                        qvf_text_appendf(&names, "%s\n", qvf_module_name(i));
        worker_values_u(values, "rank", rank);
        worker_values_d(values, "alpha", (double)alpha);
        worker_values_as(values, "modules", qvf_text_string(&names));
        worker_values_t(values, "parameters", parameters);
}

static struct worker_adapter *find(const struct worker_engine *engine, const char *name)
{
        struct worker_adapter *item = engine->adapters;

        while (item && (!item->name || strcmp(item->name, name) != 0))
                item = item->next;
        return item;
}

static void let_go(struct worker_engine *engine, struct worker_adapter *item)
{
        struct worker_adapter **link = &engine->adapters;

        while (*link != item)
                link = &(*link)->next;
        *link = item->next;
        qvf_adapter_free(item->adapter);
        free(item->name);
        free(item);
}

/* It can't be asked for any more, and goes with the last request that uses it. */
static void drop(struct worker_engine *engine, struct worker_adapter *item)
{
        free(item->name);
        item->name = NULL;
        if (item->users == 0)
                let_go(engine, item);
}

int command_add_adapter(struct worker_engine *engine, struct worker_command *command)
{
        const struct adapter_options *options = command->options;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        _cleanup_(qvf_adapter_freep) struct qvf_adapter *adapter = NULL;
        struct worker_adapter *item, *old = find(engine, command->name);
        unsigned count = 0;
        int r;

        for (item = engine->adapters; item; item = item->next)
                count++;
        if (old && !options->replace)
                return qvf_error_set(
                                &command->error, -EEXIST, "an adapter '%s' is there already", command->name);
        if (count >= ADAPTERS_MOST)
                return qvf_error_set(&command->error, -ENOBUFS, "%u adapters are loaded, more are not",
                                ADAPTERS_MOST);
        atomic_store(&engine->activity, ACTIVITY_FILE);
        r = qvf_adapter_file_open_gguf_fd(command->files[0], command->name, &file, &command->error);
        r = r < 0 ? r : qvf_adapter_new_from_file(engine->model, file, &adapter, &command->error);
        if (r < 0)
                return r;
        item = calloc(1, sizeof(*item));
        if (!item)
                return -ENOMEM;
        describe(file, &command->values);
        worker_values_t(&command->values, "bytes", adapter->bytes);
        item->adapter = QVF_TAKE(adapter);
        item->name = QVF_TAKE(command->name);
        item->next = engine->adapters;
        engine->adapters = item;
        if (old)
                drop(engine, old);
        return 0;
}

int command_drop_adapter(struct worker_engine *engine, struct worker_command *command)
{
        struct worker_adapter *item = find(engine, command->name);

        if (!item)
                return qvf_error_set(&command->error, -ENOENT, "no adapter '%s' is loaded", command->name);
        drop(engine, item);
        return 0;
}

struct worker_adapter *engine_adapter_take(struct worker_engine *engine, const char *name)
{
        struct worker_adapter *item = find(engine, name);

        if (item)
                item->users++;
        return item;
}

void engine_adapter_give(struct worker_engine *engine, struct worker_adapter *item)
{
        item->users--;
        if (item->users == 0 && !item->name)
                let_go(engine, item);
}

void engine_adapters_exit(struct worker_engine *engine)
{
        while (engine->adapters)
                let_go(engine, engine->adapters);
}

/* The file that results go into: regular, open for writing, and empty from now on. */
static int empty_output(int fd, struct qvf_error *error)
{
        struct stat status;
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fstat(fd, &status) < 0)
                return qvf_error_set(error, -errno, "the output can't be used: %s", strerror(errno));
        if (!S_ISREG(status.st_mode) || (flags & O_ACCMODE) == O_RDONLY)
                return qvf_error_set(error, -EINVAL, "the output is no regular file open for writing");
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return qvf_error_set(error, -errno, "the output can't be emptied: %s", strerror(errno));
        return 0;
}

static int sync_output(int fd, struct qvf_error *error)
{
        if (fsync(fd) < 0)
                return qvf_error_set(error, -errno, "the output can't be written: %s", strerror(errno));
        return 0;
}

int command_import(struct worker_engine *engine, struct worker_command *command)
{
        const struct import_options *options = command->options;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        struct qvf_peft_base base;
        int r;

        atomic_store(&engine->activity, ACTIVITY_FILE);
        qvf_peft_base_from_model(engine->model->info, &base);
        if (options->config >= 0)
                r = qvf_peft_open_fds(command->files[0], options->config, &base, &file, &command->error);
        else
                r = qvf_adapter_file_open_gguf_fd(command->files[0], "the adapter", &file, &command->error);
        r = r < 0 ? r : qvf_adapter_file_check_model(file, engine->model->info, &command->error);
        if (r < 0)
                return r;
        command->file_error = false;
        r = empty_output(command->files[1], &command->error);
        r = r < 0 ? r
                  : qvf_adapter_file_write_gguf(
                                    file, QVF_ADAPTER_AS_IT_IS, command->files[1], NULL, &command->error);
        r = r < 0 ? r : sync_output(command->files[1], &command->error);
        if (r == 0)
                describe(file, &command->values);
        return r;
}

static int write_text(int fd, const struct qvf_text *text, struct qvf_error *error)
{
        size_t done = 0;

        while (done < text->length) {
                ssize_t n = write(fd, text->bytes + done, text->length - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return qvf_error_set(
                                        error, -errno, "the output can't be written: %s", strerror(errno));
                done += (size_t)n;
        }
        return 0;
}

int command_export(struct worker_engine *engine, struct worker_command *command)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        _cleanup_text_ struct qvf_text config = { 0 };
        struct qvf_error *error = &command->error;
        struct qvf_peft_base base;
        int r = qvf_adapter_file_open_gguf_fd(command->files[0], "the adapter", &file, error);

        atomic_store(&engine->activity, ACTIVITY_FILE);
        qvf_peft_base_from_model(engine->model->info, &base);
        r = r < 0 ? r : qvf_adapter_file_check_model(file, engine->model->info, error);
        if (r < 0)
                return r;
        command->file_error = false;
        r = empty_output(command->files[1], error);
        r = r < 0 ? r : empty_output(command->files[2], error);
        r = r < 0 ? r : qvf_peft_write_weights(file, &base, command->files[1], error);
        r = r < 0 ? r : qvf_peft_config_write(file, base.n_layers, base.name, &config);
        r = r < 0 ? r : write_text(command->files[2], &config, error);
        r = r < 0 ? r : sync_output(command->files[1], error);
        return r < 0 ? r : sync_output(command->files[2], error);
}

int command_merge(struct worker_engine *engine, struct worker_command *command)
{
        const struct merge_options *options = command->options;
        struct qvf_adapter_file *files[QVF_ARRAY_LENGTH(options->files)] = { NULL };
        struct qvf_merge_part parts[QVF_ARRAY_LENGTH(options->files)];
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *sum = NULL;
        struct qvf_merge_report report;
        int r = 0;

        atomic_store(&engine->activity, ACTIVITY_FILE);
        for (uint32_t i = 0; r == 0 && i < options->n_files; i++) {
                r = qvf_adapter_file_open_gguf_fd(
                                options->files[i], "an adapter", &files[i], &command->error);
                r = r < 0 ? r : qvf_adapter_file_check_model(files[i], engine->model->info, &command->error);
                parts[i] = (struct qvf_merge_part){ files[i], (float)options->weights[i] };
                engine_beat(engine);
        }
        command->file_error = r < 0;
        r = r < 0 ? r
                  : qvf_adapter_merge(
                                    parts, options->n_files, options->rank, &sum, &report, &command->error);
        r = r < 0 ? r : empty_output(command->files[0], &command->error);
        r = r < 0 ? r
                  : qvf_adapter_file_write_gguf(
                                    sum, QVF_ADAPTER_F32, command->files[0], NULL, &command->error);
        r = r < 0 ? r : sync_output(command->files[0], &command->error);
        if (r == 0)
                describe(sum, &command->values);
        for (uint32_t i = 0; i < options->n_files; i++)
                qvf_adapter_file_free(files[i]);
        return r;
}

int command_merge_into_model(struct worker_engine *engine, struct worker_command *command)
{
        static const enum qvf_dtype dtypes[] = { QVF_F16, QVF_Q8_0, QVF_F32 };
        const struct into_model_options *options = command->options;
        const struct qvf_into_base_options wanted = {
                .dtype = dtypes[options->dtype],
                .scale = (float)options->scale,
                .i2s_order = engine->model->i2s_order,
        };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        int r = qvf_adapter_file_open_gguf_fd(command->files[0], "the adapter", &file, &command->error);

        atomic_store(&engine->activity, ACTIVITY_FILE);
        r = r < 0 ? r : qvf_adapter_file_check_model(file, engine->model->info, &command->error);
        if (r < 0)
                return r;
        command->file_error = false;
        r = empty_output(command->files[1], &command->error);
        r = r < 0 ? r
                  : qvf_into_base_write(engine->model->info, file, &wanted, command->files[1], NULL,
                                    &command->error);
        return r < 0 ? r : sync_output(command->files[1], &command->error);
}
