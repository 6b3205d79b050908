/* SPDX-License-Identifier: Apache-2.0 */
/* Filters on text and numbers, and the table of all. */
#include "engine/template/filters.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "engine/template/format.h"
#include "engine/template/strings.h"

/* round() goes so far beyond the point, on either side. */
#define DIGITS_MAX 22

#define FILTER(name)                                                                                        \
        static int filter_##name(struct jinja_machine *machine, struct jinja_call *call,                    \
                        struct jinja_value *ret_value)

static int change_case(struct jinja_machine *machine, const struct jinja_call *call, enum jinja_case to,
                struct jinja_value *ret_value)
{
        struct jinja_string text;
        int r = qvf_jinja_to_string(machine, &call->self, &text);

        return r < 0 ? r : qvf_jinja_change_case(machine, &text, to, ret_value);
}

FILTER(upper)
{
        return change_case(machine, call, JINJA_CASE_UPPER, ret_value);
}

FILTER(lower)
{
        return change_case(machine, call, JINJA_CASE_LOWER, ret_value);
}

FILTER(capitalize)
{
        return change_case(machine, call, JINJA_CASE_CAPITALIZE, ret_value);
}

FILTER(title)
{
        return change_case(machine, call, JINJA_CASE_WORDS, ret_value);
}

FILTER(trim)
{
        struct jinja_string text;
        int r = qvf_jinja_to_string(machine, &call->self, &text);

        return r < 0 ? r : qvf_jinja_strip(machine, &text, &call->arguments[0], true, true, ret_value);
}

FILTER(string)
{
        *ret_value = JINJA_VALUE_NONE;
        ret_value->kind = JINJA_STRING;
        return qvf_jinja_to_string(machine, &call->self, &ret_value->string);
}

FILTER(replace)
{
        struct jinja_string text, old, new;
        int64_t most;
        int r = qvf_jinja_to_string(machine, &call->self, &text);

        if (r >= 0)
                r = qvf_jinja_to_string(machine, &call->arguments[0], &old);
        if (r >= 0)
                r = qvf_jinja_to_string(machine, &call->arguments[1], &new);
        if (r >= 0 && call->arguments[2].kind == JINJA_NONE)
                call->arguments[2].kind = JINJA_ABSENT;
        if (r >= 0)
                r = qvf_jinja_want_integer(machine, &call->arguments[2], "count", -1, &most);
        return r < 0 ? r : qvf_jinja_replace(machine, &text, &old, &new, most, ret_value);
}

FILTER(escape)
{
        static const char characters[] = "&<>'\"";
        static const char *const names[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        struct jinja_string text;
        uint32_t plain = 0;
        int r = qvf_jinja_to_string(machine, &call->self, &text);

        for (uint32_t at = 0; r >= 0 && at < text.length; at++) {
                const char *found = text.bytes[at] ? strchr(characters, text.bytes[at]) : NULL;

                if (!found)
                        continue;
                r = qvf_jinja_build_slice(&builder, &text, plain, at);
                if (r >= 0)
                        r = qvf_jinja_build(&builder, names[found - characters],
                                        strlen(names[found - characters]),
                                        qvf_jinja_string_run_at(&text, at).origin);
                plain = at + 1;
        }
        if (r >= 0)
                r = qvf_jinja_charge_characters(machine, text.length);
        if (r >= 0)
                r = qvf_jinja_build_slice(&builder, &text, plain, text.length);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

/* What indent() puts before each line: so many blanks, or a string. */
static int indentation(struct jinja_machine *machine, const struct jinja_value *width,
                struct jinja_string *ret_string)
{
        _cleanup_builder_ struct jinja_builder blanks = { .machine = machine };
        struct jinja_value value;
        int64_t count;
        int r;

        if (width->kind == JINJA_STRING) {
                *ret_string = width->string;
                return 0;
        }
        r = qvf_jinja_want_integer(machine, width, "width", 4, &count);
        if (r >= 0)
                r = qvf_jinja_build_repeat(&blanks, ' ', count > 0 ? (size_t)count : 0);
        if (r >= 0)
                r = qvf_jinja_build_finish(&blanks, &value);
        if (r >= 0)
                *ret_string = value.string;
        return r;
}

FILTER(indent)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        bool first = qvf_jinja_given_truth(&call->arguments[1], false);
        bool blank = qvf_jinja_given_truth(&call->arguments[2], false);
        struct jinja_value newline = qvf_jinja_literal("\n"), text, lines;
        struct jinja_string indent;
        int r = qvf_jinja_want_string(machine, &call->self, "what to indent", &text.string);

        if (r >= 0)
                r = qvf_jinja_string_concat(machine, &text.string, &newline.string, &text);
        if (r >= 0)
                r = qvf_jinja_split_lines(machine, &text.string, false, &lines);
        if (r >= 0)
                r = indentation(machine, &call->arguments[0], &indent);
        for (size_t i = 0; r >= 0 && i < lines.list->count; i++) {
                const struct jinja_string *line = &lines.list->items[i].string;

                if (i > 0)
                        r = qvf_jinja_build_literal(&builder, "\n");
                if (r >= 0 && (i == 0 ? first : blank || line->length > 0))
                        r = qvf_jinja_build_string(&builder, &indent);
                if (r >= 0)
                        r = qvf_jinja_build_string(&builder, line);
        }
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

FILTER(format)
{
        struct jinja_value values;
        struct jinja_string text;
        int r = qvf_jinja_to_string(machine, &call->self, &text);

        if (r >= 0)
                r = qvf_jinja_list_new(machine, call->count, JINJA_TUPLE, &values);
        for (size_t i = 0; r >= 0 && i < call->count; i++)
                values.list->items[i] = call->arguments[i];
        return r < 0 ? r : qvf_jinja_format_percent(machine, &text, &values, ret_value);
}

static int fail_undefined_number(struct jinja_machine *machine, const struct jinja_value *value)
{
        return qvf_jinja_fail(machine, -EINVAL, "'%.*s' is undefined, so it is no number",
                        (int)value->undefined_length, value->undefined_name);
}

FILTER(int)
{
        const struct jinja_value *value = &call->self;
        int64_t base, number = 0;
        double real = NAN;
        int r = qvf_jinja_want_integer(machine, &call->arguments[1], "base", 10, &base);

        if (r < 0)
                return r;
        switch (value->kind) {
        case JINJA_UNDEFINED: return fail_undefined_number(machine, value);
        case JINJA_BOOLEAN: *ret_value = JINJA_VALUE_INTEGER(value->boolean); return 0;
        case JINJA_INTEGER: *ret_value = *value; return 0;
        case JINJA_FLOAT: real = value->real; break;
        case JINJA_STRING:
                if (base >= 0 && base <= 36 && qvf_jinja_parse_integer(&value->string, (int)base, &number)) {
                        *ret_value = JINJA_VALUE_INTEGER(number);
                        return 0;
                }
                if (!qvf_jinja_parse_float(&value->string, &real))
                        real = NAN;
                break;
        default: break;
        }
        if (isfinite(real) && fabs(real) >= 9e18)
                return qvf_jinja_fail(machine, -EINVAL, "the number does not fit an integer of 64 bits");
        if (isfinite(real))
                *ret_value = JINJA_VALUE_INTEGER((int64_t)real);
        else
                *ret_value = call->arguments[0].kind == JINJA_ABSENT ? JINJA_VALUE_INTEGER(0)
                                                                     : call->arguments[0];
        return 0;
}

FILTER(float)
{
        const struct jinja_value *value = &call->self;
        double real = 0;

        *ret_value = call->arguments[0].kind == JINJA_ABSENT ? JINJA_VALUE_FLOAT(0) : call->arguments[0];
        if (value->kind == JINJA_UNDEFINED)
                return fail_undefined_number(machine, value);
        if (value->kind == JINJA_FLOAT)
                *ret_value = *value;
        else if (value->kind == JINJA_INTEGER)
                *ret_value = JINJA_VALUE_FLOAT((double)value->integer);
        else if (value->kind == JINJA_BOOLEAN)
                *ret_value = JINJA_VALUE_FLOAT(value->boolean);
        else if (value->kind == JINJA_STRING && qvf_jinja_parse_float(&value->string, &real))
                *ret_value = JINJA_VALUE_FLOAT(real);
        return 0;
}

FILTER(abs)
{
        const struct jinja_value *value = &call->self;

        if (!qvf_jinja_is_number(value))
                return qvf_jinja_fail(machine, -EINVAL, "expected a number but found %s",
                                qvf_jinja_kind_name(value));
        if (value->kind == JINJA_BOOLEAN) {
                *ret_value = JINJA_VALUE_INTEGER(value->boolean);
                return 0;
        }
        *ret_value = *value;
        if (value->kind == JINJA_FLOAT)
                ret_value->real = fabs(value->real);
        else if (value->integer < 0)
                return qvf_jinja_negate(machine, value, ret_value);
        return 0;
}

/* To even on exact ties only: 2.675 lies below its tie, so digits are printed, not scaled. */
static double round_digits(double number, int precision)
{
        double scale = pow(10, -precision);
        char text[400];

        if (!isfinite(number) || precision > DIGITS_MAX)
                return number;
        if (precision <= 0)
                return nearbyint(number / scale) * scale;
        snprintf(text, sizeof(text), "%.*f", precision, number);
        return strtod(text, NULL);
}

FILTER(round)
{
        const struct jinja_value *value = &call->self, *method = &call->arguments[1];
        bool is_common = method->kind == JINJA_ABSENT;
        int64_t precision;
        double real, scale;
        int r = qvf_jinja_want_integer(machine, &call->arguments[0], "precision", 0, &precision);

        if (r < 0)
                return r;
        if (!qvf_jinja_is_number(value))
                return qvf_jinja_fail(machine, -EINVAL, "expected a number but found %s",
                                qvf_jinja_kind_name(value));
        if (precision < -DIGITS_MAX || precision > DIGITS_MAX)
                return qvf_jinja_fail(machine, -EINVAL, "the precision is beyond %d digits", DIGITS_MAX);
        if (method->kind == JINJA_STRING)
                is_common = qvf_jinja_string_is(&method->string, "common");
        real = value->kind == JINJA_FLOAT     ? value->real
               : value->kind == JINJA_INTEGER ? (double)value->integer
                                              : value->boolean;
        scale = pow(10, (double)precision);
        if (is_common && value->kind != JINJA_FLOAT)
                *ret_value = JINJA_VALUE_INTEGER(
                                precision < 0 && fabs(real) < 9e15
                                                ? (int64_t)round_digits(real, (int)precision)
                                : value->kind == JINJA_INTEGER ? value->integer
                                                               : value->boolean);
        else if (is_common)
                *ret_value = JINJA_VALUE_FLOAT(round_digits(real, (int)precision));
        else if (method->kind == JINJA_STRING && qvf_jinja_string_is(&method->string, "ceil"))
                *ret_value = JINJA_VALUE_FLOAT(ceil(real * scale) / scale);
        else if (method->kind == JINJA_STRING && qvf_jinja_string_is(&method->string, "floor"))
                *ret_value = JINJA_VALUE_FLOAT(floor(real * scale) / scale);
        else
                return qvf_jinja_fail(machine, -EINVAL, "expected common, ceil or floor");
        return 0;
}

FILTER(default)
{
        bool by_truth = qvf_jinja_given_truth(&call->arguments[1], false);

        (void)machine;
        *ret_value = call->self;
        if (call->self.kind != JINJA_UNDEFINED && !(by_truth && !qvf_jinja_truth(&call->self)))
                return 0;
        *ret_value = call->arguments[0].kind == JINJA_ABSENT ? qvf_jinja_literal("") : call->arguments[0];
        return 0;
}

/* separators=(item, key) */
static int json_separators(struct jinja_machine *machine, const struct jinja_value *value,
                struct jinja_json_style *style)
{
        if (value->kind == JINJA_ABSENT || value->kind == JINJA_NONE)
                return 0;
        if (value->kind != JINJA_LIST || value->list->count != 2 ||
                        value->list->items[0].kind != JINJA_STRING ||
                        value->list->items[1].kind != JINJA_STRING)
                return qvf_jinja_fail(machine, -EINVAL, "expected two strings as separators");
        style->item_separator = value->list->items[0].string;
        style->key_separator = value->list->items[1].string;
        return 0;
}

FILTER(tojson)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        const struct jinja_value *indent = &call->arguments[1];
        struct jinja_json_style style = {
                .ascii = qvf_jinja_given_truth(&call->arguments[0], false),
                .has_indent = indent->kind != JINJA_ABSENT && indent->kind != JINJA_NONE,
                .sort_keys = qvf_jinja_given_truth(&call->arguments[3], false),
        };
        int r = 0;

        style.item_separator = qvf_jinja_literal(style.has_indent ? "," : ", ").string;
        style.key_separator = qvf_jinja_literal(": ").string;
        if (style.has_indent)
                r = indentation(machine, indent, &style.indent);
        if (r >= 0)
                r = json_separators(machine, &call->arguments[2], &style);
        if (r >= 0)
                r = qvf_jinja_json_write(&builder, &call->self, &style);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

const struct jinja_builtin *qvf_jinja_find_filter(const char *name, size_t length)
{
        static const struct jinja_builtin filters[] = {
                { "abs", filter_abs, "", 0 },
                { "batch", qvf_jinja_filter_batch, "linecount fill_with", 1 },
                { "capitalize", filter_capitalize, "", 0 },
                { "count", qvf_jinja_filter_length, "", 0 },
                { "d", filter_default, "default_value boolean", 0 },
                { "default", filter_default, "default_value boolean", 0 },
                { "dictsort", qvf_jinja_filter_dictsort, "case_sensitive by reverse", 0 },
                { "e", filter_escape, "", 0 },
                { "escape", filter_escape, "", 0 },
                { "first", qvf_jinja_filter_first, "", 0 },
                { "float", filter_float, "default", 0 },
                { "format", filter_format, NULL, 0 },
                { "indent", filter_indent, "width first blank", 0 },
                { "int", filter_int, "default base", 0 },
                { "items", qvf_jinja_filter_items, "", 0 },
                { "join", qvf_jinja_filter_join, "d attribute", 0 },
                { "last", qvf_jinja_filter_last, "", 0 },
                { "length", qvf_jinja_filter_length, "", 0 },
                { "list", qvf_jinja_filter_list, "", 0 },
                { "lower", filter_lower, "", 0 },
                { "map", qvf_jinja_filter_map, NULL, 0 },
                { "max", qvf_jinja_filter_max, "case_sensitive attribute", 0 },
                { "min", qvf_jinja_filter_min, "case_sensitive attribute", 0 },
                { "reject", qvf_jinja_filter_reject, NULL, 0 },
                { "rejectattr", qvf_jinja_filter_rejectattr, NULL, 0 },
                { "replace", filter_replace, "old new count", 2 },
                { "reverse", qvf_jinja_filter_reverse, "", 0 },
                { "round", filter_round, "precision method", 0 },
                { "safe", filter_string, "", 0 },
                { "select", qvf_jinja_filter_select, NULL, 0 },
                { "selectattr", qvf_jinja_filter_selectattr, NULL, 0 },
                { "sort", qvf_jinja_filter_sort, "reverse case_sensitive attribute", 0 },
                { "string", filter_string, "", 0 },
                { "sum", qvf_jinja_filter_sum, "attribute start", 0 },
                { "title", filter_title, "", 0 },
                { "tojson", filter_tojson, "ensure_ascii indent separators sort_keys", 0 },
                { "trim", filter_trim, "chars", 0 },
                { "unique", qvf_jinja_filter_unique, "case_sensitive attribute", 0 },
                { "upper", filter_upper, "", 0 },
        };

        return qvf_jinja_find(filters, QVF_ARRAY_LENGTH(filters), name, length);
}
