/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, limits, and which bytes are whose. */
#include <check.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/template/chat_template.h"

static const struct qvf_chat_message talk[] = {
        { "system", "Be brief.", NULL },
        { "user", " What is grep? ", NULL },
        { "assistant", " Finds patterns. ", NULL },
        { "user", "Thanks", NULL },
        { "assistant", "Welcome", NULL },
};

static struct qvf_chat_context context_of(const struct qvf_chat_message *messages, size_t count)
{
        return (struct qvf_chat_context){ .messages = messages,
                .n_messages = count,
                .bos_token = "<s>",
                .eos_token = "</s>",
                .now = 1753000000 };
}

static int render(const char *source, const struct qvf_chat_context *context, struct qvf_text *out,
                struct qvf_chat_spans *spans, struct qvf_error *error)
{
        _cleanup_(qvf_chat_template_freep) struct qvf_chat_template *chat_template = NULL;
        int r = qvf_chat_template_new(source, strlen(source), &chat_template, error);

        return r < 0 ? r : qvf_chat_template_render_spans(chat_template, context, out, spans, error);
}

static void fails_with(const char *source, int code, const char *text)
{
        struct qvf_chat_context context = context_of(talk, 5);
        _cleanup_text_ struct qvf_text out = { 0 };
        struct qvf_chat_spans spans = { 0 };
        struct qvf_error error = { 0 };
        int r = render(source, &context, &out, &spans, &error);

        ck_assert_msg(r == code, "'%s' gave %d (%s), not %d", source, r, error.text, code);
        ck_assert_int_eq(error.code, code);
        ck_assert_msg(strstr(error.text, text), "'%s' says '%s', not '%s'", source, error.text, text);
        ck_assert_uint_eq(out.length, 0);
        free(spans.items);
}

START_TEST(errors_say_where)
{
        fails_with("a\n  {{ 1 + }}", -EINVAL, "line 2, column 10: expected an expression but found '}}'");
        fails_with("\xc3\xa4\xc3\xb6 {% if %}", -EINVAL, "line 1, column 10: expected an expression");
        fails_with("{% if x %}\n{% for y in z %}\n", -EINVAL, "has no {% endfor %}");
        fails_with("{% if x %}\n", -EINVAL, "has no {% endif %}");
        fails_with("{% include 'x' %}", -EINVAL, "but found 'include'");
        fails_with("{{ messages.x.y }}", -EINVAL, "line 1, column 14: 'x' is undefined, so it has no 'y'");
        fails_with("{{ 'a' + 1 }}", -EINVAL, "line 1, column 8: '+' does not apply to str and int");
        fails_with("{{ x | nosuch }}", -EINVAL, "there is no filter named 'nosuch'");
        fails_with("{{ [1] | select('odd\\x00 and more') }}", -EINVAL, "there is no test named 'odd");
        fails_with("{{ x is nosuch }}", -EINVAL, "there is no test named 'nosuch'");
        fails_with("{{ 'a' | replace('b') }}", -EINVAL,
                        "replace expects at least 2 arguments (old new count)");
        fails_with("{{ 'a' | trim(character='b') }}", -EINVAL,
                        "trim has no argument 'character', only: chars");
        fails_with("{{ raise_exception('no\nsystem') }}", -EBADMSG, "refuses the messages: no?system");
        fails_with("{% set x = [] %}{{ x.append(1) }}", -EINVAL, "may not change a list");
        fails_with("{% for x in [1] recursive %}{% endfor %}", -EINVAL, "recursive loops are not supported");
        fails_with("{% set q = 'abc", -EINVAL, "has no closing '");
        fails_with("{{ 9999999999999999999 }}", -EINVAL, "an integer of 64 bits");
        fails_with("{{ 9223372036854775807 + 1 }}", -EINVAL, "does not fit an integer of 64 bits");
}
END_TEST

START_TEST(limits_have_names)
{
        fails_with("{{ range(10 ** 9) }}", -E2BIG, "at most 100000 items");
        fails_with("{{ 'a' * 10 ** 9 }}", -E2BIG, "too many steps");
        fails_with("{{ 'a' * 10 ** 8 }}", -E2BIG, "KiB of memory");
        fails_with("{{ [1] * 10 ** 9 }}", -E2BIG, "");
        fails_with("{{ [1] * 10 ** 18 }}", -E2BIG, "");
        fails_with("{% set n = namespace(s='ab') %}{% for i in range(100) %}{% set n.s = n.s + n.s %}{% "
                   "endfor %}",
                        -E2BIG, "KiB of memory");
        fails_with("{% set n = namespace(l=[1]) %}{% for i in range(100) %}{% set n.l = n.l + n.l %}{% "
                   "endfor %}",
                        -E2BIG, "");
        fails_with("{% set n = namespace(l=[1]) %}{% for i in range(50) %}{% set n.l = [n.l, n.l] %}{% "
                   "endfor %}"
                   "{{ n.l }}",
                        -E2BIG, "");
        fails_with("{% set n = namespace(l=[1]) %}{% for i in range(9999) %}{% set n.l = [n.l] %}{% endfor "
                   "%}"
                   "{{ n.l }}",
                        -E2BIG, "nested deeper");
        fails_with("{% set n = namespace() %}{% set n.n = [n] %}{{ n }}", -E2BIG, "nested deeper");
        fails_with("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", -E2BIG, "nested deeper");
        fails_with("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", -E2BIG, "nested deeper");
        fails_with("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", -E2BIG,
                        "too many steps");
        fails_with("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", -E2BIG, "");
        fails_with("{{ '{:>1001}'.format(1) }}", -EINVAL, "width");
        fails_with("{{ ('a' * 4000000).rsplit('a' * 1000000 + 'b') }}", -E2BIG, "too many steps");
        fails_with("{{ ('a' * 1000000).replace('', 'b' * 1000) }}", -E2BIG, "");
}
END_TEST

/* Many times the same text, as a source. */
static void repeated_fails(const char *before, const char *middle, const char *after, size_t count, int code,
                const char *text)
{
        _cleanup_text_ struct qvf_text source = { 0 };

        qvf_text_append_string(&source, before);
        for (size_t i = 0; i < count; i++)
                qvf_text_append_string(&source, middle);
        qvf_text_append_string(&source, after);
        fails_with(qvf_text_string(&source), code, text);
}

START_TEST(deep_sources_are_refused)
{
        repeated_fails("{{ ", "(", "", 200000, -EINVAL, "nested deeper than 200");
        repeated_fails("{{ ", "[", "", 200000, -EINVAL, "nested deeper than 200");
        repeated_fails("{{ ", "{1:", "", 80000, -EINVAL, "nested deeper than 200");
        repeated_fails("{{ ", "-", "1 }}", 200000, -EINVAL, "nested deeper than 200");
        repeated_fails("{{ ", "x if y else ", "1 }}", 20000, -EINVAL, "nested deeper than 200");
        repeated_fails("", "{% if x %}", "", 20000, -EINVAL, "nested deeper than 200");
        repeated_fails("{{ ", "not ", "1 }}", 50000, -E2BIG, "nested deeper than 400");
        repeated_fails("{{ 1", "+1", " }}", 50000, -E2BIG, "nested deeper than 400");
        repeated_fails("{{ x", ".x", " }}", 50000, -E2BIG, "nested deeper than 400");
        repeated_fails("{{ x", "|trim", " }}", 50000, -E2BIG, "nested deeper than 400");
        repeated_fails("", "{{ a }}", "", 50000, -E2BIG, "has 350000 bytes, more than 262144");
}
END_TEST

START_TEST(large_inputs_render)
{
        _cleanup_text_ struct qvf_text content = { 0 }, out = { 0 };
        struct qvf_chat_message messages[3] = { { "user", NULL, NULL }, { "assistant", NULL, NULL },
                { "user", "x", NULL } };
        struct qvf_chat_context context = context_of(messages, 3);
        struct qvf_chat_spans spans = { 0 };
        struct qvf_error error = { 0 };
        const char *source = "{% set ns = namespace(all='') %}{% for m in messages %}{% set c = m.content | "
                             "trim %}"
                             "{% set ns.all = ns.all + c + '|' %}{% endfor %}{{ ns.all | upper }}";

        for (size_t i = 0; i < 300000; i++)
                qvf_text_append_string(&content, "abcd \xc3\xa4 ");
        messages[0].content = messages[1].content = qvf_text_string(&content);
        ck_assert_msg(render(source, &context, &out, &spans, &error) == 0, "%s", error.text);
        ck_assert_uint_eq(out.length, 2 * (content.length - 1) + 4);
        ck_assert_uint_eq(spans.count, 3);
        free(spans.items);
}
END_TEST

START_TEST(many_messages_render)
{
        size_t count = 20000;
        struct qvf_chat_message *messages = calloc(count, sizeof(*messages));
        struct qvf_chat_context context = context_of(messages, count);
        _cleanup_text_ struct qvf_text out = { 0 };
        struct qvf_chat_spans spans = { 0 };
        struct qvf_error error = { 0 };

        for (size_t i = 0; i < count; i++)
                messages[i] = (struct qvf_chat_message){ i % 2 ? "assistant" : "user", "hi", NULL };
        ck_assert_msg(render("{% for m in messages %}{{ m.role + ': ' + m['content'] | trim + '<e>\n' }}{% "
                             "endfor %}",
                                      &context, &out, &spans, &error) == 0,
                        "%s", error.text);
        ck_assert_uint_eq(spans.count, count);
        free(spans.items);
        free(messages);
}
END_TEST

START_TEST(output_limit)
{
        struct qvf_chat_context context = context_of(talk, 5);
        _cleanup_text_ struct qvf_text out = { 0 };
        struct qvf_chat_spans spans;
        struct qvf_error error = { 0 };

        context.output_limit = 100;
        ck_assert_int_eq(render("{{ 'x' * 100 }}", &context, &out, &spans, &error), 0);
        free(spans.items);
        ck_assert_int_eq(render("{{ 'x' * 101 }}", &context, &out, &spans, &error), -E2BIG);
        ck_assert_ptr_nonnull(strstr(error.text, "longer than 100 bytes"));
        ck_assert_uint_eq(out.length, 100);
}
END_TEST

START_TEST(json_errors)
{
        static const struct {
                const char *tools, *text;
        } cases[] = {
                { "[1, 2", "tools: JSON, offset 5: expected ',' or ']'" },
                { "{\"a\" 1}", "offset 5: expected ':'" },
                { "{\"a\": tru}", "expected a value" },
                { "\"\\ud83d\\ude00\\ud83d\"", "" },
                { "[1] 2", "nothing behind the value" },
                { "\"a\nb\"", "control characters escaped" },
                { "\"\\x\"", "an escape" },
                { "", "a value" },
                { "[1,]", "a value" },
        };
        _cleanup_text_ struct qvf_text deep = { 0 };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct qvf_chat_context context = context_of(talk, 5);
                _cleanup_text_ struct qvf_text out = { 0 };
                struct qvf_chat_spans spans = { 0 };
                struct qvf_error error = { 0 };
                int r;

                context.tools = cases[i].tools;
                r = render("{{ tools }}", &context, &out, &spans, &error);
                free(spans.items);
                ck_assert_int_eq(r, cases[i].text[0] ? -EILSEQ : 0);
                if (r == 0)
                        ck_assert_str_eq(qvf_text_string(&out), "\xf0\x9f\x98\x80\xef\xbf\xbd");
                else
                        ck_assert_msg(strstr(error.text, cases[i].text), "%s", error.text);
        }
        for (size_t i = 0; i < 100000; i++)
                qvf_text_append_char(&deep, '[');
        {
                struct qvf_chat_context context = context_of(talk, 5);
                _cleanup_text_ struct qvf_text out = { 0 };
                struct qvf_chat_spans spans = { 0 };
                struct qvf_error error = { 0 };

                context.tools = qvf_text_string(&deep);
                ck_assert_int_eq(render("", &context, &out, &spans, &error), -E2BIG);
        }
}
END_TEST

/* The rendered text with the assistant's spans in « », and where their content ends marked by |. */
static void spans_are(const char *source, const struct qvf_chat_context *context, const char *expected)
{
        _cleanup_text_ struct qvf_text out = { 0 }, marked = { 0 };
        struct qvf_chat_spans spans = { 0 };
        struct qvf_error error = { 0 };
        size_t at = 0;

        ck_assert_msg(render(source, context, &out, &spans, &error) == 0, "%s", error.text);
        for (size_t i = 0; i < spans.count; i++) {
                const struct qvf_chat_span *span = &spans.items[i];

                ck_assert_uint_le(at, span->start);
                ck_assert_uint_lt(span->start, span->content_end);
                ck_assert_uint_le(span->content_end, span->end);
                ck_assert_uint_le(span->end, out.length);
                if (!span->is_assistant)
                        continue;
                qvf_text_append(&marked, out.bytes + at, span->start - at);
                qvf_text_appendf(&marked, "«%zd:", (ssize_t)span->message);
                qvf_text_append(&marked, out.bytes + span->start, span->content_end - span->start);
                qvf_text_append_char(&marked, '|');
                qvf_text_append(&marked, out.bytes + span->content_end, span->end - span->content_end);
                qvf_text_append_string(&marked, "»");
                at = span->end;
        }
        qvf_text_append(&marked, out.bytes + at, out.length - at);
        ck_assert_str_eq(qvf_text_string(&marked), expected);
        free(spans.items);
}

START_TEST(spans_by_origin)
{
        struct qvf_chat_context context = context_of(talk, 5);

        spans_are("{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' "
                  "}}{% endfor %}",
                        &context,
                        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n What is grep? "
                        "<|im_end|>\n"
                        "<|im_start|>assistant\n«2: Finds patterns. |<|im_end|>»\n"
                        "<|im_start|>user\nThanks<|im_end|>\n<|im_start|>assistant\n«4:Welcome|<|im_end|>"
                        "»\n");
        spans_are("{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n\n{% endfor %}", &context,
                        "system: Be brief.\n\nuser: What is grep?\n\nassistant: «2:Finds patterns.|\n»\n"
                        "user: Thanks\n\nassistant: «4:Welcome|\n»\n");
        /* no loop over the messages themselves */
        spans_are("{% for i in range(messages | length) %}{{ messages[i]['content'][2:6] | upper }}</s>{% "
                  "endfor %}",
                        &context, " BRI</s>HAT </s>«2:INDS|</s>»ANKS</s>«4:LCOM|</s>»");
        /* no loop at all */
        spans_are("{{ messages[1].content }}{{ messages[2].content ~ '<e>' }}!{{ messages[3].content }}",
                        &context, " What is grep? «2: Finds patterns. |<e>»!Thanks");
        /* through macros, captured blocks, filters, JSON */
        spans_are("{% macro all(list) %}{% for m in list %}[{{ m.role }}]{{ m.content | trim }}<e> {% "
                  "endfor %}"
                  "{% endmacro %}{% set text = all(messages[1:]) %}{{ text | replace('Wel', 'wel') | trim "
                  "}}",
                        &context,
                        "[user]What is grep?<e> [assistant]«2:Finds patterns.|<e>» [user]Thanks<e> "
                        "[assistant]wel«4:come|<e>»");
        spans_are("{% for m in messages[2:] %}{% set t %}{{ m | tojson }}{% endset %}{{ t }}{% endfor %}",
                        &context,
                        "{\"role\": \"assistant\", \"content\": \"«2: Finds patterns. |\"}»"
                        "{\"role\": \"user\", \"content\": \"Thanks\"}"
                        "{\"role\": \"assistant\", \"content\": \"«4:Welcome|\"}»");
        /* what merely looks like an answer is none */
        spans_are("{% for m in messages if m.role == 'user' %}{{ m.content }}assistant: Welcome{% endfor %}",
                        &context, " What is grep? assistant: WelcomeThanksassistant: Welcome");
}
END_TEST

START_TEST(spans_of_thinking_and_tools)
{
        static const struct qvf_chat_message messages[] = {
                { "user", "hi", NULL },
                { "assistant", "<think>\nhm\n</think>\n\nyes", NULL },
                { "assistant", NULL,
                                "{\"tool_calls\": [{\"name\": \"f\", \"arguments\": {\"x\": \"y\"}}]}" },
                { "tool", "42", "{\"name\": \"f\"}" },
        };
        struct qvf_chat_context context = context_of(messages, 4);

        spans_are("{% for m in messages %}<{{ m.role }}>{% if m.content and '</think>' in m.content %}"
                  "{{ m.content.split('</think>')[0].split('<think>')[-1].strip() ~ ' => ' ~"
                  " m.content.split('</think>')[-1].lstrip() }}"
                  "{% elif m.tool_calls %}{% for c in m.tool_calls %}CALL {{ c.name }} {{ c.arguments | "
                  "tojson }};"
                  "{% endfor %}{% else %}{{ m.content }}{% endif %}</e>\n{% endfor %}",
                        &context,
                        "<user>hi</e>\n<assistant>«1:hm => yes|</e>»\n<assistant>CALL «2:f {\"x\": "
                        "\"y|\"};</e>»\n"
                        "<tool>42</e>\n");
}
END_TEST

START_TEST(spans_of_generation_blocks)
{
        struct qvf_chat_context context = context_of(talk, 5);

        spans_are("{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %} {{ m.content | "
                  "trim }}<e>"
                  "{% endgeneration %}{% else %}{{ m.content }}{% endif %};{% endfor %}",
                        &context,
                        "Be brief.; What is grep? ;A:«2: Finds patterns.<e>|»;Thanks;A:«4: Welcome<e>|»;");
}
END_TEST

START_TEST(plain)
{
        struct qvf_chat_context context = context_of(talk, 3);
        _cleanup_text_ struct qvf_text out = { 0 };
        struct qvf_error error = { 0 };

        context.add_generation_prompt = true;
        context.bos_token = NULL;
        ck_assert_int_eq(qvf_chat_template_plain(&context, &out, &error), 0);
        ck_assert_str_eq(qvf_text_string(&out), "System: Be brief.\nUser: What is grep?\nAssistant: Finds "
                                                "patterns.</s>\nAssistant:");
}
END_TEST

START_TEST(extra_members)
{
        static const struct qvf_chat_message messages[] = {
                { "user", NULL,
                                "{\"content\": [{\"type\": \"text\", \"text\": \"a\\n\\u00e9\"}], \"name\": "
                                "\"Bo\"}" },
        };
        struct qvf_chat_context context = context_of(messages, 1);

        context.variables = "{\"enable_thinking\": false, \"bos_token\": \"no\"}";
        spans_are("{{ messages[0].name }} {{ messages[0].content[0].text }} {{ enable_thinking }} {{ "
                  "bos_token }} "
                  "{{ tools }} {{ pad_token is defined }}",
                        &context, "Bo a\n\xc3\xa9 False <s> None False");
}
END_TEST

START_TEST(no_role)
{
        struct qvf_chat_message message = { NULL, "x", NULL };
        struct qvf_chat_context context = context_of(&message, 1);
        _cleanup_text_ struct qvf_text out = { 0 };
        struct qvf_chat_spans spans = { 0 };
        struct qvf_error error = { 0 };

        ck_assert_int_eq(render("", &context, &out, &spans, &error), -EINVAL);
        ck_assert_str_eq(error.text, "message 0 has no role");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("chat template");
        TCase *tcase = tcase_create("chat template");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 20);
        tcase_add_test(tcase, errors_say_where);
        tcase_add_test(tcase, limits_have_names);
        tcase_add_test(tcase, deep_sources_are_refused);
        tcase_add_test(tcase, large_inputs_render);
        tcase_add_test(tcase, many_messages_render);
        tcase_add_test(tcase, output_limit);
        tcase_add_test(tcase, json_errors);
        tcase_add_test(tcase, spans_by_origin);
        tcase_add_test(tcase, spans_of_thinking_and_tools);
        tcase_add_test(tcase, spans_of_generation_blocks);
        tcase_add_test(tcase, plain);
        tcase_add_test(tcase, extra_members);
        tcase_add_test(tcase, no_role);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
