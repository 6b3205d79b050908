/* SPDX-License-Identifier: Apache-2.0 */
/* y = W.scale · scale[r] · (W q). With codes c = W + 1 the product is Σ c q − Σ q: unsigned by signed bytes,
 * which is what vpdpbusd multiplies.
 *
 * Few rows (decode): the weights come from memory once, so they are multiplied as they stand in the file.
 * Many rows (prompt, training): a panel of weight rows is unpacked once into a thread's part of the scratch,
 * and tiles of up to 12 rows of q run over it. Everything is exact in int32, so both ways give the same
 * numbers. */
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/ternary.h"

#define AHEAD 6144u         /* bytes that decode prefetches ahead */
#define TILE_ROWS 12u       /* rows of q in a tile: with 2 vectors of weights they fill 24 of 32 registers */
#define PANEL_ROWS 64u      /* rows of weights in a panel */
#define PANEL_COLUMNS 8192u /* a panel is 512 KiB at most: half of a common L2 */

static inline float scaled(struct ternary_factor factor, float sum)
{
        return __builtin_fmaf(sum, factor.high, sum * factor.low);
}

static inline __m512 scaled_16(struct ternary_factor factor, __m512 sums)
{
        return _mm512_fmadd_ps(
                        sums, _mm512_set1_ps(factor.high), _mm512_mul_ps(sums, _mm512_set1_ps(factor.low)));
}

struct decoded_rows { /* of q, as decode reads them */
        const int8_t *q;
        int32_t sums[DECODE_ROWS];
};

/* `weights` go through the rows as they stand in memory, also where rows are multiplied side by side: of several streams,
 * each fetched AHEAD of where it is read, the hardware follows none and fetches lines twice. */
static ALWAYS_INLINE void fetch_ahead(const struct ternary_product *p, const uint8_t *weights)
{
        uintptr_t ahead = (uintptr_t)weights + AHEAD;

        _mm_prefetch((const char *)(ahead < p->end ? ahead : p->end), _MM_HINT_T0);
}

/* The bytes of q that meet digit n of a TQ2_0 block. */
static ALWAYS_INLINE __m512i tq2_partner(const int8_t *q, unsigned n)
{
        __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(q + 32 * n)));

        return _mm512_inserti64x4(low, _mm256_loadu_si256((const __m256i *)(q + 128 + 32 * n)), 1);
}

/* Σ code · q of W weight rows and R rows of q. Code n of a byte is left where it stands, 4ⁿ times too large,
 * and its sum is shifted at the end: no shifts in the loop. */
static ALWAYS_INLINE void tq2_dots(const struct ternary_product *p, uint32_t output, const int8_t *q,
                const unsigned W, const unsigned R, __m512i sums[])
{
        const uint8_t *next = p->weights + output * p->row_bytes, *fetched = next;
        uint32_t blocks = p->blocks, columns = p->columns;
        size_t row_bytes = p->row_bytes;
        __m512i acc[16];

        UNROLL
        for (unsigned i = 0; i < W * R * 4; i++)
                acc[i] = _mm512_setzero_si512();
        for (uint32_t b = 0; b < blocks; b++) {
                __m512i block[4];

                UNROLL
                for (unsigned w = 0; w < W; w++) {
                        fetch_ahead(p, fetched + w * TQ2_BLOCK);
                        block[w] = load_tq2(next + w * row_bytes);
                }
                next += TQ2_BLOCK;
                fetched += W * TQ2_BLOCK;
                UNROLL
                for (unsigned n = 0; n < 4; n++) {
                        __m512i mask = _mm512_set1_epi8((char)(3u << 2 * n));

                        UNROLL
                        for (unsigned r = 0; r < R; r++) {
                                __m512i partner = tq2_partner(q + (size_t)r * columns, n);

                                UNROLL
                                for (unsigned w = 0; w < W; w++)
                                        acc[(w * R + r) * 4 + n] = _mm512_dpbusd_epi32(
                                                        acc[(w * R + r) * 4 + n],
                                                        _mm512_and_si512(block[w], mask), partner);
                        }
                }
                q += QVF_TERNARY_BLOCK;
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i++) {
                __m512i low = _mm512_add_epi32(acc[4 * i], _mm512_srai_epi32(acc[4 * i + 1], 2));
                __m512i high = _mm512_add_epi32(acc[4 * i + 2], _mm512_srai_epi32(acc[4 * i + 3], 2));

                sums[i] = _mm512_add_epi32(low, _mm512_srai_epi32(high, 4));
        }
}

/* The same for TQ1_0. With t[0] the stored byte and t[n+1] = 3 t[n] mod 256, digit n is (3 t[n] − t[n+1]) /
 * 256, so Σ digit · q = (3 Σ t[n] q[n] − Σ t[n+1] q[n]) / 256 in each lane: no digit is ever taken out.
 * `partners` is q in the order of tq1_partners(). */
static ALWAYS_INLINE void tq1_dots(const struct ternary_product *p, uint32_t output, const int8_t *partners,
                const unsigned W, const unsigned R, __m512i sums[])
{
        const uint8_t *next = p->weights + output * p->row_bytes, *fetched = next;
        uint32_t blocks = p->blocks;
        size_t row_bytes = p->row_bytes, q_bytes = (size_t)blocks * TQ1_DIGITS * LINE;
        __m512i acc[4], following[4];

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                acc[i] = following[i] = _mm512_setzero_si512();
        for (uint32_t b = 0; b < blocks; b++) {
                __m512i t[4];

                UNROLL
                for (unsigned w = 0; w < W; w++) {
                        fetch_ahead(p, fetched + w * TQ1_BLOCK);
                        t[w] = load_tq1(next + w * row_bytes);
                }
                next += TQ1_BLOCK;
                fetched += W * TQ1_BLOCK;
                UNROLL
                for (unsigned n = 0; n < TQ1_DIGITS; n++) {
                        __m512i partner[4];

                        UNROLL
                        for (unsigned r = 0; r < R; r++)
                                partner[r] = _mm512_load_si512(partners + r * q_bytes + n * LINE);
                        UNROLL
                        for (unsigned w = 0; w < W; w++) {
                                __m512i tripled = _mm512_add_epi8(t[w], _mm512_add_epi8(t[w], t[w]));

                                UNROLL
                                for (unsigned r = 0; r < R; r++) {
                                        acc[w * R + r] = _mm512_dpbusd_epi32(
                                                        acc[w * R + r], t[w], partner[r]);
                                        following[w * R + r] = _mm512_dpbusd_epi32(
                                                        following[w * R + r], tripled, partner[r]);
                                }
                                t[w] = tripled;
                        }
                }
                partners += TQ1_DIGITS * LINE;
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i++) {
                __m512i tripled = _mm512_add_epi32(acc[i], _mm512_add_epi32(acc[i], acc[i]));

                sums[i] = _mm512_srai_epi32(_mm512_sub_epi32(tripled, following[i]), 8);
        }
}

/* Vector n of a block: the bytes of q that meet digit n of the block's 52 bytes, and zeros. */
static void tq1_partners(const struct ternary_product *p, int8_t *partners)
{
        for (uint32_t r = 0; r < p->rows; r++) {
                for (uint32_t b = 0; b < p->blocks; b++) {
                        const int8_t *q = p->q + (size_t)r * p->columns + (size_t)b * QVF_TERNARY_BLOCK;

                        for (unsigned n = 0; n < TQ1_DIGITS; n++) {
                                memcpy(partners, q + 32 * n, 32);
                                memcpy(partners + 32, q + 160 + 16 * n, 16);
                                memset(partners + 48, 0, 16);
                                if (n < TQ1_DIGITS - 1)
                                        memcpy(partners + 48, q + 240 + 4 * n, 4);
                                partners += LINE;
                        }
                }
        }
}

/* The sums of the lanes of four vectors. */
static ALWAYS_INLINE __m128i sum_lanes(const __m512i v[4])
{
        __m256i half[4], pair[2], all;

        UNROLL
        for (int i = 0; i < 4; i++)
                half[i] = _mm256_add_epi32(_mm512_castsi512_si256(v[i]), _mm512_extracti64x4_epi64(v[i], 1));
        UNROLL
        for (int i = 0; i < 2; i++)
                pair[i] = _mm256_add_epi32(_mm256_unpacklo_epi32(half[2 * i], half[2 * i + 1]),
                                _mm256_unpackhi_epi32(half[2 * i], half[2 * i + 1]));
        all = _mm256_add_epi32(
                        _mm256_unpacklo_epi64(pair[0], pair[1]), _mm256_unpackhi_epi64(pair[0], pair[1]));
        return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

/* Outputs [begin, end) of all rows, W at a time; W · R is at most 4. Says where it ended: less than W are
 * left. TQ2_0's rows go one by one, TQ1_0's longer chains want four side by side. */
static ALWAYS_INLINE uint32_t decode_outputs(const struct ternary_product *p,
                const struct decoded_rows *rows, uint32_t begin, uint32_t end, const uint32_t dtype,
                const unsigned W, const unsigned R)
{
        const unsigned side = dtype == QVF_TQ2_0 ? 1 : W;
        uint32_t n = begin;

        for (; n + W <= end; n += W) {
                __m512i sums[4] = { _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                        _mm512_setzero_si512() };
                int32_t dots[4];

                UNROLL
                for (unsigned w = 0; w < W; w += side) {
                        if (dtype == QVF_TQ2_0)
                                tq2_dots(p, n + w, rows->q, side, R, sums + w * R);
                        else
                                tq1_dots(p, n + w, rows->q, side, R, sums + w * R);
                }
                _mm_storeu_si128((__m128i *)dots, sum_lanes(sums));
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        p->y[(size_t)(i % R) * p->outputs + n + i / R] = scaled(
                                        ternary_factor(p, i % R), (float)(dots[i] - rows->sums[i % R]));
        }
        return n;
}

static ALWAYS_INLINE void decode_range(const struct ternary_product *p, const struct decoded_rows *rows,
                uint32_t begin, uint32_t end, const uint32_t dtype)
{
        switch (p->rows) {
        case 1:
                begin = decode_outputs(p, rows, begin, end, dtype, 4, 1);
                decode_outputs(p, rows, begin, end, dtype, 1, 1);
                break;
        case 2:
                begin = decode_outputs(p, rows, begin, end, dtype, 2, 2);
                decode_outputs(p, rows, begin, end, dtype, 1, 2);
                break;
        case 3: decode_outputs(p, rows, begin, end, dtype, 1, 3); break;
        default: decode_outputs(p, rows, begin, end, dtype, 1, 4); break;
        }
}

static size_t decode_scratch(const struct ternary_product *p) /* of one thread */
{
        return p->dtype == QVF_TQ2_0 ? 0 : (size_t)DECODE_ROWS * p->blocks * TQ1_DIGITS * LINE;
}

static void decode(const struct cpu_call *call, struct ternary_product *p)
{
        struct decoded_rows rows = { .q = p->q };
        uint32_t begin, end;

        cpu_share(call, p->outputs, 4, &begin, &end);
        if (begin == end)
                return;
        p->end = (uintptr_t)(p->weights + end * p->row_bytes) - 1;
        for (uint32_t r = 0; r < p->rows; r++)
                rows.sums[r] = sum_bytes(p->q + (size_t)r * p->columns, p->columns);
        if (p->dtype == QVF_TQ2_0) {
                decode_range(p, &rows, begin, end, QVF_TQ2_0);
        } else {
                int8_t *partners = (int8_t *)call->scratch + call->thread * decode_scratch(p);

                tq1_partners(p, partners);
                rows.q = partners;
                decode_range(p, &rows, begin, end, QVF_TQ1_0);
        }
}

/* Rows of q in tiles of at most TILE_ROWS, as even as they can be: tile i has rows [i R / tiles, (i + 1) R /
 * tiles). */
static uint32_t tile_count(uint32_t rows)
{
        return (rows + TILE_ROWS - 1) / TILE_ROWS;
}

static uint32_t tile_begin(const struct ternary_product *p, uint32_t tile)
{
        return (uint32_t)((uint64_t)p->rows * tile / tile_count(p->rows));
}

/* Lays q out as the tiles read it. */
static void pack_rows(const struct cpu_call *call, const struct ternary_product *p, int8_t *packed,
                int32_t *q_sums)
{
        uint32_t begin, end, columns = p->columns;

        cpu_share(call, tile_count(p->rows), 1, &begin, &end);
        for (uint32_t tile = begin; tile < end; tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;
                const int8_t *q = p->q + (size_t)first * columns;
                int8_t *out = packed + (size_t)first * columns;

                for (uint32_t r = 0; r < rows; r++)
                        q_sums[first + r] = sum_bytes(q + (size_t)r * columns, columns);
                for (uint32_t k = 0; k < columns; k += LINE) {
                        __m512i m[16];

                        for (uint32_t i = 0; i < 16; i++)
                                m[i] = i < rows ? _mm512_loadu_si512(q + (size_t)i * columns + k)
                                                : _mm512_setzero_si512();
                        store_packed(m, out + (size_t)k * rows, rows, 16, k + LINE == columns);
                }
        }
}

struct tile { /* one tile's work on a panel of 32 rows */
        const uint8_t *panel;
        const int8_t *q; /* packed, from the panel's first column on */
        const int32_t *q_sums;
        uint32_t first_row, output, outputs, columns;
        bool first, last; /* part of the columns: sums in between wait in y as integers */
};

static ALWAYS_INLINE void run_tile(const struct ternary_product *p, const struct tile *t, const unsigned R)
{
        __mmask16 there[2] = { (__mmask16)(t->outputs >= 16 ? 0xffff : (1u << t->outputs) - 1),
                (__mmask16)(t->outputs >= 32       ? 0xffff
                                : t->outputs >= 16 ? (1u << (t->outputs - 16)) - 1
                                                   : 0) };
        __m512i acc[2 * TILE_ROWS];

        UNROLL
        for (unsigned i = 0; i < 2 * R; i++)
                acc[i] = _mm512_setzero_si512();
        multiply_tile(t->panel, t->q, t->columns, R, acc);
        UNROLL
        for (unsigned i = 0; i < 2 * R; i++) {
                uint32_t row = t->first_row + i / 2;
                float *y = p->y + (size_t)row * p->outputs + t->output + i % 2 * 16;
                __m512i sum = acc[i];

                if (!t->first)
                        sum = _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(there[i % 2], y));
                if (!t->last) {
                        _mm512_mask_storeu_epi32(y, there[i % 2], sum);
                } else {
                        sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(t->q_sums[row]));
                        _mm512_mask_storeu_ps(y, there[i % 2],
                                        scaled_16(ternary_factor(p, row), _mm512_cvtepi32_ps(sum)));
                }
        }
}

static void run_any_tile(const struct ternary_product *p, const struct tile *t, uint32_t rows)
{
        switch (rows) {
        case 1: run_tile(p, t, 1); break;
        case 2: run_tile(p, t, 2); break;
        case 3: run_tile(p, t, 3); break;
        case 4: run_tile(p, t, 4); break;
        case 5: run_tile(p, t, 5); break;
        case 6: run_tile(p, t, 6); break;
        case 7: run_tile(p, t, 7); break;
        case 8: run_tile(p, t, 8); break;
        case 9: run_tile(p, t, 9); break;
        case 10: run_tile(p, t, 10); break;
        case 11: run_tile(p, t, 11); break;
        default: run_tile(p, t, 12); break;
        }
}

struct fetch { /* of the weights of a thread's next panel, while it works on this one */
        uintptr_t at, end;
        size_t each; /* bytes to fetch after a tile */
};

static struct fetch fetch_panel(const struct ternary_product *p, uint64_t output)
{
        uint64_t end = output + PANEL_ROWS < p->outputs ? output + PANEL_ROWS : p->outputs;
        struct fetch fetch = { 0 };

        if (output < p->outputs) {
                fetch.at = (uintptr_t)(p->weights + output * p->row_bytes);
                fetch.end = (uintptr_t)(p->weights + end * p->row_bytes);
                fetch.each = (fetch.end - fetch.at) / tile_count(p->rows) + LINE;
        }
        return fetch;
}

static void fetch_some(struct fetch *fetch)
{
        for (size_t i = 0; i < fetch->each && fetch->at < fetch->end; i += LINE, fetch->at += LINE)
                _mm_prefetch((const char *)fetch->at, _MM_HINT_T1);
}

/* Columns [begin, begin + columns) of the outputs of a panel, for all rows of q. */
static void run_panel(const struct ternary_product *p, struct fetch *fetch, uint8_t *panel,
                const int8_t *packed, const int32_t *q_sums, uint32_t output, uint32_t begin,
                uint32_t columns)
{
        uint32_t outputs = p->outputs - output < PANEL_ROWS ? p->outputs - output : PANEL_ROWS;
        size_t block_bytes = p->row_bytes / p->blocks;

        for (uint32_t i = 0; i < outputs; i += 16)
                unpack_panel(p->dtype,
                                p->weights + (output + i) * p->row_bytes +
                                                begin / QVF_TERNARY_BLOCK * block_bytes,
                                p->row_bytes, outputs - i < 16 ? outputs - i : 16,
                                columns / QVF_TERNARY_BLOCK,
                                panel + i / 32 * (size_t)columns * 32 + i % 32 / 16 * LINE, 2 * LINE);
        for (uint32_t tile = 0; tile < tile_count(p->rows); tile++) {
                uint32_t first = tile_begin(p, tile), rows = tile_begin(p, tile + 1) - first;

                for (uint32_t i = 0; i < outputs; i += 32) {
                        struct tile t = {
                                .panel = panel + (size_t)columns * i,
                                .q = packed + (size_t)first * p->columns + (size_t)begin * rows,
                                .q_sums = q_sums,
                                .first_row = first,
                                .output = output + i,
                                .outputs = outputs - i,
                                .columns = columns,
                                .first = begin == 0,
                                .last = begin + columns == p->columns,
                        };

                        run_any_tile(p, &t, rows);
                }
                fetch_some(fetch);
        }
}

static size_t panel_bytes(uint32_t columns)
{
        return (size_t)PANEL_ROWS * (columns < PANEL_COLUMNS ? columns : PANEL_COLUMNS);
}

static void prompt(const struct cpu_call *call, const struct ternary_product *p)
{
        int8_t *packed = call->scratch;
        size_t packed_bytes = (size_t)p->rows * p->columns; /* columns are a multiple of a line */
        int32_t *q_sums = (int32_t *)(packed + packed_bytes);
        uint8_t *panel = (uint8_t *)packed + packed_bytes + round_up(p->rows * sizeof(*q_sums), LINE) +
                         call->thread * panel_bytes(p->columns);

        pack_rows(call, p, packed, q_sums);
        cpu_barrier(call);
        for (uint64_t output = (uint64_t)cpu_next(call) * PANEL_ROWS, next; output < p->outputs;
                        output = next) {
                struct fetch fetch;

                next = (uint64_t)cpu_next(call) * PANEL_ROWS;
                fetch = fetch_panel(p, next);
                for (uint32_t begin = 0; begin < p->columns; begin += PANEL_COLUMNS) {
                        uint32_t left = p->columns - begin;

                        run_panel(p, &fetch, panel, packed, q_sums, (uint32_t)output, begin,
                                        left < PANEL_COLUMNS ? left : PANEL_COLUMNS);
                        cpu_pause_point(call);
                }
        }
}

void cpu_avx512_matmul_ternary(const struct cpu_call *call)
{
        struct ternary_product p = ternary_product_of(call);

        if (p.rows <= DECODE_ROWS)
                decode(call, &p);
        else
                prompt(call, &p);
}

size_t cpu_avx512_matmul_ternary_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        const struct cpu_operand *w = &operands[3];
        struct ternary_product p = { .dtype = w->dtype, .blocks = w->columns / QVF_TERNARY_BLOCK };
        size_t rows = operands[1].rows;
        size_t few = n_threads * decode_scratch(&p);
        size_t many = rows * w->columns + round_up(rows * sizeof(int32_t), LINE) +
                      n_threads * panel_bytes(w->columns);

        (void)op;
        return rows <= DECODE_ROWS || few > many ? few : many;
}

bool cpu_avx512_matmul_ternary_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return ternary_takes(&operands[3]);
}
