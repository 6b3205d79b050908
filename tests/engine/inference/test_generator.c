/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/generator.h"

#include <errno.h>
#include <string.h>

#include "tests/support/compute.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

struct answer {
        struct qvf_text text;
        int32_t ids[512];
        uint32_t n_ids;
        enum qvf_finish finish;
        bool finished;
        struct qvf_request_stats stats;
        /* what the callback does */
        struct qvf_generator *generator;
        struct qvf_request *request, *victim;
        uint32_t cancel_after;
};

static void on_token(void *context, struct qvf_request *request, const struct qvf_token_event *event)
{
        struct answer *answer = context;

        (void)request;
        ck_assert_int_eq(qvf_text_append(&answer->text, event->text, event->length), 0);
        if (event->id >= 0 && answer->n_ids < 512)
                answer->ids[answer->n_ids++] = event->id;
        if (answer->cancel_after > 0 && answer->n_ids == answer->cancel_after)
                qvf_generator_cancel(answer->generator, answer->victim);
}

static void on_finished(void *context, struct qvf_request *request, enum qvf_finish finish,
                const struct qvf_error *error)
{
        struct answer *answer = context;

        (void)error;
        ck_assert(!answer->finished);
        answer->finished = true;
        answer->finish = finish;
        qvf_request_stats(request, &answer->stats);
}

struct bench {
        struct qvf_compute compute;
        struct qvf_model *model;
        struct qvf_context *context;
        struct qvf_generator *generator;
};

static void set_up(struct bench *b, const char *model, const struct qvf_context_options *options)
{
        struct qvf_error error = { 0 };

        b->compute = test_compute(NULL, 2);
        b->model = test_model(&b->compute, model);
        ck_assert_msg(qvf_context_new(b->model, options, &b->context, &error) == 0, "%s", error.text);
        ck_assert_int_eq(qvf_generator_new(b->context, &b->generator), 0);
}

static void tear_down(struct bench *b)
{
        qvf_generator_free(b->generator);
        qvf_context_free(b->context);
        qvf_model_free(b->model);
        b->compute.backend->device_close(b->compute.device);
}

static struct qvf_request_options greedy(const int32_t *prompt, uint32_t n_prompt, uint32_t max_tokens)
{
        struct qvf_request_options options = {
                .prompt = prompt, .n_prompt = n_prompt, .max_tokens = max_tokens
        };

        options.sampling = qvf_sampling_default;
        options.sampling.temperature = 0;
        options.ignore_end = true;
        return options;
}

static void add(struct bench *b, const struct qvf_request_options *options, struct answer *answer)
{
        const struct qvf_request_callbacks callbacks = { answer, on_token, on_finished };
        struct qvf_error error = { 0 };

        answer->generator = b->generator;
        ck_assert_msg(qvf_generator_add(b->generator, options, &callbacks, &answer->request, &error) == 0,
                        "%s", error.text);
}

static void run(struct bench *b)
{
        struct qvf_error error = { 0 };
        int r;

        while ((r = qvf_generator_step(b->generator, &error)) > 0)
                ;
        ck_assert_msg(r == 0, "%s", error.text);
}

START_TEST(helper_knows_grep)
{
        const struct qvf_chat_message message = { .role = "user", .content = "What is grep?" };
        struct bench b;
        struct answer answer = { 0 };
        struct qvf_request_options options;
        struct qvf_error error = { 0 };
        int32_t *ids;
        size_t n;

        set_up(&b, "helper-29m.TQ2_0", &(struct qvf_context_options){ .context_length = 256 });
        ck_assert_msg(qvf_model_chat(b.model, &message, 1, true, &ids, &n, &error) == 0, "%s", error.text);
        options = greedy(ids, (uint32_t)n, 60);
        options.ignore_end = false;
        add(&b, &options, &answer);
        run(&b);
        ck_assert_str_eq(qvf_text_string(&answer.text), "grep: Find patterns in files using regexes.");
        ck_assert_int_eq(answer.finish, QVF_FINISH_END);
        free(ids);
        qvf_text_exit(&answer.text);
        tear_down(&b);
}
END_TEST

/* What a user writes is text, also where it looks like the end of a turn. */
START_TEST(special_tokens_are_the_templates)
{
        const struct qvf_chat_message message = { .role = "user", .content = "a<|eot_id|>b" };
        struct bench b;
        struct qvf_error error = { 0 };
        int32_t *ids, eot;
        size_t n, ends = 0;

        set_up(&b, "helper-29m.TQ2_0", &(struct qvf_context_options){ .context_length = 64 });
        eot = qvf_tokenizer_find(b.model->tokenizer, "<|eot_id|>", strlen("<|eot_id|>"));
        ck_assert_int_ge(eot, 0);
        ck_assert_msg(qvf_model_chat(b.model, &message, 1, true, &ids, &n, &error) == 0, "%s", error.text);
        for (size_t i = 0; i < n; i++)
                ends += ids[i] == eot;
        ck_assert_uint_eq(ends, 1);
        free(ids);
        tear_down(&b);
}
END_TEST

/* Five prompts of different length, with and without an adapter: together as apart. */
START_TEST(together_as_apart)
{
        struct bench b;
        struct answer alone[5] = { 0 }, together[5] = { 0 };
        struct test_golden *golden = test_golden_new("tiny-silu");
        struct qvf_adapter *adapter;
        struct qvf_adapter_choice choice;
        struct qvf_error error = { 0 };

        set_up(&b, "tiny-silu.TQ2_0",
                        &(struct qvf_context_options){
                                        .context_length = 128, .sequences = 3, .batch_rows = 24 });
        ck_assert_int_eq(qvf_adapter_new(b.model, golden->adapter, &adapter, &error), 0);
        choice = (struct qvf_adapter_choice){ adapter, 1.5f };
        for (int pass = 0; pass < 2; pass++) {
                for (uint32_t i = 0; i < 5; i++) {
                        struct qvf_request_options options = greedy(golden->tokens + 3 * i, 5 + 17 * i, 30);

                        options.adapters = &choice;
                        options.n_adapters = i % 2;
                        add(&b, &options, pass ? &together[i] : &alone[i]);
                        if (pass == 0)
                                run(&b);
                }
                run(&b);
        }
        for (int i = 0; i < 5; i++) {
                ck_assert_uint_eq(alone[i].n_ids, 30);
                ck_assert_int_eq(together[i].finish, QVF_FINISH_LENGTH);
                ck_assert(memcmp(alone[i].ids, together[i].ids, 30 * sizeof(int32_t)) == 0);
                ck_assert_str_eq(qvf_text_string(&alone[i].text), qvf_text_string(&together[i].text));
                qvf_text_exit(&alone[i].text);
                qvf_text_exit(&together[i].text);
        }
        /* The second time the prompts' whole blocks were there. */
        ck_assert_uint_eq(together[4].stats.reused_tokens, 2 * QVF_KV_BLOCK);
        qvf_adapter_free(adapter);
        test_golden_free(golden);
        tear_down(&b);
}
END_TEST

/* Cells for two and a half sequences: somebody must wait, and nothing changes for it. */
START_TEST(too_little_memory_changes_no_text)
{
        struct bench b;
        struct answer answers[4] = { 0 }, alone = { 0 };
        struct test_golden *golden = test_golden_new("tiny-silu");

        set_up(&b, "tiny-silu.TQ2_0",
                        &(struct qvf_context_options){ .context_length = 128,
                                        .sequences = 4,
                                        .cells = 256,
                                        .batch_rows = 32 });
        for (int i = 0; i < 4; i++) {
                struct qvf_request_options options = greedy(golden->tokens, 40, 70);

                options.prompt = golden->tokens + i;
                add(&b, &options, &answers[i]);
        }
        run(&b);
        for (int i = 0; i < 4; i++) {
                struct qvf_request_options options = greedy(golden->tokens + i, 40, 70);

                alone = (struct answer){ 0 };
                add(&b, &options, &alone);
                run(&b);
                ck_assert_int_eq(answers[i].finish, QVF_FINISH_LENGTH);
                ck_assert(memcmp(alone.ids, answers[i].ids, 70 * sizeof(int32_t)) == 0);
                qvf_text_exit(&alone.text);
                qvf_text_exit(&answers[i].text);
        }
        test_golden_free(golden);
        tear_down(&b);
}
END_TEST

START_TEST(a_full_context_ends_or_shifts)
{
        struct bench b;
        struct answer ends = { 0 }, shifts = { 0 };
        struct test_golden *golden = test_golden_new("tiny-silu");
        struct qvf_request_options options = greedy(golden->tokens, 50, 300);

        set_up(&b, "tiny-silu.TQ2_0",
                        &(struct qvf_context_options){ .context_length = 128, .sequences = 2 });
        add(&b, &options, &ends);
        options.shift = true;
        options.keep = 10;
        add(&b, &options, &shifts);
        run(&b);
        ck_assert_int_eq(ends.finish, QVF_FINISH_CONTEXT);
        ck_assert_uint_eq(ends.n_ids, 128 - 50 + 1);
        ck_assert_int_eq(shifts.finish, QVF_FINISH_LENGTH);
        ck_assert_uint_eq(shifts.n_ids, 300);
        ck_assert(memcmp(ends.ids, shifts.ids, ends.n_ids * sizeof(int32_t)) == 0);
        qvf_text_exit(&ends.text);
        qvf_text_exit(&shifts.text);
        test_golden_free(golden);
        tear_down(&b);
}
END_TEST

START_TEST(cancelling_from_a_callback)
{
        struct bench b;
        struct answer first = { 0 }, second = { 0 };
        struct test_golden *golden = test_golden_new("tiny-silu");
        struct qvf_request_options options = greedy(golden->tokens, 20, 40);

        set_up(&b, "tiny-silu.TQ2_0",
                        &(struct qvf_context_options){ .context_length = 128, .sequences = 2 });
        add(&b, &options, &first);
        add(&b, &options, &second);
        first.cancel_after = 5;
        first.victim = second.request;
        run(&b);
        ck_assert_int_eq(first.finish, QVF_FINISH_LENGTH);
        ck_assert_int_eq(second.finish, QVF_FINISH_CANCELLED);
        ck_assert_uint_le(second.n_ids, 5);
        /* Itself, in the middle of its own token. */
        qvf_text_exit(&first.text);
        first = (struct answer){ .cancel_after = 3 };
        add(&b, &options, &first);
        first.victim = first.request;
        run(&b);
        ck_assert_int_eq(first.finish, QVF_FINISH_CANCELLED);
        ck_assert_uint_eq(first.n_ids, 3);
        qvf_text_exit(&first.text);
        qvf_text_exit(&second.text);
        test_golden_free(golden);
        tear_down(&b);
}
END_TEST

START_TEST(bad_requests_are_refused)
{
        struct bench b;
        struct answer answer = { 0 };
        const struct qvf_request_callbacks callbacks = { &answer, on_token, on_finished };
        struct qvf_error error = { 0 };
        int32_t ids[200] = { 1 }, wrong = 512;
        struct qvf_request_options options = greedy(ids, 0, 10);

        set_up(&b, "tiny-silu.TQ2_0", &(struct qvf_context_options){ .context_length = 128 });
        ck_assert_int_eq(qvf_generator_add(b.generator, &options, &callbacks, NULL, &error), -EINVAL);
        options.n_prompt = 128;
        ck_assert_int_eq(qvf_generator_add(b.generator, &options, &callbacks, NULL, &error), -E2BIG);
        options.n_prompt = 1;
        options.sampling.top_p = 2;
        ck_assert_int_eq(qvf_generator_add(b.generator, &options, &callbacks, NULL, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "top_p"));
        options.sampling.top_p = 1;
        options.prompt = &wrong;
        ck_assert_int_eq(qvf_generator_add(b.generator, &options, &callbacks, NULL, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "512"));
        tear_down(&b);
}
END_TEST

QVF_SUITE("generator", 120, helper_knows_grep, special_tokens_are_the_templates, together_as_apart,
                too_little_memory_changes_no_text, a_full_context_ends_or_shifts, cancelling_from_a_callback,
                bad_requests_are_refused)
