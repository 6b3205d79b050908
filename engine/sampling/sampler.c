/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sampling/sampler.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sampling/candidates.h"
#include "plugins/cpu/plain/plain.h"

struct qvf_sampler {
        struct qvf_sampling options;
        struct qvf_logit_bias *bias;
        struct qvf_random random;
        struct qvf_candidates candidates;
        float log_probability;

        /* The last `window_count` tokens twice: in the order they came (a ring), and sorted, so that equal
         * ones stand side by side and are counted by one walk. */
        int32_t *ring, *sorted;
        uint32_t window_count, ring_at;

        float *adjusted; /* a copy of the logits, made only where penalties or biases change some */
        uint32_t adjusted_capacity;
};

static bool has_penalties(const struct qvf_sampling *options)
{
        return options->penalty_window &&
               (options->repetition_penalty != 1 || options->presence_penalty != 0 ||
                               options->frequency_penalty != 0);
}

int qvf_sampler_new(const struct qvf_sampling *sampling, struct qvf_error *error,
                struct qvf_sampler **ret_sampler)
{
        _cleanup_(qvf_sampler_freep) struct qvf_sampler *sampler = NULL;
        int r;

        r = qvf_sampling_check(sampling, 0, error);
        if (r < 0)
                return r;
        sampler = calloc(1, sizeof(*sampler));
        if (!sampler)
                return -ENOMEM;
        sampler->options = *sampling;
        sampler->options.bias = NULL;
        sampler->log_probability = NAN;
        if (sampling->n_bias) {
                sampler->bias = calloc(sampling->n_bias, sizeof(*sampler->bias));
                if (!sampler->bias)
                        return -ENOMEM;
                memcpy(sampler->bias, sampling->bias, sampling->n_bias * sizeof(*sampler->bias));
                sampler->options.bias = sampler->bias;
        }
        if (has_penalties(sampling)) {
                sampler->ring = calloc(sampling->penalty_window, sizeof(*sampler->ring));
                sampler->sorted = calloc(sampling->penalty_window, sizeof(*sampler->sorted));
                if (!sampler->ring || !sampler->sorted)
                        return -ENOMEM;
        }
        qvf_random_seed(&sampler->random, sampling->seed);
        *ret_sampler = QVF_TAKE(sampler);
        return 0;
}

struct qvf_sampler *qvf_sampler_free(struct qvf_sampler *sampler)
{
        if (!sampler)
                return NULL;
        qvf_candidates_exit(&sampler->candidates);
        free(sampler->adjusted);
        free(sampler->sorted);
        free(sampler->ring);
        free(sampler->bias);
        free(sampler);
        return NULL;
}

/* Index of the first sorted token that is not smaller. */
static uint32_t sorted_place(const struct qvf_sampler *sampler, int32_t id)
{
        uint32_t low = 0, high = sampler->window_count;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (sampler->sorted[middle] < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void qvf_sampler_accept(struct qvf_sampler *sampler, int32_t id)
{
        int32_t *sorted = sampler->sorted;
        uint32_t place;

        if (!sampler->ring)
                return;
        if (sampler->window_count == sampler->options.penalty_window) { /* the oldest one goes */
                place = sorted_place(sampler, sampler->ring[sampler->ring_at]);
                sampler->window_count--;
                memmove(sorted + place, sorted + place + 1,
                                (sampler->window_count - place) * sizeof(*sorted));
        }
        place = sorted_place(sampler, id);
        memmove(sorted + place + 1, sorted + place, (sampler->window_count - place) * sizeof(*sorted));
        sorted[place] = id;
        sampler->window_count++;
        sampler->ring[sampler->ring_at] = id;
        sampler->ring_at = (sampler->ring_at + 1) % sampler->options.penalty_window;
}

static void apply_penalties(const struct qvf_sampler *sampler, float *logits, uint32_t n_vocab)
{
        const struct qvf_sampling *options = &sampler->options;
        uint32_t next;

        for (uint32_t i = 0; i < sampler->window_count; i = next) {
                int32_t id = sampler->sorted[i];
                float *logit;

                for (next = i + 1; next < sampler->window_count && sampler->sorted[next] == id;)
                        next++;
                if (id < 0 || (uint32_t)id >= n_vocab)
                        continue;
                logit = &logits[id];
                *logit = *logit > 0 ? *logit / options->repetition_penalty
                                    : *logit * options->repetition_penalty;
                *logit -= options->presence_penalty + (float)(next - i) * options->frequency_penalty;
        }
}

static int adjust(struct qvf_sampler *sampler, const float *logits, uint32_t n_vocab)
{
        if (n_vocab > sampler->adjusted_capacity) {
                float *larger = reallocarray(sampler->adjusted, n_vocab, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                sampler->adjusted = larger;
                sampler->adjusted_capacity = n_vocab;
        }
        memcpy(sampler->adjusted, logits, n_vocab * sizeof(*logits));
        apply_penalties(sampler, sampler->adjusted, n_vocab);
        for (uint32_t i = 0; i < sampler->options.n_bias; i++) {
                const struct qvf_logit_bias *bias = &sampler->bias[i];

                if ((uint32_t)bias->id >= n_vocab)
                        continue;
                if (bias->bias == -INFINITY) /* also where the logit is +inf */
                        sampler->adjusted[bias->id] = -INFINITY;
                else
                        sampler->adjusted[bias->id] += bias->bias;
        }
        return 0;
}

/* Few candidates are drawn from as DRAW has it, which devices do themselves. */
static bool few_candidates(const struct qvf_sampling *options)
{
        return options->temperature > 0 && options->top_k >= 1 && options->top_k <= QVF_DRAW_MOST &&
               options->typical_p >= 1;
}

bool qvf_sampler_draws(const struct qvf_sampler *sampler, uint32_t *ret_k)
{
        const struct qvf_sampling *options = &sampler->options;

        if (options->n_best > 0 || options->n_bias > 0 || sampler->ring ||
                        (options->temperature > 0 && !few_candidates(options)))
                return false;
        *ret_k = options->temperature > 0 ? options->top_k : 1;
        return true;
}

static float point_of(struct qvf_random *random)
{
        return (float)(qvf_random_next(random) >> 40) * 0x1p-24f;
}

static void how_to_draw(const struct qvf_sampling *options, float point, float how[QVF_DRAW_COLUMNS])
{
        bool greedy = options->temperature <= 0;

        how[0] = greedy ? 1 : 1 / options->temperature;
        how[1] = greedy || options->top_p >= 1 ? 2 : options->top_p; /* more than there is: all of them */
        how[2] = greedy || options->min_p <= 0 ? -INFINITY : logf(options->min_p);
        how[3] = point;
}

void qvf_sampler_how(const struct qvf_sampler *sampler, uint32_t ahead, float ret_how[QVF_DRAW_COLUMNS])
{
        struct qvf_random random = sampler->random;
        float point = 0;

        for (uint32_t i = 0; i <= ahead && sampler->options.temperature > 0; i++)
                point = point_of(&random);
        how_to_draw(&sampler->options, point, ret_how);
}

void qvf_sampler_drawn(struct qvf_sampler *sampler, uint32_t count)
{
        for (uint32_t i = 0; i < count && sampler->options.temperature > 0; i++)
                qvf_random_next(&sampler->random);
}

static int32_t draw_from_few(struct qvf_sampler *sampler)
{
        const struct qvf_candidates *candidates = &sampler->candidates;
        float value[QVF_DRAW_MOST], how[QVF_DRAW_COLUMNS];

        for (uint32_t i = 0; i < candidates->count; i++)
                value[i] = candidates->items[i].logit;
        how_to_draw(&sampler->options, point_of(&sampler->random), how);
        return candidates->items[plain_draw_row(value, candidates->count, how)].id;
}

static int draw(struct qvf_sampler *sampler, const float *logits, uint32_t n_vocab, int32_t *ret_id)
{
        const struct qvf_sampling *options = &sampler->options;
        int r;

        r = qvf_candidates_fill(&sampler->candidates, logits, n_vocab, options->top_k);
        if (r < 0)
                return r;
        if (few_candidates(options)) {
                *ret_id = draw_from_few(sampler);
                return 0;
        }
        qvf_candidates_keep_typical(&sampler->candidates, options->typical_p);
        qvf_candidates_keep_top_p(&sampler->candidates, options->top_p);
        qvf_candidates_keep_min_p(&sampler->candidates, options->min_p);
        *ret_id = qvf_candidates_draw(&sampler->candidates, options->temperature, &sampler->random);
        return 0;
}

int qvf_logits_log_probabilities(const float *logits, uint32_t n_vocab,
                struct qvf_token_probability *ret_best, uint32_t n, int32_t id, float *ret_log_probability)
{
        _cleanup_(qvf_candidates_exit) struct qvf_candidates best = { 0 };
        double log_sum;
        int r;

        if (n > 0) {
                r = qvf_candidates_fill(&best, logits, n_vocab, n);
                if (r < 0)
                        return r;
        }
        log_sum = qvf_logits_log_sum(logits, n_vocab);
        for (uint32_t i = 0; i < n; i++) {
                bool there = i < best.count;

                ret_best[i].id = there ? best.items[i].id : -1;
                ret_best[i].log_probability =
                                there ? (float)((double)best.items[i].logit - log_sum) : -INFINITY;
        }
        if (id >= 0 && (uint32_t)id < n_vocab && ret_log_probability)
                *ret_log_probability =
                                logits[id] > -INFINITY
                                                ? (float)((double)fminf(logits[id], FLT_MAX) - log_sum)
                                                : -INFINITY;
        return 0;
}

int qvf_sampler_next(struct qvf_sampler *sampler, const float *logits, uint32_t n_vocab, int32_t *ret_id,
                struct qvf_token_probability *ret_best, uint32_t n)
{
        const float *used = logits;
        float log_probability = NAN;
        int32_t id;
        int r;

        if (sampler->window_count || sampler->options.n_bias) {
                r = adjust(sampler, logits, n_vocab);
                if (r < 0)
                        return r;
                used = sampler->adjusted;
        }
        if (sampler->options.temperature > 0)
                r = draw(sampler, used, n_vocab, &id);
        else
                r = qvf_logits_best(used, n_vocab, &id);
        if (r < 0)
                return r;
        if (n > 0) {
                r = qvf_logits_log_probabilities(logits, n_vocab, ret_best, n, id, &log_probability);
                if (r < 0)
                        return r;
        }
        sampler->log_probability = log_probability;
        *ret_id = id;
        return 0;
}

float qvf_sampler_log_probability(const struct qvf_sampler *sampler)
{
        return sampler->log_probability;
}
