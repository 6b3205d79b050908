/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char *kind_name(mode_t mode)
{
        if (S_ISDIR(mode))
                return "a folder";
        if (S_ISFIFO(mode))
                return "a pipe";
        if (S_ISSOCK(mode))
                return "a socket";
        if (S_ISCHR(mode) || S_ISBLK(mode))
                return "a device";
        return "no regular file";
}

/* The size of a regular file within the limits. */
static int checked_size(
                int fd, const char *name, uint64_t size_most, uint64_t *ret_size, struct qvf_error *error)
{
        struct stat st;

        if (fd < 0)
                return qvf_error_set(error, -EBADF, "%s: no file descriptor", name);
        if (fstat(fd, &st) < 0)
                return qvf_error_set(error, -errno, "%s: %s", name, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return qvf_error_set(error, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
                                "%s: this is %s, expected a regular file", name, kind_name(st.st_mode));
        if (st.st_size < 0 || (uint64_t)st.st_size > PTRDIFF_MAX) /* 2 GiB on 32-bit machines */
                return qvf_error_set(error, -EFBIG, "%s: too large for this machine's address space", name);
        if (size_most && (uint64_t)st.st_size > size_most)
                return qvf_error_set(error, -EFBIG, "%s: %" PRIu64 " bytes, expected at most %" PRIu64, name,
                                (uint64_t)st.st_size, size_most);
        *ret_size = (uint64_t)st.st_size;
        return 0;
}

int qvf_mapped_file_open_fd(int fd, const char *name, uint64_t size_most, struct qvf_mapped_file **ret_file,
                struct qvf_error *error)
{
        _cleanup_(qvf_mapped_file_freep) struct qvf_mapped_file *file = NULL;
        void *data;
        int r, seals;

        file = calloc(1, sizeof(*file));
        if (!file)
                return -ENOMEM;
        file->fd = -1;
        file->name = strdup(name ? name : "(unnamed file)");
        if (!file->name)
                return -ENOMEM;
        r = checked_size(fd, file->name, size_most, &file->size, error);
        if (r < 0)
                return r;
        file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (file->fd < 0)
                return qvf_error_set(error, -errno, "%s: %s", file->name, strerror(errno));
        seals = fcntl(fd, F_GET_SEALS);
        file->sealed = seals >= 0 && (seals & F_SEAL_SHRINK);
        if (file->size > 0) {
                data = mmap(NULL, (size_t)file->size, PROT_READ, MAP_SHARED, fd, 0);
                if (data == MAP_FAILED)
                        return qvf_error_set(error, -errno, "%s: cannot be mapped: %s", file->name,
                                        errno == EACCES ? "not open for reading" : strerror(errno));
                file->data = data;
        }
        *ret_file = QVF_TAKE(file);
        return 0;
}

int qvf_mapped_file_open(const char *path, uint64_t size_most, struct qvf_mapped_file **ret_file,
                struct qvf_error *error)
{
        _cleanup_close_ int fd = -1;

        /* O_NONBLOCK: opening a pipe that nobody writes would wait for ever. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return qvf_error_set(error, -errno, "%s: %s", path, strerror(errno));
        return qvf_mapped_file_open_fd(fd, path, size_most, ret_file, error);
}

struct qvf_mapped_file *qvf_mapped_file_free(struct qvf_mapped_file *file)
{
        if (!file)
                return NULL;
        if (file->data)
                munmap((void *)file->data, (size_t)file->size);
        if (file->fd >= 0)
                close(file->fd);
        free(file->name);
        free(file);
        return NULL;
}

int qvf_mapped_file_check(const struct qvf_mapped_file *file, struct qvf_error *error)
{
        struct stat st;

        if (fstat(file->fd, &st) < 0)
                return qvf_error_set(error, -errno, "%s: %s", file->name, strerror(errno));
        if ((uint64_t)st.st_size < file->size)
                return qvf_error_set(error, -ESTALE,
                                "%s: was %" PRIu64 " bytes when it was opened and is %" PRIu64
                                " now: somebody cut it short",
                                file->name, file->size, (uint64_t)st.st_size);
        return 0;
}
