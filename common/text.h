/* SPDX-License-Identifier: Apache-2.0 */
/* A growing run of bytes with a limit, always followed by a NUL, and the UTF-8 helpers that go with it. */
#ifndef QVF_COMMON_TEXT_H
#define QVF_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct qvf_text {
        char *bytes; /* NULL while empty */
        size_t length;
        size_t capacity;
        size_t limit; /* largest length; 0: QVF_TEXT_LIMIT */
};

#define QVF_TEXT_LIMIT ((size_t)1 << 30)

/* All return 0, -ENOMEM, or -E2BIG past the limit; on failure nothing was appended. */
int qvf_text_append(struct qvf_text *text, const void *bytes, size_t length);
int qvf_text_append_string(struct qvf_text *text, const char *string);
int qvf_text_append_char(struct qvf_text *text, char byte);
int qvf_text_append_codepoint(struct qvf_text *text, uint32_t codepoint);
int qvf_text_appendf(struct qvf_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void qvf_text_clear(struct qvf_text *text); /* keeps the memory */
void qvf_text_exit(struct qvf_text *text);  /* frees the memory */
/* The bytes as a C string that is never NULL; lives until the next append. */
const char *qvf_text_string(const struct qvf_text *text);

#define _cleanup_text_ _cleanup_(qvf_text_exit)

/* Decodes one code point; returns its length in bytes, or 0 where the bytes are not valid UTF-8. */
size_t qvf_utf8_decode(const char *bytes, size_t length, uint32_t *ret_codepoint);
/* Writes up to 4 bytes, returns how many; code points that have no UTF-8 form become U+FFFD. */
size_t qvf_utf8_encode(uint32_t codepoint, char bytes[4]);
/* How many leading bytes are whole, valid UTF-8 characters. */
size_t qvf_utf8_valid_prefix(const char *bytes, size_t length);

#endif
