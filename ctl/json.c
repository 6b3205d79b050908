/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/json.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_object *ctl_json_number(double number)
{
        char text[40];

        if (!isfinite(number))
                return NULL;                           /* json-c's null */
        for (int digits = 6; digits <= 17; digits++) { /* the shortest text that reads back the same */
                snprintf(text, sizeof(text), "%.*g", digits, number);
                if (strtod(text, NULL) == number)
                        break;
        }
        return json_object_new_double_s(number, text);
}

static struct json_object *list(const struct qvf_value *value)
{
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < qvf_value_count(value); i++)
                json_object_array_add(array, ctl_json_value(qvf_value_at(value, i)));
        return array;
}

static struct json_object *map(const struct qvf_value *value)
{
        struct json_object *object = json_object_new_object();

        for (size_t i = 0; i < qvf_value_count(value); i++)
                if (qvf_value_type(qvf_value_at(value, i)) != QVF_TYPE_FD)
                        json_object_object_add(object, qvf_value_key_at(value, i),
                                        ctl_json_value(qvf_value_at(value, i)));
        return object;
}

struct json_object *ctl_json_value(const struct qvf_value *value)
{
        switch (qvf_value_type(value)) {
        case QVF_TYPE_BOOLEAN: return json_object_new_boolean(qvf_value_boolean(value));
        case QVF_TYPE_INTEGER: return json_object_new_int64(qvf_value_integer(value));
        case QVF_TYPE_UNSIGNED: return json_object_new_uint64(qvf_value_unsigned(value));
        case QVF_TYPE_NUMBER: return ctl_json_number(qvf_value_number(value));
        case QVF_TYPE_STRING: return json_object_new_string(qvf_value_string(value));
        case QVF_TYPE_LIST: return list(value);
        case QVF_TYPE_MAP: return map(value);
        default: return NULL;
        }
}

static void snake(const char *camel, char out[64])
{
        size_t at = 0;

        for (const char *c = camel; *c && at < 61; c++) {
                if (isupper((unsigned char)*c) && c != camel)
                        out[at++] = '_';
                out[at++] = (char)tolower((unsigned char)*c);
        }
        out[at] = 0;
}

struct json_object *ctl_json_properties(const struct qvf_value *properties)
{
        struct json_object *object = json_object_new_object();
        char key[64];

        for (size_t i = 0; i < qvf_value_count(properties); i++) {
                snake(qvf_value_key_at(properties, i), key);
                json_object_object_add(object, key, ctl_json_value(qvf_value_at(properties, i)));
        }
        return object;
}

struct json_object *ctl_json_objects(const struct qvf_value *objects)
{
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < qvf_value_count(objects); i++)
                json_object_array_add(array, ctl_json_properties(qvf_value_at(objects, i)));
        return array;
}

void ctl_json_print(struct json_object *object, bool one_line)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                    (one_line ? 0 : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);

        puts(json_object_to_json_string_ext(object, flags));
        if (one_line)
                fflush(stdout);
}
