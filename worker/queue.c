/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/queue.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

int worker_queue_init(struct worker_queue *queue)
{
        *queue = (struct worker_queue){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
        queue->last = &queue->first;
        if (queue->fd < 0)
                return -errno;
        return -pthread_mutex_init(&queue->mutex, NULL);
}

void worker_queue_exit(struct worker_queue *queue)
{
        if (queue->fd >= 0)
                close(queue->fd);
        pthread_mutex_destroy(&queue->mutex);
}

void worker_queue_put(struct worker_queue *queue, struct worker_item *item)
{
        item->next = NULL;
        pthread_mutex_lock(&queue->mutex);
        *queue->last = item;
        queue->last = &item->next;
        pthread_mutex_unlock(&queue->mutex);
        eventfd_write(queue->fd, 1);
}

struct worker_item *worker_queue_take(struct worker_queue *queue)
{
        struct worker_item *item;
        eventfd_t value;

        pthread_mutex_lock(&queue->mutex);
        item = queue->first;
        if (item)
                queue->first = item->next;
        else
                eventfd_read(queue->fd, &value);
        if (!queue->first)
                queue->last = &queue->first;
        pthread_mutex_unlock(&queue->mutex);
        return item;
}

void worker_queue_wait(struct worker_queue *queue, int timeout_ms)
{
        struct pollfd fd = { .fd = queue->fd, .events = POLLIN };

        poll(&fd, 1, timeout_ms);
}
