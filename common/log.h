/* SPDX-License-Identifier: Apache-2.0 */
/* One line of log at a time, to whoever set a sink (stderr until then). */
#ifndef QVF_COMMON_LOG_H
#define QVF_COMMON_LOG_H

enum qvf_log_level { QVF_LOG_ERROR, QVF_LOG_WARNING, QVF_LOG_INFO, QVF_LOG_DEBUG };

typedef void (*qvf_log_sink)(void *context, enum qvf_log_level level, const char *line);

/* Lines above `most` are dropped. NULL brings stderr back. */
void qvf_log_set(qvf_log_sink sink, void *context, enum qvf_log_level most);
void qvf_log(enum qvf_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
