/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"

#define UNREAD_MOST ((size_t)1 << 20) /* bytes that wait for a reader who does not read */

struct worker_output {
        struct worker_output *next;
        struct worker_outputs *outputs;
        char *name;
        uint64_t serial;
        int fd;
        sd_event_source *source;
        struct qvf_text text;
        size_t written;
        bool broken;        /* nobody reads */
        const char *reason; /* NULL: more comes */
        struct worker_values stats;
};

static struct worker_output *find(const struct worker_outputs *outputs, uint64_t serial)
{
        struct worker_output *output = outputs->first;

        while (output && output->serial != serial)
                output = output->next;
        return output;
}

uint64_t worker_output_find(const struct worker_outputs *outputs, const char *name)
{
        for (struct worker_output *output = outputs->first; output; output = output->next)
                if (strcmp(output->name, name) == 0)
                        return output->serial;
        return 0;
}

static void output_free(struct worker_output *output)
{
        struct worker_output **link = &output->outputs->first;

        while (*link && *link != output)
                link = &(*link)->next;
        if (*link)
                *link = output->next;
        sd_event_source_disable_unref(output->source);
        qvf_closep(&output->fd);
        qvf_text_exit(&output->text);
        worker_values_exit(&output->stats);
        free(output->name);
        free(output);
}

static void break_off(struct worker_output *output)
{
        if (output->broken)
                return;
        output->broken = true;
        sd_event_source_set_enabled(output->source, SD_EVENT_OFF);
        output->outputs->cancel(output->outputs->context, output->serial);
}

static void end(struct worker_output *output)
{
        struct worker_outputs *outputs = output->outputs;

        /* The reader sees the end before anybody hears of it. */
        qvf_closep(&output->fd);
        output->fd = -1;
        outputs->ended(outputs->context, output->name, output->broken ? "cancelled" : output->reason,
                        &output->stats);
        output_free(output);
}

/* Writes what there is room for. The output may be gone afterwards. */
static void push(struct worker_output *output)
{
        while (!output->broken && output->written < output->text.length) {
                ssize_t n = write(output->fd, output->text.bytes + output->written,
                                output->text.length - output->written);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0)
                        break_off(output);
                else
                        output->written += (size_t)n;
        }
        if (output->written == output->text.length) {
                qvf_text_clear(&output->text);
                output->written = 0;
        }
        if (output->reason && (output->broken || output->text.length == 0)) {
                end(output);
                return;
        }
        if (output->text.length - output->written > UNREAD_MOST)
                break_off(output);
        if (!output->broken)
                sd_event_source_set_io_events(output->source, output->text.length > 0 ? EPOLLOUT : 0);
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *output_)
{
        struct worker_output *output = output_;

        (void)source;
        (void)fd;
        if (events & (EPOLLERR | EPOLLHUP))
                break_off(output);
        push(output);
        return 0;
}

static int check(int fd, struct qvf_error *error)
{
        struct stat status;
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fstat(fd, &status) < 0 || (flags & O_ACCMODE) == O_RDONLY ||
                        !(S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)))
                return qvf_error_set(error, -EINVAL, "the output is no pipe or socket open for writing");
        if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return qvf_error_set(error, -errno, "the output can't be used: %s", strerror(errno));
        return 0;
}

int worker_output_add(struct worker_outputs *outputs, const char *name, uint64_t serial, int fd,
                struct qvf_error *error)
{
        struct worker_output *output = calloc(1, sizeof(*output));
        int r;

        if (!output) {
                close(fd);
                return -ENOMEM;
        }
        output->outputs = outputs;
        output->serial = serial;
        output->fd = fd;
        output->name = strdup(name);
        r = output->name ? check(fd, error) : -ENOMEM;
        if (r == 0 && worker_output_find(outputs, name) > 0)
                r = qvf_error_set(error, -EEXIST, "a request '%s' is under way", name);
        /* No event is asked for, and yet errors and the end of the reader are told. */
        if (r == 0)
                r = sd_event_add_io(outputs->event, &output->source, fd, 0, on_ready, output);
        if (r < 0) {
                output_free(output);
                return r;
        }
        output->next = outputs->first;
        outputs->first = output;
        return 0;
}

void worker_output_drop(struct worker_outputs *outputs, uint64_t serial)
{
        struct worker_output *output = find(outputs, serial);

        if (output)
                output_free(output);
}

void worker_output_text(struct worker_outputs *outputs, uint64_t serial, const char *text, size_t length)
{
        struct worker_output *output = find(outputs, serial);

        if (!output || output->broken)
                return;
        if (qvf_text_append(&output->text, text, length) < 0)
                break_off(output);
        push(output);
}

void worker_output_end(struct worker_outputs *outputs, uint64_t serial, const char *reason,
                struct worker_values *stats)
{
        struct worker_output *output = find(outputs, serial);

        if (!output)
                return;
        output->reason = reason;
        output->stats = *stats;
        stats->count = 0;
        push(output);
}

void worker_outputs_exit(struct worker_outputs *outputs)
{
        while (outputs->first)
                output_free(outputs->first);
}
