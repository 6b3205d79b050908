/* SPDX-License-Identifier: Apache-2.0 */
/* How well a model foretells a text; and how far that is from what another backend says. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/compare.h"
#include "bench/session.h"
#include "bench/tokens.h"
#include "bench/verbs.h"
#include "engine/sampling/candidates.h"

struct perplexity_options {
        struct bench_model_options model;
        struct bench_context_options context;
        struct bench_token_options tokens;
        uint32_t skip, most;
        const char *save, *kl;
        bool json;
};

static const struct bench_option options[] = {
        { "skip", 0, BENCH_COUNT, offsetof(struct perplexity_options, skip), "N",
                        "tokens at the start of each window that are not scored (default: 1)", 1, 1 << 20 },
        { "most", 'n', BENCH_COUNT, offsetof(struct perplexity_options, most), "N",
                        "stop after so many scored tokens", 1, UINT32_MAX },
        { "save-logits", 0, BENCH_STRING, offsetof(struct perplexity_options, save), "FILE",
                        "write the logits of scored tokens there, as float32", 0, 0 },
        { "kl", 0, BENCH_STRING, offsetof(struct perplexity_options, kl), "FILE",
                        "compare with logits that another backend saved", 0, 0 },
        { "json", 0, BENCH_FLAG, offsetof(struct perplexity_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

struct scorer {
        const struct perplexity_options *options;
        FILE *save, *other;
        uint32_t n_vocab;
        float *other_row;
        struct bench_comparison comparison;

        const int32_t *window; /* the tokens of the present one */
        uint32_t window_length;
        uint32_t scored, right;
        double sum, squares; /* of -log probabilities */
};

static bool is_done(const struct scorer *scorer)
{
        return scorer->options->most && scorer->scored >= scorer->options->most;
}

/* The logits of row r foretell token r + 1. */
static int score_row(void *scorer_, uint32_t row, const float *logits, struct qvf_error *error)
{
        struct scorer *scorer = scorer_;
        double loss;
        int32_t best = -1, target;

        if (row + 1 < scorer->options->skip || row + 1 >= scorer->window_length || is_done(scorer))
                return 0;
        target = scorer->window[row + 1];
        loss = qvf_logits_log_sum(logits, scorer->n_vocab) - (double)logits[target];
        qvf_logits_best(logits, scorer->n_vocab, &best);
        scorer->right += best == target;
        scorer->sum += loss;
        scorer->squares += loss * loss;
        scorer->scored++;
        if (scorer->save &&
                        fwrite(logits, sizeof(*logits), scorer->n_vocab, scorer->save) != scorer->n_vocab)
                return qvf_error_set(error, -EIO, "%s: %s", scorer->options->save, strerror(errno));
        if (!scorer->other)
                return 0;
        if (fread(scorer->other_row, sizeof(*logits), scorer->n_vocab, scorer->other) != scorer->n_vocab)
                return qvf_error_set(error, -EINVAL,
                                "%s ends at row %u: expected rows of %u float32 numbers",
                                scorer->options->kl, scorer->scored - 1, scorer->n_vocab);
        return bench_compare(&scorer->comparison, logits, scorer->other_row, scorer->n_vocab);
}

static int score_document(struct bench_session *session, struct scorer *scorer,
                const struct bench_tokens *tokens, struct qvf_error *error)
{
        uint32_t window = qvf_context_options(session->context)->context_length;

        for (uint32_t at = 0; at < tokens->count && !is_done(scorer); at += window) {
                uint32_t sequence;
                int r;

                scorer->window = tokens->ids + at;
                scorer->window_length = tokens->count - at < window ? tokens->count - at : window;
                r = bench_session_sequence(session, &sequence, error);
                if (r < 0)
                        return r;
                r = bench_session_run_all(session, sequence, scorer->window, scorer->window_length,
                                score_row, scorer, error);
                qvf_context_close(session->context, sequence);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void report_scores(const struct scorer *scorer, const struct bench_documents *documents,
                struct json_object *report)
{
        double n = scorer->scored;
        double mean = scorer->sum / n;
        double deviation = n > 1 ? sqrt(fmax(0, scorer->squares / n - mean * mean) / (n - 1)) : 0;

        bench_report_count(report, "documents", documents->count);
        bench_report_count(report, "scored_tokens", scorer->scored);
        bench_report_number(report, "mean_loss", mean);
        bench_report_number(report, "perplexity", exp(mean));
        bench_report_number(report, "perplexity_error", exp(mean) * deviation);
        bench_report_number(report, "top_1_right", scorer->right / n);
        if (report)
                return;
        printf("scored tokens       %u in %u documents\n", scorer->scored, documents->count);
        printf("perplexity          %.4f ± %.4f (mean loss %.5f)\n", exp(mean), exp(mean) * deviation, mean);
        printf("top token right     %.2f %%\n", 100 * scorer->right / n);
}

static int open_files(const struct perplexity_options *chosen, FILE **ret_save, FILE **ret_other,
                struct qvf_error *error)
{
        if (chosen->save && !(*ret_save = fopen(chosen->save, "we")))
                return qvf_error_set(error, -errno, "%s: %s", chosen->save, strerror(errno));
        if (chosen->kl && !(*ret_other = fopen(chosen->kl, "re")))
                return qvf_error_set(error, -errno, "%s: %s", chosen->kl, strerror(errno));
        return 0;
}

static int score_all(struct bench_session *session, struct scorer *scorer,
                const struct bench_documents *documents, struct json_object *report, struct qvf_error *error)
{
        int r = 0;

        for (uint32_t i = 0; i < documents->count && r == 0; i++)
                r = score_document(session, scorer, &documents->items[i], error);
        if (r == 0 && scorer->save && fflush(scorer->save) != 0)
                r = qvf_error_set(error, -EIO, "%s: %s", scorer->options->save, strerror(errno));
        if (r == 0 && scorer->scored == 0)
                r = qvf_error_set(error, -EINVAL, "no token was scored: the text is too short");
        if (r < 0)
                return r;
        bench_session_describe(session, report);
        report_scores(scorer, documents, report);
        if (scorer->other)
                bench_comparison_report(&scorer->comparison, report);
        bench_report_print(report);
        return 0;
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct perplexity_options *chosen = options_;
        _cleanup_session_ struct bench_session session = { 0 };
        _cleanup_documents_ struct bench_documents documents = { 0 };
        _cleanup_fclose_ FILE *save = NULL, *other = NULL;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("perplexity") : NULL;
        _cleanup_free_ float *other_row = NULL;
        struct bench_context_options context = chosen->context;
        struct scorer scorer = { .options = chosen };
        int r;

        r = bench_session_open(&session, &chosen->model, error);
        if (r == 0)
                r = bench_documents_read(&chosen->tokens, session.model->tokenizer,
                                session.model->info->vocabulary_size, &documents, error);
        if (r == 0)
                r = open_files(chosen, &save, &other, error);
        if (r != 0)
                return r;
        if (!context.context)
                context.context = 512;
        r = bench_session_open_context(&session, &context, 2, 0, error);
        if (r != 0)
                return r;
        scorer.n_vocab = session.model->info->vocabulary_size;
        other_row = calloc(scorer.n_vocab, sizeof(*other_row));
        if (!other_row)
                return -ENOMEM;
        scorer.save = save;
        scorer.other = other;
        scorer.other_row = other_row;
        r = score_all(&session, &scorer, &documents, report, error);
        bench_comparison_exit(&scorer.comparison);
        return r;
}

const struct bench_verb bench_perplexity = {
        .name = "perplexity",
        .summary = "how well a model foretells a text, and KL divergence between backends",
        .description = "Cuts each document into windows of --context (512) tokens that do not overlap, and "
                       "scores every\n"
                       "token but the first --skip ones of a window.",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_model_option_table,
                                                        offsetof(struct perplexity_options, model) },
                                        { bench_token_option_table,
                                                        offsetof(struct perplexity_options, tokens) },
                                        { options, 0 },
                                        { bench_context_option_table,
                                                        offsetof(struct perplexity_options, context) },
                                        { bench_device_option_table,
                                                        offsetof(struct perplexity_options, model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct perplexity_options){ .skip = 1 },
        .options_size = sizeof(struct perplexity_options),
        .run = run,
};
