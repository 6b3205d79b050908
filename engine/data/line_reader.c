/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/line_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

void qvf_line_reader_init(struct qvf_line_reader *reader, const char *name, const void *bytes, size_t size)
{
        bool has_mark = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0;

        *reader = (struct qvf_line_reader){
                .name = name, .bytes = bytes, .size = size, .at = has_mark ? 3 : 0
        };
}

bool qvf_line_reader_next(struct qvf_line_reader *reader, struct qvf_line *ret_line)
{
        struct qvf_line line = { .start = reader->at };
        const char *newline;

        if (reader->at >= reader->size)
                return false;
        line.bytes = reader->bytes + reader->at;
        newline = memchr(line.bytes, '\n', reader->size - reader->at);
        line.length = newline ? (size_t)(newline - line.bytes) : reader->size - reader->at;
        line.end = line.start + line.length + (newline != NULL);
        if (line.length > 0 && line.bytes[line.length - 1] == '\r')
                line.length--;
        reader->at = line.end;
        reader->line++;
        *ret_line = line;
        return true;
}

bool qvf_line_is_blank(const struct qvf_line *line)
{
        for (size_t i = 0; i < line->length; i++)
                if (!memchr(" \t\r\v\f", line->bytes[i], 5))
                        return false;
        return true;
}

size_t qvf_line_column(const char *line, size_t offset)
{
        size_t at = 0, column = 1;

        while (at < offset) {
                uint32_t codepoint;
                size_t length = qvf_utf8_decode(line + at, offset - at, &codepoint);

                at += length ? length : 1;
                column++;
        }
        return column;
}

int qvf_line_error(const struct qvf_line_reader *reader, const struct qvf_line *line, size_t offset,
                struct qvf_error *error, const char *format, ...)
{
        char words[768];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(words, sizeof(words), format, arguments);
        va_end(arguments);
        return qvf_error_set(error, -EBADMSG, "%s:%llu:%zu: %s", reader->name,
                        (unsigned long long)reader->line, qvf_line_column(line->bytes, offset), words);
}

int qvf_line_check_text(
                const struct qvf_line_reader *reader, const struct qvf_line *line, struct qvf_error *error)
{
        size_t valid = qvf_utf8_valid_prefix(line->bytes, line->length);
        const char *nul = memchr(line->bytes, 0, valid);

        if (nul)
                return qvf_line_error(reader, line, (size_t)(nul - line->bytes), error,
                                "a NUL byte, expected text");
        if (valid < line->length)
                return qvf_line_error(reader, line, valid, error,
                                "the byte 0x%02x is no UTF-8, expected text in UTF-8",
                                (uint8_t)line->bytes[valid]);
        return 0;
}
