/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/stored.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/qvfd.h"

enum { FILE_NAME = 80 };

static void file_name(char text[FILE_NAME], const char *name, const char *ending)
{
        snprintf(text, FILE_NAME, "%s.%s", name, ending);
}

/* "NAME.ending": cut to NAME where it is a valid one. */
static bool cut(char *file, const char *ending)
{
        size_t length = strlen(file), tail = strlen(ending);

        if (length <= tail || strcmp(file + length - tail, ending) != 0)
                return false;
        file[length - tail] = 0;
        return qvfd_name_valid(file);
}

static void load(struct qvfd *service, int folder, char *file,
                int (*take)(struct qvfd *service, const char *name, struct json_object *record))
{
        _cleanup_json_ struct json_object *record = NULL;
        struct qvf_error error = { 0 };
        char other[FILE_NAME];
        struct stat status;
        int r;

        if (cut(file, ".gguf")) {
                file_name(other, file, "json");
                if (faccessat(folder, other, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                        qvfd_stored_remove(folder, file);
                return;
        }
        if (!cut(file, ".json"))
                return;
        file_name(other, file, "gguf");
        r = fstatat(folder, other, &status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        if (r < 0)
                qvf_error_set(&error, r, "its file is gone");
        file_name(other, file, "json");
        if (r == 0)
                r = qvfd_record_read(folder, other, &record, &error);
        if (r == 0)
                r = take(service, file, record);
        if (r < 0)
                qvf_log(QVF_LOG_WARNING, "%s in the store is left out: %s", file, error.text);
}

void qvfd_stored_load(struct qvfd *service, int folder,
                int (*take)(struct qvfd *service, const char *name, struct json_object *record))
{
        struct dirent **entries;
        int n = scandirat(folder, ".", &entries, NULL, alphasort);

        for (int i = 0; i < n; i++) {
                load(service, folder, entries[i]->d_name, take);
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
}

int qvfd_stored_open(int folder, const char *name)
{
        char file[FILE_NAME];
        int fd;

        file_name(file, name, "gguf");
        fd = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int qvfd_stored_put(struct qvfd *service, int folder, const char *name, int from, const char *from_name,
                struct json_object *record, struct qvf_error *error)
{
        char file[FILE_NAME];
        int r;

        (void)service;
        file_name(file, name, "gguf");
        r = qvfd_store_move(from, from_name, folder, file);
        if (r < 0)
                return qvf_error_set(error, r, "%s can't be put into the store: %s", name, strerror(-r));
        file_name(file, name, "json");
        return qvfd_record_write(folder, file, record, error);
}

void qvfd_stored_remove(int folder, const char *name)
{
        char file[FILE_NAME];

        file_name(file, name, "json");
        unlinkat(folder, file, 0);
        fsync(folder);
        file_name(file, name, "gguf");
        unlinkat(folder, file, 0);
}
