/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a text in memory, and how a place in one is called. */
#ifndef QVF_ENGINE_DATA_LINE_READER_H
#define QVF_ENGINE_DATA_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct qvf_line_reader {
        const char *name; /* of the file, for messages */
        const char *bytes;
        size_t size, at;
        uint64_t line; /* the number of the line that was read last; the first is 1 */
};

struct qvf_line {
        const char *bytes; /* without the LF or CR LF that ends it */
        size_t length;
        size_t start, end; /* offsets in the text; `end` is behind the LF */
};

/* A byte order mark at the start is passed over. */
void qvf_line_reader_init(struct qvf_line_reader *reader, const char *name, const void *bytes, size_t size);
bool qvf_line_reader_next(struct qvf_line_reader *reader, struct qvf_line *ret_line);
bool qvf_line_is_blank(const struct qvf_line *line);

/* Counted from 1, in characters, as editors do; a byte that belongs to no character counts as one. */
size_t qvf_line_column(const char *line, size_t offset);

/* Puts "NAME:LINE:COLUMN: " before the words and returns -EBADMSG, the code of what a line is to blame for. */
int qvf_line_error(const struct qvf_line_reader *reader, const struct qvf_line *line, size_t offset,
                struct qvf_error *error, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* -EBADMSG names the first byte that is NUL or no UTF-8. */
int qvf_line_check_text(
                const struct qvf_line_reader *reader, const struct qvf_line *line, struct qvf_error *error);

#endif
