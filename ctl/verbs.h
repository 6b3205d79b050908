/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of qvfctl, one table entry each. */
#ifndef QVF_CTL_VERBS_H
#define QVF_CTL_VERBS_H

#include "bench/options.h"

extern const struct bench_verb ctl_status, ctl_devices, ctl_devices_reset, ctl_devices_discover;
extern const struct bench_verb ctl_models, ctl_models_list, ctl_models_add, ctl_models_info, ctl_models_load,
                ctl_models_unload, ctl_models_remove;
extern const struct bench_verb ctl_train, ctl_jobs, ctl_job_show, ctl_job_pause, ctl_job_resume,
                ctl_job_cancel, ctl_job_retry, ctl_job_remove, ctl_job_priority, ctl_job_logs, ctl_job_plot;
extern const struct bench_verb ctl_infer, ctl_chat;
extern const struct bench_verb ctl_adapters, ctl_adapters_list, ctl_adapters_info, ctl_adapters_export,
                ctl_adapters_import, ctl_adapters_merge, ctl_adapters_remove;
extern const struct bench_verb ctl_policy_explain, ctl_policy_check, ctl_policy_reload, ctl_hold,
                ctl_monitor, ctl_doctor, ctl_version;

/* A file of verbs has one struct of options, whose `words` hold what a verb takes, and its `defaults`. */
#define CTL_VERB_TAKING(symbol, text, line, long_text, option_groups, takes, least, most, function)         \
        const struct bench_verb symbol = {                                                                  \
                .name = text,                                                                               \
                .summary = line,                                                                            \
                .description = long_text,                                                                   \
                .program = "qvfctl",                                                                        \
                .groups = option_groups,                                                                    \
                .defaults = &defaults,                                                                      \
                .options_size = sizeof(defaults),                                                           \
                .words = takes,                                                                             \
                .words_least = least,                                                                       \
                .words_most = most,                                                                         \
                .words_offset = offsetof(__typeof__(defaults), words),                                      \
                .run = function,                                                                            \
        }
#define CTL_VERB(symbol, text, line, long_text, option_groups, function)                                    \
        const struct bench_verb symbol = {                                                                  \
                .name = text,                                                                               \
                .summary = line,                                                                            \
                .description = long_text,                                                                   \
                .program = "qvfctl",                                                                        \
                .groups = option_groups,                                                                    \
                .defaults = &defaults,                                                                      \
                .options_size = sizeof(defaults),                                                           \
                .run = function,                                                                            \
        }

#endif
