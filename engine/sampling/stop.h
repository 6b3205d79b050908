/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings. Text goes in as it is made, token by token; what comes out can no longer become part of a
 * stop string. The string that ends first wins, of those that end at the same byte the longest; neither it
 * nor what follows comes out. One pass over the text whatever the strings are (Aho and Corasick's
 * automaton). */
#ifndef QVF_ENGINE_SAMPLING_STOP_H
#define QVF_ENGINE_SAMPLING_STOP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/text.h"

#define QVF_STOP_STRINGS_MAX 64u
#define QVF_STOP_LENGTH_MAX 1024u /* bytes of one string */

struct qvf_stop;

/* None: everything passes. An empty or too long string is an error. */
int qvf_stop_new(const char *const *strings, size_t count, struct qvf_error *error,
                struct qvf_stop **ret_stop);
struct qvf_stop *qvf_stop_free(struct qvf_stop *stop);
QVF_DEFINE_CLEANUP(struct qvf_stop *, qvf_stop_free)

/* Appends to `safe` what is safe now, which may be bytes of earlier calls. After a stop nothing more comes
 * out. On -ENOMEM or -E2BIG of `safe` the matcher is as it was before. */
int qvf_stop_feed(struct qvf_stop *stop, const char *bytes, size_t length, struct qvf_text *safe,
                bool *ret_stopped);
/* The text ends here: appends what is still held back. */
int qvf_stop_flush(struct qvf_stop *stop, struct qvf_text *safe);
/* How many bytes are held back, at most one less than the longest string. */
size_t qvf_stop_held(const struct qvf_stop *stop);
/* Index of the string that stopped the text; -1: none did. */
int qvf_stop_which(const struct qvf_stop *stop);
/* For a new text. */
void qvf_stop_reset(struct qvf_stop *stop);

#endif
