/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the service as JSON: properties keep their meaning, and get names like "size_bytes". */
#ifndef QVF_CTL_JSON_H
#define QVF_CTL_JSON_H

#include <json-c/json.h>
#include <stdbool.h>

#include "qvf/qvf.h"

/* NaN and infinite become null. Descriptors are left out. */
struct json_object *ctl_json_value(const struct qvf_value *value);
/* A map of properties: "SizeBytes" becomes "size_bytes". */
struct json_object *ctl_json_properties(const struct qvf_value *properties);
/* A map of names to properties, as a list in the order of names. */
struct json_object *ctl_json_objects(const struct qvf_value *objects);
struct json_object *ctl_json_number(double number);
/* To standard output: pretty, or on one line, which is flushed. */
void ctl_json_print(struct json_object *object, bool one_line);

#endif
