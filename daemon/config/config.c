/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/similar.h"
#include "daemon/config/keys.h"

/* People write a screen of it; what is much longer is no configuration. */
enum { FILE_SIZE_MOST = 256 << 10, FILES_MOST = 256 };

/* The table's own texts: they are tested, and can't be wrong at run time. */
static void set_initial(const struct qvf_key *key, const char *initial, void *place)
{
        char words[256];
        const char *texts[QVF_NAMES_MOST];
        char *rest = NULL;
        size_t n = 0;

        if (!qvf_key_is_list(key)) {
                qvf_key_set(key, place, &initial, 1, NULL);
                return;
        }
        snprintf(words, sizeof(words), "%s", initial);
        for (char *word = strtok_r(words, ", ", &rest); word && n < QVF_NAMES_MOST;
                        word = strtok_r(NULL, ", ", &rest))
                texts[n++] = word;
        qvf_key_set(key, place, texts, n, NULL);
}

void qvf_config_defaults(struct qvf_config *ret_config)
{
        *ret_config = (struct qvf_config){ 0 };
        for (size_t s = 0; s < qvf_n_sections; s++)
                for (size_t k = 0; k < qvf_sections[s].n_keys; k++) {
                        const struct qvf_key *key = &qvf_sections[s].keys[k];

                        set_initial(key, key->initial[qvf_sections[s].column],
                                        qvf_key_place(&qvf_sections[s], key, ret_config));
                }
}

char *qvf_config_folder(bool user)
{
        const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        char *folder = NULL;

        if (!user)
                return strdup("/etc/qvf");
        if (config && config[0] == '/')
                return asprintf(&folder, "%s/qvf", config) < 0 ? NULL : folder;
        return asprintf(&folder, "%s/.config/qvf", home && home[0] == '/' ? home : "") < 0 ? NULL : folder;
}

static int read_file(int fd, const char *path, struct qvf_text *text, struct qvf_error *error)
{
        struct stat status;
        char bytes[4096];

        if (fstat(fd, &status) < 0)
                return qvf_error_set(error, -errno, "%.300s: %s", path, strerror(errno));
        if (!S_ISREG(status.st_mode))
                return qvf_error_set(error, -EINVAL, "%.300s: not a regular file", path);
        for (;;) {
                ssize_t n = read(fd, bytes, sizeof(bytes));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return qvf_error_set(error, -errno, "%.300s: %s", path, strerror(errno));
                if (n == 0)
                        return 0;
                if (text->length + (size_t)n > FILE_SIZE_MOST)
                        return qvf_error_set(error, -EFBIG, "%.300s: longer than %d KiB", path,
                                        FILE_SIZE_MOST >> 10);
                if (qvf_text_append(text, bytes, (size_t)n) < 0)
                        return qvf_error_set(error, -ENOMEM, "%.300s: out of memory", path);
        }
}

/* -ENOENT, without words, where there is no such file. */
static int merge_file(struct qvf_config *config, const char *path, struct qvf_error *error)
{
        /* A FIFO must not make the daemon wait. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        _cleanup_text_ struct qvf_text text = { 0 };
        int r;

        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0)
                return qvf_error_set(error, -errno, "%.300s: %s", path, strerror(errno));
        r = read_file(fd, path, &text, error);
        return r < 0 ? r : qvf_config_merge(config, path, qvf_text_string(&text), text.length, error);
}

static int is_drop_in(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int merge_drop_ins(struct qvf_config *config, const char *folder, struct qvf_error *error)
{
        _cleanup_free_ char *drop_ins = NULL;
        struct dirent **entries = NULL;
        int n, r = 0;

        if (asprintf(&drop_ins, "%s/qvfd.d", folder) < 0)
                return -ENOMEM;
        n = scandir(drop_ins, &entries, is_drop_in, by_name);
        if (n < 0 && errno == ENOENT)
                return 0;
        if (n < 0)
                return qvf_error_set(error, -errno, "%.300s: %s", drop_ins, strerror(errno));
        if (n > FILES_MOST)
                r = qvf_error_set(error, -E2BIG, "%.300s: more than %d files", drop_ins, FILES_MOST);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL;

                if (r == 0 && asprintf(&path, "%s/%s", drop_ins, entries[i]->d_name) < 0)
                        r = -ENOMEM;
                if (r == 0)
                        r = merge_file(config, path, error);
                if (r == -ENOENT && !(error && error->code))
                        r = 0; /* removed just now */
                free(entries[i]);
        }
        free(entries);
        return r;
}

int qvf_config_load_folder(const char *folder, struct qvf_config *ret_config, struct qvf_error *error)
{
        struct qvf_config config;
        struct qvf_error own = { 0 };
        _cleanup_free_ char *path = NULL;
        int r;

        qvf_config_defaults(&config);
        if (asprintf(&path, "%s/qvfd.yaml", folder) < 0)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        r = merge_file(&config, path, &own);
        if (r == 0 || own.code == 0)
                r = merge_drop_ins(&config, folder, &own);
        if (r < 0)
                return qvf_error_set(error, r, "%s", own.code ? own.text : strerror(-r));
        *ret_config = config;
        return 0;
}

int qvf_config_load_file(const char *path, struct qvf_config *ret_config, struct qvf_error *error)
{
        struct qvf_config config;
        struct qvf_error own = { 0 };
        int r;

        qvf_config_defaults(&config);
        r = merge_file(&config, path, &own);
        if (r < 0)
                return qvf_error_set(error, r, own.code ? "%s" : "%s: there is no such file",
                                own.code ? own.text : path);
        *ret_config = config;
        return 0;
}

int qvf_config_print(const struct qvf_config *config, struct qvf_text *text)
{
        struct qvf_config copy = *config;
        int r = 0;

        for (size_t s = 0; s < qvf_n_sections && r == 0; s++) {
                const struct qvf_section *section = &qvf_sections[s];

                r = qvf_text_appendf(text, "%s:\n", section->name);
                for (size_t k = 0; k < section->n_keys && r == 0; k++) {
                        r = qvf_text_appendf(text, "  %s: ", section->keys[k].name);
                        if (r == 0)
                                r = qvf_key_print(&section->keys[k],
                                                qvf_key_place(section, &section->keys[k], &copy), text);
                        if (r == 0)
                                r = qvf_text_append_char(text, '\n');
                }
        }
        return r;
}

/* "training.idle_for" */
static const struct qvf_key *find_dotted(const char *name, const struct qvf_section **ret_section)
{
        const char *dot = strchr(name, '.');
        char section_name[32];

        if (!dot || (size_t)(dot - name) >= sizeof(section_name))
                return NULL;
        memcpy(section_name, name, (size_t)(dot - name));
        section_name[dot - name] = 0;
        *ret_section = qvf_section_find(section_name);
        return *ret_section ? qvf_key_find(*ret_section, dot + 1) : NULL;
}

int qvf_config_get(const struct qvf_config *config, const char *key, struct qvf_text *text)
{
        struct qvf_config copy = *config;
        const struct qvf_section *section = NULL;
        const struct qvf_key *found = find_dotted(key, &section);

        return found ? qvf_key_print(found, qvf_key_place(section, found, &copy), text) : -ENOENT;
}

const char *qvf_config_key_text(const char *key)
{
        const struct qvf_section *section = NULL;
        const struct qvf_key *found = find_dotted(key, &section);

        return found ? found->text : NULL;
}

const char *qvf_config_nearest_key(const char *key, char *buffer, size_t size)
{
        unsigned nearest = 0;
        bool found = false;
        char name[64];

        for (size_t s = 0; s < qvf_n_sections; s++)
                for (size_t k = 0; k < qvf_sections[s].n_keys; k++) {
                        unsigned distance;

                        snprintf(name, sizeof(name), "%s.%s", qvf_sections[s].name,
                                        qvf_sections[s].keys[k].name);
                        distance = qvf_word_distance(key, name);
                        if (distance * 3 > strlen(name) || (found && distance >= nearest))
                                continue;
                        nearest = distance;
                        found = true;
                        snprintf(buffer, size, "%s", name);
                }
        return found ? buffer : NULL;
}
