/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>

static void to_stderr(void *context, enum qvf_log_level level, const char *line)
{
        static const char *const names[] = { "error: ", "warning: ", "", "debug: " };

        (void)context;
        fprintf(stderr, "%s%s\n", names[level], line);
}

static struct {
        qvf_log_sink sink;
        void *context;
        enum qvf_log_level most;
} state = { to_stderr, NULL, QVF_LOG_INFO };

void qvf_log_set(qvf_log_sink sink, void *context, enum qvf_log_level most)
{
        state.sink = sink ? sink : to_stderr;
        state.context = context;
        state.most = most;
}

void qvf_log(enum qvf_log_level level, const char *format, ...)
{
        char line[2048];
        va_list arguments;

        if (level > state.most)
                return;
        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        for (unsigned char *c = (unsigned char *)line; *c; c++)
                if (*c < 0x20 || *c == 0x7f)
                        *c = '?';
        state.sink(state.context, level, line);
}
