/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/format.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Widths and precisions beyond this are mistakes. */
#define WIDTH_MAX 1000
#define PRECISION_MAX 60

/* Printing a large float with many digits takes some microseconds. */
#define NUMBER_STEPS 50

struct spec {
        uint32_t fill;
        char align; /* '<', '>', '^', '=' (between sign and digits) or 0 */
        char sign;  /* '+', ' ' or 0 */
        bool alternate, comma;
        uint32_t width;
        int precision; /* -1: none */
        char type;     /* 0: none */
};

static int fail(struct jinja_machine *machine, const char *what)
{
        return qvf_jinja_fail(machine, -EINVAL, "in a format: %s", what);
}

static char at(const struct jinja_string *format, uint32_t offset)
{
        return offset < format->length ? format->bytes[offset] : 0;
}

/* A number at *offset, if there is one; -1 where it is beyond `most`. */
static int read_number(const struct jinja_string *format, uint32_t *offset, int most)
{
        int number = 0;

        for (; isdigit((unsigned char)at(format, *offset)); (*offset)++) {
                number = number * 10 + (at(format, *offset) - '0');
                if (number > most)
                        return -1;
        }
        return number;
}

static int read_width(struct jinja_machine *machine, const struct jinja_string *format, uint32_t *offset,
                struct spec *spec)
{
        int width = read_number(format, offset, WIDTH_MAX);

        if (width < 0)
                return fail(machine, "the width is more than 1000");
        spec->width = (uint32_t)width;
        if (at(format, *offset) == ',') {
                spec->comma = true;
                (*offset)++;
        }
        if (at(format, *offset) != '.')
                return 0;
        (*offset)++;
        spec->precision = read_number(format, offset, PRECISION_MAX);
        return spec->precision < 0 ? fail(machine, "the precision is more than 60") : 0;
}

/* Puts `text` into the width; `prefix` bytes of it are the sign. */
static int write_padded(struct jinja_builder *builder, const struct jinja_string *text, uint32_t prefix,
                const struct spec *spec, char default_align)
{
        uint32_t count = qvf_jinja_string_count(text);
        uint32_t missing = spec->width > count ? spec->width - count : 0;
        char align = spec->align ? spec->align : default_align;
        uint32_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
        uint32_t inside = align == '=' ? missing : 0;
        int r = 0;

        for (uint32_t i = 0; r >= 0 && i < before; i++)
                r = qvf_jinja_build_codepoint(builder, spec->fill, 0);
        if (r >= 0)
                r = qvf_jinja_build_slice(builder, text, 0, prefix);
        for (uint32_t i = 0; r >= 0 && i < inside; i++)
                r = qvf_jinja_build_codepoint(builder, spec->fill, 0);
        if (r >= 0)
                r = qvf_jinja_build_slice(builder, text, prefix, text->length);
        for (uint32_t i = before + inside; r >= 0 && i < missing; i++)
                r = qvf_jinja_build_codepoint(builder, spec->fill, 0);
        return r;
}

/* Puts a comma between every three digits before the point. */
static void group(char *text, size_t size)
{
        size_t digits = strspn(text, "0123456789"), length = strlen(text);

        for (size_t left = digits; left > 3 && length + 1 < size; length++) {
                left -= 3;
                memmove(text + left + 1, text + left, length + 1 - left);
                text[left] = ',';
        }
}

static int write_number(
                struct jinja_builder *builder, const struct jinja_value *value, const struct spec *spec)
{
        bool is_integer = value->kind != JINJA_FLOAT;
        int64_t integer = value->kind == JINJA_BOOLEAN ? value->boolean : is_integer ? value->integer : 0;
        double real = is_integer ? (double)integer : value->real;
        bool negative = is_integer ? integer < 0 : real < 0;
        uint64_t magnitude = negative ? 0 - (uint64_t)integer : (uint64_t)integer;
        char type = spec->type ? spec->type : is_integer ? 'd' : 0, text[512], number[480];
        struct jinja_value result;
        int precision = spec->precision < 0 ? 6 : spec->precision, r;

        real = negative ? -real : real;
        if (type == 'd' || type == 'i' || type == 'u' || type == 'n') {
                if (!is_integer && real >= 9e18)
                        return fail(builder->machine, "the number does not fit an integer of 64 bits");
                snprintf(number, sizeof(number), "%llu",
                                (unsigned long long)(is_integer ? magnitude : (uint64_t)real));
        } else if (type == 'x' || type == 'X' || type == 'o') {
                snprintf(number, sizeof(number),
                                type == 'x'   ? (spec->alternate ? "%#llx" : "%llx")
                                : type == 'X' ? (spec->alternate ? "%#llX" : "%llX")
                                              : "%llo",
                                (unsigned long long)magnitude);
        } else if (type == '%') {
                snprintf(number, sizeof(number), "%.*f%%", precision, real * 100);
        } else if (type == 'f' || type == 'F') {
                snprintf(number, sizeof(number), "%.*f", precision, real);
        } else if (type == 'e' || type == 'E') {
                snprintf(number, sizeof(number), type == 'e' ? "%.*e" : "%.*E", precision, real);
        } else if (type == 'g' || type == 'G') {
                snprintf(number, sizeof(number), type == 'g' ? "%.*g" : "%.*G", precision, real);
        } else if (type == 0 && spec->precision < 0) {
                qvf_jinja_format_float(real, number);
        } else {
                return fail(builder->machine, "this type does not apply to a number");
        }
        if (spec->comma)
                group(number, sizeof(number));
        r = qvf_jinja_charge(builder->machine, NUMBER_STEPS);
        if (r < 0)
                return r;
        snprintf(text, sizeof(text), "%s%s",
                        negative            ? "-"
                        : spec->sign == '+' ? "+"
                        : spec->sign        ? " "
                                            : "",
                        number);
        result = qvf_jinja_literal(text);
        return write_padded(builder, &result.string, (uint32_t)(strlen(text) - strlen(number)), spec, '>');
}

static int write_text(struct jinja_builder *builder, const struct jinja_value *value,
                const struct spec *spec, bool as_repr, char default_align)
{
        _cleanup_builder_ struct jinja_builder inner = { .machine = builder->machine };
        struct jinja_value text;
        int r = as_repr ? qvf_jinja_write_repr(&inner, value) : qvf_jinja_write(&inner, value);

        if (r >= 0)
                r = qvf_jinja_build_finish(&inner, &text);
        if (r >= 0)
                r = qvf_jinja_charge_characters(builder->machine, text.string.length);
        if (r >= 0 && spec->precision >= 0)
                r = qvf_jinja_string_slice(builder->machine, &text.string, 0,
                                qvf_jinja_string_offset(&text.string, (uint32_t)spec->precision), &text);
        return r < 0 ? r : write_padded(builder, &text.string, 0, spec, default_align);
}

static int read_percent(struct jinja_machine *machine, const struct jinja_string *format, uint32_t *offset,
                struct spec *spec)
{
        int r;

        *spec = (struct spec){ .fill = ' ', .precision = -1 };
        for (;; (*offset)++) {
                char flag = at(format, *offset);

                if (flag == '-')
                        spec->align = '<';
                else if (flag == '0' && spec->align != '<')
                        spec->align = '=';
                else if (flag == '+' || (flag == ' ' && spec->sign != '+'))
                        spec->sign = flag;
                else if (flag == '#')
                        spec->alternate = true;
                else if (flag != ' ' && flag != '0')
                        break;
        }
        spec->fill = spec->align == '=' ? '0' : ' ';
        r = read_width(machine, format, offset, spec);
        spec->type = at(format, *offset);
        if (r >= 0 && !spec->type)
                r = fail(machine, "expected a type like s or d behind '%'");
        (*offset)++;
        return r;
}

/* As in Python: what can be indexed, but for tuples and strings, might be meant for %(name)s. */
static bool may_be_left(const struct jinja_value *values)
{
        if (values->kind == JINJA_LIST)
                return values->list->flavour == JINJA_PLAIN || values->list->flavour == JINJA_RANGE;
        return values->kind == JINJA_DICT || values->kind == JINJA_UNDEFINED;
}

int qvf_jinja_format_percent(struct jinja_machine *machine, const struct jinja_string *format,
                const struct jinja_value *values, struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        bool is_tuple = values->kind == JINJA_LIST && values->list->flavour == JINJA_TUPLE;
        size_t count = is_tuple ? values->list->count : 1, used = 0;
        uint32_t plain = 0, offset = 0;
        int r = 0;

        while (r >= 0 && offset < format->length) {
                const struct jinja_value *value;
                struct spec spec;

                if (format->bytes[offset++] != '%')
                        continue;
                r = qvf_jinja_build_slice(&builder, format, plain, offset - 1);
                if (r >= 0)
                        r = read_percent(machine, format, &offset, &spec);
                if (r < 0)
                        return r;
                plain = offset;
                if (spec.type == '%') {
                        r = qvf_jinja_build_literal(&builder, "%");
                        continue;
                }
                if (used == count)
                        return fail(machine, "there are fewer values than places");
                value = is_tuple ? &values->list->items[used] : values;
                used++;
                if (spec.type == 's' || spec.type == 'r') {
                        if (spec.align == '=')
                                spec.align = 0, spec.fill = ' ';
                        r = write_text(&builder, value, &spec, spec.type == 'r', '>');
                } else if (!strchr("diufFeEgGxXo", spec.type) || !qvf_jinja_is_number(value)) {
                        return fail(machine, "this type does not apply to this value");
                } else {
                        r = write_number(&builder, value, &spec);
                }
        }
        if (r >= 0 && used < count && !may_be_left(values))
                return fail(machine, "there are more values than places");
        if (r >= 0)
                r = qvf_jinja_build_slice(&builder, format, plain, format->length);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}

static int read_braces_spec(struct jinja_machine *machine, const struct jinja_string *format,
                uint32_t *offset, struct spec *spec)
{
        uint32_t codepoint, size;
        int r;

        if (*offset < format->length) {
                size = qvf_jinja_string_step(format, *offset, &codepoint);
                if (at(format, *offset + size) && strchr("<>^=", at(format, *offset + size))) {
                        spec->fill = codepoint;
                        spec->align = at(format, *offset + size);
                        *offset += size + 1;
                } else if (strchr("<>^=", at(format, *offset)) && at(format, *offset)) {
                        spec->align = at(format, (*offset)++);
                }
        }
        if (at(format, *offset) == '+' || at(format, *offset) == ' ' || at(format, *offset) == '-') {
                spec->sign = at(format, *offset) == '-' ? 0 : at(format, *offset);
                (*offset)++;
        }
        if (at(format, *offset) == '#') {
                spec->alternate = true;
                (*offset)++;
        }
        if (at(format, *offset) == '0' && !spec->align) {
                spec->align = '=';
                spec->fill = '0';
        }
        r = read_width(machine, format, offset, spec);
        if (r >= 0 && at(format, *offset) && strchr("sdfFeEgGxXo%n", at(format, *offset)))
                spec->type = at(format, (*offset)++);
        return r;
}

/* The argument that a field names: nothing (the next one), a number, or a name; then .attributes. */
static int find_argument(struct jinja_machine *machine, const struct jinja_call *call,
                const struct jinja_string *field, size_t *next, struct jinja_value *ret_value)
{
        const char *dot = memchr(field->bytes, '.', field->length);
        struct jinja_string name = *field;
        struct jinja_value path;
        int64_t index;

        name.length = dot ? (uint32_t)(dot - field->bytes) : field->length;
        if (name.length == 0)
                index = (int64_t)(*next)++;
        else if (!qvf_jinja_parse_integer(&name, 10, &index))
                index = -1;
        ret_value->kind = JINJA_ABSENT;
        if (index >= 0 && (size_t)index < call->count)
                *ret_value = call->arguments[index];
        for (size_t i = 0; index < 0 && i < call->keyword_count; i++)
                if (call->keywords[i].name.length == name.length &&
                                memcmp(call->keywords[i].name.bytes, name.bytes, name.length) == 0)
                        *ret_value = call->keywords[i].value;
        if (ret_value->kind == JINJA_ABSENT)
                return fail(machine, "a place has no value");
        if (!dot)
                return 0;
        path = qvf_jinja_string(dot + 1, field->length - name.length - 1, 0);
        return qvf_jinja_path(machine, ret_value, &path, ret_value);
}

/* One {…}, behind the brace. */
static int write_field(
                struct jinja_builder *builder, struct jinja_call *call, uint32_t *offset, size_t *next)
{
        const struct jinja_string *format = &call->self.string;
        struct spec spec = { .fill = ' ', .precision = -1 };
        struct jinja_string field = { .bytes = format->bytes + *offset };
        struct jinja_value value;
        bool as_repr = false;
        int r;

        while (at(format, *offset) && !strchr("!:}", at(format, *offset)))
                (*offset)++;
        field.length = (uint32_t)(format->bytes + *offset - field.bytes);
        r = find_argument(builder->machine, call, &field, next, &value);
        if (r < 0)
                return r;
        if (at(format, *offset) == '!') {
                as_repr = at(format, *offset + 1) == 'r';
                *offset += 2;
        }
        if (at(format, *offset) == ':') {
                (*offset)++;
                r = read_braces_spec(builder->machine, format, offset, &spec);
                if (r < 0)
                        return r;
        }
        if (at(format, *offset) != '}')
                return fail(builder->machine, "expected '}'");
        (*offset)++;
        if (!as_repr && qvf_jinja_is_number(&value) && spec.type != 's' &&
                        (value.kind != JINJA_BOOLEAN || spec.type))
                return write_number(builder, &value, &spec);
        if (spec.type && spec.type != 's')
                return fail(builder->machine, "this type does not apply to this value");
        return write_text(builder, &value, &spec, as_repr, '<');
}

int qvf_jinja_format_braces(
                struct jinja_machine *machine, struct jinja_call *call, struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = machine };
        const struct jinja_string *format = &call->self.string;
        uint32_t plain = 0, offset = 0;
        size_t next = 0;
        int r = 0;

        while (r >= 0 && offset < format->length) {
                char brace = format->bytes[offset++];

                if (brace != '{' && brace != '}')
                        continue;
                if (at(format, offset) == brace) { /* doubled: stands for one */
                        r = qvf_jinja_build_slice(&builder, format, plain, offset);
                        plain = ++offset;
                        continue;
                }
                if (brace == '}')
                        return fail(machine, "a '}' stands alone");
                r = qvf_jinja_build_slice(&builder, format, plain, offset - 1);
                if (r >= 0)
                        r = write_field(&builder, call, &offset, &next);
                plain = offset;
        }
        if (r >= 0)
                r = qvf_jinja_build_slice(&builder, format, plain, format->length);
        return r < 0 ? r : qvf_jinja_build_finish(&builder, ret_value);
}
