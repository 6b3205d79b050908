/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/merge.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "engine/adapters/linear_algebra.h"

struct merge {
        const struct qvf_merge_part *parts;
        uint32_t n_parts, rank;
        struct qvf_adapter_file *out;
        struct qvf_merge_report *report;
        double discarded, all;
        struct qvf_error *error;
};

/* c = x · y, x of m rows and k columns. */
static void multiply(const double *x, const double *y, size_t m, size_t k, size_t n, double *c)
{
        memset(c, 0, m * n * sizeof(*c));
        for (size_t i = 0; i < m; i++)
                for (size_t l = 0; l < k; l++)
                        for (size_t j = 0; j < n; j++)
                                c[i * n + j] += x[i * k + l] * y[l * n + j];
}

static void transpose(const double *x, size_t m, size_t n, double *ret_turned)
{
        for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++)
                        ret_turned[j * m + i] = x[i * n + j];
}

static void free_all(double *(*buffers)[8])
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(*buffers); i++)
                free((*buffers)[i]);
}

/* B = Qb Rb, Aᵀ = Qa Ra, Rb Raᵀ = U S Vᵀ, so B·A = (Qb U) S (Qa V)ᵀ: the singular values of the large product come out
 * of a small one. √S goes to either side. */
int qvf_adapter_reduce(const double *b, const double *a, size_t outputs, size_t columns, size_t inputs,
                size_t rank, float *ret_b, float *ret_a, double *ret_kept, double *ret_all)
{
        enum { AT, QB, RB, QA, RA, RAT, CORE, TRIPLE };
        size_t pb = outputs < columns ? outputs : columns, pa = inputs < columns ? inputs : columns;
        size_t p = pb < pa ? pb : pa;
        const size_t sizes[8] = { inputs * columns, outputs * pb, pb * columns, inputs * pa, pa * columns,
                columns * pa, pb * pa, (pb + pa + 1) * p };
        _cleanup_(free_all) double *m[8] = { NULL };
        double *u, *s, *v, kept = 0, all = 0;
        int r;

        for (size_t i = 0; i < 8; i++) {
                m[i] = malloc((sizes[i] + 1) * sizeof(double));
                if (!m[i])
                        return -ENOMEM;
        }
        transpose(a, columns, inputs, m[AT]);
        r = qvf_qr(b, outputs, columns, m[QB], m[RB]);
        r = r < 0 ? r : qvf_qr(m[AT], inputs, columns, m[QA], m[RA]);
        if (r < 0)
                return r;
        transpose(m[RA], pa, columns, m[RAT]);
        multiply(m[RB], m[RAT], pb, columns, pa, m[CORE]);
        u = m[TRIPLE];
        s = u + pb * p;
        v = s + p;
        r = qvf_svd(m[CORE], pb, pa, u, s, v);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p; i++) {
                all += s[i] * s[i];
                kept += i < rank ? s[i] * s[i] : 0;
        }
        for (size_t k = 0; k < rank; k++) {
                double root = k < p ? sqrt(s[k]) : 0;

                for (size_t i = 0; i < outputs; i++) {
                        double sum = 0;

                        for (size_t l = 0; k < p && l < pb; l++)
                                sum += m[QB][i * pb + l] * u[l * p + k];
                        ret_b[i * rank + k] = (float)(root * sum);
                }
                for (size_t j = 0; j < inputs; j++) {
                        double sum = 0;

                        for (size_t l = 0; k < p && l < pa; l++)
                                sum += m[QA][j * pa + l] * v[l * p + k];
                        ret_a[k * inputs + j] = (float)(root * sum);
                }
        }
        *ret_kept = kept;
        *ret_all = all;
        return 0;
}

static const struct qvf_adapter_matrix *matrix_of(const struct merge *merge, uint32_t part, uint32_t index)
{
        const struct qvf_adapter_file *file = merge->parts[part].file;

        return index < file->n_layers * QVF_MODULES && file->matrices[index].rank > 0 &&
                                               merge->parts[part].weight != 0
                               ? &file->matrices[index]
                               : NULL;
}

/* The alpha of the merged matrix: that of the first part, so that what is copied stays as it is. */
static float merged_alpha(const struct merge *merge, uint32_t part, uint32_t index)
{
        const struct qvf_adapter_file *file = merge->parts[part].file;
        const struct qvf_adapter_matrix *matrix = &file->matrices[index];

        if (matrix->alpha == 0 || !file->rank_stabilised)
                return matrix->alpha;
        return (float)(qvf_adapter_file_scale(file, matrix) * matrix->rank);
}

static int put_beside(const struct merge *merge, uint32_t index, struct qvf_adapter_matrix *out,
                uint32_t inputs, uint32_t outputs, uint32_t rank)
{
        _cleanup_free_ float *row = malloc((size_t)QVF_ADAPTER_RANK_MOST * sizeof(*row));
        double out_scale = out->alpha == 0 ? 1 : (double)out->alpha / rank;
        float *a, *b;
        uint32_t at = 0;
        int r = qvf_adapter_numbers_allocate(&out->a, rank, inputs, &a);

        r = r < 0 ? r : qvf_adapter_numbers_allocate(&out->b, outputs, rank, &b);
        if (r < 0 || !row)
                return -ENOMEM;
        for (uint32_t part = 0; part < merge->n_parts; part++) {
                const struct qvf_adapter_matrix *matrix = matrix_of(merge, part, index);
                double factor;

                if (!matrix)
                        continue;
                factor = (double)merge->parts[part].weight *
                         qvf_adapter_file_scale(merge->parts[part].file, matrix) / out_scale;
                qvf_adapter_numbers_read(
                                &matrix->a, 0, (uint64_t)matrix->rank * inputs, a + (size_t)at * inputs);
                for (uint32_t i = 0; i < outputs; i++) {
                        qvf_adapter_numbers_read(&matrix->b, (uint64_t)i * matrix->rank, matrix->rank, row);
                        for (uint32_t k = 0; k < matrix->rank; k++)
                                b[(size_t)i * rank + at + k] = (float)(factor * (double)row[k]);
                }
                at += matrix->rank;
        }
        return 0;
}

/* `full` holds the matrices beside each other, with their alpha; makes `out` of them. */
static int reduce(struct merge *merge, uint32_t index, const struct qvf_adapter_matrix *full,
                struct qvf_adapter_matrix *out, uint32_t rank)
{
        size_t inputs = full->a.columns, outputs = full->b.rows, columns = full->a.rows;
        _cleanup_free_ double *a = malloc((columns * inputs + 1) * sizeof(*a));
        _cleanup_free_ double *b = malloc((columns * outputs + 1) * sizeof(*b));
        double full_scale = full->alpha == 0 ? 1 : (double)full->alpha / (double)columns;
        double out_scale = full->alpha == 0 ? 1 : (double)full->alpha / rank, kept, all, lost;
        float *reduced_a, *reduced_b;
        int r = qvf_adapter_numbers_allocate(&out->a, rank, (uint32_t)inputs, &reduced_a);

        r = r < 0 ? r : qvf_adapter_numbers_allocate(&out->b, (uint32_t)outputs, rank, &reduced_b);
        if (r < 0 || !a || !b)
                return -ENOMEM;
        out->alpha = full->alpha;
        for (size_t i = 0; i < columns * inputs; i++)
                a[i] = (double)((const float *)full->a.data)[i];
        for (size_t i = 0; i < columns * outputs; i++)
                b[i] = (double)((const float *)full->b.data)[i] * full_scale / out_scale;
        r = qvf_adapter_reduce(b, a, outputs, columns, inputs, rank, reduced_b, reduced_a, &kept, &all);
        if (r < 0)
                return r;
        lost = all > 0 ? fmax(0, (all - kept) / all) : 0;
        merge->discarded += (all - kept) * out_scale * out_scale;
        merge->all += all * out_scale * out_scale;
        merge->report->n_reduced++;
        if (lost > merge->report->worst_discarded) {
                merge->report->worst_discarded = lost;
                merge->report->worst_layer = index / QVF_MODULES;
                merge->report->worst_module = index % QVF_MODULES;
        }
        return 0;
}

static int copy_pair(const struct qvf_adapter_matrix *from, struct qvf_adapter_matrix *out)
{
        int r = qvf_adapter_numbers_copy(&from->a, &out->a);

        out->rank = from->rank;
        return r < 0 ? r : qvf_adapter_numbers_copy(&from->b, &out->b);
}

static int check_shapes(const struct merge *merge, uint32_t index, uint32_t *ret_first, uint32_t *ret_count,
                uint32_t *ret_rank)
{
        const struct qvf_adapter_matrix *first = NULL;

        *ret_count = *ret_rank = 0;
        for (uint32_t part = 0; part < merge->n_parts; part++) {
                const struct qvf_adapter_matrix *matrix = matrix_of(merge, part, index);

                if (!matrix)
                        continue;
                if (!first) {
                        first = matrix;
                        *ret_first = part;
                }
                if (matrix->a.columns != first->a.columns || matrix->b.rows != first->b.rows)
                        return qvf_error_set(merge->error, -EINVAL,
                                        "layer %u, %s: adapters %u and %u are of different shapes (%u to %u "
                                        "and %u "
                                        "to %u): not of one base model",
                                        index / QVF_MODULES, qvf_module_name(index % QVF_MODULES),
                                        *ret_first + 1, part + 1, first->a.columns, first->b.rows,
                                        matrix->a.columns, matrix->b.rows);
                ++*ret_count;
                *ret_rank += matrix->rank;
        }
        if (merge->rank == 0 && *ret_rank > QVF_ADAPTER_RANK_MOST)
                return qvf_error_set(merge->error, -EINVAL,
                                "layer %u, %s: the ranks sum up to %u, at most %u can be kept: choose a "
                                "rank",
                                index / QVF_MODULES, qvf_module_name(index % QVF_MODULES), *ret_rank,
                                QVF_ADAPTER_RANK_MOST);
        return 0;
}

static int merge_matrix(struct merge *merge, uint32_t index)
{
        struct qvf_adapter_matrix *out = &merge->out->matrices[index];
        const struct qvf_adapter_matrix *only;
        struct qvf_adapter_matrix full = { 0 };
        uint32_t first = 0, count, sum, rank;
        int r = check_shapes(merge, index, &first, &count, &sum);

        if (r < 0 || count == 0)
                return r;
        merge->report->n_matrices++;
        only = &merge->parts[first].file->matrices[index];
        out->alpha = full.alpha = merged_alpha(merge, first, index);
        rank = merge->rank ? (uint32_t)qvf_min_u64(merge->rank, sum) : sum;
        if (rank == sum && count == 1 && merge->parts[first].weight == 1)
                return copy_pair(only, out);
        if (rank == sum) {
                r = put_beside(merge, index, out, only->a.columns, only->b.rows, sum);
                out->rank = rank;
                return r;
        }
        r = put_beside(merge, index, &full, only->a.columns, only->b.rows, sum);
        r = r < 0 ? r : reduce(merge, index, &full, out, rank);
        out->rank = rank;
        free(full.a.owned);
        free(full.b.owned);
        return r;
}

static int check_parts(const struct merge *merge, uint32_t *ret_layers)
{
        uint32_t n_layers = 0;

        if (merge->n_parts == 0 || merge->n_parts > QVF_MERGE_ADAPTERS_MOST ||
                        merge->rank > QVF_ADAPTER_RANK_MOST)
                return qvf_error_set(merge->error, -EINVAL,
                                "%u adapters to merge to rank %u, expected 1 to %u, and a rank of at most "
                                "%u",
                                merge->n_parts, merge->rank, QVF_MERGE_ADAPTERS_MOST, QVF_ADAPTER_RANK_MOST);
        for (uint32_t i = 0; i < merge->n_parts; i++) {
                const struct qvf_adapter_file *file = merge->parts[i].file;

                if (strcmp(file->architecture, merge->parts[0].file->architecture) != 0)
                        return qvf_error_set(merge->error, -EINVAL,
                                        "adapter 1 is for architecture \"%s\", adapter %u for \"%s\"",
                                        merge->parts[0].file->architecture, i + 1, file->architecture);
                if (!isfinite(merge->parts[i].weight))
                        return qvf_error_set(merge->error, -EINVAL, "the weight of adapter %u is no number",
                                        i + 1);
                if (file->n_layers > n_layers)
                        n_layers = file->n_layers;
        }
        *ret_layers = n_layers;
        return 0;
}

int qvf_adapter_merge(const struct qvf_merge_part *parts, uint32_t n_parts, uint32_t rank,
                struct qvf_adapter_file **ret_file, struct qvf_merge_report *ret_report,
                struct qvf_error *error)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        struct qvf_merge_report report = { 0 };
        struct merge merge = { parts, n_parts, rank, NULL, &report, 0, 0, error };
        uint32_t n_layers = 0;
        int r = check_parts(&merge, &n_layers);

        if (r < 0)
                return r;
        r = qvf_adapter_file_new(parts[0].file->architecture, n_layers, &file);
        merge.out = file;
        for (uint32_t i = 0; r == 0 && i < n_layers * QVF_MODULES; i++)
                r = merge_matrix(&merge, i);
        if (r == -ENOMEM)
                qvf_error_set(error, r, "no memory to merge the adapters");
        if (r == 0 && report.n_matrices == 0)
                r = qvf_error_set(error, -EINVAL, "all weights are 0: nothing is left");
        r = r < 0 ? r : qvf_adapter_file_check(file, error); /* numbers that have grown too large */
        if (r < 0)
                return r;
        report.discarded = merge.all > 0 ? fmax(0, merge.discarded / merge.all) : 0;
        *ret_file = QVF_TAKE(file);
        if (ret_report)
                *ret_report = report;
        return 0;
}
