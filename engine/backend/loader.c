/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/cleanup.h"

#define SUFFIX ".so"
#define SIZE_LEAST offsetof(struct qvf_backend, tune) /* what every plugin of this ABI has */

static bool is_name(const char *name)
{
        size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

        return length > 0 && length < QVF_BACKEND_NAME_SIZE && name[length] == 0;
}

/* Nobody but root and ourselves may be able to put code there. */
static int check_owner(int fd, mode_t type, const char *folder, const char *file, struct qvf_error *error)
{
        const char *separator = file[0] ? "/" : "";
        struct stat status;

        if (fstat(fd, &status) < 0)
                return qvf_error_set(error, -errno, "%s%s%s: %s", folder, separator, file, strerror(errno));
        if ((status.st_mode & S_IFMT) != type)
                return qvf_error_set(error, -EINVAL, "%s%s%s: not a %s", folder, separator, file,
                                type == S_IFDIR ? "folder" : "regular file");
        if (status.st_uid != 0 && status.st_uid != geteuid())
                return qvf_error_set(error, -EPERM, "%s%s%s: owned by user %u, expected root or user %u",
                                folder, separator, file, status.st_uid, geteuid());
        if (status.st_mode & (S_IWGRP | S_IWOTH))
                return qvf_error_set(error, -EPERM,
                                "%s%s%s: mode %04o lets others write to it, expected no write for group and "
                                "others",
                                folder, separator, file, status.st_mode & 07777);
        return 0;
}

static int open_folder(const char *folder, int *ret_fd, struct qvf_error *error)
{
        _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r;

        if (fd < 0)
                return qvf_error_set(error, -errno, "plugin folder %s: %s", folder, strerror(errno));
        r = check_owner(fd, S_IFDIR, folder, "", error);
        if (r < 0)
                return r;
        *ret_fd = fd;
        fd = -1;
        return 0;
}

static int open_file(const char *folder, const char *file, int *ret_fd, struct qvf_error *error)
{
        _cleanup_close_ int folder_fd = -1, fd = -1;
        int r = open_folder(folder, &folder_fd, error);

        if (r < 0)
                return r;
        /* O_NONBLOCK: a FIFO in this place must not stop us before it is refused. */
        fd = openat(folder_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == ELOOP)
                return qvf_error_set(error, -ELOOP, "%s/%s: a symbolic link, expected a file", folder, file);
        if (fd < 0)
                return qvf_error_set(error, -errno, "%s/%s: %s", folder, file, strerror(errno));
        r = check_owner(fd, S_IFREG, folder, file, error);
        if (r < 0)
                return r;
        *ret_fd = fd;
        fd = -1;
        return 0;
}

/* These are called without a further look, so all of them must be there. */
static bool has_functions(const struct qvf_backend *b)
{
        return b->probe && b->device_open && b->device_close && b->event_fd && b->buffer_new &&
               b->buffer_import && b->buffer_free && b->buffer_upload && b->buffer_download &&
               b->buffer_map && b->pack_size && b->pack && b->program_size && b->program_new &&
               b->program_free && b->submit && b->wait && b->pause;
}

/* `room`: bytes that the symbol really has, as the plugin's symbol table says. */
static int check_symbol(
                const struct qvf_backend *backend, uint64_t room, const char *name, struct qvf_error *error)
{
        const size_t head = offsetof(struct qvf_backend, name); /* magic, abi, size */

        if (room < head || memcmp(backend->magic, QVF_BACKEND_MAGIC, sizeof(backend->magic)) != 0)
                return qvf_error_set(error, -EINVAL,
                                "plugin %s: its '" QVF_BACKEND_SYMBOL "' has another magic", name);
        if (backend->abi != QVF_BACKEND_ABI)
                return qvf_error_set(error, -EINVAL, "plugin %s: made for plugin ABI %u, expected %u", name,
                                backend->abi, QVF_BACKEND_ABI);
        if (backend->size < SIZE_LEAST || room < backend->size)
                return qvf_error_set(error, -EINVAL,
                                "plugin %s: its description says %u bytes and has %llu, expected %zu", name,
                                backend->size, (unsigned long long)room, sizeof(*backend));
        if (!memchr(backend->name, 0, sizeof(backend->name)) || strcmp(backend->name, name) != 0 ||
                        !memchr(backend->version, 0, sizeof(backend->version)))
                return qvf_error_set(error, -EINVAL, "plugin %s: it does not call itself so", name);
        if (!has_functions(backend))
                return qvf_error_set(error, -EINVAL, "plugin %s: a function is missing", name);
        return 0;
}

int qvf_backend_open(const char *folder, const char *name, const struct qvf_backend **ret_backend,
                struct qvf_error *error)
{
        char file[QVF_BACKEND_NAME_SIZE + sizeof(SUFFIX)], path[32];
        _cleanup_close_ int fd = -1;
        const ElfW(Sym) *symbol = NULL;
        void *handle, *backend;
        Dl_info info;
        int r;

        if (!folder)
                folder = QVF_PLUGIN_DIR;
        if (!is_name(name))
                return qvf_error_set(error, -EINVAL, "'%s' is no name of a plugin", name);
        snprintf(file, sizeof(file), "%s" SUFFIX, name);
        r = open_file(folder, file, &fd, error);
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
                return qvf_error_set(error, -ENOEXEC, "plugin %s: %s", name, dlerror());
        /* The loader knows the plugin by this path from now on: the number must never stand for another file. */
        fd = -1;
        backend = dlsym(handle, QVF_BACKEND_SYMBOL);
        if (!backend || !dladdr1(backend, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
                return qvf_error_set(error, -EINVAL, "plugin %s: it has no symbol '" QVF_BACKEND_SYMBOL "'",
                                name);
        r = check_symbol(backend, symbol->st_size, name, error);
        if (r < 0)
                return r;
        *ret_backend = backend;
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(a, b);
}

static void qvf_closedirp(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

int qvf_backend_list(const char *folder, char (*names)[QVF_BACKEND_NAME_SIZE], uint32_t capacity,
                uint32_t *ret_count, struct qvf_error *error)
{
        _cleanup_(qvf_closedirp) DIR *dir = NULL;
        _cleanup_close_ int fd = -1;
        const struct dirent *entry;
        uint32_t count = 0;
        int r;

        if (!folder)
                folder = QVF_PLUGIN_DIR;
        r = open_folder(folder, &fd, error);
        if (r < 0)
                return r;
        dir = fdopendir(fd);
        if (!dir)
                return qvf_error_set(error, -errno, "plugin folder %s: %s", folder, strerror(errno));
        fd = -1;
        while (count < capacity && (entry = readdir(dir))) {
                size_t length = strlen(entry->d_name);
                char name[QVF_BACKEND_NAME_SIZE] = { 0 };

                if (length <= strlen(SUFFIX) || length - strlen(SUFFIX) >= sizeof(name) ||
                                strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) != 0)
                        continue;
                memcpy(name, entry->d_name, length - strlen(SUFFIX));
                if (is_name(name))
                        memcpy(names[count++], name, sizeof(name));
        }
        qsort(names, count, sizeof(*names), compare_names);
        *ret_count = count;
        return 0;
}

bool qvf_backend_can_tune(const struct qvf_backend *backend)
{
        return backend->size >= offsetof(struct qvf_backend, tune) + sizeof(backend->tune) && backend->tune;
}
