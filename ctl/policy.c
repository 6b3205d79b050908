/* SPDX-License-Identifier: Apache-2.0 */
/* policy explain, check, reload. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "ctl/daemon.h"
#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/send.h"
#include "ctl/terminal.h"
#include "ctl/verbs.h"

struct policy_options {
        struct ctl_common common;
        struct bench_words words;
};

static const struct policy_options defaults = { .common = CTL_COMMON_DEFAULTS };

static const struct bench_option_group explain_groups[] = { { ctl_watch_options, 0 },
        { ctl_common_options, 0 }, { 0 } };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

/* An array of structs as an array of objects with these names. */
static struct json_object *named(const struct qvf_value *list, const char *const *names)
{
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < qvf_value_count(list); i++) {
                const struct qvf_value *item = qvf_value_at(list, i);
                struct json_object *object = json_object_new_object();

                for (size_t j = 0; names[j]; j++)
                        json_object_object_add(object, names[j], ctl_json_value(qvf_value_at(item, j)));
                json_object_array_add(array, object);
        }
        return array;
}

static struct json_object *document_of(const struct qvf_value *reply)
{
        static const char *const verdict[] = { "activity", "allowed", "reason", NULL };
        static const char *const constraint[] = { "activity", "name", "value", "limit", "ok", "reason",
                NULL };
        struct json_object *document = json_object_new_object();

        json_object_object_add(document, "verdicts", named(qvf_value_at(reply, 0), verdict));
        json_object_object_add(document, "constraints", named(qvf_value_at(reply, 1), constraint));
        json_object_object_add(document, "limits", ctl_json_value(qvf_value_at(reply, 2)));
        return document;
}

static int explain(struct ctl *ctl, const void *context, struct json_object **ret_document,
                struct qvf_error *error)
{
        _cleanup_value_ struct qvf_value *reply = NULL;
        struct qvf_failure failure;

        (void)context;
        if (qvf_call(ctl->client, "manager", "", "ExplainPolicy", &reply, &failure, "") < 0)
                return ctl_failed(error, &failure);
        *ret_document = document_of(reply);
        return 0;
}

static const char *text_at(const struct qvf_value *item, size_t place)
{
        return qvf_value_string(qvf_value_at(item, place));
}

static void print_activity(
                const struct ctl *ctl, const struct qvf_value *reply, const struct qvf_value *verdict)
{
        const struct qvf_value *constraints = qvf_value_at(reply, 1);
        _cleanup_free_ char *reason = ctl_printable(text_at(verdict, 2), false);
        bool allowed = qvf_value_boolean(qvf_value_at(verdict, 1));
        _cleanup_table_ struct ctl_table table;

        printf("%s%s%s: %s%s%s\n", ctl_colour(ctl->colour, CTL_BOLD),
                        strncmp(text_at(verdict, 0), "train", 5) == 0 ? "training" : "answers",
                        ctl_colour(ctl->colour, CTL_PLAIN),
                        ctl_colour(ctl->colour, allowed ? CTL_GREEN : CTL_YELLOW),
                        allowed ? "allowed" : "not now", ctl_colour(ctl->colour, CTL_PLAIN));
        if (reason && *reason)
                printf("  %s\n", reason);
        ctl_table_init(&table, "  OK|CONSTRAINT|VALUE|LIMIT|WHY");
        for (size_t i = 0; i < qvf_value_count(constraints); i++) {
                const struct qvf_value *item = qvf_value_at(constraints, i);
                bool ok = qvf_value_boolean(qvf_value_at(item, 4));

                if (strcmp(text_at(item, 0), text_at(verdict, 0)) != 0)
                        continue;
                ctl_table_add(&table, ok ? CTL_GREEN : CTL_YELLOW, "  %s", ok ? "yes" : "no");
                ctl_table_add(&table, CTL_PLAIN, "%s", text_at(item, 1));
                ctl_table_add(&table, CTL_PLAIN, "%s", text_at(item, 2));
                ctl_table_add(&table, CTL_PLAIN, "%s", text_at(item, 3));
                ctl_table_add(&table, CTL_PLAIN, "%s", text_at(item, 5));
        }
        if (table.count > table.columns)
                ctl_table_print(&table, ctl->colour);
}

static int run_explain(const void *given, struct qvf_error *error)
{
        const struct policy_options *options = given;
        _cleanup_value_ struct qvf_value *reply = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        if (options->common.watch)
                return ctl_watch(ctl, "manager", explain, NULL, error);
        if (qvf_call(ctl->client, "manager", "", "ExplainPolicy", &reply, &failure, "") < 0)
                return ctl_failed(error, &failure);
        if (options->common.json) {
                _cleanup_json_ struct json_object *document = document_of(reply);

                ctl_json_print(document, false);
                return 0;
        }
        for (size_t i = 0; i < qvf_value_count(qvf_value_at(reply, 0)); i++)
                print_activity(ctl, reply, qvf_value_at(qvf_value_at(reply, 0), i));
        return 0;
}

/* qvfd itself reads the file, so that there is one judge of what is right. */
static int check_by_daemon(const char *program, const char *path, char **ret_said, int *ret_status,
                struct qvf_error *error)
{
        size_t length;
        int ends[2], r;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return qvf_error_set(error, CTL_FAILED, "no pipe can be made: %s", strerror(errno));
        pid = fork();
        if (pid == 0) {
                dup2(ends[1], STDOUT_FILENO);
                dup2(ends[1], STDERR_FILENO);
                if (path)
                        execl(program, program, "--check-config", "--config", path, (char *)NULL);
                else
                        execl(program, program, "--check-config", (char *)NULL);
                _exit(127);
        }
        close(ends[1]);
        r = ctl_read_all(ends[0], 1 << 20, ret_said, &length, error);
        close(ends[0]);
        if (pid < 0 || waitpid(pid, ret_status, 0) < 0)
                return qvf_error_set(error, CTL_FAILED, "no process can be started");
        return r;
}

static int run_check(const void *given, struct qvf_error *error)
{
        const struct policy_options *options = given;
        const char *path = options->words.count ? options->words.items[0] : NULL;
        _cleanup_free_ char *program = ctl_find_program("qvfd"), *said = NULL;
        int status = 0, r;
        bool good;

        if (!program)
                return qvf_error_set(error, CTL_FAILED,
                                "qvfd, which reads the file, is not installed beside qvfctl");
        if (path && access(path, R_OK) < 0)
                return qvf_error_set(error, errno == ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: %s", path,
                                strerror(errno));
        r = check_by_daemon(program, path, &said, &status, error);
        if (r != 0)
                return r;
        good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (options->common.json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "valid", json_object_new_boolean(good));
                json_object_object_add(document, "messages", json_object_new_string(said));
                ctl_json_print(document, false);
        } else {
                fputs(said, good ? stdout : stderr);
        }
        return good ? 0 : CTL_FAILED;
}

static int run_reload(const void *given, struct qvf_error *error)
{
        const struct policy_options *options = given;
        _cleanup_value_ struct qvf_value *reply = NULL;
        const struct qvf_value *files;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        if (qvf_call(ctl->client, "manager", "", "Reload", &reply, &failure, "") < 0)
                return ctl_failed(error, &failure);
        files = qvf_value_at(reply, 0);
        if (options->common.json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "files", ctl_json_value(files));
                ctl_json_print(document, false);
                return 0;
        }
        if (qvf_value_count(files) == 0)
                puts("no file is there: the defaults are in force");
        for (size_t i = 0; i < qvf_value_count(files); i++)
                printf("in force: %s\n", text_at(files, i));
        return 0;
}

CTL_VERB(ctl_policy_explain, "policy explain", "why training and answers may run now, or not",
                "Prints each constraint of qvfd.yaml with its value, its limit and its verdict.",
                explain_groups, run_explain);
CTL_VERB_TAKING(ctl_policy_check, "policy check", "whether a configuration is right",
                "Reads a configuration (a file, a folder, or the one that qvfd would read) without using "
                "it.",
                groups, "[PATH]", 0, 1, run_check);
CTL_VERB(ctl_policy_reload, "policy reload", "read the configuration again",
                "Has qvfd read its configuration again. A bad one is refused, and the old one stays in "
                "force.",
                groups, run_reload);
