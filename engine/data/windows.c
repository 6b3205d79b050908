/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/windows.h"

#include <errno.h>
#include <string.h>

#include "engine/data/chat_tokens.h"
#include "engine/data/shuffle.h"

struct cutting {
        struct qvf_windows *windows;
        const struct qvf_window_options *options;
        size_t capacity;
};

static int append(struct cutting *cutting, const struct qvf_window *window)
{
        struct qvf_windows *windows = cutting->windows;

        if (windows->count == QVF_DATA_WINDOWS_LIMIT)
                return -E2BIG;
        if (windows->count == cutting->capacity) {
                size_t capacity = cutting->capacity ? cutting->capacity * 2 : 256;
                struct qvf_window *items = reallocarray(windows->items, capacity, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                windows->items = items;
                cutting->capacity = capacity;
        }
        windows->items[windows->count++] = *window;
        windows->counts.rows += window->rows;
        windows->counts.counting += window->counting;
        return 0;
}

/* Row i predicts token i + 1. Ends the window at the last row that counts. */
static void measure(const uint32_t *tokens, struct qvf_window *window)
{
        uint32_t last = 0;

        window->counting = 0;
        for (uint32_t row = window->loss_from; row < window->rows; row++) {
                if (!(tokens[row + 1] & QVF_DATA_COUNTS))
                        continue;
                window->counting++;
                last = row;
        }
        window->rows = last + 1;
}

static uint64_t count_counting(const uint32_t *tokens, uint64_t count)
{
        uint64_t counting = 0;

        for (uint64_t i = 0; i < count; i++)
                counting += tokens[i] / QVF_DATA_COUNTS;
        return counting;
}

static int cut_document(struct cutting *cutting, uint64_t document)
{
        const struct qvf_dataset *dataset = cutting->windows->dataset;
        const struct qvf_window_options *options = cutting->options;
        struct qvf_window_counts *counts = &cutting->windows->counts;
        uint64_t n_tokens, rows, n_windows = 0, n_kept = 0, start = 0;
        const uint32_t *tokens = qvf_dataset_document(dataset, document, &n_tokens);
        int r = 0;

        rows = n_tokens - 1;
        for (bool more = rows > 0; r >= 0 && more; n_windows++) {
                struct qvf_window window = { .start = dataset->starts[document] + start,
                        .document = (uint32_t)document,
                        .loss_from = n_windows ? options->overlap : 0,
                        .rows = options->context };

                if (rows - start <= options->context)
                        window.rows = (uint32_t)(rows - start);
                more = rows - start > options->context && options->too_long == QVF_DATA_SPLIT;
                measure(tokens + start, &window);
                if (window.counting > 0) {
                        r = append(cutting, &window);
                        n_kept++;
                }
                start += options->context - options->overlap;
        }
        if (rows > options->context && options->too_long == QVF_DATA_TRUNCATE) {
                counts->documents_truncated++;
                counts->tokens_cut += rows - options->context;
                counts->counting_tokens_cut +=
                                count_counting(tokens + options->context + 1, rows - options->context);
        }
        counts->documents_split += n_windows > 1;
        if (n_kept == 0)
                counts->documents_without_counting++;
        else
                counts->windows_without_counting += n_windows - n_kept;
        return r;
}

static int check_options(const struct qvf_window_options *options, struct qvf_error *error)
{
        if (options->context == 0 || options->context > QVF_DATA_CONTEXT_LIMIT)
                return qvf_error_set(error, -EINVAL, "context: %u tokens, expected 1 to %u",
                                options->context, QVF_DATA_CONTEXT_LIMIT);
        if (options->overlap >= options->context)
                return qvf_error_set(error, -EINVAL,
                                "overlap: %u tokens, expected less than the context of %u", options->overlap,
                                options->context);
        return 0;
}

int qvf_windows_new(const struct qvf_dataset *dataset, const struct qvf_window_options *options,
                struct qvf_windows **ret_windows, struct qvf_error *error)
{
        _cleanup_(qvf_windows_freep) struct qvf_windows *windows = NULL;
        struct cutting cutting = { .options = options };
        int r = check_options(options, error);

        if (r < 0)
                return r;
        windows = cutting.windows = calloc(1, sizeof(*windows));
        if (windows) {
                windows->dataset = dataset;
                windows->context = options->context;
        }
        r = windows ? 0 : -ENOMEM;
        for (uint64_t i = 0; r >= 0 && i < dataset->n_documents; i++)
                r = cut_document(&cutting, i);
        if (r == -E2BIG)
                return qvf_error_set(error, r,
                                "more than %u windows: less overlap or a longer context makes fewer",
                                QVF_DATA_WINDOWS_LIMIT);
        if (r < 0)
                return qvf_error_set(error, r, "no memory for windows of %llu documents",
                                (unsigned long long)dataset->n_documents);
        if (windows->count == 0)
                return qvf_error_set(error, -ENODATA,
                                "there is nothing to learn: of %llu documents with %llu tokens none has a "
                                "token "
                                "that counts%s",
                                (unsigned long long)dataset->n_documents,
                                (unsigned long long)dataset->counts.tokens,
                                windows->counts.counting_tokens_cut ? " within the context" : "");
        *ret_windows = QVF_TAKE(windows);
        return 0;
}

struct qvf_windows *qvf_windows_free(struct qvf_windows *windows)
{
        if (!windows)
                return NULL;
        free(windows->items);
        free(windows);
        return NULL;
}

/* Marks `wanted` of the documents that have windows. */
static int choose(const struct qvf_windows *windows, double fraction, uint64_t seed, uint8_t *chosen,
                struct qvf_error *error)
{
        _cleanup_free_ uint32_t *documents = NULL;
        uint32_t count = 0, wanted;

        documents = calloc((size_t)windows->count, sizeof(*documents));
        if (!documents)
                return qvf_error_set(error, -ENOMEM, "no memory to hold documents out");
        for (uint64_t i = 0; i < windows->count; i++)
                if (i == 0 || windows->items[i].document != windows->items[i - 1].document)
                        documents[count++] = windows->items[i].document;
        if (count < 2)
                return qvf_error_set(error, -ENODATA,
                                "held out: there is only one document, and it is to be trained on");
        wanted = (uint32_t)((double)count * fraction + 0.5);
        wanted = wanted < 1 ? 1 : wanted > count - 1 ? count - 1 : wanted;
        qvf_shuffle(documents, count, seed, QVF_SHUFFLE_HELD_OUT);
        for (uint32_t i = 0; i < wanted; i++)
                chosen[documents[i]] = 1;
        return 0;
}

int qvf_windows_hold_out(struct qvf_windows *windows, double fraction, uint64_t seed,
                struct qvf_windows **ret_held_out, struct qvf_error *error)
{
        _cleanup_(qvf_windows_freep) struct qvf_windows *held = NULL;
        _cleanup_free_ uint8_t *chosen = NULL;
        uint32_t kept = 0;
        int r;

        if (!(fraction > 0 && fraction < 1))
                return qvf_error_set(error, -EINVAL,
                                "held out: a fraction of %g, expected one between 0 and 1", fraction);
        chosen = calloc((size_t)windows->dataset->n_documents, 1);
        held = calloc(1, sizeof(*held));
        if (held)
                held->items = calloc((size_t)windows->count, sizeof(*held->items));
        if (!chosen || !held || !held->items)
                return qvf_error_set(error, -ENOMEM, "no memory to hold documents out");
        r = choose(windows, fraction, seed, chosen, error);
        if (r < 0)
                return r;
        held->dataset = windows->dataset;
        held->context = windows->context;
        for (uint64_t i = 0; i < windows->count; i++) {
                struct qvf_window window = windows->items[i];

                if (!chosen[window.document]) {
                        windows->items[kept++] = window;
                        continue;
                }
                held->items[held->count++] = window;
                held->counts.rows += window.rows;
                held->counts.counting += window.counting;
        }
        windows->count = kept;
        windows->counts.rows -= held->counts.rows;
        windows->counts.counting -= held->counts.counting;
        *ret_held_out = QVF_TAKE(held);
        return 0;
}
