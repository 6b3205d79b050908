/* SPDX-License-Identifier: Apache-2.0 */
/* Loss, perplexity and token accuracy of a model on the answers of a data file. */
#include <math.h>
#include <stdio.h>

#include "bench/training.h"
#include "bench/verbs.h"
#include "engine/training/job.h"
#include "engine/training/train_plan.h"

struct eval_options {
        struct bench_model_options model;
        struct bench_data_options data;
        bool json;
};

static const struct bench_option options[] = {
        { "json", 0, BENCH_FLAG, offsetof(struct eval_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

/* Evaluation is training's forward pass, which wants an adapter: the given one, or one that adds nothing. */
static int make_lora(const struct bench_session *session, const struct bench_model_options *model,
                struct qvf_lora **ret_lora, struct qvf_error *error)
{
        struct qvf_lora_options lora = { .alpha = 1 };

        if (session->n_adapters > 1)
                return qvf_error_set(error, BENCH_USAGE, "eval takes one adapter; merge several first");
        if (session->n_adapters == 1)
                return qvf_lora_from_adapter(
                                session->adapters[0], session->choices[0].scale, ret_lora, error);
        (void)model;
        lora.rank[QVF_ATTN_Q] = 1; /* B is zero */
        return qvf_lora_new(session->model, &lora, ret_lora, error);
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct eval_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("eval") : NULL;
        _cleanup_session_ struct bench_session session = { 0 };
        _cleanup_data_ struct bench_data data = { 0 };
        _cleanup_(qvf_lora_freep) struct qvf_lora *lora = NULL;
        _cleanup_(qvf_trainer_freep) struct qvf_trainer *trainer = NULL;
        _cleanup_(qvf_packing_freep) struct qvf_packing *packing = NULL;
        _cleanup_batch_ struct qvf_batch batch = { 0 };
        const struct qvf_adamw_options adamw = { 0.9f, 0.999f, 1e-8f, 0 };
        struct qvf_train_choice choice = { 0 };
        struct qvf_train_wish wish = { .batch_sequences = 1 };
        struct qvf_train_score score;
        int r = bench_session_open(&session, &chosen->model, error);

        if (r == 0)
                r = make_lora(&session, &chosen->model, &lora, error);
        if (r == 0)
                r = bench_data_open(&data, session.model, &chosen->data, NULL, error);
        if (r != 0)
                return r;
        bench_data_describe(&data, chosen->data.file, report);
        wish.context_length = data.windows->context;
        r = qvf_train_plan(session.model, &lora->options, &wish, &choice, error);
        qvf_text_exit(&choice.reason);
        if (r == 0)
                r = qvf_trainer_new(lora, &choice.plan, &adamw, &trainer, error);
        if (r == 0)
                r = qvf_packing_new(data.windows, &(struct qvf_packing_options){ .file_order = true }, 0,
                                &packing, error);
        if (r == 0)
                r = qvf_batch_init(&batch, choice.plan.rows, error);
        if (r == 0)
                r = qvf_train_evaluate(trainer, packing, choice.micro_sequences, &batch, &score, error);
        if (r < 0)
                return r;
        bench_report_number(report, "loss", score.loss);
        bench_report_number(report, "perplexity", exp(score.loss));
        bench_report_number(report, "token_accuracy", score.accuracy);
        if (!report)
                printf("loss %.5f, perplexity %.4f, token accuracy %.2f %% over %llu tokens\n", score.loss,
                                exp(score.loss), 100 * score.accuracy, (unsigned long long)score.tokens);
        bench_report_print(report);
        return 0;
}

const struct bench_verb bench_eval = {
        .name = "eval",
        .summary = "loss, perplexity and token accuracy on a data file",
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
