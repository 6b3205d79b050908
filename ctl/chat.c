/* SPDX-License-Identifier: Apache-2.0 */
/* chat: turns, one after the other. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/answer.h"
#include "ctl/json.h"
#include "ctl/line_editor.h"
#include "ctl/terminal.h"
#include "ctl/verbs.h"

enum { TURNS_MOST = 1024 };

struct chat_options {
        struct ctl_common common;
        struct ctl_answer_options answer;
};

static const struct chat_options defaults = { .common = CTL_COMMON_DEFAULTS, .answer = CTL_ANSWER_DEFAULTS };

#define AT(field) offsetof(struct chat_options, field)

static const struct bench_option_group groups[] = { { ctl_answer_specials, AT(answer) },
        { ctl_answer_options, AT(answer) }, { ctl_common_options, 0 }, { 0 } };

struct chat {
        struct ctl *ctl;
        const struct chat_options *chosen;
        struct qvf_session *session;
        struct qvf_options *defaults; /* of the session */
        struct qvf_message
                        turns[TURNS_MOST + 1]; /* the first one is the system's; texts are this struct's */
        size_t count;                          /* of those behind it */
        bool stats, ended;
        struct qvf_error *error;
};

static void forget(struct chat *chat, size_t to)
{
        while (chat->count > to)
                free((char *)chat->turns[chat->count--].text);
}

static void set_system(struct chat *chat, const char *text)
{
        free((char *)chat->turns[0].text);
        chat->turns[0] = (struct qvf_message){ "system", text && *text ? strdup(text) : NULL };
}

static int add_turn(struct chat *chat, const char *role, const char *text)
{
        char *copy;

        if (chat->count == TURNS_MOST) {
                fprintf(stderr, "%u turns are as many as there can be: /clear begins anew\n",
                                (unsigned)TURNS_MOST);
                return -ENOSPC;
        }
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        chat->turns[++chat->count] = (struct qvf_message){ role, copy };
        return 0;
}

static void print_answer(const struct chat *chat, const struct ctl_answer *answer)
{
        if (chat->chosen->common.json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "role", json_object_new_string("assistant"));
                json_object_object_add(
                                document, "text", json_object_new_string(qvf_text_string(&answer->text)));
                json_object_object_add(document, "reason", json_object_new_string(answer->reason));
                json_object_object_add(document, "stats", json_object_get(answer->stats));
                ctl_json_print(document, true);
        } else {
                printf("%s\n", strcmp(answer->reason, "cancelled") == 0 ? " …" : "");
        }
        if (chat->stats)
                ctl_answer_print_stats(answer);
}

/* Asks with the turns so far; what comes becomes a turn, also when it was cut short by Ctrl-C. */
static int answer_turns(struct chat *chat)
{
        _cleanup_(ctl_answer_exit) struct ctl_answer answer = { .print = !chat->chosen->common.json };
        const struct qvf_stream stream = ctl_answer_stream(&answer);
        struct qvf_failure failure;
        bool system = chat->turns[0].text != NULL;
        uint32_t request;
        int r;

        if (qvf_session_chat(chat->session, chat->turns + !system, chat->count + system, NULL, &stream,
                            &request, &failure) < 0)
                return ctl_failed(chat->error, &failure);
        ctl_catch_interrupt(true);
        r = ctl_answer_wait(chat->ctl, chat->session, request, &answer, chat->error);
        ctl_catch_interrupt(false);
        if (r != 0)
                return r;
        print_answer(chat, &answer);
        add_turn(chat, "assistant", qvf_text_string(&answer.text));
        return 0;
}

/* What is refused is not sent again. */
static int send_defaults(struct chat *chat, const char *key)
{
        struct qvf_failure failure;

        if (qvf_session_set_options(chat->session, chat->defaults, &failure) == 0)
                return 0;
        qvf_options_unset(chat->defaults, key);
        fprintf(stderr, "%s\n", failure.message);
        return 0;
}

static int do_help(struct chat *chat, const char *argument);

static int do_clear(struct chat *chat, const char *argument)
{
        (void)argument;
        forget(chat, 0);
        fprintf(stderr, "begun anew\n");
        return 0;
}

static int do_quit(struct chat *chat, const char *argument)
{
        (void)argument;
        chat->ended = true;
        return 0;
}

static int do_retry(struct chat *chat, const char *argument)
{
        (void)argument;
        if (chat->count == 0) {
                fprintf(stderr, "there is nothing to answer yet\n");
                return 0;
        }
        if (strcmp(chat->turns[chat->count].role, "assistant") == 0)
                forget(chat, chat->count - 1);
        return answer_turns(chat);
}

static int do_undo(struct chat *chat, const char *argument)
{
        (void)argument;
        forget(chat, chat->count >= 2 ? chat->count - 2 : 0);
        fprintf(stderr, "the last question and its answer are forgotten\n");
        return 0;
}

static int do_system(struct chat *chat, const char *argument)
{
        set_system(chat, argument);
        return 0;
}

static int do_adapter(struct chat *chat, const char *argument)
{
        const struct bench_strings adapters = { { argument }, *argument ? 1 : 0 };
        struct qvf_error error;

        if (!*argument)
                qvf_options_set_weights(chat->defaults, "adapters", NULL, 0);
        if (ctl_send_adapters(&adapters, chat->defaults, &error) != 0) {
                fprintf(stderr, "%s\n", error.text);
                return 0;
        }
        return send_defaults(chat, "adapters");
}

static int do_set(struct chat *chat, const char *argument)
{
        const char *space = strchr(argument, ' ');
        char key[40], *end;
        double number;

        if (!space || (size_t)(space - argument) >= sizeof(key)) {
                fprintf(stderr, "/set KEY NUMBER: temperature, max_tokens, top_p, and so on\n");
                return 0;
        }
        snprintf(key, sizeof(key), "%.*s", (int)(space - argument), argument);
        number = strtod(space + 1, &end);
        if (end == space + 1 || *end) {
                fprintf(stderr, "%s is no number\n", space + 1);
                return 0;
        }
        if (number == (double)(int64_t)number)
                qvf_options_set_integer(chat->defaults, key, (int64_t)number);
        else
                qvf_options_set_number(chat->defaults, key, number);
        return send_defaults(chat, key);
}

static int do_stats(struct chat *chat, const char *argument)
{
        (void)argument;
        chat->stats = !chat->stats;
        fprintf(stderr, "counts and speeds are %s\n", chat->stats ? "shown" : "not shown");
        return 0;
}

/* As training data: a line of JSONL with "messages". */
static int do_save(struct chat *chat, const char *argument)
{
        _cleanup_json_ struct json_object *document = json_object_new_object();
        struct json_object *messages = json_object_new_array();
        struct qvf_error error;
        const char *text;
        FILE *file;

        for (size_t i = chat->turns[0].text ? 0 : 1; i <= chat->count; i++) {
                struct json_object *message = json_object_new_object();

                json_object_object_add(message, "role", json_object_new_string(chat->turns[i].role));
                json_object_object_add(message, "content", json_object_new_string(chat->turns[i].text));
                json_object_array_add(messages, message);
        }
        json_object_object_add(document, "messages", messages);
        text = json_object_to_json_string_ext(document, JSON_C_TO_STRING_NOSLASHESCAPE);
        file = *argument ? fopen(argument, "ae") : NULL;
        if (!file || fprintf(file, "%s\n", text) < 0)
                qvf_error_set(&error, 0, "/save FILE: %s", *argument ? strerror(errno) : "which file?");
        else
                qvf_error_set(&error, 0, "added to %s, as qvfctl train takes it", argument);
        if (file)
                fclose(file);
        fprintf(stderr, "%s\n", error.text);
        return 0;
}

static const struct command {
        const char *name, *argument, *help;
        int (*run)(struct chat *chat, const char *argument);
} commands[] = {
        { "/adapter", "NAME[:SCALE]", "answer with an adapter; without a name: with none", do_adapter },
        { "/clear", "", "forget all turns", do_clear },
        { "/help", "", "this list", do_help },
        { "/quit", "", "end; Ctrl-D does the same", do_quit },
        { "/retry", "", "answer the last question again", do_retry },
        { "/save", "FILE", "add the turns to a file of training data", do_save },
        { "/set", "KEY NUMBER", "an option of answers: /set temperature 0.7", do_set },
        { "/stats", "", "counts and speeds after each answer, or not", do_stats },
        { "/system", "TEXT", "another system turn", do_system },
        { "/undo", "", "forget the last question and its answer", do_undo },
};

static int do_help(struct chat *chat, const char *argument)
{
        (void)chat;
        (void)argument;
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
                fprintf(stderr, "  %-9s %-13s %s\n", commands[i].name, commands[i].argument,
                                commands[i].help);
        fprintf(stderr, "Ctrl-C stops an answer. A line that begins with // is sent with one /.\n");
        return 0;
}

static int run_command(struct chat *chat, const char *line)
{
        size_t length = strcspn(line, " ");
        const char *argument = line + length + strspn(line + length, " "), *nearest = NULL;
        unsigned least = 4;
        char word[32];

        snprintf(word, sizeof(word), "%.*s", (int)length, line);
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
                unsigned distance = bench_distance(word, commands[i].name);

                if (distance == 0)
                        return commands[i].run(chat, argument);
                if (distance < least) {
                        least = distance;
                        nearest = commands[i].name;
                }
        }
        if (nearest)
                fprintf(stderr, "there is no %s; did you mean %s?\n", word, nearest);
        else
                fprintf(stderr, "there is no %s; /help lists what there is\n", word);
        return 0;
}

static int take_line(struct chat *chat, const char *line)
{
        size_t count = chat->count;
        int r;

        if (line[strspn(line, " \t")] == 0)
                return 0;
        if (line[0] == '/' && line[1] != '/')
                return run_command(chat, line);
        if (add_turn(chat, "user", line[0] == '/' ? line + 1 : line) < 0)
                return 0;
        r = answer_turns(chat);
        /* A refused question is not part of the talk, and the talk goes on while there is somebody to talk to. */
        if (r != 0 && r != CTL_NOT_RUNNING) {
                forget(chat, count);
                fprintf(stderr, "%s\n", chat->error->text);
                chat->error->text[0] = 0;
                return 0;
        }
        return r;
}

/* $XDG_STATE_HOME/qvf/chat-history: what was typed, readable by its owner alone. */
static void history_path(char path[PATH_MAX])
{
        const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

        if (state && *state == '/')
                snprintf(path, PATH_MAX, "%s/qvf", state);
        else
                snprintf(path, PATH_MAX, "%s/.local/state/qvf", home ? home : "");
        mkdir(path, 0700);
        strncat(path, "/chat-history", PATH_MAX - strlen(path) - 1);
}

static int talk(struct chat *chat)
{
        struct ctl_line_editor editor;
        char path[PATH_MAX];
        int r = 0;

        ctl_line_editor_init(&editor);
        history_path(path);
        if (editor.terminal) {
                ctl_line_editor_load(&editor, path);
                fprintf(stderr, "Ctrl-D ends, Ctrl-C stops an answer, /help lists commands.\n");
        }
        while (r == 0 && !chat->ended) {
                _cleanup_free_ char *line = NULL;
                int got = ctl_line_editor_read(&editor, "> ", &line);

                if (got == 0)
                        break;
                if (got < 0)
                        continue; /* Ctrl-C clears the line */
                ctl_line_editor_remember(&editor, line);
                r = take_line(chat, line);
        }
        if (editor.terminal)
                ctl_line_editor_save(&editor, path);
        ctl_line_editor_exit(&editor);
        return r;
}

static int run(const void *given, struct qvf_error *error)
{
        const struct chat_options *options = given;
        struct ctl_answer_options answer = options->answer;
        _cleanup_options_ struct qvf_options *sent = qvf_options_new();
        _cleanup_free_ struct chat *chat = calloc(1, sizeof(*chat));
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r;

        answer.system = NULL; /* a turn of its own here */
        r = ctl_answer_send(&answer, sent, error);
        if (!chat)
                return qvf_error_set(error, CTL_FAILED, "not enough memory");
        if (r == 0)
                r = ctl_connect(ctl, &options->common, error);
        if (r != 0)
                return r;
        *chat = (struct chat){
                .ctl = ctl, .chosen = options, .stats = answer.stats, .defaults = sent, .error = error
        };
        set_system(chat, options->answer.system);
        if (qvf_session_open(ctl->client, options->answer.model, sent, &chat->session, &failure) < 0)
                return ctl_failed(error, &failure);
        r = talk(chat);
        qvf_session_free(chat->session);
        forget(chat, 0);
        set_system(chat, NULL);
        return r;
}

CTL_VERB(ctl_chat, "chat", "talk with a model",
                "A talk in turns. /help lists the commands. Ctrl-C stops an answer, Ctrl-D ends the talk. "
                "Without a terminal,\neach line of standard input is a turn.",
                groups, run);
