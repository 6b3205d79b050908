/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/schedule.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const names[] = {
        [QVF_SCHEDULE_CONSTANT] = "constant",
        [QVF_SCHEDULE_LINEAR] = "linear",
        [QVF_SCHEDULE_COSINE] = "cosine",
};

int qvf_schedule_check(const struct qvf_schedule *schedule, struct qvf_error *error)
{
        if (!(schedule->rate > 0 && schedule->rate <= 1))
                return qvf_error_set(error, -EINVAL,
                                "learning rate is %g, expected more than 0 and at most 1",
                                (double)schedule->rate);
        if (!(schedule->floor >= 0 && schedule->floor <= schedule->rate))
                return qvf_error_set(error, -EINVAL, "lowest learning rate is %g, expected 0 to %g",
                                (double)schedule->floor, (double)schedule->rate);
        if (schedule->total_steps == 0)
                return qvf_error_set(error, -EINVAL, "there is nothing to train: 0 steps");
        if (schedule->warmup_steps > schedule->total_steps)
                return qvf_error_set(error, -EINVAL, "warm-up takes %llu steps of %llu",
                                (unsigned long long)schedule->warmup_steps,
                                (unsigned long long)schedule->total_steps);
        return 0;
}

float qvf_schedule_rate(const struct qvf_schedule *schedule, uint64_t step)
{
        double rate = (double)schedule->rate, floor = (double)schedule->floor, progress;

        if (step > schedule->total_steps)
                step = schedule->total_steps;
        if (step <= schedule->warmup_steps)
                return (float)(rate * (double)step / (double)schedule->warmup_steps);
        /* 0 at the first step after warm-up, 1 one step behind the last: the last step still learns. */
        progress = (double)(step - schedule->warmup_steps - 1) /
                   (double)(schedule->total_steps - schedule->warmup_steps);
        switch (schedule->kind) {
        case QVF_SCHEDULE_LINEAR: return (float)(floor + (rate - floor) * (1 - progress));
        case QVF_SCHEDULE_COSINE: return (float)(floor + (rate - floor) * 0.5 * (1 + cos(M_PI * progress)));
        case QVF_SCHEDULE_CONSTANT:
        default: return schedule->rate;
        }
}

int qvf_schedule_parse(const char *name, enum qvf_schedule_kind *ret_kind, struct qvf_error *error)
{
        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(name, names[i]) == 0) {
                        *ret_kind = (enum qvf_schedule_kind)i;
                        return 0;
                }
        return qvf_error_set(error, -EINVAL,
                        "learning-rate schedule \"%s\" is not constant, linear or cosine", name);
}
