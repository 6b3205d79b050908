/* SPDX-License-Identifier: Apache-2.0 */
/* Small files below the root prefix. Whatever is wrong with one, the answer is "not there". */
#ifndef QVF_DAEMON_SENSORS_ROOT_H
#define QVF_DAEMON_SENSORS_ROOT_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/policy/policy.h"

enum { QVF_WORD_SIZE = 64, QVF_PATH_SIZE = 512 };

/* The first bytes of a file, always terminated; false where there are none. `format` makes the path below the root. */
bool qvf_root_read(const char *root, char *bytes, size_t size, const char *format, ...)
                __attribute__((format(printf, 4, 5)));
/* The first line without blanks at its ends. */
bool qvf_root_word(const char *root, char word[QVF_WORD_SIZE], const char *format, ...)
                __attribute__((format(printf, 3, 4)));
/* A whole number as sysfs writes it. */
bool qvf_root_number(const char *root, double *ret_value, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
DIR *qvf_root_folder(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool qvf_root_path(const char *root, char path[QVF_PATH_SIZE], const char *format, ...)
                __attribute__((format(printf, 3, 4)));
/* The next entry whose name begins so; NULL at the end. */
const char *qvf_next_entry(DIR *folder, const char *begin);
static inline void qvf_closedirp(DIR **folder)
{
        if (*folder)
                closedir(*folder);
}
#define _cleanup_closedir_ __attribute__((cleanup(qvf_closedirp)))

static inline struct qvf_reading qvf_reading_of(double value)
{
        return (struct qvf_reading){ .known = true, .value = value };
}

#endif
