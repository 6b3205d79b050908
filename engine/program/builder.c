/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/program/builder.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "engine/program/planner.h"

/* Operand numbers are 16 bits wide, and the last one means "none". */
#define MOST_VALUES 65535u
#define MOST_OPS (1u << 20)

struct qvf_builder {
        struct qvf_value *values;
        struct qvf_lifetime *lifetimes; /* bytes 0: not a temporary */
        struct qvf_op *ops;
        uint32_t n_values, values_capacity;
        uint32_t n_ops, ops_capacity;
        struct qvf_op discarded; /* what qvf_builder_op() returns after a failure */
        int failure;
};

static const struct {
        const char *name;
        unsigned operands;
} op_table[QVF_OP_COUNT] = {
#define OP_ROW(name, operands) [QVF_OP_##name] = { #name, operands },
        QVF_OPS(OP_ROW)
#undef OP_ROW
};

const char *qvf_op_name(enum qvf_op_kind kind)
{
        return kind < QVF_OP_COUNT ? op_table[kind].name : "?";
}

unsigned qvf_op_operand_count(enum qvf_op_kind kind)
{
        return kind < QVF_OP_COUNT ? op_table[kind].operands : 0;
}

uint64_t qvf_row_bytes(enum qvf_dtype dtype, uint32_t columns)
{
        static const struct {
                enum qvf_dtype dtype;
                uint32_t block, bytes;
        } formats[] = {
                { QVF_F32, 1, 4 },
                { QVF_F16, 1, 2 },
                { QVF_BF16, 1, 2 },
                { QVF_I32, 1, 4 },
                { QVF_I8, 1, 1 },
                { QVF_U8, 1, 1 },
                { QVF_Q8_0, 32, 34 },
                { QVF_Q4_0, 32, 18 },
                { QVF_Q4_K, 256, 144 },
                { QVF_Q6_K, 256, 210 },
                { QVF_TQ1_0, 256, 54 },
                { QVF_TQ2_0, 256, 66 },
        };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(formats); i++)
                if (formats[i].dtype == dtype)
                        return columns % formats[i].block
                                               ? 0
                                               : (uint64_t)columns / formats[i].block * formats[i].bytes;
        return 0;
}

int qvf_builder_new(struct qvf_builder **ret_builder)
{
        struct qvf_builder *builder = calloc(1, sizeof(*builder));

        if (!builder)
                return -ENOMEM;
        *ret_builder = builder;
        return 0;
}

struct qvf_builder *qvf_builder_free(struct qvf_builder *builder)
{
        if (!builder)
                return NULL;
        free(builder->values);
        free(builder->lifetimes);
        free(builder->ops);
        free(builder);
        return NULL;
}

void qvf_builder_fail(struct qvf_builder *builder, int code)
{
        if (builder->failure == 0)
                builder->failure = code;
}

static int grow_values(struct qvf_builder *builder)
{
        uint32_t capacity = builder->values_capacity ? 2 * builder->values_capacity : 256;
        struct qvf_value *values = reallocarray(builder->values, capacity, sizeof(*values));
        struct qvf_lifetime *lifetimes;

        if (!values)
                return -ENOMEM;
        builder->values = values;
        lifetimes = reallocarray(builder->lifetimes, capacity, sizeof(*lifetimes));
        if (!lifetimes)
                return -ENOMEM;
        builder->lifetimes = lifetimes;
        builder->values_capacity = capacity;
        return 0;
}

static uint16_t add_value(struct qvf_builder *builder, const struct qvf_value *value, uint64_t arena_bytes)
{
        int r = 0;

        if (builder->failure < 0)
                return 0;
        if (builder->n_values == MOST_VALUES)
                r = -E2BIG;
        else if (builder->n_values == builder->values_capacity)
                r = grow_values(builder);
        if (r < 0) {
                qvf_builder_fail(builder, r);
                return 0;
        }
        builder->values[builder->n_values] = *value;
        builder->lifetimes[builder->n_values] =
                        (struct qvf_lifetime){ .bytes = arena_bytes, .first = UINT32_MAX };
        return (uint16_t)builder->n_values++;
}

uint16_t qvf_builder_fixed(struct qvf_builder *builder, const struct qvf_value *value)
{
        return add_value(builder, value, 0);
}

uint16_t qvf_builder_temporary(
                struct qvf_builder *builder, uint32_t rows, uint32_t columns, enum qvf_dtype dtype)
{
        struct qvf_value value = {
                .rows = rows, .columns = columns, .dtype = dtype, .scale = 1, .temporary = 1
        };
        uint64_t bytes;

        if (!qvf_mul_u64(qvf_row_bytes(dtype, columns), rows, &bytes) || bytes == 0) {
                qvf_builder_fail(builder, -EOVERFLOW);
                return 0;
        }
        return add_value(builder, &value, bytes);
}

void qvf_builder_keep(struct qvf_builder *builder, uint16_t value)
{
        if (builder->failure < 0)
                return;
        builder->lifetimes[value].last = UINT32_MAX;
        builder->values[value].temporary = 0;
}

const struct qvf_value *qvf_builder_value(const struct qvf_builder *builder, uint16_t value)
{
        static const struct qvf_value nothing;

        return builder->failure < 0 || value >= builder->n_values ? &nothing : &builder->values[value];
}

static void touch(struct qvf_builder *builder, uint16_t value, uint32_t op)
{
        struct qvf_lifetime *lifetime;

        if (value == QVF_NONE)
                return;
        if (value >= builder->n_values) {
                qvf_builder_fail(builder, -EINVAL);
                return;
        }
        lifetime = &builder->lifetimes[value];
        if (lifetime->first == UINT32_MAX)
                lifetime->first = op;
        if (lifetime->last < op)
                lifetime->last = op;
}

struct qvf_op *qvf_builder_op(struct qvf_builder *builder, enum qvf_op_kind kind, enum qvf_rows rows,
                const uint16_t *operands)
{
        struct qvf_op *op;

        if (builder->failure == 0 && builder->n_ops == builder->ops_capacity) {
                uint32_t capacity = builder->ops_capacity ? 2 * builder->ops_capacity : 256;
                struct qvf_op *ops = capacity > MOST_OPS
                                                     ? NULL
                                                     : reallocarray(builder->ops, capacity, sizeof(*ops));

                if (ops) {
                        builder->ops = ops;
                        builder->ops_capacity = capacity;
                } else {
                        qvf_builder_fail(builder, capacity > MOST_OPS ? -E2BIG : -ENOMEM);
                }
        }
        if (builder->failure < 0)
                return &builder->discarded;
        op = &builder->ops[builder->n_ops];
        *op = (struct qvf_op){ .kind = (uint16_t)kind, .rows = (uint16_t)rows };
        for (unsigned i = 0; i < QVF_OP_OPERANDS; i++) {
                op->operand[i] = i < op_table[kind].operands ? operands[i] : QVF_NONE;
                touch(builder, op->operand[i], builder->n_ops);
        }
        builder->n_ops++;
        return op;
}

int qvf_builder_plan(struct qvf_builder *builder, uint64_t *ret_arena_bytes, struct qvf_error *error)
{
        int r = builder->failure;

        if (r == 0)
                r = qvf_plan(builder->lifetimes, builder->n_values, ret_arena_bytes);
        if (r < 0)
                return qvf_error_set(error, r, "the program can't be built: %s", strerror(-r));
        for (uint32_t i = 0; i < builder->n_values; i++)
                if (builder->lifetimes[i].bytes > 0)
                        builder->values[i].offset = builder->lifetimes[i].offset;
        return 0;
}

void qvf_builder_describe(struct qvf_builder *builder, struct qvf_buffer *arena, const char *name,
                struct qvf_program_desc *ret_desc)
{
        for (uint32_t i = 0; i < builder->n_values; i++)
                if (builder->lifetimes[i].bytes > 0)
                        builder->values[i].buffer = arena;
        *ret_desc = (struct qvf_program_desc){
                .size = sizeof(*ret_desc),
                .n_values = builder->n_values,
                .n_ops = builder->n_ops,
                .values = builder->values,
                .ops = builder->ops,
                .name = name,
        };
}
