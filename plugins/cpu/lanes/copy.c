/* SPDX-License-Identifier: Apache-2.0 */
/* y = x between F32 and F16, rounded to nearest even: what training keeps for the way back. */
#include "plugins/cpu/lanes/lanes.h"
#include "qvf/dtype.h"

#define HALF_BYTES 2u

static void to_halves(const float *x, uint8_t *y, uint64_t i, uint64_t end)
{
        uint8_t last[LANES * HALF_BYTES];

        for (; i + LANES <= end; i += LANES)
                store_f16(y + HALF_BYTES * i, load(x + i));
        if (i < end) {
                store_f16(last, load_left(x + i, end - i, false));
                memcpy(y + HALF_BYTES * i, last, HALF_BYTES * (end - i));
        }
}

static void to_floats(const uint8_t *x, float *y, uint64_t i, uint64_t end)
{
        uint8_t last[LANES * HALF_BYTES] = { 0 };

        for (; i + LANES <= end; i += LANES)
                store(y + i, load_f16(x + HALF_BYTES * i));
        if (i < end) {
                memcpy(last, x + HALF_BYTES * i, HALF_BYTES * (end - i));
                store_left(y + i, end - i, false, load_f16(last));
        }
}

void LEVEL(copy)(const struct cpu_call *call)
{
        const struct cpu_operand *y = &call->operand[0], *x = &call->operand[1];
        uint64_t begin, end;

        share_numbers(call, &begin, &end);
        if (y->dtype == QVF_F16)
                to_halves(x->data, y->data, begin, end);
        else
                to_floats(x->data, y->data, begin, end);
}

bool LEVEL(copy_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return (operands[0].dtype == QVF_F16 && operands[1].dtype == QVF_F32) ||
               (operands[0].dtype == QVF_F32 && operands[1].dtype == QVF_F16);
}
