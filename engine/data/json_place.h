/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a line of JSON a value stands, for messages: the parser does not keep that. */
#ifndef QVF_ENGINE_DATA_JSON_PLACE_H
#define QVF_ENGINE_DATA_JSON_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* One step into a value: the member of an object, or, without a key, the element of an array. */
struct qvf_json_step {
        const char *key;
        size_t index;
};

/* The offset of the value's first byte in `json`, which was parsed before; as far as the path could be followed. */
size_t qvf_json_place(const char *json, size_t length, const struct qvf_json_step *path, size_t n_steps);

/* What can be known about JSON before a parser takes memory for it: by what is not inside of strings. */
struct qvf_json_size {
        size_t values;    /* an upper bound */
        size_t depth;     /* of brackets */
        size_t deep_byte; /* where `depth` went over `depth_most` for the first time, else `length` */
        /* The first ' or /, which only lenient parsers take for quotes and comments, else `length`. Behind it the
         * numbers above may be wrong. */
        size_t odd_byte;
};
struct qvf_json_size qvf_json_measure(const char *json, size_t length, size_t depth_most);

#endif
