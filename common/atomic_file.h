/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is either there as a whole or not at all: written under another name, synced, renamed, and the folder
 * synced. What stood under the name before stays until the rename. */
#ifndef QVF_COMMON_ATOMIC_FILE_H
#define QVF_COMMON_ATOMIC_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct qvf_atomic_file {
        int folder; /* a copy of the caller's descriptor */
        int fd;
        char *name, *temporary;
        struct qvf_error *error;
        int failure; /* the first; later writes do nothing */
};

/* `folder` is a descriptor or AT_FDCWD, `name` a name in it (or a path). The file gets `mode` less the umask. */
int qvf_atomic_file_open(int folder, const char *name, mode_t mode, struct qvf_atomic_file *ret_file,
                struct qvf_error *error);
/* Appends; the first failure sticks and is what commit returns. */
void qvf_atomic_file_write(struct qvf_atomic_file *file, const void *bytes, size_t length);
/* Puts it in place, or, after a failure, removes what was written. Ends the file either way. */
int qvf_atomic_file_commit(struct qvf_atomic_file *file);
/* Gives it up. Ends the file; does nothing to one that has ended. */
void qvf_atomic_file_abort(struct qvf_atomic_file *file);

#define _cleanup_atomic_file_ __attribute__((cleanup(qvf_atomic_file_abort)))
#define QVF_ATOMIC_FILE_INIT                                                                                \
        {                                                                                                   \
                .folder = -1, .fd = -1                                                                      \
        }

/* The whole of it in one call. */
int qvf_atomic_file_put(int folder, const char *name, mode_t mode, const void *bytes, size_t length,
                struct qvf_error *error);

#endif
