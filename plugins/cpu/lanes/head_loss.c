/* SPDX-License-Identifier: Apache-2.0 */
/* loss = log Σ_n exp(l[n]) - l[target] with l = W x; dx = loss_scale Σ_n (softmax(l)[n] - [n = target]) W[n].
 *
 * W is read once. CHUNK words at a time have logits, and right behind them their part of the gradient, under the largest
 * logit so far: what stands of a row before it is shrunk where a larger one comes. The target is left out of these sums:
 *     loss = log(1 + Σ' exp(l[n] - l[target])),  dx = loss_scale (Σ' p[n] W[n] - Σ' p[n] W[target])
 * so that a loss of almost nothing is no difference of large numbers, and its own logit is a sum of floats.
 *
 * A segment of words is one thread's from begin to end; then segments are merged in their order, whoever had them, so
 * that nothing hangs on the number of threads. Both products run over numbers of pairs.h. Logits: lanes are words; some
 * rows of W, turned, become a panel. Gradients: lanes are columns of dx. */
#include <math.h>

#include "plugins/cpu/lanes/dense.h"
#include "plugins/cpu/lanes/pairs.h"

#define ACROSS (2 * LANES)                     /* words of a panel, or columns of a slice */
#define TILE_ROWS (REGISTERS >= 32 ? 12u : 6u) /* two vectors of sums for each */
#define TILE_STEP (TILE_ROWS / 3)              /* tiles have one, two or three times as many rows */
#define CHUNK 128u                             /* words: a multiple of ACROSS */
#define SEGMENT_CHUNKS 8u                      /* or one less */
#define BLOCK_BYTES ((size_t)768 << 10) /* of rows and their gradients, which stay in a core's cache */
#define BLOCK_ROWS_LEAST 96u
#define BLOCK_ROWS_MOST 192u

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };

struct row_state {  /* of a row in a segment, or in all of those merged so far */
        float top;  /* the largest logit but the target's */
        float best; /* the largest of all */
        int32_t best_word;
        double total; /* Σ' exp(l - top) */
        float shrink; /* of the gradient so far, when the chunk's is added, */
        float step;   /* which is in these */
};

struct work {                   /* what all threads share, and this thread's own */
        uint32_t row, rows;     /* of the call: those that are worked on now */
        uint32_t columns, wide; /* wide: whole slices */
        uint32_t words, segments;
        number *x;     /* [rows][wide] */
        float *x_step; /* [rows] */
        struct row_state *merged;
        char *own; /* of all threads, own_bytes each */
        size_t own_bytes;
        uint32_t block_rows; /* at most, whole tiles */
        bool gradient;
};

struct own { /* of a thread; what stands there of a segment is read by others when they merge */
        struct row_state *states;
        float *gradient; /* [rows][wide], in units of Σ' exp(l - top) W */
        float *logits;   /* [rows][CHUNK] */
        number *shares;  /* the same: exp(l - top), times the word's step, in the row's */
        number *words;   /* [CHUNK][wide] */
        float *word_step;
        float *spread; /* [wide] */
        units *panel;  /* [wide / UNIT][2] */
        units *slice;  /* [CHUNK / UNIT][2] */
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

static uint32_t padded_rows(uint32_t rows)
{
        return (uint32_t)round_up(rows, TILE_STEP);
}

/* Lays out one thread's part from `base` on (NULL: only says how long it is). */
static size_t lay_out(const struct work *work, char *base, struct own *own)
{
        size_t rows = work->block_rows, wide = work->wide, chunk = CHUNK;
        struct {
                void **to;
                size_t bytes;
        } parts[] = {
                { (void **)&own->states, rows * sizeof(*own->states) },
                { (void **)&own->gradient, work->gradient ? rows * wide * sizeof(*own->gradient) : 0 },
                { (void **)&own->logits, rows * chunk * sizeof(*own->logits) },
                { (void **)&own->shares, rows * chunk * sizeof(*own->shares) },
                { (void **)&own->words, chunk * wide * sizeof(*own->words) },
                { (void **)&own->word_step, chunk * sizeof(*own->word_step) },
                { (void **)&own->spread, wide * sizeof(*own->spread) },
                { (void **)&own->panel, wide / UNIT * 2 * sizeof(*own->panel) },
                { (void **)&own->slice, chunk / UNIT * 2 * sizeof(*own->slice) },
        };

        size_t at = 0;

        for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
                *parts[i].to = base ? base + at : NULL;
                at += round_up(parts[i].bytes, LINE);
        }
        return at;
}

static struct own own_of(const struct work *work, unsigned thread)
{
        struct own own;

        lay_out(work, work->own + thread * work->own_bytes, &own);
        return own;
}

/* As numbers, and in which step. */
static float to_numbers(const float *from, uint32_t count, number *to)
{
        floats squares[4] = { zeros(), zeros(), zeros(), zeros() }, steps;
        uint32_t i = 0;
        float step;

        for (; i + 4 * LANES <= count; i += 4 * LANES) {
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        floats some = load(from + i + j * LANES);

                        squares[j] = fma_of(some, some, squares[j]);
                }
        }
        for (; i < count; i += LANES)
                squares[0] = fma_of(load(from + i), load(from + i), squares[0]);
        step = step_of(sqrtf(fold((squares[0] + squares[1]) + (squares[2] + squares[3]))));
        steps = all(steps_in(step));
        for (uint32_t c = 0; c < count; c += LANES)
                store_numbers(to + c, load(from + c) * steps);
        return step;
}

static void take_rows(const struct cpu_call *call, const struct work *work, struct own *own)
{
        uint32_t begin, end, columns = work->columns;

        cpu_share(call, padded_rows(work->rows), 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                if (r < work->rows)
                        memcpy(own->spread, row_of(call, X, work->row + r), columns * sizeof(float));
                else
                        memset(own->spread, 0, columns * sizeof(float));
                work->x_step[r] = to_numbers(own->spread, work->wide, work->x + (size_t)r * work->wide);
        }
}

/* Words of a chunk as numbers; zeros behind the last one, up to a whole panel. */
static void take_words(const struct cpu_call *call, const struct work *work, const struct own *own,
                uint32_t word, uint32_t words)
{
        uint32_t all_words = (uint32_t)round_up(words, ACROSS);

        for (uint32_t n = 0; n < words; n++) {
                struct dense_part part = dense_part_of(&call->operand[W], word + n, 1, 0, work->columns);

                dense_spread(&part, own->spread, 0);
                own->word_step[n] = to_numbers(own->spread, work->wide, own->words + (size_t)n * work->wide);
        }
        memset(own->words + (size_t)words * work->wide, 0,
                        (size_t)(all_words - words) * work->wide * sizeof(*own->words));
        memset(own->word_step + words, 0, (all_words - words) * sizeof(*own->word_step));
}

/* ACROSS of the chunk's words, turned. */
static void turn_words(const struct work *work, const number *words, units *panel)
{
        for (uint32_t c = 0; c < work->wide; c += UNIT * LANES) {
                for (unsigned half = 0; half < 2; half++) {
                        floats m[LANES];

                        UNROLL
                        for (unsigned i = 0; i < LANES; i++)
                                memcpy(&m[i], words + (size_t)(half * LANES + i) * work->wide + c,
                                                sizeof(m[i]));
                        transpose(m);
                        UNROLL
                        for (unsigned i = 0; i < LANES; i++)
                                panel[(c / UNIT + i) * 2 + half] = (units)m[i];
                }
        }
}

struct tile {
        const number *a; /* rows of units, a_step numbers apart */
        size_t a_step;
        const units *b; /* [count][2] */
        uint32_t count;
        float *out; /* rows, out_step numbers apart */
        size_t out_step;
        const float *steps;             /* logits: of the rows, */
        const float *word_step;         /* and of the words */
        const struct row_state *states; /* gradients */
};

static ALWAYS_INLINE void multiply(const struct tile *t, units *sums, const unsigned R)
{
        const number *a = t->a;
        const units *b = t->b;
        size_t a_step = t->a_step;

        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                sums[i] = (units)zeros();
        for (uint32_t k = t->count; k > 0; k--, a += UNIT, b += 2) {
                units low = b[0], high = b[1];

                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        units left = all_units(a + r * a_step);

                        sums[2 * r] = add_products(sums[2 * r], left, low);
                        sums[2 * r + 1] = add_products(sums[2 * r + 1], left, high);
                }
        }
}

static ALWAYS_INLINE void logits_tile(const struct tile *t, const unsigned R)
{
        units sums[2 * TILE_ROWS];

        multiply(t, sums, R);
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                store(t->out + i / 2 * t->out_step + i % 2 * LANES,
                                sums_of(sums[i]) * load(t->word_step + i % 2 * LANES) *
                                                all(t->steps[i / 2]));
}

static ALWAYS_INLINE void gradient_tile(const struct tile *t, const unsigned R)
{
        units sums[2 * TILE_ROWS];

        multiply(t, sums, R);
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++) {
                float *out = t->out + i / 2 * t->out_step + i % 2 * LANES;

                store(out, fma_of(sums_of(sums[i]), all(t->states[i / 2].step),
                                           load(out) * all(t->states[i / 2].shrink)));
        }
}

static void logits_1(const struct tile *t)
{
        logits_tile(t, TILE_STEP);
}

static void logits_2(const struct tile *t)
{
        logits_tile(t, 2 * TILE_STEP);
}

static void logits_3(const struct tile *t)
{
        logits_tile(t, TILE_ROWS);
}

static void gradient_1(const struct tile *t)
{
        gradient_tile(t, TILE_STEP);
}

static void gradient_2(const struct tile *t)
{
        gradient_tile(t, 2 * TILE_STEP);
}

static void gradient_3(const struct tile *t)
{
        gradient_tile(t, TILE_ROWS);
}

/* All rows of a panel or slice, in tiles of about the same size. */
static void run_tiles(const struct work *work, struct tile t, bool gradient)
{
        static void (*const kinds[2][3])(const struct tile *) = { { logits_1, logits_2, logits_3 },
                { gradient_1, gradient_2, gradient_3 } };
        uint32_t steps = padded_rows(work->rows) / TILE_STEP, tiles = (steps + 2) / 3;

        for (uint32_t tile = 0; tile < tiles; tile++) {
                uint32_t now = steps * (tile + 1) / tiles - steps * tile / tiles, rows = now * TILE_STEP;

                kinds[gradient][now - 1](&t);
                t.a += rows * t.a_step;
                t.out += rows * t.out_step;
                if (gradient)
                        t.states += rows;
                else
                        t.steps += rows;
        }
}

static void take_logits(const struct work *work, const struct own *own, uint32_t words)
{
        for (uint32_t n = 0; n < words; n += ACROSS) {
                turn_words(work, own->words + (size_t)n * work->wide, own->panel);
                run_tiles(work,
                                (struct tile){
                                                .a = work->x,
                                                .a_step = work->wide,
                                                .b = own->panel,
                                                .count = work->wide / UNIT,
                                                .out = own->logits + n,
                                                .out_step = CHUNK,
                                                .steps = work->x_step,
                                                .word_step = own->word_step + n,
                                },
                                false);
        }
}

static float top_of(const float *x, uint32_t count)
{
        floats most = load(x);

        for (uint32_t i = LANES; i < count; i += LANES)
                most = larger(load(x + i), most);
        return largest(most);
}

static void note_best(struct row_state *state, const float *logits, float top, uint32_t word)
{
        uint32_t n = 0;

        if (!(top > state->best))
                return;
        while (logits[n] != top)
                n++;
        state->best = top;
        state->best_word = (int32_t)(word + n);
}

/* exp(below - above), where there is anything below. */
static float shrinking(float below, float above)
{
        return below > -INFINITY ? exponential(all(below - above))[0] : 0;
}

/* A row's logits of the words from `word` on become their shares: `count` numbers, whole panels. */
static void take_shares(const struct own *own, struct row_state *state, float *logits, number *shares,
                uint32_t count, bool gradient)
{
        float top = top_of(logits, count), step;
        floats sum = zeros(), weighted = zeros(), base, steps;

        top = top > state->top ? top : state->top;
        base = all(top > -INFINITY ? top : 0);
        for (uint32_t n = 0; n < count; n += LANES) {
                floats e = exponential(load(logits + n) - base), w = e * load(own->word_step + n);

                sum += e;
                weighted += w;
                store(logits + n, w);
        }
        state->shrink = shrinking(state->top, top);
        state->total = state->total * (double)state->shrink + (double)fold(sum);
        state->top = top;
        if (!gradient)
                return;
        step = step_of(fold(weighted));
        state->step = step;
        steps = all(steps_in(step));
        for (uint32_t n = 0; n < count; n += LANES)
                store_numbers(shares + n, load(logits + n) * steps);
}

static void take_chunk(const struct cpu_call *call, const struct work *work, const struct own *own,
                uint32_t word, uint32_t words)
{
        uint32_t count = (uint32_t)round_up(words, ACROSS);

        for (uint32_t r = 0; r < work->rows; r++) {
                float *logits = own->logits + (size_t)r * CHUNK;
                uint32_t target = (uint32_t)target_of(call, work->row + r);

                for (uint32_t n = words; n < count; n++)
                        logits[n] = -INFINITY;
                if (call->operand[BEST].data)
                        note_best(&own->states[r], logits, top_of(logits, count), word);
                if (target - word < words)
                        logits[target - word] = -INFINITY;
                take_shares(own, &own->states[r], logits, own->shares + (size_t)r * CHUNK, count,
                                work->gradient);
        }
}

/* What a thread reads next comes from memory while it multiplies: part c of `wide` of the chunk at `word`. */
static void fetch_words(const struct cpu_call *call, const struct work *work, uint32_t word, uint32_t c)
{
        const struct cpu_operand *w = &call->operand[W];
        size_t row_bytes = dense_row_bytes(w->dtype, w->columns), begin = row_bytes * CHUNK * c / work->wide;
        size_t end = row_bytes * CHUNK * (c + ACROSS) / work->wide, left;

        left = word < work->words ? row_bytes * (work->words - word) : 0;
        for (; begin < end && begin < left; begin += LINE)
                fetch((const char *)w->data + row_bytes * word + begin);
}

static void add_gradient(const struct cpu_call *call, const struct work *work, const struct own *own,
                uint32_t word, uint32_t words)
{
        uint32_t count = (uint32_t)round_up(words, ACROSS);

        for (uint32_t c = 0; c < work->wide; c += ACROSS) {
                fetch_words(call, work, word + CHUNK, c);
                for (uint32_t n = 0; n < count; n += UNIT)
                        join_rows(own->words + (size_t)n * work->wide + c, work->wide,
                                        own->slice + n / UNIT * 2);
                run_tiles(work,
                                (struct tile){
                                                .a = own->shares,
                                                .a_step = CHUNK,
                                                .b = own->slice,
                                                .count = count / UNIT,
                                                .out = own->gradient + c,
                                                .out_step = work->wide,
                                                .states = own->states,
                                },
                                true);
        }
}

static void run_segment(const struct cpu_call *call, const struct work *work, const struct own *own,
                uint32_t segment)
{
        uint32_t chunks = (work->words + CHUNK - 1) / CHUNK;
        uint32_t chunk = (uint32_t)((uint64_t)chunks * segment / work->segments);
        uint32_t end = (uint32_t)((uint64_t)chunks * (segment + 1) / work->segments);
        uint32_t rows = padded_rows(work->rows);

        for (uint32_t r = 0; r < rows; r++)
                own->states[r] = (struct row_state){ .top = -INFINITY, .best = -INFINITY };
        if (work->gradient) {
                memset(own->gradient, 0, (size_t)rows * work->wide * sizeof(*own->gradient));
                memset(own->shares, 0, (size_t)rows * CHUNK * sizeof(*own->shares));
        }
        for (; chunk < end; chunk++) {
                uint32_t word = chunk * CHUNK;
                uint32_t words = work->words - word < CHUNK ? work->words - word : CHUNK;

                take_words(call, work, own, word, words);
                take_logits(work, own, words);
                take_chunk(call, work, own, word, words);
                if (work->gradient)
                        add_gradient(call, work, own, word, words);
                cpu_pause_point(call);
        }
}

/* to = keep · to + take · from */
static void mix(float *to, float keep, const float *from, float take, uint32_t count)
{
        uint32_t c = 0;

        for (; c + LANES <= count; c += LANES)
                store(to + c, fma_of(load(from + c), all(take), load(to + c) * all(keep)));
        for (; c < count; c++)
                to[c] = to[c] * keep + from[c] * take;
}

/* A row's segment behind those before it; dx holds their gradient. */
static void merge_row(const struct cpu_call *call, const struct work *work, const struct own *own,
                uint32_t r, bool first)
{
        struct row_state *merged = &work->merged[r];
        const struct row_state *state = &own->states[r];
        float top, keep, take;

        if (first) {
                *merged = (struct row_state){ .top = -INFINITY, .best = -INFINITY };
                if (work->gradient)
                        memset(row_of(call, DX, work->row + r), 0, work->columns * sizeof(float));
        }
        if (state->best > merged->best) {
                merged->best = state->best;
                merged->best_word = state->best_word;
        }
        top = state->top > merged->top ? state->top : merged->top;
        keep = shrinking(merged->top, top);
        take = shrinking(state->top, top);
        merged->total = merged->total * (double)keep + state->total * (double)take;
        merged->top = top;
        if (work->gradient)
                mix(row_of(call, DX, work->row + r), keep, own->gradient + (size_t)r * work->wide, take,
                                work->columns);
}

/* All segments, in waves of one for each thread. */
static void run_segments(const struct cpu_call *call, const struct work *work, const struct own *own)
{
        uint32_t begin, end;

        cpu_share(call, work->rows, 1, &begin, &end);
        for (uint32_t wave = 0; wave < work->segments; wave += call->n_threads) {
                uint32_t left = work->segments - wave;

                if (call->thread < left)
                        run_segment(call, work, own, wave + call->thread);
                cpu_barrier(call);
                for (unsigned thread = 0; thread < call->n_threads && thread < left; thread++) {
                        struct own from = own_of(work, thread);

                        for (uint32_t r = begin; r < end; r++)
                                merge_row(call, work, &from, r, wave + thread == 0);
                }
                cpu_barrier(call);
        }
}

/* With d = top - l[target]: loss = log(1 + total exp(d)), and dx = loss_scale / (1 / exp(d) + total) · (dx - total W[target]). */
static void finish_row(
                const struct cpu_call *call, const struct work *work, const struct own *own, uint32_t r)
{
        const struct row_state *state = &work->merged[r];
        int32_t target = target_of(call, work->row + r);
        const float *x = row_of(call, X, work->row + r);
        double logit = 0, d, loss, factor;

        if (call->operand[BEST].data)
                ((int32_t *)call->operand[BEST].data)[work->row + r] = state->best_word;
        if (target < 0) {
                *row_of(call, LOSS, work->row + r) = 0;
                if (work->gradient)
                        memset(row_of(call, DX, work->row + r), 0, work->columns * sizeof(float));
                return;
        }
        dense_spread(&(struct dense_part){ call->operand[W].dtype, (uint32_t)target, 1, 0, work->columns,
                                     call->operand[W].data,
                                     dense_row_bytes(call->operand[W].dtype, work->columns) },
                        own->spread, 0);
        for (uint32_t c = 0; c < work->columns; c++)
                logit += (double)x[c] * (double)own->spread[c];
        d = (double)state->top - logit;
        loss = d > 0 ? d + log(exp(-d) + state->total) : log1p(exp(d) * state->total);
        *row_of(call, LOSS, work->row + r) = (float)loss;
        if (!work->gradient)
                return;
        factor = (double)call->args->loss_scale *
                 (d > 0 ? 1 / (exp(-d) + state->total) : exp(d) / (1 + exp(d) * state->total));
        mix(row_of(call, DX, work->row + r), (float)factor, own->spread, (float)(-factor * state->total),
                        work->columns);
}

static struct work work_of(const struct qvf_op *op, const struct cpu_operand *operands)
{
        uint32_t columns = operands[X].columns, chunks = (operands[W].rows + CHUNK - 1) / CHUNK;
        struct work work = {
                .columns = columns,
                .wide = (uint32_t)round_up(columns, ACROSS),
                .words = operands[W].rows,
                .segments = (chunks + SEGMENT_CHUNKS - 1) / SEGMENT_CHUNKS,
                .gradient = op->operand[DX] != QVF_NONE,
        };
        size_t rows = BLOCK_BYTES / (work.wide * (sizeof(float) + sizeof(number)));

        rows = rows < BLOCK_ROWS_LEAST ? BLOCK_ROWS_LEAST : rows > BLOCK_ROWS_MOST ? BLOCK_ROWS_MOST : rows;
        rows = rows < operands[X].rows ? rows : operands[X].rows;
        work.block_rows = padded_rows((uint32_t)rows);
        return work;
}

static size_t x_bytes(const struct work *work)
{
        return round_up(work->block_rows * (size_t)work->wide * sizeof(number), LINE);
}

static size_t step_bytes(const struct work *work)
{
        return round_up(work->block_rows * sizeof(float), LINE);
}

static size_t shared_bytes(const struct work *work)
{
        return x_bytes(work) + step_bytes(work) +
               round_up(work->block_rows * sizeof(struct row_state), LINE);
}

void LEVEL(head_loss)(const struct cpu_call *call)
{
        struct work work = work_of(call->op, call->operand);
        uint32_t blocks = (call->rows + work.block_rows - 1) / work.block_rows;
        char *scratch = call->scratch;
        struct own own;

        work.x = (number *)scratch;
        work.x_step = (float *)(scratch + x_bytes(&work));
        work.merged = (struct row_state *)(scratch + x_bytes(&work) + step_bytes(&work));
        work.own = scratch + shared_bytes(&work);
        work.own_bytes = lay_out(&work, NULL, &own);
        own = own_of(&work, call->thread);
        /* What is spread later are the columns; behind them zeros must stand, also with a thread that takes no rows. */
        memset(own.spread, 0, work.wide * sizeof(*own.spread));
        for (uint32_t block = 0; block < blocks; block++) {
                uint32_t begin, end;

                work.row = (uint32_t)((uint64_t)call->rows * block / blocks);
                work.rows = (uint32_t)((uint64_t)call->rows * (block + 1) / blocks) - work.row;
                take_rows(call, &work, &own);
                cpu_barrier(call);
                run_segments(call, &work, &own);
                cpu_share(call, work.rows, 1, &begin, &end);
                for (uint32_t r = begin; r < end; r++)
                        finish_row(call, &work, &own, r);
        }
}

size_t LEVEL(head_loss_scratch)(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        struct work work = work_of(op, operands);
        struct own own;

        return shared_bytes(&work) + n_threads * lay_out(&work, NULL, &own);
}

bool LEVEL(head_loss_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return dense_known(operands[W].dtype) && !operands[W].packed &&
               operands[X].columns == operands[W].columns;
}
