/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/cpu/bf16/block.h"
#include "plugins/cpu/blocks/head_loss.h"

bool LEVEL(head_loss_supports)(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return head_loss_fits(operands);
}
