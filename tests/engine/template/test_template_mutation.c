/* SPDX-License-Identifier: Apache-2.0 */
/* Mutated templates: none may crash, hang, or take more memory than the limit. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/template/chat_template.h"

#define FOLDER "tests/data/templates"
#define SEEDS_MAX 64
#define MUTANTS 10000

/* A rendering of a public template takes far less than a millisecond; sanitizers slow it by 10 or so. */
#define SLOWEST_MS 1000

static struct qvf_text seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t state;

static uint32_t random_below(uint32_t bound)
{
        /* splitmix64 */
        uint64_t z = state += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return (uint32_t)((z ^ (z >> 31)) % bound);
}

static void load_seeds(void)
{
        DIR *folder = opendir(FOLDER);
        struct dirent *entry;

        if (!folder) {
                fprintf(stderr, "no %s: run the test in the source folder\n", FOLDER);
                ck_abort();
        }
        while ((entry = readdir(folder)) && seed_count < SEEDS_MAX) {
                char path[512], bytes[4096];
                FILE *file;
                size_t length;

                if (!strstr(entry->d_name, ".jinja"))
                        continue;
                snprintf(path, sizeof(path), "%s/%s", FOLDER, entry->d_name);
                file = fopen(path, "re");
                ck_assert_ptr_nonnull(file);
                while ((length = fread(bytes, 1, sizeof(bytes), file)) > 0)
                        ck_assert_int_eq(qvf_text_append(&seeds[seed_count], bytes, length), 0);
                fclose(file);
                seed_count++;
        }
        closedir(folder);
        ck_assert_uint_ge(seed_count, 15);
}

/* Words that the language is made of, and some that stress its limits. */
static const char *const tokens[] = { "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", "(", ")", "[", "]",
        "{", "}", "|", ".", ",", ":", "=", "==", "~", "+", "-", "*", "/", "//", "%", "**", "<", "in", "not",
        "is", "and", "or", "if", "else", "elif", "endif", "for", "endfor", "set", "endset", "macro",
        "endmacro", "call", "endcall", "filter", "endfilter", "with", "endwith", "raw", "endraw",
        "generation", "endgeneration", "break", "continue", "loop", "loop.index", "loop.changed(m)",
        "messages", "message", "namespace()", "ns.x", "range(99999)", "range(-5, 5)", "true", "none", "'a'",
        "\"\\u20ac\"", "0", "1", "-1", "1e9", "9223372036854775807", "'ab' * 100000", "[1] * 100000",
        "x * x", "[x, x]", "|trim", "|upper", "|tojson(indent=2)", "|join(',')", "|sort", "|unique", "|list",
        "|reverse", "|map(attribute='role')", "|selectattr('role')", "|int", "|float", "|round(2)",
        "|indent", "|replace('', 'x')", "|length", "|default(1)", "|batch(2)", "|dictsort", ".split()",
        ".split('a')", ".rsplit(none, 1)", ".strip('a')", ".format(1, x=2)", "'%5.2f' % 1", ".items()",
        ".get('a')", "[::-1]", "[1:-1]", "[:99999999999]", "{% set ns = namespace(s='x', l=[]) %}",
        "{% for i in range(1000) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% macro m(a=1) %}{{ m(a) }}{% endmacro %}{{ m() }}", "{% set x %}", "caller()", "varargs", "\xc3",
        "\xe2\x82\xac", "\r\n", "\n", " ", "\0" };

/* What can stand where a name or a number stood. */
static const char *const expressions[] = { "x", "none", "true", "-1", "0", "2.5", "1e300", "messages",
        "messages[0]", "messages[-1].content", "messages[1:]", "messages | length", "message",
        "message.role", "loop", "loop.index", "loop.changed(1)", "loop.cycle(1, 'a')", "namespace(a=1)",
        "range(5)", "range(99999)", "tools", "tools[0]", "{}", "[]", "()", "(1, 2)", "{'a': [1], 2: none}",
        "''", "'a\\u00e4\\n'", "'ab' * 100000", "[1] * 10000", "bos_token", "(1 if x else 'y')",
        "('%s' % message)", "'{:>9}'.format(1)", "strftime_now('%Y')", "dict(a=1)", "9 ** 9" };
static const char *const suffixes[] = { "|trim", "|upper", "|title", "|tojson", "|tojson(indent=2)",
        "|join(',')", "|sort", "|unique|list", "|list", "|reverse", "|map('upper')|list",
        "|map(attribute='role')|join", "|selectattr('role')|list", "|rejectattr('content', 'none')|list",
        "|select|list", "|int", "|float", "|round(2)", "|indent(3)", "|abs", "|replace('', 'x')",
        "|replace('a', messages)", "|length", "|default(1)", "|batch(2)|list", "|dictsort", "|items",
        "|first", "|last", "|min", "|max", "|sum", "|string", "|escape", ".split()", ".split('a')",
        ".rsplit(none, 1)", ".splitlines()", ".strip('a')", ".format(1, x=2)", ".items()", ".get('a')",
        ".keys()", ".find('a')", ".count('')", ".partition('a')", ".title()", ".startswith('a')", "[::-1]",
        "[1:-1]", "[:99999999999]", "[0]", "['role']", "[-1]", ".x", "()", "(1)", " ~ x", " + 'a'", " * 3",
        " % 2", " // 2", " ** 3", " in 'abc'", " not in messages", " == 1", " < 'a'", " is defined",
        " is string", " is odd", " is in [1, 2]", " is mapping", " is sequence", " if x else 2", " and x",
        " or x" };
static const char *const statements[] = { "{% set ns = namespace(s='x', l=[]) %}", "{% set x = messages %}",
        "{% set ns.s = messages %}", "{% set x %}a{% endset %}",
        "{% set x | upper %}{{ messages }}{% endset %}",
        "{% for i in range(1000) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% for a in messages %}{{ a.content }}{% break %}{% endfor %}",
        "{% for a, b in messages[0].items() %}{{ a ~ b }}{% continue %}{% else %}x{% endfor %}",
        "{% for i in range(9999) %}{{ loop.previtem }}{% endfor %}",
        "{% macro m(a=1) %}{{ m(a) }}{% endmacro %}{{ m() }}",
        "{% macro q(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ q(x) }}",
        "{% macro c() %}{{ caller() }}{% endmacro %}{% call c() %}{{ messages }}{% endcall %}",
        "{% filter upper %}{{ messages }}{% endfilter %}", "{% with x = messages %}{{ x }}{% endwith %}",
        "{% generation %}{{ messages[2].content }}{% endgeneration %}", "{% if x %}{% endif %}",
        "{{ messages }}", "{% for i in messages %}{% for j in messages %}{{ j }}{% endfor %}{% endfor %}",
        "{% break %}", "{# x #}", "{% raw %}{{{% endraw %}", "\n" };

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static void replace_part(struct qvf_text *text, size_t from, size_t to, const char *bytes, size_t length)
{
        struct qvf_text changed = { 0 };

        qvf_text_append(&changed, text->bytes, from);
        qvf_text_append(&changed, bytes, length);
        qvf_text_append(&changed, text->bytes + to, text->length - to);
        qvf_text_exit(text);
        *text = changed;
}

static bool is_word(char byte)
{
        return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_';
}

/* Changes that mostly leave a template that parses, to reach what lies behind the parser. */
static void mutate_within_syntax(struct qvf_text *text)
{
        size_t from = random_below((uint32_t)text->length + 1), to;
        uint32_t kind = random_below(4);
        const char *part;

        if (kind == 3) {
                while (from < text->length && from > 0 &&
                                !(text->bytes[from - 1] == '}' && text->bytes[from] != '}'))
                        from++;
                part = statements[random_below(COUNT(statements))];
                replace_part(text, from, from, part, strlen(part));
                return;
        }
        while (from < text->length && !is_word(text->bytes[from]))
                from++;
        for (to = from; to < text->length && is_word(text->bytes[to]);)
                to++;
        part = kind == 0 ? expressions[random_below(COUNT(expressions))]
                         : suffixes[random_below(COUNT(suffixes))];
        replace_part(text, kind == 0 ? from : to, to, part, strlen(part));
}

static void mutate(struct qvf_text *text)
{
        uint32_t length = (uint32_t)text->length;
        uint32_t from = random_below(length + 1),
                 to = from + random_below(length - from + 1 < 60 ? length - from + 1 : 60);
        const struct qvf_text *other = &seeds[random_below((uint32_t)seed_count)];
        const char *token = tokens[random_below(COUNT(tokens))];
        uint32_t other_from = random_below((uint32_t)other->length);
        uint32_t other_length = random_below((uint32_t)other->length - other_from + 1);

        switch (random_below(8)) {
        case 0:
                if (from < length)
                        text->bytes[from] ^= (char)(1u << random_below(8));
                break;
        case 1:
                if (from < length)
                        text->bytes[from] = (char)random_below(256);
                break;
        case 2: replace_part(text, from, length, "", 0); break;
        case 3: replace_part(text, from, to, "", 0); break;
        case 4: replace_part(text, from, from, text->bytes + from, to - from); break;
        case 5: replace_part(text, from, to, other->bytes + other_from, other_length); break;
        case 6: replace_part(text, from, from, token, *token ? strlen(token) : 1); break;
        default: replace_part(text, from, to, token, *token ? strlen(token) : 1); break;
        }
}

static uint64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const struct qvf_chat_message messages[] = {
        { "system", "Be brief.", NULL },
        { "user", "  What is grep?\n", NULL },
        { "assistant", "<think>\nhm\n</think>\n\nIt finds \xc3\xa4 patterns.", NULL },
        { "assistant", NULL,
                        "{\"tool_calls\": [{\"id\": \"abcdefghi\", \"type\": \"function\", \"function\": "
                        "{\"name\": \"f\", "
                        "\"arguments\": {\"x\": [1, 2.5, null, true]}}}]}" },
        { "tool", "{\"t\": 21}", "{\"name\": \"f\", \"tool_call_id\": \"abcdefghi\"}" },
        { "assistant", "21", NULL },
};

/* 0, or how it failed; spans are checked to lie in order within the text. */
static int try(const struct qvf_text *source, bool with_tools)
{
        struct qvf_chat_context context = { .messages = with_tools ? messages : messages + 1,
                .n_messages = with_tools ? COUNT(messages) : 2,
                .add_generation_prompt = true,
                .bos_token = "<s>",
                .eos_token = "</s>",
                .now = 1753000000 };
        _cleanup_(qvf_chat_template_freep) struct qvf_chat_template *chat_template = NULL;
        _cleanup_text_ struct qvf_text out = { 0 };
        struct qvf_chat_spans spans = { 0 };
        struct qvf_error error = { 0 };
        size_t at = 0;
        int r = qvf_chat_template_new(
                        source->bytes ? source->bytes : "", source->length, &chat_template, &error);

        if (r >= 0)
                r = qvf_chat_template_render_spans(chat_template, &context, &out, &spans, &error);
        ck_assert_int_eq(error.code, r);
        ck_assert_int_eq(r < 0, error.text[0] != 0);
        ck_assert_int_ne(r, -ENOMEM); /* the limits come first */
        for (size_t i = 0; i < spans.count; i++) {
                ck_assert_uint_le(at, spans.items[i].start);
                ck_assert_uint_lt(spans.items[i].start, spans.items[i].end);
                at = spans.items[i].end;
        }
        ck_assert_uint_le(at, out.length);
        ck_assert_uint_le(out.length, QVF_CHAT_OUTPUT_LIMIT);
        free(spans.items);
        return r;
}

START_TEST(mutants)
{
        const char *wish = getenv("QVF_TEST_SEED");
        uint64_t seed = wish ? strtoull(wish, NULL, 0) : (uint64_t)time(NULL), slowest = 0, start = now_ms();
        size_t rendered = 0, refused = 0;

        load_seeds();
        printf("QVF_TEST_SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
        for (size_t i = 0; i < MUTANTS; i++) {
                _cleanup_text_ struct qvf_text source = { 0 };
                const struct qvf_text *parent;
                uint64_t before = now_ms(), took;
                int r;

                state = seed + i; /* each mutant can be made again by itself */
                parent = &seeds[random_below((uint32_t)seed_count)];
                qvf_text_append(&source, parent->bytes, parent->length);
                for (uint32_t n = 1 + random_below(4); n > 0; n--)
                        (i % 3 ? mutate_within_syntax : mutate)(&source);
                r = try(&source, i % 2);
                rendered += r >= 0;
                refused += r == -E2BIG;
                took = now_ms() - before;
                slowest = took > slowest ? took : slowest;
                ck_assert_msg(took < SLOWEST_MS, "mutant %zu of seed %llu took %llu ms", i,
                                (unsigned long long)seed, (unsigned long long)took);
        }
        printf("%d mutants in %llu ms, the slowest %llu ms; %zu rendered, %zu ran into a limit\n", MUTANTS,
                        (unsigned long long)(now_ms() - start), (unsigned long long)slowest, rendered,
                        refused);
        for (size_t i = 0; i < seed_count; i++)
                qvf_text_exit(&seeds[i]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("template mutation");
        TCase *tcase = tcase_create("mutation");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, mutants);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
