/* SPDX-License-Identifier: Apache-2.0 */
/* The order of an epoch, and the batches that a training step gets. */
#include "engine/data/packing.h"

#include <errno.h>
#include <string.h>

#include "engine/data/batch.h"
#include "engine/data/chat_tokens.h"
#include "engine/sampling/random.h"
#include "tests/support/suite.h"

/* Windows of these rows that all count, one a document; no tokens behind them. */
static struct qvf_windows made_windows(const uint32_t *rows, uint32_t count, uint32_t context)
{
        struct qvf_windows windows = { .context = context, .count = count };

        windows.items = calloc(count, sizeof(*windows.items));
        ck_assert_ptr_nonnull(windows.items);
        for (uint32_t i = 0; i < count; i++) {
                windows.items[i] =
                                (struct qvf_window){ .rows = rows[i], .counting = rows[i], .document = i };
                windows.counts.rows += rows[i];
                windows.counts.counting += rows[i];
        }
        return windows;
}

static struct qvf_packing *packed(
                const struct qvf_windows *windows, const struct qvf_packing_options *options, uint64_t epoch)
{
        struct qvf_packing *packing = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_packing_new(windows, options, epoch, &packing, &error) == 0, "%s", error.text);
        return packing;
}

/* Each window once, no sequence too long or empty, the sums right. */
static void check(const struct qvf_packing *packing)
{
        const struct qvf_windows *windows = packing->windows;
        _cleanup_free_ uint8_t *seen = calloc(windows->count, 1);
        struct qvf_packing_size all = qvf_packing_measure(packing, 0, UINT32_MAX);
        uint64_t rows = 0;

        ck_assert_uint_eq(packing->starts[0], 0);
        ck_assert_uint_eq(packing->starts[packing->n_sequences], windows->count);
        for (uint32_t i = 0; i < packing->n_sequences; i++) {
                struct qvf_packing_size size = qvf_packing_measure(packing, i, 1);

                if (packing->starts[i] >= packing->starts[i + 1] || size.rows > packing->rows)
                        ck_abort_msg("sequence %u has %llu rows", i, (unsigned long long)size.rows);
                rows += size.rows;
        }
        for (uint32_t i = 0; i < windows->count; i++)
                if (packing->order[i] >= windows->count || seen[packing->order[i]]++)
                        ck_abort_msg("window %u is not in its place", packing->order[i]);
        ck_assert_uint_eq(rows, windows->counts.rows);
        ck_assert_uint_eq(all.rows, windows->counts.rows);
        ck_assert_uint_eq(all.counting, windows->counts.counting);
}

static bool same(const struct qvf_packing *a, const struct qvf_packing *b)
{
        return a->n_sequences == b->n_sequences &&
               memcmp(a->starts, b->starts, (a->n_sequences + 1) * sizeof(*a->starts)) == 0 &&
               memcmp(a->order, b->order, a->windows->count * sizeof(*a->order)) == 0;
}

START_TEST(by_hand)
{
        const uint32_t rows[] = { 3, 5, 2, 6, 4, 1 };
        struct qvf_windows windows = made_windows(rows, 6, 7);
        struct qvf_packing *packing =
                        packed(&windows, &(struct qvf_packing_options){ .file_order = true }, 0);
        const uint32_t order[] = { 3, 5, 1, 2, 4, 0 }; /* 6 + 1, 5 + 2, 4 + 3 */

        check(packing);
        ck_assert_uint_eq(packing->n_sequences, 3);
        ck_assert_mem_eq(packing->order, order, sizeof(order));
        ck_assert_double_eq(qvf_packing_fill(packing), 1.0);
        ck_assert_uint_eq(qvf_packing_measure(packing, 1, 1).rows, 7);
        ck_assert_uint_eq(qvf_packing_measure(packing, 3, 1).rows, 0);
        ck_assert_uint_eq(qvf_packing_measure(packing, 2, 9).rows, 7);
        qvf_packing_free(packing);
        packing = packed(&windows, &(struct qvf_packing_options){ .file_order = true, .one_each = true }, 5);
        check(packing);
        ck_assert_uint_eq(packing->n_sequences, 6);
        for (uint32_t i = 0; i < 6; i++)
                ck_assert_uint_eq(packing->order[i], i);
        qvf_packing_free(packing);
        free(windows.items);
}
END_TEST

START_TEST(properties)
{
        uint32_t rows[5000];
        struct qvf_random random;

        qvf_random_seed(&random, 7);
        for (unsigned round = 0; round < 60; round++) {
                uint32_t context = 1 + (uint32_t)(qvf_random_next(&random) % 700);
                uint32_t count = 1 + (uint32_t)(qvf_random_next(&random) % (round < 50 ? 300 : 5000));
                struct qvf_packing_options options = { .seed = round, .one_each = round % 8 == 7 };
                struct qvf_packing *first, *again, *next;
                struct qvf_windows windows;

                for (uint32_t i = 0; i < count; i++)
                        rows[i] = 1 + (uint32_t)(qvf_random_next(&random) % context);
                windows = made_windows(rows, count, context);
                if (round % 3 == 0)
                        options.rows = context * 2 + 5;
                first = packed(&windows, &options, round);
                again = packed(&windows, &options, round);
                next = packed(&windows, &options, round + 1);
                check(first);
                check(next);
                ck_assert(same(first, again));
                if (count > 20)
                        ck_assert(!same(first, next));
                qvf_packing_free(next);
                options.seed++;
                next = packed(&windows, &options, round);
                if (count > 20)
                        ck_assert(!same(first, next));
                qvf_packing_free(first);
                qvf_packing_free(again);
                qvf_packing_free(next);
                free(windows.items);
        }
}
END_TEST

/* Lengths as those of short instructions: a long tail, most far below the context. */
START_TEST(sequences_are_full)
{
        static uint32_t rows[200000];
        static const uint32_t counts[] = { 300, 20000, 200000 };
        struct qvf_random random;

        qvf_random_seed(&random, 3);
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                struct qvf_windows windows;
                struct qvf_packing *packing;

                for (uint32_t k = 0; k < counts[i]; k++) {
                        double u = qvf_random_uniform(&random);

                        rows[k] = 30 + (uint32_t)(470 * u * u * u);
                }
                windows = made_windows(rows, counts[i], 512);
                packing = packed(&windows, &(struct qvf_packing_options){ .seed = 1 }, 0);
                check(packing);
                printf("%u documents in sequences of 512 rows: %.2f %% full\n", counts[i],
                                100 * qvf_packing_fill(packing));
                ck_assert_double_gt(qvf_packing_fill(packing), i ? 0.99 : 0.97);
                qvf_packing_free(packing);
                free(windows.items);
        }
}
END_TEST

/* The order is the same on every machine, now and later: a resumed job hangs on it. The numbers come from another
 * implementation of the same rules. */
START_TEST(order_never_changes)
{
        const uint32_t rows[] = { 3, 5, 2, 6, 4, 1, 7, 2, 2, 3 };
        const uint32_t wanted[] = { 3, 5, 4, 0, 6, 1, 7, 9, 2, 8 };
        struct qvf_windows windows = made_windows(rows, 10, 7);
        struct qvf_packing *packing = packed(&windows, &(struct qvf_packing_options){ .seed = 42 }, 3);

        check(packing);
        for (uint32_t i = 0; i < 10; i++)
                ck_assert_uint_eq(packing->order[i], wanted[i]);
        qvf_packing_free(packing);
        free(windows.items);
}
END_TEST

START_TEST(refused)
{
        const uint32_t rows[] = { 3, 5 };
        struct qvf_windows windows = made_windows(rows, 2, 7);
        struct qvf_packing *packing = NULL;
        struct qvf_error error = { 0 };

        ck_assert_int_eq(qvf_packing_new(&windows, &(struct qvf_packing_options){ .rows = 6 }, 0, &packing,
                                         &error),
                        -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "sequences of 6 rows, expected 7 (the context)"));
        ck_assert_ptr_null(packing);
        free(windows.items);
}
END_TEST

/* "aBC" and "xYz" and "kLMNOP", the last one in two windows that overlap. */
START_TEST(batch_by_hand)
{
        static const uint32_t tokens[] = { 'a', 'b' | QVF_DATA_COUNTS, 'c' | QVF_DATA_COUNTS, 'x', 'y',
                'z' | QVF_DATA_COUNTS, 'k', 'l' | QVF_DATA_COUNTS, 'm' | QVF_DATA_COUNTS,
                'n' | QVF_DATA_COUNTS, 'o' | QVF_DATA_COUNTS, 'p' | QVF_DATA_COUNTS };
        static const uint64_t starts[] = { 0, 3, 6, 12 };
        const struct qvf_dataset dataset = {
                .tokens = tokens, .starts = starts, .n_documents = 3, .counts.tokens = 12
        };
        struct qvf_windows *windows = NULL;
        struct qvf_packing *packing;
        struct qvf_batch batch;

        ck_assert_int_eq(
                        qvf_windows_new(&dataset, &(struct qvf_window_options){ .context = 4, .overlap = 2 },
                                        &windows, NULL),
                        0);
        packing = packed(windows, &(struct qvf_packing_options){ .one_each = true, .file_order = true }, 0);
        ck_assert_int_eq(qvf_batch_init(&batch, 9, NULL), 0);
        ck_assert_int_eq(qvf_batch_fill(&batch, packing, 0, 4), -E2BIG);
        ck_assert_uint_eq(batch.n_rows, 0);
        qvf_batch_exit(&batch);
        ck_assert_int_eq(qvf_batch_init(&batch, 11, NULL), 0);
        ck_assert_int_eq(qvf_batch_fill(&batch, packing, 0, 9), 0);
        ck_assert_uint_eq(batch.n_rows, 11);
        ck_assert_mem_eq(batch.ids, ((int32_t[]){ 'a', 'b', 'x', 'y', 'k', 'l', 'm', 'n', 'm', 'n', 'o' }),
                        44);
        ck_assert_mem_eq(batch.position, ((int32_t[]){ 0, 1, 0, 1, 0, 1, 2, 3, 0, 1, 2 }), 44);
        ck_assert_mem_eq(batch.first, ((int32_t[]){ 0, 0, 2, 2, 4, 4, 4, 4, 8, 8, 8 }), 44);
        ck_assert_uint_eq(batch.n_outputs, 8);
        ck_assert_mem_eq(batch.output_index, ((int32_t[]){ 0, 1, 3, 4, 5, 6, 7, 10 }), 32);
        ck_assert_mem_eq(batch.target, ((int32_t[]){ 'b', 'c', 'z', 'l', 'm', 'n', 'o', 'p' }), 32);
        ck_assert_int_eq(qvf_batch_fill(&batch, packing, 1, 1), 0);
        ck_assert_uint_eq(batch.n_rows, 2);
        ck_assert_int_eq(batch.first[1], 0);
        ck_assert_int_eq(qvf_batch_fill(&batch, packing, 4, 1), 0);
        ck_assert_uint_eq(batch.n_rows, 0);
        qvf_batch_exit(&batch);
        qvf_packing_free(packing);
        qvf_windows_free(windows);
}
END_TEST

QVF_SUITE("packing", 60, by_hand, properties, sequences_are_full, order_never_changes, refused,
                batch_by_hand)
