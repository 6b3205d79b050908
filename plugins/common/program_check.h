/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a program against ops.h before a backend believes any number in it: operands, dtypes, shapes,
 * places. */
#ifndef QVF_PLUGINS_COMMON_PROGRAM_CHECK_H
#define QVF_PLUGINS_COMMON_PROGRAM_CHECK_H

#include "common/error.h"
#include "qvf/backend.h"

struct qvf_program_checks {
        /* NULL: places in buffers are not looked at, as for program_size(). */
        uint64_t (*buffer_bytes)(const struct qvf_buffer *buffer);
        /* Bytes of a packed weight; 0: the backend has no such layout. NULL: it packs nothing. */
        uint64_t (*packed_bytes)(const struct qvf_value *value);
};

struct qvf_program_limits { /* what args may ask for */
        uint32_t rows, output_rows;
};

/* Returns 0, or -EINVAL with an error that names the operation and the operand. */
int qvf_program_check(const struct qvf_program_desc *desc, const struct qvf_program_checks *checks,
                struct qvf_program_limits *ret_limits, struct qvf_error *error);

/* The operand whose declared rows are R with QVF_ROWS_ALL; -1: the operation knows no R. */
int qvf_program_row_operand(unsigned kind);
unsigned qvf_program_operand_count(unsigned kind);
const char *qvf_program_op_name(unsigned kind);

/* Bytes of a row; 0 for an unknown dtype or a number of columns that is not made of whole blocks. */
uint64_t qvf_program_row_bytes(uint32_t dtype, uint32_t columns);

#endif
