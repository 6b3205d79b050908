/* SPDX-License-Identifier: Apache-2.0 */
/* y[r][n] (+)= f0 * s[r][i0] * Σ_c W[n][c] x[r][c] */
#include "plugins/cpu/plain/plain.h"

void plain_matmul(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1], *weight = &call->operand[2];
        const struct cpu_operand *s = &call->operand[3];
        float *row = plain_thread_scratch(call, weight->columns * sizeof(*row));
        uint32_t begin, end;

        cpu_share(call, weight->rows, 16, &begin, &end);
        for (uint32_t n = begin; n < end; n++) {
                plain_dequantise(weight, n, 0, weight->columns, row);
                for (uint32_t r = 0; r < call->rows; r++) {
                        double factor = call->op->f[0], sum = plain_dot(row, plain_row(x, r), x->columns);
                        float *to = &plain_row(y, r)[n];

                        if (s->data)
                                factor *= plain_row(s, r)[call->op->i[0]];
                        sum *= factor;
                        *to = (float)(call->op->flags & QVF_ACCUMULATE ? sum + *to : sum);
                }
                cpu_pause_point(call);
        }
}

size_t plain_matmul_scratch(const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads)
{
        (void)op;
        return n_threads * plain_thread_bytes(operands[2].columns * sizeof(float));
}
