/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from the caller (tools, further members of a message) as values. Strings without escapes are not
 * copied: the text must outlive the rendering. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "engine/template/machine.h"

struct reader {
        struct jinja_machine *machine;
        const char *what;
        const char *text;
        size_t length;
        size_t at;
        uint32_t origin;
};

static int read_value(struct reader *reader, struct jinja_value *ret_value);

static int fail(const struct reader *reader, const char *expected)
{
        return qvf_jinja_fail(reader->machine, -EILSEQ, "%s: JSON, offset %zu: expected %s", reader->what,
                        reader->at, expected);
}

static char peek(const struct reader *reader)
{
        return reader->at < reader->length ? reader->text[reader->at] : 0;
}

static void skip_space(struct reader *reader)
{
        while (peek(reader) && strchr(" \t\r\n", peek(reader)))
                reader->at++;
}

static bool read_hex(struct reader *reader, uint32_t *ret_number)
{
        uint32_t number = 0;

        for (int i = 0; i < 4; i++, reader->at++) {
                static const char digits[] = "0123456789abcdef";
                char c = peek(reader);
                const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

                if (!digit)
                        return false;
                number = number << 4 | (uint32_t)(digit - digits);
        }
        *ret_number = number;
        return true;
}

/* Behind a backslash. A surrogate without its partner becomes U+FFFD. */
static int read_escape(struct reader *reader, struct jinja_builder *builder)
{
        static const char letters[] = "\"\\/nrtbf", values[] = "\"\\/\n\r\t\b\f";
        char c = peek(reader);
        const char *letter = c ? strchr(letters, c) : NULL;
        uint32_t codepoint, low;
        size_t after;

        if (!letter && c != 'u')
                return fail(reader, "an escape");
        reader->at++;
        if (letter)
                return qvf_jinja_build(builder, &values[letter - letters], 1, reader->origin);
        if (!read_hex(reader, &codepoint))
                return fail(reader, "four hexadecimal digits");
        after = reader->at;
        if (codepoint >= 0xd800 && codepoint < 0xdc00 && peek(reader) == '\\') {
                reader->at++;
                if (peek(reader) == 'u') {
                        reader->at++;
                        if (read_hex(reader, &low) && low >= 0xdc00 && low < 0xe000) {
                                codepoint = 0x10000 + ((codepoint - 0xd800) << 10) + (low - 0xdc00);
                                after = reader->at;
                        }
                }
                reader->at = after;
        }
        return qvf_jinja_build_codepoint(builder, codepoint, reader->origin);
}

static int read_string(struct reader *reader, struct jinja_value *ret_value)
{
        _cleanup_builder_ struct jinja_builder builder = { .machine = reader->machine };
        size_t start = ++reader->at;
        bool has_escapes = false;
        int r = 0;

        while (r >= 0 && peek(reader) != '"') {
                size_t plain = reader->at;

                while ((unsigned char)peek(reader) >= 0x20 && peek(reader) != '"' && peek(reader) != '\\')
                        reader->at++;
                if (peek(reader) == '"' && !has_escapes)
                        break;
                r = qvf_jinja_build(&builder, reader->text + plain, reader->at - plain, reader->origin);
                if (r < 0 || peek(reader) == '"')
                        continue;
                if (peek(reader) != '\\')
                        return fail(reader, "'\"' at the end of a string, and control characters escaped");
                reader->at++;
                has_escapes = true;
                r = read_escape(reader, &builder);
        }
        if (r < 0)
                return r;
        reader->at++;
        if (has_escapes)
                return qvf_jinja_build_finish(&builder, ret_value);
        *ret_value = qvf_jinja_string(reader->text + start, reader->at - 1 - start, reader->origin);
        return 0;
}

static int read_number(struct reader *reader, struct jinja_value *ret_value)
{
        struct jinja_string number = { .bytes = reader->text + reader->at };
        bool is_real = false;
        size_t digits;

        while (peek(reader) && strchr("0123456789+-.eE", peek(reader))) {
                is_real |= strchr(".eE", peek(reader)) != NULL;
                reader->at++;
                number.length++;
        }
        digits = number.length > 0 && number.bytes[0] == '-';
        if (digits >= number.length || number.bytes[digits] < '0' || number.bytes[digits] > '9')
                return fail(reader, "a value");
        ret_value->kind = JINJA_INTEGER;
        if (!is_real && qvf_jinja_parse_integer(&number, 10, &ret_value->integer))
                return 0;
        ret_value->kind = JINJA_FLOAT;
        if (!qvf_jinja_parse_float(&number, &ret_value->real))
                return fail(reader, "a number");
        return 0;
}

static int read_array(struct reader *reader, struct jinja_value *ret_value)
{
        struct jinja_value *items = NULL, list;
        size_t count = 0, capacity = 0;
        int r = 0;

        reader->at++;
        for (skip_space(reader); peek(reader) != ']' || count > 0; skip_space(reader)) {
                if (count == capacity) {
                        struct jinja_value *larger;

                        capacity = capacity ? capacity * 2 : 4;
                        larger = qvf_jinja_allocate(reader->machine, capacity, sizeof(*larger));
                        if (!larger)
                                return -E2BIG;
                        if (count > 0)
                                memcpy(larger, items, count * sizeof(*items));
                        items = larger;
                }
                r = read_value(reader, &items[count++]);
                if (r < 0)
                        return r;
                skip_space(reader);
                if (peek(reader) == ']')
                        break;
                if (peek(reader) != ',')
                        return fail(reader, "',' or ']'");
                reader->at++;
        }
        reader->at++;
        r = qvf_jinja_list_new(reader->machine, 0, JINJA_PLAIN, &list);
        if (r < 0)
                return r;
        list.list->items = items ? items : list.list->items;
        list.list->count = count;
        *ret_value = list;
        return 0;
}

static int read_object(struct reader *reader, struct jinja_value *ret_value)
{
        struct jinja_value dict, key, value;
        int r = qvf_jinja_dict_new(reader->machine, &dict);

        reader->at++;
        for (skip_space(reader); r >= 0 && (peek(reader) != '}' || dict.dict->count > 0);
                        skip_space(reader)) {
                if (peek(reader) != '"')
                        return fail(reader, "a key in '\"'");
                r = read_string(reader, &key);
                if (r < 0)
                        return r;
                skip_space(reader);
                if (peek(reader) != ':')
                        return fail(reader, "':'");
                reader->at++;
                r = read_value(reader, &value);
                if (r >= 0)
                        r = qvf_jinja_dict_set(reader->machine, dict.dict, &key, &value);
                if (r < 0)
                        return r;
                skip_space(reader);
                if (peek(reader) == '}')
                        break;
                if (peek(reader) != ',')
                        return fail(reader, "',' or '}'");
                reader->at++;
        }
        reader->at++;
        if (r >= 0)
                *ret_value = dict;
        return r;
}

static bool read_word(struct reader *reader, const char *word)
{
        size_t length = strlen(word);

        if (length > reader->length - reader->at || memcmp(reader->text + reader->at, word, length) != 0)
                return false;
        reader->at += length;
        return true;
}

static int read_value(struct reader *reader, struct jinja_value *ret_value)
{
        int r = qvf_jinja_enter(reader->machine);

        if (r < 0)
                return r;
        skip_space(reader);
        if (peek(reader) == '{')
                r = read_object(reader, ret_value);
        else if (peek(reader) == '[')
                r = read_array(reader, ret_value);
        else if (peek(reader) == '"')
                r = read_string(reader, ret_value);
        else if (read_word(reader, "true"))
                *ret_value = JINJA_VALUE_BOOLEAN(true);
        else if (read_word(reader, "false"))
                *ret_value = JINJA_VALUE_BOOLEAN(false);
        else if (read_word(reader, "null"))
                *ret_value = JINJA_VALUE_NONE;
        else
                r = read_number(reader, ret_value);
        qvf_jinja_leave(reader->machine);
        return r;
}

int qvf_jinja_json_read(struct jinja_machine *machine, const char *what, const char *text, size_t length,
                uint32_t origin, struct jinja_value *ret_value)
{
        struct reader reader = { machine, what, text, length, 0, origin };
        struct jinja_value value;
        int r = read_value(&reader, &value);

        if (r < 0)
                return r;
        skip_space(&reader);
        if (reader.at < length)
                return fail(&reader, "nothing behind the value");
        *ret_value = value;
        return 0;
}
