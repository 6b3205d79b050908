/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/generator.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "engine/inference/request.h"

struct qvf_generator {
        struct qvf_context *context;
        struct qvf_request *first, **last; /* in the order in which they came */
        uint32_t n_requests;
        struct qvf_piece *pieces;
        struct qvf_request **of_piece;
        uint32_t n_pieces;
        struct qvf_text text;
        bool stepping; /* the requests of a batch are being served: none may go away */
};

const char *qvf_finish_name(enum qvf_finish finish)
{
        static const char *const names[] = { "end", "stop", "length", "context", "cancelled", "failed" };

        return finish < QVF_ARRAY_LENGTH(names) ? names[finish] : "?";
}

int qvf_generator_new(struct qvf_context *context, struct qvf_generator **ret_generator)
{
        _cleanup_(qvf_generator_freep) struct qvf_generator *self = calloc(1, sizeof(*self));
        uint32_t sequences = qvf_context_options(context)->sequences;

        if (!self)
                return -ENOMEM;
        self->context = context;
        self->last = &self->first;
        self->pieces = calloc(sequences, sizeof(*self->pieces));
        self->of_piece = calloc(sequences, sizeof(*self->of_piece));
        if (!self->pieces || !self->of_piece)
                return -ENOMEM;
        *ret_generator = QVF_TAKE(self);
        return 0;
}

static void leave_context(struct qvf_generator *self, struct qvf_request *request)
{
        if (request->running)
                qvf_context_close(self->context, request->sequence);
        request->running = false;
        request->n_computed = 0;
}

static void finish(struct qvf_generator *self, struct qvf_request *request, enum qvf_finish how,
                const struct qvf_error *error)
{
        struct qvf_request **link = &self->first;

        while (*link != request)
                link = &(*link)->next;
        *link = request->next;
        if (self->last == &request->next)
                self->last = link;
        self->n_requests--;
        leave_context(self, request);
        if (request->callbacks.finished)
                request->callbacks.finished(request->callbacks.context, request, how, error);
        qvf_request_free(request);
}

struct qvf_generator *qvf_generator_free(struct qvf_generator *self)
{
        if (!self)
                return NULL;
        while (self->first)
                finish(self, self->first, QVF_FINISH_CANCELLED, NULL);
        free(self->pieces);
        free(self->of_piece);
        qvf_text_exit(&self->text);
        free(self);
        return NULL;
}

int qvf_generator_add(struct qvf_generator *self, const struct qvf_request_options *options,
                const struct qvf_request_callbacks *callbacks, struct qvf_request **ret_request,
                struct qvf_error *error)
{
        const struct qvf_context_options *limits = qvf_context_options(self->context);
        const struct qvf_model *model = qvf_context_model(self->context);
        struct qvf_request *request;
        int r;

        if (options->n_prompt == 0)
                return qvf_error_set(error, -EINVAL, "the prompt is empty");
        if (options->n_prompt >= limits->context_length)
                return qvf_error_set(error, -E2BIG,
                                "the prompt of %u tokens leaves no room in the context of %u tokens",
                                options->n_prompt, limits->context_length);
        for (uint32_t i = 0; i < options->n_prompt; i++)
                if (options->prompt[i] < 0 || options->prompt[i] >= (int32_t)model->info->vocabulary_size)
                        return qvf_error_set(error, -EINVAL,
                                        "token %u of the prompt is %d: the model has 0 to %u", i,
                                        options->prompt[i], model->info->vocabulary_size - 1);
        r = qvf_request_new(model, options, callbacks, &request, error);
        if (r < 0)
                return r;
        *self->last = request;
        self->last = &request->next;
        self->n_requests++;
        if (ret_request)
                *ret_request = request;
        return 0;
}

void qvf_generator_cancel(struct qvf_generator *self, struct qvf_request *request)
{
        if (self->stepping)
                request->cancel_wanted = true;
        else
                finish(self, request, QVF_FINISH_CANCELLED, NULL);
}

/* Requests that fit get a sequence, in the order in which they came. */
static void admit(struct qvf_generator *self)
{
        for (struct qvf_request *request = self->first; request; request = request->next) {
                if (request->running)
                        continue;
                /* A request that was put back needs room for all that it has; starting it without would only
                 * make it be put back again. */
                if (qvf_context_free_cells(self->context) < request->n_tokens + 1 && self->n_requests > 1)
                        break;
                if (qvf_context_open(self->context, request->adapters, request->n_adapters,
                                    &request->sequence, NULL) < 0)
                        break;
                request->running = true;
                request->n_computed = qvf_context_reuse(
                                self->context, request->sequence, request->tokens, request->n_tokens);
                if (request->n_generated == 0)
                        request->n_reused = request->n_computed;
        }
}

/* Makes room for one more token of a full sequence; false when the request has ended here. */
static bool make_room(struct qvf_generator *self, struct qvf_request *request)
{
        struct qvf_error error = { 0 };
        uint32_t dropped;
        int r;

        if (request->n_tokens <= qvf_context_options(self->context)->context_length)
                return true;
        if (!request->shift) {
                finish(self, request, QVF_FINISH_CONTEXT, NULL);
                return false;
        }
        r = qvf_context_shift(self->context, request->sequence, request->keep, &dropped, &error);
        if (r < 0) {
                finish(self, request, r == -ENOSPC ? QVF_FINISH_CONTEXT : QVF_FINISH_FAILED, &error);
                return false;
        }
        qvf_request_shifted(request, dropped);
        return true;
}

static void add_piece(struct qvf_generator *self, struct qvf_request *request, uint32_t n_tokens)
{
        bool last = request->n_computed + n_tokens == request->n_tokens;

        self->of_piece[self->n_pieces] = request;
        self->pieces[self->n_pieces++] = (struct qvf_piece){
                .sequence = request->sequence,
                .tokens = request->tokens + request->n_computed,
                .n_tokens = n_tokens,
                .outputs = last ? QVF_OUTPUTS_LAST : QVF_OUTPUTS_NONE,
        };
}

/* Those that write go first: a long prompt must not make them stutter. */
static void fill_batch(struct qvf_generator *self)
{
        const struct qvf_context_options *limits = qvf_context_options(self->context);
        uint32_t rows = limits->batch_rows, outputs = limits->output_rows;
        struct qvf_request *request, *next;

        self->n_pieces = 0;
        for (request = self->first; request && rows > 0 && outputs > 0; request = next) {
                next = request->next;
                if (!request->running || request->n_tokens - request->n_computed != 1 ||
                                !make_room(self, request))
                        continue;
                add_piece(self, request, 1);
                rows--;
                outputs--;
        }
        for (request = self->first; request && rows > 0; request = request->next) {
                uint32_t left = request->n_tokens - request->n_computed;
                uint32_t n_tokens = (uint32_t)qvf_min_u64(left, rows);

                if (!request->running || left <= 1 || (n_tokens == left && outputs == 0))
                        continue;
                add_piece(self, request, n_tokens);
                rows -= n_tokens;
                outputs -= n_tokens == left;
        }
}

/* No cells are free: the newest request gives its own back and waits; its text so far is computed again
 * later. */
static int put_newest_back(struct qvf_generator *self, const struct qvf_error *error)
{
        struct qvf_request *newest = NULL;
        uint32_t running = 0;

        for (struct qvf_request *request = self->first; request; request = request->next) {
                if (!request->running)
                        continue;
                newest = request;
                running++;
        }
        if (!newest)
                return -EAGAIN;
        if (running == 1)
                finish(self, newest, QVF_FINISH_FAILED, error);
        else
                leave_context(self, newest);
        return 0;
}

static void emit(
                struct qvf_generator *self, struct qvf_request *request, const struct qvf_token_event *event)
{
        (void)self;
        if (request->callbacks.token && (event->id >= 0 || event->length > 0))
                request->callbacks.token(request->callbacks.context, request, event);
}

/* Ends a request by itself: what was held back for a stop string that did not come is text after all. */
static void finish_with_text(struct qvf_generator *self, struct qvf_request *request, enum qvf_finish how)
{
        struct qvf_token_event event = { .id = -1, .log_probability = NAN };

        qvf_text_clear(&self->text);
        if (how != QVF_FINISH_STOP && qvf_request_flush(request, &self->text) == 0) {
                event.text = qvf_text_string(&self->text);
                event.length = self->text.length;
                emit(self, request, &event);
        }
        finish(self, request, how, NULL);
}

/* A token that was chosen; false when the request has ended with it, or is to end. */
static bool take_token(
                struct qvf_generator *self, struct qvf_request *request, struct qvf_token_event *event)
{
        struct qvf_error error = { 0 };
        bool stopped = false, end;

        qvf_text_clear(&self->text);
        if (qvf_request_take(request, event->id, &end, &self->text, &stopped, &error) < 0) {
                finish(self, request, QVF_FINISH_FAILED, &error);
                return false;
        }
        if (end) {
                finish_with_text(self, request, QVF_FINISH_END);
                return false;
        }
        event->text = qvf_text_string(&self->text);
        event->length = self->text.length;
        emit(self, request, event);
        if (request->cancel_wanted)
                return false;
        if (stopped)
                finish_with_text(self, request, QVF_FINISH_STOP);
        else if (request->max_tokens > 0 && request->n_generated >= request->max_tokens)
                finish_with_text(self, request, QVF_FINISH_LENGTH);
        else
                return true;
        return false;
}

static void choose_token(struct qvf_generator *self, struct qvf_request *request, const float *logits)
{
        struct qvf_token_probability best[QVF_SAMPLING_BEST_MAX];
        struct qvf_token_event event = { .best = best, .n_best = request->n_best };
        struct qvf_error error = { 0 };

        if (qvf_request_choose(request, logits, best, &event.id, &error) < 0) {
                finish(self, request, QVF_FINISH_FAILED, &error);
                return;
        }
        event.log_probability = qvf_sampler_log_probability(request->sampler);
        take_token(self, request, &event);
}

static void fail_all(struct qvf_generator *self, const struct qvf_error *error)
{
        while (self->first)
                finish(self, self->first, QVF_FINISH_FAILED, error);
}

static void cancel_wanted_ones(struct qvf_generator *self)
{
        struct qvf_request *request, *next;

        for (request = self->first; request; request = next) {
                next = request->next;
                if (request->cancel_wanted)
                        finish(self, request, QVF_FINISH_CANCELLED, NULL);
        }
}

/* A request that is alone and writes lets the device choose some tokens by itself. How many; 1: it can't, or need not. */
static uint32_t tokens_ahead(const struct qvf_generator *self, uint32_t *ret_k)
{
        const struct qvf_request *request = self->of_piece[0];
        uint32_t left = request->max_tokens > 0 ? request->max_tokens - request->n_generated : UINT32_MAX;
        uint32_t room = qvf_context_options(self->context)->context_length - request->n_tokens + 1;

        if (self->n_requests != 1 || self->n_pieces != 1 || self->pieces[0].n_tokens != 1 ||
                        self->pieces[0].outputs != QVF_OUTPUTS_LAST ||
                        !qvf_sampler_draws(request->sampler, ret_k))
                return 1;
        return qvf_context_ahead(self->context, left < room ? left : room);
}

static int run_ahead(struct qvf_generator *self, uint32_t count, uint32_t k, struct qvf_error *error)
{
        struct qvf_request *request = self->of_piece[0];
        float how[QVF_CONTEXT_AHEAD_MOST * QVF_DRAW_COLUMNS];
        int32_t ids[QVF_CONTEXT_AHEAD_MOST];
        bool goes_on = true;
        int r;

        for (uint32_t i = 0; i < count; i++)
                qvf_sampler_how(request->sampler, i, how + (size_t)i * QVF_DRAW_COLUMNS);
        r = qvf_context_continue(self->context, request->sequence, self->pieces[0].tokens[0], count, k, how,
                        ids, error);
        if (r < 0)
                return r;
        qvf_sampler_drawn(request->sampler, count);
        self->stepping = true;
        for (uint32_t i = 0; i < count && goes_on; i++) {
                struct qvf_token_event event = { .id = ids[i], .log_probability = NAN };

                request->n_computed++;
                goes_on = take_token(self, request, &event);
        }
        self->stepping = false;
        return 0;
}

static int run_batch(struct qvf_generator *self, struct qvf_error *error)
{
        uint32_t output = 0;
        int r = qvf_context_run(self->context, self->pieces, self->n_pieces, error);

        if (r < 0)
                return r;
        self->stepping = true;
        for (uint32_t i = 0; i < self->n_pieces; i++) {
                struct qvf_request *request = self->of_piece[i];
                const float *logits = self->pieces[i].outputs == QVF_OUTPUTS_LAST
                                                      ? qvf_context_logits(self->context, output++)
                                                      : NULL;

                request->n_computed += self->pieces[i].n_tokens;
                if (logits && !request->cancel_wanted)
                        choose_token(self, request, logits);
        }
        self->stepping = false;
        return 0;
}

int qvf_generator_step(struct qvf_generator *self, struct qvf_error *error)
{
        struct qvf_error local = { 0 };
        uint32_t ahead, k;
        int r;

        admit(self);
        fill_batch(self);
        if (self->n_pieces == 0)
                return (int)self->n_requests;
        ahead = tokens_ahead(self, &k);
        r = ahead > 1 ? run_ahead(self, ahead, k, &local) : -EAGAIN;
        if (r == -EAGAIN) /* also where cells for many tokens are not free */
                r = run_batch(self, &local);
        if (r == -EAGAIN && put_newest_back(self, &local) == 0)
                return (int)self->n_requests;
        if (r < 0) {
                fail_all(self, &local);
                if (error)
                        *error = local;
                return r;
        }
        cancel_wanted_ones(self);
        return (int)self->n_requests;
}
