/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/cpu/amx/block.h"
#include "plugins/cpu/amx/kernels.h"
#include "plugins/cpu/blocks/head_loss.h"

bool cpu_amx_head_loss_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        (void)op;
        return head_loss_fits(operands) && cpu_amx_has_bf16();
}
