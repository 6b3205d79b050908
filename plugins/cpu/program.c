/* SPDX-License-Identifier: Apache-2.0 */
/* A program becomes a list of steps: kernel and operands found, everything checked. */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/cpu/cpu.h"

#define ALIGNMENT 64u

static uint64_t buffer_bytes(const struct qvf_buffer *buffer)
{
        return buffer->bytes;
}

static void make_step(const struct qvf_device *device, const struct qvf_program_desc *desc,
                const struct qvf_op *op, bool with_memory, struct cpu_step *ret_step)
{
        struct cpu_step step = { .op = *op };
        int row_operand = qvf_program_row_operand(op->kind);

        for (unsigned i = 0; i < qvf_program_operand_count(op->kind); i++) {
                const struct qvf_value *value;

                if (op->operand[i] == QVF_NONE)
                        continue;
                value = &desc->values[op->operand[i]];
                step.operand[i] = (struct cpu_operand){
                        .data = with_memory ? (char *)value->buffer->memory + value->offset : NULL,
                        .rows = value->rows,
                        .columns = value->columns,
                        .dtype = value->dtype,
                        .packed = value->packed,
                        .block_scales = value->block_scales,
                        .scale = value->scale,
                };
        }
        /* Operations over flat values count no rows; 0 would be taken for nothing to do. */
        step.all_rows = row_operand >= 0 ? step.operand[row_operand].rows : 1;
        step.kernel = *cpu_level_find(device->levels, op, step.operand);
        if (step.kernel.scratch_bytes)
                step.scratch_bytes = (step.kernel.scratch_bytes(op, step.operand, device->n_threads) +
                                                     ALIGNMENT - 1) /
                                     ALIGNMENT * ALIGNMENT;
        *ret_step = step;
}

struct layout { /* of the one allocation */
        uint64_t steps, scratch, bytes;
};

static int lay_out(struct qvf_device *device, const struct qvf_program_desc *desc, struct layout *ret_layout)
{
        struct layout layout;
        uint64_t scratch = 0;

        for (uint32_t i = 0; i < desc->n_ops; i++) {
                struct cpu_step step;

                make_step(device, desc, &desc->ops[i], false, &step);
                scratch = qvf_max_u64(scratch, step.scratch_bytes);
        }
        layout.steps = (sizeof(struct qvf_program) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        layout.scratch = layout.steps +
                         (desc->n_ops * sizeof(struct cpu_step) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (!qvf_add_u64(layout.scratch, scratch, &layout.bytes) ||
                        !qvf_align_u64(layout.bytes, ALIGNMENT, &layout.bytes) || layout.bytes > PTRDIFF_MAX)
                return -EOVERFLOW;
        *ret_layout = layout;
        return 0;
}

static int check(struct qvf_device *device, const struct qvf_program_desc *desc, bool with_memory,
                struct qvf_program_limits *ret_limits)
{
        const struct qvf_program_checks checks = { .buffer_bytes = with_memory ? buffer_bytes : NULL };
        struct qvf_error error = { 0 };
        int r = qvf_program_check(desc, &checks, ret_limits, &error);

        if (r < 0)
                cpu_log(&device->host, 0, "cpu: program '%s': %s", desc->name ? desc->name : "", error.text);
        return r;
}

int cpu_program_size(struct qvf_device *device, const struct qvf_program_desc *desc, uint64_t *ret_bytes)
{
        struct qvf_program_limits limits;
        struct layout layout = { 0 };
        int r = check(device, desc, false, &limits);

        if (r == 0)
                r = lay_out(device, desc, &layout);
        if (r == 0)
                *ret_bytes = layout.bytes;
        return r;
}

int cpu_program_new(struct qvf_device *device, const struct qvf_program_desc *desc,
                struct qvf_program **ret_program)
{
        struct qvf_program_limits limits;
        struct qvf_program *program;
        struct layout layout = { 0 };
        int r = check(device, desc, true, &limits);

        if (r == 0)
                r = lay_out(device, desc, &layout);
        if (r < 0)
                return r;
        program = device->host.alloc(device->host.context, layout.bytes, ALIGNMENT);
        if (!program)
                return -ENOMEM;
        memset(program, 0, sizeof(*program));
        program->device = device;
        program->bytes = layout.bytes;
        program->n_steps = desc->n_ops;
        program->steps = (struct cpu_step *)((char *)program + layout.steps);
        program->scratch = (char *)program + layout.scratch;
        program->limits = limits;
        atomic_init(&program->state, CPU_NEVER_RAN);
        for (uint32_t i = 0; i < desc->n_ops; i++)
                make_step(device, desc, &desc->ops[i], true, &program->steps[i]);
        cpu_group_steps(program, layout.bytes - layout.scratch);
        *ret_program = program;
        return 0;
}

void cpu_program_free(struct qvf_program *program)
{
        if (!program)
                return;
        cpu_abandon(program);
        program->device->host.free(program->device->host.context, program, program->bytes);
}
