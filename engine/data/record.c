/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "engine/data/json_place.h"
#include "engine/data/record_messages.h"

static int read_text(struct qvf_record_reader *reader, struct qvf_data_record *record)
{
        return qvf_record_string(reader, record->root, "text", NULL, 0, &record->text);
}

static int read_completion(struct qvf_record_reader *reader, struct qvf_data_record *record)
{
        int r = qvf_record_string(reader, record->root, "prompt", NULL, 0, &record->prompt);

        return r < 0 ? r
                     : qvf_record_string(reader, record->root, "completion", NULL, 0, &record->completion);
}

/* In the order in which AUTO looks for them. */
static const struct {
        const char *name;
        const char *keys[2];
        int (*read)(struct qvf_record_reader *reader, struct qvf_data_record *record);
} kinds[QVF_DATA_KINDS] = {
        [QVF_DATA_AUTO] = { "auto", { NULL }, NULL },
        [QVF_DATA_TEXT] = { "text", { NULL }, NULL },
        [QVF_DATA_MESSAGES] = { "jsonl-messages", { "messages" }, qvf_record_messages },
        [QVF_DATA_COMPLETION] = { "jsonl-completion", { "prompt", "completion" }, read_completion },
        [QVF_DATA_JSON_TEXT] = { "jsonl-text", { "text" }, read_text },
};

const char *qvf_data_kind_name(enum qvf_data_kind kind)
{
        return (unsigned)kind < QVF_DATA_KINDS ? kinds[kind].name : "unknown";
}

int qvf_data_kind_find(const char *name, enum qvf_data_kind *ret_kind)
{
        for (size_t i = 0; i < QVF_DATA_KINDS; i++) {
                if (strcmp(name, kinds[i].name) != 0)
                        continue;
                *ret_kind = (enum qvf_data_kind)i;
                return 0;
        }
        return -EINVAL;
}

static bool has_keys(json_object *root, enum qvf_data_kind kind)
{
        for (size_t i = 0; i < 2 && kinds[kind].keys[i]; i++)
                if (!json_object_object_get_ex(root, kinds[kind].keys[i], NULL))
                        return false;
        return kinds[kind].keys[0] != NULL;
}

static enum qvf_data_kind kind_of(json_object *root)
{
        static const enum qvf_data_kind order[] = { QVF_DATA_MESSAGES, QVF_DATA_COMPLETION,
                QVF_DATA_JSON_TEXT };

        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
                if (has_keys(root, order[i]))
                        return order[i];
        return QVF_DATA_AUTO;
}

static void free_tokener(json_tokener **tokener)
{
        if (*tokener)
                json_tokener_free(*tokener);
}

static int parse(struct qvf_record_reader *reader, struct qvf_data_record *record)
{
        _cleanup_(free_tokener) json_tokener *tokener = json_tokener_new_ex(QVF_DATA_DEPTH_LIMIT + 1);
        const struct qvf_line *line = reader->line;
        enum json_tokener_error code;
        size_t end;

        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        errno = 0;
        record->root = json_tokener_parse_ex(tokener, line->bytes, (int)line->length);
        code = json_tokener_get_error(tokener);
        end = json_tokener_get_parse_end(tokener);
        if (code != json_tokener_success) {
                if (errno == ENOMEM)
                        return -ENOMEM;
                return qvf_line_error(reader->lines, line, end < line->length ? end : line->length,
                                reader->error, "bad JSON: %s",
                                code == json_tokener_continue ? "the line ends inside of the JSON object"
                                                              : json_tokener_error_desc(code));
        }
        while (end < line->length && memchr(" \t\r\n", line->bytes[end], 4))
                end++;
        if (end < line->length)
                return qvf_line_error(reader->lines, line, end, reader->error,
                                "bad JSON: expected the end of the line behind the object");
        return 0;
}

/* What can be known before the parser takes memory. */
static int check_size(struct qvf_record_reader *reader)
{
        const struct qvf_line *line = reader->line;
        struct qvf_json_size size;
        size_t start = 0;
        int r;

        if (line->length > QVF_DATA_LINE_LIMIT)
                return qvf_line_error(reader->lines, line, 0, reader->error,
                                "a line of %zu bytes, expected at most %zu", line->length,
                                QVF_DATA_LINE_LIMIT);
        r = qvf_line_check_text(reader->lines, line, reader->error);
        if (r < 0)
                return r;
        while (start < line->length && memchr(" \t\r", line->bytes[start], 3))
                start++;
        if (start == line->length || line->bytes[start] != '{')
                return qvf_line_error(reader->lines, line, start, reader->error, "expected a JSON object");
        size = qvf_json_measure(line->bytes, line->length, QVF_DATA_DEPTH_LIMIT);
        if (size.depth > QVF_DATA_DEPTH_LIMIT)
                return qvf_line_error(reader->lines, line, size.deep_byte, reader->error,
                                "more than %d brackets inside one another", QVF_DATA_DEPTH_LIMIT);
        if (size.odd_byte < line->length)
                return qvf_line_error(reader->lines, line, size.odd_byte, reader->error,
                                "bad JSON: %c outside of a string", line->bytes[size.odd_byte]);
        if (size.values > QVF_DATA_VALUES_LIMIT)
                return qvf_line_error(reader->lines, line, 0, reader->error,
                                "a line of more than %zu values", QVF_DATA_VALUES_LIMIT);
        return 0;
}

static int check_kind(
                struct qvf_record_reader *reader, struct qvf_data_record *record, enum qvf_data_kind wanted)
{
        enum qvf_data_kind found = kind_of(record->root);

        record->kind = wanted == QVF_DATA_AUTO ? found : wanted;
        if (record->kind == QVF_DATA_AUTO)
                return qvf_record_error(reader, NULL, 0,
                                "expected \"messages\", or \"prompt\" and \"completion\", or \"text\"");
        if (has_keys(record->root, record->kind))
                return 0;
        if (found != QVF_DATA_AUTO) {
                qvf_record_error(reader, NULL, 0,
                                "a line of kind %s in a file of kind %s, expected one kind",
                                kinds[found].name, kinds[wanted].name);
                if (reader->error)
                        reader->error->code = -EMEDIUMTYPE;
                return -EMEDIUMTYPE;
        }
        for (size_t i = 0; i < 2 && kinds[wanted].keys[i]; i++)
                if (!json_object_object_get_ex(record->root, kinds[wanted].keys[i], NULL))
                        return qvf_record_error(reader, NULL, 0, "expected the member \"%s\"",
                                        kinds[wanted].keys[i]);
        return 0;
}

int qvf_data_record_read(const struct qvf_line_reader *lines, const struct qvf_line *line,
                enum qvf_data_kind kind, struct qvf_data_record *ret_record, struct qvf_error *error)
{
        struct qvf_record_reader reader = { .lines = lines, .line = line, .error = error };
        struct qvf_data_record record = { 0 };
        int r = check_size(&reader);

        if (r >= 0)
                r = parse(&reader, &record);
        if (r >= 0)
                r = check_kind(&reader, &record, kind);
        if (r >= 0)
                r = kinds[record.kind].read(&reader, &record);
        if (r < 0) {
                qvf_data_record_exit(&record);
                return r == -ENOMEM ? qvf_error_set(error, r, "no memory for line %llu",
                                                      (unsigned long long)lines->line)
                                    : r;
        }
        *ret_record = record;
        return 0;
}

void qvf_data_record_exit(struct qvf_data_record *record)
{
        for (size_t i = 0; i < record->n_messages; i++) {
                if (record->made && record->made[i])
                        json_object_put(record->made[i]);
                if (record->contents)
                        free(record->contents[i]);
        }
        free(record->messages);
        free(record->left_out);
        free(record->made);
        free(record->contents);
        if (record->root)
                json_object_put(record->root);
        *record = (struct qvf_data_record){ 0 };
}
