/* SPDX-License-Identifier: Apache-2.0 */
/* "gpt2" vocabularies write every byte as a printable character: the bytes 0x21 to 0x7e, 0xa1 to 0xac and
 * 0xae to 0xff as the code point of the same number, the other 68 in their order as U+0100 to U+0143. */
#ifndef QVF_ENGINE_TOKENIZER_ALPHABET_H
#define QVF_ENGINE_TOKENIZER_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the bytes that `string` stands for, never more than `length`; false where it holds anything else.
 */
bool qvf_alphabet_decode(const char *string, size_t length, char *bytes, size_t *ret_length);

#endif
