/* SPDX-License-Identifier: Apache-2.0 */
#include "common/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static void end(struct qvf_atomic_file *file)
{
        if (file->fd >= 0)
                close(file->fd);
        if (file->folder >= 0)
                close(file->folder);
        free(file->name);
        free(file->temporary);
        *file = (struct qvf_atomic_file)QVF_ATOMIC_FILE_INIT;
}

/* The folder of `name` itself, so that it can be synced and nobody moves it meanwhile. */
static int open_folder(int folder, const char *name, const char **ret_base)
{
        const char *slash = strrchr(name, '/');
        char *path = slash ? strndup(name, slash == name ? 1 : (size_t)(slash - name)) : strdup(".");
        int fd;

        if (!path)
                return -ENOMEM;
        fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                fd = -errno;
        free(path);
        *ret_base = slash ? slash + 1 : name;
        return fd;
}

static int create(struct qvf_atomic_file *file, mode_t mode)
{
        for (int attempt = 0; attempt < 16; attempt++) {
                uint64_t number = 0;

                if (getrandom(&number, sizeof(number), 0) < 0)
                        return -errno;
                free(file->temporary);
                file->temporary = NULL;
                if (asprintf(&file->temporary, ".%.200s.%016llx.tmp", file->name,
                                    (unsigned long long)number) < 0) {
                        file->temporary = NULL;
                        return -ENOMEM;
                }
                file->fd = openat(file->folder, file->temporary,
                                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
                if (file->fd >= 0)
                        return 0;
                if (errno != EEXIST)
                        break;
        }
        return -errno;
}

int qvf_atomic_file_open(int folder, const char *name, mode_t mode, struct qvf_atomic_file *ret_file,
                struct qvf_error *error)
{
        struct qvf_atomic_file file = QVF_ATOMIC_FILE_INIT;
        const char *base;
        int r = open_folder(folder, name, &base);

        if (r >= 0) {
                file.folder = r;
                file.name = strdup(base);
                r = !file.name ? -ENOMEM : base[0] == 0 ? -EISDIR : create(&file, mode);
        }
        if (r < 0) {
                end(&file);
                return qvf_error_set(error, r, "%s can't be written: %s", name, strerror(-r));
        }
        file.error = error;
        *ret_file = file;
        return 0;
}

void qvf_atomic_file_write(struct qvf_atomic_file *file, const void *bytes, size_t length)
{
        const char *at = bytes;

        while (file->failure == 0 && length > 0) {
                ssize_t n = write(file->fd, at, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        file->failure = -errno;
                        return;
                }
                at += n;
                length -= (size_t)n;
        }
}

int qvf_atomic_file_commit(struct qvf_atomic_file *file)
{
        int r = file->failure;

        if (r == 0 && fsync(file->fd) < 0)
                r = -errno;
        if (r == 0 && renameat(file->folder, file->temporary, file->folder, file->name) < 0)
                r = -errno;
        if (r == 0 && fsync(file->folder) < 0)
                r = -errno;
        if (r < 0) {
                qvf_error_set(file->error, r, "%s can't be written: %s", file->name, strerror(-r));
                unlinkat(file->folder, file->temporary,
                                0); /* gone already where only the folder's sync failed */
        }
        end(file);
        return r;
}

void qvf_atomic_file_abort(struct qvf_atomic_file *file)
{
        if (file->fd < 0)
                return;
        unlinkat(file->folder, file->temporary, 0);
        end(file);
}

int qvf_atomic_file_put(int folder, const char *name, mode_t mode, const void *bytes, size_t length,
                struct qvf_error *error)
{
        struct qvf_atomic_file file;
        int r = qvf_atomic_file_open(folder, name, mode, &file, error);

        if (r < 0)
                return r;
        qvf_atomic_file_write(&file, bytes, length);
        return qvf_atomic_file_commit(&file);
}
