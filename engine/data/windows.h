/* SPDX-License-Identifier: Apache-2.0 */
/* Documents cut to what fits into the context: windows, each of which is trained on by itself.
 *
 * A window of R rows reads R tokens and predicts the R tokens that follow each of them, so it spans R + 1 tokens. What
 * comes after the last token that counts is not computed: a window ends with the row that predicts it. */
#ifndef QVF_ENGINE_DATA_WINDOWS_H
#define QVF_ENGINE_DATA_WINDOWS_H

#include "engine/data/dataset.h"

#define QVF_DATA_CONTEXT_LIMIT ((uint32_t)1 << 20)
#define QVF_DATA_WINDOWS_LIMIT ((uint32_t)1 << 28)

enum qvf_data_too_long {
        QVF_DATA_SPLIT, /* into windows of full length, each of which repeats `overlap` rows of the one before */
        QVF_DATA_TRUNCATE, /* the first window is all that is used */
};

struct qvf_window_options {
        uint32_t context; /* most rows of a window */
        enum qvf_data_too_long too_long;
        /* SPLIT: rows that are computed again to give the next window something to go on; below `context`. The loss
         * looks at them in the first of the two windows only. */
        uint32_t overlap;
};

struct qvf_window {
        uint64_t start;     /* of the tokens, in dataset->tokens */
        uint32_t rows;      /* at least 1; the tokens start to start + rows are read and predicted */
        uint32_t loss_from; /* rows before this one do not count */
        uint32_t counting;  /* rows that count, at least 1 */
        uint32_t document;
};

struct qvf_window_counts {
        uint64_t rows, counting;
        uint64_t documents_split, documents_truncated;
        uint64_t tokens_cut;                 /* by truncation */
        uint64_t counting_tokens_cut;        /* those of them that the loss would have looked at */
        uint64_t documents_without_counting; /* nothing in them counts (any more): they are left out */
        uint64_t windows_without_counting;   /* of documents that have others: left out */
};

struct qvf_windows {
        const struct qvf_dataset *dataset; /* outlives the windows */
        uint32_t context;
        struct qvf_window *items; /* in the order of the file */
        uint32_t count;
        struct qvf_window_counts counts;
};

/* -EINVAL names the option; -ENODATA: no window has anything that counts. */
int qvf_windows_new(const struct qvf_dataset *dataset, const struct qvf_window_options *options,
                struct qvf_windows **ret_windows, struct qvf_error *error);
struct qvf_windows *qvf_windows_free(struct qvf_windows *windows);
QVF_DEFINE_CLEANUP(struct qvf_windows *, qvf_windows_free)

/* Takes `fraction` (above 0, below 1) of the documents out of `windows` into windows of their own: at least one, and at
 * least one stays. The choice hangs on the seed and the number of documents alone. Of the counts only rows and counting
 * are carried on. */
int qvf_windows_hold_out(struct qvf_windows *windows, double fraction, uint64_t seed,
                struct qvf_windows **ret_held_out, struct qvf_error *error);

#endif
