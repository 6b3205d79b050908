/* SPDX-License-Identifier: Apache-2.0 */
/* What record.c and record_messages.c share. Others use record.h. */
#ifndef QVF_ENGINE_DATA_RECORD_MESSAGES_H
#define QVF_ENGINE_DATA_RECORD_MESSAGES_H

#include "engine/data/json_place.h"
#include "engine/data/record.h"

struct qvf_record_reader {
        const struct qvf_line_reader *lines;
        const struct qvf_line *line;
        struct qvf_error *error;
};

/* -EBADMSG with the place of the value that the path leads to. */
int qvf_record_error(struct qvf_record_reader *reader, const struct qvf_json_step *path, size_t n_steps,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The string `key` of `object`, to which the path leads. */
int qvf_record_string(struct qvf_record_reader *reader, json_object *object, const char *key,
                const struct qvf_json_step *path, size_t n_steps, struct qvf_data_string *ret_string);

int qvf_record_messages(struct qvf_record_reader *reader, struct qvf_data_record *record);

#endif
