/* SPDX-License-Identifier: Apache-2.0 */
/* A device and a model, and what there is to say about them. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/sha256.h"
#include "engine/backend/host.h"
#include "engine/backend/loader.h"
#include "engine/backend/probe.h"
#include "engine/files/dtype.h"
#include "worker/engine_private.h"
#include "worker/plugins.h"
#include "worker/process.h"
#include "worker/sandbox.h"

#define CONTEXT_MOST 2048u /* unless asked otherwise */
#define PIECE_BYTES ((size_t)1 << 20)

static const char *const kinds[] = { "cpu", "integrated", "discrete", "software" };

static int open_model_file(int fd, struct qvf_gguf **ret_gguf, struct qvf_error *error)
{
        const char *name = "the model";

        return qvf_gguf_open_fds(&fd, &name, 1, ret_gguf, error);
}

static void describe(
                const struct qvf_gguf *gguf, const struct qvf_model_info *info, struct worker_values *values)
{
        struct qvf_gguf_string string;
        _cleanup_text_ struct qvf_text name = { 0 };

        if (qvf_gguf_get_string(gguf, "general.name", &string, NULL) == 0 && string.length < 256 &&
                        qvf_utf8_valid_prefix(string.bytes, string.length) == string.length &&
                        !memchr(string.bytes, 0, string.length))
                qvf_text_append(&name, string.bytes, string.length);
        worker_values_s(values, "architecture", info->architecture_name);
        worker_values_s(values, "name", qvf_text_string(&name));
        worker_values_s(values, "format", qvf_dtype_name(info->linear_dtype));
        worker_values_t(values, "parameters", info->n_parameters);
        worker_values_u(values, "layers", info->n_layers);
        worker_values_u(values, "width", info->dim);
        worker_values_u(values, "vocabulary", info->vocabulary_size);
        worker_values_bool(values, "chat_template",
                        qvf_gguf_get_string(gguf, "tokenizer.chat_template", &string, NULL) == 0);
}

/* By reading, not by the mapping: a file that is cut short under us is then an error and no signal. */
static int hash_file(struct worker_engine *engine, int fd, char ret_hex[2 * QVF_SHA256_BYTES + 1],
                uint64_t *ret_size, struct qvf_error *error)
{
        _cleanup_free_ char *piece = malloc(PIECE_BYTES);
        uint8_t digest[QVF_SHA256_BYTES];
        struct qvf_sha256 hash;
        uint64_t at = 0;
        ssize_t n;

        if (!piece)
                return -ENOMEM;
        qvf_sha256_init(&hash);
        while ((n = pread(fd, piece, PIECE_BYTES, (off_t)at)) > 0) {
                qvf_sha256_update(&hash, piece, (size_t)n);
                at += (uint64_t)n;
                engine_beat(engine);
        }
        if (n < 0)
                return qvf_error_set(error, -errno, "the model can't be read: %s", strerror(errno));
        qvf_sha256_finish(&hash, digest);
        for (unsigned i = 0; i < QVF_SHA256_BYTES; i++)
                snprintf(ret_hex + 2 * (size_t)i, 3, "%02x", digest[i]);
        *ret_size = at;
        return 0;
}

int command_describe(struct worker_engine *engine, struct worker_command *command)
{
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        _cleanup_(qvf_model_info_freep) struct qvf_model_info *info = NULL;
        char hex[2 * QVF_SHA256_BYTES + 1];
        uint64_t size;
        int r = open_model_file(command->files[0], &gguf, &command->error);

        atomic_store(&engine->activity, ACTIVITY_FILE);
        if (r == 0)
                r = qvf_model_info_new(gguf, &info, &command->error);
        if (r == 0)
                r = hash_file(engine, command->files[0], hex, &size, &command->error);
        if (r != 0)
                return r;
        describe(gguf, info, &command->values);
        worker_values_u(&command->values, "context_length", info->context_length);
        worker_values_t(&command->values, "size", size);
        worker_values_s(&command->values, "digest", hex);
        return 0;
}

static int choose_device(const struct qvf_backend *backend, const char *wanted, uint32_t *ret_index,
                struct qvf_device_info *ret_info, struct qvf_error *error)
{
        struct qvf_device_info infos[QVF_PROBE_DEVICES] = { 0 };
        uint32_t count = 0;
        int r;

        for (uint32_t i = 0; i < QVF_PROBE_DEVICES; i++)
                infos[i].size = sizeof(infos[i]);
        r = backend->probe(&qvf_host_default, infos, QVF_PROBE_DEVICES, &count);
        if (r < 0)
                return qvf_error_set(error, -ENODEV, "the %s backend can't look for devices: %s",
                                backend->name, strerror(-r));
        for (uint32_t i = 0; i < count && i < QVF_PROBE_DEVICES; i++) {
                infos[i].id[sizeof(infos[i].id) - 1] = 0;
                infos[i].name[sizeof(infos[i].name) - 1] = 0;
                infos[i].driver[sizeof(infos[i].driver) - 1] = 0;
                if (wanted && strcmp(infos[i].id, wanted) != 0)
                        continue;
                *ret_index = i;
                *ret_info = infos[i];
                return 0;
        }
        return qvf_error_set(error, -ENODEV, "the %s backend has no device%s%s", backend->name,
                        wanted ? " " : "", wanted ? wanted : "");
}

static int open_device(
                struct worker_engine *engine, const struct load_options *options, struct qvf_error *error)
{
        const struct qvf_device_options wanted = {
                .size = sizeof(wanted),
                .threads = options->threads,
                .submission_ms = options->submission_ms,
                .tuning = options->tuning,
        };
        const char *name = options->backend ? options->backend : "cpu";
        const struct qvf_backend *backend;
        struct qvf_device *device;
        char folder[PATH_MAX];
        uint32_t index;
        int r = qvf_backend_open(worker_plugin_folder(folder), name, &backend, error);

        if (r < 0)
                return r == -ENOMEM ? r : -ENODEV;
        r = choose_device(backend, options->device, &index, &engine->device, error);
        if (r < 0)
                return r;
        r = backend->device_open(&qvf_host_default, index, &wanted, &device);
        if (r < 0)
                return qvf_error_set(error, r == -ENOMEM ? r : -ENODEV, "device '%s' can't be opened: %s",
                                engine->device.id, strerror(-r));
        engine->compute = (struct qvf_compute){
                .backend = backend,
                .device = device,
                .layout_version = engine->device.layout_version,
                .separate = engine->device.kind != QVF_DEVICE_CPU,
                .discrete = engine->device.kind == QVF_DEVICE_DISCRETE,
                .watch = &engine->watch,
        };
        engine->idle_class = engine_may_yield();
        return worker_sandbox_files(engine->device.kind == QVF_DEVICE_CPU, error);
}

static int test_device(struct worker_engine *engine, const struct load_options *options,
                struct worker_command *command)
{
        uint64_t digest;
        char hex[17];
        int r;

        if (options->self_test == SELF_TEST_NONE)
                return 0;
        r = engine_self_test(engine, &digest, &command->error);
        if (r == -EBADMSG)
                engine_fail(engine, WORKER_WRONG_NUMBERS, command->error.text);
        if (r < 0)
                return r;
        snprintf(hex, sizeof(hex), "%016" PRIx64, digest);
        worker_values_s(&command->values, "self_test_digest", hex);
        return 0;
}

static int make_context(struct worker_engine *engine, const struct load_options *options,
                uint64_t *ret_bytes, struct qvf_error *error)
{
        static const enum qvf_dtype dtypes[] = { QVF_F16, QVF_Q8_0, QVF_F32 };
        struct qvf_context_options wanted = {
                .context_length = options->context_length,
                .sequences = options->sequences,
                .cells = options->cells,
                .kv_dtype = dtypes[options->kv],
                .kv_f32 = dtypes[options->kv] == QVF_F32,
        };
        struct qvf_context_memory memory;
        int r;

        if (wanted.context_length == 0)
                wanted.context_length =
                                (uint32_t)qvf_min_u64(engine->model->info->context_length, CONTEXT_MOST);
        if (wanted.cells == 0)
                wanted.cells = wanted.context_length;
        r = qvf_context_new(engine->model, &wanted, &engine->context, error);
        if (r == 0)
                r = qvf_context_memory(engine->context, &memory, error);
        if (r == 0)
                r = qvf_generator_new(engine->context, &engine->generator);
        if (r == 0)
                *ret_bytes = memory.kv + memory.arena + memory.inputs_outputs + memory.scratch;
        return r;
}

static int check_memory(const struct load_options *options, uint64_t bytes, struct qvf_error *error)
{
        if (options->memory == 0 || bytes <= options->memory)
                return 0;
        return qvf_error_set(error, -ENOMEM,
                        "the model needs %" PRIu64 " bytes with room for answers, the limit is %" PRIu64,
                        bytes, options->memory);
}

static int load_model(struct worker_engine *engine, const struct load_options *options,
                struct worker_command *command, uint64_t *ret_bytes)
{
        const struct qvf_model_options wanted = { .i2s_order = QVF_I2S_AUTO,
                .cache_folder = options->cache };
        struct qvf_gguf *gguf;
        uint64_t context_bytes = 0;
        int r = open_model_file(command->files[0], &gguf, &command->error);

        command->file_error = true;
        if (r == 0)
                r = qvf_model_new(gguf, &engine->compute, &wanted, &engine->model, &command->error);
        if (r < 0)
                return r;
        command->file_error = false;
        if (options->infer)
                r = make_context(engine, options, &context_bytes, &command->error);
        if (r < 0)
                return r;
        /* Weights that were made beside the file are already in this process' own memory. */
        *ret_bytes = worker_memory().own + engine->model->mapped_bytes + context_bytes;
        return check_memory(options, *ret_bytes, &command->error);
}

static void tell(const struct worker_engine *engine, uint64_t bytes, double seconds,
                struct worker_values *values)
{
        const struct qvf_device_info *device = &engine->device;
        const struct qvf_model *model = engine->model;

        describe(model->gguf, model->info, values);
        worker_values_s(values, "device", device->id);
        worker_values_s(values, "device_name", device->name);
        worker_values_s(values, "driver", device->driver);
        worker_values_s(values, "kind",
                        device->kind < QVF_ARRAY_LENGTH(kinds) ? kinds[device->kind] : "other");
        worker_values_t(values, "model_mapped", model->mapped_bytes);
        worker_values_t(values, "model_device", model->device_bytes);
        worker_values_t(values, "memory", bytes);
        if (engine->context) {
                const struct qvf_context_options *context = qvf_context_options(engine->context);

                worker_values_u(values, "context_length", context->context_length);
                worker_values_u(values, "sequences", context->sequences);
        }
        worker_values_d(values, "seconds", seconds);
        worker_values_s(values, "scheduling", engine->idle_class ? "idle" : "normal");
}

int command_load(struct worker_engine *engine, struct worker_command *command)
{
        const struct load_options *options = command->options;
        uint64_t start = worker_now_us(), bytes = 0;
        int r;

        if (engine->model)
                return qvf_error_set(&command->error, -EBADFD, "a model is loaded already");
        atomic_store(&engine->activity, ACTIVITY_LOAD);
        atomic_store(&engine->hang_us, (uint64_t)options->hang_seconds * 1000000u);
        r = engine->compute.device ? 0 : open_device(engine, options, &command->error);
        if (r == 0)
                r = test_device(engine, options, command);
        if (r == 0)
                r = load_model(engine, options, command, &bytes);
        if (r < 0) {
                engine_unload(engine);
                return r;
        }
        atomic_store(&engine->memory_limit, options->memory);
        tell(engine, bytes, (double)(worker_now_us() - start) * 1e-6, &command->values);
        return 0;
}

/* The device stays open: a second try need not bring it up again. */
void engine_unload(struct worker_engine *engine)
{
        if (engine->failed)
                return;
        engine->generator = qvf_generator_free(engine->generator);
        engine_adapters_exit(engine);
        engine->context = qvf_context_free(engine->context);
        engine->model = qvf_model_free(engine->model);
}
