/* SPDX-License-Identifier: Apache-2.0 */
/* Small dense matrices in double precision, row after row: just what merging adapters needs. Plain and exact to
 * rounding; the sizes are ranks (tens), and one long side that only QR sees. */
#ifndef QVF_ENGINE_ADAPTERS_LINEAR_ALGEBRA_H
#define QVF_ENGINE_ADAPTERS_LINEAR_ALGEBRA_H

#include <stddef.h>

/* X = Q R for X of m rows and n columns, by Householder reflections: ranks that are not full do no harm. With
 * p = min(m, n): Q has m rows and p orthonormal columns, R p rows and n columns. -ENOMEM. */
int qvf_qr(const double *x, size_t m, size_t n, double *ret_q, double *ret_r);

/* X = U diag(s) Vᵀ for X of m rows and n columns, by one-sided Jacobi rotations. With p = min(m, n): U has m rows and
 * p columns, V has n rows and p columns, s has p numbers, the largest first. Columns of U and V that belong to
 * s = 0 may be zero. -ENOMEM. */
int qvf_svd(const double *x, size_t m, size_t n, double *ret_u, double *ret_s, double *ret_v);

#endif
