/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/request.h"

#include <errno.h>
#include <string.h>

#include "qvf/ops.h"

int qvf_request_new(const struct qvf_model *model, const struct qvf_request_options *options,
                const struct qvf_request_callbacks *callbacks, struct qvf_request **ret_request,
                struct qvf_error *error)
{
        _cleanup_(qvf_request_freep) struct qvf_request *request = calloc(1, sizeof(*request));
        int r = qvf_sampling_check(&options->sampling, model->info->vocabulary_size, error);

        if (!request)
                return -ENOMEM;
        if (r < 0)
                return r;
        request->callbacks = *callbacks;
        request->model = model;
        request->n_prompt = request->n_tokens = options->n_prompt;
        request->max_tokens = options->max_tokens;
        request->keep = options->keep;
        request->shift = options->shift;
        request->ignore_end = options->ignore_end;
        request->n_best = options->sampling.n_best;
        request->n_adapters = options->n_adapters;
        request->tokens_capacity = options->n_prompt + 64;
        request->tokens = calloc(request->tokens_capacity, sizeof(*request->tokens));
        request->adapters = calloc((size_t)options->n_adapters + 1, sizeof(*request->adapters));
        if (!request->tokens || !request->adapters)
                return -ENOMEM;
        memcpy(request->tokens, options->prompt, options->n_prompt * sizeof(*request->tokens));
        if (options->n_adapters > 0)
                memcpy(request->adapters, options->adapters,
                                options->n_adapters * sizeof(*request->adapters));
        qvf_detokenizer_init(&request->detokenizer, model->tokenizer,
                        QVF_DECODE_CONTINUES | (options->show_special ? QVF_DECODE_SHOW_SPECIAL : 0));
        r = qvf_stop_new(options->stops, options->n_stops, error, &request->stop);
        if (r == 0)
                r = qvf_sampler_new(&options->sampling, error, &request->sampler);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < options->n_prompt; i++)
                qvf_sampler_accept(request->sampler, options->prompt[i]);
        *ret_request = QVF_TAKE(request);
        return 0;
}

struct qvf_request *qvf_request_free(struct qvf_request *request)
{
        if (!request)
                return NULL;
        qvf_sampler_free(request->sampler);
        qvf_stop_free(request->stop);
        qvf_text_exit(&request->pending);
        free(request->adapters);
        free(request->tokens);
        free(request);
        return NULL;
}

static int append_token(struct qvf_request *request, int32_t id)
{
        if (request->n_tokens == request->tokens_capacity) {
                uint32_t capacity = request->tokens_capacity + request->tokens_capacity / 2;
                int32_t *tokens = reallocarray(request->tokens, capacity, sizeof(*tokens));

                if (!tokens)
                        return -ENOMEM;
                request->tokens = tokens;
                request->tokens_capacity = capacity;
        }
        request->tokens[request->n_tokens++] = id;
        request->n_generated++;
        return 0;
}

int qvf_request_choose(struct qvf_request *request, const float *logits, struct qvf_token_probability *best,
                int32_t *ret_id, struct qvf_error *error)
{
        int r = qvf_sampler_next(request->sampler, logits, request->model->info->vocabulary_size, ret_id,
                        best, request->n_best);

        if (r < 0 && r != -EDOM)
                return qvf_error_set(error, r, "no token can be chosen: %s", strerror(-r));
        if (r < 0)
                *ret_id = -1;
        return 0;
}

int qvf_request_take(struct qvf_request *request, int32_t id, bool *ret_end, struct qvf_text *text,
                bool *ret_stopped, struct qvf_error *error)
{
        int r;

        if (id < 0)
                return qvf_error_set(error, -EDOM,
                                "the model gives no number to any token: its weights or the adapter "
                                "are damaged, or all tokens are forbidden");
        *ret_stopped = false;
        *ret_end = !request->ignore_end && qvf_tokenizer_is_end(request->model->tokenizer, id);
        if (*ret_end)
                return 0;
        qvf_sampler_accept(request->sampler, id);
        r = append_token(request, id);
        if (r < 0)
                return r;
        qvf_text_clear(&request->pending);
        /* A row of the embedding that no token stands for has no text. */
        if ((size_t)id < qvf_tokenizer_n_tokens(request->model->tokenizer))
                r = qvf_detokenizer_push(&request->detokenizer, id, &request->pending);
        if (r == 0)
                r = qvf_stop_feed(request->stop, qvf_text_string(&request->pending), request->pending.length,
                                text, ret_stopped);
        if (r < 0)
                return qvf_error_set(error, r, "the text can't be kept: %s", strerror(-r));
        return 0;
}

int qvf_request_flush(struct qvf_request *request, struct qvf_text *text)
{
        bool stopped;
        int r;

        qvf_text_clear(&request->pending);
        r = qvf_detokenizer_flush(&request->detokenizer, &request->pending);
        if (r == 0)
                r = qvf_stop_feed(request->stop, qvf_text_string(&request->pending), request->pending.length,
                                text, &stopped);
        return r < 0 ? r : qvf_stop_flush(request->stop, text);
}

void qvf_request_shifted(struct qvf_request *request, uint32_t dropped)
{
        uint32_t keep = (request->keep + QVF_KV_BLOCK - 1) / QVF_KV_BLOCK * QVF_KV_BLOCK;

        memmove(request->tokens + keep, request->tokens + keep + dropped,
                        (request->n_tokens - keep - dropped) * sizeof(*request->tokens));
        request->n_tokens -= dropped;
        request->n_computed -= dropped;
}

void qvf_request_stats(const struct qvf_request *request, struct qvf_request_stats *ret_stats)
{
        *ret_stats = (struct qvf_request_stats){
                .prompt_tokens = request->n_prompt,
                .reused_tokens = request->n_reused,
                .generated_tokens = request->n_generated,
                .running = request->running,
        };
}
