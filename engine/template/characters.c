/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/characters.h"

#include "common/checked.h"
#include "common/text.h"
#include "engine/template/case_table.h"

struct range {
        uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t codepoint)
{
        for (size_t i = 0; i < count; i++)
                if (codepoint >= ranges[i].first && codepoint <= ranges[i].last)
                        return true;
        return false;
}

bool qvf_jinja_is_space(uint32_t codepoint)
{
        static const struct range spaces[] = { { 0x09, 0x0d }, { 0x1c, 0x20 }, { 0x85, 0x85 },
                { 0xa0, 0xa0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 },
                { 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 } };

        return is_in(spaces, QVF_ARRAY_LENGTH(spaces), codepoint);
}

bool qvf_jinja_is_line_end(uint32_t codepoint)
{
        static const struct range ends[] = { { 0x0a, 0x0d }, { 0x1c, 0x1e }, { 0x85, 0x85 },
                { 0x2028, 0x2029 } };

        return is_in(ends, QVF_ARRAY_LENGTH(ends), codepoint);
}

bool qvf_jinja_is_printable(uint32_t codepoint)
{
        /* Controls, separators, formats, surrogates and private use; unassigned ones are let through. */
        static const struct range hidden[] = { { 0x00, 0x1f }, { 0x7f, 0xa0 }, { 0xad, 0xad },
                { 0x600, 0x605 }, { 0x61c, 0x61c }, { 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x1680, 0x1680 },
                { 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
                { 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb },
                { 0xfffe, 0xffff }, { 0xe0000, 0xe00ff }, { 0xf0000, 0x10ffff } };

        return !is_in(hidden, QVF_ARRAY_LENGTH(hidden), codepoint);
}

size_t qvf_jinja_space_length(const char *text, size_t length)
{
        uint32_t codepoint;
        size_t size;

        if (length == 0 || (text[0] > ' ' && text[0] < 0x7f))
                return 0;
        size = qvf_utf8_decode(text, length, &codepoint);
        return size > 0 && qvf_jinja_is_space(codepoint) ? size : 0;
}

size_t qvf_jinja_space_length_before(const char *text, size_t length)
{
        size_t size = 1;

        if (length == 0)
                return 0;
        while (size < 4 && size < length && (text[length - size] & 0xc0) == 0x80)
                size++;
        return qvf_jinja_space_length(text + length - size, size) == size ? size : 0;
}

bool qvf_jinja_is_name_byte(char byte)
{
        char lower = byte | 0x20;

        return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' ||
               (byte & 0x80);
}

static uint32_t map(const struct case_range *ranges, size_t count, uint32_t codepoint)
{
        size_t low = 0, high = count;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (codepoint > ranges[middle].last)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == count || codepoint < ranges[low].first ||
                        (codepoint - ranges[low].first) % ranges[low].stride != 0)
                return codepoint;
        return codepoint + (uint32_t)ranges[low].delta;
}

uint32_t qvf_jinja_upper(uint32_t codepoint)
{
        if (codepoint < 0x80)
                return codepoint >= 'a' && codepoint <= 'z' ? codepoint - 32 : codepoint;
        return map(to_upper, QVF_ARRAY_LENGTH(to_upper), codepoint);
}

uint32_t qvf_jinja_lower(uint32_t codepoint)
{
        if (codepoint < 0x80)
                return codepoint >= 'A' && codepoint <= 'Z' ? codepoint + 32 : codepoint;
        return map(to_lower, QVF_ARRAY_LENGTH(to_lower), codepoint);
}
