/* SPDX-License-Identifier: Apache-2.0 */
/* Which steps of a program follow each other without a barrier. Steps of a group have nothing to do with each other (the
 * products of one input, say), or each of their rows hangs on the same row alone, and a row stays with its thread. */
#include "plugins/common/op_rules.h"
#include "plugins/cpu/cpu.h"

static uint64_t operand_bytes(const struct cpu_operand *operand)
{
        return operand->rows * qvf_program_row_bytes(operand->dtype, operand->columns);
}

static bool overlap(const struct cpu_operand *a, const struct cpu_operand *b)
{
        const char *x = a->data, *y = b->data;

        return x && y && x < y + operand_bytes(b) && y < x + operand_bytes(a);
}

/* The two have the same R rows. */
static bool same_rows(const struct cpu_operand *a, const struct cpu_operand *b)
{
        return a->data == b->data && a->rows == b->rows && a->columns == b->columns && a->dtype == b->dtype;
}

/* With many rows, products too may be done row by row. */
static bool by_rows(const struct cpu_step *step, bool many)
{
        if (cpu_by_rows(step->op.kind))
                return step->scratch_bytes == 0; /* or it would be another step's too */
        return many && step->op.rows == QVF_ROWS_INPUT && step->kernel.many_by_rows &&
               step->kernel.many_by_rows(step->operand);
}

/* Whether a thread may begin with b before another is through with a. */
static bool independent(const struct cpu_step *a, const struct cpu_step *b, bool many)
{
        const struct qvf_operand_rule *a_rule = qvf_op_rules[a->op.kind].operand;
        const struct qvf_operand_rule *b_rule = qvf_op_rules[b->op.kind].operand;
        bool rows = by_rows(a, many) && by_rows(b, many) && a->op.rows == b->op.rows &&
                    a->all_rows == b->all_rows;

        for (unsigned i = 0; i < QVF_OP_OPERANDS && a_rule[i].name; i++)
                for (unsigned j = 0; j < QVF_OP_OPERANDS && b_rule[j].name; j++)
                        if (((a_rule[i].flags | b_rule[j].flags) & QVF_OPERAND_WRITTEN) &&
                                        overlap(&a->operand[i], &b->operand[j]) &&
                                        !(rows && a_rule[i].shape[0] == 'R' && b_rule[j].shape[0] == 'R' &&
                                                        same_rows(&a->operand[i], &b->operand[j])))
                                return false;
        return true;
}

static void group_steps(struct qvf_program *program, uint64_t scratch_bytes, bool many)
{
        uint32_t first = 0;
        uint64_t used = 0;

        for (uint32_t i = 0; i < program->n_steps; i++) {
                struct cpu_step *step = &program->steps[i];
                uint64_t needed = by_rows(step, many) ? 0 : step->scratch_bytes;
                bool joins = i > 0 && i - first < CPU_GROUP_MOST && needed <= scratch_bytes - used;

                for (uint32_t j = first; j < i && joins; j++)
                        joins = independent(&program->steps[j], step, many);
                if (!joins) {
                        first = i;
                        used = 0;
                }
                step->group[many].first = !joins;
                step->group[many].slot = (uint16_t)(i - first);
                step->group[many].scratch = (char *)program->scratch + used;
                used += needed;
        }
}

void cpu_group_steps(struct qvf_program *program, uint64_t scratch_bytes)
{
        group_steps(program, scratch_bytes, false);
        group_steps(program, scratch_bytes, true);
}
