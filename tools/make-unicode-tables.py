#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes engine/tokenizer/unicode_table.c: which class every code point has, as sorted ranges.

usage: tools/make-unicode-tables.py > engine/tokenizer/unicode_table.c
Takes the module unicodedata2 where it is installed (its version is Unicode's), else Python's own unicodedata.
The version that was used is written into the file.
"""
try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

UPPER, LOWER, CASELESS, MARK, NUMBER, PUNCTUATION, SYMBOL, SPACE = (1 << bit for bit in range(8))
BY_CATEGORY = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Lm": CASELESS, "Lo": CASELESS}
BY_LETTER = {"M": MARK, "N": NUMBER, "P": PUNCTUATION, "S": SYMBOL, "Z": SPACE, "C": 0}
# The property White_Space is category Z and these controls.
SPACE_CONTROLS = {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85}


def class_of(codepoint):
    if codepoint in SPACE_CONTROLS:
        return SPACE
    category = unicodedata.category(chr(codepoint))
    return BY_CATEGORY.get(category, BY_LETTER.get(category[0], 0))


def main():
    ranges = []
    previous = None
    for codepoint in range(0x110000):
        current = class_of(codepoint)
        if current != previous:
            ranges.append(codepoint << 8 | current)
            previous = current
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by tools/make-unicode-tables.py from Unicode %s. Do not edit. */" % unicodedata.unidata_version)
    print('#include "engine/tokenizer/unicode.h"\n')
    print("/* clang-format off */")
    print("const uint32_t qvf_unicode_ranges[] = {")
    for i in range(0, len(ranges), 10):
        print(" " * 8 + "".join("0x%x," % value for value in ranges[i:i + 10]))
    print("};")
    print("/* clang-format on */\n")
    print("const size_t qvf_unicode_n_ranges = %d;" % len(ranges))
    print('const char qvf_unicode_version[] = "%s";' % unicodedata.unidata_version)


main()
