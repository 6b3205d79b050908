/* SPDX-License-Identifier: Apache-2.0 */
/* Writes text for any number of requests at once: every step runs one batch that holds the next token of
 * each request that is writing, and as much of the waiting prompts as there is room for. */
#ifndef QVF_ENGINE_INFERENCE_GENERATOR_H
#define QVF_ENGINE_INFERENCE_GENERATOR_H

#include "engine/inference/context.h"
#include "engine/sampling/sampler.h"
#include "engine/sampling/stop.h"

struct qvf_generator;
struct qvf_request;

enum qvf_finish {
        QVF_FINISH_END,     /* the model ended its turn */
        QVF_FINISH_STOP,    /* a stop string came */
        QVF_FINISH_LENGTH,  /* max_tokens were written */
        QVF_FINISH_CONTEXT, /* the context is full and may not be shifted */
        QVF_FINISH_CANCELLED,
        QVF_FINISH_FAILED, /* the error says why */
};

const char *qvf_finish_name(enum qvf_finish finish);

struct qvf_token_event {
        int32_t id;
        const char *text; /* what became sure with this token: whole characters, maybe none */
        size_t length;
        float log_probability; /* NaN unless n_best was asked for */
        const struct qvf_token_probability *best;
        uint32_t n_best;
};

struct qvf_request_callbacks {
        void *context;
        /* The last call of a request may carry id -1: text that was held back for a stop string. */
        void (*token)(void *context, struct qvf_request *request, const struct qvf_token_event *event);
        /* The request is gone when this returns. */
        void (*finished)(void *context, struct qvf_request *request, enum qvf_finish finish,
                        const struct qvf_error *error);
};

struct qvf_request_options { /* copied */
        const int32_t *prompt;
        uint32_t n_prompt;
        struct qvf_sampling sampling;
        const char *const *stops;
        uint32_t n_stops;
        uint32_t max_tokens; /* 0: until the model ends, or the context */
        const struct qvf_adapter_choice *adapters;
        uint32_t n_adapters;
        bool shift;        /* a full context drops its middle instead of ending the answer */
        uint32_t keep;     /* the first tokens of the prompt that a shift never drops */
        bool ignore_end;   /* writes on past the end token */
        bool show_special; /* special tokens appear in the text */
};

struct qvf_request_stats {
        uint32_t prompt_tokens, reused_tokens, generated_tokens;
        bool running; /* it has a sequence; else it waits for one */
};

int qvf_generator_new(struct qvf_context *context, struct qvf_generator **ret_generator);
/* Cancels what is under way. The context stays the caller's. */
struct qvf_generator *qvf_generator_free(struct qvf_generator *generator);
QVF_DEFINE_CLEANUP(struct qvf_generator *, qvf_generator_free)

int qvf_generator_add(struct qvf_generator *generator, const struct qvf_request_options *options,
                const struct qvf_request_callbacks *callbacks, struct qvf_request **ret_request,
                struct qvf_error *error);
/* finished() is called before this returns. */
void qvf_generator_cancel(struct qvf_generator *generator, struct qvf_request *request);
void qvf_request_stats(const struct qvf_request *request, struct qvf_request_stats *ret_stats);

/* One batch. Returns how many requests are left, or the error that ended all of them (a lost device). */
int qvf_generator_step(struct qvf_generator *generator, struct qvf_error *error);

#endif
