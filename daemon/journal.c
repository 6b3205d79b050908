/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/journal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
static const char *const fields[QVFD_KINDS] = { [QVFD_DEVICE] = "DEVICE",
        [QVFD_MODEL] = "MODEL",
        [QVFD_ADAPTER] = "ADAPTER",
        [QVFD_JOB] = "JOB",
        [QVFD_SESSION] = "SESSION" };

static struct {
        bool journal;
        enum qvf_log_level most;
} state = { false, QVF_LOG_INFO };

/* $JOURNAL_STREAM names device and inode of the stream that stderr was given. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        uint64_t device, inode;
        struct stat status;

        return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

static void put(enum qvf_log_level level, const char *const *entries, unsigned n, const char *line)
{
        struct iovec parts[8];
        char message[2200], priority[16];
        unsigned n_parts = 0;

        if (!state.journal) {
                static const char *const names[] = { "error: ", "warning: ", "", "debug: " };

                fprintf(stderr, "%s%s\n", names[level], line);
                return;
        }
        snprintf(message, sizeof(message), "MESSAGE=%s", line);
        snprintf(priority, sizeof(priority), "PRIORITY=%d", priorities[level]);
        parts[n_parts++] = (struct iovec){ message, strlen(message) };
        parts[n_parts++] = (struct iovec){ priority, strlen(priority) };
        for (unsigned i = 0; i < n && n_parts < 8; i++)
                parts[n_parts++] = (struct iovec){ (char *)entries[i], strlen(entries[i]) };
        sd_journal_sendv(parts, (int)n_parts);
}

static void sink(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        put(level, NULL, 0, line);
}

void qvfd_journal_open(bool verbose)
{
        state.journal = stderr_is_journal();
        state.most = verbose ? QVF_LOG_DEBUG : QVF_LOG_INFO;
        qvf_log_set(sink, NULL, state.most);
}

/* Names and reasons come from clients: one line stays one line. */
static void clean(char *text)
{
        for (unsigned char *c = (unsigned char *)text; *c; c++)
                if (*c < 0x20 || *c == 0x7f)
                        *c = '?';
}

void qvfd_journal(enum qvf_log_level level, const struct qvfd_object *subject, const char *format, ...)
{
        const char *field = subject && subject->name ? fields[subject->kind] : NULL;
        char line[2048], entry[128];
        const char *const entries[] = { entry };
        va_list arguments;
        int at = 0;

        if (level > state.most)
                return;
        if (field) {
                snprintf(entry, sizeof(entry), "%s=%s", field, subject->name);
                if (!state.journal)
                        at = snprintf(line, sizeof(line), "%s %s: ",
                                        subject->kind == QVFD_JOB       ? "job"
                                        : subject->kind == QVFD_MODEL   ? "model"
                                        : subject->kind == QVFD_DEVICE  ? "device"
                                        : subject->kind == QVFD_ADAPTER ? "adapter"
                                                                        : "session",
                                        subject->name);
        }
        va_start(arguments, format);
        vsnprintf(line + at, sizeof(line) - (size_t)at, format, arguments);
        va_end(arguments);
        clean(line);
        put(level, entries, field ? 1 : 0, line);
}

void qvfd_journal_verdict(const char *activity, bool allowed, const char *constraint, const char *reason)
{
        char line[512], entry[3][96];
        const char *const entries[] = { entry[0], entry[1], entry[2] };

        snprintf(entry[0], sizeof(entry[0]), "ACTIVITY=%s", activity);
        snprintf(entry[1], sizeof(entry[1]), "VERDICT=%s", allowed ? "allowed" : "forbidden");
        snprintf(entry[2], sizeof(entry[2]), "CONSTRAINT=%s", constraint);
        snprintf(line, sizeof(line), "%s is %s: %s", activity, allowed ? "allowed" : "not allowed", reason);
        clean(line);
        put(QVF_LOG_INFO, entries, 3, line);
}
