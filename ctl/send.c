/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "ctl/ctl.h"

static size_t size_of(enum bench_option_type type)
{
        switch (type) {
        case BENCH_FLAG: return sizeof(bool);
        case BENCH_STRING: return sizeof(char *);
        case BENCH_STRINGS: return sizeof(struct bench_strings);
        case BENCH_COUNT:
        case BENCH_CHOICE: return sizeof(uint32_t);
        case BENCH_NUMBER: return sizeof(float);
        case BENCH_SEED: return sizeof(struct bench_seed);
        default: return 0;
        }
}

/* A float as the decimal number that was written, not the binary one beside it. */
static double as_written(float number)
{
        char text[32];

        snprintf(text, sizeof(text), "%.7g", (double)number);
        return strtod(text, NULL);
}

static void send_choice(
                const struct bench_option *option, const char *key, uint32_t place, struct qvf_options *out)
{
        const char *choice = option->argument;
        char text[64];

        for (; place > 0; place--)
                choice += strcspn(choice, "|") + 1;
        snprintf(text, sizeof(text), "%.*s", (int)strcspn(choice, "|"), choice);
        qvf_options_set_string(out, key, text);
}

static void send_one(const struct bench_option *option, const char *key, const void *place,
                struct qvf_options *out)
{
        const char *texts[BENCH_LIST_MAX + 1] = { NULL };
        const struct bench_strings *strings;

        switch (option->type) {
        case BENCH_FLAG:
                if (strncmp(key, "no_", 3) == 0)
                        qvf_options_set_boolean(out, key + 3, false);
                else
                        qvf_options_set_boolean(out, key, true);
                break;
        case BENCH_STRING: qvf_options_set_string(out, key, *(const char *const *)place); break;
        case BENCH_STRINGS:
                strings = place;
                memcpy(texts, strings->items, strings->count * sizeof(texts[0]));
                qvf_options_set_strings(out, key, texts);
                break;
        case BENCH_COUNT: qvf_options_set_integer(out, key, *(const uint32_t *)place); break;
        case BENCH_NUMBER: qvf_options_set_number(out, key, as_written(*(const float *)place)); break;
        case BENCH_SEED:
                qvf_options_set_integer(out, key, (int64_t)((const struct bench_seed *)place)->value);
                break;
        case BENCH_CHOICE: send_choice(option, key, *(const uint32_t *)place, out); break;
        default: break;
        }
}

void ctl_send(const struct bench_option *table, const void *defaults, const void *options,
                struct qvf_options *out)
{
        for (; table->name; table++) {
                const char *given = (const char *)options + table->offset;
                char key[64];

                if (memcmp(given, (const char *)defaults + table->offset, size_of(table->type)) == 0)
                        continue;
                snprintf(key, sizeof(key), "%s", table->name);
                for (char *c = key; *c; c++)
                        if (*c == '-')
                                *c = '_';
                send_one(table, key, given, out);
        }
}

int ctl_read_all(int fd, size_t limit, char **ret_text, size_t *ret_length, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text text = { .limit = limit };
        char bytes[65536];

        for (;;) {
                ssize_t count = read(fd, bytes, sizeof(bytes));

                if (count < 0 && errno == EINTR && !ctl_interrupted)
                        continue;
                if (count < 0)
                        return qvf_error_set(error, CTL_FAILED, "can't read: %s", strerror(errno));
                if (count == 0)
                        break;
                if (qvf_text_append(&text, bytes, (size_t)count) < 0)
                        return qvf_error_set(
                                        error, CTL_FAILED, "more than %zu bytes, which is too long", limit);
        }
        *ret_length = text.length;
        *ret_text = text.bytes ? QVF_TAKE(text.bytes) : strdup("");
        return *ret_text ? 0 : qvf_error_set(error, CTL_FAILED, "not enough memory");
}

/* The service takes regular files and sealed memory only: a pipe is copied into the latter. */
static int copy_input(int fd, int *ret_fd, struct qvf_error *error)
{
        _cleanup_close_ int memory = memfd_create("qvfctl-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        char bytes[65536];
        ssize_t count;

        while (memory >= 0 && (count = read(fd, bytes, sizeof(bytes))) != 0) {
                if (count < 0 && errno == EINTR)
                        continue;
                if (count < 0 || write(memory, bytes, (size_t)count) != count)
                        return qvf_error_set(error, CTL_FAILED, "standard input can't be read: %s",
                                        strerror(errno));
        }
        if (memory < 0 || fcntl(memory, F_ADD_SEALS,
                                          F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return qvf_error_set(
                                error, CTL_FAILED, "standard input can't be copied: %s", strerror(errno));
        *ret_fd = memory;
        memory = -1;
        return 0;
}

int ctl_open_input(const char *path, int *ret_fd, struct qvf_error *error)
{
        struct stat status;
        int fd;

        if (strcmp(path, "-") == 0)
                return copy_input(STDIN_FILENO, ret_fd, error);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return qvf_error_set(error, errno == ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: %s", path,
                                strerror(errno));
        if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
                close(fd);
                return qvf_error_set(error, CTL_FAILED, "%s is no regular file", path);
        }
        *ret_fd = fd;
        return 0;
}
