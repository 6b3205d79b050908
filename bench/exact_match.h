/* SPDX-License-Identifier: Apache-2.0 */
/* How many answers of a data file a model writes word by word. */
#ifndef QVF_BENCH_EXACT_MATCH_H
#define QVF_BENCH_EXACT_MATCH_H

#include "bench/session.h"
#include "engine/data/dataset.h"

struct bench_exact_match {
        uint64_t asked, matched;
        uint64_t without_answer; /* documents that nothing can be asked of */
        uint64_t too_long;       /* beyond the model's context: not asked */
};

/* -EINVAL: the data is of a kind that has no answers. */
int bench_exact_match_check(const struct qvf_dataset *dataset, struct qvf_error *error);

/* Each document is asked once: its last answer, after all that stands before it, greedily. Both texts are compared without
 * the white space around them, and the model must have ended where the answer ends. */
int bench_exact_match(struct bench_session *session, const struct qvf_dataset *dataset,
                struct bench_exact_match *ret_result, struct qvf_error *error);

#endif
