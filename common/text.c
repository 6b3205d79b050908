/* SPDX-License-Identifier: Apache-2.0 */
#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int reserve(struct qvf_text *text, size_t more)
{
        size_t limit = text->limit ? text->limit : QVF_TEXT_LIMIT;
        size_t capacity = text->capacity ? text->capacity : 64;
        char *bytes;

        if (more > limit || text->length > limit - more)
                return -E2BIG;
        if (text->length + more < text->capacity)
                return 0;
        while (capacity <= text->length + more)
                capacity *= 2;
        bytes = realloc(text->bytes, capacity);
        if (!bytes)
                return -ENOMEM;
        text->bytes = bytes;
        text->capacity = capacity;
        return 0;
}

int qvf_text_append(struct qvf_text *text, const void *bytes, size_t length)
{
        int r = reserve(text, length);

        if (r < 0)
                return r;
        if (length)
                memcpy(text->bytes + text->length, bytes, length);
        text->length += length;
        text->bytes[text->length] = 0;
        return 0;
}

int qvf_text_append_string(struct qvf_text *text, const char *string)
{
        return qvf_text_append(text, string, strlen(string));
}

int qvf_text_append_char(struct qvf_text *text, char byte)
{
        return qvf_text_append(text, &byte, 1);
}

int qvf_text_append_codepoint(struct qvf_text *text, uint32_t codepoint)
{
        char bytes[4];
        size_t length = qvf_utf8_encode(codepoint, bytes);

        return qvf_text_append(text, bytes, length);
}

int qvf_text_appendf(struct qvf_text *text, const char *format, ...)
{
        va_list arguments;
        int length, r;

        va_start(arguments, format);
        length = vsnprintf(NULL, 0, format, arguments);
        va_end(arguments);
        if (length < 0)
                return -EINVAL;
        r = reserve(text, (size_t)length);
        if (r < 0)
                return r;
        va_start(arguments, format);
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
        text->length += (size_t)length;
        return 0;
}

void qvf_text_clear(struct qvf_text *text)
{
        text->length = 0;
        if (text->bytes)
                text->bytes[0] = 0;
}

void qvf_text_exit(struct qvf_text *text)
{
        free(text->bytes);
        *text = (struct qvf_text){ .limit = text->limit };
}

const char *qvf_text_string(const struct qvf_text *text)
{
        return text->bytes ? text->bytes : "";
}

size_t qvf_utf8_decode(const char *bytes, size_t length, uint32_t *ret_codepoint)
{
        static const uint32_t smallest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *in = (const unsigned char *)bytes;
        uint32_t codepoint;
        size_t size;

        if (length == 0)
                return 0;
        if (in[0] < 0x80) {
                *ret_codepoint = in[0];
                return 1;
        }
        if (in[0] < 0xc2 || in[0] > 0xf4)
                return 0;
        size = in[0] < 0xe0 ? 2 : in[0] < 0xf0 ? 3 : 4;
        if (size > length)
                return 0;
        codepoint = in[0] & (0xffu >> (size + 1));
        for (size_t i = 1; i < size; i++) {
                if ((in[i] & 0xc0) != 0x80)
                        return 0;
                codepoint = codepoint << 6 | (in[i] & 0x3f);
        }
        if (codepoint < smallest[size] || codepoint > 0x10ffff ||
                        (codepoint >= 0xd800 && codepoint < 0xe000))
                return 0;
        *ret_codepoint = codepoint;
        return size;
}

size_t qvf_utf8_encode(uint32_t codepoint, char bytes[4])
{
        if (codepoint > 0x10ffff || (codepoint >= 0xd800 && codepoint < 0xe000))
                codepoint = 0xfffd;
        if (codepoint < 0x80) {
                bytes[0] = (char)codepoint;
                return 1;
        }
        if (codepoint < 0x800) {
                bytes[0] = (char)(0xc0 | codepoint >> 6);
                bytes[1] = (char)(0x80 | (codepoint & 0x3f));
                return 2;
        }
        if (codepoint < 0x10000) {
                bytes[0] = (char)(0xe0 | codepoint >> 12);
                bytes[1] = (char)(0x80 | (codepoint >> 6 & 0x3f));
                bytes[2] = (char)(0x80 | (codepoint & 0x3f));
                return 3;
        }
        bytes[0] = (char)(0xf0 | codepoint >> 18);
        bytes[1] = (char)(0x80 | (codepoint >> 12 & 0x3f));
        bytes[2] = (char)(0x80 | (codepoint >> 6 & 0x3f));
        bytes[3] = (char)(0x80 | (codepoint & 0x3f));
        return 4;
}

size_t qvf_utf8_valid_prefix(const char *bytes, size_t length)
{
        size_t at = 0;
        uint32_t codepoint;

        while (at < length) {
                size_t size = qvf_utf8_decode(bytes + at, length - at, &codepoint);

                if (size == 0)
                        break;
                at += size;
        }
        return at;
}
