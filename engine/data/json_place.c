/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/json_place.h"

#include <string.h>

static size_t skip_space(const char *json, size_t length, size_t at)
{
        while (at < length && memchr(" \t\r\n", json[at], 4))
                at++;
        return at;
}

/* `at` is the opening quote; the result is behind the closing one. */
static size_t skip_string(const char *json, size_t length, size_t at)
{
        for (at++; at < length && json[at] != '"'; at++)
                if (json[at] == '\\')
                        at++;
        return at < length ? at + 1 : length;
}

/* Behind the value that starts at `at`: at a comma or bracket that does not belong to it. */
static size_t skip_value(const char *json, size_t length, size_t at)
{
        size_t depth = 0;

        while (at < length) {
                char byte = json[at];

                if (byte == '"') {
                        at = skip_string(json, length, at);
                        continue;
                }
                if (depth == 0 && (byte == ',' || byte == ']' || byte == '}'))
                        break;
                if (byte == '[' || byte == '{')
                        depth++;
                else if (byte == ']' || byte == '}')
                        depth--;
                at++;
        }
        return at;
}

/* The value that one step leads to from the value at `at`; `length` where there is none. */
static size_t take_step(const char *json, size_t length, size_t at, const struct qvf_json_step *step)
{
        size_t found = length;
        char opening = step->key ? '{' : '[';

        if (at >= length || json[at] != opening)
                return length;
        at = skip_space(json, length, at + 1);
        for (size_t index = 0; at < length && json[at] != ']' && json[at] != '}'; index++) {
                size_t name = at + 1, name_end = 0;

                if (step->key) {
                        if (json[at] != '"')
                                return length;
                        at = skip_string(json, length, at);
                        name_end = at - 1;
                        at = skip_space(json, length, at);
                        if (at >= length || json[at] != ':')
                                return length;
                        at = skip_space(json, length, at + 1);
                }
                if (!step->key && index == step->index)
                        return at;
                /* Of several members of one name the last is the one that counts. */
                if (step->key && name_end - name == strlen(step->key) &&
                                memcmp(json + name, step->key, name_end - name) == 0)
                        found = at;
                at = skip_value(json, length, at);
                if (at < length && json[at] == ',')
                        at = skip_space(json, length, at + 1);
        }
        return found;
}

size_t qvf_json_place(const char *json, size_t length, const struct qvf_json_step *path, size_t n_steps)
{
        size_t at = skip_space(json, length, 0);

        for (size_t i = 0; i < n_steps; i++) {
                size_t next = take_step(json, length, at, &path[i]);

                if (next >= length)
                        break;
                at = next;
        }
        return at;
}

struct qvf_json_size qvf_json_measure(const char *json, size_t length, size_t depth_most)
{
        struct qvf_json_size size = { .values = 1, .deep_byte = length, .odd_byte = length };
        size_t depth = 0;

        for (size_t at = 0; at < length;) {
                char byte = json[at];

                if (byte == '"') {
                        at = skip_string(json, length, at);
                        continue;
                }
                if (byte == '[' || byte == '{') {
                        depth++;
                        if (depth > size.depth)
                                size.depth = depth;
                        if (depth > depth_most && size.deep_byte == length)
                                size.deep_byte = at;
                } else if ((byte == ']' || byte == '}') && depth > 0) {
                        depth--;
                }
                if (memchr(",:[{", byte, 4))
                        size.values++;
                if ((byte == '\'' || byte == '/') && size.odd_byte == length)
                        size.odd_byte = at;
                at++;
        }
        return size;
}
