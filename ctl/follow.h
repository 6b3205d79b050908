/* SPDX-License-Identifier: Apache-2.0 */
/* Shows a job until it ends or Ctrl-C. */
#ifndef QVF_CTL_FOLLOW_H
#define QVF_CTL_FOLLOW_H

#include "ctl/ctl.h"

/* Exit code: 0 when it finished or was left, 1 when it failed or was cancelled. */
int ctl_follow(struct ctl *ctl, const struct ctl_common *common, const char *job, struct qvf_error *error);

void ctl_jobs_print(const struct ctl *ctl, const struct qvf_value *objects);

#endif
