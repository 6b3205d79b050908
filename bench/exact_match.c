/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/exact_match.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "common/text.h"
#include "engine/data/chat_tokens.h"
#include "engine/inference/generator.h"

/* Positions of all sequences together: more at once reads the weights less often, and takes memory for caches. */
#define POSITIONS_MOST 4096u
#define SEQUENCES_MOST 8u
/* White space before and behind the answer, and the end. */
#define TOKENS_BEYOND 8u

#define WHITE " \t\r\n\v\f"

struct question {
        struct matching *matching;
        struct qvf_text expected, written;
        bool departed;
};

struct matching {
        struct bench_session *session;
        const struct qvf_dataset *dataset;
        struct qvf_generator *generator;
        struct bench_exact_match result;
        int failure; /* of a callback */
        struct qvf_error *error;
};

struct place { /* of a document's last answer, in tokens; start 0: there is none */
        uint64_t start, end;
};

static struct place find_answer(const uint32_t *tokens, uint64_t count)
{
        struct place place = { .end = count };

        while (place.end > 0 && !(tokens[place.end - 1] & QVF_DATA_COUNTS))
                place.end--;
        place.start = place.end;
        while (place.start > 0 && tokens[place.start - 1] & QVF_DATA_COUNTS)
                place.start--;
        return place;
}

static void strip(const struct qvf_text *text, const char **ret_start, size_t *ret_length)
{
        const char *start = qvf_text_string(text), *end = start + text->length;

        while (start < end && memchr(WHITE, *start, sizeof(WHITE) - 1))
                start++;
        while (end > start && memchr(WHITE, end[-1], sizeof(WHITE) - 1))
                end--;
        *ret_start = start;
        *ret_length = (size_t)(end - start);
}

static bool is_equal(const struct question *question)
{
        const char *expected, *written;
        size_t expected_length, written_length;

        strip(&question->expected, &expected, &expected_length);
        strip(&question->written, &written, &written_length);
        return expected_length == written_length && memcmp(expected, written, written_length) == 0;
}

/* Whether what is written can still become the answer: the rest needs not be waited for. */
static bool may_become_equal(const struct question *question)
{
        const char *expected, *written;
        size_t expected_length, written_length;

        strip(&question->expected, &expected, &expected_length);
        strip(&question->written, &written, &written_length);
        return written_length <= expected_length && memcmp(expected, written, written_length) == 0;
}

static struct question *question_free(struct question *question)
{
        if (!question)
                return NULL;
        qvf_text_exit(&question->expected);
        qvf_text_exit(&question->written);
        free(question);
        return NULL;
}
QVF_DEFINE_CLEANUP(struct question *, question_free)

static void on_token(void *context, struct qvf_request *request, const struct qvf_token_event *event)
{
        struct question *question = context;
        struct matching *matching = question->matching;
        int r = qvf_text_append(&question->written, event->text, event->length);

        if (r < 0)
                matching->failure = r;
        if (question->departed || (r == 0 && may_become_equal(question)))
                return;
        question->departed = true;
        qvf_generator_cancel(matching->generator, request);
}

static void on_finished(void *context, struct qvf_request *request, enum qvf_finish finish,
                const struct qvf_error *error)
{
        struct question *question = context;
        struct matching *matching = question->matching;

        (void)request;
        if (finish == QVF_FINISH_FAILED) {
                matching->failure = error && error->code < 0 ? error->code : -EIO;
                qvf_error_set(matching->error, matching->failure, "%s",
                                error ? error->text : "a question could not be asked");
        }
        matching->result.matched += finish == QVF_FINISH_END && is_equal(question);
        question_free(question);
}

static int ask(struct matching *matching, const uint32_t *tokens, struct place place)
{
        const struct qvf_tokenizer *tokenizer = matching->session->model->tokenizer;
        _cleanup_(question_freep) struct question *question = calloc(1, sizeof(*question));
        _cleanup_free_ int32_t *ids = malloc(place.end * sizeof(*ids));
        const struct qvf_request_callbacks callbacks = { question, on_token, on_finished };
        struct qvf_request_options wanted = {
                .prompt = ids,
                .n_prompt = (uint32_t)place.start,
                .sampling = { .top_p = 1, .typical_p = 1, .repetition_penalty = 1 },
                .adapters = matching->session->choices,
                .n_adapters = matching->session->n_adapters,
        };
        int r;

        if (!question || !ids)
                return -ENOMEM;
        for (uint64_t i = 0; i < place.end; i++)
                ids[i] = QVF_DATA_ID(tokens[i]);
        question->matching = matching;
        r = qvf_tokenizer_decode(tokenizer, ids + place.start, place.end - place.start, 0,
                        &question->expected, matching->error);
        if (r < 0)
                return r;
        /* The same text may be written in other tokens, at worst byte by byte. */
        wanted.max_tokens = (uint32_t)qvf_min_u64(question->expected.length + TOKENS_BEYOND,
                        qvf_context_options(matching->session->context)->context_length - place.start);
        r = qvf_generator_add(matching->generator, &wanted, &callbacks, NULL, matching->error);
        if (r < 0)
                return r;
        QVF_TAKE(question);
        matching->result.asked++;
        return 0;
}

/* Bytes of an answer are tokens at worst; most answers are far shorter. */
static uint64_t positions_of(const struct matching *matching, const uint32_t *tokens, struct place place)
{
        const struct qvf_tokenizer *tokenizer = matching->session->model->tokenizer;
        uint64_t positions = place.start + TOKENS_BEYOND;

        for (uint64_t i = place.start; i < place.end; i++)
                positions += qvf_tokenizer_piece(tokenizer, QVF_DATA_ID(tokens[i])).length;
        return positions;
}

/* Room for the longest question that the model's own context holds. */
static int open_context(struct matching *matching)
{
        const struct qvf_dataset *dataset = matching->dataset;
        uint32_t model_most = matching->session->model->info->context_length;
        struct qvf_context_options options = { 0 };
        uint64_t most = 1;

        for (uint64_t i = 0; i < dataset->n_documents; i++) {
                uint64_t count;
                const uint32_t *tokens = qvf_dataset_document(dataset, i, &count);
                struct place place = find_answer(tokens, count);

                if (place.start > 0 && place.end < model_most)
                        most = qvf_max_u64(most, positions_of(matching, tokens, place));
        }
        options.context_length = (uint32_t)qvf_min_u64(most, model_most);
        options.sequences = SEQUENCES_MOST;
        while (options.sequences > 1 &&
                        (uint64_t)options.sequences * options.context_length > POSITIONS_MOST)
                options.sequences--;
        return qvf_context_new(
                        matching->session->model, &options, &matching->session->context, matching->error);
}

static int ask_all(struct matching *matching)
{
        const struct qvf_dataset *dataset = matching->dataset;
        const struct qvf_context_options *options = qvf_context_options(matching->session->context);
        int waiting = 0;

        for (uint64_t i = 0; i < dataset->n_documents || waiting > 0;) {
                int r = 0;

                /* One more than run at once, so that the next prompt joins the batch that an answer leaves. */
                while (r >= 0 && i < dataset->n_documents && waiting <= (int)options->sequences) {
                        uint64_t count;
                        const uint32_t *tokens = qvf_dataset_document(dataset, i++, &count);
                        struct place place = find_answer(tokens, count);

                        if (place.start == 0) {
                                matching->result.without_answer++;
                                continue;
                        }
                        if (place.end >= options->context_length) {
                                matching->result.too_long++;
                                continue;
                        }
                        r = ask(matching, tokens, place);
                        waiting++;
                }
                if (r >= 0)
                        r = waiting = qvf_generator_step(matching->generator, matching->error);
                if (r >= 0)
                        r = matching->failure;
                if (r < 0)
                        return r;
        }
        return 0;
}

int bench_exact_match_check(const struct qvf_dataset *dataset, struct qvf_error *error)
{
        if (dataset->kind != QVF_DATA_MESSAGES && dataset->kind != QVF_DATA_COMPLETION)
                return qvf_error_set(error, -EINVAL,
                                "exact match needs answers: messages, or prompt and completion; the data is "
                                "%s",
                                qvf_data_kind_name(dataset->kind));
        return 0;
}

int bench_exact_match(struct bench_session *session, const struct qvf_dataset *dataset,
                struct bench_exact_match *ret_result, struct qvf_error *error)
{
        struct matching matching = { .session = session, .dataset = dataset, .error = error };
        int r = bench_exact_match_check(dataset, error);

        if (r == 0)
                r = open_context(&matching);
        if (r == 0)
                r = qvf_generator_new(session->context, &matching.generator);
        if (r == 0)
                r = ask_all(&matching);
        qvf_generator_free(matching.generator);
        if (r < 0)
                return r;
        *ret_result = matching.result;
        return 0;
}
