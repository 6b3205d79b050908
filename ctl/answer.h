/* SPDX-License-Identifier: Apache-2.0 */
/* Options of answers, and one answer as it comes: infer and chat share them. */
#ifndef QVF_CTL_ANSWER_H
#define QVF_CTL_ANSWER_H

#include "common/text.h"
#include "ctl/ctl.h"
#include "ctl/send.h"

struct ctl_answer_options {
        const char *model, *system;
        struct bench_strings adapters, stop;
        float temperature, top_p, min_p, typical_p, repetition_penalty, presence_penalty, frequency_penalty;
        uint32_t max_tokens, top_k, penalty_window;
        struct bench_seed seed;
        bool shift, ignore_end, show_special, stats;
};

extern const struct ctl_answer_options ctl_answer_defaults;
extern const struct bench_option ctl_answer_options[];  /* those that are sent as they are */
extern const struct bench_option ctl_answer_specials[]; /* model, adapter, stats */

#define CTL_ANSWER_DEFAULTS                                                                                 \
        {                                                                                                   \
                .temperature = CTL_NO_NUMBER, .top_p = CTL_NO_NUMBER, .min_p = CTL_NO_NUMBER,               \
                .typical_p = CTL_NO_NUMBER, .repetition_penalty = CTL_NO_NUMBER,                            \
                .presence_penalty = CTL_NO_NUMBER, .frequency_penalty = CTL_NO_NUMBER,                      \
                .max_tokens = CTL_NO_COUNT, .top_k = CTL_NO_COUNT, .penalty_window = CTL_NO_COUNT           \
        }

/* "NAME" or "NAME:SCALE". */
int ctl_parse_weight(const char *item, char *name, size_t size, double *ret_weight, struct qvf_error *error);
int ctl_send_adapters(
                const struct bench_strings *adapters, struct qvf_options *sent, struct qvf_error *error);
int ctl_answer_send(
                const struct ctl_answer_options *options, struct qvf_options *sent, struct qvf_error *error);

struct ctl_answer { /* one answer */
        struct qvf_text text;
        char reason[16]; /* "" until it has ended */
        struct json_object *stats;
        struct qvf_failure failure;
        bool print; /* to standard output, as it comes */
};

/* What is to be given to a request, to fill `answer`. */
struct qvf_stream ctl_answer_stream(struct ctl_answer *answer);
/* Waits for the end; Ctrl-C cancels the request. */
int ctl_answer_wait(struct ctl *ctl, struct qvf_session *session, uint32_t request,
                struct ctl_answer *answer, struct qvf_error *error);
void ctl_answer_exit(struct ctl_answer *answer);
/* One line of counts and speeds to standard error. */
void ctl_answer_print_stats(const struct ctl_answer *answer);

#endif
