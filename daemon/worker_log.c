/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker_log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "daemon/model.h"

enum { ROUNDS_MOST = 16 }; /* a worker that writes without end must not keep the loop */

static void put_line(struct qvfd_worker *worker)
{
        const char *text = worker->log_line;
        enum qvf_log_level level = QVF_LOG_INFO;

        worker->log_line[worker->log_length] = 0;
        if (text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>') {
                level = text[1] <= '3'   ? QVF_LOG_ERROR
                        : text[1] == '4' ? QVF_LOG_WARNING
                        : text[1] <= '6' ? QVF_LOG_INFO
                                         : QVF_LOG_DEBUG;
                text += 3;
        }
        if (text[0])
                qvfd_journal(level, worker->model ? &worker->model->object : NULL, "worker: %s", text);
        worker->log_length = 0;
}

static void take(struct qvfd_worker *worker, const char *bytes, size_t length)
{
        for (size_t i = 0; i < length; i++) {
                if (bytes[i] == '\n')
                        put_line(worker);
                else if (worker->log_length < sizeof(worker->log_line) - 1)
                        worker->log_line[worker->log_length++] = bytes[i];
        }
}

void qvfd_worker_log_read(struct qvfd_worker *worker)
{
        char bytes[1024];

        for (int round = 0; round < ROUNDS_MOST; round++) {
                ssize_t n = read(worker->log_fd, bytes, sizeof(bytes));

                if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                        sd_event_source_set_enabled(worker->log_source, SD_EVENT_OFF);
                if (n <= 0)
                        return;
                take(worker, bytes, (size_t)n);
        }
}

int qvfd_worker_on_log(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void)source;
        (void)fd;
        (void)events;
        qvfd_worker_log_read(userdata);
        return 0;
}
