/* SPDX-License-Identifier: Apache-2.0 */
/* One request of the generator: its tokens, and how its text comes about. */
#ifndef QVF_ENGINE_INFERENCE_REQUEST_H
#define QVF_ENGINE_INFERENCE_REQUEST_H

#include "engine/inference/generator.h"

struct qvf_request {
        struct qvf_request *next;
        struct qvf_request_callbacks callbacks;
        const struct qvf_model *model;
        struct qvf_sampler *sampler;
        struct qvf_stop *stop;
        struct qvf_detokenizer detokenizer;
        struct qvf_adapter_choice *adapters;
        uint32_t n_adapters;

        int32_t *tokens; /* prompt and answer, less what was shifted out */
        uint32_t n_tokens, tokens_capacity;
        uint32_t n_computed; /* of them stand in the context */
        uint32_t n_prompt, n_reused, n_generated, max_tokens, keep, n_best;
        uint32_t sequence;
        bool running; /* has a sequence */
        bool shift, ignore_end;
        bool cancel_wanted;      /* while a batch is served */
        struct qvf_text pending; /* room for what one token adds */
};

int qvf_request_new(const struct qvf_model *model, const struct qvf_request_options *options,
                const struct qvf_request_callbacks *callbacks, struct qvf_request **ret_request,
                struct qvf_error *error);
struct qvf_request *qvf_request_free(struct qvf_request *request);
QVF_DEFINE_CLEANUP(struct qvf_request *, qvf_request_free)

/* Chooses the next token; -1 where none can be. */
int qvf_request_choose(struct qvf_request *request, const float *logits, struct qvf_token_probability *best,
                int32_t *ret_id, struct qvf_error *error);
/* Takes up a token that was chosen (-1 is an error); its text, as far as no stop string may hide in it, is appended to
 * `text`. */
int qvf_request_take(struct qvf_request *request, int32_t id, bool *ret_end, struct qvf_text *text,
                bool *ret_stopped, struct qvf_error *error);
/* What is still held back. */
int qvf_request_flush(struct qvf_request *request, struct qvf_text *text);
/* The context dropped so many positions behind the kept ones. */
void qvf_request_shifted(struct qvf_request *request, uint32_t dropped);

#endif
