/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/linear_algebra.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/* Sweeps converge quadratically: some six to ten of them reach the last bit. */
#define SWEEPS_MOST 60
#define ORTHOGONAL 1e-14 /* of the cosine: some tens of roundings */

static double dot(const double *a, const double *b, size_t count)
{
        double sum = 0;

        for (size_t i = 0; i < count; i++)
                sum += a[i] * b[i];
        return sum;
}

/* y -= 2 v (vᵀ y) for a unit vector v; nothing where v is zero. */
static void reflect(const double *v, double *y, size_t count)
{
        double twice = 2 * dot(v, y, count);

        for (size_t i = 0; i < count; i++)
                y[i] -= twice * v[i];
}

/* The unit vector v whose reflection turns x into (∓|x|, 0, …), written over x. False where x is zero. */
static bool householder(double *x, size_t count)
{
        double largest = 0, norm;

        for (size_t i = 0; i < count; i++)
                largest = fmax(largest, fabs(x[i]));
        if (largest == 0)
                return false;
        for (size_t i = 0; i < count; i++) /* no overflow or underflow in the squares */
                x[i] /= largest;
        norm = sqrt(dot(x, x, count));
        x[0] += x[0] < 0 ? -norm : norm;
        norm = sqrt(dot(x, x, count));
        for (size_t i = 0; i < count; i++)
                x[i] /= norm;
        return true;
}

int qvf_qr(const double *x, size_t m, size_t n, double *ret_q, double *ret_r)
{
        size_t p = m < n ? m : n;
        /* Column after column, so that every inner loop runs along memory. */
        _cleanup_free_ double *work = malloc((m * n + 1) * sizeof(*work));
        _cleanup_free_ double *vectors = calloc(m * p + 1, sizeof(*vectors));
        _cleanup_free_ double *column = malloc((m + 1) * sizeof(*column));

        if (!work || !vectors || !column)
                return -ENOMEM;
        for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++)
                        work[j * m + i] = x[i * n + j];
        for (size_t j = 0; j < p; j++) {
                double *v = vectors + j * m;

                memcpy(v + j, work + j * m + j, (m - j) * sizeof(*v));
                if (!householder(v + j, m - j))
                        continue;
                for (size_t k = j; k < n; k++)
                        reflect(v + j, work + k * m + j, m - j);
        }
        for (size_t i = 0; i < p; i++)
                for (size_t j = 0; j < n; j++)
                        ret_r[i * n + j] = i <= j ? work[j * m + i] : 0;
        for (size_t j = 0; j < p; j++) {
                memset(column, 0, m * sizeof(*column));
                column[j] = 1;
                for (size_t k = j + 1; k-- > 0;) /* later reflections leave the first rows alone */
                        reflect(vectors + k * m + k, column + k, m - k);
                for (size_t i = 0; i < m; i++)
                        ret_q[i * p + j] = column[i];
        }
        return 0;
}

static void rotate(double *a, double *b, size_t count, double c, double s)
{
        for (size_t i = 0; i < count; i++) {
                double x = a[i], y = b[i];

                a[i] = c * x - s * y;
                b[i] = s * x + c * y;
        }
}

/* Makes columns i and j of W orthogonal, and turns V along. True where there was something to do.
 * With a = |wi|², b = |wj|², g = wi·wj: t = tan of the angle solves t² + 2ζt − 1 = 0, ζ = (b − a) / 2g. */
static bool orthogonalise(double *w, size_t m, double *v, size_t n, size_t i, size_t j)
{
        double a = dot(w + i * m, w + i * m, m), b = dot(w + j * m, w + j * m, m);
        double g = dot(w + i * m, w + j * m, m), zeta, t, c;

        if (fabs(g) <= ORTHOGONAL * sqrt(a) * sqrt(b) || g == 0)
                return false;
        zeta = (b - a) / (2 * g);
        t = (zeta < 0 ? -1 : 1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
        c = 1 / sqrt(1 + t * t);
        rotate(w + i * m, w + j * m, m, c, c * t);
        rotate(v + i * n, v + j * n, n, c, c * t);
        return true;
}

struct value {
        double size;
        size_t column;
};

static int order_values(const void *a, const void *b)
{
        const struct value *one = a, *other = b;

        if (one->size != other->size)
                return one->size > other->size ? -1 : 1;
        return one->column < other->column ? -1 : 1;
}

/* m >= n; u, s and v as they are given back. */
static int svd_tall(double *w, size_t m, size_t n, double *u, double *s, double *v_out)
{
        _cleanup_free_ double *v = calloc(n * n + 1, sizeof(*v));
        _cleanup_free_ struct value *values = calloc(n + 1, sizeof(*values));
        bool again = true;

        if (!v || !values)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                v[i * n + i] = 1;
        for (int sweep = 0; again && sweep < SWEEPS_MOST; sweep++) {
                again = false;
                for (size_t i = 0; i + 1 < n; i++)
                        for (size_t j = i + 1; j < n; j++)
                                again |= orthogonalise(w, m, v, n, i, j);
        }
        for (size_t j = 0; j < n; j++)
                values[j] = (struct value){ sqrt(dot(w + j * m, w + j * m, m)), j };
        qsort(values, n, sizeof(*values), order_values);
        for (size_t j = 0; j < n; j++) {
                const double *from = w + values[j].column * m, *turn = v + values[j].column * n;

                s[j] = values[j].size;
                for (size_t i = 0; i < m; i++)
                        u[i * n + j] = s[j] > 0 ? from[i] / s[j] : 0;
                for (size_t i = 0; i < n; i++)
                        v_out[i * n + j] = turn[i];
        }
        return 0;
}

int qvf_svd(const double *x, size_t m, size_t n, double *ret_u, double *ret_s, double *ret_v)
{
        _cleanup_free_ double *work = malloc((m * n + 1) * sizeof(*work));

        if (!work)
                return -ENOMEM;
        if (m < n) { /* X = U S Vᵀ where Xᵀ = V S Uᵀ; the rows of X are the columns of Xᵀ */
                memcpy(work, x, m * n * sizeof(*work));
                return svd_tall(work, n, m, ret_v, ret_s, ret_u);
        }
        for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++)
                        work[j * m + i] = x[i * n + j];
        return svd_tall(work, m, n, ret_u, ret_s, ret_v);
}
