/* SPDX-License-Identifier: Apache-2.0 */
/* Each method of org.qvf.Worker1: its arguments are taken out of the message here, everything else happens on the
 * engine's thread. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "worker/bus_private.h"
#include "worker/process.h"
#include "worker/tables.h"

static int refuse(sd_bus_message *call, int r, const struct qvf_error *error)
{
        char name[64];

        snprintf(name, sizeof(name), WORKER_ERROR "%s", worker_error_name(r, false));
        return sd_bus_reply_method_errorf(
                        call, name, "%s", error && error->code ? error->text : strerror(-r));
}

static int copy_file(int fd, int *ret_fd)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 4);

        if (copy < 0)
                return -errno;
        *ret_fd = copy;
        return 0;
}

static int read_files(sd_bus_message *call, unsigned count, struct worker_command *command)
{
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < count; i++) {
                int fd;

                r = sd_bus_message_read_basic(call, 'h', &fd);
                r = r < 0 ? r : copy_file(fd, &command->files[i]);
        }
        return r;
}

static int read_name(sd_bus_message *call, struct worker_command *command, struct qvf_error *error)
{
        const char *name;
        int r = sd_bus_message_read_basic(call, 's', &name);

        if (r < 0)
                return r;
        if (!*name || strlen(name) > WORKER_NAME_MOST)
                return qvf_error_set(error, -EINVAL, "a name of %zu bytes, expected 1 to %u", strlen(name),
                                WORKER_NAME_MOST);
        command->name = strdup(name);
        return command->name ? 0 : -ENOMEM;
}

/* The array of descriptors and weights of MergeAdapters. */
static int read_parts(sd_bus_message *call, struct merge_options *options, struct qvf_error *error)
{
        int fd, r = sd_bus_message_enter_container(call, 'a', "(hd)");
        double weight;

        while (r >= 0 && (r = sd_bus_message_read(call, "(hd)", &fd, &weight)) > 0) {
                if (options->n_files >= QVF_ARRAY_LENGTH(options->files) || !isfinite(weight))
                        return qvf_error_set(error, -EINVAL,
                                        "more than %zu adapters, or a weight that is no finite number",
                                        QVF_ARRAY_LENGTH(options->files));
                r = copy_file(fd, &options->files[options->n_files]);
                if (r < 0)
                        return r;
                options->weights[options->n_files++] = weight;
        }
        if (r >= 0 && options->n_files == 0)
                return qvf_error_set(error, -EINVAL, "no adapter is given");
        return r < 0 ? r : sd_bus_message_exit_container(call);
}

static void *new_load(void)
{
        return load_options_new();
}

static void *new_train(void)
{
        return train_options_new();
}

static void *new_infer(void)
{
        return infer_options_new();
}

static void *new_adapter(void)
{
        return calloc(1, sizeof(struct adapter_options));
}

static void *new_training(void)
{
        struct training_options *options = calloc(1, sizeof(*options));

        if (options)
                options->duty_cycle = 1;
        return options;
}

static void *new_import(void)
{
        struct import_options *options = calloc(1, sizeof(*options));

        if (options)
                options->config = -1;
        return options;
}

static void *new_merge(void)
{
        return calloc(1, sizeof(struct merge_options));
}

static void *new_into_model(void)
{
        struct into_model_options *options = calloc(1, sizeof(*options));

        if (options)
                options->scale = 1;
        return options;
}

static const struct call {
        const char *member;
        enum worker_command_kind kind;
        bool name, parts; /* come first */
        unsigned files;   /* come then */
        void *(*new)(void);
        const struct worker_option *table; /* NULL: no options */
        void (*exit)(void *options);
} calls[] = {
        { "DescribeModel", COMMAND_DESCRIBE, .files = 1 },
        { "Load", COMMAND_LOAD, .files = 1, .new = new_load, .table = load_table },
        { "AddAdapter", COMMAND_ADD_ADAPTER, .name = true, .files = 1, .new = new_adapter,
                        .table = adapter_table },
        { "DropAdapter", COMMAND_DROP_ADAPTER, .name = true },
        { "Train", COMMAND_TRAIN, .name = true, .files = 2, .new = new_train, .table = train_table },
        { "CheckData", COMMAND_CHECK_DATA, .files = 1, .new = new_train, .table = check_table },
        { "PauseTraining", COMMAND_PAUSE, .files = 0 },
        { "ResumeTraining", COMMAND_RESUME, .files = 0 },
        { "SetTraining", COMMAND_SET_TRAINING, .new = new_training, .table = training_table },
        { "Infer", COMMAND_INFER, .name = true, .files = 1, .new = new_infer, .table = infer_table,
                        .exit = infer_options_exit },
        { "ImportAdapter", COMMAND_IMPORT, .files = 2, .new = new_import, .table = import_table },
        { "ExportPeft", COMMAND_EXPORT, .files = 3 },
        { "MergeAdapters", COMMAND_MERGE, .parts = true, .files = 1, .new = new_merge, .table = merge_table,
                        .exit = merge_options_exit },
        { "MergeIntoModel", COMMAND_MERGE_INTO_MODEL, .files = 2, .new = new_into_model,
                        .table = into_model_table },
};

static int fill(const struct call *kind, sd_bus_message *call, struct worker_command *command,
                struct qvf_error *error)
{
        int r = 0;

        if (kind->new) {
                command->options = kind->new ();
                command->table = kind->table;
                command->options_exit = kind->exit;
                if (!command->options)
                        return -ENOMEM;
        }
        if (kind->name)
                r = read_name(call, command, error);
        if (r >= 0 && kind->parts)
                r = read_parts(call, command->options, error);
        r = r < 0 ? r : read_files(call, kind->files, command);
        if (r >= 0 && kind->table)
                r = worker_options_read(call, kind->table, command->options, error);
        return r;
}

static void send(struct worker_server *server, struct worker_command *command, sd_bus_message *call)
{
        command->call = sd_bus_message_ref(call);
        worker_server_command(server, command);
}

/* The pipe stays with this thread; the engine knows the request by its number. */
static int take_output(struct worker_server *server, struct worker_command *command, struct qvf_error *error)
{
        int fd = command->files[0];

        command->files[0] = -1;
        command->serial = ++server->next_serial;
        return worker_output_add(&server->outputs, command->name, command->serial, fd, error);
}

static int on_call(sd_bus_message *call, void *server_, sd_bus_error *unused)
{
        struct worker_server *server = server_;
        _cleanup_(worker_command_freep) struct worker_command *command = NULL;
        const char *member = sd_bus_message_get_member(call);
        const struct call *kind = calls;
        struct qvf_error error = { 0 };
        int r;

        (void)unused;
        while (strcmp(kind->member, member) != 0)
                kind++;
        command = worker_command_new(kind->kind);
        if (!command)
                return -ENOMEM;
        r = fill(kind, call, command, &error);
        if (r >= 0 && kind->kind == COMMAND_INFER)
                r = take_output(server, command, &error);
        if (r < 0)
                return refuse(call, r, &error);
        send(server, QVF_TAKE(command), call);
        return 1;
}

static int on_stop(sd_bus_message *call, void *server, sd_bus_error *unused)
{
        struct worker_command *command = worker_command_new(COMMAND_STOP);
        int flag, r;

        (void)unused;
        if (!command)
                return -ENOMEM;
        r = sd_bus_message_read_basic(call, 'b', &flag);
        if (r < 0) {
                worker_command_free(command);
                return r;
        }
        command->flag = flag;
        send(server, command, call);
        return 1;
}

static int on_cancel(sd_bus_message *call, void *server_, sd_bus_error *unused)
{
        struct worker_server *server = server_;
        struct worker_command *command;
        const char *name;
        uint64_t serial;
        int r = sd_bus_message_read_basic(call, 's', &name);

        (void)unused;
        if (r < 0)
                return r;
        serial = worker_output_find(&server->outputs, name);
        if (serial == 0)
                return sd_bus_reply_method_return(call, "");
        command = worker_command_new(COMMAND_CANCEL);
        if (!command)
                return -ENOMEM;
        command->serial = serial;
        send(server, command, call);
        return 1;
}

static int on_ping(sd_bus_message *call, void *server, sd_bus_error *unused)
{
        (void)server;
        (void)unused;
        return sd_bus_reply_method_return(call, "");
}

static int on_statistics(sd_bus_message *call, void *server_, sd_bus_error *unused)
{
        struct worker_server *server = server_;
        struct worker_memory memory = worker_memory();
        struct worker_values values = { .count = 0 };
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        (void)unused;
        worker_values_t(&values, "resident", memory.resident);
        worker_values_t(&values, "resident_peak", memory.peak);
        worker_engine_statistics(server->engine, &values);
        r = r < 0 ? r : worker_values_append(&values, reply);
        r = r < 0 ? r : sd_bus_message_send(reply);
        sd_bus_message_unref(reply);
        worker_values_exit(&values);
        return r < 0 ? r : 1;
}

const sd_bus_vtable worker_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Ping", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_ping, 0),
        SD_BUS_METHOD_WITH_ARGS(
                        "DescribeModel", SD_BUS_ARGS("h", file), SD_BUS_ARGS("a{sv}", info), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("Load", SD_BUS_ARGS("h", model, "a{sv}", options),
                        SD_BUS_ARGS("a{sv}", info), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("AddAdapter", SD_BUS_ARGS("s", name, "h", file, "a{sv}", options),
                        SD_BUS_ARGS("a{sv}", info), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("DropAdapter", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("Train", SD_BUS_ARGS("s", job, "h", data, "h", folder, "a{sv}", options),
                        SD_BUS_ARGS("a{sv}", info), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("CheckData", SD_BUS_ARGS("h", data, "a{sv}", options),
                        SD_BUS_ARGS("a{sv}", report), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("PauseTraining", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("ResumeTraining", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("SetTraining", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("StopTraining", SD_BUS_ARGS("b", checkpoint), SD_BUS_NO_RESULT, on_stop, 0),
        SD_BUS_METHOD_WITH_ARGS("Infer", SD_BUS_ARGS("s", request, "h", output, "a{sv}", options),
                        SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("CancelInfer", SD_BUS_ARGS("s", request), SD_BUS_NO_RESULT, on_cancel, 0),
        SD_BUS_METHOD_WITH_ARGS("ImportAdapter", SD_BUS_ARGS("h", file, "h", output, "a{sv}", options),
                        SD_BUS_ARGS("a{sv}", info), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("ExportPeft", SD_BUS_ARGS("h", file, "h", output, "h", config),
                        SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("MergeAdapters", SD_BUS_ARGS("a(hd)", files, "h", output, "a{sv}", options),
                        SD_BUS_ARGS("a{sv}", info), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("MergeIntoModel", SD_BUS_ARGS("h", adapter, "h", output, "a{sv}", options),
                        SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS(
                        "GetStatistics", SD_BUS_NO_ARGS, SD_BUS_ARGS("a{sv}", statistics), on_statistics, 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                        "Heartbeat", SD_BUS_ARGS("s", activity, "t", resident, "t", resident_peak), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Progress", SD_BUS_ARGS("s", job, "a{sv}", values), 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                        "TrainEnded", SD_BUS_ARGS("s", job, "s", verdict, "s", message, "a{sv}", values), 0),
        SD_BUS_SIGNAL_WITH_ARGS("InferEnded", SD_BUS_ARGS("s", request, "s", reason, "a{sv}", stats), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Warning", SD_BUS_ARGS("s", message), 0),
        SD_BUS_SIGNAL_WITH_ARGS("Failed", SD_BUS_ARGS("s", what, "s", message), 0),
        SD_BUS_VTABLE_END,
};
