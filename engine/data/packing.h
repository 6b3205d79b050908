/* SPDX-License-Identifier: Apache-2.0 */
/* The order of an epoch: which windows go together into one sequence, and which sequence comes when.
 *
 * A sequence holds whole windows and at most `rows` rows. The order is a function of the windows, the options and the
 * epoch alone, the same on every machine: (epoch, number of the next sequence) is all that a checkpoint needs to keep
 * to go on exactly where it was. Every window is in exactly one sequence of each epoch. */
#ifndef QVF_ENGINE_DATA_PACKING_H
#define QVF_ENGINE_DATA_PACKING_H

#include "engine/data/windows.h"

struct qvf_packing_options {
        uint32_t rows; /* most rows of a sequence; 0: the context of the windows */
        uint64_t seed;
        bool one_each;   /* one window a sequence, no packing */
        bool file_order; /* no shuffling; packed sequences come in about the file's order */
};

struct qvf_packing {
        const struct qvf_windows *windows; /* outlives the packing */
        uint32_t rows;
        uint32_t n_sequences;
        uint32_t *starts; /* n_sequences + 1 of them, into `order` */
        uint32_t *order;  /* of windows->items */
};

/* -EINVAL: there are windows that do not fit. */
int qvf_packing_new(const struct qvf_windows *windows, const struct qvf_packing_options *options,
                uint64_t epoch, struct qvf_packing **ret_packing, struct qvf_error *error);
struct qvf_packing *qvf_packing_free(struct qvf_packing *packing);
QVF_DEFINE_CLEANUP(struct qvf_packing *, qvf_packing_free)

/* Rows, and rows that count, of a run of sequences. What ends before the last one is no error. */
struct qvf_packing_size {
        uint64_t rows, counting;
};
struct qvf_packing_size qvf_packing_measure(
                const struct qvf_packing *packing, uint32_t first, uint32_t count);
/* How full the sequences are on average: 1 is no room left. */
double qvf_packing_fill(const struct qvf_packing *packing);

#endif
