/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a JSONL file, checked: what it says, without tokens. */
#ifndef QVF_ENGINE_DATA_RECORD_H
#define QVF_ENGINE_DATA_RECORD_H

#include <json-c/json.h>

#include "engine/data/dataset.h"
#include "engine/data/line_reader.h"
#include "engine/template/chat_template.h"

/* Named limits of what comes from outside. */
#define QVF_DATA_LINE_LIMIT ((size_t)16 << 20)
#define QVF_DATA_VALUES_LIMIT                                                                               \
        ((size_t)1 << 18)       /* JSON values in a line: each costs about 100 bytes of memory */
#define QVF_DATA_DEPTH_LIMIT 64 /* brackets inside one another */
#define QVF_DATA_MESSAGES_LIMIT ((size_t)4096)
#define QVF_DATA_ROLE_LIMIT ((size_t)32) /* letters, digits, "_" and "-" */

struct qvf_data_string {
        const char *bytes;
        size_t length;
};

struct qvf_data_record {
        enum qvf_data_kind kind;
        struct qvf_data_string text;               /* JSON_TEXT */
        struct qvf_data_string prompt, completion; /* COMPLETION */
        struct qvf_chat_message *messages;         /* MESSAGES */
        bool *left_out;                            /* "weight": 0 */
        size_t n_messages;
        const char *tools; /* NULL, or JSON */
        /* What the above points into. */
        json_object *root;
        json_object **made; /* one for each message that has more members */
        char **contents;    /* of messages whose content has several parts */
};

/* Reads a line of one kind; AUTO takes what the line is. -EBADMSG names the place and what was expected there;
 * -EMEDIUMTYPE: the line is good, but of another kind. */
int qvf_data_record_read(const struct qvf_line_reader *reader, const struct qvf_line *line,
                enum qvf_data_kind kind, struct qvf_data_record *ret_record, struct qvf_error *error);
void qvf_data_record_exit(struct qvf_data_record *record);

#endif
