/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/data.h"

static int progress(void *context, uint64_t done, uint64_t all)
{
        (void)done;
        (void)all;
        engine_beat(context);
        return 0;
}

static int open_one(struct worker_engine *engine, int fd, const char *name,
                const struct data_options *options, struct qvf_dataset **ret_data,
                struct qvf_windows **ret_windows, struct qvf_error *error)
{
        const struct qvf_data_options reading = {
                .kind = (enum qvf_data_kind)options->kind,
                .separator = options->separator,
                .all_count = options->loss == 1,
                .skip_bad_lines = options->skip_bad_lines,
        };
        const struct qvf_window_options window = {
                .context = options->context,
                .too_long = options->truncate ? QVF_DATA_TRUNCATE : QVF_DATA_SPLIT,
                .overlap = options->overlap,
        };
        const struct qvf_data_source source = {
                .name = name,
                .fd = fd,
                .tokenizer = engine->model->tokenizer,
                .chat_template = engine->model->chat_template,
                .cache_folder = -1,
                .progress = progress,
                .context = engine,
        };
        int r = qvf_dataset_open(&source, &reading, ret_data, error);

        return r < 0 ? r : qvf_windows_new(*ret_data, &window, ret_windows, error);
}

int worker_data_open(struct worker_engine *engine, int fd, const struct data_options *options, uint64_t seed,
                struct worker_data *data, struct qvf_error *error)
{
        int r = open_one(engine, fd, "data", options, &data->data, &data->windows, error);

        if (r < 0)
                return r;
        if (options->held_out >= 0)
                return open_one(engine, options->held_out, "held_out", options, &data->held_out_data,
                                &data->held_out, error);
        if (options->held_out_ratio > 0)
                return qvf_windows_hold_out(
                                data->windows, options->held_out_ratio, seed, &data->held_out, error);
        return 0;
}

void worker_data_first_bad(struct worker_engine *engine, int fd, const struct data_options *options,
                const struct worker_data *data, struct qvf_error *ret_words)
{
        struct data_options strict = *options;
        struct worker_data again = { NULL };

        *ret_words = (struct qvf_error){ 0 };
        if (data->data->counts.bad_lines == 0)
                return;
        strict.skip_bad_lines = false; /* then reading ends there */
        open_one(engine, fd, "data", &strict, &again.data, &again.windows, ret_words);
        worker_data_exit(&again);
}

void worker_data_exit(struct worker_data *data)
{
        qvf_windows_free(data->windows);
        qvf_windows_free(data->held_out);
        qvf_dataset_free(data->data);
        qvf_dataset_free(data->held_out_data);
        *data = (struct worker_data){ NULL };
}

void worker_data_tell(const struct worker_data *data, struct worker_values *values)
{
        worker_values_t(values, "documents", data->data->n_documents);
        worker_values_t(values, "tokens", data->data->counts.tokens);
        worker_values_t(values, "loss_tokens", data->data->counts.counting_tokens);
        worker_values_t(values, "bad_lines", data->data->counts.bad_lines);
}
