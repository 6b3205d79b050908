/* SPDX-License-Identifier: Apache-2.0 */
/* Plain text: one document, or several with lines between them that part them. */
#include <string.h>

#include "engine/data/reading.h"

struct text_document {
        size_t start, end; /* offsets in the file */
        bool has_text;
        int result; /* what is wrong with a line of it */
        struct qvf_error error;
};

static bool parts(const char *separator, const struct qvf_line *line)
{
        if (!separator)
                return false;
        if (separator[0] == 0)
                return qvf_line_is_blank(line);
        return line->length == strlen(separator) && memcmp(line->bytes, separator, line->length) == 0;
}

static int take(struct qvf_data_reading *reading, struct text_document *document)
{
        const char *bytes = reading->lines.bytes + document->start;
        size_t length = document->end - document->start;
        int r = qvf_data_begin_document(reading);

        if (r < 0)
                return r;
        if (document->result < 0)
                return qvf_data_end_document(reading, document->result, &document->error);
        /* The newline before a line that parts belongs to it. */
        if (reading->options->separator && length > 0 && bytes[length - 1] == '\n')
                length -= length > 1 && bytes[length - 2] == '\r' ? 2 : 1;
        r = document->has_text ? qvf_data_encode_text(&reading->encoder, bytes, length, &reading->tokens,
                                                 &document->error)
                               : 0;
        if (r < 0 && document->error.code)
                qvf_error_prefix(&document->error, "%s", reading->lines.name);
        return qvf_data_end_document(reading, r, &document->error);
}

int qvf_data_read_text(struct qvf_data_reading *reading)
{
        const char *separator = reading->options->separator;
        struct text_document document = { .start = reading->lines.at, .end = reading->lines.at };
        struct qvf_line line;
        int r = 0;

        while (r >= 0 && qvf_line_reader_next(&reading->lines, &line)) {
                bool is_blank = qvf_line_is_blank(&line);

                reading->counts.lines++;
                reading->counts.blank_lines += is_blank;
                if (!parts(separator, &line)) {
                        if (document.result >= 0)
                                document.result =
                                                qvf_line_check_text(&reading->lines, &line, &document.error);
                        document.has_text |= !is_blank;
                        document.end = line.end;
                        continue;
                }
                /* Several blank lines part as one does. */
                if (document.end > document.start || separator[0])
                        r = take(reading, &document);
                document = (struct text_document){ .start = line.end, .end = line.end };
        }
        if (r >= 0 && (document.end > document.start || !separator))
                r = take(reading, &document);
        return r;
}
