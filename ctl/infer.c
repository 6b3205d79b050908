/* SPDX-License-Identifier: Apache-2.0 */
/* infer: one answer, streamed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/answer.h"
#include "ctl/json.h"
#include "ctl/verbs.h"

/* More than any context of these models, and less than what a message may hold. */
enum { PROMPT_LIMIT = 8 << 20 };

struct infer_options {
        struct ctl_common common;
        struct bench_words words;
        struct ctl_answer_options answer;
        const char *file;
        bool raw;
};

static const struct infer_options defaults = { .common = CTL_COMMON_DEFAULTS,
        .answer = CTL_ANSWER_DEFAULTS };

#define AT(field) offsetof(struct infer_options, field)

static const struct bench_option options_table[] = {
        { "file", 'f', BENCH_STRING, AT(file), "FILE", "read the prompt there; - is standard input", 0, 0 },
        { "raw", 'r', BENCH_FLAG, AT(raw), NULL, "go on from the prompt as it is, without the chat template",
                        0, 0 },
        { 0 },
};

static const struct bench_option_group groups[] = { { options_table, 0 },
        { ctl_answer_specials, AT(answer) }, { ctl_answer_options, AT(answer) }, { ctl_common_options, 0 },
        { 0 } };

static int read_prompt(const struct infer_options *options, char **ret_prompt, struct qvf_error *error)
{
        _cleanup_close_ int fd = -1;
        size_t length;
        int r;

        if (options->words.count > 0 && options->file)
                return qvf_error_set(error, CTL_USAGE, "a prompt and --file: only one of them can be");
        if (options->words.count > 0) {
                *ret_prompt = strdup(options->words.items[0]);
                return *ret_prompt ? 0 : qvf_error_set(error, CTL_FAILED, "not enough memory");
        }
        if (!options->file && isatty(STDIN_FILENO))
                return qvf_error_set(
                                error, CTL_USAGE, "what is the prompt? qvfctl infer \"…\", or qvfctl chat");
        r = ctl_open_input(options->file ? options->file : "-", &fd, error);
        if (r != 0)
                return r;
        lseek(fd, 0, SEEK_SET);
        r = ctl_read_all(fd, PROMPT_LIMIT, ret_prompt, &length, error);
        if (r != 0)
                return r;
        if (strlen(*ret_prompt) != length)
                return qvf_error_set(error, CTL_FAILED, "the prompt has a zero byte: it is no text");
        if (length > 0 && (*ret_prompt)[length - 1] == '\n') /* of the line, not of the question */
                (*ret_prompt)[length - 1] = 0;
        return 0;
}

static void print_result(const struct infer_options *options, const struct ctl_answer *answer)
{
        if (options->common.json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(
                                document, "text", json_object_new_string(qvf_text_string(&answer->text)));
                json_object_object_add(document, "reason", json_object_new_string(answer->reason));
                json_object_object_add(document, "stats", json_object_get(answer->stats));
                ctl_json_print(document, false);
        } else {
                putchar('\n');
                fflush(stdout);
        }
        if (options->answer.stats)
                ctl_answer_print_stats(answer);
}

static int ask(struct ctl *ctl, const struct infer_options *options, const char *prompt,
                const struct qvf_options *sent, struct ctl_answer *answer, struct qvf_error *error)
{
        _cleanup_session_ struct qvf_session *session = NULL;
        const struct qvf_stream stream = ctl_answer_stream(answer);
        struct qvf_failure failure;
        uint32_t request;
        int r;

        if (qvf_session_open(ctl->client, options->answer.model, NULL, &session, &failure) < 0 ||
                        qvf_session_infer(session, prompt, sent, &stream, &request, &failure) < 0)
                return ctl_failed(error, &failure);
        ctl_catch_interrupt(true);
        r = ctl_answer_wait(ctl, session, request, answer, error);
        ctl_catch_interrupt(false);
        if (r != 0 && answer->print && answer->text.length > 0) {
                putchar('\n'); /* what came stays on a line of its own */
                fflush(stdout);
        }
        return r;
}

static int run(const void *given, struct qvf_error *error)
{
        const struct infer_options *options = given;
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        _cleanup_(ctl_answer_exit) struct ctl_answer answer = { .print = !options->common.json };
        _cleanup_free_ char *prompt = NULL;
        struct ctl *ctl = ctl_context();
        int r = read_prompt(options, &prompt, error);

        if (r == 0)
                r = ctl_answer_send(&options->answer, sent, error);
        if (r == 0)
                r = ctl_connect(ctl, &options->common, error);
        if (r != 0)
                return r;
        if (options->raw)
                qvf_options_set_boolean(sent, "chat", false);
        r = ask(ctl, options, prompt, sent, &answer, error);
        if (r == 0)
                print_result(options, &answer);
        return r;
}

CTL_VERB_TAKING(ctl_infer, "infer", "answer one prompt",
                "Answers a prompt: the word, a file, or standard input. Where the model has a chat template "
                "the prompt is\na user's turn. Ctrl-C ends the answer.",
                groups, "[PROMPT]", 0, 1, run);
