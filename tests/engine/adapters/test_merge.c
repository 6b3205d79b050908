/* SPDX-License-Identifier: Apache-2.0 */
/* Merging: what must be equal is equal, and what a smaller rank loses is what the singular values say. */
#include <errno.h>

#include "engine/adapters/linear_algebra.h"
#include "engine/adapters/merge.h"
#include "tests/engine/adapters/adapter_helper.h"

static const uint32_t all_four[QVF_MODULES] = { 4, 4, 4, 4, 4, 4, 4 };
static const uint32_t mixed[QVF_MODULES] = { 4, 0, 3, 4, 1, 0, 8 };
static const uint32_t others[QVF_MODULES] = { 2, 5, 0, 4, 2, 0, 1 };

static struct qvf_adapter_file *merge(const struct qvf_merge_part *parts, uint32_t n_parts, uint32_t rank,
                struct qvf_merge_report *report)
{
        struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_adapter_merge(parts, n_parts, rank, &file, report, &error) == 0, "%s", error.text);
        return file;
}

/* The largest relative distance of the merged products from the sum of the parts'. */
static double distance(
                const struct qvf_merge_part *parts, uint32_t n_parts, const struct qvf_adapter_file *merged)
{
        double worst = 0;

        for (uint32_t index = 0; index < merged->n_layers * QVF_MODULES; index++) {
                double wanted[DIM * DIM] = { 0 }, found[DIM * DIM] = { 0 }, difference = 0, size = 0;

                for (uint32_t i = 0; i < n_parts; i++)
                        if (index < parts[i].file->n_layers * QVF_MODULES)
                                add_product(parts[i].file, index, (double)parts[i].weight, wanted);
                add_product(merged, index, 1, found);
                for (uint32_t i = 0; i < DIM * DIM; i++) {
                        difference += (found[i] - wanted[i]) * (found[i] - wanted[i]);
                        size += wanted[i] * wanted[i];
                }
                if (size > 0)
                        worst = fmax(worst, sqrt(difference / size));
                else
                        ck_assert_double_eq(difference, 0);
        }
        return worst;
}

START_TEST(one_adapter_stays_the_same)
{
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                                random_adapter("bitnet", 3, mixed, 16,
                                                i == 0   ? QVF_F32
                                                : i == 1 ? QVF_F16
                                                         : QVF_BF16,
                                                1);
                const struct qvf_merge_part part = { file, 1 };
                struct qvf_merge_report report;
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *merged =
                                merge(&part, 1, i == 1 ? 8 : 0, &report);
                _cleanup_text_ struct qvf_text one = gguf_of(file, QVF_ADAPTER_AS_IT_IS);
                _cleanup_text_ struct qvf_text other = gguf_of(merged, QVF_ADAPTER_AS_IT_IS);

                ck_assert_uint_eq(one.length, other.length);
                ck_assert_mem_eq(one.bytes, other.bytes, one.length);
                ck_assert_uint_eq(report.n_matrices, 15);
                ck_assert_uint_eq(report.n_reduced, 0);
                ck_assert_double_eq(report.discarded, 0);
        }
}
END_TEST

START_TEST(halves_beside_each_other)
{
        for (unsigned i = 0; i < 4; i++) {
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *a =
                                random_adapter("bitnet", 3, mixed, i & 1 ? 0 : 16, QVF_F32, 1);
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *b =
                                random_adapter("bitnet", 2, others, 7, QVF_F16, 2);
                const struct qvf_merge_part parts[] = { { a, 0.3f }, { b, -2 }, { b, 1 } };
                struct qvf_merge_report report;
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *merged = NULL;
                _cleanup_text_ struct qvf_text gguf = { 0 };
                _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = NULL;

                b->rank_stabilised = i & 2;
                merged = merge(parts, 3, 0, &report);
                ck_assert_uint_eq(merged->n_layers, 3);
                ck_assert_uint_eq(merged->matrices[QVF_ATTN_Q].rank, 8);
                ck_assert_uint_eq(report.n_reduced, 0);
                ck_assert_double_le(distance(parts, 3, merged), 1e-6);
                gguf = gguf_of(merged, QVF_ADAPTER_AS_IT_IS);
                back = from_gguf(&gguf);
                ck_assert_double_le(distance(parts, 3, back), 1e-6);
        }
}
END_TEST

/* By SVD at the full rank nothing is lost either; and a rank that the product has suffices. */
START_TEST(svd_at_the_rank_of_the_product)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *a =
                        random_adapter("bitnet", 3, all_four, 16, QVF_F32, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *b =
                        random_adapter("bitnet", 3, all_four, 3, QVF_F32, 2);
        const struct qvf_merge_part parts[] = { { a, 0.5f }, { b, 1.5f }, { a, 1 }, { b, 0.25f } };
        struct qvf_merge_report report;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *beside = merge(parts, 4, 16, &report);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *reduced = merge(parts, 4, 8, &report);

        ck_assert_uint_eq(beside->matrices[0].rank, 16);
        ck_assert_uint_eq(reduced->matrices[0].rank, 8);
        ck_assert_uint_eq(report.n_reduced, 21);
        ck_assert_double_le(report.discarded, 1e-12);
        ck_assert_double_le(distance(parts, 4, reduced), 1e-5);
        ck_assert_double_le(product_distance(beside, reduced), 1e-5);
}
END_TEST

/* Against the singular values of the whole product: the error is what was said to be discarded, and no matrix of
 * that rank could do better. */
START_TEST(discarded_energy)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *a =
                        random_adapter("bitnet", 2, all_four, 16, QVF_F32, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *b =
                        random_adapter("bitnet", 2, all_four, 16, QVF_F32, 2);
        const struct qvf_merge_part parts[] = { { a, 1 }, { b, 0.5f } };
        struct qvf_merge_report report;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *merged = merge(parts, 2, 3, &report);
        double lost = 0, all = 0, worst = 0;

        for (uint32_t index = 0; index < 2 * QVF_MODULES; index++) {
                uint32_t inputs = small_shapes[index % QVF_MODULES].inputs,
                         outputs = small_shapes[index % QVF_MODULES].outputs;
                double whole[DIM * DIM] = { 0 }, left[DIM * DIM], u[DIM * DIM], s[DIM], v[DIM * DIM];
                double best = 0, error = 0, size = 0;

                add_product(a, index, 1, whole);
                add_product(b, index, 0.5, whole);
                memcpy(left, whole, sizeof(left));
                add_product(merged, index, -1, left);
                ck_assert_int_eq(qvf_svd(whole, outputs, inputs, u, s, v), 0);
                for (uint32_t i = 0; i < (inputs < outputs ? inputs : outputs); i++) {
                        size += s[i] * s[i];
                        best += i < 3 ? 0 : s[i] * s[i];
                }
                for (uint32_t i = 0; i < inputs * outputs; i++)
                        error += left[i] * left[i];
                ck_assert_double_eq_tol(error, best, 1e-5 * best);
                ck_assert_uint_eq(merged->matrices[index].rank, 3);
                lost += best;
                all += size;
                worst = fmax(worst, best / size);
        }
        ck_assert_double_eq_tol(report.discarded, lost / all, 1e-9);
        ck_assert_double_eq_tol(report.worst_discarded, worst, 1e-9);
}
END_TEST

/* A fresh adapter has B = 0: its product has rank 0, and nothing divides by it. */
START_TEST(product_of_nothing)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *a =
                        random_adapter("bitnet", 1, all_four, 16, QVF_F32, 1);
        const struct qvf_merge_part parts[] = { { a, 1 }, { a, -1 } };
        struct qvf_merge_report report;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *cancelled = NULL;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *zero = NULL;

        cancelled = merge(parts, 2, 2, &report);
        for (uint32_t i = 0; i < QVF_MODULES; i++) {
                double found[DIM * DIM] = { 0 };

                add_product(cancelled, i, 1, found);
                for (uint32_t k = 0; k < DIM * DIM; k++)
                        ck_assert_double_le(fabs(found[k]), 1e-12);
                memset(a->matrices[i].b.owned, 0, qvf_adapter_numbers_bytes(&a->matrices[i].b));
        }
        zero = merge(parts, 1, 2, &report);
        ck_assert_double_eq(report.discarded, 0);
        ck_assert_uint_eq(zero->matrices[0].rank, 2);
}
END_TEST

START_TEST(rank_above_the_shape)
{
        static const uint32_t large[QVF_MODULES] = { 10, 10, 10, 10, 10, 10, 10 };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *a =
                        random_adapter("bitnet", 1, large, 16, QVF_F32, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *b =
                        random_adapter("bitnet", 1, large, 16, QVF_F32, 2);
        const struct qvf_merge_part parts[] = { { a, 1 }, { b, 1 }, { a, 0.5f } };
        struct qvf_merge_report report;
        /* 30 columns beside each other, 12 rows at least, brought to 25. */
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *merged = merge(parts, 3, 25, &report);

        ck_assert_uint_eq(merged->matrices[QVF_ATTN_K].rank, 25);
        ck_assert_double_le(distance(parts, 3, merged), 1e-5);
}
END_TEST

static void expect(const struct qvf_merge_part *parts, uint32_t n_parts, uint32_t rank, const char *words)
{
        struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_adapter_merge(parts, n_parts, rank, &file, NULL, &error), -EINVAL);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
        ck_assert_ptr_null(file);
}

START_TEST(what_cannot_be_merged)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *a =
                        random_adapter("bitnet", 1, all_four, 16, QVF_F32, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *llama =
                        random_adapter("llama", 1, all_four, 16, QVF_F32, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *shape =
                        random_adapter("bitnet", 1, all_four, 16, QVF_F32, 1);
        const struct qvf_merge_part one = { a, 1 }, zero = { a, 0 }, nan = { a, NAN };
        const struct qvf_merge_part kinds[] = { { a, 1 }, { llama, 1 } },
                                    shapes[] = { { a, 1 }, { shape, 1 } };
        const struct qvf_merge_part huge[] = { { a, 3e38f }, { a, 3e38f } };
        struct qvf_random random;
        struct qvf_error error = { 0 };

        qvf_random_seed(&random, 1);
        fill_random(&shape->matrices[0].a, 4, DIM - 1, QVF_F32, &random);
        ck_assert_int_eq(qvf_adapter_file_check(shape, &error), 0);
        expect(&one, 0, 0, "0 adapters to merge");
        expect(&one, 1, 4097, "a rank of at most 4096");
        expect(&zero, 1, 0, "all weights are 0");
        expect(&nan, 1, 0, "the weight of adapter 1 is no number");
        expect(kinds, 2, 0, "adapter 1 is for architecture \"bitnet\", adapter 2 for \"llama\"");
        expect(shapes, 2, 0,
                        "layer 0, attn_q: adapters 1 and 2 are of different shapes (24 to 24 and 23 to 24)");
        expect(huge, 2, 0, "expected finite numbers");
}
END_TEST

QVF_SUITE("merge", 60, one_adapter_stays_the_same, halves_beside_each_other, svd_at_the_rank_of_the_product,
                discarded_energy, product_of_nothing, rank_above_the_shape, what_cannot_be_merged)
