/* SPDX-License-Identifier: Apache-2.0 */
/* What values look like as text, and numbers read from text, both as in Python. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/template/characters.h"
#include "engine/template/machine.h"

/* The shortest digits that give the same number back; Python writes exponents below -4 and from 16 on. */
void qvf_jinja_format_float(double number, char ret_text[32])
{
        char digits[32], *exponent_at;
        int exponent, precision;
        size_t length;

        if (isnan(number) || isinf(number)) {
                strcpy(ret_text, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
                return;
        }
        for (precision = 0; precision < 17; precision++) {
                snprintf(digits, sizeof(digits), "%.*e", precision, number);
                if (strtod(digits, NULL) == number)
                        break;
        }
        exponent_at = strchr(digits, 'e');
        exponent = atoi(exponent_at + 1);
        if (exponent < -4 || exponent >= 16) {
                *exponent_at = 0;
                snprintf(ret_text, 32, "%.20se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
                return;
        }
        snprintf(ret_text, 32, "%.*f", precision > exponent ? precision - exponent : 0, number);
        length = strlen(ret_text);
        if (!strchr(ret_text, '.'))
                memcpy(ret_text + length, ".0", 3);
}

static int write_integer(struct jinja_builder *builder, int64_t number)
{
        char text[24];

        snprintf(text, sizeof(text), "%lld", (long long)number);
        return qvf_jinja_build_literal(builder, text);
}

static int write_escape(struct jinja_builder *builder, uint32_t codepoint, uint32_t origin)
{
        char text[12];

        switch (codepoint) {
        case '\n': return qvf_jinja_build(builder, "\\n", 2, origin);
        case '\r': return qvf_jinja_build(builder, "\\r", 2, origin);
        case '\t': return qvf_jinja_build(builder, "\\t", 2, origin);
        default: break;
        }
        snprintf(text, sizeof(text),
                        codepoint < 0x100     ? "\\x%02x"
                        : codepoint < 0x10000 ? "\\u%04x"
                                              : "\\U%08x",
                        codepoint);
        return qvf_jinja_build(builder, text, strlen(text), origin);
}

/* In single quotes, unless it holds those and no double ones. */
static int write_quoted(struct jinja_builder *builder, const struct jinja_string *string)
{
        bool has_single = memchr(string->bytes, '\'', string->length);
        char quote = has_single && !memchr(string->bytes, '"', string->length) ? '"' : '\'';
        uint32_t plain = 0, size, codepoint;
        int r = qvf_jinja_build(builder, &quote, 1, 0);

        for (uint32_t at = 0; r >= 0 && at < string->length; at += size) {
                uint32_t origin = 0;

                size = qvf_jinja_string_step(string, at, &codepoint);
                if (codepoint != (uint32_t)quote && codepoint != '\\' && qvf_jinja_is_printable(codepoint))
                        continue;
                r = qvf_jinja_build_slice(builder, string, plain, at);
                plain = at + size;
                origin = qvf_jinja_string_run_at(string, at).origin;
                if (r >= 0 && (codepoint == (uint32_t)quote || codepoint == '\\')) {
                        char escaped[2] = { '\\', (char)codepoint };

                        r = qvf_jinja_build(builder, escaped, 2, origin);
                } else if (r >= 0) {
                        r = write_escape(builder, codepoint, origin);
                }
        }
        if (r >= 0)
                r = qvf_jinja_build_slice(builder, string, plain, string->length);
        return r < 0 ? r : qvf_jinja_build(builder, &quote, 1, 0);
}

static int write_range(struct jinja_builder *builder, const struct jinja_list *list)
{
        int64_t start = list->count ? list->items[0].integer : 0;
        int64_t step = list->count > 1 ? list->items[1].integer - start : 1;
        char text[80];

        snprintf(text, sizeof(text), step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)",
                        (long long)start, (long long)(start + step * (int64_t)list->count), (long long)step);
        return qvf_jinja_build_literal(builder, text);
}

static int write_list(struct jinja_builder *builder, const struct jinja_list *list)
{
        static const char *const opening[] = { "[", "(", "", "dict_keys([", "dict_values([", "dict_items([",
                "[" };
        static const char *const closing[] = { "]", ")", "", "])", "])", "])", "]" };
        int r;

        if (list->flavour == JINJA_RANGE)
                return write_range(builder, list);
        r = qvf_jinja_build_literal(builder, opening[list->flavour]);
        for (size_t i = 0; r >= 0 && i < list->count; i++) {
                if (i > 0)
                        r = qvf_jinja_build_literal(builder, ", ");
                if (r >= 0)
                        r = qvf_jinja_write_repr(builder, &list->items[i]);
        }
        if (r >= 0 && list->flavour == JINJA_TUPLE && list->count == 1)
                r = qvf_jinja_build_literal(builder, ",");
        return r < 0 ? r : qvf_jinja_build_literal(builder, closing[list->flavour]);
}

static int write_dict(struct jinja_builder *builder, const struct jinja_dict *dict)
{
        int r = qvf_jinja_build_literal(builder, dict->is_namespace ? "<Namespace {" : "{");

        for (uint32_t i = 0; r >= 0 && i < dict->count; i++) {
                if (i > 0)
                        r = qvf_jinja_build_literal(builder, ", ");
                if (r >= 0)
                        r = qvf_jinja_write_repr(builder, &dict->entries[i].key);
                if (r >= 0)
                        r = qvf_jinja_build_literal(builder, ": ");
                if (r >= 0)
                        r = qvf_jinja_write_repr(builder, &dict->entries[i].value);
        }
        return r < 0 ? r : qvf_jinja_build_literal(builder, dict->is_namespace ? "}>" : "}");
}

static int write_other(struct jinja_builder *builder, const struct jinja_value *value)
{
        char text[128] = "";

        switch (value->kind) {
        case JINJA_LOOP:
                snprintf(text, sizeof(text), "<LoopContext %zu/%zu>", value->loop->index + 1,
                                value->loop->items->count);
                break;
        case JINJA_MACRO:
                snprintf(text, sizeof(text), "<Macro '%.*s'>",
                                (int)(value->macro->node->length < 64 ? value->macro->node->length : 64),
                                value->macro->node->text);
                break;
        case JINJA_BUILTIN:
                snprintf(text, sizeof(text), "<function %s>", value->builtin->builtin->name);
                break;
        default: snprintf(text, sizeof(text), "<%s>", qvf_jinja_kind_name(value)); break;
        }
        return qvf_jinja_build_literal(builder, text);
}

/* Finding the shortest digits takes up to 17 conversions in both directions. */
#define FLOAT_STEPS 20

static int write_value(struct jinja_builder *builder, const struct jinja_value *value, bool quoted)
{
        char number[32];
        int r;

        switch (value->kind) {
        case JINJA_ABSENT: return 0;
        case JINJA_UNDEFINED: return quoted ? qvf_jinja_build_literal(builder, "Undefined") : 0;
        case JINJA_NONE: return qvf_jinja_build_literal(builder, "None");
        case JINJA_BOOLEAN: return qvf_jinja_build_literal(builder, value->boolean ? "True" : "False");
        case JINJA_INTEGER: return write_integer(builder, value->integer);
        case JINJA_FLOAT:
                qvf_jinja_format_float(value->real, number);
                r = qvf_jinja_charge(builder->machine, FLOAT_STEPS);
                return r < 0 ? r : qvf_jinja_build_literal(builder, number);
        case JINJA_STRING:
                return quoted ? write_quoted(builder, &value->string)
                              : qvf_jinja_build_string(builder, &value->string);
        case JINJA_LIST: return write_list(builder, value->list);
        case JINJA_DICT: return write_dict(builder, value->dict);
        default: return write_other(builder, value);
        }
}

static int write_nested(struct jinja_builder *builder, const struct jinja_value *value, bool quoted)
{
        int r = qvf_jinja_enter(builder->machine);

        if (r < 0)
                return r;
        r = write_value(builder, value, quoted);
        qvf_jinja_leave(builder->machine);
        return r;
}

int qvf_jinja_write(struct jinja_builder *builder, const struct jinja_value *value)
{
        return write_nested(builder, value, false);
}

int qvf_jinja_write_repr(struct jinja_builder *builder, const struct jinja_value *value)
{
        return write_nested(builder, value, true);
}

int qvf_jinja_to_string(struct jinja_machine *machine, const struct jinja_value *value,
                struct jinja_string *ret_string)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        struct jinja_value result;
        int r;

        if (value->kind == JINJA_STRING) {
                *ret_string = value->string;
                return 0;
        }
        r = qvf_jinja_write(&builder, value);
        if (r >= 0)
                r = qvf_jinja_build_finish(&builder, &result);
        if (r >= 0)
                *ret_string = result.string;
        return r;
}

/* Copies a number without blanks around it and underscores in it; false where it is too long to be one. */
static bool copy_number(const struct jinja_string *string, char text[80])
{
        uint32_t from = 0, to = string->length;
        size_t length = 0, space;

        while ((space = qvf_jinja_space_length(string->bytes + from, to - from)) > 0)
                from += (uint32_t)space;
        while ((space = qvf_jinja_space_length_before(string->bytes + from, to - from)) > 0)
                to -= (uint32_t)space;
        if (to == from || to - from > 79)
                return false;
        for (uint32_t i = from; i < to; i++) {
                char c = string->bytes[i];

                if (c == '_' && i > from && i + 1 < to && string->bytes[i - 1] != '_')
                        continue;
                if (c == '_' || c <= ' ')
                        return false;
                text[length++] = c;
        }
        text[length] = 0;
        return true;
}

bool qvf_jinja_parse_integer(const struct jinja_string *string, int base, int64_t *ret_number)
{
        char text[80], *end, *digits = text;
        long long number;
        char sign = 0;

        if (!copy_number(string, text) || base == 1 || base < 0 || base > 36)
                return false;
        if (*digits == '-' || *digits == '+')
                sign = *digits++;
        if (digits[0] == '0' && digits[1] && (base == 2 || base == 8 || base == 0)) {
                char mark = digits[1] | 0x20;
                int marked = mark == 'b' ? 2 : mark == 'o' ? 8 : mark == 'x' ? 16 : 0;

                if (marked && (base == 0 || base == marked)) {
                        base = marked;
                        digits += 2;
                }
        }
        if (*digits == '-' || *digits == '+')
                return false;
        errno = 0;
        number = strtoll(digits, &end, base ? base : 10);
        if (*end || end == digits || errno == ERANGE)
                return false;
        *ret_number = sign == '-' ? -number : number;
        return true;
}

bool qvf_jinja_parse_float(const struct jinja_string *string, double *ret_number)
{
        char text[80], *end;

        if (!copy_number(string, text) || strpbrk(text, "xX(")) /* strtod knows more forms than Python */
                return false;
        *ret_number = strtod(text, &end);
        return *end == 0 && end != text;
}
