/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h as a table: what each operand of each operation must be. */
#ifndef QVF_PLUGINS_COMMON_OP_RULES_H
#define QVF_PLUGINS_COMMON_OP_RULES_H

#include <stdbool.h>

#include "qvf/ops.h"

enum qvf_operand_type { /* sets of dtypes */
        QVF_TYPE_F32,
        QVF_TYPE_I32,
        QVF_TYPE_I8,
        QVF_TYPE_FLOAT,   /* F32, F16, BF16 */
        QVF_TYPE_CACHE,   /* F32, F16, Q8_0 */
        QVF_TYPE_STATE,   /* F32, U8 */
        QVF_TYPE_WEIGHT,  /* any dtype that a model's matrix has */
        QVF_TYPE_TERNARY, /* TQ1_0, TQ2_0 */
        QVF_TYPE_COUNT
};

enum qvf_operand_flag {
        QVF_OPERAND_WRITTEN = 1,
        QVF_OPERAND_OPTIONAL = 2,
};

struct qvf_operand_rule {
        const char *name;
        /* Rows, columns. A letter is the same number in all operands of an operation. 'R': the rows in use,
         * and a matrix may have more; 'P': the columns 'C' padded to whole ternary blocks; 'D': at most half
         * the head size; 'H': the number of heads in 'C'; a digit: that number; '*': any; "F": any shape, of
         * F numbers in all; "S": any shape, one number for each QVF_STATE_BLOCK of F. */
        char shape[3];
        unsigned char type;
        unsigned char flags;
        /* Which operands this result may be the same value as: bit i for operand i. No result may overlap
         * an operand in any other way. */
        unsigned short in_place;
};

struct qvf_op_rule {
        const char *name;
        struct qvf_operand_rule operand[QVF_OP_OPERANDS]; /* ends with name NULL */
};

extern const struct qvf_op_rule qvf_op_rules[QVF_OP_COUNT];

#endif
