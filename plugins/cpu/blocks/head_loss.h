/* SPDX-License-Identifier: Apache-2.0 */
/* The head's loss for units that multiply blocks of 32 by 32 bf16: a level's head_loss.c is its block.h and this.
 *
 * loss = log Σ_n exp(l[n]) - l[target] with l = W x; dx = loss_scale Σ_n (softmax(l)[n] - [n = target]) W[n].
 *
 * The words are cut into parts, as many as 16 whatever the number of threads, and a part is gone through once, 64 words at
 * a time: logits are products with words as rows, and exp(l - base) times the weights is added to the part's own sums, where
 * base is a number near the largest logit so far. The target is left out of them: its factor p - 1 may be small, and is known
 * at the end, when the parts are put together.
 *
 * bf16 has 8 bits of a float's 24. Logits are made of factors split into two, x = high + low, which leaves out 2⁻¹⁶ of x at
 * most, and of an f16 nothing; they take three products, low · low is left out. The gradient's factors are one bf16 each.
 *
 * block.h has, of 32 by 32 numbers, rows of 32 floats, and with BLOCK_LOW the bytes of a factor that is not split:
 *     block_left_split(), block_right_split()   rows of the left factor, columns of the right one: both are summed along
 *     block_right()                             a right factor whose columns stand one below the other
 *     block_left_turned()                       a left factor likewise
 *     block_product_split(), block_product()    sums of `count` products, to rows of 32 floats
 *     block_begin(), block_end()                around products */
#ifndef QVF_PLUGINS_CPU_BLOCKS_HEAD_LOSS_H
#define QVF_PLUGINS_CPU_BLOCKS_HEAD_LOSS_H

#include <math.h>

#include "plugins/cpu/lanes/dense.h"

#define PARTS_MOST 16u
#define SUMS_BYTES ((uint32_t)9 << 20) /* of all parts, if 32 rows need no more */
#define ROWS_MOST 128u                 /* of a group: their x and sums stay in L2 */
#define BLOCK_WORDS (2 * BLOCK_SIDE)   /* of a part at a time */
#define HALVES (BLOCK_WORDS / BLOCK_SIDE)
#define HEADROOM 16.0f /* that a logit may be above the base before the sums are made smaller */
#define BLOCK_SPLIT (2 * BLOCK_LOW)

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };

struct state { /* of 32 rows in a part */
        float base[BLOCK_SIDE], best_logit[BLOCK_SIDE], target_logit[BLOCK_SIDE];
        int32_t best[BLOCK_SIDE];
        double others[BLOCK_SIDE]; /* Σ exp(l - base) over all words but the target */
};

struct head {
        uint32_t words, columns, blocks, parts;
        uint32_t across;                /* blocks of 32 columns */
        uint32_t row, rows, row_blocks; /* of the group of rows that is at work, and its blocks of 32 */
        uint32_t group_rows;            /* of a whole group */
        float *sums;                    /* [part][row block][column block][32][32] */
        struct state *states;           /* [part][row block] */
        char *x;                        /* [row block][column block], split */
        /* Of this thread: weights for logits, [column block], split, and for the gradient, [half][column block]; logits,
         * [row block][word][32]; their factors, [row block][half]. */
        char *split, *plain, *factors;
        float *logits;
};

static inline uint32_t ceil_div(uint32_t a, uint32_t b)
{
        return (a + b - 1) / b;
}

static size_t sums_count(const struct head *h) /* of a part */
{
        return (size_t)h->group_rows * h->columns;
}

/* Sizes alone. A group has as many rows as the sums of all parts leave it; W is read once for each. */
static struct head shape_of(const struct cpu_operand *operands)
{
        struct head h = { .words = operands[W].rows, .columns = operands[W].columns };
        uint32_t rows, most = operands[X].rows < ROWS_MOST ? operands[X].rows : ROWS_MOST;

        h.blocks = ceil_div(h.words, BLOCK_WORDS);
        h.parts = h.blocks < PARTS_MOST ? h.blocks : PARTS_MOST;
        h.across = h.columns / BLOCK_SIDE;
        rows = SUMS_BYTES / (uint32_t)sizeof(float) / h.parts / h.columns;
        h.group_rows = (uint32_t)round_up(most < rows ? most : rows, BLOCK_SIDE);
        if (h.group_rows > BLOCK_SIDE && h.group_rows > rows)
                h.group_rows -= BLOCK_SIDE;
        return h;
}

static size_t states_bytes(const struct head *h)
{
        return round_up((size_t)h->parts * h->group_rows / BLOCK_SIDE * sizeof(struct state), LINE);
}

static size_t x_bytes(const struct head *h)
{
        return (size_t)h->group_rows / BLOCK_SIDE * h->across * BLOCK_SPLIT;
}

static size_t sums_bytes(const struct head *h)
{
        return h->parts * sums_count(h) * sizeof(float);
}

static size_t logits_bytes(const struct head *h)
{
        return (size_t)h->group_rows * BLOCK_WORDS * sizeof(float);
}

static size_t thread_bytes(const struct head *h)
{
        return (size_t)h->across * (BLOCK_SPLIT + HALVES * BLOCK_LOW) + logits_bytes(h) +
               (size_t)h->group_rows / BLOCK_SIDE * HALVES * BLOCK_LOW;
}

static struct head head_of(const struct cpu_call *call)
{
        struct head h = shape_of(call->operand);
        char *at = call->scratch;

        h.states = (struct state *)at;
        at += states_bytes(&h);
        h.x = at;
        at += x_bytes(&h);
        h.sums = (float *)at;
        at += sums_bytes(&h) + call->thread * thread_bytes(&h);
        h.split = at;
        at += (size_t)h.across * BLOCK_SPLIT;
        h.plain = at;
        at += (size_t)h.across * HALVES * BLOCK_LOW;
        h.logits = (float *)at;
        h.factors = at + logits_bytes(&h);
        return h;
}

static float *sums_of(const struct head *h, uint32_t part)
{
        return h->sums + part * sums_count(h);
}

static uint32_t part_begin(const struct head *h, uint32_t part)
{
        return (uint32_t)((uint64_t)h->blocks * part / h->parts);
}

static float *row_of(const struct cpu_call *call, unsigned operand, uint32_t row)
{
        return (float *)call->operand[operand].data + (size_t)row * call->operand[operand].columns;
}

/* The word that a row should have said; -1: the loss doesn't look here, or the row is not there. */
static int32_t target_of(const struct cpu_call *call, const struct head *h, uint32_t row)
{
        int32_t target = row < call->rows ? ((const int32_t *)call->operand[TARGET].data)[row] : -1;

        return target >= 0 && (uint32_t)target < h->words ? target : -1;
}

static const uint8_t *word_of(const struct cpu_call *call, uint32_t word)
{
        const struct cpu_operand *w = &call->operand[W];

        return (const uint8_t *)w->data + word * dense_row_bytes(w->dtype, w->columns);
}

/* 32 rows by 32 columns of x; rows that are not there are zeros. */
static void pack_block(const struct cpu_call *call, const struct head *h, uint32_t block, uint32_t across)
{
        _Alignas(LINE) float numbers[BLOCK_SIDE * BLOCK_SIDE];

        for (uint32_t i = 0; i < BLOCK_SIDE; i++) {
                uint32_t row = block * BLOCK_SIDE + i;

                if (row < h->rows)
                        memcpy(numbers + i * BLOCK_SIDE,
                                        row_of(call, X, h->row + row) + (size_t)across * BLOCK_SIDE,
                                        BLOCK_SIDE * sizeof(float));
                else
                        memset(numbers + i * BLOCK_SIDE, 0, BLOCK_SIDE * sizeof(float));
        }
        block_right_split(numbers, h->x + ((size_t)block * h->across + across) * BLOCK_SPLIT);
}

static void pack_rows(const struct cpu_call *call, const struct head *h)
{
        uint32_t begin, end;

        cpu_share(call, h->row_blocks * h->across, 1, &begin, &end);
        for (uint32_t i = begin; i < end; i++)
                pack_block(call, h, i / h->across, i % h->across);
        cpu_barrier(call);
}

/* 32 words by 32 columns. The same columns of the next words are fetched meanwhile: a thread reads W at many places at once,
 * and by itself the hardware follows only a few of them. */
static ALWAYS_INLINE void unpack_block(const struct cpu_call *call, const uint32_t dtype, uint32_t word,
                uint32_t across, char *split, char *plain)
{
        const struct cpu_operand *w = &call->operand[W];
        size_t row_bytes = dense_row_bytes(dtype, w->columns);
        uint32_t c = across * BLOCK_SIDE;
        _Alignas(LINE) float numbers[BLOCK_SIDE * BLOCK_SIDE];

        for (uint32_t i = 0; i < BLOCK_SIDE; i++) {
                const uint8_t *from = (const uint8_t *)w->data + (size_t)(word + i) * row_bytes;
                float *to = numbers + i * BLOCK_SIDE;

                if (word + i + BLOCK_SIDE < w->rows)
                        __builtin_prefetch(from + BLOCK_SIDE * row_bytes + row_bytes * c / w->columns, 0, 2);
                UNROLL
                for (uint32_t j = 0; j < BLOCK_SIDE; j += LANES)
                        store(to + j, word + i < w->rows ? load_weights(dtype, from, c + j) : zeros());
        }
        block_left_split(numbers, split);
        block_right(numbers, plain);
}

static ALWAYS_INLINE void unpack_as(const struct cpu_call *call, const struct head *h, const uint32_t dtype,
                uint32_t word, char *plain)
{
        for (uint32_t across = 0; across < h->across; across++)
                unpack_block(call, dtype, word, across, h->split + (size_t)across * BLOCK_SPLIT,
                                plain + (size_t)across * BLOCK_LOW);
}

/* 32 words; those that are not there are zeros. */
static void unpack(const struct cpu_call *call, const struct head *h, uint32_t word, uint32_t half)
{
        char *plain = h->plain + (size_t)half * h->across * BLOCK_LOW;

        switch (call->operand[W].dtype) {
        case QVF_F16: unpack_as(call, h, QVF_F16, word, plain); break;
        case QVF_BF16: unpack_as(call, h, QVF_BF16, word, plain); break;
        case QVF_Q8_0: unpack_as(call, h, QVF_Q8_0, word, plain); break;
        case QVF_Q4_0: unpack_as(call, h, QVF_Q4_0, word, plain); break;
        case QVF_Q4_K: unpack_as(call, h, QVF_Q4_K, word, plain); break;
        case QVF_Q6_K: unpack_as(call, h, QVF_Q6_K, word, plain); break;
        default: unpack_as(call, h, QVF_F32, word, plain); break;
        }
}

/* Sums of 32 rows become those of a larger base. */
static void shrink_sums(const struct head *h, float *sums, const float *shrink)
{
        for (uint32_t i = 0; i < h->across * BLOCK_SIDE; i++)
                for (uint32_t c = 0; c < BLOCK_SIDE; c += LANES)
                        store(sums + i * BLOCK_SIDE + c,
                                        load(sums + i * BLOCK_SIDE + c) * all(shrink[i % BLOCK_SIDE]));
}

/* The best word of the rows so far, and a base that fits all logits until now; `shrink` is what sums are to be multiplied by.
 * False: by 1. */
static bool take_largest(
                struct state *state, const float *logits, uint32_t word, uint32_t words, float *shrink)
{
        bool shrinks = false;

        for (uint32_t r = 0; r < BLOCK_SIDE; r += LANES) {
                floats largest = all(-INFINITY), best = load(state->best_logit + r);
                floats base = load(state->base + r), raised;
                ints at = *(const ints_anywhere *)(state->best + r), above;

                for (uint32_t n = 0; n < words; n++) {
                        floats l = load(logits + n * BLOCK_SIDE + r);

                        above = l > best;
                        best = choose(above, l, best);
                        at = (above & (int32_t)(word + n)) | (~above & at);
                        largest = larger(l, largest);
                }
                above = largest > base + all(HEADROOM);
                raised = choose(above, largest, base);
                store(state->best_logit + r, best);
                *(ints_anywhere *)(state->best + r) = at;
                store(state->base + r, raised);
                store(shrink + r, choose(above, exponential(base - raised), all(1)));
                shrinks = shrinks || any(above);
        }
        return shrinks;
}

/* Factors of 32 words, and their sums. */
static void take_half(struct state *state, const float *logits, uint32_t word, uint32_t words,
                const int32_t *targets, float *sums, char *factors)
{
        _Alignas(LINE) float e[BLOCK_SIDE * BLOCK_SIDE];

        for (uint32_t r = 0; r < BLOCK_SIDE; r += LANES) {
                floats base = load(state->base + r), own = load(state->target_logit + r),
                       sum = load(sums + r);
                ints target = *(const ints_anywhere *)(targets + r);

                for (uint32_t n = 0; n < BLOCK_SIDE; n++) {
                        floats l = load(logits + n * BLOCK_SIDE + r), share;
                        ints is_target = target == (int32_t)(word + n);

                        own = choose(is_target, l, own);
                        share = (floats)(~is_target & (ints)exponential(l - base));
                        share = n < words ? share : zeros();
                        sum += share;
                        store(e + n * BLOCK_SIDE + r, share);
                }
                store(state->target_logit + r, own);
                store(sums + r, sum);
        }
        block_left_turned(e, factors);
}

/* Takes a block of logits, 32 rows, into the part's state, and makes factors of them. */
static void take_logits(const struct cpu_call *call, const struct head *h, uint32_t part, uint32_t row_block,
                uint32_t word, bool first)
{
        struct state *state = &h->states[(size_t)part * h->group_rows / BLOCK_SIDE + row_block];
        const float *logits = h->logits + (size_t)row_block * BLOCK_WORDS * BLOCK_SIDE;
        uint32_t words = h->words - word < BLOCK_WORDS ? h->words - word : BLOCK_WORDS;
        float shrink[BLOCK_SIDE], sums[BLOCK_SIDE] = { 0 };
        int32_t targets[BLOCK_SIDE];

        for (uint32_t i = 0; i < BLOCK_SIDE; i++) {
                targets[i] = target_of(call, h, h->row + row_block * BLOCK_SIDE + i);
                if (first) {
                        state->base[i] = state->best_logit[i] = -INFINITY;
                        state->best[i] = 0;
                        state->target_logit[i] = 0;
                        state->others[i] = 0;
                }
        }
        if (take_largest(state, logits, word, words, shrink) && !first && call->operand[DX].data)
                shrink_sums(h, sums_of(h, part) + (size_t)row_block * BLOCK_SIDE * h->columns, shrink);
        for (uint32_t half = 0; half < HALVES && half * BLOCK_SIDE < words; half++)
                take_half(state, logits + half * BLOCK_SIDE * BLOCK_SIDE, word + half * BLOCK_SIDE,
                                words - half * BLOCK_SIDE, targets, sums,
                                h->factors + ((size_t)row_block * HALVES + half) * BLOCK_LOW);
        for (uint32_t i = 0; i < BLOCK_SIDE; i++)
                state->others[i] = state->others[i] * (double)shrink[i] + (double)sums[i];
}

/* Adds the block's factors times its weights to 32 rows of the part's sums. */
static void add_gradient(const struct head *h, float *sums, uint32_t row_block, uint32_t halves, bool first)
{
        sums += (size_t)row_block * BLOCK_SIDE * h->columns;
        for (uint32_t across = 0; across < h->across; across++)
                block_product(h->factors + (size_t)row_block * HALVES * BLOCK_LOW,
                                h->plain + (size_t)across * BLOCK_LOW, (size_t)h->across * BLOCK_LOW, halves,
                                !first, sums + (size_t)across * BLOCK_SIDE * BLOCK_SIDE);
}

static void run_block(const struct cpu_call *call, const struct head *h, uint32_t part, uint32_t block)
{
        uint32_t word = block * BLOCK_WORDS, halves = ceil_div(h->words - word, BLOCK_SIDE);
        bool first = block == part_begin(h, part);

        halves = halves < HALVES ? halves : HALVES;
        for (uint32_t half = 0; half < halves; half++) {
                unpack(call, h, word + half * BLOCK_SIDE, half);
                for (uint32_t i = 0; i < h->row_blocks; i++)
                        block_product_split(h->split, h->x + (size_t)i * h->across * BLOCK_SPLIT, h->across,
                                        h->logits + ((size_t)i * BLOCK_WORDS + half * BLOCK_SIDE) *
                                                                        BLOCK_SIDE);
        }
        for (uint32_t i = 0; i < h->row_blocks; i++)
                take_logits(call, h, part, i, word, first);
        for (uint32_t i = 0; i < h->row_blocks && call->operand[DX].data; i++)
                add_gradient(h, sums_of(h, part), i, halves, first);
        cpu_pause_point(call);
}

static void run_parts(const struct cpu_call *call, const struct head *h)
{
        uint32_t begin, end;

        cpu_share(call, h->parts, 1, &begin, &end);
        block_begin();
        for (uint32_t part = begin; part < end; part++)
                for (uint32_t block = part_begin(h, part); block < part_begin(h, part + 1); block++)
                        run_block(call, h, part, block);
        block_end();
        cpu_barrier(call);
}

/* dx = loss_scale (Σ_parts exp(base - largest) / total · sums - others / total · W[target]) */
static void store_gradient(const struct cpu_call *call, const struct head *h, uint32_t row, double largest,
                double others, double total)
{
        int32_t target = target_of(call, h, h->row + row);
        const struct state *states = &h->states[row / BLOCK_SIDE];
        float *dx = row_of(call, DX, h->row + row), factor[PARTS_MOST];
        double scale = (double)call->args->loss_scale / total;
        const float *sums = h->sums + (size_t)row / BLOCK_SIDE * BLOCK_SIDE * h->columns +
                            (size_t)(row % BLOCK_SIDE * BLOCK_SIDE);

        if (target < 0) {
                memset(dx, 0, h->columns * sizeof(*dx));
                return;
        }
        for (uint32_t part = 0; part < h->parts; part++) {
                double base = (double)states[(size_t)part * h->group_rows / BLOCK_SIDE]
                                              .base[row % BLOCK_SIDE];

                factor[part] = (float)(scale * exp(base - largest));
        }
        for (uint32_t c = 0; c < h->columns; c += LANES) {
                const float *from = sums + (size_t)c / BLOCK_SIDE * BLOCK_SIDE * BLOCK_SIDE + c % BLOCK_SIDE;
                floats sum = zeros();

                for (uint32_t part = 0; part < h->parts; part++)
                        sum = fma_of(all(factor[part]), load(from + part * sums_count(h)), sum);
                store(dx + c, fma_of(all((float)(-scale * others)),
                                              load_weights(call->operand[W].dtype,
                                                              word_of(call, (uint32_t)target), c),
                                              sum));
        }
}

/* Puts the parts of a row together. */
static void finish_row(const struct cpu_call *call, const struct head *h, uint32_t row)
{
        int32_t target = target_of(call, h, h->row + row), best = 0;
        double largest = -INFINITY, others = 0, total, target_logit = 0;
        const struct state *states = &h->states[row / BLOCK_SIDE];
        uint32_t lane = row % BLOCK_SIDE, step = h->group_rows / BLOCK_SIDE;

        for (uint32_t part = 0; part < h->parts; part++) {
                const struct state *s = &states[(size_t)part * step];

                if ((double)s->best_logit[lane] > largest) {
                        largest = (double)s->best_logit[lane];
                        best = s->best[lane];
                }
                if (target >= 0 && (uint32_t)target / BLOCK_WORDS >= part_begin(h, part))
                        target_logit = (double)s->target_logit[lane];
        }
        for (uint32_t part = 0; part < h->parts; part++)
                others += states[(size_t)part * step].others[lane] *
                          exp((double)states[(size_t)part * step].base[lane] - largest);
        total = others + exp(target_logit - largest);
        *row_of(call, LOSS, h->row + row) = target < 0 ? 0 : (float)(largest + log(total) - target_logit);
        if (call->operand[BEST].data)
                ((int32_t *)call->operand[BEST].data)[h->row + row] = best;
        if (call->operand[DX].data)
                store_gradient(call, h, row, largest, others, total);
}

static void finish_rows(const struct cpu_call *call, const struct head *h)
{
        uint32_t begin, end;

        cpu_share(call, h->rows, 1, &begin, &end);
        for (uint32_t row = begin; row < end; row++)
                finish_row(call, h, row);
}

void LEVEL(head_loss)(const struct cpu_call *call)
{
        struct head h = head_of(call);

        for (h.row = 0; h.row < call->rows; h.row += h.rows) {
                h.rows = call->rows - h.row < h.group_rows ? call->rows - h.row : h.group_rows;
                h.row_blocks = ceil_div(h.rows, BLOCK_SIDE);
                pack_rows(call, &h);
                run_parts(call, &h);
                finish_rows(call, &h);
        }
}

size_t LEVEL(head_loss_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        struct head h = shape_of(operands);

        (void)op;
        return states_bytes(&h) + x_bytes(&h) + sums_bytes(&h) + n_threads * thread_bytes(&h);
}

static inline bool head_loss_fits(const struct cpu_operand *operands)
{
        return dense_known(operands[W].dtype) && !operands[W].packed &&
               operands[X].columns % BLOCK_SIDE == 0 && operands[X].columns == operands[W].columns;
}

#endif
