/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside: strict, of limited depth, and with the place of a mistake. */
#ifndef QVF_ENGINE_ADAPTERS_JSON_H
#define QVF_ENGINE_ADAPTERS_JSON_H

#include <json-c/json.h>
#include <stdint.h>

#include "common/error.h"

/* `what` begins the message. The bytes need no NUL behind them; spaces may follow the value, nothing else. */
int qvf_json_parse(const char *bytes, uint64_t length, int depth_most, const char *what,
                struct json_object **ret_value, struct qvf_error *error);

static inline void qvf_json_putp(struct json_object **value)
{
        json_object_put(*value);
}

#define _cleanup_json_ _cleanup_(qvf_json_putp)

#endif
