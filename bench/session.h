/* SPDX-License-Identifier: Apache-2.0 */
/* A model on a device, as the verbs' common options ask for it. */
#ifndef QVF_BENCH_SESSION_H
#define QVF_BENCH_SESSION_H

#include "bench/backend.h"
#include "bench/options.h"
#include "bench/report.h"
#include "engine/inference/context.h"

struct bench_model_options {
        const char *model, *cache;
        struct bench_strings adapters; /* FILE or FILE:SCALE */
        uint32_t i2s;                  /* enum qvf_i2s_order */
        struct bench_device_options device;
};

struct bench_context_options {
        uint32_t context; /* 0: what the verb needs */
        uint32_t batch;   /* 0: the engine's default */
        uint32_t kv;      /* place in BENCH_KV_CHOICES */
};

#define BENCH_KV_CHOICES "f16|f32|q8_0"

/* For the verbs' tables of groups; offsets are those of the structs above. */
extern const struct bench_option bench_device_option_table[];
extern const struct bench_option bench_model_option_table[]; /* with those of the device */
extern const struct bench_option bench_context_option_table[];

struct bench_session {
        struct qvf_compute compute;
        struct qvf_device_info device;
        uint32_t threads;
        struct qvf_model *model;
        struct qvf_adapter *adapters[BENCH_LIST_MAX];
        struct qvf_adapter_choice choices[BENCH_LIST_MAX];
        uint32_t n_adapters;
        struct qvf_context *context;
};

void bench_session_close(struct bench_session *session); /* of any state, also all zero */
#define _cleanup_session_ _cleanup_(bench_session_close)

/* 0, a negative errno or BENCH_USAGE. */
int bench_session_open(struct bench_session *session, const struct bench_model_options *options,
                struct qvf_error *error);
int bench_session_open_device(struct bench_session *session, const struct bench_device_options *options,
                struct qvf_error *error);
/* `least`: positions that the verb needs, an error where --context is less. `outputs`: rows with results of one run,
 * 0: as many as rows. */
int bench_session_open_context(struct bench_session *session, const struct bench_context_options *options,
                uint32_t least, uint32_t outputs, struct qvf_error *error);

/* A new sequence under the session's adapters. */
int bench_session_sequence(struct bench_session *session, uint32_t *ret_sequence, struct qvf_error *error);
/* Runs the tokens in pieces as large as the context takes; only the last one has a result, the others' results may be
 * asked for with a function that is called for each row in order. */
typedef int (*bench_row_function)(void *context, uint32_t row, const float *logits, struct qvf_error *error);
int bench_session_run(struct bench_session *session, uint32_t sequence, const int32_t *tokens,
                uint32_t n_tokens, struct qvf_error *error);
int bench_session_run_all(struct bench_session *session, uint32_t sequence, const int32_t *tokens,
                uint32_t n_tokens, bench_row_function row, void *context, struct qvf_error *error);

/* "model", "backend", "device", "threads" and "kv" of a report. */
void bench_session_describe(const struct bench_session *session, struct json_object *report);
const char *bench_kv_name(enum qvf_dtype dtype);

#endif
