/* SPDX-License-Identifier: Apache-2.0 */
/* Loss, perplexity, token accuracy and exact match of a model on the answers of a data file. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "bench/exact_match.h"
#include "bench/training.h"
#include "bench/verbs.h"
#include "engine/training/job.h"
#include "engine/training/train_plan.h"

struct eval_options {
        struct bench_model_options model;
        struct bench_data_options data;
        bool exact_match, json;
};

static const struct bench_option options[] = {
        { "exact-match", 0, BENCH_FLAG, offsetof(struct eval_options, exact_match), NULL,
                        "also ask for each document's last answer, and count those that come word by word",
                        0, 0 },
        { "json", 0, BENCH_FLAG, offsetof(struct eval_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

/* Evaluation is training's forward pass, which wants an adapter: the given one, or one that adds nothing. */
static int make_lora(
                const struct bench_session *session, struct qvf_lora **ret_lora, struct qvf_error *error)
{
        struct qvf_lora_options lora = { .alpha = 1 };

        if (session->n_adapters > 1)
                return qvf_error_set(error, BENCH_USAGE, "eval takes one adapter; merge several first");
        if (session->n_adapters == 1)
                return qvf_lora_from_adapter(
                                session->adapters[0], session->choices[0].scale, ret_lora, error);
        lora.rank[QVF_ATTN_Q] = 1; /* B is zero */
        return qvf_lora_new(session->model, &lora, ret_lora, error);
}

/* The loss; all that it takes is gone again when this returns. */
static int score_loss(const struct bench_session *session, const struct qvf_windows *windows,
                struct qvf_train_score *ret_score, struct qvf_error *error)
{
        _cleanup_(qvf_lora_freep) struct qvf_lora *lora = NULL;
        _cleanup_(qvf_trainer_freep) struct qvf_trainer *trainer = NULL;
        _cleanup_(qvf_packing_freep) struct qvf_packing *packing = NULL;
        _cleanup_batch_ struct qvf_batch batch = { 0 };
        const struct qvf_adamw_options adamw = { 0.9f, 0.999f, 1e-8f, 0 };
        const struct qvf_train_wish wish = { .batch_sequences = 1, .context_length = windows->context };
        struct qvf_train_choice choice = { 0 };
        int r = make_lora(session, &lora, error);

        if (r == 0)
                r = qvf_train_plan(session->model, &lora->options, &wish, &choice, error);
        qvf_text_exit(&choice.reason);
        if (r == 0)
                r = qvf_trainer_new(lora, &choice.plan, &adamw, &trainer, error);
        if (r == 0)
                r = qvf_packing_new(windows, &(struct qvf_packing_options){ .file_order = true }, 0,
                                &packing, error);
        if (r == 0)
                r = qvf_batch_init(&batch, choice.plan.rows, error);
        return r != 0 ? r
                      : qvf_train_evaluate(
                                        trainer, packing, choice.micro_sequences, &batch, ret_score, error);
}

static int score_answers(struct bench_session *session, const struct qvf_dataset *dataset,
                struct json_object *report, struct qvf_error *error)
{
        struct bench_exact_match result;
        struct json_object *object;
        int r = bench_exact_match(session, dataset, &result, error);

        if (r < 0)
                return r;
        object = bench_report_object(report, "exact_match");
        bench_report_count(object, "matched", result.matched);
        bench_report_count(object, "asked", result.asked);
        bench_report_count(object, "without_answer", result.without_answer);
        bench_report_count(object, "too_long", result.too_long);
        if (report)
                return 0;
        printf("exact_match %" PRIu64 "/%" PRIu64, result.matched, result.asked);
        if (result.without_answer > 0)
                printf(", %" PRIu64 " documents without an answer", result.without_answer);
        if (result.too_long > 0)
                printf(", %" PRIu64 " too long for the model", result.too_long);
        putchar('\n');
        return 0;
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct eval_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("eval") : NULL;
        _cleanup_session_ struct bench_session session = { 0 };
        _cleanup_data_ struct bench_data data = { 0 };
        struct qvf_train_score score;
        int r;

        if (chosen->exact_match && chosen->data.all_tokens)
                return qvf_error_set(error, BENCH_USAGE,
                                "--exact-match looks at answers and --all-tokens at all text: give one of "
                                "them");
        r = bench_session_open(&session, &chosen->model, error);
        if (r == 0)
                r = bench_data_open(&data, session.model, &chosen->data, NULL, error);
        if (r != 0)
                return r;
        bench_data_describe(&data, chosen->data.file, report);
        if (chosen->exact_match)
                r = bench_exact_match_check(data.dataset, error);
        if (r == 0)
                r = score_loss(&session, data.windows, &score, error);
        if (r != 0)
                return r;
        bench_report_number(report, "loss", score.loss);
        bench_report_number(report, "perplexity", exp(score.loss));
        bench_report_number(report, "token_accuracy", score.accuracy);
        if (!report)
                printf("loss %.5f, perplexity %.4f, token accuracy %.2f %% over %" PRIu64 " tokens\n",
                                score.loss, exp(score.loss), 100 * score.accuracy, score.tokens);
        if (chosen->exact_match)
                r = score_answers(&session, data.dataset, report, error);
        if (r == 0)
                bench_report_print(report);
        return r;
}

const struct bench_verb bench_eval = {
        .name = "eval",
        .summary = "loss, perplexity, token accuracy and exact match on a data file",
        .description = "Computes the loss of a model, with an adapter if given, where a training run would "
                       "look:\n"
                       "on the answers of chats and completions, on all tokens of text.",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_model_option_table, offsetof(struct eval_options, model) },
                                        { bench_data_option_table, offsetof(struct eval_options, data) },
                                        { options, 0 },
                                        { bench_device_option_table,
                                                        offsetof(struct eval_options, model.device) },
                                        { 0 },
                        },
        .defaults = &(const struct eval_options){ .json = false },
        .options_size = sizeof(struct eval_options),
        .run = run,
};
