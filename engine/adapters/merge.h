/* SPDX-License-Identifier: Apache-2.0 */
/* Several adapters of one base model as one: Σ w · scale · B·A, matrix by matrix. */
#ifndef QVF_ENGINE_ADAPTERS_MERGE_H
#define QVF_ENGINE_ADAPTERS_MERGE_H

#include "engine/adapters/adapter_file.h"

#define QVF_MERGE_ADAPTERS_MOST 64u

struct qvf_merge_part {
        const struct qvf_adapter_file *file;
        float weight; /* finite */
};

struct qvf_merge_report {
        uint32_t n_matrices;
        uint32_t n_reduced; /* those that were brought to a smaller rank, and so changed */
        /* The share of Σ|ΔW|² that the smaller rank could not hold: of all reduced matrices, and of the worst. */
        double discarded, worst_discarded;
        uint32_t worst_layer;
        enum qvf_module worst_module;
};

/* rank 0: as large as it must be for nothing to be lost. Where the ranks of a matrix sum up to `rank` or less, its
 * halves are put beside each other, exactly; else the nearest matrix of that rank is taken (SVD), without ever
 * forming ΔW. A matrix that only one adapter has, with weight 1, is copied. */
int qvf_adapter_merge(const struct qvf_merge_part *parts, uint32_t n_parts, uint32_t rank,
                struct qvf_adapter_file **ret_file, struct qvf_merge_report *ret_report,
                struct qvf_error *error);

/* The best B·A of rank `rank` for the product of b [outputs, columns] and a [columns, inputs]; the new ones have `rank`
 * columns and rows, some of them zero where the product has a smaller rank. ret_kept and ret_all: the sums of the
 * squares of the singular values. */
int qvf_adapter_reduce(const double *b, const double *a, size_t outputs, size_t columns, size_t inputs,
                size_t rank, float *ret_b, float *ret_a, double *ret_kept, double *ret_all);

#endif
