/* SPDX-License-Identifier: Apache-2.0 */
/* loss = log Σ_n exp(l[n]) - l[target] with l = W x; dx = loss_scale Σ_n (softmax(l)[n] - [n = target]) W[n].
 *
 * The words are cut into parts, as many as 16 whatever the number of threads, and a part is gone through once, 64 words at
 * a time: its weights become tiles, logits come out of the unit with words as rows, and exp(l - base) times the weights is
 * added to the part's own sums, where base is a number near the largest logit so far. The target is left out of them: its
 * factor p - 1 may be small, and is known at the end, when the parts are put together.
 *
 * Logits are products of pairs of bf16, as right as floats; the gradient's factors are one bf16, right to 2⁻⁸ each. */
#include <math.h>

#include "plugins/cpu/amx/bf16.h"
#include "plugins/cpu/amx/kernels.h"
#include "plugins/cpu/amx/tile.h"
#include "plugins/cpu/avx512/dense.h"
#include "plugins/cpu/avx512/math.h"

#define PARTS_MOST 16u
#define SUMS_BYTES ((uint32_t)9 << 20) /* of all parts, if 32 rows need no more */
#define ROWS_MOST 128u                 /* of a group: their x and sums stay in L2 */
#define BLOCK_WORDS (2 * BLOCK_SIDE)   /* of a part at a time */
#define HALVES (BLOCK_WORDS / BLOCK_SIDE)
#define HEADROOM 16.0f /* that a logit may be above the base before the sums are made smaller */
#define BLOCK_BYTES (BLOCK_SIDE * BLOCK_SIDE * sizeof(float))

/* 32 rows by 32 columns of a factor: its two tiles, and those of what they lack. */
enum { HIGH = 0, LOW = 2 * TILE_BYTES, SPLIT_BYTES = 4 * TILE_BYTES, PLAIN_BYTES = 2 * TILE_BYTES };

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };

struct state { /* of 16 rows in a part */
        float base[LANES], best_logit[LANES], target_logit[LANES];
        int32_t best[LANES];
        double others[LANES]; /* Σ exp(l - base) over all words but the target */
};

struct head {
        uint32_t words, columns, blocks, parts;
        uint32_t across;                /* blocks of 32 columns */
        uint32_t row, rows, row_blocks; /* of the group of rows that is at work, and its blocks of 32 */
        uint32_t group_rows;            /* of a whole group */
        float *sums;                    /* [part][row block][column block][32][32] */
        struct state *states;           /* [part][row tile] */
        char *x;                        /* [row block][column block] of split tiles */
        /* Of this thread: weights for logits, [column block] of split tiles, and for the gradient,
         * [half][column block] of plain ones; logits, [row block][word][32]; their factors, [row block][half] of plain ones. */
        char *split, *plain, *factors;
        float *logits;
};

static uint32_t ceil_div(uint32_t a, uint32_t b)
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
        h.across = h.columns / PAIR_COLUMNS;
        rows = SUMS_BYTES / (uint32_t)sizeof(float) / h.parts / h.columns;
        h.group_rows = (uint32_t)round_up(most < rows ? most : rows, BLOCK_SIDE);
        if (h.group_rows > BLOCK_SIDE && h.group_rows > rows)
                h.group_rows -= BLOCK_SIDE;
        return h;
}

static size_t states_bytes(const struct head *h)
{
        return round_up((size_t)h->parts * h->group_rows / LANES * sizeof(struct state), LINE);
}

static size_t x_bytes(const struct head *h)
{
        return (size_t)h->group_rows / BLOCK_SIDE * h->across * SPLIT_BYTES;
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
        return (size_t)h->across * (SPLIT_BYTES + HALVES * PLAIN_BYTES) + logits_bytes(h) +
               (size_t)h->group_rows / BLOCK_SIDE * HALVES * PLAIN_BYTES;
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
        at += (size_t)h.across * SPLIT_BYTES;
        h.plain = at;
        at += (size_t)h.across * HALVES * PLAIN_BYTES;
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

/* 16 rows by 32 columns of x. */
static void pack_tile(const struct cpu_call *call, const struct head *h, uint32_t tile, uint32_t across)
{
        char *to = h->x + ((size_t)(tile / 2) * h->across + across) * SPLIT_BYTES + tile % 2 * TILE_BYTES;
        __m512i high[16], low[16];

        for (uint32_t i = 0; i < TILE_SIDE; i++) {
                uint32_t row = tile * TILE_SIDE + i;
                const float *x = row_of(call, X, h->row + row) + across * PAIR_COLUMNS;

                if (row < h->rows)
                        split_bf16(_mm512_loadu_ps(x), _mm512_loadu_ps(x + LANES), &high[i], &low[i]);
                else
                        high[i] = low[i] = _mm512_setzero_si512();
        }
        transpose_dwords(high);
        transpose_dwords(low);
        for (uint32_t i = 0; i < TILE_SIDE; i++) {
                _mm512_store_si512(to + HIGH + i * TILE_LINE, high[i]);
                _mm512_store_si512(to + LOW + i * TILE_LINE, low[i]);
        }
}

static void pack_rows(const struct cpu_call *call, const struct head *h)
{
        uint32_t begin, end;

        cpu_share(call, 2 * h->row_blocks * h->across, 1, &begin, &end);
        for (uint32_t i = begin; i < end; i++)
                pack_tile(call, h, i / h->across, i % h->across);
        cpu_barrier(call);
}

static ALWAYS_INLINE void load_split(const struct cpu_call *call, const uint32_t dtype, uint32_t word,
                uint32_t c, __m512i *ret_high, __m512i *ret_low)
{
        const uint8_t *from = word_of(call, word);

        if (word < call->operand[W].rows)
                split_bf16(load_weights(dtype, from, c), load_weights(dtype, from, c + LANES), ret_high,
                                ret_low);
        else
                *ret_high = *ret_low = _mm512_setzero_si512();
}

/* Two tiles of 16 words each, side by side as the gradient wants them. The same columns of the next words are fetched
 * meanwhile: a thread reads W at many places at once, and by itself the hardware follows only a few of them. */
static ALWAYS_INLINE void unpack_block(const struct cpu_call *call, const uint32_t dtype, uint32_t word,
                uint32_t across, char *split, char *plain)
{
        size_t row_bytes = dense_row_bytes(dtype, call->operand[W].columns);
        uint32_t c = across * PAIR_COLUMNS;
        size_t begin = dense_row_bytes(dtype, call->operand[W].columns) * c / call->operand[W].columns;

        for (uint32_t i = 0; i < BLOCK_SIDE; i += 2) {
                __m512i high[2], low[2], first, second;

                for (uint32_t j = 0; j < 2; j++) {
                        char *to = split + (i + j) * TILE_LINE;

                        if (word + BLOCK_SIDE + i + j < call->operand[W].rows)
                                _mm_prefetch((const char *)word_of(call, word + i + j) +
                                                                BLOCK_SIDE * row_bytes + begin,
                                                _MM_HINT_T1);
                        load_split(call, dtype, word + i + j, c, &high[j], &low[j]);
                        _mm512_store_si512(to + HIGH, high[j]);
                        _mm512_store_si512(to + LOW, low[j]);
                }
                interleave_bf16(high[0], high[1], &first, &second);
                _mm512_store_si512(plain + i / 2 * TILE_LINE, first);
                _mm512_store_si512(plain + TILE_BYTES + i / 2 * TILE_LINE, second);
        }
}

static ALWAYS_INLINE void unpack_as(const struct cpu_call *call, const struct head *h, const uint32_t dtype,
                uint32_t word, char *plain)
{
        for (uint32_t across = 0; across < h->across; across++)
                unpack_block(call, dtype, word, across, h->split + (size_t)across * SPLIT_BYTES,
                                plain + (size_t)across * PLAIN_BYTES);
}

/* 32 words; those that are not there are zeros. */
static void unpack(const struct cpu_call *call, const struct head *h, uint32_t word, uint32_t half)
{
        char *plain = h->plain + (size_t)half * h->across * PLAIN_BYTES;

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

/* 32 words by 32 rows. */
static void compute_logits(const struct head *h, uint32_t row_block, uint32_t half)
{
        const char *x = h->x + (size_t)row_block * h->across * SPLIT_BYTES, *w = h->split;

        tiles_clear();
        for (uint32_t across = 0; across < h->across; across++) {
                tiles_load_rows(w + LOW, w + LOW + TILE_BYTES, TILE_LINE);
                tiles_load_columns(x + HIGH, x + HIGH + TILE_BYTES);
                tiles_multiply_bf16();
                tiles_load_rows(w + HIGH, w + HIGH + TILE_BYTES, TILE_LINE);
                tiles_multiply_bf16();
                tiles_load_columns(x + LOW, x + LOW + TILE_BYTES);
                tiles_multiply_bf16();
                w += SPLIT_BYTES;
                x += SPLIT_BYTES;
        }
        tiles_store(h->logits + ((size_t)row_block * BLOCK_WORDS + half * BLOCK_SIDE) * BLOCK_SIDE,
                        BLOCK_SIDE * sizeof(float));
}

/* The sums of 16 rows become those of a larger base. */
static void shrink_sums(const struct head *h, float *sums, uint32_t tile, __m512 shrink)
{
        float factors[LANES];

        _mm512_storeu_ps(factors, shrink);
        sums += (size_t)tile / 2 * BLOCK_SIDE * h->columns + tile % 2 * TILE_SIDE * BLOCK_SIDE;
        for (uint32_t across = 0; across < h->across; across++)
                for (uint32_t i = 0; i < TILE_SIDE; i++) {
                        float *row = sums + ((size_t)across * BLOCK_SIDE + i) * BLOCK_SIDE;
                        __m512 factor = _mm512_set1_ps(factors[i]);

                        _mm512_storeu_ps(row, _mm512_mul_ps(_mm512_loadu_ps(row), factor));
                        _mm512_storeu_ps(row + LANES, _mm512_mul_ps(_mm512_loadu_ps(row + LANES), factor));
                }
}

static ALWAYS_INLINE void add_doubles(double *to, __m512 numbers, __m512 shrink)
{
        for (unsigned i = 0; i < 2; i++) {
                __m256 part = i ? _mm512_extractf32x8_ps(numbers, 1) : _mm512_castps512_ps256(numbers);
                __m256 factor = i ? _mm512_extractf32x8_ps(shrink, 1) : _mm512_castps512_ps256(shrink);

                _mm512_storeu_pd(
                                to + 8 * i, _mm512_fmadd_pd(_mm512_loadu_pd(to + 8 * i),
                                                            _mm512_cvtps_pd(factor), _mm512_cvtps_pd(part)));
        }
}

/* The best word of 16 rows so far, and the base that fits all logits until now; returns what sums are to be multiplied by. */
static __m512 take_largest(struct state *state, const float *logits, uint32_t word, uint32_t words)
{
        __m512 largest = _mm512_set1_ps(-INFINITY), best = _mm512_loadu_ps(state->best_logit);
        __m512 base = _mm512_loadu_ps(state->base), raised;
        __m512i at = _mm512_loadu_si512(state->best);
        __mmask16 above;

        for (uint32_t n = 0; n < words; n++) {
                __m512 l = _mm512_loadu_ps(logits + n * BLOCK_SIDE);

                above = _mm512_cmp_ps_mask(l, best, _CMP_GT_OQ);
                best = _mm512_mask_mov_ps(best, above, l);
                at = _mm512_mask_mov_epi32(at, above, _mm512_set1_epi32((int)(word + n)));
                largest = _mm512_max_ps(l, largest);
        }
        above = _mm512_cmp_ps_mask(largest, _mm512_add_ps(base, _mm512_set1_ps(HEADROOM)), _CMP_GT_OQ);
        raised = _mm512_mask_mov_ps(base, above, largest);
        _mm512_storeu_ps(state->best_logit, best);
        _mm512_storeu_si512(state->best, at);
        _mm512_storeu_ps(state->base, raised);
        return _mm512_mask_mov_ps(_mm512_set1_ps(1), above, vector_exp(_mm512_sub_ps(base, raised)));
}

/* Factors of 32 words by 16 rows, and their sum. */
static ALWAYS_INLINE __m512 take_half(struct state *state, const float *logits, uint32_t word,
                uint32_t words, __m512i target, char *factors)
{
        __m512 base = _mm512_loadu_ps(state->base), own = _mm512_loadu_ps(state->target_logit);
        __m512 sum = _mm512_setzero_ps();
        __m512i pairs[16];

        for (uint32_t i = 0; i < 16; i++) {
                __m512 e[2];

                for (uint32_t j = 0; j < 2; j++) {
                        uint32_t n = 2 * i + j;
                        __m512 l = _mm512_loadu_ps(logits + n * BLOCK_SIDE);
                        __mmask16 is_target =
                                        _mm512_cmpeq_epi32_mask(target, _mm512_set1_epi32((int)(word + n)));
                        __mmask16 other = n < words ? (__mmask16)~is_target : 0;

                        own = _mm512_mask_mov_ps(own, is_target, l);
                        e[j] = _mm512_maskz_mov_ps(other, vector_exp(_mm512_sub_ps(l, base)));
                        sum = _mm512_add_ps(sum, e[j]);
                }
                pairs[i] = pair_bf16(e[0], e[1]);
        }
        transpose_dwords(pairs);
        for (uint32_t i = 0; i < TILE_SIDE; i++)
                _mm512_store_si512(factors + i * TILE_LINE, pairs[i]);
        _mm512_storeu_ps(state->target_logit, own);
        return sum;
}

/* Takes a block of logits, 16 rows, into the part's state, and makes factors of them. */
static void take_logits(const struct cpu_call *call, const struct head *h, uint32_t part, uint32_t tile,
                uint32_t word, bool first)
{
        struct state *state = &h->states[(size_t)part * h->group_rows / LANES + tile];
        const float *logits = h->logits + (size_t)tile / 2 * BLOCK_WORDS * BLOCK_SIDE + tile % 2 * LANES;
        char *factors = h->factors + (size_t)tile / 2 * HALVES * PLAIN_BYTES + tile % 2 * TILE_BYTES;
        uint32_t words = h->words - word < BLOCK_WORDS ? h->words - word : BLOCK_WORDS;
        int32_t targets[LANES];
        __m512 shrink, sum = _mm512_setzero_ps();

        for (uint32_t i = 0; i < LANES; i++) {
                targets[i] = target_of(call, h, h->row + tile * LANES + i);
                if (first) {
                        state->base[i] = state->best_logit[i] = -INFINITY;
                        state->best[i] = 0;
                        state->target_logit[i] = 0;
                        state->others[i] = 0;
                }
        }
        shrink = take_largest(state, logits, word, words);
        if (!first && call->operand[DX].data && _mm512_cmp_ps_mask(shrink, _mm512_set1_ps(1), _CMP_NEQ_UQ))
                shrink_sums(h, sums_of(h, part), tile, shrink);
        for (uint32_t half = 0; half < HALVES && half * BLOCK_SIDE < words; half++)
                sum = _mm512_add_ps(sum,
                                take_half(state, logits + half * BLOCK_SIDE * BLOCK_SIDE,
                                                word + half * BLOCK_SIDE, words - half * BLOCK_SIDE,
                                                _mm512_loadu_si512(targets), factors + half * PLAIN_BYTES));
        add_doubles(state->others, sum, shrink);
}

/* Adds the block's factors times its weights to 32 rows of the part's sums. */
static void add_gradient(const struct head *h, float *sums, uint32_t row_block, uint32_t halves, bool first)
{
        const char *factors = h->factors + (size_t)row_block * HALVES * PLAIN_BYTES;

        sums += (size_t)row_block * BLOCK_SIDE * h->columns;
        for (uint32_t across = 0; across < h->across; across++) {
                if (first)
                        tiles_clear();
                else
                        tiles_load_sums(sums, BLOCK_SIDE * sizeof(float));
                for (uint32_t half = 0; half < halves; half++) {
                        const char *f = factors + half * PLAIN_BYTES;
                        const char *w = h->plain + ((size_t)half * h->across + across) * PLAIN_BYTES;

                        tiles_load_rows(f, f + TILE_BYTES, TILE_LINE);
                        tiles_load_columns(w, w + TILE_BYTES);
                        tiles_multiply_bf16();
                }
                tiles_store(sums, BLOCK_SIDE * sizeof(float));
                sums += BLOCK_SIDE * BLOCK_SIDE;
        }
}

static void run_block(const struct cpu_call *call, const struct head *h, uint32_t part, uint32_t block)
{
        uint32_t word = block * BLOCK_WORDS, halves = ceil_div(h->words - word, BLOCK_SIDE);
        bool first = block == part_begin(h, part);

        halves = halves < HALVES ? halves : HALVES;
        for (uint32_t half = 0; half < halves; half++) {
                unpack(call, h, word + half * BLOCK_SIDE, half);
                for (uint32_t row_block = 0; row_block < h->row_blocks; row_block++)
                        compute_logits(h, row_block, half);
        }
        for (uint32_t tile = 0; tile < 2 * h->row_blocks; tile++)
                take_logits(call, h, part, tile, word, first);
        for (uint32_t row_block = 0; row_block < h->row_blocks && call->operand[DX].data; row_block++)
                add_gradient(h, sums_of(h, part), row_block, halves, first);
        cpu_pause_point(call);
}

static void run_parts(const struct cpu_call *call, const struct head *h)
{
        uint32_t begin, end;

        cpu_share(call, h->parts, 1, &begin, &end);
        tiles_begin();
        for (uint32_t part = begin; part < end; part++)
                for (uint32_t block = part_begin(h, part); block < part_begin(h, part + 1); block++)
                        run_block(call, h, part, block);
        tiles_end();
        cpu_barrier(call);
}

/* dx = loss_scale (Σ_parts exp(base - largest) / total · sums - others / total · W[target]) */
static void store_gradient(const struct cpu_call *call, const struct head *h, uint32_t row, double largest,
                double others, double total)
{
        int32_t target = target_of(call, h, h->row + row);
        float *dx = row_of(call, DX, h->row + row), factor[PARTS_MOST];
        double scale = (double)call->args->loss_scale / total;
        const struct cpu_operand *w = &call->operand[W];

        for (uint32_t part = 0; part < h->parts; part++)
                factor[part] = (float)(scale *
                                       exp((double)h->states[((size_t)part * h->group_rows + row) / LANES]
                                                                       .base[row % LANES] -
                                                       largest));
        for (uint32_t c = 0; c < h->columns; c += LANES) {
                size_t at = (size_t)row / BLOCK_SIDE * BLOCK_SIDE * h->columns +
                            (size_t)c / BLOCK_SIDE * BLOCK_SIDE * BLOCK_SIDE +
                            row % BLOCK_SIDE * BLOCK_SIDE + c % BLOCK_SIDE;
                __m512 sum = _mm512_setzero_ps();

                for (uint32_t part = 0; part < h->parts && target >= 0; part++)
                        sum = _mm512_fmadd_ps(_mm512_set1_ps(factor[part]),
                                        _mm512_loadu_ps(sums_of(h, part) + at), sum);
                if (target >= 0)
                        sum = _mm512_fmadd_ps(_mm512_set1_ps((float)(-scale * others)),
                                        load_weights(w->dtype, word_of(call, (uint32_t)target), c), sum);
                _mm512_storeu_ps(dx + c, sum);
        }
}

/* Puts the parts of a row together. */
static void finish_row(const struct cpu_call *call, const struct head *h, uint32_t row)
{
        int32_t target = target_of(call, h, h->row + row), best = 0;
        double largest = -INFINITY, others = 0, total, target_logit = 0;
        const struct state *states = &h->states[row / LANES];
        uint32_t lane = row % LANES, step = h->group_rows / LANES;

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

void cpu_amx_head_loss(const struct cpu_call *call)
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

size_t cpu_amx_head_loss_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        struct head h = shape_of(operands);

        (void)op;
        return states_bytes(&h) + x_bytes(&h) + sums_bytes(&h) + n_threads * thread_bytes(&h);
}

bool cpu_amx_head_loss_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return dense_known(operands[W].dtype) && !operands[W].packed &&
               operands[X].columns % PAIR_COLUMNS == 0 && operands[X].columns == operands[W].columns &&
               cpu_amx_has_bf16();
}
