/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_ENGINE_CONFORMANCE_INTERNAL_H
#define QVF_ENGINE_CONFORMANCE_INTERNAL_H

#include "engine/conformance/conformance.h"
#include "plugins/cpu/kernel.h"

#define CONFORMANCE_EPSILON 0x1p-24 /* largest relative error of one rounding to float */

/* What an operand holds before the operation runs. */
enum conformance_data {
        DATA_RESULT,    /* bytes that no result may keep: NaN in floats */
        DATA_NORMAL,    /* floats around 0, of size `amount` */
        DATA_POSITIVE,  /* floats from 0 to `amount` */
        DATA_SQUARES,   /* second moments: positive, over many magnitudes */
        DATA_INTEGERS,  /* low to high, both included */
        DATA_DISTINCT,  /* all different, of low to high */
        DATA_FIRST,     /* first[r] of documents: rises, at most r */
        DATA_PLACE,     /* rows of (position, sequence); or one of the two, by `low` */
        DATA_FREQUENCY, /* as in RoPE */
        DATA_FALLING, /* each row from its largest down by steps up to `amount`; a row may end in -infinity */
        DATA_HOW,     /* rows of what DRAW needs */
        DATA_BLOCKS,  /* whole blocks of a quantised format; bytes of I8 */
        DATA_STATE,   /* bytes of 8-bit optimizer state */
        DATA_PAIRS,   /* of blocks: from the lower half of `high`, to the upper half, all different */
        DATA_TURN,    /* of a block, all different, and a number of positions */
};

struct conformance_operand {
        bool present;
        uint32_t rows, columns, dtype;
        enum conformance_data data;
        float amount;
        int32_t low, high;
        float scale;
        uint32_t block_scales;
};

struct conformance_case {
        struct qvf_op op;
        struct qvf_args args;
        struct conformance_operand operand[QVF_OP_OPERANDS];
        uint32_t rows;     /* R */
        uint32_t declared; /* rows of the operands with R rows: R or one more */
        char what[160];
};

/* One case while it is checked: operands before, as the plain kernel left them, as the device left them. */
struct conformance_run {
        const struct conformance_case *test;
        unsigned n_operands;
        struct cpu_operand before[QVF_OP_OPERANDS], plain[QVF_OP_OPERANDS], device[QVF_OP_OPERANDS];
        double worst;
        struct qvf_conformance_bits bits;
        char text[256]; /* the first thing that was wrong */
};

struct conformance {
        const struct qvf_backend *backend;
        struct qvf_device *device;
        const struct qvf_conformance_options *options;
        qvf_conformance_report report;
        void *context;
        uint64_t random; /* state of the generator */
        struct qvf_conformance_summary summary;
        int failure; /* the first negative errno */
        struct qvf_error *error;
};

/* data.c */
uint64_t qvf_conformance_random(uint64_t *state);
/* Evenly from low to high, both included. */
int32_t qvf_conformance_between(uint64_t *state, int32_t low, int32_t high);
size_t qvf_conformance_bytes(const struct cpu_operand *matrix);
void qvf_conformance_fill(uint64_t *state, const struct conformance_operand *operand, void *bytes);

/* run.c */
void qvf_conformance_check(struct conformance *self, const struct conformance_case *test);
/* The plain kernel of an operation on these operands, in one thread. */
int qvf_conformance_plain(const struct qvf_op *op, const struct qvf_args *args, uint32_t rows,
                const struct cpu_operand *operands);

/* bounds.c: the error that is allowed for each number of a float result. Returns 0, or -ENOMEM. */
int qvf_conformance_bounds(const struct conformance_run *run, unsigned operand, double *bounds);
/* bounds_attention.c, bounds_loss.c */
int qvf_conformance_attention_bounds(const struct conformance_run *run, unsigned operand, double *bounds);
int qvf_conformance_attention_train_bounds(
                const struct conformance_run *run, unsigned operand, double *bounds);
int qvf_conformance_attention_backward_bounds(
                const struct conformance_run *run, unsigned operand, double *bounds);
int qvf_conformance_loss_bounds(const struct conformance_run *run, unsigned operand, double *bounds);
/* How far the logits of a row may be off. */
double qvf_conformance_logit_error(const struct conformance_run *run, uint32_t row);
double qvf_conformance_logit(const struct conformance_run *run, uint32_t row, uint32_t word);

/* compare.c: what the device left in a result against what the plain kernel left; fills run->worst and run->text. */
int qvf_conformance_compare(struct conformance_run *run, unsigned operand);

/* bits.c: counts the numbers of a result that are not the plain kernel's to the bit, where they should be, in run->bits. */
void qvf_conformance_count_bits(struct conformance_run *run, unsigned operand);

/* case.c: what the lists of cases are written with */
struct conformance_shapes { /* what to try, by options */
        const uint32_t *rows, *columns, *blocks;
        unsigned n_rows, n_columns, n_blocks;
};
struct conformance_shapes qvf_conformance_shapes(const struct conformance *self);
uint32_t qvf_conformance_pick(struct conformance *self, const uint32_t *list, unsigned count);
/* A case over R rows; by chance R is declared or comes from the arguments. */
struct conformance_case qvf_conformance_case(struct conformance *self, enum qvf_op_kind kind, uint32_t rows);
/* Sets an operand; the result may be changed further. Rows: of a matrix with R rows, test->declared. */
struct conformance_operand *qvf_conformance_operand(struct conformance_case *test, unsigned i, uint32_t rows,
                uint32_t columns, uint32_t dtype, enum conformance_data data, double amount);
/* A weight of a dtype; columns are whole blocks of it. */
void qvf_conformance_weight(struct conformance *self, struct conformance_case *test, unsigned i,
                uint32_t rows, uint32_t columns, uint32_t dtype);
/* A number of columns that a dtype can have. */
uint32_t qvf_conformance_columns(struct conformance *self, uint32_t dtype);
extern const uint32_t qvf_conformance_weight_dtypes[];
extern const unsigned qvf_conformance_weight_dtype_count; /* the ternary ones are the last two */

/* cases.c, cases_train.c: all cases of these operations */
void qvf_conformance_movement_cases(struct conformance *self);
void qvf_conformance_forward_cases(struct conformance *self);
void qvf_conformance_training_cases(struct conformance *self);

static inline float *conformance_row(const struct cpu_operand *matrix, uint32_t row)
{
        return (float *)matrix->data + (size_t)row * matrix->columns;
}

static inline int32_t *conformance_integers(const struct cpu_operand *matrix, uint32_t row)
{
        return (int32_t *)matrix->data + (size_t)row * matrix->columns;
}

#endif
