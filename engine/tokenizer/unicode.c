/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/unicode.h"

#include <stdbool.h>
#include <string.h>

#include "common/text.h"

/* The last range that starts at or before `codepoint`. */
static size_t find_range(uint32_t codepoint)
{
        const uint32_t wanted = codepoint << 8 | 0xff;
        size_t first = 0, count = qvf_unicode_n_ranges;

        while (count > 1) {
                size_t half = count / 2;

                if (qvf_unicode_ranges[first + half] <= wanted)
                        first += half;
                count -= half;
        }
        return first;
}

uint8_t qvf_unicode_class(uint32_t codepoint)
{
        if (codepoint > 0x10ffff)
                return 0;
        return qvf_unicode_ranges[find_range(codepoint)] & 0xff;
}

/* Neighbouring characters mostly lie in one range, so the last answer is tried first. */
struct recent_range {
        uint32_t first, end;
        uint8_t class;
};

static uint8_t class_near(struct recent_range *recent, uint32_t codepoint)
{
        size_t index;

        if (codepoint >= recent->first && codepoint < recent->end)
                return recent->class;
        index = find_range(codepoint);
        recent->first = qvf_unicode_ranges[index] >> 8;
        recent->end = index + 1 < qvf_unicode_n_ranges ? qvf_unicode_ranges[index + 1] >> 8 : 0x110000;
        recent->class = qvf_unicode_ranges[index] & 0xff;
        return recent->class;
}

void qvf_unicode_classify(const char *text, size_t length, uint8_t *ret_classes)
{
        struct recent_range recent = { 0 };
        uint8_t ascii[128];
        size_t position = 0;

        for (uint32_t c = 0; c < sizeof(ascii); c++)
                ascii[c] = class_near(&recent, c);
        while (position < length) {
                uint32_t codepoint;
                size_t size;

                if (!(text[position] & 0x80)) {
                        ret_classes[position] = ascii[(unsigned char)text[position]];
                        position++;
                        continue;
                }
                size = qvf_utf8_decode(text + position, length - position, &codepoint);
                ret_classes[position] = size ? class_near(&recent, codepoint) : 0;
                for (size_t i = 1; i < size; i++)
                        ret_classes[position + i] = QVF_CLASS_INSIDE;
                position += size ? size : 1;
        }
}
