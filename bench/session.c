/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peaks.h"
#include "common/checked.h"
#include "engine/files/dtype.h"
#include "engine/files/gguf.h"

const struct bench_option bench_device_option_table[] = {
        { "backend", 'b', BENCH_STRING, offsetof(struct bench_device_options, backend), "NAME",
                        "the plugin that computes: cpu, vulkan, … (default: cpu)", 0, 0 },
        { "device", 0, BENCH_STRING, offsetof(struct bench_device_options, device), "ID",
                        "the backend's device (default: its first)", 0, 0 },
        { "threads", 't', BENCH_COUNT, offsetof(struct bench_device_options, threads), "N",
                        "threads of the cpu backend (default: all CPUs)", 1, 1024 },
        { "shader-cache", 0, BENCH_STRING, offsetof(struct bench_device_options, cache), "FOLDER",
                        "an existing folder that keeps what a GPU's driver compiled, and what selftest "
                        "--tune measured",
                        0, 0 },
        { "plugins", 0, BENCH_STRING, offsetof(struct bench_device_options, plugins), "FOLDER",
                        "where the plugins are (default: beside this program, or where they were installed)",
                        0, 0 },
        { 0 },
};

const struct bench_option bench_model_option_table[] = {
        { "model", 'm', BENCH_STRING, offsetof(struct bench_model_options, model), "FILE",
                        "the model, a GGUF file", 0, 0 },
        { "adapter", 0, BENCH_STRINGS, offsetof(struct bench_model_options, adapters), "FILE[:SCALE]",
                        "a LoRA adapter; may be given several times", 0, 0 },
        { "cache", 0, BENCH_STRING, offsetof(struct bench_model_options, cache), "FOLDER",
                        "keep weights in the backend's own layout there (default: nowhere)", 0, 0 },
        { "i2s", 0, BENCH_CHOICE, offsetof(struct bench_model_options, i2s), "auto|x86|arm",
                        "which machine wrote I2_S weights (default: auto, a guess)", 0, 0 },
        { 0 },
};

const struct bench_option bench_context_option_table[] = {
        { "context", 'c', BENCH_COUNT, offsetof(struct bench_context_options, context), "N",
                        "positions of the context (default: as many as are needed)", 1,
                        QVF_MODEL_CONTEXT_MOST },
        { "batch", 0, BENCH_COUNT, offsetof(struct bench_context_options, batch), "N",
                        "most tokens of one run (default: 128)", 1, 65536 },
        { "kv", 0, BENCH_CHOICE, offsetof(struct bench_context_options, kv), BENCH_KV_CHOICES,
                        "how keys and values are kept (default: f16)", 0, 0 },
        { 0 },
};

void bench_session_close(struct bench_session *session)
{
        qvf_context_free(session->context);
        for (uint32_t i = 0; i < session->n_adapters; i++)
                qvf_adapter_free(session->adapters[i]);
        qvf_model_free(session->model);
        bench_backend_close(&session->compute);
        *session = (struct bench_session){ 0 };
}

int bench_session_open_device(struct bench_session *session, const struct bench_device_options *options,
                struct qvf_error *error)
{
        session->threads = options->threads ? options->threads : bench_cpu_count();
        return bench_backend_open(options, &session->compute, &session->device, error);
}

/* "FILE:SCALE", unless what follows the last colon is no number: then all of it is the file's name. */
static int open_adapter(struct bench_session *session, const char *argument, struct qvf_error *error)
{
        _cleanup_free_ char *path = strdup(argument);
        struct qvf_adapter_choice *choice = &session->choices[session->n_adapters];
        char *colon, *end;
        int r;

        if (!path)
                return -ENOMEM;
        choice->scale = 1;
        colon = strrchr(path, ':');
        if (colon && colon[1]) {
                float scale = strtof(colon + 1, &end);

                if (!*end) {
                        choice->scale = scale;
                        *colon = 0;
                }
        }
        r = qvf_adapter_open(session->model, path, &session->adapters[session->n_adapters], error);
        if (r < 0)
                return r;
        choice->adapter = session->adapters[session->n_adapters++];
        return 0;
}

int bench_session_open(struct bench_session *session, const struct bench_model_options *options,
                struct qvf_error *error)
{
        struct qvf_model_options model = QVF_MODEL_OPTIONS_DEFAULT;
        _cleanup_close_ int cache = -1;
        int r;

        if (!options->model)
                return qvf_error_set(error, BENCH_USAGE, "which model? give --model FILE");
        if (options->cache) {
                cache = open(options->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (cache < 0)
                        return qvf_error_set(error, -errno, "%s: %s", options->cache, strerror(errno));
        }
        model.cache_folder = cache;
        model.i2s_order = (enum qvf_i2s_order)options->i2s; /* the choices stand in its order */
        r = bench_session_open_device(session, &options->device, error);
        if (r < 0)
                return r;
        r = qvf_model_open(options->model, &session->compute, &model, &session->model, error);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < options->adapters.count; i++) {
                r = open_adapter(session, options->adapters.items[i], error);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Where every row has logits, which are large. */
#define BATCH_OF_LOGITS 128u

int bench_session_open_context(struct bench_session *session, const struct bench_context_options *options,
                uint32_t least, uint32_t outputs, struct qvf_error *error)
{
        static const enum qvf_dtype kv[] = { QVF_F16, QVF_F32, QVF_Q8_0 };
        struct qvf_context_options wanted = {
                .context_length = options->context ? options->context : least,
                .kv_dtype = kv[options->kv],
                .kv_f32 = kv[options->kv] == QVF_F32,
                .batch_rows = options->batch || outputs ? options->batch : BATCH_OF_LOGITS,
        };

        if (wanted.context_length < least)
                return qvf_error_set(error, BENCH_USAGE, "--context %u: %u positions are needed",
                                options->context, least);
        wanted.output_rows = outputs ? outputs : wanted.batch_rows;
        return qvf_context_new(session->model, &wanted, &session->context, error);
}

int bench_session_sequence(struct bench_session *session, uint32_t *ret_sequence, struct qvf_error *error)
{
        return qvf_context_open(
                        session->context, session->choices, session->n_adapters, ret_sequence, error);
}

int bench_session_run(struct bench_session *session, uint32_t sequence, const int32_t *tokens,
                uint32_t n_tokens, struct qvf_error *error)
{
        uint32_t most = qvf_context_options(session->context)->batch_rows;

        for (uint32_t at = 0; at < n_tokens;) {
                struct qvf_piece piece = {
                        .sequence = sequence,
                        .tokens = tokens + at,
                        .n_tokens = n_tokens - at < most ? n_tokens - at : most,
                };
                int r;

                at += piece.n_tokens;
                piece.outputs = at == n_tokens ? QVF_OUTPUTS_LAST : QVF_OUTPUTS_NONE;
                r = qvf_context_run(session->context, &piece, 1, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

int bench_session_run_all(struct bench_session *session, uint32_t sequence, const int32_t *tokens,
                uint32_t n_tokens, bench_row_function row, void *context, struct qvf_error *error)
{
        uint32_t most = qvf_context_options(session->context)->output_rows;

        for (uint32_t at = 0; at < n_tokens;) {
                struct qvf_piece piece = {
                        .sequence = sequence,
                        .tokens = tokens + at,
                        .n_tokens = n_tokens - at < most ? n_tokens - at : most,
                        .outputs = QVF_OUTPUTS_ALL,
                };
                int r = qvf_context_run(session->context, &piece, 1, error);

                for (uint32_t i = 0; i < piece.n_tokens && r >= 0; i++)
                        r = row(context, at + i, qvf_context_logits(session->context, i), error);
                if (r < 0)
                        return r;
                at += piece.n_tokens;
        }
        return 0;
}

const char *bench_kv_name(enum qvf_dtype dtype)
{
        return dtype == QVF_F32 ? "f32" : dtype == QVF_Q8_0 ? "q8_0" : "f16";
}

void bench_session_describe(const struct bench_session *session, struct json_object *report)
{
        const struct qvf_model_info *info = session->model ? session->model->info : NULL;
        struct json_object *model = info ? bench_report_object(report, "model") : NULL;

        bench_report_string(report, "backend", session->compute.backend->name);
        bench_report_string(report, "device", session->device.name);
        bench_report_count(report, "threads", session->threads);
        if (session->context)
                bench_report_string(report, "kv",
                                bench_kv_name(qvf_context_options(session->context)->kv_dtype));
        if (!model)
                return;
        bench_report_string(model, "file", qvf_gguf_name(session->model->gguf));
        bench_report_string(model, "architecture", info->architecture_name);
        bench_report_count(model, "parameters", info->n_parameters);
        bench_report_count(model, "bytes", qvf_gguf_size_bytes(session->model->gguf));
        bench_report_string(model, "weights", qvf_dtype_name(info->linear_dtype));
}
