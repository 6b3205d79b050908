/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/alphabet.h"

#include <stdint.h>

static bool is_printable(uint32_t byte)
{
        return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

/* The byte that a code point above 0x7f stands for, or -1. */
static int byte_of(uint32_t codepoint)
{
        uint32_t number = codepoint - 0x100;

        if (codepoint < 0x100)
                return is_printable(codepoint) ? (int)codepoint : -1;
        if (number <= 0x20) /* the controls and the space */
                return (int)number;
        if (number <= 0x42) /* 0x7f to 0xa0 */
                return (int)(number - 0x21 + 0x7f);
        return number == 0x43 ? 0xad : -1;
}

bool qvf_alphabet_decode(const char *string, size_t length, char *bytes, size_t *ret_length)
{
        size_t n = 0;

        for (size_t i = 0; i < length; n++) {
                uint8_t first = (uint8_t)string[i];
                int byte;

                if (first < 0x80) {
                        if (!is_printable(first))
                                return false;
                        bytes[n] = string[i++];
                        continue;
                }
                /* All others of the alphabet have two bytes. */
                if (first < 0xc2 || first > 0xdf || i + 1 >= length ||
                                ((uint8_t)string[i + 1] & 0xc0) != 0x80)
                        return false;
                byte = byte_of((uint32_t)(first & 0x1f) << 6 | ((uint8_t)string[i + 1] & 0x3f));
                if (byte < 0)
                        return false;
                bytes[n] = (char)byte;
                i += 2;
        }
        *ret_length = n;
        return true;
}
