/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line to options of a call. */
#ifndef QVF_CTL_SEND_H
#define QVF_CTL_SEND_H

#include <math.h>

#include "bench/options.h"
#include "common/error.h"
#include "qvf/qvf.h"

/* Defaults of options that are sent only when they were given. */
#define CTL_NO_COUNT UINT32_MAX
#define CTL_NO_NUMBER NAN

/* Sends what of the table was given: "--learning-rate" is the key learning_rate, and "--no-pack" pack = false. */
void ctl_send(const struct bench_option *table, const void *defaults, const void *options,
                struct qvf_options *out);

/* Opens a file for reading; "-" is standard input, which is copied into memory where it is no file. */
int ctl_open_input(const char *path, int *ret_fd, struct qvf_error *error);
/* The whole of a descriptor as text, at most `limit` bytes; to free(). */
int ctl_read_all(int fd, size_t limit, char **ret_text, size_t *ret_length, struct qvf_error *error);

#endif
