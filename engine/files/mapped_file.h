/* SPDX-License-Identifier: Apache-2.0 */
/* A regular file, mapped read-only and shared, so that two processes have one copy of its pages.
 *
 * A file that another process cuts short later raises SIGBUS where its lost pages are read: no check at open
 * can rule that out, except where the file is sealed (memfd with F_SEAL_SHRINK; `sealed` says so). Whoever
 * maps a file that others may write must be a process that may die (the worker), and may call
 * qvf_mapped_file_check() before long work to end with a message instead. */
#ifndef QVF_ENGINE_FILES_MAPPED_FILE_H
#define QVF_ENGINE_FILES_MAPPED_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

struct qvf_mapped_file {
        const uint8_t *data; /* NULL for an empty file */
        uint64_t size;
        int fd;      /* own duplicate of the descriptor */
        bool sealed; /* cannot shrink any more */
        char *name;  /* for messages */
};

/* Regular files only: no FIFO, device, socket or folder, and none over `size_most` bytes (0: no limit but
 * the address space). The descriptor stays the caller's and may be closed at once. */
int qvf_mapped_file_open_fd(int fd, const char *name, uint64_t size_most, struct qvf_mapped_file **ret_file,
                struct qvf_error *error);
int qvf_mapped_file_open(const char *path, uint64_t size_most, struct qvf_mapped_file **ret_file,
                struct qvf_error *error);
struct qvf_mapped_file *qvf_mapped_file_free(struct qvf_mapped_file *file);
QVF_DEFINE_CLEANUP(struct qvf_mapped_file *, qvf_mapped_file_free)

/* -ESTALE once the file is shorter than its mapping. */
int qvf_mapped_file_check(const struct qvf_mapped_file *file, struct qvf_error *error);

#endif
