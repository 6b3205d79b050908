/* SPDX-License-Identifier: Apache-2.0 */
/* The plain kernels, which everything else is compared with, against numbers worked out by hand, naive loops,
 * the file reader's own conversions, and slopes of the forward operations. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/half.h"
#include "engine/conformance/internal.h"
#include "engine/files/dtype.h"
#include "engine/program/builder.h"
#include "plugins/cpu/plain/plain.h"
#include "tests/support/suite.h"

#define F32(numbers, rows_, columns_)                                                                       \
        ((struct cpu_operand){ (numbers), (rows_), (columns_), QVF_F32, 0, 0, 1 })
#define I32(numbers, rows_, columns_)                                                                       \
        ((struct cpu_operand){ (numbers), (rows_), (columns_), QVF_I32, 0, 0, 1 })
#define NONE ((struct cpu_operand){ 0 })

static const struct qvf_args no_args = { .size = sizeof(no_args) };

static void run(struct qvf_op op, uint32_t rows, const struct qvf_args *args,
                const struct cpu_operand *operands)
{
        struct cpu_operand all[QVF_OP_OPERANDS] = { 0 };

        memcpy(all, operands, qvf_op_operand_count(op.kind) * sizeof(*all));
        ck_assert_int_eq(qvf_conformance_plain(&op, args ? args : &no_args, rows, all), 0);
}

static void fill(uint64_t *state, float *numbers, size_t count, float amount)
{
        struct conformance_operand o = { true, 1, (uint32_t)count, QVF_F32, DATA_NORMAL, amount, 0, 0, 1,
                0 };

        qvf_conformance_fill(state, &o, numbers);
}

START_TEST(dequantises_as_the_file_reader)
{
        uint64_t state = 7;

        for (unsigned d = 0; d < qvf_conformance_weight_dtype_count; d++) {
                static uint8_t bytes[4 * 1024];
                static float expected[1024], got[1024];
                struct conformance_operand o = { true, 1, 1024, qvf_conformance_weight_dtypes[d],
                        DATA_BLOCKS, 1, 0, 0, 1, 1 };
                struct cpu_operand matrix = { bytes, 1, 1024, o.dtype, 0, 1, 1 };

                if (o.dtype == QVF_F32 || o.dtype == QVF_F16 || o.dtype == QVF_BF16)
                        o.data = DATA_NORMAL;
                qvf_conformance_fill(&state, &o, bytes);
                ck_assert_int_eq(qvf_dtype_dequantise_row(o.dtype, bytes, expected, 1024), 0);
                plain_dequantise(&matrix, 0, 0, 1024, got);
                for (int i = 0; i < 1024; i++)
                        ck_assert_msg(fabsf(expected[i] - got[i]) <= 1e-6f * fabsf(expected[i]),
                                        "dtype %u, number %d: %g and %g", o.dtype, i, expected[i], got[i]);
                plain_dequantise(&matrix, 0, 77, 300,
                                got); /* from the middle of a block to the middle of one */
                for (int i = 0; i < 300; i++)
                        ck_assert(fabsf(expected[77 + i] - got[i]) <= 1e-6f * fabsf(expected[77 + i]));
        }
}
END_TEST

START_TEST(quantize_by_hand)
{
        float x[3][6] = { { 127, 0.5f, 1.5f, -2.5f, -127, 63.49f }, { 0 }, { 1e-7f, -1e-7f } };
        float scale[3];
        int8_t q[3][256];
        struct cpu_operand operands[] = { { q, 3, 256, QVF_I8, 0, 0, 1 }, F32(scale, 3, 1), F32(x, 3, 6) };
        static const int8_t first[] = { 127, 0, 2, -2, -127, 63, 0 }, third[] = { 1, -1, 0 };

        memset(q, 99, sizeof(q));
        run((struct qvf_op){ .kind = QVF_OP_QUANTIZE }, 3, NULL, operands);
        ck_assert_mem_eq(q[0], first, sizeof(first));
        ck_assert_mem_eq(q[2], third, sizeof(third));
        for (int i = 6; i < 256; i++)
                ck_assert_int_eq(q[0][i] | q[1][i] | q[2][i], 0);
        ck_assert(scale[0] == 1 && scale[1] == 1e-5f / 127 && scale[2] == 1e-5f / 127);
}
END_TEST

START_TEST(ternary_product_by_loops)
{
        uint64_t state = 11;
        enum { R = 3, N = 5, C = 512 };
        static uint8_t weights[N * C / 256 * 66];
        static int8_t q[R * C];
        float scale[R] = { 0.5f, 2, 0.01f }, y[R * N];

        for (unsigned variant = 0; variant < 4; variant++) {
                uint32_t dtype = variant & 1 ? QVF_TQ1_0 : QVF_TQ2_0, block_scales = variant >> 1;
                struct conformance_operand w = { true, N, C, dtype, DATA_BLOCKS, 1, 0, 0, 0.3f,
                        block_scales };
                struct conformance_operand x = { true, R, C, QVF_I8, DATA_BLOCKS, 1, 0, 0, 1, 0 };
                struct cpu_operand operands[] = { F32(y, R, N), { q, R, C, QVF_I8, 0, 0, 1 },
                        F32(scale, R, 1), { weights, N, C, dtype, 0, block_scales, 0.3f } };

                qvf_conformance_fill(&state, &w, weights);
                qvf_conformance_fill(&state, &x, q);
                run((struct qvf_op){ .kind = QVF_OP_MATMUL_TERNARY }, R, NULL, operands);
                for (uint32_t r = 0; r < R; r++)
                        for (uint32_t n = 0; n < N; n++) {
                                float row[C];
                                double sum = 0, size = 0;

                                /* the reader's row holds the block's scale: divide it out where it means nothing */
                                ck_assert_int_eq(
                                                qvf_dtype_dequantise_row(dtype,
                                                                weights + n * sizeof(weights) / N *
                                                                                                (dtype == QVF_TQ1_0 ? 54
                                                                                                                    : 66) /
                                                                                                66,
                                                                row, C),
                                                0);
                                for (int c = 0; c < C; c++) {
                                        float part = block_scales ? row[c] : copysignf(row[c] != 0, row[c]);

                                        sum += (double)part * q[r * C + (uint32_t)c];
                                        size += fabs((double)part * q[r * C + (uint32_t)c]);
                                }
                                ck_assert_double_eq_tol(
                                                y[r * N + n], sum * 0.3f * scale[r], 1e-6 * size * scale[r]);
                        }
        }
}
END_TEST

START_TEST(rope_by_hand)
{
        /* one head of 6, of which 4 turn: angles of 90° and 180° at position 2 */
        float x[6] = { 1, 2, 3, 4, 5, 6 }, y[6], frequency[2] = { 0.78539816f, 1.57079633f };
        int32_t position = 2;
        struct cpu_operand operands[] = { F32(y, 1, 6), F32(x, 1, 6), I32(&position, 1, 1),
                F32(frequency, 1, 2) };
        struct qvf_op op = { .kind = QVF_OP_ROPE, .i = { 6, 0 }, .f = { 1, 1 } };
        static const float halves[] = { -3, -2, 1, -4, 5, 6 }, pairs[] = { -2, 1, -3, -4, 5, 6 };
        static const float back[] = { 4, -1, -6, -8, 5, 6 };

        run(op, 1, NULL, operands);
        for (int i = 0; i < 6; i++)
                ck_assert_float_eq_tol(y[i], halves[i], 1e-5f);
        op.i[1] = 1;
        run(op, 1, NULL, operands);
        for (int i = 0; i < 6; i++)
                ck_assert_float_eq_tol(y[i], pairs[i], 1e-5f);
        op.f[0] = -1;
        op.f[1] = 2;
        run(op, 1, NULL, operands);
        ck_assert_float_eq_tol(y[0], back[0], 1e-5f);
        ck_assert_float_eq_tol(y[1], -2, 1e-5f);
        ck_assert_float_eq_tol(y[2], back[2], 1e-5f);
        ck_assert_float_eq(y[4], 5);
}
END_TEST

START_TEST(attention_by_hand)
{
        /* two sequences in a cache of 3 blocks; all scores are 0, so that values are averaged */
        enum { D = 2 };
        static float keys[96 * D], values[96 * D];
        float q[4 * D] = { 1, 1, 1, 1, 1, 1, 1, 1 }, y[4 * D];
        int32_t table[2 * 2] = { 2, 0, 1, -1 }, place[4 * 2] = { 0, 0, 33, 0, 3, 1, -1, 0 };
        struct cpu_operand operands[] = { F32(y, 4, D), F32(q, 4, D), F32(keys, 96, D), F32(values, 96, D),
                I32(place, 4, 2), I32(table, 2, 2) };
        struct qvf_op op = { .kind = QVF_OP_ATTENTION, .i = { D, 0 }, .f = { 1 } };

        for (int cell = 0; cell < 96; cell++)
                values[cell * D] = (float)cell;
        run(op, 4, NULL, operands);
        ck_assert_float_eq(y[0], 64);
        ck_assert_float_eq_tol(y[D], (32 * (64 + 95) / 2.0f + 0 + 1) / 34, 1e-4f);
        ck_assert_float_eq_tol(y[2 * D], (32 + 33 + 34 + 35) / 4.0f, 1e-5f);
        ck_assert_float_eq(y[3 * D], 0); /* nowhere */
        op.i[1] = 2;                     /* the last two positions: cells 0 and 1; 34 and 35 */
        run(op, 4, NULL, operands);
        ck_assert_float_eq(y[D], 0.5f);
        ck_assert_float_eq(y[2 * D], 34.5f);
        keys[1 * D] = 1000; /* cell 1 gets all the attention */
        run(op, 4, NULL, operands);
        ck_assert_float_eq(y[D], 1);
}
END_TEST

START_TEST(cache_moves)
{
        enum { C = 32 };
        static float cache[128 * C], x[2 * C];
        int32_t position[2] = { 33, 5 }, sequence[2] = { 0, 9 }, table[2] = { 3, 1 }, pair[2] = { 1, 2 };
        struct cpu_operand store[] = { F32(cache, 128, C), F32(x, 2, C), I32(position, 2, 1),
                I32(sequence, 2, 1), I32(table, 1, 2) };
        struct cpu_operand copy[] = { F32(cache, 128, C), I32(pair, 1, 2) };

        for (int i = 0; i < 2 * C; i++)
                x[i] = (float)(i + 1);
        run((struct qvf_op){ .kind = QVF_OP_KV_STORE }, 2, NULL,
                        store); /* the second row's sequence isn't there */
        for (int i = 0; i < 128 * C; i++)
                ck_assert_float_eq(cache[i], i / C == 33 ? x[i % C] : 0);
        run((struct qvf_op){ .kind = QVF_OP_KV_COPY }, 1, NULL, copy);
        ck_assert_mem_eq(cache + 32 * C, cache + 64 * C, 32 * C * sizeof(float));
}
END_TEST

START_TEST(top_k_and_ties)
{
        float x[8] = { 1, 3, NAN, 3, -INFINITY, 2, 3, 0 }, value[8];
        int32_t id[8];
        struct cpu_operand operands[] = { F32(value, 1, 8), I32(id, 1, 8), F32(x, 1, 8) };
        static const int32_t expected[] = { 1, 3, 6, 5, 0, 7, 2, 4 };

        run((struct qvf_op){ .kind = QVF_OP_TOP_K }, 1, NULL, operands);
        ck_assert_mem_eq(id, expected, sizeof(expected));
        operands[0].columns = operands[1].columns = 2;
        run((struct qvf_op){ .kind = QVF_OP_TOP_K }, 1, NULL, operands);
        ck_assert_mem_eq(id, expected, 2 * sizeof(*id));
        ck_assert_float_eq(value[1], 3);
}
END_TEST

START_TEST(dropout_share)
{
        static float x[100 * 1000], y[100 * 1000];
        struct cpu_operand operands[] = { F32(y, 100, 1000), F32(x, 100, 1000) };
        struct qvf_args args = { .size = sizeof(args), .seed = 12345 };
        int kept = 0;

        for (int i = 0; i < 100 * 1000; i++)
                x[i] = 2;
        run((struct qvf_op){ .kind = QVF_OP_DROPOUT, .f = { 0.25f } }, 100, &args, operands);
        for (int i = 0; i < 100 * 1000; i++) {
                ck_assert(y[i] == 0 || fabsf(y[i] - 2 / 0.75f) < 1e-6f);
                kept += y[i] != 0;
        }
        ck_assert_int_gt(kept, 74400); /* 75,000 and four deviations of 137 */
        ck_assert_int_lt(kept, 75600);
}
END_TEST

START_TEST(adamw_by_hand)
{
        float p[2] = { 1, -2 }, g[2] = { 0.5f, -3 }, m[2] = { 0 }, v[2] = { 0 }, norm2 = 9.25f;
        struct cpu_operand operands[] = { F32(p, 1, 2), F32(g, 1, 2), F32(m, 1, 2), F32(v, 1, 2),
                F32(&norm2, 1, 1), NONE, NONE };
        struct qvf_op op = { .kind = QVF_OP_ADAMW, .f = { 0.9f, 0.999f, 1e-8f, 0.1f } };
        struct qvf_args args = { .size = sizeof(args), .step = 1, .learning_rate = 0.01f };

        /* In the first step m / v^½ is the sign of the gradient, whatever its size. */
        run(op, 0, &args, operands);
        ck_assert_float_eq_tol(p[0], 1 - 0.01f * (1 + 0.1f), 1e-6f);
        ck_assert_float_eq_tol(p[1], -2 + 0.01f * (1 + 0.2f), 1e-6f);
        ck_assert_float_eq_tol(m[1], -0.3f, 1e-6f);
        ck_assert_float_eq_tol(v[1], 9 * (1 - 0.999f), 1e-8f);
        norm2 = INFINITY;
        run(op, 0, &args, operands);
        ck_assert_float_eq_tol(m[1], -0.3f, 1e-6f); /* nothing happened */
        norm2 = 9.25f;
        m[0] = m[1] = v[0] = v[1] = 0;
        args.clip = 1;
        run(op, 0, &args, operands);
        ck_assert_float_eq_tol(m[1], -0.3f / sqrtf(9.25f), 1e-6f);
}
END_TEST

/* 8-bit state must lead to nearly the same place as float state. */
START_TEST(adamw_8_bit)
{
        enum { N = 600 };
        static float p[2][N], g[N], m[N], v[N];
        static uint8_t m8[N], v8[N];
        float m_scale[3] = { 0 }, v_scale[3] = { 0 }, norm2 = 1;
        struct cpu_operand floats[] = { F32(p[0], 1, N), F32(g, 1, N), F32(m, 1, N), F32(v, 1, N),
                F32(&norm2, 1, 1), NONE, NONE };
        struct cpu_operand bytes[] = { F32(p[1], 1, N), F32(g, 1, N), { m8, 1, N, QVF_U8, 0, 0, 1 },
                { v8, 1, N, QVF_U8, 0, 0, 1 }, F32(&norm2, 1, 1), F32(m_scale, 1, 3), F32(v_scale, 1, 3) };
        struct qvf_op op = { .kind = QVF_OP_ADAMW, .f = { 0.9f, 0.999f, 1e-8f, 0 } };
        double moved = 0, apart = 0;
        uint64_t state = 3;

        for (uint32_t step = 1; step <= 50; step++) {
                struct qvf_args args = { .size = sizeof(args), .step = step, .learning_rate = 1e-3f };

                fill(&state, g, N, 1);
                for (int i = 0; i < N; i++)
                        g[i] = (g[i] + 1) * powf(10, -(float)(i % 4)); /* of many sizes */
                run(op, 0, &args, floats);
                run(op, 0, &args, bytes);
        }
        for (int i = 0; i < N; i++) {
                moved += fabs((double)p[0][i]);
                apart += fabs((double)p[0][i] - p[1][i]);
        }
        ck_assert_msg(apart < 0.1 * moved, "%g apart, %g moved", apart, moved);
}
END_TEST

/* Σ weights · y as a function of one operand of a forward operation: its slope is what the backward operation must
 * find, with the weights as dy. */
struct slope {
        struct qvf_op op;
        uint32_t rows;
        unsigned y; /* operands */
        struct cpu_operand operands[QVF_OP_OPERANDS];
        const float *weights;
};

static double value_of(const struct slope *slope)
{
        const struct cpu_operand *y = &slope->operands[slope->y];
        struct qvf_args args = { .size = sizeof(args), .loss_scale = 1 };
        double sum = 0;

        run(slope->op, slope->rows, &args, slope->operands);
        for (size_t i = 0; i < (size_t)y->rows * y->columns; i++)
                sum += (double)slope->weights[i] * ((float *)y->data)[i];
        return sum;
}

static void check_slope(const struct slope *slope, unsigned operand, const float *gradient, const char *what)
{
        const float step = 4e-3f;
        float *x = slope->operands[operand].data;
        size_t count = (size_t)slope->operands[operand].rows * slope->operands[operand].columns;
        double largest = 0;

        for (size_t i = 0; i < count; i++)
                largest = fmax(largest, fabs((double)gradient[i]));
        ck_assert_msg(largest > 0.01, "%s: no gradient", what);
        for (size_t i = 0; i < count; i += 1 + count / 97) {
                float was = x[i];
                double up, down;

                x[i] = was + step;
                up = value_of(slope);
                x[i] = was - step;
                down = value_of(slope);
                x[i] = was;
                ck_assert_msg(fabs((up - down) / (2 * step) - gradient[i]) < 4e-3 * largest,
                                "%s %zu: %g, expected %g", what, i, gradient[i], (up - down) / (2 * step));
        }
}

START_TEST(norm_and_gate_slopes)
{
        enum { R = 3, C = 40 };
        static float x[R * C], u[R * C], w[C], y[R * C], dy[R * C], dx[R * C], du[R * C];
        struct slope norm = { { .kind = QVF_OP_RMSNORM, .f = { 1e-5f } }, R, 0,
                { F32(y, R, C), F32(x, R, C), F32(w, 1, C) }, dy };
        struct cpu_operand norm_backward[] = { F32(dx, R, C), F32(x, R, C), F32(w, 1, C), F32(dy, R, C) };
        struct cpu_operand gate_backward[] = { F32(dx, R, C), F32(du, R, C), F32(x, R, C), F32(u, R, C),
                F32(dy, R, C) };
        uint64_t state = 5;

        fill(&state, x, R * C, 1);
        fill(&state, u, R * C, 1);
        fill(&state, w, C, 1);
        fill(&state, dy, R * C, 1);
        run((struct qvf_op){ .kind = QVF_OP_RMSNORM_BACKWARD, .f = { 1e-5f } }, R, NULL, norm_backward);
        check_slope(&norm, 1, dx, "norm");
        for (int activation = 0; activation < 2; activation++) {
                struct slope gate = { { .kind = QVF_OP_GATE, .i = { activation } }, R, 0,
                        { F32(y, R, C), F32(x, R, C), F32(u, R, C) }, dy };

                run((struct qvf_op){ .kind = QVF_OP_GATE_BACKWARD, .i = { activation } }, R, NULL,
                                gate_backward);
                check_slope(&gate, 1, dx, "gate");
                check_slope(&gate, 2, du, "up");
        }
}
END_TEST

START_TEST(product_slopes)
{
        enum { R = 4, N = 9, C = 256 };
        static float x[R * C], w[N * C], y[R * N], dy[R * N], dx[R * C], dw[N * C];
        static uint8_t ternary[N * 66];
        struct slope slope = { { .kind = QVF_OP_MATMUL, .f = { 0.5f } }, R, 0,
                { F32(y, R, N), F32(x, R, C), F32(w, N, C), NONE }, dy };
        struct cpu_operand backward[] = { F32(dx, R, C), F32(dy, R, N), F32(w, N, C) };
        struct cpu_operand weight_backward[] = { F32(dw, N, C), F32(dy, R, N), F32(x, R, C) };
        struct conformance_operand o = { true, N, C, QVF_TQ2_0, DATA_BLOCKS, 1, 0, 0, 0.3f, 0 };
        uint64_t state = 9;

        fill(&state, x, R * C, 1);
        fill(&state, w, N * C, 1);
        fill(&state, dy, R * N, 1);
        run((struct qvf_op){ .kind = QVF_OP_MATMUL_BACKWARD, .f = { 0.5f } }, R, NULL, backward);
        run((struct qvf_op){ .kind = QVF_OP_MATMUL_WEIGHT_BACKWARD, .f = { 0.5f } }, R, NULL,
                        weight_backward);
        check_slope(&slope, 1, dx, "matmul x");
        check_slope(&slope, 2, dw, "matmul w");

        qvf_conformance_fill(&state, &o, ternary);
        slope.operands[2] = backward[2] = (struct cpu_operand){ ternary, N, C, QVF_TQ2_0, 0, 0, 0.3f };
        slope.op.f[0] = 1;
        run((struct qvf_op){ .kind = QVF_OP_MATMUL_TERNARY_BACKWARD }, R, NULL, backward);
        check_slope(&slope, 1, dx, "ternary");
}
END_TEST

START_TEST(attention_slopes)
{
        enum { R = 11, D = 8, H = 4, KH = 2, C = D * H, K = D * KH };
        static float q[R * C], k[R * K], v[R * K], y[R * C], lse[R * H], dy[R * C], dq[R * C], dk[R * K],
                        dv[R * K];
        int32_t first[R] = { 0, 0, 0, 3, 3, 5, 5, 5, 5, 5, 5 };
        struct qvf_op op = { .kind = QVF_OP_ATTENTION_TRAIN, .i = { D }, .f = { 0.35f } };
        struct slope slope = { op, R, 0,
                { F32(y, R, C), F32(lse, R, H), F32(q, R, C), F32(k, R, K), F32(v, R, K), I32(first, R, 1) },
                dy };
        struct cpu_operand backward[] = { F32(dq, R, C), F32(dk, R, K), F32(dv, R, K), F32(y, R, C),
                F32(lse, R, H), F32(q, R, C), F32(k, R, K), F32(v, R, K), I32(first, R, 1), F32(dy, R, C) };
        uint64_t state = 13;

        fill(&state, q, R * C, 1);
        fill(&state, k, R * K, 1);
        fill(&state, v, R * K, 1);
        fill(&state, dy, R * C, 1);
        run(op, R, NULL, slope.operands);
        op.kind = QVF_OP_ATTENTION_TRAIN_BACKWARD;
        run(op, R, NULL, backward);
        check_slope(&slope, 2, dq, "q");
        check_slope(&slope, 3, dk, "k");
        check_slope(&slope, 4, dv, "v");
}
END_TEST

START_TEST(loss_slopes)
{
        enum { R = 5, V = 23, C = 40 };
        static float x[R * C], w[V * C], loss[R], dx[R * C], ones[R] = { 1, 1, 1, 1, 1 }, scratch[2 * V];
        int32_t target[R] = { 3, -1, 22, 0, 7 }, best[R];
        uint64_t state = 17;

        fill(&state, x, R * C, 1);
        fill(&state, w, V * C, 0.3f);
        for (int32_t words = 5; words <= V; words += 9) { /* in parts of 5 and 14, and all at once */
                struct qvf_op op = { .kind = QVF_OP_HEAD_LOSS, .i = { 2, words } };
                struct slope slope = { op, R, 0,
                        { F32(loss, R, 1), NONE, NONE, F32(scratch, 2, V), F32(x, R, C), F32(w, V, C),
                                        I32(target, R, 1) },
                        ones };
                struct qvf_args args = { .size = sizeof(args), .loss_scale = 1 };

                slope.operands[1] = F32(dx, R, C);
                slope.operands[2] = I32(best, R, 1);
                run(op, R, &args, slope.operands);
                slope.operands[1] = NONE;
                check_slope(&slope, 4, dx, "loss");
                run(op, R, &args, slope.operands);
                for (int r = 0; r < R; r++) {
                        double total = 0, largest = -INFINITY, expected;
                        int best_word = 0;

                        for (int n = 0; n < V; n++) {
                                double logit = plain_dot(x + r * C, w + n * C, C);

                                total += exp(logit);
                                best_word = logit > largest ? n : best_word;
                                largest = fmax(largest, logit);
                        }
                        ck_assert_int_eq(best[r], best_word);
                        expected = log(total) -
                                   plain_dot(x + r * C, w + (target[r] < 0 ? 0 : target[r]) * C, C);
                        ck_assert_double_eq_tol(loss[r], (target[r] < 0 ? 0 : expected), 1e-5);
                }
                for (int c = 0; c < C; c++)
                        ck_assert_float_eq(dx[C + c], 0);
        }
}
END_TEST

QVF_SUITE("plain kernels", 60, dequantises_as_the_file_reader, quantize_by_hand, ternary_product_by_loops,
                rope_by_hand, attention_by_hand, cache_moves, top_k_and_ties, dropout_share, adamw_by_hand,
                adamw_8_bit, norm_and_gate_slopes, product_slopes, attention_slopes, loss_slopes)
