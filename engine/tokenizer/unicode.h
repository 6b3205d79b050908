/* SPDX-License-Identifier: Apache-2.0 */
/* The few Unicode classes that the pre-tokenizers ask for: one bit each, no code point has two. */
#ifndef QVF_ENGINE_TOKENIZER_UNICODE_H
#define QVF_ENGINE_TOKENIZER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum qvf_unicode_class {
        QVF_CLASS_UPPER = 1 << 0,       /* Lu and Lt */
        QVF_CLASS_LOWER = 1 << 1,       /* Ll */
        QVF_CLASS_CASELESS = 1 << 2,    /* Lm and Lo */
        QVF_CLASS_MARK = 1 << 3,        /* M */
        QVF_CLASS_NUMBER = 1 << 4,      /* N */
        QVF_CLASS_PUNCTUATION = 1 << 5, /* P */
        QVF_CLASS_SYMBOL = 1 << 6,      /* S */
        QVF_CLASS_SPACE = 1 << 7,       /* the property White_Space */
        QVF_CLASS_LETTER = QVF_CLASS_UPPER | QVF_CLASS_LOWER | QVF_CLASS_CASELESS,
        /* Not a class: marks the second and later bytes of a character. It has every bit, so that a run of
         * any classes goes on through it. */
        QVF_CLASS_INSIDE = 0xff,
};

/* Start of each range << 8 | its class; sorted, the first starts at 0. */
extern const uint32_t qvf_unicode_ranges[];
extern const size_t qvf_unicode_n_ranges;
extern const char qvf_unicode_version[];

/* 0 for everything else: controls, format characters, private and unassigned code points. */
uint8_t qvf_unicode_class(uint32_t codepoint);

/* One class for each byte: the character's at its first byte, QVF_CLASS_INSIDE at the others. A byte that is
 * no part of valid UTF-8 is a character of class 0. */
void qvf_unicode_classify(const char *text, size_t length, uint8_t *ret_classes);

#endif
