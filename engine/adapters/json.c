/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/json.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"

static void tokener_freep(struct json_tokener **tokener)
{
        if (*tokener)
                json_tokener_free(*tokener);
}

int qvf_json_parse(const char *bytes, uint64_t length, int depth_most, const char *what,
                struct json_object **ret_value, struct qvf_error *error)
{
        _cleanup_(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(depth_most);
        _cleanup_json_ struct json_object *value = NULL;
        enum json_tokener_error state;
        size_t valid;

        if (!tokener)
                return -ENOMEM;
        while (length > 0 && strchr(" \t\r\n", bytes[length - 1]) && bytes[length - 1])
                length--;
        if (length == 0 || length > INT_MAX)
                return qvf_error_set(error, -EINVAL, "%s: no JSON", what);
        valid = qvf_utf8_valid_prefix(bytes, length);
        if (valid != length || memchr(bytes, 0, length))
                return qvf_error_set(error, -EINVAL, "%s: no UTF-8 text at byte %zu", what,
                                valid != length ? valid
                                                : (size_t)((const char *)memchr(bytes, 0, length) - bytes));
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        value = json_tokener_parse_ex(tokener, bytes, (int)length);
        state = json_tokener_get_error(tokener);
        if (state != json_tokener_success || json_tokener_get_parse_end(tokener) != length)
                return qvf_error_set(error, -EINVAL, "%s: at byte %zu: %s", what,
                                json_tokener_get_parse_end(tokener),
                                state == json_tokener_success    ? "more text behind the value"
                                : state == json_tokener_continue ? "the text ends within a value"
                                                                 : json_tokener_error_desc(state));
        *ret_value = QVF_TAKE(value);
        return 0;
}
