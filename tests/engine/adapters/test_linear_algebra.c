/* SPDX-License-Identifier: Apache-2.0 */
/* QR and SVD by what defines them: orthonormal columns, and a product that is what they were made of. */
#include <math.h>
#include <string.h>

#include "engine/adapters/linear_algebra.h"
#include "engine/sampling/random.h"
#include "tests/support/suite.h"

enum { MOST = 80 };

static double noise(struct qvf_random *random)
{
        return 2 * qvf_random_uniform(random) - 1;
}

/* A matrix of the given rank (min(m, n) where 0) and size. */
static void fill(double *x, size_t m, size_t n, size_t rank, double size, uint64_t seed)
{
        static double left[MOST * MOST], right[MOST * MOST];
        struct qvf_random random;

        qvf_random_seed(&random, seed);
        if (rank == 0) {
                for (size_t i = 0; i < m * n; i++)
                        x[i] = size * noise(&random);
                return;
        }
        for (size_t i = 0; i < m * rank; i++)
                left[i] = noise(&random);
        for (size_t i = 0; i < rank * n; i++)
                right[i] = size * noise(&random);
        for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                        x[i * n + j] = 0;
                        for (size_t k = 0; k < rank; k++)
                                x[i * n + j] += left[i * rank + k] * right[k * n + j];
                }
}

static double largest(const double *x, size_t count)
{
        double most = 0;

        for (size_t i = 0; i < count; i++)
                most = fmax(most, fabs(x[i]));
        return most;
}

/* |UᵀU - 1| over the columns that are not zero. */
static double not_orthonormal(const double *u, size_t m, size_t p, size_t used)
{
        double worst = 0;

        for (size_t i = 0; i < used; i++)
                for (size_t j = 0; j < used; j++) {
                        double sum = 0;

                        for (size_t k = 0; k < m; k++)
                                sum += u[k * p + i] * u[k * p + j];
                        worst = fmax(worst, fabs(sum - (i == j)));
                }
        return worst;
}

static void check_qr(size_t m, size_t n, size_t rank, double size)
{
        static double x[MOST * MOST], q[MOST * MOST], r[MOST * MOST];
        size_t p = m < n ? m : n;

        fill(x, m, n, rank, size, m * 100 + n);
        ck_assert_int_eq(qvf_qr(x, m, n, q, r), 0);
        ck_assert_double_le(not_orthonormal(q, m, p, p), 1e-13);
        for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                        double sum = 0;

                        for (size_t k = 0; k < p; k++)
                                sum += q[i * p + k] * r[k * n + j];
                        ck_assert_double_le(fabs(sum - x[i * n + j]), 1e-13 * largest(x, m * n));
                }
        for (size_t i = 0; i < p; i++)
                for (size_t j = 0; j < i && j < n; j++)
                        ck_assert_double_eq(r[i * n + j], 0);
}

START_TEST(qr)
{
        static const size_t shapes[][2] = { { 1, 1 }, { 5, 1 }, { 1, 5 }, { 3, 3 }, { 80, 7 }, { 7, 80 },
                { 64, 64 } };

        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
                check_qr(shapes[i][0], shapes[i][1], 0, 1);
                check_qr(shapes[i][0], shapes[i][1], 1, 1);
                check_qr(shapes[i][0], shapes[i][1], 0, 1e-200);
                check_qr(shapes[i][0], shapes[i][1], 0, 1e200);
        }
}
END_TEST

START_TEST(qr_of_nothing)
{
        double x[12] = { 0 }, q[12], r[12];

        ck_assert_int_eq(qvf_qr(x, 4, 3, q, r), 0);
        ck_assert_double_eq(largest(r, 9), 0);
        ck_assert_double_le(not_orthonormal(q, 4, 3, 3), 1e-15);
}
END_TEST

static void check_svd(size_t m, size_t n, size_t rank)
{
        static double x[MOST * MOST], u[MOST * MOST], s[MOST], v[MOST * MOST];
        size_t p = m < n ? m : n, used = rank && rank < p ? rank : p;

        fill(x, m, n, rank, 1, m * 100 + n);
        ck_assert_int_eq(qvf_svd(x, m, n, u, s, v), 0);
        ck_assert_double_le(not_orthonormal(u, m, p, used), 1e-12);
        ck_assert_double_le(not_orthonormal(v, n, p, used), 1e-12);
        for (size_t i = 0; i + 1 < p; i++)
                ck_assert_double_ge(s[i], s[i + 1]);
        for (size_t i = used; i < p; i++)
                ck_assert_double_le(s[i], 1e-12 * s[0]);
        for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                        double sum = 0;

                        for (size_t k = 0; k < p; k++)
                                sum += u[i * p + k] * s[k] * v[j * p + k];
                        ck_assert_double_le(fabs(sum - x[i * n + j]), 1e-12 * largest(x, m * n));
                }
}

START_TEST(svd)
{
        static const size_t shapes[][2] = { { 1, 1 }, { 5, 1 }, { 1, 5 }, { 3, 3 }, { 80, 16 }, { 16, 80 },
                { 64, 64 } };

        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
                check_svd(shapes[i][0], shapes[i][1], 0);
                check_svd(shapes[i][0], shapes[i][1], 1);
                if (shapes[i][0] > 8 && shapes[i][1] > 8)
                        check_svd(shapes[i][0], shapes[i][1], 8);
        }
}
END_TEST

/* diag(3, -2, 0, 5) in another order of rows. */
START_TEST(svd_of_a_known_matrix)
{
        static const double x[16] = { 0, -2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0 };
        double u[16], s[4], v[16];

        ck_assert_int_eq(qvf_svd(x, 4, 4, u, s, v), 0);
        ck_assert_double_eq_tol(s[0], 5, 1e-14);
        ck_assert_double_eq_tol(s[1], 3, 1e-14);
        ck_assert_double_eq_tol(s[2], 2, 1e-14);
        ck_assert_double_eq(s[3], 0);
        ck_assert_double_eq_tol(fabs(u[2 * 4]), 1, 1e-14);
        ck_assert_double_eq_tol(fabs(v[3 * 4]), 1, 1e-14);
}
END_TEST

/* Singular values of very different sizes keep their relative accuracy: the Hilbert-like diag(1, 1e-4, 1e-8). */
START_TEST(svd_keeps_small_values)
{
        static const double sizes[3] = { 1, 1e-4, 1e-8 };
        double x[9], q[9], r[9], p[9], u[9], s[3], v[9];

        fill(x, 3, 3, 0, 1, 1);
        ck_assert_int_eq(qvf_qr(x, 3, 3, q, r), 0);
        fill(x, 3, 3, 0, 1, 2);
        ck_assert_int_eq(qvf_qr(x, 3, 3, p, r), 0);
        for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++) {
                        x[i * 3 + j] = 0;
                        for (int k = 0; k < 3; k++)
                                x[i * 3 + j] += q[i * 3 + k] * sizes[k] * p[j * 3 + k];
                }
        ck_assert_int_eq(qvf_svd(x, 3, 3, u, s, v), 0);
        for (int k = 0; k < 3; k++)
                ck_assert_double_eq_tol(s[k], sizes[k], 1e-7 * sizes[k]);
}
END_TEST

QVF_SUITE("linear_algebra", 60, qr, qr_of_nothing, svd, svd_of_a_known_matrix, svd_keeps_small_values)
