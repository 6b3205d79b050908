/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/record_messages.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define PATH_MOST 6

int qvf_record_error(struct qvf_record_reader *reader, const struct qvf_json_step *path, size_t n_steps,
                const char *format, ...)
{
        const struct qvf_line *line = reader->line;
        size_t offset = qvf_json_place(line->bytes, line->length, path, n_steps);
        char words[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(words, sizeof(words), format, arguments);
        va_end(arguments);
        return qvf_line_error(reader->lines, line, offset, reader->error, "%s", words);
}

/* A string without NUL. The last step of the path is the value itself. */
static int take_string(struct qvf_record_reader *reader, json_object *value, const char *what,
                const struct qvf_json_step *path, size_t n_steps, struct qvf_data_string *ret_string)
{
        if (!json_object_is_type(value, json_type_string))
                return qvf_record_error(reader, path, n_steps, "%s is %s, expected a string", what,
                                json_type_to_name(json_object_get_type(value)));
        ret_string->bytes = json_object_get_string(value);
        ret_string->length = (size_t)json_object_get_string_len(value);
        if (memchr(ret_string->bytes, 0, ret_string->length))
                return qvf_record_error(reader, path, n_steps, "%s holds \\u0000, expected text", what);
        return 0;
}

int qvf_record_string(struct qvf_record_reader *reader, json_object *object, const char *key,
                const struct qvf_json_step *path, size_t n_steps, struct qvf_data_string *ret_string)
{
        struct qvf_json_step steps[PATH_MOST];
        json_object *value;
        char what[64];

        snprintf(what, sizeof(what), "\"%s\"", key);
        if (!json_object_object_get_ex(object, key, &value))
                return qvf_record_error(reader, path, n_steps, "expected the member %s", what);
        for (size_t i = 0; i < n_steps; i++)
                steps[i] = path[i];
        steps[n_steps] = (struct qvf_json_step){ .key = key };
        return take_string(reader, value, what, steps, n_steps + 1, ret_string);
}

/* A role goes into the template's own text, where special tokens are looked for: so it may be nothing but a word. */
static bool is_role(const struct qvf_data_string *role)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

        return role->length > 0 && role->length <= QVF_DATA_ROLE_LIMIT &&
               strspn(role->bytes, letters) == role->length;
}

/* Content as a list: [{"type": "text", "text": …}, …], put together. */
static int join_parts(struct qvf_record_reader *reader, json_object *parts, struct qvf_json_step path[4],
                char **ret_content)
{
        _cleanup_text_ struct qvf_text content = { 0 };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < json_object_array_length(parts); i++) {
                json_object *part = json_object_array_get_idx(parts, i), *type;
                struct qvf_data_string text;

                path[3] = (struct qvf_json_step){ .index = i };
                if (!json_object_is_type(part, json_type_object) ||
                                !json_object_object_get_ex(part, "type", &type) ||
                                !json_object_is_type(type, json_type_string) ||
                                strcmp(json_object_get_string(type), "text") != 0)
                        return qvf_record_error(reader, path, 4,
                                        "expected a part of \"type\": \"text\", the only type there is");
                r = qvf_record_string(reader, part, "text", path, 4, &text);
                if (r >= 0)
                        r = qvf_text_append(&content, text.bytes, text.length);
        }
        if (r < 0)
                return r;
        *ret_content = strdup(qvf_text_string(&content));
        return *ret_content ? 0 : -ENOMEM;
}

static int take_content(struct qvf_record_reader *reader, struct qvf_data_record *record, size_t index,
                json_object *message)
{
        struct qvf_json_step path[5] = { { .key = "messages" }, { .index = index }, { .key = "content" } };
        json_object *content;
        struct qvf_data_string text;
        int r;

        if (!json_object_object_get_ex(message, "content", &content) || !content) {
                /* A message that only calls tools has none. */
                if (json_object_object_get_ex(message, "tool_calls", NULL))
                        return 0;
                return qvf_record_error(reader, path, 2, "expected the member \"content\" with a string");
        }
        if (json_object_is_type(content, json_type_array)) {
                r = join_parts(reader, content, path, &record->contents[index]);
                record->messages[index].content = record->contents[index];
                return r;
        }
        r = take_string(reader, content, "\"content\"", path, 3, &text);
        if (r >= 0)
                record->messages[index].content = text.bytes;
        return r;
}

/* As OpenAI's files have it: "weight": 0 keeps an answer from counting. */
static int take_weight(struct qvf_record_reader *reader, struct qvf_data_record *record, size_t index,
                json_object *weight)
{
        struct qvf_json_step path[3] = { { .key = "messages" }, { .index = index }, { .key = "weight" } };
        double value = weight ? json_object_get_double(weight) : -1;

        if ((!json_object_is_type(weight, json_type_int) &&
                            !json_object_is_type(weight, json_type_double)) ||
                        (value != 0 && value != 1))
                return qvf_record_error(reader, path, 3, "\"weight\" is expected to be 0 or 1");
        record->left_out[index] = value == 0;
        return 0;
}

/* All other members, for the template. */
static int take_extra(struct qvf_data_record *record, size_t index, json_object *message)
{
        json_object *extra = NULL;

        json_object_object_foreach(message, key, value)
        {
                if (strcmp(key, "role") == 0 || strcmp(key, "content") == 0 || strcmp(key, "weight") == 0)
                        continue;
                if (!extra)
                        extra = record->made[index] = json_object_new_object();
                if (!extra)
                        return -ENOMEM;
                if (json_object_object_add(extra, key, json_object_get(value)) < 0) {
                        json_object_put(value);
                        return -ENOMEM;
                }
        }
        if (extra)
                record->messages[index].extra =
                                json_object_to_json_string_ext(extra, JSON_C_TO_STRING_PLAIN);
        return extra && !record->messages[index].extra ? -ENOMEM : 0;
}

static int take_message(struct qvf_record_reader *reader, struct qvf_data_record *record, size_t index,
                json_object *message)
{
        struct qvf_json_step path[2] = { { .key = "messages" }, { .index = index } };
        struct qvf_data_string role;
        json_object *weight;
        int r;

        if (!json_object_is_type(message, json_type_object))
                return qvf_record_error(reader, path, 2, "expected an object with \"role\" and \"content\"");
        r = qvf_record_string(reader, message, "role", path, 2, &role);
        if (r < 0)
                return r;
        if (!is_role(&role))
                return qvf_record_error(reader, path, 2,
                                "the role \"%.40s\" is expected to have 1 to %zu letters, digits, '_' or "
                                "'-'",
                                role.bytes, QVF_DATA_ROLE_LIMIT);
        record->messages[index].role = role.bytes;
        r = take_content(reader, record, index, message);
        if (r >= 0 && json_object_object_get_ex(message, "weight", &weight))
                r = take_weight(reader, record, index, weight);
        return r < 0 ? r : take_extra(record, index, message);
}

int qvf_record_messages(struct qvf_record_reader *reader, struct qvf_data_record *record)
{
        const struct qvf_json_step path = { .key = "messages" }, tools_path = { .key = "tools" };
        json_object *list = json_object_object_get(record->root, "messages"), *tools;
        size_t count;
        int r = 0;

        if (!json_object_is_type(list, json_type_array))
                return qvf_record_error(reader, &path, 1, "\"messages\" is %s, expected an array",
                                json_type_to_name(json_object_get_type(list)));
        count = json_object_array_length(list);
        if (count == 0 || count > QVF_DATA_MESSAGES_LIMIT)
                return qvf_record_error(reader, &path, 1, "%zu messages, expected 1 to %zu", count,
                                QVF_DATA_MESSAGES_LIMIT);
        record->messages = calloc(count, sizeof(*record->messages));
        record->left_out = calloc(count, sizeof(*record->left_out));
        record->made = calloc(count, sizeof(json_object *));
        record->contents = calloc(count, sizeof(char *));
        if (!record->messages || !record->left_out || !record->made || !record->contents)
                return -ENOMEM;
        record->n_messages = count;
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = take_message(reader, record, i, json_object_array_get_idx(list, i));
        if (r < 0 || !json_object_object_get_ex(record->root, "tools", &tools) || !tools)
                return r;
        if (!json_object_is_type(tools, json_type_array))
                return qvf_record_error(reader, &tools_path, 1, "\"tools\" is %s, expected an array",
                                json_type_to_name(json_object_get_type(tools)));
        record->tools = json_object_to_json_string_ext(tools, JSON_C_TO_STRING_PLAIN);
        return record->tools ? 0 : -ENOMEM;
}
