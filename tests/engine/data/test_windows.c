/* SPDX-License-Identifier: Apache-2.0 */
/* Windows by hand and by their properties. Documents are made of numbers here, no text needed. */
#include "engine/data/windows.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/data/chat_tokens.h"
#include "tests/support/suite.h"

/* Documents as strings: a letter is a token, a capital one counts. */
struct made {
        struct qvf_dataset dataset;
        uint32_t tokens[4096];
        uint64_t starts[64];
};

static void make(struct made *made, const char *const *documents, size_t count)
{
        size_t n_tokens = 0;

        memset(made, 0, sizeof(*made));
        for (size_t i = 0; i < count; i++) {
                for (const char *letter = documents[i]; *letter; letter++) {
                        bool counts = *letter >= 'A' && *letter <= 'Z';

                        made->tokens[n_tokens++] = (uint32_t)*letter | (counts ? QVF_DATA_COUNTS : 0);
                        made->dataset.counts.counting_tokens += counts;
                }
                made->starts[i + 1] = n_tokens;
        }
        made->dataset.n_documents = count;
        made->dataset.tokens = made->tokens;
        made->dataset.starts = made->starts;
        made->dataset.counts.tokens = n_tokens;
}

static struct qvf_windows *cut(struct made *made, const struct qvf_window_options *options)
{
        struct qvf_windows *windows = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_windows_new(&made->dataset, options, &windows, &error) == 0, "%s", error.text);
        return windows;
}

static void expect(const struct qvf_windows *windows, uint32_t index, struct qvf_window wanted)
{
        const struct qvf_window *found = &windows->items[index];

        ck_assert_uint_lt(index, windows->count);
        ck_assert_uint_eq(found->document, wanted.document);
        ck_assert_uint_eq(found->start, wanted.start);
        ck_assert_uint_eq(found->rows, wanted.rows);
        ck_assert_uint_eq(found->loss_from, wanted.loss_from);
        ck_assert_uint_eq(found->counting, wanted.counting);
}

START_TEST(whole_documents)
{
        const char *const documents[] = { "aBCD", "a", "aBcd", "abcD", "abcd", "aBCDE" };
        struct made made;
        struct qvf_windows *windows;

        make(&made, documents, 6);
        windows = cut(&made, &(struct qvf_window_options){ .context = 4 });
        ck_assert_uint_eq(windows->count, 4);
        expect(windows, 0, (struct qvf_window){ .document = 0, .start = 0, .rows = 3, .counting = 3 });
        /* What comes after the last token that counts is not computed. */
        expect(windows, 1, (struct qvf_window){ .document = 2, .start = 5, .rows = 1, .counting = 1 });
        expect(windows, 2, (struct qvf_window){ .document = 3, .start = 9, .rows = 3, .counting = 1 });
        expect(windows, 3, (struct qvf_window){ .document = 5, .start = 17, .rows = 4, .counting = 4 });
        ck_assert_uint_eq(windows->counts.documents_without_counting, 2);
        ck_assert_uint_eq(windows->counts.documents_split, 0);
        ck_assert_uint_eq(windows->counts.rows, 11);
        ck_assert_uint_eq(windows->counts.counting, 9);
        qvf_windows_free(windows);
}
END_TEST

START_TEST(split_with_overlap)
{
        const char *const documents[] = { "aBCDEFGHIJ", "aBCDefghiJKL", "abcdefgHij" };
        struct made made;
        struct qvf_windows *windows;

        make(&made, documents, 1);
        /* Nine rows: 0 to 3, 2 to 5, 4 to 7, 6 to 8. */
        windows = cut(&made, &(struct qvf_window_options){ .context = 4, .overlap = 2 });
        ck_assert_uint_eq(windows->count, 4);
        expect(windows, 0, (struct qvf_window){ .start = 0, .rows = 4, .counting = 4 });
        expect(windows, 1, (struct qvf_window){ .start = 2, .rows = 4, .loss_from = 2, .counting = 2 });
        expect(windows, 2, (struct qvf_window){ .start = 4, .rows = 4, .loss_from = 2, .counting = 2 });
        expect(windows, 3, (struct qvf_window){ .start = 6, .rows = 3, .loss_from = 2, .counting = 1 });
        ck_assert_uint_eq(windows->counts.documents_split, 1);
        qvf_windows_free(windows);

        make(&made, documents, 3);
        windows = cut(&made, &(struct qvf_window_options){ .context = 4 });
        ck_assert_uint_eq(windows->count, 6);
        expect(windows, 2, (struct qvf_window){ .start = 8, .rows = 1, .counting = 1 });
        expect(windows, 3, (struct qvf_window){ .document = 1, .start = 10, .rows = 3, .counting = 3 });
        /* "efghi" predicts nothing that counts. */
        expect(windows, 4, (struct qvf_window){ .document = 1, .start = 18, .rows = 3, .counting = 3 });
        expect(windows, 5, (struct qvf_window){ .document = 2, .start = 26, .rows = 3, .counting = 1 });
        ck_assert_uint_eq(windows->counts.documents_split, 3);
        ck_assert_uint_eq(windows->counts.windows_without_counting, 3);
        ck_assert_uint_eq(windows->counts.counting, 9 + 6 + 1);
        qvf_windows_free(windows);
}
END_TEST

START_TEST(truncated)
{
        const char *const documents[] = { "aBCDEFGHIJ", "abcdefGH", "aBCDE" };
        struct made made;
        struct qvf_windows *windows;

        make(&made, documents, 3);
        windows = cut(&made, &(struct qvf_window_options){ .context = 4, .too_long = QVF_DATA_TRUNCATE });
        ck_assert_uint_eq(windows->count, 2);
        expect(windows, 0, (struct qvf_window){ .start = 0, .rows = 4, .counting = 4 });
        expect(windows, 1, (struct qvf_window){ .document = 2, .start = 18, .rows = 4, .counting = 4 });
        ck_assert_uint_eq(windows->counts.documents_truncated, 2);
        ck_assert_uint_eq(windows->counts.tokens_cut, 5 + 3);
        ck_assert_uint_eq(windows->counts.counting_tokens_cut, 5 + 2);
        ck_assert_uint_eq(windows->counts.documents_without_counting, 1);
        qvf_windows_free(windows);
}
END_TEST

/* Whatever context and overlap are: each token that counts is predicted exactly once. */
START_TEST(each_once)
{
        char letters[200];
        const char *const documents[] = { letters };
        struct made made;

        for (size_t i = 0; i < sizeof(letters) - 1; i++)
                letters[i] = (char)((i * i % 7 < 4 && i > 0 ? 'A' : 'a') + i % 26);
        letters[sizeof(letters) - 1] = 0;
        make(&made, documents, 1);
        for (uint32_t context = 1; context < 210; context++)
                for (uint32_t overlap = 0; overlap < context; overlap += 1 + overlap / 8) {
                        struct qvf_windows *windows =
                                        cut(&made, &(struct qvf_window_options){
                                                                   .context = context, .overlap = overlap });
                        uint8_t predicted[sizeof(letters)] = { 0 };
                        size_t bad = 0;

                        for (uint32_t i = 0; i < windows->count; i++) {
                                const struct qvf_window *window = &windows->items[i];

                                bad += window->rows > context;
                                for (uint32_t row = window->loss_from; row < window->rows; row++)
                                        predicted[window->start + row + 1]++;
                        }
                        for (size_t i = 0; i + 1 < sizeof(letters); i++)
                                bad += made.tokens[i] & QVF_DATA_COUNTS ? predicted[i] != 1
                                                                        : predicted[i] > 1;
                        if (bad || windows->counts.counting != made.dataset.counts.counting_tokens)
                                ck_abort_msg("context %u, overlap %u", context, overlap);
                        qvf_windows_free(windows);
                }
}
END_TEST

START_TEST(refused)
{
        const char *const documents[] = { "abc", "d" };
        struct qvf_windows *windows = NULL;
        struct qvf_error error = { 0 };
        struct made made;

        make(&made, documents, 2);
        ck_assert_int_eq(qvf_windows_new(&made.dataset, &(struct qvf_window_options){ .context = 4 },
                                         &windows, &error),
                        -ENODATA);
        ck_assert_ptr_nonnull(
                        strstr(error.text, "of 2 documents with 4 tokens none has a token that counts"));
        ck_assert_int_eq(qvf_windows_new(&made.dataset, &(struct qvf_window_options){ .context = 0 },
                                         &windows, &error),
                        -EINVAL);
        ck_assert_int_eq(qvf_windows_new(&made.dataset,
                                         &(struct qvf_window_options){ .context = 4, .overlap = 4 },
                                         &windows, &error),
                        -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "overlap: 4 tokens, expected less than the context of 4"));
        ck_assert_int_eq(qvf_windows_new(&made.dataset,
                                         &(struct qvf_window_options){
                                                         .context = QVF_DATA_CONTEXT_LIMIT + 1 },
                                         &windows, &error),
                        -EINVAL);
        ck_assert_ptr_null(windows);
}
END_TEST

START_TEST(held_out)
{
        const char *documents[40];
        struct made made;
        uint64_t chosen[2] = { 0 };

        for (size_t i = 0; i < 40; i++)
                documents[i] = i % 5 == 4 ? "ab" : "aBCDEFG"; /* eight of them have no windows */
        make(&made, documents, 40);
        for (unsigned round = 0; round < 4; round++) {
                struct qvf_windows *windows =
                                cut(&made, &(struct qvf_window_options){ .context = round == 3 ? 6 : 4 });
                struct qvf_windows *held = NULL;
                uint64_t documents_of[2] = { 0 }, rows = windows->counts.rows;

                ck_assert_int_eq(qvf_windows_hold_out(windows, 0.25, round % 2, &held, NULL), 0);
                for (uint32_t i = 0; i < windows->count; i++)
                        documents_of[0] |= (uint64_t)1 << windows->items[i].document;
                for (uint32_t i = 0; i < held->count; i++)
                        documents_of[1] |= (uint64_t)1 << held->items[i].document;
                ck_assert_uint_eq(documents_of[0] & documents_of[1], 0);
                ck_assert_int_eq(__builtin_popcountll(documents_of[0]), 24);
                ck_assert_int_eq(__builtin_popcountll(documents_of[1]), 8);
                ck_assert_uint_eq(windows->counts.rows + held->counts.rows, rows);
                ck_assert_uint_eq(held->counts.rows, 8 * 6);
                /* The same seed chooses the same documents, also when the windows are others. */
                if (round >= 2)
                        ck_assert_uint_eq(documents_of[1], chosen[round % 2]);
                chosen[round % 2] = documents_of[1];
                qvf_windows_free(held);
                qvf_windows_free(windows);
        }
        ck_assert_uint_ne(chosen[0], chosen[1]);
}
END_TEST

START_TEST(held_out_extremes)
{
        const char *const documents[] = { "aB", "aB", "aB" };
        static const double bad[] = { 0, 1, -1, 2, NAN };
        struct qvf_windows *windows, *held = NULL;
        struct qvf_error error = { 0 };
        struct made made;

        make(&made, documents, 3);
        for (int most = 0; most < 2; most++) {
                windows = cut(&made, &(struct qvf_window_options){ .context = 4 });
                ck_assert_int_eq(qvf_windows_hold_out(windows, most ? 0.99 : 0.001, 1, &held, NULL), 0);
                ck_assert_uint_eq(held->count, most ? 2 : 1);
                ck_assert_uint_eq(windows->count, most ? 1 : 2);
                qvf_windows_free(held);
                held = NULL;
                qvf_windows_free(windows);
        }
        windows = cut(&made, &(struct qvf_window_options){ .context = 4 });
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                ck_assert_int_eq(qvf_windows_hold_out(windows, bad[i], 1, &held, &error), -EINVAL);
        qvf_windows_free(windows);
        make(&made, documents, 1);
        windows = cut(&made, &(struct qvf_window_options){ .context = 4 });
        ck_assert_int_eq(qvf_windows_hold_out(windows, 0.5, 1, &held, &error), -ENODATA);
        ck_assert_ptr_null(held);
        qvf_windows_free(windows);
}
END_TEST

QVF_SUITE("windows", 60, whole_documents, split_with_overlap, truncated, each_once, refused, held_out,
                held_out_extremes)
