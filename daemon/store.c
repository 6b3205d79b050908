/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "common/cleanup.h"

#define RECORD_BYTES_MOST (1 << 20)

bool qvfd_name_valid(const char *name)
{
        size_t length = strlen(name);

        if (length < 1 || length > 64 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != length)
                return false;
        return name[0] != '.' && name[0] != '_' && name[0] != '-';
}

char *qvfd_store_default_path(bool user)
{
        const char *given = getenv("STATE_DIRECTORY"), *home;
        char *path = NULL;

        if (given && given[0] == '/') /* of several, the first */
                return strndup(given, strcspn(given, ":"));
        if (!user)
                return strdup("/var/lib/qvf");
        given = getenv("XDG_STATE_HOME");
        if (given && given[0] == '/')
                return asprintf(&path, "%s/qvf", given) < 0 ? NULL : path;
        home = getenv("HOME");
        return asprintf(&path, "%s/.local/state/qvf", home ? home : "") < 0 ? NULL : path;
}

static int make_folders(char *path)
{
        for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
                int r;

                if (slash)
                        *slash = 0;
                r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
                if (slash)
                        *slash = '/';
                if (r < 0 || !slash)
                        return r;
        }
}

static int open_folder(int root, const char *name)
{
        int fd;

        if (mkdirat(root, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int take_lock(struct qvfd_store *store)
{
        store->lock = openat(store->root, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (store->lock < 0)
                return -errno;
        return flock(store->lock, LOCK_EX | LOCK_NB) < 0 ? (errno == EWOULDBLOCK ? -EBUSY : -errno) : 0;
}

/* What atomic files left behind when the process was killed. */
static void sweep(int folder)
{
        int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;

        if (!directory) {
                if (copy >= 0)
                        close(copy);
                return;
        }
        while ((entry = readdir(directory)) != NULL)
                if (entry->d_name[0] == '.' && strcmp(entry->d_name, ".") != 0 &&
                                strcmp(entry->d_name, "..") != 0)
                        qvfd_remove_all(folder, entry->d_name);
        closedir(directory);
}

int qvfd_store_open(const char *path, struct qvfd_store *ret_store, struct qvf_error *error)
{
        struct qvfd_store store = { .root = -1,
                .models = -1,
                .adapters = -1,
                .jobs = -1,
                .devices = -1,
                .scratch = -1,
                .lock = -1 };
        int *const folders[] = { &store.models, &store.adapters, &store.jobs, &store.devices };
        static const char *const names[] = { "models", "adapters", "jobs", "devices" };
        int r;

        store.path = strdup(path);
        r = !store.path ? -ENOMEM : make_folders(store.path);
        if (r == 0) {
                store.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                r = store.root < 0 ? -errno : take_lock(&store);
        }
        for (size_t i = 0; r == 0 && i < QVF_ARRAY_LENGTH(folders); i++) {
                int folder = *folders[i] = open_folder(store.root, names[i]);

                r = folder < 0 ? folder : 0;
                if (r == 0)
                        sweep(folder);
        }
        if (r == 0) {
                qvfd_remove_all(store.root, "scratch");
                store.scratch = open_folder(store.root, "scratch");
                r = store.scratch < 0 ? store.scratch : 0;
        }
        if (r < 0) {
                qvf_error_set(error, r,
                                r == -EBUSY ? "another qvfd uses the store in %s%s" : "the store in %s: %s",
                                path, r == -EBUSY ? "" : strerror(-r));
                qvfd_store_close(&store);
                return r;
        }
        *ret_store = store;
        return 0;
}

void qvfd_store_close(struct qvfd_store *store)
{
        const int fds[] = { store->root, store->models, store->adapters, store->jobs, store->devices,
                store->scratch, store->lock };

        if (!store->path)
                return;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(fds); i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        free(store->path);
        *store = (struct qvfd_store){ 0 };
}

int qvfd_record_read(int folder, const char *name, struct json_object **ret_record, struct qvf_error *error)
{
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        _cleanup_free_ char *text = NULL;
        struct json_object *record;
        struct stat status;
        ssize_t n;

        if (fd < 0)
                return qvf_error_set(error, -errno, "%s: %s", name, strerror(errno));
        if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > RECORD_BYTES_MOST)
                return qvf_error_set(error, -EBADMSG, "%s is no record", name);
        text = calloc(1, (size_t)status.st_size + 1);
        n = text ? read(fd, text, (size_t)status.st_size) : -1;
        if (n < 0)
                return qvf_error_set(error, -EIO, "%s can't be read", name);
        record = json_tokener_parse(text);
        if (!json_object_is_type(record, json_type_object)) {
                json_object_put(record);
                return qvf_error_set(error, -EBADMSG, "%s is no JSON object", name);
        }
        *ret_record = record;
        return 0;
}

int qvfd_record_write(int folder, const char *name, struct json_object *record, struct qvf_error *error)
{
        const char *text = json_object_to_json_string_ext(record, JSON_C_TO_STRING_PRETTY);

        return text ? qvf_atomic_file_put(folder, name, 0600, text, strlen(text), error)
                    : qvf_error_set(error, -ENOMEM, "%s: no memory", name);
}

/* Depth is limited by what the service itself makes: nothing is deeper than jobs/ID/run-N/file. */
static int remove_below(int parent, const char *name, int depth)
{
        struct dirent *entry;
        DIR *directory;
        int fd;

        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        fd = depth == 0 ? -1 : openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        directory = fd < 0 ? NULL : fdopendir(fd);
        if (!directory) {
                if (fd >= 0)
                        close(fd);
                return -EIO;
        }
        while ((entry = readdir(directory)) != NULL)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        remove_below(fd, entry->d_name, depth - 1);
        closedir(directory);
        return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int qvfd_remove_all(int folder, const char *name)
{
        return remove_below(folder, name, 4);
}

int qvfd_scratch_file(struct qvfd_store *store, char ret_name[32], struct qvf_error *error)
{
        for (int attempt = 0; attempt < 16; attempt++) {
                uint64_t number = 0;
                int fd;

                if (getrandom(&number, sizeof(number), 0) < 0)
                        break;
                snprintf(ret_name, 32, "%016llx", (unsigned long long)number);
                fd = openat(store->scratch, ret_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                0600);
                if (fd >= 0)
                        return fd;
                if (errno != EEXIST)
                        break;
        }
        return qvf_error_set(error, -errno, "no file can be made in the store: %s", strerror(errno));
}

int qvfd_store_move(int from, const char *from_name, int to, const char *to_name)
{
        if (renameat(from, from_name, to, to_name) < 0 || fsync(to) < 0)
                return -errno;
        return 0;
}

const char *qvfd_json_string(struct json_object *record, const char *key)
{
        struct json_object *value;

        return json_object_object_get_ex(record, key, &value) && json_object_is_type(value, json_type_string)
                               ? json_object_get_string(value)
                               : "";
}

double qvfd_json_number(struct json_object *record, const char *key, double otherwise)
{
        struct json_object *value;

        if (!json_object_object_get_ex(record, key, &value) ||
                        !(json_object_is_type(value, json_type_double) ||
                                        json_object_is_type(value, json_type_int)))
                return otherwise;
        return json_object_get_double(value);
}

uint64_t qvfd_json_u64(struct json_object *record, const char *key)
{
        struct json_object *value;

        return json_object_object_get_ex(record, key, &value) && json_object_is_type(value, json_type_int)
                               ? json_object_get_uint64(value)
                               : 0;
}

bool qvfd_json_bool(struct json_object *record, const char *key)
{
        struct json_object *value;

        return json_object_object_get_ex(record, key, &value) &&
               json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

void qvfd_json_set_string(struct json_object *record, const char *key, const char *value)
{
        json_object_object_add(record, key, json_object_new_string(value ? value : ""));
}

void qvfd_json_set_number(struct json_object *record, const char *key, double value)
{
        if (isfinite(value))
                json_object_object_add(record, key, json_object_new_double(value));
        else
                json_object_object_del(record, key);
}

void qvfd_json_set_u64(struct json_object *record, const char *key, uint64_t value)
{
        json_object_object_add(record, key, json_object_new_uint64(value));
}
