/* SPDX-License-Identifier: Apache-2.0 */
/* The learning rate of each step. */
#ifndef QVF_ENGINE_TRAINING_SCHEDULE_H
#define QVF_ENGINE_TRAINING_SCHEDULE_H

#include <stdint.h>

#include "common/error.h"

enum qvf_schedule_kind { QVF_SCHEDULE_CONSTANT, QVF_SCHEDULE_LINEAR, QVF_SCHEDULE_COSINE };

struct qvf_schedule {
        enum qvf_schedule_kind kind;
        float rate;            /* after warm-up */
        float floor;           /* what linear and cosine come down to */
        uint64_t warmup_steps; /* the rate rises in a line from 0: step 1 has rate / warmup_steps */
        uint64_t total_steps;
};

int qvf_schedule_check(const struct qvf_schedule *schedule, struct qvf_error *error);
/* Of step 1 to total_steps; later steps have the last one's. */
float qvf_schedule_rate(const struct qvf_schedule *schedule, uint64_t step);
/* "constant", "linear" or "cosine"; -EINVAL with words. */
int qvf_schedule_parse(const char *name, enum qvf_schedule_kind *ret_kind, struct qvf_error *error);

#endif
