/* SPDX-License-Identifier: Apache-2.0 */
/* JSONL: each line that is not blank is a document. */
#include <errno.h>

#include "engine/data/reading.h"

/* Says which line made the file what it is. */
static int add_kind_line(const struct qvf_data_reading *reading, struct qvf_error *error)
{
        const struct qvf_error found = *error;

        return qvf_error_set(error, -EMEDIUMTYPE, "%s, like line %llu", found.text,
                        (unsigned long long)reading->kind_line);
}

static int read_line(struct qvf_data_reading *reading, const struct qvf_line *line, struct qvf_error *error)
{
        struct qvf_data_record record;
        int r = qvf_data_record_read(&reading->lines, line, reading->kind, &record, error);

        if (r == -EMEDIUMTYPE && reading->kind_line)
                return add_kind_line(reading, error);
        if (r < 0)
                return r;
        if (reading->kind == QVF_DATA_AUTO) {
                reading->kind = record.kind;
                reading->kind_line = reading->lines.line;
        }
        r = qvf_data_encode_record(&reading->encoder, &record, &reading->tokens, error);
        qvf_data_record_exit(&record);
        if (r < 0 && error->code) {
                qvf_error_prefix(error, "%s:%llu:1", reading->lines.name,
                                (unsigned long long)reading->lines.line);
                error->code = r; /* of the line, not of what in it went wrong */
        }
        return r;
}

int qvf_data_read_jsonl(struct qvf_data_reading *reading)
{
        struct qvf_line line;
        int r = 0;

        while (r >= 0 && qvf_line_reader_next(&reading->lines, &line)) {
                struct qvf_error error = { 0 };

                reading->counts.lines++;
                if (qvf_line_is_blank(&line)) {
                        reading->counts.blank_lines++;
                        continue;
                }
                r = qvf_data_begin_document(reading);
                if (r >= 0)
                        r = qvf_data_end_document(reading, read_line(reading, &line, &error), &error);
        }
        return r;
}
