/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sampling/candidates.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static float without_infinity(float logit)
{
        return logit > FLT_MAX ? FLT_MAX : logit;
}

static bool better(const struct qvf_candidate *a, const struct qvf_candidate *b)
{
        return a->rank > b->rank || (a->rank == b->rank && a->id < b->id);
}

/* A heap whose root is the best or, with worst_first, the worst. */
static inline void sift_down(struct qvf_candidate *items, uint32_t count, uint32_t at, bool worst_first)
{
        struct qvf_candidate moving = items[at];

        for (;;) {
                uint64_t child = 2 * (uint64_t)at + 1;

                if (child >= count)
                        break;
                if (child + 1 < count && better(&items[child + 1], &items[child]) != worst_first)
                        child++;
                if (better(&items[child], &moving) == worst_first)
                        break;
                items[at] = items[child];
                at = (uint32_t)child;
        }
        items[at] = moving;
}

static void make_heap(struct qvf_candidate *items, uint32_t count, bool worst_first)
{
        for (uint32_t at = count / 2; at-- > 0;)
                sift_down(items, count, at, worst_first);
}

/* Takes the root off and puts it behind the others. */
static void pop(struct qvf_candidate *items, uint32_t count, bool worst_first)
{
        struct qvf_candidate root = items[0];

        items[0] = items[count - 1];
        items[count - 1] = root;
        sift_down(items, count - 1, 0, worst_first);
}

static int reserve(struct qvf_candidates *candidates, uint32_t count)
{
        struct qvf_candidate *items;

        if (count <= candidates->capacity)
                return 0;
        items = reallocarray(candidates->items, count, sizeof(*items));
        if (!items)
                return -ENOMEM;
        candidates->items = items;
        candidates->capacity = count;
        return 0;
}

static void fill_all(struct qvf_candidates *candidates, const float *logits, uint32_t n_vocab)
{
        for (uint32_t i = 0; i < n_vocab; i++)
                if (logits[i] > -INFINITY) {
                        float logit = without_infinity(logits[i]);

                        candidates->items[candidates->count++] = (struct qvf_candidate){
                                .logit = logit, .rank = logit, .id = (int32_t)i
                        };
                }
}

/* The root of the heap is the worst of the k best so far: most logits fail at one comparison with it. */
static void fill_top_k(struct qvf_candidates *candidates, const float *logits, uint32_t n_vocab, uint32_t k)
{
        struct qvf_candidate *items = candidates->items;
        float worst = -INFINITY;

        for (uint32_t i = 0; i < n_vocab; i++) {
                float logit;

                if (!(logits[i] > worst))
                        continue;
                logit = without_infinity(logits[i]);
                if (candidates->count < k) {
                        items[candidates->count++] = (struct qvf_candidate){
                                .logit = logit, .rank = logit, .id = (int32_t)i
                        };
                        if (candidates->count < k)
                                continue;
                        make_heap(items, k, true);
                } else if (logit > items[0].rank) { /* equal ones come later and so are worse */
                        items[0] = (struct qvf_candidate){ .logit = logit, .rank = logit, .id = (int32_t)i };
                        sift_down(items, k, 0, true);
                }
                worst = items[0].rank;
        }
        if (candidates->count < k)
                make_heap(items, candidates->count, true);
        for (uint32_t left = candidates->count; left > 1; left--)
                pop(items, left, true);
}

int qvf_candidates_fill(struct qvf_candidates *candidates, const float *logits, uint32_t n_vocab, uint32_t k)
{
        int r;

        if (k > n_vocab)
                k = n_vocab;
        r = reserve(candidates, k ? k : n_vocab);
        if (r < 0)
                return r;
        candidates->count = 0;
        if (k)
                fill_top_k(candidates, logits, n_vocab, k);
        else
                fill_all(candidates, logits, n_vocab);
        return candidates->count ? 0 : -EDOM;
}

void qvf_candidates_exit(struct qvf_candidates *candidates)
{
        free(candidates->items);
        *candidates = (struct qvf_candidates){ 0 };
}

static float largest_logit(const struct qvf_candidates *candidates)
{
        float largest = candidates->items[0].logit;

        for (uint32_t i = 1; i < candidates->count; i++)
                largest = fmaxf(largest, candidates->items[i].logit);
        return largest;
}

static double sum_of_exponentials(const struct qvf_candidates *candidates, float largest)
{
        double sum = 0;

        for (uint32_t i = 0; i < candidates->count; i++)
                sum += (double)expf(candidates->items[i].logit - largest);
        return sum;
}

/* Keeps the best by rank, in that order, until their probability sums to p. */
static void keep_mass(struct qvf_candidates *candidates, float largest, double sum, float p)
{
        struct qvf_candidate *items = candidates->items;
        uint32_t left = candidates->count;
        uint32_t kept;
        double mass = 0;

        make_heap(items, left, false);
        do {
                pop(items, left, false);
                left--;
                mass += (double)expf(items[left].logit - largest);
        } while (left > 0 && mass < (double)p * sum);
        /* The popped ones stand behind the heap, the first one last. */
        kept = candidates->count - left;
        for (uint32_t i = 0, j = candidates->count - 1; i < kept && i < j; i++, j--) {
                struct qvf_candidate swapped = items[i];

                items[i] = items[j];
                items[j] = swapped;
        }
        candidates->count = kept;
}

void qvf_candidates_keep_typical(struct qvf_candidates *candidates, float p)
{
        float largest;
        double sum, log_sum;
        double entropy = 0;

        if (p >= 1)
                return;
        largest = largest_logit(candidates);
        sum = sum_of_exponentials(candidates, largest);
        log_sum = log(sum);
        for (uint32_t i = 0; i < candidates->count; i++) {
                double log_probability = (double)(candidates->items[i].logit - largest) - log_sum;

                if (log_probability > -1000) /* below, p · log p is 0, and -inf would make it NaN */
                        entropy -= exp(log_probability) * log_probability;
        }
        for (uint32_t i = 0; i < candidates->count; i++) {
                struct qvf_candidate *item = &candidates->items[i];

                item->rank = -fabsf((float)((double)(largest - item->logit) + log_sum - entropy));
        }
        keep_mass(candidates, largest, sum, p);
        for (uint32_t i = 0; i < candidates->count; i++)
                candidates->items[i].rank = candidates->items[i].logit;
}

void qvf_candidates_keep_top_p(struct qvf_candidates *candidates, float p)
{
        float largest;

        if (p >= 1)
                return;
        largest = largest_logit(candidates);
        keep_mass(candidates, largest, sum_of_exponentials(candidates, largest), p);
}

void qvf_candidates_keep_min_p(struct qvf_candidates *candidates, float p)
{
        float least;
        uint32_t kept = 0;

        if (p <= 0)
                return;
        least = largest_logit(candidates) + logf(p);
        for (uint32_t i = 0; i < candidates->count; i++)
                if (candidates->items[i].logit >= least)
                        candidates->items[kept++] = candidates->items[i];
        candidates->count = kept;
}

int32_t qvf_candidates_draw(
                const struct qvf_candidates *candidates, float temperature, struct qvf_random *random)
{
        struct qvf_candidate *items = candidates->items;
        float largest = largest_logit(candidates);
        uint32_t last = 0;
        double sum = 0, point;

        for (uint32_t i = 0; i < candidates->count; i++) {
                items[i].rank = expf((items[i].logit - largest) / temperature);
                sum += (double)items[i].rank;
        }
        point = qvf_random_uniform(random) * sum;
        for (uint32_t i = 0; i < candidates->count; i++) {
                if (items[i].rank > 0)
                        last = i;
                point -= (double)items[i].rank;
                if (point < 0)
                        break;
        }
        return items[last].id; /* when rounding leaves a rest: the last one that has a probability */
}

int qvf_logits_best(const float *logits, uint32_t n_vocab, int32_t *ret_id)
{
        float largest = -INFINITY;
        int32_t best = -1;

        for (uint32_t i = 0; i < n_vocab; i++)
                /* A branch that is hardly ever taken is several times as fast here as a conditional move.
                 * NaN loses. */
                if (__builtin_expect(logits[i] > largest, 0)) {
                        largest = logits[i];
                        best = (int32_t)i;
                }
        if (best < 0)
                return -EDOM;
        *ret_id = best;
        return 0;
}

double qvf_logits_log_sum(const float *logits, uint32_t n_vocab)
{
        float largest;
        double sum = 0;
        int32_t best;

        if (qvf_logits_best(logits, n_vocab, &best) < 0)
                return -INFINITY;
        largest = without_infinity(logits[best]);
        for (uint32_t i = 0; i < n_vocab; i++)
                if (logits[i] > -INFINITY)
                        sum += (double)expf(without_infinity(logits[i]) - largest);
        return (double)largest + log(sum);
}
