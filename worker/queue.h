/* SPDX-License-Identifier: Apache-2.0 */
/* A list that one thread appends to and another takes from, with a descriptor that is readable while there is
 * something in it. */
#ifndef QVF_WORKER_QUEUE_H
#define QVF_WORKER_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct worker_item { /* the first member of what is queued */
        struct worker_item *next;
};

struct worker_queue {
        pthread_mutex_t mutex;
        struct worker_item *first, **last;
        int fd;
};

int worker_queue_init(struct worker_queue *queue);
void worker_queue_exit(struct worker_queue *queue); /* what is in it stays the caller's */
void worker_queue_put(struct worker_queue *queue, struct worker_item *item);
/* NULL: empty. */
struct worker_item *worker_queue_take(struct worker_queue *queue);
/* Until there is something in it, or the time has passed (-1: no limit). */
void worker_queue_wait(struct worker_queue *queue, int timeout_ms);

#endif
