/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/common/program_check.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/common/op_rules.h"

#define MOST_OPS (1u << 20)
#define MOST_VALUES 65535u               /* operand numbers have 16 bits */
#define MOST_NUMBERS ((uint64_t)1 << 40) /* in one value */

static const struct {
        uint32_t dtype, block, bytes, alignment;
} formats[] = {
        { QVF_F32, 1, 4, 4 },
        { QVF_I32, 1, 4, 4 },
        { QVF_F16, 1, 2, 2 },
        { QVF_BF16, 1, 2, 2 },
        { QVF_I8, 1, 1, 1 },
        { QVF_U8, 1, 1, 1 },
        { QVF_Q8_0, 32, 34, 1 },
        { QVF_Q4_0, 32, 18, 1 },
        { QVF_Q4_K, 256, 144, 1 },
        { QVF_Q6_K, 256, 210, 1 },
        { QVF_TQ1_0, 256, 54, 1 },
        { QVF_TQ2_0, 256, 66, 1 },
};

static const struct {
        const char *words;
        uint32_t dtypes[10];
        unsigned count;
} types[QVF_TYPE_COUNT] = {
        [QVF_TYPE_F32] = { "F32", { QVF_F32 }, 1 },
        [QVF_TYPE_I32] = { "I32", { QVF_I32 }, 1 },
        [QVF_TYPE_I8] = { "I8", { QVF_I8 }, 1 },
        [QVF_TYPE_FLOAT] = { "F32, F16 or BF16", { QVF_F32, QVF_F16, QVF_BF16 }, 3 },
        [QVF_TYPE_CACHE] = { "F32, F16 or Q8_0", { QVF_F32, QVF_F16, QVF_Q8_0 }, 3 },
        [QVF_TYPE_STATE] = { "F32 or U8", { QVF_F32, QVF_U8 }, 2 },
        [QVF_TYPE_WEIGHT] = { "a weight's",
                        { QVF_F32, QVF_F16, QVF_BF16, QVF_Q8_0, QVF_Q6_K, QVF_Q4_0, QVF_Q4_K, QVF_TQ1_0,
                                        QVF_TQ2_0 },
                        9 },
        [QVF_TYPE_TERNARY] = { "TQ1_0 or TQ2_0", { QVF_TQ1_0, QVF_TQ2_0 }, 2 },
};

struct context { /* of the operation being checked */
        const struct qvf_program_desc *desc;
        const struct qvf_program_checks *checks;
        struct qvf_error *error;
        uint32_t index;
        const struct qvf_op *op;
        const struct qvf_op_rule *rule;
        uint32_t letters[128]; /* what each letter of a shape stands for; 0: not met yet, or 'R' */
        uint64_t flat;         /* 'F' */
        uint32_t rows;         /* fewest declared rows of the operands with 'R' rows */
};

uint64_t qvf_program_row_bytes(uint32_t dtype, uint32_t columns)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(formats); i++)
                if (formats[i].dtype == dtype)
                        return columns % formats[i].block
                                               ? 0
                                               : (uint64_t)columns / formats[i].block * formats[i].bytes;
        return 0;
}

const char *qvf_program_op_name(unsigned kind)
{
        return kind < QVF_OP_COUNT ? qvf_op_rules[kind].name : "?";
}

unsigned qvf_program_operand_count(unsigned kind)
{
        unsigned count = 0;

        while (kind < QVF_OP_COUNT && count < QVF_OP_OPERANDS && qvf_op_rules[kind].operand[count].name)
                count++;
        return count;
}

int qvf_program_row_operand(unsigned kind)
{
        for (unsigned i = 0; i < qvf_program_operand_count(kind); i++)
                if (qvf_op_rules[kind].operand[i].shape[0] == 'R')
                        return (int)i;
        return -1;
}

static const struct qvf_value *value_of(const struct context *context, unsigned operand)
{
        uint16_t value = context->op->operand[operand];

        return value == QVF_NONE ? NULL : &context->desc->values[value];
}

static int bad(const struct context *context, const char *what)
{
        return qvf_error_set(context->error, -EINVAL, "operation %u (%s): %s", context->index,
                        context->rule->name, what);
}

static int bad_operand(const struct context *context, unsigned operand, const char *what)
{
        const struct qvf_value *value = value_of(context, operand);

        if (!value)
                return qvf_error_set(context->error, -EINVAL, "operation %u (%s), operand %u (%s): %s",
                                context->index, context->rule->name, operand,
                                context->rule->operand[operand].name, what);
        return qvf_error_set(context->error, -EINVAL,
                        "operation %u (%s), operand %u (%s), %u x %u of dtype %u: %s", context->index,
                        context->rule->name, operand, context->rule->operand[operand].name, value->rows,
                        value->columns, value->dtype, what);
}

static int check_dtype(const struct context *context, unsigned operand)
{
        const struct qvf_operand_rule *rule = &context->rule->operand[operand];
        const struct qvf_value *value = value_of(context, operand);
        bool weight = rule->type == QVF_TYPE_WEIGHT || rule->type == QVF_TYPE_TERNARY;
        char what[64] = "its dtype must be ";

        for (unsigned i = 0; i < types[rule->type].count; i++) {
                if (types[rule->type].dtypes[i] != value->dtype)
                        continue;
                if (value->packed && !weight)
                        return bad_operand(context, operand, "only weights may be packed");
                return 0;
        }
        return bad_operand(context, operand, strncat(what, types[rule->type].words, 32));
}

/* Where the value stands in its buffer. */
static int check_place(const struct context *context, unsigned operand)
{
        const struct qvf_value *value = value_of(context, operand);
        uint64_t row = qvf_program_row_bytes(value->dtype, value->columns), bytes, end;
        uint32_t alignment = 1;

        if (value->rows == 0 || value->columns == 0 || (uint64_t)value->rows * value->columns > MOST_NUMBERS)
                return bad_operand(context, operand, "empty or larger than any value can be");
        if (row == 0)
                return bad_operand(context, operand, "its columns are not whole blocks of its dtype");
        if (value->packed) {
                bytes = context->checks->packed_bytes ? context->checks->packed_bytes(value) : 0;
                if (bytes == 0)
                        return bad_operand(context, operand, "this backend has no packed layout for it");
        } else if (!qvf_mul_u64(row, value->rows, &bytes)) {
                return bad_operand(context, operand, "too large");
        }
        if (!context->checks->buffer_bytes)
                return 0;
        if (!value->buffer)
                return bad_operand(context, operand, "it has no buffer");
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(formats); i++)
                if (formats[i].dtype == value->dtype)
                        alignment = formats[i].alignment;
        if (value->offset % alignment)
                return bad_operand(context, operand, "its offset is not aligned");
        if (!qvf_add_u64(value->offset, bytes, &end) || end > context->checks->buffer_bytes(value->buffer))
                return bad_operand(context, operand, "it reaches past the end of its buffer");
        return 0;
}

/* One side of a shape; binds a letter where it is met first. */
static bool fits(struct context *context, char letter, uint32_t length)
{
        if (letter == '*')
                return true;
        if (letter >= '0' && letter <= '9')
                return length == (uint32_t)(letter - '0');
        if (letter == 'R') {
                if (context->rows == 0 || length < context->rows)
                        context->rows = length;
                return true;
        }
        if (context->letters[(int)letter] == 0)
                context->letters[(int)letter] = length;
        return context->letters[(int)letter] == length;
}

static int check_shape(struct context *context, unsigned operand)
{
        const struct qvf_value *value = value_of(context, operand);
        const char *shape = context->rule->operand[operand].shape;
        uint64_t count = (uint64_t)value->rows * value->columns;

        if (shape[0] == 'F') {
                if (context->flat == 0)
                        context->flat = count;
                return context->flat == count
                                       ? 0
                                       : bad_operand(context, operand, "not as many numbers as before it");
        }
        if (shape[0] == 'S') {
                bool enough = count >= (context->flat + QVF_STATE_BLOCK - 1) / QVF_STATE_BLOCK;

                return enough ? 0 : bad_operand(context, operand, "fewer than a scale for each block");
        }
        if (!fits(context, shape[0], value->rows) || !fits(context, shape[1], value->columns))
                return bad_operand(context, operand, "its shape does not go with the other operands'");
        return 0;
}

/* A result may be an operand where the rule says so, and must not touch any of them otherwise. */
static int check_overlap(const struct context *context, unsigned result, unsigned other)
{
        const struct qvf_value *a = value_of(context, result), *b = value_of(context, other);
        uint64_t a_bytes, b_bytes;

        if (!a || !b || a->buffer != b->buffer || !context->checks->buffer_bytes)
                return 0;
        if (context->rule->operand[result].in_place & 1u << other && a->offset == b->offset &&
                        a->columns == b->columns && a->dtype == b->dtype)
                return 0;
        a_bytes = qvf_program_row_bytes(a->dtype, a->columns) * a->rows;
        b_bytes = b->packed ? context->checks->packed_bytes(b)
                            : qvf_program_row_bytes(b->dtype, b->columns) * b->rows;
        if (a->offset + a_bytes <= b->offset || b->offset + b_bytes <= a->offset)
                return 0;
        return bad_operand(context, other, "a result stands in the same place");
}

static int check_operands(struct context *context)
{
        unsigned count = qvf_program_operand_count(context->op->kind);
        int r;

        for (unsigned i = 0; i < count; i++) {
                uint16_t value = context->op->operand[i];

                if (value == QVF_NONE && context->rule->operand[i].flags & QVF_OPERAND_OPTIONAL)
                        continue;
                if (value == QVF_NONE || value >= context->desc->n_values)
                        return qvf_error_set(context->error, -EINVAL,
                                        "operation %u (%s), operand %u (%s): there is no value %u",
                                        context->index, context->rule->name, i,
                                        context->rule->operand[i].name, value);
                r = check_dtype(context, i);
                if (r < 0)
                        return r;
                r = check_place(context, i);
                if (r < 0)
                        return r;
                r = check_shape(context, i);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < count; i++)
                for (unsigned j = 0; j < count && context->rule->operand[i].flags & QVF_OPERAND_WRITTEN;
                                j++) {
                        r = i == j ? 0 : check_overlap(context, i, j);
                        if (r < 0)
                                return r;
                }
        return 0;
}

/* Heads of i0 numbers in C, and whole groups of them for each key head in K. */
static int check_heads(const struct context *context)
{
        const uint32_t *letters = context->letters;
        uint32_t head_size = (uint32_t)context->op->i[0], heads, key_heads;

        if (context->op->i[0] <= 0 || letters['C'] % head_size || letters['K'] % head_size)
                return bad(context, "the head size does not divide the columns");
        heads = letters['C'] / head_size;
        key_heads = letters['K'] / head_size;
        if (letters['D'] > head_size / 2)
                return bad(context, "more frequencies than pairs in a head");
        if (letters['H'] && letters['H'] != heads)
                return bad(context, "one lse for each head is expected");
        if (letters['K'] && heads % key_heads)
                return bad(context, "the query heads do not share the key heads evenly");
        if ((uint64_t)heads * context->rows > UINT32_MAX)
                return bad(context, "too many rows and heads");
        return 0;
}

static int check_head_loss(const struct context *context)
{
        const struct qvf_value *scratch = value_of(context, 3);
        const int32_t *i = context->op->i;

        if (i[0] <= 0 || i[1] <= 0 ||
                        (uint64_t)i[0] * (uint64_t)i[1] > (uint64_t)scratch->rows * scratch->columns)
                return bad(context, "the scratch is smaller than i0 rows of i1 logits");
        return 0;
}

static int check_adamw(const struct context *context)
{
        const struct qvf_value *m = value_of(context, 2), *v = value_of(context, 3);

        if (m->dtype != v->dtype)
                return bad(context, "m and v must be of one dtype");
        if (m->dtype == QVF_U8 && (!value_of(context, 5) || !value_of(context, 6)))
                return bad(context, "8-bit state needs its scales");
        return 0;
}

/* What a shape alone can't say. */
static int check_parameters(const struct context *context)
{
        const struct qvf_op *op = context->op;
        const uint32_t *letters = context->letters;

        if (letters['P'] % QVF_TERNARY_BLOCK ||
                        (letters['C'] && letters['P'] &&
                                        (letters['P'] < letters['C'] ||
                                                        letters['P'] - letters['C'] >= QVF_TERNARY_BLOCK)))
                return bad(context, "padded columns must be the columns rounded up to whole ternary blocks");
        switch (op->kind) {
        case QVF_OP_KV_STORE:
        case QVF_OP_KV_COPY:
        case QVF_OP_KV_ROTATE:
        case QVF_OP_ATTENTION:
                if (letters['L'] % QVF_KV_BLOCK)
                        return bad(context, "a cache must be whole blocks");
                return op->kind == QVF_OP_KV_ROTATE || op->kind == QVF_OP_ATTENTION ? check_heads(context)
                                                                                    : 0;
        case QVF_OP_ROPE:
        case QVF_OP_ATTENTION_TRAIN:
        case QVF_OP_ATTENTION_TRAIN_BACKWARD: return check_heads(context);
        case QVF_OP_MATMUL:
                if (letters['A'] && (op->i[0] < 0 || (uint32_t)op->i[0] >= letters['A']))
                        return bad(context, "s has no column i0");
                return 0;
        case QVF_OP_GATE:
        case QVF_OP_GATE_BACKWARD:
                return op->i[0] == 0 || op->i[0] == 1 ? 0 : bad(context, "unknown activation");
        case QVF_OP_TOP_K:
                return letters['K'] <= letters['C'] ? 0 : bad(context, "more results than columns");
        case QVF_OP_DRAW:
                return letters['K'] <= QVF_DRAW_MOST ? 0 : bad(context, "more candidates than are taken");
        case QVF_OP_DROPOUT:
                return op->f[0] >= 0 && op->f[0] < 1 ? 0 : bad(context, "f0 must be 0 or more, and below 1");
        case QVF_OP_HEAD_LOSS: return check_head_loss(context);
        case QVF_OP_ADAMW: return check_adamw(context);
        default: return 0;
        }
}

static int check_rows(const struct context *context, struct qvf_program_limits *limits)
{
        int operand = qvf_program_row_operand(context->op->kind);

        switch (context->op->rows) {
        case QVF_ROWS_INPUT:
                limits->rows = operand < 0 || context->rows > limits->rows ? limits->rows : context->rows;
                return 0;
        case QVF_ROWS_OUTPUT:
                limits->output_rows = operand < 0 || context->rows > limits->output_rows
                                                      ? limits->output_rows
                                                      : context->rows;
                return 0;
        case QVF_ROWS_ALL:
                if (operand >= 0 && value_of(context, (unsigned)operand) &&
                                value_of(context, (unsigned)operand)->rows > context->rows)
                        return bad(context, "an operand has fewer rows than the first one");
                return 0;
        default: return bad(context, "it does not say where its rows come from");
        }
}

int qvf_program_check(const struct qvf_program_desc *desc, const struct qvf_program_checks *checks,
                struct qvf_program_limits *ret_limits, struct qvf_error *error)
{
        struct qvf_program_limits limits = { UINT32_MAX, UINT32_MAX };

        if (desc->size < sizeof(*desc) || desc->n_ops > MOST_OPS || desc->n_values > MOST_VALUES)
                return qvf_error_set(error, -EINVAL, "program of size %u with %u operations and %u values",
                                desc->size, desc->n_ops, desc->n_values);
        for (uint32_t i = 0; i < desc->n_ops; i++) {
                struct context context = {
                        .desc = desc, .checks = checks, .error = error, .index = i, .op = &desc->ops[i]
                };
                int r;

                if (context.op->kind >= QVF_OP_COUNT)
                        return qvf_error_set(error, -EINVAL, "operation %u: unknown kind %u", i,
                                        context.op->kind);
                context.rule = &qvf_op_rules[context.op->kind];
                r = check_operands(&context);
                if (r == 0)
                        r = check_parameters(&context);
                if (r == 0)
                        r = check_rows(&context, &limits);
                if (r < 0)
                        return r;
        }
        *ret_limits = limits;
        return 0;
}
