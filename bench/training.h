/* SPDX-License-Identifier: Apache-2.0 */
/* What `train` and `eval` share: a model, its data as windows, and where they are asked for. */
#ifndef QVF_BENCH_TRAINING_H
#define QVF_BENCH_TRAINING_H

#include "bench/session.h"
#include "engine/data/dataset.h"
#include "engine/data/windows.h"

struct bench_data_options {
        const char *file, *kind, *separator, *cache;
        uint32_t context;
        uint32_t overlap;
        bool truncate, all_tokens, skip_bad_lines, bos_eos;
};

extern const struct bench_option bench_data_option_table[];

struct bench_data {
        struct qvf_dataset *dataset;
        struct qvf_windows *windows;
};

void bench_data_close(struct bench_data *data);
#define _cleanup_data_ _cleanup_(bench_data_close)

/* Reads `file` (options->file where NULL). */
int bench_data_open(struct bench_data *data, const struct qvf_model *model,
                const struct bench_data_options *options, const char *file, struct qvf_error *error);
/* One line on what the data is, and one for everything that was left out of it. */
void bench_data_describe(const struct bench_data *data, const char *file, struct json_object *report);

#endif
