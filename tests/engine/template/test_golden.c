/* SPDX-License-Identifier: Apache-2.0 */
/* Against jinja2's own output: tests/data/templates/golden.json, made by make_golden.py beside it. */
#include <check.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/template/chat_template.h"

#define GOLDEN "tests/data/templates/golden.json"
#define MESSAGES_MAX 16

/* strftime_now of make_golden.py */
#define NOW 1753000000

struct chat {
        struct qvf_chat_context context;
        struct qvf_chat_message messages[MESSAGES_MAX];
        json_object *extras[MESSAGES_MAX];
        json_object *variables;
};

static const char *plain(json_object *object)
{
        return json_object_to_json_string_ext(
                        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static const char *string_member(json_object *object, const char *name)
{
        json_object *member = json_object_object_get(object, name);

        return member ? json_object_get_string(member) : NULL;
}

static void fill(struct chat *chat, json_object *json)
{
        json_object *messages = json_object_object_get(json, "messages");
        json_object *tools = json_object_object_get(json, "tools");

        *chat = (struct chat){ .variables = json_object_new_object() };
        ck_assert_uint_le(json_object_array_length(messages), MESSAGES_MAX);
        for (size_t i = 0; i < json_object_array_length(messages); i++) {
                json_object *message = json_object_array_get_idx(messages, i);

                chat->messages[i].role = string_member(message, "role");
                chat->messages[i].content = string_member(message, "content");
                chat->extras[i] = json_object_new_object();
                json_object_object_foreach(message, key, value)
                {
                        if (strcmp(key, "role") != 0 && strcmp(key, "content") != 0)
                                json_object_object_add(chat->extras[i], key, json_object_get(value));
                }
                if (json_object_object_length(chat->extras[i]) > 0)
                        chat->messages[i].extra = plain(chat->extras[i]);
                chat->context.n_messages++;
        }
        json_object_object_foreach(json, key, value)
        {
                if (strcmp(key, "messages") != 0 && strcmp(key, "tools") != 0 && !strstr(key, "_token"))
                        json_object_object_add(chat->variables, key, json_object_get(value));
        }
        chat->context.messages = chat->messages;
        chat->context.bos_token = string_member(json, "bos_token");
        chat->context.eos_token = string_member(json, "eos_token");
        chat->context.unk_token = string_member(json, "unk_token");
        chat->context.pad_token = string_member(json, "pad_token");
        chat->context.tools = tools ? plain(tools) : NULL;
        chat->context.variables = plain(chat->variables);
        chat->context.add_generation_prompt =
                        json_object_get_boolean(json_object_object_get(json, "add_generation_prompt"));
        chat->context.now = NOW;
}

static void empty(struct chat *chat)
{
        for (size_t i = 0; i < chat->context.n_messages; i++)
                json_object_put(chat->extras[i]);
        json_object_put(chat->variables);
}

/* Prints what differs; an error is one where jinja2 has one too, whatever it is called. */
static bool agrees(json_object *contexts, json_object *one)
{
        _cleanup_(qvf_chat_template_freep) struct qvf_chat_template *chat_template = NULL;
        _cleanup_text_ struct qvf_text out = { 0 };
        json_object *source = json_object_object_get(one, "template");
        json_object *output = json_object_object_get(one, "output");
        struct qvf_error error = { 0 };
        struct chat chat;
        bool same;
        int r;

        fill(&chat, json_object_object_get(contexts, string_member(one, "context")));
        r = qvf_chat_template_new(json_object_get_string(source), (size_t)json_object_get_string_len(source),
                        &chat_template, &error);
        if (r >= 0)
                r = qvf_chat_template_render(chat_template, &chat.context, &out, &error);
        if (r < 0)
                same = !output && error.code == r && error.text[0];
        else
                same = output && (size_t)json_object_get_string_len(output) == out.length &&
                       memcmp(json_object_get_string(output), qvf_text_string(&out), out.length) == 0;
        if (!same)
                fprintf(stderr, "--- %s\nexpected: %s\nfound:    %s\n", string_member(one, "name"),
                                output ? json_object_get_string(output) : string_member(one, "error"),
                                r < 0 ? error.text : qvf_text_string(&out));
        empty(&chat);
        return same;
}

START_TEST(golden)
{
        json_object *all = json_object_from_file(GOLDEN), *cases;
        size_t different = 0;

        if (!all) {
                fprintf(stderr, "no %s: run the test in the source folder\n", GOLDEN);
                ck_abort();
        }
        cases = json_object_object_get(all, "cases");
        ck_assert_uint_ge(json_object_array_length(cases), 600);
        for (size_t i = 0; i < json_object_array_length(cases); i++)
                different += !agrees(json_object_object_get(all, "contexts"),
                                json_object_array_get_idx(cases, i));
        fprintf(stderr, "%zu of %zu cases differ\n", different, json_object_array_length(cases));
        ck_assert_uint_eq(different, 0);
        json_object_put(all);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("template golden");
        TCase *tcase = tcase_create("golden");
        SRunner *runner = srunner_create(suite);
        int failed;

        setenv("TZ", "UTC", 1);
        tzset();
        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, golden);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
