/* SPDX-License-Identifier: Apache-2.0 */
/* loss = log Σ_n exp(l[n]) - l[target] with l = W x; dx = loss_scale Σ_n (softmax(l)[n] - [n = target]) W[n]. Logits
 * exist for i0 rows and i1 words at a time. With fewer than all words they are computed twice: first for the sum,
 * then for the gradient.
 *
 * Logits: lanes are words; 32 rows of W become a panel of floats, [column][32], that tiles of up to 12 rows of x run
 * over. Gradients: lanes are columns of dx. */
#include <math.h>

#include "plugins/cpu/avx512/dense.h"
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/math.h"
#include "plugins/cpu/avx512/outer.h"

#define WORDS 32u        /* of a panel */
#define TILE_ROWS 12u    /* with 2 vectors of words they fill 24 of 32 registers */
#define SLICE 64u        /* columns of dx at a time */
#define BLOCK_WORDS 128u /* words of a slice at a time: with SLICE 32 KiB of floats */
#define SUM_WORDS 1024u  /* summed in float before they are added in double */

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };

struct row_state { /* of one of the i0 rows */
        double largest, total;
        float target_logit;
        int32_t best;
};

struct part { /* of the work: these rows, these words */
        uint32_t row, rows, word, words;
        size_t step; /* from a row of logits to the next */
        float *logits;
        struct row_state *states;
        float *x;     /* the part's rows as tiles: [column][rows of the tile] */
        float *panel; /* of this thread */
};

static float *row_of(const struct cpu_call *call, unsigned operand, uint32_t row)
{
        return (float *)call->operand[operand].data + (size_t)row * call->operand[operand].columns;
}

/* The word that a row should have said; -1: the loss doesn't look here. */
static int32_t target_of(const struct cpu_call *call, uint32_t row)
{
        int32_t target = ((const int32_t *)call->operand[TARGET].data)[row];

        return target >= 0 && (uint32_t)target < call->operand[W].rows ? target : -1;
}

static const uint8_t *word_of(const struct cpu_call *call, uint32_t word)
{
        const struct cpu_operand *w = &call->operand[W];

        return (const uint8_t *)w->data + word * dense_row_bytes(w->dtype, w->columns);
}

static uint32_t tile_count(const struct part *part)
{
        return (part->rows + TILE_ROWS - 1) / TILE_ROWS;
}

static uint32_t tile_begin(const struct part *part, uint32_t tile)
{
        return (uint32_t)((uint64_t)part->rows * tile / tile_count(part));
}

static void pack_rows(const struct cpu_call *call, const struct part *part)
{
        uint32_t begin, end, columns = call->operand[X].columns;

        cpu_share(call, tile_count(part), 1, &begin, &end);
        for (uint32_t tile = begin; tile < end; tile++) {
                uint32_t first = tile_begin(part, tile), rows = tile_begin(part, tile + 1) - first;
                float *to = part->x + (size_t)first * columns;

                for (uint32_t r = 0; r < rows; r++)
                        for (uint32_t c = 0; c < columns; c++)
                                to[(size_t)c * rows + r] = row_of(call, X, part->row + first + r)[c];
        }
        cpu_barrier(call);
}

/* Fetches the numbers [c, c + columns) of the words [word, word + words) into L2: a thread reads W at many places at
 * once, and by itself the hardware follows only a few of them. */
static void fetch(const struct cpu_call *call, uint32_t word, uint32_t words, uint32_t c, uint32_t columns)
{
        const struct cpu_operand *w = &call->operand[W];
        size_t row_bytes = dense_row_bytes(w->dtype, w->columns);
        size_t begin = row_bytes * c / w->columns, bytes = row_bytes * columns / w->columns;

        for (uint32_t i = 0; i < words && word + i < w->rows; i++)
                for (size_t at = 0; at < bytes; at += LINE)
                        _mm_prefetch((const char *)word_of(call, word + i) + begin + at, _MM_HINT_T1);
}

/* A panel of words; the next one is fetched meanwhile. */
static void unpack(const struct cpu_call *call, uint32_t word, uint32_t words, float *panel)
{
        const struct cpu_operand *w = &call->operand[W];

        for (uint32_t half = 0; half < WORDS; half += LANES) {
                for (uint32_t c = 0; c < w->columns; c += LANES) {
                        __m512i m[16];

                        if (c % SLICE == 0)
                                fetch(call, word + WORDS + half, LANES, c, SLICE);
                        for (uint32_t i = 0; i < 16; i++)
                                m[i] = half + i < words ? _mm512_castps_si512(load_weights(w->dtype,
                                                                          word_of(call, word + half + i), c))
                                                        : _mm512_setzero_si512();
                        transpose_dwords(m);
                        for (uint32_t i = 0; i < 16; i++)
                                _mm512_store_si512(panel + (size_t)(c + i) * WORDS + half, m[i]);
                }
        }
}

static ALWAYS_INLINE void run_tile(const float *panel, const float *x, uint32_t columns, float *logits,
                size_t step, uint32_t words, const unsigned R)
{
        __m512 acc[2 * TILE_ROWS];

        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                acc[i] = _mm512_setzero_ps();
        for (uint32_t c = 0; c < columns; c++) {
                __m512 low = _mm512_load_ps(panel), high = _mm512_load_ps(panel + LANES);

                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        __m512 number = _mm512_set1_ps(x[r]);

                        acc[2 * r] = _mm512_fmadd_ps(number, low, acc[2 * r]);
                        acc[2 * r + 1] = _mm512_fmadd_ps(number, high, acc[2 * r + 1]);
                }
                panel += WORDS;
                x += R;
        }
        UNROLL
        for (unsigned r = 0; r < R; r++) {
                _mm512_mask_storeu_ps(logits + r * step, lanes_left(words), acc[2 * r]);
                if (words > LANES)
                        _mm512_mask_storeu_ps(logits + r * step + LANES, lanes_left(words - LANES),
                                        acc[2 * r + 1]);
        }
}

static void run_any_tile(const float *panel, const float *x, uint32_t columns, float *logits, size_t step,
                uint32_t words, uint32_t rows)
{
        switch (rows) {
        case 1: run_tile(panel, x, columns, logits, step, words, 1); break;
        case 2: run_tile(panel, x, columns, logits, step, words, 2); break;
        case 3: run_tile(panel, x, columns, logits, step, words, 3); break;
        case 4: run_tile(panel, x, columns, logits, step, words, 4); break;
        case 5: run_tile(panel, x, columns, logits, step, words, 5); break;
        case 6: run_tile(panel, x, columns, logits, step, words, 6); break;
        case 7: run_tile(panel, x, columns, logits, step, words, 7); break;
        case 8: run_tile(panel, x, columns, logits, step, words, 8); break;
        case 9: run_tile(panel, x, columns, logits, step, words, 9); break;
        case 10: run_tile(panel, x, columns, logits, step, words, 10); break;
        case 11: run_tile(panel, x, columns, logits, step, words, 11); break;
        default: run_tile(panel, x, columns, logits, step, words, 12); break;
        }
}

static void compute_logits(const struct cpu_call *call, const struct part *part)
{
        uint32_t begin, end, columns = call->operand[X].columns;

        cpu_share(call, part->words, WORDS, &begin, &end);
        for (uint32_t n = begin; n < end; n += WORDS) {
                uint32_t words = end - n < WORDS ? end - n : WORDS;

                unpack(call, part->word + n, words, part->panel);
                for (uint32_t tile = 0; tile < tile_count(part); tile++) {
                        uint32_t first = tile_begin(part, tile), rows = tile_begin(part, tile + 1) - first;

                        run_any_tile(part->panel, part->x + (size_t)first * columns, columns,
                                        part->logits + first * part->step + n, part->step, words, rows);
                }
                cpu_pause_point(call);
        }
        cpu_barrier(call);
}

static float largest_of(const float *x, uint32_t count)
{
        __m512 largest = _mm512_set1_ps(-INFINITY);

        for (uint32_t i = 0; i < count; i += LANES) {
                __mmask16 there = lanes_left(count - i);

                largest = _mm512_mask_max_ps(largest, there, _mm512_maskz_loadu_ps(there, x + i), largest);
        }
        return _mm512_reduce_max_ps(largest);
}

/* Σ exp(x - largest) */
static double sum_exp(const float *x, uint32_t count, float largest)
{
        __m512 base = _mm512_set1_ps(largest);
        double total = 0;

        for (uint32_t chunk = 0; chunk < count; chunk += SUM_WORDS) {
                uint32_t end = count - chunk < SUM_WORDS ? count : chunk + SUM_WORDS;
                __m512 sum = _mm512_setzero_ps();

                for (uint32_t i = chunk; i < end; i += LANES) {
                        __m512 e = vector_exp(_mm512_sub_ps(load_floats(x + i, end - i, false), base));

                        sum = _mm512_mask_add_ps(sum, lanes_left(end - i), sum, e);
                }
                total += (double)_mm512_reduce_add_ps(sum);
        }
        return total;
}

/* Takes the part's logits into the rows' sums. */
static void reduce(const struct cpu_call *call, const struct part *part)
{
        uint32_t begin, end;

        cpu_share(call, part->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const float *logits = part->logits + r * part->step;
                struct row_state *state = &part->states[r];
                int32_t target = target_of(call, part->row + r);
                float largest = largest_of(logits, part->words);

                if (part->word == 0)
                        *state = (struct row_state){ .largest = -INFINITY };
                if (target >= 0 && (uint32_t)target >= part->word &&
                                (uint32_t)target < part->word + part->words)
                        state->target_logit = logits[(uint32_t)target - part->word];
                if ((double)largest > state->largest) {
                        uint32_t n = 0;

                        while (n < part->words - 1 && logits[n] != largest)
                                n++;
                        state->best = (int32_t)(part->word + n);
                        state->total *= exp(state->largest - (double)largest);
                        state->largest = (double)largest;
                }
                state->total += sum_exp(logits, part->words, (float)state->largest);
        }
        cpu_barrier(call);
}

static void store_loss(const struct cpu_call *call, const struct part *part)
{
        uint32_t begin, end;

        cpu_share(call, part->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const struct row_state *state = &part->states[r];
                double loss = state->largest + log(state->total) - (double)state->target_logit;

                *row_of(call, LOSS, part->row + r) = target_of(call, part->row + r) < 0 ? 0 : (float)loss;
                if (call->operand[BEST].data)
                        ((int32_t *)call->operand[BEST].data)[part->row + r] = state->best;
        }
}

/* The logits become dloss/dlogit. */
static void differentiate(const struct cpu_call *call, const struct part *part)
{
        uint32_t begin, end;

        cpu_share(call, part->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                const struct row_state *state = &part->states[r];
                int32_t target = target_of(call, part->row + r);
                double scale = (double)call->args->loss_scale;
                __m512 base = _mm512_set1_ps((float)state->largest);
                __m512 factor = _mm512_set1_ps(target < 0 ? 0 : (float)(scale / state->total));
                float *logits = part->logits + r * part->step;
                double logit = 0;

                if (target >= 0 && (uint32_t)target >= part->word &&
                                (uint32_t)target < part->word + part->words)
                        logit = (double)logits[(uint32_t)target - part->word];
                else
                        target = -1;
                for (uint32_t n = 0; n < part->words; n += LANES) {
                        __m512 l = load_floats(logits + n, part->words - n, false);

                        store_floats(logits + n, part->words - n, false,
                                        _mm512_mul_ps(vector_exp(_mm512_sub_ps(l, base)), factor));
                }
                if (target >= 0) /* p - 1 may be small: it is not the difference of two floats */
                        logits[(uint32_t)target - part->word] =
                                        (float)(scale * (exp(logit - state->largest) / state->total - 1));
        }
        cpu_barrier(call);
}

/* Columns [c, c + columns) of dx, at most SLICE, from the words [n, n + words) of the part. */
static void add_block(const struct cpu_call *call, const struct part *part, uint32_t n, uint32_t words,
                uint32_t c, uint32_t columns)
{
        const struct cpu_operand *w = &call->operand[W], *dx = &call->operand[DX];
        struct outer o = {
                .out = row_of(call, DX, part->row) + c,
                .out_step = dx->columns,
                .a = part->logits + n,
                .a_row_step = part->step,
                .a_step = 1,
                .b = part->panel,
                .b_step = SLICE,
                .rows = part->rows,
                .columns = columns,
                .count = words,
                .factor = 1,
                .accumulate = part->word > 0 || n > 0,
        };

        for (uint32_t i = 0; i < words; i++) {
                fetch(call, part->word + n + BLOCK_WORDS + i, 1, c, columns);
                for (uint32_t j = 0; j < columns; j += LANES)
                        _mm512_store_ps(part->panel + i * SLICE + j,
                                        load_weights(w->dtype, word_of(call, part->word + n + i), c + j));
        }
        outer_product(&o);
}

/* Words outside, columns inside: W is read once, in its order. */
static void add_gradient(const struct cpu_call *call, const struct part *part)
{
        uint32_t begin, end;

        cpu_share(call, call->operand[DX].columns, SLICE, &begin, &end);
        for (uint32_t n = 0; n < part->words; n += BLOCK_WORDS) {
                uint32_t words = part->words - n < BLOCK_WORDS ? part->words - n : BLOCK_WORDS;

                for (uint32_t c = begin; c < end; c += SLICE)
                        add_block(call, part, n, words, c, end - c < SLICE ? end - c : SLICE);
                cpu_pause_point(call);
        }
        cpu_barrier(call);
}

static size_t states_bytes(const struct qvf_op *op)
{
        return round_up((size_t)op->i[0] * sizeof(struct row_state), LINE);
}

static size_t packed_bytes(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return round_up((size_t)op->i[0] * operands[X].columns * sizeof(float), LINE);
}

static size_t panel_bytes(const struct cpu_operand *operands)
{
        size_t panel = (size_t)WORDS * operands[X].columns, block = (size_t)BLOCK_WORDS * SLICE;

        return (panel > block ? panel : block) * sizeof(float);
}

void cpu_avx512_head_loss(const struct cpu_call *call)
{
        const struct qvf_op *op = call->op;
        uint32_t words = call->operand[W].rows;
        uint32_t chunk = (uint32_t)op->i[1] < words ? (uint32_t)op->i[1] : words;
        char *scratch = call->scratch;
        struct part part = {
                .step = (uint32_t)op->i[1],
                .logits = call->operand[SCRATCH].data,
                .states = (struct row_state *)scratch,
                .x = (float *)(scratch + states_bytes(op)),
                .panel = (float *)(scratch + states_bytes(op) + packed_bytes(op, call->operand) +
                                   call->thread * panel_bytes(call->operand)),
        };

        for (part.row = 0; part.row < call->rows; part.row += part.rows) {
                part.rows = call->rows - part.row < (uint32_t)op->i[0] ? call->rows - part.row
                                                                       : (uint32_t)op->i[0];
                pack_rows(call, &part);
                for (part.word = 0; part.word < words; part.word += part.words) {
                        part.words = words - part.word < chunk ? words - part.word : chunk;
                        compute_logits(call, &part);
                        reduce(call, &part);
                }
                store_loss(call, &part);
                for (part.word = 0; call->operand[DX].data && part.word < words; part.word += part.words) {
                        part.words = words - part.word < chunk ? words - part.word : chunk;
                        if (chunk < words)
                                compute_logits(call, &part);
                        differentiate(call, &part);
                        add_gradient(call, &part);
                }
                cpu_barrier(call);
        }
}

size_t cpu_avx512_head_loss_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        return states_bytes(op) + packed_bytes(op, operands) + n_threads * panel_bytes(operands);
}

bool cpu_avx512_head_loss_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return dense_known(operands[W].dtype) && !operands[W].packed && operands[X].columns % LANES == 0 &&
               operands[X].columns == operands[W].columns;
}
