/* SPDX-License-Identifier: Apache-2.0 */
/* One or more packed sequences as the arrays that a training step reads. */
#ifndef QVF_ENGINE_DATA_BATCH_H
#define QVF_ENGINE_DATA_BATCH_H

#include "engine/data/packing.h"

struct qvf_batch {
        uint32_t rows_most; /* room of each array */
        uint32_t n_rows, n_outputs;
        int32_t *ids;
        int32_t *position;     /* 0 at the first row of each window */
        int32_t *first;        /* the row in this batch where the row's window begins */
        int32_t *output_index; /* rows in which the loss looks, rising */
        int32_t *target;       /* the token to be predicted there */
};

int qvf_batch_init(struct qvf_batch *batch, uint32_t rows_most, struct qvf_error *error);
void qvf_batch_exit(struct qvf_batch *batch);
#define _cleanup_batch_ _cleanup_(qvf_batch_exit)

/* Sequences from `first` on, `count` of them or as many as there are; without padding. -E2BIG: no room. */
int qvf_batch_fill(
                struct qvf_batch *batch, const struct qvf_packing *packing, uint32_t first, uint32_t count);

#endif
