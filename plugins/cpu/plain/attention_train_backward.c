/* SPDX-License-Identifier: Apache-2.0 */
/* With p[r][j] = exp(f0 q[r]·k[j] - lse[r]) and ds[r][j] = p[r][j] (dy[r]·v[j] - dy[r]·y[r]):
 * dq[r] = f0 Σ_j ds[r][j] k[j], dk[j] = f0 Σ_r ds[r][j] q[r], dv[j] = Σ_r p[r][j] dy[r].
 * dq is shared out by rows and query heads, dk and dv by rows and key heads. */
#include <math.h>
#include <string.h>

#include "plugins/cpu/plain/plain.h"

enum { DQ, DK, DV, Y, LSE, Q, K, V, FIRST, DY };

struct pair {
        double p, ds;
};

/* What row r, by query head `head`, gives and takes at row j. */
static struct pair at(const struct cpu_call *call, uint32_t r, uint32_t j, uint32_t head, uint32_t key_head)
{
        const struct cpu_operand *o = call->operand;
        uint32_t size = (uint32_t)call->op->i[0];
        size_t column = (size_t)head * size, key_column = (size_t)key_head * size;
        const float *dy = plain_row(&o[DY], r) + column;
        double score = call->op->f[0] *
                       plain_dot(plain_row(&o[Q], r) + column, plain_row(&o[K], j) + key_column, size);
        double p = exp(score - plain_row(&o[LSE], r)[head]);
        double along_v = plain_dot(dy, plain_row(&o[V], j) + key_column, size);
        double along_y = plain_dot(dy, plain_row(&o[Y], r) + column, size);

        return (struct pair){ p, p * (along_v - along_y) };
}

static uint32_t first_of(const struct cpu_call *call, uint32_t r)
{
        int32_t first = *plain_integers(&call->operand[FIRST], r);

        return first > 0 ? (uint32_t)first : 0;
}

static void query_gradient(
                const struct cpu_call *call, uint32_t r, uint32_t head, uint32_t group, double *sums)
{
        uint32_t size = (uint32_t)call->op->i[0];

        memset(sums, 0, size * sizeof(*sums));
        for (uint32_t j = first_of(call, r); j <= r; j++) {
                const float *key = plain_row(&call->operand[K], j) + (size_t)(head / group) * size;
                double ds = at(call, r, j, head, head / group).ds;

                for (uint32_t c = 0; c < size; c++)
                        sums[c] += ds * key[c];
        }
        for (uint32_t c = 0; c < size; c++)
                plain_row(&call->operand[DQ], r)[(size_t)head * size + c] =
                                (float)(call->op->f[0] * sums[c]);
}

static void key_gradient(
                const struct cpu_call *call, uint32_t j, uint32_t key_head, uint32_t group, double *sums)
{
        uint32_t size = (uint32_t)call->op->i[0];
        double *key_sums = sums, *value_sums = sums + size;
        size_t column = (size_t)key_head * size;

        memset(sums, 0, 2 * size * sizeof(*sums));
        for (uint32_t r = j; r < call->rows; r++) {
                if (first_of(call, r) > j)
                        continue;
                for (uint32_t head = key_head * group; head < (key_head + 1) * group; head++) {
                        const float *query = plain_row(&call->operand[Q], r) + (size_t)head * size;
                        const float *dy = plain_row(&call->operand[DY], r) + (size_t)head * size;
                        struct pair pair = at(call, r, j, head, key_head);

                        for (uint32_t c = 0; c < size; c++) {
                                key_sums[c] += pair.ds * query[c];
                                value_sums[c] += pair.p * dy[c];
                        }
                }
        }
        for (uint32_t c = 0; c < size; c++) {
                plain_row(&call->operand[DK], j)[column + c] = (float)(call->op->f[0] * key_sums[c]);
                plain_row(&call->operand[DV], j)[column + c] = (float)value_sums[c];
        }
}

static size_t thread_bytes(const struct qvf_op *op)
{
        return 2 * (size_t)op->i[0] * sizeof(double);
}

void plain_attention_train_backward(const struct cpu_call *call)
{
        uint32_t size = (uint32_t)call->op->i[0], begin, end;
        uint32_t heads = call->operand[Q].columns / size, key_heads = call->operand[K].columns / size;
        double *sums = plain_thread_scratch(call, thread_bytes(call->op));

        cpu_share(call, call->rows * heads, 1, &begin, &end);
        for (uint32_t task = begin; task < end; task++) {
                query_gradient(call, task / heads, task % heads, heads / key_heads, sums);
                cpu_pause_point(call);
        }
        cpu_share(call, call->rows * key_heads, 1, &begin, &end);
        for (uint32_t task = begin; task < end; task++) {
                key_gradient(call, task / key_heads, task % key_heads, heads / key_heads, sums);
                cpu_pause_point(call);
        }
}

size_t plain_attention_train_backward_scratch(
                const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)operands;
        return n_threads * plain_thread_bytes(thread_bytes(op));
}
