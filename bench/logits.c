/* SPDX-License-Identifier: Apache-2.0 */
/* The raw numbers that a model answers with, to a file or against one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/compare.h"
#include "bench/session.h"
#include "bench/tokens.h"
#include "bench/verbs.h"

struct logits_options {
        struct bench_model_options model;
        struct bench_context_options context;
        struct bench_token_options tokens;
        const char *output, *compare;
        bool last, json;
};

static const struct bench_option options[] = {
        { "output", 'o', BENCH_STRING, offsetof(struct logits_options, output), "FILE",
                        "write rows of float32 there (default: standard output)", 0, 0 },
        { "compare", 0, BENCH_STRING, offsetof(struct logits_options, compare), "FILE",
                        "compare with a file that --output wrote", 0, 0 },
        { "last", 0, BENCH_FLAG, offsetof(struct logits_options, last), NULL,
                        "only the row of the last token", 0, 0 },
        { "json", 0, BENCH_FLAG, offsetof(struct logits_options, json), NULL, "print the comparison as JSON",
                        0, 0 },
        { 0 },
};

struct sink {
        FILE *output, *other; /* either may be NULL */
        const char *other_name;
        uint32_t n_vocab;
        float *other_row;
        struct bench_comparison comparison;
};

static int take_row(void *sink_, uint32_t row, const float *logits, struct qvf_error *error)
{
        struct sink *sink = sink_;

        if (sink->output && fwrite(logits, sizeof(*logits), sink->n_vocab, sink->output) != sink->n_vocab)
                return qvf_error_set(error, -EIO, "can't write the logits: %s", strerror(errno));
        if (!sink->other)
                return 0;
        if (fread(sink->other_row, sizeof(*logits), sink->n_vocab, sink->other) != sink->n_vocab)
                return qvf_error_set(error, -EINVAL,
                                "%s ends at row %u: expected rows of %u float32 numbers", sink->other_name,
                                row, sink->n_vocab);
        return bench_compare(&sink->comparison, logits, sink->other_row, sink->n_vocab);
}

static int produce(struct bench_session *session, const struct logits_options *chosen,
                const struct bench_tokens *tokens, struct sink *sink, struct qvf_error *error)
{
        uint32_t sequence;
        int r;

        r = bench_session_open_context(
                        session, &chosen->context, tokens->count, chosen->last ? 1 : 0, error);
        if (r != 0)
                return r;
        r = bench_session_sequence(session, &sequence, error);
        if (r < 0)
                return r;
        if (!chosen->last)
                return bench_session_run_all(
                                session, sequence, tokens->ids, tokens->count, take_row, sink, error);
        r = bench_session_run(session, sequence, tokens->ids, tokens->count, error);
        return r < 0 ? r : take_row(sink, 0, qvf_context_logits(session->context, 0), error);
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct logits_options *chosen = options_;
        _cleanup_session_ struct bench_session session = { 0 };
        _cleanup_tokens_ struct bench_tokens tokens = { 0 };
        _cleanup_fclose_ FILE *output = NULL, *other = NULL;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("logits") : NULL;
        _cleanup_free_ float *other_row = NULL;
        struct sink sink = { 0 };
        int r;

        if (!chosen->output && !chosen->compare && isatty(STDOUT_FILENO))
                return qvf_error_set(error, BENCH_USAGE,
                                "raw numbers are no use on a terminal: give --output FILE");
        r = bench_session_open(&session, &chosen->model, error);
        if (r == 0)
                r = bench_tokens_read(&chosen->tokens, session.model->tokenizer,
                                session.model->info->vocabulary_size, &tokens, error);
        if (r != 0)
                return r;
        sink.n_vocab = session.model->info->vocabulary_size;
        if (chosen->compare) {
                other = fopen(chosen->compare, "re");
                other_row = calloc(sink.n_vocab, sizeof(*other_row));
                if (!other)
                        return qvf_error_set(error, -errno, "%s: %s", chosen->compare, strerror(errno));
                if (!other_row)
                        return -ENOMEM;
        }
        if (chosen->output) {
                output = fopen(chosen->output, "we");
                if (!output)
                        return qvf_error_set(error, -errno, "%s: %s", chosen->output, strerror(errno));
        }
        sink.output = output ? output : chosen->compare ? NULL : stdout;
        sink.other = other;
        sink.other_name = chosen->compare;
        sink.other_row = other_row;
        r = produce(&session, chosen, &tokens, &sink, error);
        if (r == 0 && output && fflush(output) != 0)
                r = qvf_error_set(error, -EIO, "%s: %s", chosen->output, strerror(errno));
        if (r == 0 && other) {
                bench_session_describe(&session, report);
                bench_comparison_report(&sink.comparison, report);
                bench_report_print(report);
        }
        bench_comparison_exit(&sink.comparison);
        return r;
}

const struct bench_verb bench_logits = {
        .name = "logits",
        .summary = "raw logits of given tokens, written to a file or compared with one",
        .description = "Runs the tokens and writes one row of float32 logits for each, in this machine's "
                       "byte order.",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_model_option_table, offsetof(struct logits_options, model) },
                                        { bench_token_option_table,
                                                        offsetof(struct logits_options, tokens) },
                                        { options, 0 },
                                        { bench_context_option_table,
                                                        offsetof(struct logits_options, context) },
                                        { bench_device_option_table,
                                                        offsetof(struct logits_options, model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct logits_options){ .last = false },
        .options_size = sizeof(struct logits_options),
        .run = run,
};
