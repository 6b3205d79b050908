/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a training job, as its options ask for it. */
#ifndef QVF_WORKER_DATA_H
#define QVF_WORKER_DATA_H

#include "engine/data/packing.h"
#include "worker/engine_private.h"

struct worker_data {
        struct qvf_dataset *data, *held_out_data;
        struct qvf_windows *windows, *held_out; /* held_out NULL: nothing is */
};

/* On failure what was opened is there too, for worker_data_exit(). */
int worker_data_open(struct worker_engine *engine, int fd, const struct data_options *options, uint64_t seed,
                struct worker_data *data, struct qvf_error *error);
/* What the first bad line is, in words; "" where none is bad. */
void worker_data_first_bad(struct worker_engine *engine, int fd, const struct data_options *options,
                const struct worker_data *data, struct qvf_error *ret_words);
void worker_data_exit(struct worker_data *data);
void worker_data_tell(const struct worker_data *data, struct worker_values *values);

#endif
