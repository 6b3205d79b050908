/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the operations of a program and gives each of its temporary values a place in one arena.
 *
 * The first failure sticks and is returned by qvf_builder_plan(), so that code that emits hundreds of
 * operations needs no check behind each of them. A temporary lives from the first to the last operation that
 * names it. */
#ifndef QVF_ENGINE_PROGRAM_BUILDER_H
#define QVF_ENGINE_PROGRAM_BUILDER_H

#include "common/cleanup.h"
#include "common/error.h"
#include "qvf/backend.h"

struct qvf_builder;

int qvf_builder_new(struct qvf_builder **ret_builder);
struct qvf_builder *qvf_builder_free(struct qvf_builder *builder);
QVF_DEFINE_CLEANUP(struct qvf_builder *, qvf_builder_free)

/* Makes the building fail: for those who emit operations and run out of memory. */
void qvf_builder_fail(struct qvf_builder *builder, int code);
/* A value that stands somewhere already. */
uint16_t qvf_builder_fixed(struct qvf_builder *builder, const struct qvf_value *value);
/* A value that the planner finds a place for. */
uint16_t qvf_builder_temporary(
                struct qvf_builder *builder, uint32_t rows, uint32_t columns, enum qvf_dtype dtype);
/* Keeps a temporary alive to the end of the program, so that the host can read it. */
void qvf_builder_keep(struct qvf_builder *builder, uint16_t value);
const struct qvf_value *qvf_builder_value(const struct qvf_builder *builder, uint16_t value);

/* Appends an operation; the operands come from a list that ends where the kind's operands end. The result
 * may be given parameters until the next call: qvf_builder_op(…)->f[0] = 1. Never NULL. */
struct qvf_op *qvf_builder_op(struct qvf_builder *builder, enum qvf_op_kind kind, enum qvf_rows rows,
                const uint16_t *operands);
#define QVF_EMIT(builder, kind, rows, ...)                                                                  \
        qvf_builder_op(builder, QVF_OP_##kind, rows, (const uint16_t[QVF_OP_OPERANDS]){ __VA_ARGS__ })

/* Places the temporaries; the arena must have this many bytes. */
int qvf_builder_plan(struct qvf_builder *builder, uint64_t *ret_arena_bytes, struct qvf_error *error);
/* After planning: the program over this arena (NULL where a description without memory will do). The
 * description's arrays live as long as the builder. */
void qvf_builder_describe(struct qvf_builder *builder, struct qvf_buffer *arena, const char *name,
                struct qvf_program_desc *ret_desc);

/* Bytes of a row of `columns` numbers; 0 where a row can't be made of whole blocks. */
uint64_t qvf_row_bytes(enum qvf_dtype dtype, uint32_t columns);
const char *qvf_op_name(enum qvf_op_kind kind);
unsigned qvf_op_operand_count(enum qvf_op_kind kind);

#endif
