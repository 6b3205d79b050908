/* SPDX-License-Identifier: Apache-2.0 */
/* Which characters are white space, and upper and lower case, as Python's str has it. */
#ifndef QVF_ENGINE_TEMPLATE_CHARACTERS_H
#define QVF_ENGINE_TEMPLATE_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool qvf_jinja_is_space(uint32_t codepoint);
/* Bytes of the white space character that begins (or ends) the text; 0: none does. */
size_t qvf_jinja_space_length(const char *text, size_t length);
size_t qvf_jinja_space_length_before(const char *text, size_t length);
bool qvf_jinja_is_name_byte(char byte);
bool qvf_jinja_is_printable(uint32_t codepoint); /* repr() writes it as it is */
/* One to one; a character that has no such form is returned as it is. */
uint32_t qvf_jinja_upper(uint32_t codepoint);
uint32_t qvf_jinja_lower(uint32_t codepoint);
bool qvf_jinja_is_line_end(uint32_t codepoint); /* for splitlines() */

#endif
