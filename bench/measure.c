/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/measure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sampling/random.h"

int bench_arbitrary_tokens(const struct bench_session *session, uint32_t n_tokens, int32_t **ret_tokens)
{
        int32_t *tokens = calloc(n_tokens, sizeof(*tokens));
        struct qvf_random random;

        if (!tokens)
                return -ENOMEM;
        qvf_random_seed(&random, 1);
        for (uint32_t i = 0; i < n_tokens; i++)
                tokens[i] = (int32_t)(qvf_random_next(&random) % session->model->info->vocabulary_size);
        *ret_tokens = tokens;
        return 0;
}

static int time_prompt(struct bench_session *session, const int32_t *tokens, uint32_t n_tokens,
                double *ret_seconds, struct qvf_error *error)
{
        uint32_t sequence;
        double start;
        int r;

        r = bench_session_sequence(session, &sequence, error);
        if (r < 0)
                return r;
        start = bench_seconds();
        r = bench_session_run(session, sequence, tokens, n_tokens, error);
        *ret_seconds = bench_seconds() - start;
        qvf_context_close(session->context, sequence);
        return r;
}

/* Where the device chooses tokens itself it does so here. */
static int run_ahead(struct bench_session *session, uint32_t sequence, int32_t token, uint32_t ahead,
                struct qvf_error *error)
{
        float how[QVF_CONTEXT_AHEAD_MOST * QVF_DRAW_COLUMNS];
        int32_t ids[QVF_CONTEXT_AHEAD_MOST];

        for (uint32_t i = 0; i < ahead; i++) /* the best */
                memcpy(how + (size_t)i * QVF_DRAW_COLUMNS, ((const float[]){ 1, 2, -INFINITY, 0 }),
                                QVF_DRAW_COLUMNS * sizeof(*how));
        return qvf_context_continue(session->context, sequence, token, ahead, 1, how, ids, error);
}

static int time_generation(struct bench_session *session, const int32_t *tokens, uint32_t n_tokens,
                double *ret_seconds, struct qvf_error *error)
{
        uint32_t sequence;
        double start;
        int r;

        r = bench_session_sequence(session, &sequence, error);
        if (r < 0)
                return r;
        start = bench_seconds();
        for (uint32_t i = 0; i < n_tokens && r >= 0;) {
                uint32_t ahead = qvf_context_ahead(session->context, n_tokens - i);

                r = ahead > 1 ? run_ahead(session, sequence, tokens[i], ahead, error)
                              : bench_session_run(session, sequence, tokens + i, 1, error);
                i += ahead;
        }
        *ret_seconds = bench_seconds() - start;
        qvf_context_close(session->context, sequence);
        return r;
}

int bench_measure_prompt(struct bench_session *session, uint32_t n_tokens, uint32_t repetitions,
                double *ret_rates, struct qvf_error *error)
{
        _cleanup_free_ int32_t *tokens = NULL;
        double seconds;
        int r;

        r = bench_arbitrary_tokens(session, n_tokens, &tokens);
        if (r >= 0) /* to warm up: builds the program, maps the weights, raises the clock */
                r = time_prompt(session, tokens, n_tokens, &seconds, error);
        for (uint32_t i = 0; i < repetitions && r >= 0; i++) {
                r = time_prompt(session, tokens, n_tokens, &seconds, error);
                ret_rates[i] = n_tokens / seconds;
        }
        return r;
}

int bench_measure_generation(struct bench_session *session, uint32_t n_tokens, uint32_t repetitions,
                double *ret_rates, struct qvf_error *error)
{
        _cleanup_free_ int32_t *tokens = NULL;
        double seconds;
        int r;

        r = bench_arbitrary_tokens(session, n_tokens, &tokens);
        if (r >= 0)
                r = time_generation(session, tokens, n_tokens < 8 ? n_tokens : 8, &seconds, error);
        for (uint32_t i = 0; i < repetitions && r >= 0; i++) {
                r = time_generation(session, tokens, n_tokens, &seconds, error);
                ret_rates[i] = n_tokens / seconds;
        }
        return r;
}
