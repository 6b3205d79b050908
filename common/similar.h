/* SPDX-License-Identifier: Apache-2.0 */
/* Which word was meant by a mistyped one. */
#ifndef QVF_COMMON_SIMILAR_H
#define QVF_COMMON_SIMILAR_H

#include <stddef.h>

/* How many letters must be changed, left out, put in or swapped with their neighbour to get from one to the other.
 * Of long words only the first 63 letters are looked at. */
unsigned qvf_word_distance(const char *a, const char *b);
/* The nearest of the words, if it is near enough to have been meant (a third of its letters); else NULL. */
const char *qvf_nearest_word(const char *word, const char *const *words, size_t n);

#endif
