/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of an open file, by number and by name, each checked for its type. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/gguf_read.h"

uint32_t qvf_gguf_keys(const struct qvf_gguf *gguf)
{
        return (uint32_t)gguf->parts[0].n_keys;
}

const struct qvf_gguf_value *qvf_gguf_key(const struct qvf_gguf *gguf, uint32_t index)
{
        return index < gguf->parts[0].n_keys ? &gguf->parts[0].values[index] : NULL;
}

/* The name that stands in the file for `key`: "A." becomes the architecture. False: too long to be there. */
static bool full_key(const struct qvf_gguf *gguf, const char *key, char buffer[256],
                struct qvf_gguf_string *ret_key)
{
        size_t length = strlen(key), prefix = gguf->architecture.length;

        *ret_key = (struct qvf_gguf_string){ key, length };
        if (strncmp(key, "A.", 2) != 0 || prefix == 0)
                return true;
        if (prefix > 128 || prefix + length - 1 > 256)
                return false;
        memcpy(buffer, gguf->architecture.bytes, prefix);
        memcpy(buffer + prefix, key + 1, length - 1);
        *ret_key = (struct qvf_gguf_string){ buffer, prefix + length - 1 };
        return true;
}

const struct qvf_gguf_value *qvf_gguf_find_key(const struct qvf_gguf *gguf, const char *key)
{
        char buffer[256];
        struct qvf_gguf_string name;

        return full_key(gguf, key, buffer, &name) ? qvf_gguf_part_find_key(&gguf->parts[0], name) : NULL;
}

static int find(const struct qvf_gguf *gguf, const char *key, const struct qvf_gguf_value **ret_value,
                struct qvf_error *error)
{
        char buffer[256], quoted[QVF_GGUF_QUOTE_BYTES];
        struct qvf_gguf_string name;

        if (!full_key(gguf, key, buffer, &name))
                return qvf_error_set(error, -ENOENT, "%s: key '%s' is absent", qvf_gguf_name(gguf), key);
        *ret_value = qvf_gguf_part_find_key(&gguf->parts[0], name);
        if (!*ret_value)
                return qvf_error_set(error, -ENOENT, "%s: key '%s' is absent", qvf_gguf_name(gguf),
                                qvf_gguf_quote(name, quoted));
        return 0;
}

static int wrong(const struct qvf_gguf *gguf, const struct qvf_gguf_value *value, const char *expected,
                struct qvf_error *error)
{
        char quoted[QVF_GGUF_QUOTE_BYTES];
        struct qvf_gguf_string key = { value->key, value->key_length };
        uint64_t offset = (uint64_t)((const uint8_t *)value->key - gguf->parts[0].file->data);

        if (value->type == QVF_GGUF_ARRAY)
                return qvf_error_set(error, -EINVAL,
                                "%s: at byte %" PRIu64 ": key '%s' is an array of %s, expected %s",
                                qvf_gguf_name(gguf), offset, qvf_gguf_quote(key, quoted),
                                qvf_gguf_type_name(value->element_type), expected);
        return qvf_error_set(error, -EINVAL, "%s: at byte %" PRIu64 ": key '%s' is of type %s, expected %s",
                        qvf_gguf_name(gguf), offset, qvf_gguf_quote(key, quoted),
                        qvf_gguf_type_name(value->type), expected);
}

static int out_of_range(const struct qvf_gguf *gguf, const struct qvf_gguf_value *value,
                const char *expected, struct qvf_error *error)
{
        char quoted[QVF_GGUF_QUOTE_BYTES];
        struct qvf_gguf_string key = { value->key, value->key_length };
        struct qvf_gguf_array one = { value->type, 1, value->data, value->size_bytes };

        return qvf_error_set(error, -EINVAL, "%s: key '%s' is %" PRId64 ", expected %s", qvf_gguf_name(gguf),
                        qvf_gguf_quote(key, quoted), qvf_gguf_array_i64(&one, 0), expected);
}

static bool is_integer(uint32_t type)
{
        return (type <= QVF_GGUF_I32) || type == QVF_GGUF_U64 || type == QVF_GGUF_I64;
}

int qvf_gguf_get_i64(
                const struct qvf_gguf *gguf, const char *key, int64_t *ret_value, struct qvf_error *error)
{
        const struct qvf_gguf_value *value;
        struct qvf_gguf_array one;
        int64_t number;
        int r;

        r = find(gguf, key, &value, error);
        if (r < 0)
                return r;
        if (!is_integer(value->type))
                return wrong(gguf, value, "an integer", error);
        one = (struct qvf_gguf_array){ value->type, 1, value->data, value->size_bytes };
        number = qvf_gguf_array_i64(&one, 0);
        if (value->type == QVF_GGUF_U64 && number < 0)
                return out_of_range(gguf, value, "less than 2^63", error);
        *ret_value = number;
        return 0;
}

int qvf_gguf_get_u64(
                const struct qvf_gguf *gguf, const char *key, uint64_t *ret_value, struct qvf_error *error)
{
        const struct qvf_gguf_value *value;
        struct qvf_gguf_array one;
        int64_t number;
        int r;

        r = find(gguf, key, &value, error);
        if (r < 0)
                return r;
        if (!is_integer(value->type))
                return wrong(gguf, value, "an integer", error);
        one = (struct qvf_gguf_array){ value->type, 1, value->data, value->size_bytes };
        number = qvf_gguf_array_i64(&one, 0);
        if (value->type != QVF_GGUF_U64 && number < 0)
                return out_of_range(gguf, value, "0 or more", error);
        *ret_value = (uint64_t)number;
        return 0;
}

int qvf_gguf_get_u32(
                const struct qvf_gguf *gguf, const char *key, uint32_t *ret_value, struct qvf_error *error)
{
        const struct qvf_gguf_value *value;
        uint64_t number;
        int r;

        r = qvf_gguf_get_u64(gguf, key, &number, error);
        if (r < 0)
                return r;
        if (number > UINT32_MAX) {
                r = find(gguf, key, &value, error);
                return r < 0 ? r : out_of_range(gguf, value, "less than 2^32", error);
        }
        *ret_value = (uint32_t)number;
        return 0;
}

int qvf_gguf_get_f32(const struct qvf_gguf *gguf, const char *key, float *ret_value, struct qvf_error *error)
{
        const struct qvf_gguf_value *value;
        struct qvf_gguf_array one;
        float number;
        int r;

        r = find(gguf, key, &value, error);
        if (r < 0)
                return r;
        if (value->type != QVF_GGUF_F32 && value->type != QVF_GGUF_F64)
                return wrong(gguf, value, "f32", error);
        one = (struct qvf_gguf_array){ value->type, 1, value->data, value->size_bytes };
        number = qvf_gguf_array_f32(&one, 0);
        if (!isfinite(number))
                return qvf_error_set(error, -EINVAL, "%s: key '%s' is no finite number", qvf_gguf_name(gguf),
                                key);
        *ret_value = number;
        return 0;
}

int qvf_gguf_get_bool(const struct qvf_gguf *gguf, const char *key, bool *ret_value, struct qvf_error *error)
{
        const struct qvf_gguf_value *value;
        int r;

        r = find(gguf, key, &value, error);
        if (r < 0)
                return r;
        if (value->type != QVF_GGUF_BOOL)
                return wrong(gguf, value, "bool", error);
        *ret_value = value->data[0] != 0;
        return 0;
}

int qvf_gguf_get_string(const struct qvf_gguf *gguf, const char *key, struct qvf_gguf_string *ret_value,
                struct qvf_error *error)
{
        const struct qvf_gguf_value *value;
        int r;

        r = find(gguf, key, &value, error);
        if (r < 0)
                return r;
        if (value->type != QVF_GGUF_STRING)
                return wrong(gguf, value, "string", error);
        if (value->size_bytes && memchr(value->data, 0, (size_t)value->size_bytes))
                return wrong(gguf, value, "one without a NUL byte", error);
        *ret_value = (struct qvf_gguf_string){ (const char *)value->data, (size_t)value->size_bytes };
        return 0;
}

bool qvf_gguf_value_array(const struct qvf_gguf_value *value, struct qvf_gguf_array *ret_array)
{
        if (value->type != QVF_GGUF_ARRAY)
                return false;
        *ret_array = (struct qvf_gguf_array){ value->element_type, value->length, value->data,
                value->size_bytes };
        return true;
}

int qvf_gguf_get_array(const struct qvf_gguf *gguf, const char *key, enum qvf_gguf_type type,
                struct qvf_gguf_array *ret_array, struct qvf_error *error)
{
        const struct qvf_gguf_value *value;
        char expected[40];
        int r;

        r = find(gguf, key, &value, error);
        if (r < 0)
                return r;
        snprintf(expected, sizeof(expected), "an array of %s", qvf_gguf_type_name(type));
        if (value->type != QVF_GGUF_ARRAY || value->element_type != type)
                return wrong(gguf, value, expected, error);
        qvf_gguf_value_array(value, ret_array);
        return 0;
}

int qvf_gguf_get_strings(const struct qvf_gguf *gguf, const char *key, struct qvf_gguf_string **ret_strings,
                uint64_t *ret_length, struct qvf_error *error)
{
        _cleanup_free_ struct qvf_gguf_string *strings = NULL;
        struct qvf_gguf_array array;
        uint64_t length;
        int r;

        r = qvf_gguf_get_array(gguf, key, QVF_GGUF_STRING, &array, error);
        if (r < 0)
                return r;
        length = array.length;
        strings = calloc(length ? (size_t)length : 1, sizeof(*strings));
        if (!strings)
                return -ENOMEM;
        for (uint64_t i = 0; i < length; i++)
                if (!qvf_gguf_array_next_string(&array, &strings[i]))
                        return qvf_error_set(error, -ESTALE,
                                        "%s: key '%s': the file changes while it is read",
                                        qvf_gguf_name(gguf), key);
        *ret_strings = QVF_TAKE(strings);
        *ret_length = length;
        return 0;
}

bool qvf_gguf_string_is(struct qvf_gguf_string string, const char *text)
{
        return strlen(text) == string.length && memcmp(string.bytes, text, string.length) == 0;
}

float qvf_gguf_array_f32(const struct qvf_gguf_array *array, uint64_t index)
{
        double wide;
        float number;

        if (array->type == QVF_GGUF_F64) {
                memcpy(&wide, array->data + index * sizeof(wide), sizeof(wide));
                return (float)wide;
        }
        memcpy(&number, array->data + index * sizeof(number), sizeof(number));
        return number;
}

int64_t qvf_gguf_array_i64(const struct qvf_gguf_array *array, uint64_t index)
{
        unsigned bytes = qvf_gguf_type_bytes(array->type), unused_bits = 64 - 8 * bytes;
        uint64_t bits = 0;

        memcpy(&bits, array->data + index * bytes, bytes);
        switch (array->type) {
        case QVF_GGUF_I8:
        case QVF_GGUF_I16:
        case QVF_GGUF_I32: return (int64_t)(bits << unused_bits) >> unused_bits;
        default: return (int64_t)bits;
        }
}

bool qvf_gguf_array_next_string(struct qvf_gguf_array *array, struct qvf_gguf_string *ret_string)
{
        uint64_t length;

        /* Checked when the file was opened, and again: somebody may have written to it since. */
        if (array->length == 0 || array->size_bytes < sizeof(length))
                return false;
        memcpy(&length, array->data, sizeof(length));
        if (length > array->size_bytes - sizeof(length))
                return false;
        *ret_string = (struct qvf_gguf_string){ (const char *)array->data + sizeof(length), (size_t)length };
        array->data += sizeof(length) + length;
        array->size_bytes -= sizeof(length) + length;
        array->length--;
        return true;
}
