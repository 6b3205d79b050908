/* SPDX-License-Identifier: Apache-2.0 */
/* loss = log Σ_n exp(l[n]) - l[target] with l = W x; dx = loss_scale Σ_n (softmax(l)[n] - [n = target])
 * W[n]. Logits exist for i0 rows and i1 words at a time. With fewer than all words they are computed twice:
 * first for the sum, then for the gradient. */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };

struct row_state { /* of one of the i0 rows */
        double largest, total;
        float target_logit;
        int32_t best;
};

struct part { /* of the work: these rows, these words */
        uint32_t row, rows, word, words;
};

static float *logits_of(const struct cpu_call *call, uint32_t row_in_part)
{
        return (float *)call->operand[SCRATCH].data + (size_t)row_in_part * (uint32_t)call->op->i[1];
}

/* The word that row r should have said; -1: the loss doesn't look here. */
static int32_t target_of(const struct cpu_call *call, uint32_t r)
{
        int32_t target = *plain_integers(&call->operand[TARGET], r);

        return target >= 0 && (uint32_t)target < call->operand[W].rows ? target : -1;
}

static void compute_logits(const struct cpu_call *call, const struct part *part, float *weights)
{
        const struct cpu_operand *x = &call->operand[X];
        uint32_t begin, end;

        cpu_share(call, part->words, 16, &begin, &end);
        for (uint32_t n = begin; n < end; n++) {
                plain_dequantise(&call->operand[W], part->word + n, 0, x->columns, weights);
                for (uint32_t r = 0; r < part->rows; r++)
                        logits_of(call, r)[n] =
                                        (float)plain_dot(weights, plain_row(x, part->row + r), x->columns);
                cpu_pause_point(call);
        }
        cpu_barrier(call);
}

/* Takes the part's logits into the rows' sums. */
static void reduce(const struct cpu_call *call, const struct part *part, struct row_state *states)
{
        uint32_t begin, end;

        cpu_share(call, part->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *logits = logits_of(call, r);
                struct row_state *state = &states[r];
                int32_t target = target_of(call, part->row + r);
                float largest = logits[0];

                if (part->word == 0)
                        *state = (struct row_state){ .largest = -INFINITY };
                for (uint32_t n = 0; n < part->words; n++) {
                        largest = fmaxf(largest, logits[n]);
                        if (part->word + n == (uint32_t)target)
                                state->target_logit = logits[n];
                }
                if (largest > state->largest) {
                        uint32_t n = 0;

                        while (logits[n] != largest)
                                n++;
                        state->best = (int32_t)(part->word + n);
                        state->total *= exp(state->largest - largest);
                        state->largest = largest;
                }
                for (uint32_t n = 0; n < part->words; n++)
                        state->total += exp(logits[n] - state->largest);
        }
        cpu_barrier(call);
}

static void store_loss(const struct cpu_call *call, const struct part *part, const struct row_state *states)
{
        uint32_t begin, end;

        cpu_share(call, part->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const struct row_state *state = &states[r];
                int32_t target = target_of(call, part->row + r);
                double loss = state->largest + log(state->total) - state->target_logit;

                *plain_row(&call->operand[LOSS], part->row + r) = target < 0 ? 0 : (float)loss;
                if (call->operand[BEST].data)
                        *plain_integers(&call->operand[BEST], part->row + r) = state->best;
        }
}

/* The logits become dloss/dlogit. */
static void differentiate(
                const struct cpu_call *call, const struct part *part, const struct row_state *states)
{
        uint32_t begin, end;

        cpu_share(call, part->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                float *logits = logits_of(call, r);
                int32_t target = target_of(call, part->row + r);

                for (uint32_t n = 0; n < part->words; n++) {
                        double p = exp(logits[n] - states[r].largest) / states[r].total;

                        p -= part->word + n == (uint32_t)target;
                        logits[n] = target < 0 ? 0 : (float)(p * call->args->loss_scale);
                }
        }
        cpu_barrier(call);
}

static void add_gradient(const struct cpu_call *call, const struct part *part)
{
        plain_transposed_product(call, &(struct plain_transposed){
                                                       .weight = &call->operand[W],
                                                       .dx = &call->operand[DX],
                                                       .dy = call->operand[SCRATCH].data,
                                                       .dy_stride = (uint32_t)call->op->i[1],
                                                       .row_0 = part->row,
                                                       .row_end = part->row + part->rows,
                                                       .first = part->word,
                                                       .count = part->words,
                                                       .factor = 1,
                                                       .accumulate = part->word > 0,
                                       });
        cpu_barrier(call);
}

static size_t states_bytes(const struct qvf_op *op)
{
        return plain_thread_bytes((size_t)op->i[0] * sizeof(struct row_state));
}

void plain_head_loss(const struct cpu_call *call)
{
        uint32_t words = call->operand[W].rows, chunk = plain_min((uint32_t)call->op->i[1], words);
        struct row_state *states = call->scratch;
        float *weights = (float *)((char *)call->scratch + states_bytes(call->op) +
                                   call->thread * plain_thread_bytes(
                                                                  call->operand[X].columns * sizeof(float)));
        struct part part;

        for (part.row = 0; part.row < call->rows; part.row += part.rows) {
                part.rows = plain_min((uint32_t)call->op->i[0], call->rows - part.row);
                for (part.word = 0; part.word < words; part.word += part.words) {
                        part.words = plain_min(chunk, words - part.word);
                        compute_logits(call, &part, weights);
                        reduce(call, &part, states);
                }
                store_loss(call, &part, states);
                for (part.word = 0; call->operand[DX].data && part.word < words; part.word += part.words) {
                        part.words = plain_min(chunk, words - part.word);
                        if (chunk < words)
                                compute_logits(call, &part, weights);
                        differentiate(call, &part, states);
                        add_gradient(call, &part);
                }
        }
}

size_t plain_head_loss_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        return states_bytes(op) + n_threads * plain_thread_bytes(operands[X].columns * sizeof(float));
}
