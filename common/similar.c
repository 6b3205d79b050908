/* SPDX-License-Identifier: Apache-2.0 */
#include "common/similar.h"

#include <ctype.h>
#include <string.h>

enum { LETTERS = 63 };

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

/* Rows of the table of distances between the beginnings of both words; three of them are enough for swaps. */
unsigned qvf_word_distance(const char *a, const char *b)
{
        unsigned rows[3][LETTERS + 1];
        size_t a_length = strnlen(a, LETTERS), b_length = strnlen(b, LETTERS);
        unsigned *before = rows[0], *last = rows[1], *row = rows[2];

        for (unsigned j = 0; j <= b_length; j++) {
                before[j] = 0;
                last[j] = j;
        }
        for (unsigned i = 1; i <= a_length; i++) {
                unsigned *spare = before;
                int letter = tolower((unsigned char)a[i - 1]);

                row[0] = i;
                for (unsigned j = 1; j <= b_length; j++) {
                        int other = tolower((unsigned char)b[j - 1]);

                        row[j] = least(last[j - 1] + (letter != other), least(last[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && letter == tolower((unsigned char)b[j - 2]) &&
                                        other == tolower((unsigned char)a[i - 2]))
                                row[j] = least(row[j], before[j - 2] + 1);
                }
                before = last;
                last = row;
                row = spare;
        }
        return last[b_length];
}

const char *qvf_nearest_word(const char *word, const char *const *words, size_t n)
{
        const char *nearest = NULL;
        unsigned nearest_distance = 0;

        for (size_t i = 0; i < n; i++) {
                unsigned distance = qvf_word_distance(word, words[i]);

                if (distance * 3 <= strlen(words[i]) + 1 && (!nearest || distance < nearest_distance)) {
                        nearest = words[i];
                        nearest_distance = distance;
                }
        }
        return nearest;
}
