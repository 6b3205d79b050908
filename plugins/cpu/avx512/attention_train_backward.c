/* SPDX-License-Identifier: Apache-2.0 */
/* With p[r][j] = exp(f0 q[r]·k[j] - lse[r]) and ds[r][j] = f0 p[r][j] (dy[r]·v[j] - dy[r]·y[r]):
 * dq[r] = Σ_j ds[r][j] k[j], dk[j] = Σ_r ds[r][j] q[r], dv[j] = Σ_r p[r][j] dy[r].
 * A task has one key head: of 32 keys at a time, p and ds of 16 rows at a time are made once for all three. */
#include "plugins/cpu/avx512/attention.h"
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx512/outer.h"

#define ROWS 16u

enum { DQ, DK, DV, Y, LSE, Q, K, V, FIRST, DY };

struct backward {
        const struct cpu_operand *o;
        struct attention a; /* sizes, for what attention.h does */
        uint32_t key_columns, heads;
        float *along;                      /* [rows][heads]: dy·y */
        float *keys, *values, *keys_plain; /* of 32 keys: [width][CELLS] twice, [CELLS][width] */
        float *p, *ds;                     /* [ROWS][CELLS] */
};

static float *at(const struct backward *b, unsigned operand, uint32_t row, uint32_t head)
{
        const struct cpu_operand *o = &b->o[operand];

        return (float *)o->data + (size_t)row * o->columns + (size_t)head * b->a.size;
}

static size_t thread_floats(uint32_t size)
{
        return 3 * (size_t)head_width(size) * CELLS + 2 * ROWS * CELLS;
}

static size_t along_floats(const struct qvf_op *op, const struct cpu_operand *operands)
{
        return round_up((size_t)operands[Q].rows * (operands[Q].columns / (uint32_t)op->i[0]), LANES);
}

static struct backward backward_of(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0];
        struct backward b = {
                .o = o,
                .a = {
                        .first = o[FIRST].data,
                        .rows = call->rows,
                        .columns = o[Q].columns,
                        .size = size,
                        .width = head_width(size),
                        .group = o[Q].columns / o[K].columns,
                        .key_heads = o[K].columns / size,
                        .cell_bytes = o[K].columns * sizeof(float),
                        .factor = call->op->f[0],
                },
                .key_columns = o[K].columns,
                .heads = o[Q].columns / size,
                .along = call->scratch,
        };

        b.keys = b.along + along_floats(call->op, o) + call->thread * thread_floats(size);
        b.values = b.keys + b.a.width * CELLS;
        b.keys_plain = b.values + b.a.width * CELLS;
        b.p = b.keys_plain + b.a.width * CELLS;
        b.ds = b.p + ROWS * CELLS;
        return b;
}

/* Scores of P rows become p and ds. */
static ALWAYS_INLINE void differentiate(const struct backward *b, const __m512 scores[],
                const __m512 values[], uint32_t row, uint32_t head, uint32_t i, uint32_t key,
                const unsigned P)
{
        const __m512 factor = _mm512_set1_ps(b->a.factor);

        UNROLL
        for (unsigned j = 0; j < 2 * P; j++) {
                size_t place = (size_t)(row + j / 2) * b->heads + head;
                uint32_t seen = cells_seen(&b->a, row + j / 2, key) >> (j % 2 * LANES);
                __m512 lse = _mm512_set1_ps(((const float *)b->o[LSE].data)[place]);
                __m512 p = vector_exp(_mm512_fmsub_ps(scores[j], factor, lse));
                __m512 d = _mm512_sub_ps(values[j], _mm512_set1_ps(b->along[place]));

                p = _mm512_maskz_mov_ps((__mmask16)seen, p);
                d = _mm512_maskz_mul_ps((__mmask16)seen, _mm512_mul_ps(p, d), factor);
                _mm512_store_ps(b->p + (i + j / 2) * CELLS + j % 2 * LANES, p);
                _mm512_store_ps(b->ds + (i + j / 2) * CELLS + j % 2 * LANES, d);
        }
}

static ALWAYS_INLINE void weigh_rows(const struct backward *b, uint32_t row, uint32_t head, uint32_t i,
                uint32_t key, const unsigned P)
{
        const float *q[SIDE], *dy[SIDE];
        __m512 scores[2 * SIDE], values[2 * SIDE];

        UNROLL
        for (unsigned j = 0; j < P; j++) {
                q[j] = at(b, Q, row + j, head);
                dy[j] = at(b, DY, row + j, head);
        }
        score(&b->a, q, b->keys, P, scores);
        score(&b->a, dy, b->values, P, values);
        differentiate(b, scores, values, row, head, i, key, P);
}

/* p and ds of `rows` rows; false where none of them looks at these keys. */
static bool weigh_block(const struct backward *b, uint32_t row, uint32_t rows, uint32_t head, uint32_t key)
{
        bool seeing = false;

        for (uint32_t r = row; r < row + rows && !seeing; r++)
                seeing = cells_seen(&b->a, r, key) != 0;
        for (uint32_t i = 0; i < rows && seeing;) {
                if (rows - i >= SIDE) {
                        weigh_rows(b, row + i, head, i, key, SIDE);
                        i += SIDE;
                } else {
                        weigh_rows(b, row + i, head, i, key, 1);
                        i++;
                }
        }
        return seeing;
}

/* Adds what `rows` rows by one head give to and take from `cells` keys. */
static void add_block(const struct backward *b, uint32_t row, uint32_t rows, uint32_t head, uint32_t key,
                uint32_t cells)
{
        uint32_t key_head = head / b->a.group, size = b->a.size;
        struct outer dq = {
                .out = at(b, DQ, row, head),
                .out_step = b->a.columns,
                .a = b->ds,
                .a_row_step = CELLS,
                .a_step = 1,
                .b = b->keys_plain,
                .b_step = b->a.width,
                .rows = rows,
                .columns = size,
                .count = cells,
                .factor = 1,
                .accumulate = true,
        };
        struct outer dk = {
                .out = at(b, DK, key, key_head),
                .out_step = b->key_columns,
                .a = b->ds,
                .a_row_step = 1,
                .a_step = CELLS,
                .b = at(b, Q, row, head),
                .b_step = b->a.columns,
                .rows = cells,
                .columns = size,
                .count = rows,
                .factor = 1,
                .accumulate = true,
        };
        struct outer dv = dk;

        dv.out = at(b, DV, key, key_head);
        dv.a = b->p;
        dv.b = at(b, DY, row, head);
        outer_product(&dq);
        outer_product(&dk);
        outer_product(&dv);
}

static void clear_rows(const struct backward *b, unsigned operand, uint32_t head, uint32_t heads)
{
        for (uint32_t r = 0; r < b->a.rows; r++)
                memset(at(b, operand, r, head), 0, (size_t)heads * b->a.size * sizeof(float));
}

static void run_head(const struct cpu_call *call, const struct backward *b, uint32_t key_head)
{
        uint32_t rows = b->a.rows, group = b->a.group;

        clear_rows(b, DQ, key_head * group, group);
        clear_rows(b, DK, key_head, 1);
        clear_rows(b, DV, key_head, 1);
        for (uint32_t key = 0; key < rows; key += CELLS) {
                uint32_t cells = rows - key < CELLS ? rows - key : CELLS;

                spread_transposed(&b->a, (const uint8_t *)at(b, K, key, key_head), QVF_F32, cells, b->keys);
                spread_transposed(
                                &b->a, (const uint8_t *)at(b, V, key, key_head), QVF_F32, cells, b->values);
                spread(&b->a, (const uint8_t *)at(b, K, key, key_head), QVF_F32, cells, b->keys_plain);
                for (uint32_t row = key; row < rows; row += ROWS) {
                        uint32_t count = rows - row < ROWS ? rows - row : ROWS;

                        for (uint32_t g = 0; g < group; g++) {
                                if (!weigh_block(b, row, count, key_head * group + g, key))
                                        break;
                                add_block(b, row, count, key_head * group + g, key, cells);
                        }
                }
                cpu_pause_point(call);
        }
}

void cpu_avx512_attention_train_backward(const struct cpu_call *call)
{
        struct backward b = backward_of(call);
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++)
                for (uint32_t head = 0; head < b.heads; head++)
                        b.along[(size_t)r * b.heads + head] = (float)sum_products(
                                        at(&b, DY, r, head), at(&b, Y, r, head), b.a.size);
        cpu_barrier(call);
        for (uint32_t head = cpu_next(call); head < b.a.key_heads; head = cpu_next(call))
                run_head(call, &b, head);
}

size_t cpu_avx512_attention_train_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        return (along_floats(op, operands) + n_threads * thread_floats((uint32_t)op->i[0])) * sizeof(float);
}

bool cpu_avx512_attention_train_backward_supports(
                const struct qvf_op *op, const struct cpu_operand *operands)
{
        return cpu_avx512_attention_train_supports(op, operands);
}
