/* SPDX-License-Identifier: Apache-2.0 */
/* An error with the words that explain it: what, where (file, line, key, offset) and what was expected.
 * A function that fails for a reason a user can mend takes a `struct qvf_error *`, which may be NULL. */
#ifndef QVF_COMMON_ERROR_H
#define QVF_COMMON_ERROR_H

#include <stdarg.h>

struct qvf_error {
        int code;        /* negative errno; 0 while nothing went wrong */
        char text[1024]; /* cut at a character, always terminated; control characters are escaped */
};

/* Fills `error` (if given) and returns `code`, so that callers can `return qvf_error_set(…)`. */
int qvf_error_set(struct qvf_error *error, int code, const char *format, ...)
                __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* The analyzer looks at one file at a time: this tells it which code comes back. */
#define qvf_error_set(error, code, ...) (qvf_error_set(error, code, __VA_ARGS__), (code))
#endif

/* Puts "where: " before the text that is already there, and returns the error's code. */
int qvf_error_prefix(struct qvf_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
