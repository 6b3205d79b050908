/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sampling/stop.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One node for each prefix of a stop string; node 0 is the empty one. What is held back while the automaton
 * is in a node is exactly that node's prefix, so it need not be kept beside it. */
struct node {
        uint32_t first_child, next_sibling; /* 0: none */
        uint32_t parent;
        uint32_t fall_back; /* the longest proper suffix that is a node too */
        uint32_t depth;     /* length of the prefix */
        int32_t which;      /* the longest stop string that ends here; -1: none */
        uint32_t which_length;
        char byte;
};

struct qvf_stop {
        struct node *nodes;
        uint32_t n_nodes;
        uint32_t at;
        int which;
};

static uint32_t child_of(const struct node *nodes, uint32_t parent, char byte)
{
        uint32_t child = nodes[parent].first_child;

        while (child && nodes[child].byte != byte)
                child = nodes[child].next_sibling;
        return child;
}

static void add_string(struct qvf_stop *stop, const char *string, size_t length, int32_t which)
{
        uint32_t at = 0;

        for (size_t i = 0; i < length; i++) {
                uint32_t child = child_of(stop->nodes, at, string[i]);

                if (!child) {
                        child = stop->n_nodes++;
                        stop->nodes[child] = (struct node){
                                .next_sibling = stop->nodes[at].first_child,
                                .parent = at,
                                .depth = stop->nodes[at].depth + 1,
                                .which = -1,
                                .byte = string[i],
                        };
                        stop->nodes[at].first_child = child;
                }
                at = child;
        }
        if (stop->nodes[at].which < 0) { /* of equal strings the first one counts */
                stop->nodes[at].which = which;
                stop->nodes[at].which_length = (uint32_t)length;
        }
}

static uint32_t step(const struct node *nodes, uint32_t at, char byte)
{
        for (;;) {
                uint32_t child = child_of(nodes, at, byte);

                if (child || at == 0)
                        return child;
                at = nodes[at].fall_back;
        }
}

/* Breadth first, because a fall-back is always shallower than its node. */
static int link_nodes(struct qvf_stop *stop)
{
        _cleanup_free_ uint32_t *queue = calloc(stop->n_nodes, sizeof(*queue));
        uint32_t queued = 1; /* node 0 */

        if (!queue)
                return -ENOMEM;
        for (uint32_t done = 0; done < queued; done++) {
                uint32_t at = queue[done];
                struct node *node = &stop->nodes[at];

                if (node->depth > 1)
                        node->fall_back = step(stop->nodes, stop->nodes[node->parent].fall_back, node->byte);
                if (node->which < 0 && at != 0) {
                        node->which = stop->nodes[node->fall_back].which;
                        node->which_length = stop->nodes[node->fall_back].which_length;
                }
                for (uint32_t child = node->first_child; child; child = stop->nodes[child].next_sibling)
                        queue[queued++] = child;
        }
        return 0;
}

int qvf_stop_new(const char *const *strings, size_t count, struct qvf_error *error,
                struct qvf_stop **ret_stop)
{
        _cleanup_(qvf_stop_freep) struct qvf_stop *stop = NULL;
        size_t n_nodes = 1;
        int r;

        if (count > QVF_STOP_STRINGS_MAX)
                return qvf_error_set(error, -EINVAL, "%zu stop strings: expected at most %u", count,
                                QVF_STOP_STRINGS_MAX);
        for (size_t i = 0; i < count; i++) {
                size_t length = strnlen(strings[i], QVF_STOP_LENGTH_MAX + 1);

                if (length == 0)
                        return qvf_error_set(error, -EINVAL, "stop string %zu is empty", i + 1);
                if (length > QVF_STOP_LENGTH_MAX)
                        return qvf_error_set(error, -EINVAL,
                                        "stop string %zu is too long: expected at most %u bytes", i + 1,
                                        QVF_STOP_LENGTH_MAX);
                n_nodes += length;
        }
        stop = calloc(1, sizeof(*stop));
        if (!stop)
                return -ENOMEM;
        stop->which = -1;
        stop->nodes = calloc(n_nodes, sizeof(*stop->nodes));
        if (!stop->nodes)
                return -ENOMEM;
        stop->n_nodes = 1;
        stop->nodes[0].which = -1;
        for (size_t i = 0; i < count; i++)
                add_string(stop, strings[i], strlen(strings[i]), (int32_t)i);
        r = link_nodes(stop);
        if (r < 0)
                return r;
        *ret_stop = QVF_TAKE(stop);
        return 0;
}

struct qvf_stop *qvf_stop_free(struct qvf_stop *stop)
{
        if (!stop)
                return NULL;
        free(stop->nodes);
        free(stop);
        return NULL;
}

/* Appends the first `length` of the bytes that are held back in node `at`. */
static int append_held(const struct qvf_stop *stop, uint32_t at, size_t length, struct qvf_text *safe)
{
        char held[QVF_STOP_LENGTH_MAX];

        for (uint32_t i = stop->nodes[at].depth; i-- > 0; at = stop->nodes[at].parent)
                held[i] = stop->nodes[at].byte;
        return qvf_text_append(safe, held, length);
}

int qvf_stop_feed(struct qvf_stop *stop, const char *bytes, size_t length, struct qvf_text *safe,
                bool *ret_stopped)
{
        uint32_t held_before = stop->nodes[stop->at].depth;
        size_t length_before = safe->length;
        size_t used = 0, out;
        uint32_t at = stop->at;
        int which = stop->which;
        int r;

        if (which >= 0) {
                *ret_stopped = true;
                return 0;
        }
        while (used < length && which < 0) {
                at = step(stop->nodes, at, bytes[used++]);
                which = stop->nodes[at].which;
        }
        /* The text so far is what was held, then `used` bytes; all but the end of it comes out. */
        out = held_before + used - (which >= 0 ? stop->nodes[at].which_length : stop->nodes[at].depth);
        r = append_held(stop, stop->at, out < held_before ? out : held_before, safe);
        if (r >= 0 && out > held_before)
                r = qvf_text_append(safe, bytes, out - held_before);
        if (r < 0) {
                safe->length = length_before;
                if (safe->bytes)
                        safe->bytes[length_before] = 0;
                return r;
        }
        stop->at = which >= 0 ? 0 : at;
        stop->which = which;
        *ret_stopped = which >= 0;
        return 0;
}

int qvf_stop_flush(struct qvf_stop *stop, struct qvf_text *safe)
{
        int r = append_held(stop, stop->at, stop->nodes[stop->at].depth, safe);

        if (r >= 0)
                stop->at = 0;
        return r;
}

size_t qvf_stop_held(const struct qvf_stop *stop)
{
        return stop->nodes[stop->at].depth;
}

int qvf_stop_which(const struct qvf_stop *stop)
{
        return stop->which;
}

void qvf_stop_reset(struct qvf_stop *stop)
{
        stop->at = 0;
        stop->which = -1;
}
