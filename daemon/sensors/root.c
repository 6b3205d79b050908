/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sensors/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

static bool make_path(const char *root, char path[QVF_PATH_SIZE], const char *format, va_list arguments)
{
        size_t root_length = strlen(root);
        int length;

        if (root_length >= QVF_PATH_SIZE)
                return false;
        memcpy(path, root, root_length);
        length = vsnprintf(path + root_length, QVF_PATH_SIZE - root_length, format, arguments);
        return length >= 0 && (size_t)length < QVF_PATH_SIZE - root_length;
}

bool qvf_root_path(const char *root, char path[QVF_PATH_SIZE], const char *format, ...)
{
        va_list arguments;
        bool made;

        va_start(arguments, format);
        made = make_path(root, path, format, arguments);
        va_end(arguments);
        return made;
}

static bool read_path(const char *path, char *bytes, size_t size)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        size_t length = 0;

        if (fd < 0)
                return false;
        while (length + 1 < size) {
                ssize_t n = read(fd, bytes + length, size - 1 - length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return false;
                if (n == 0)
                        break;
                length += (size_t)n;
        }
        bytes[length] = 0;
        return length > 0;
}

bool qvf_root_read(const char *root, char *bytes, size_t size, const char *format, ...)
{
        char path[QVF_PATH_SIZE];
        va_list arguments;
        bool made;

        va_start(arguments, format);
        made = make_path(root, path, format, arguments);
        va_end(arguments);
        return made && read_path(path, bytes, size);
}

static bool word_of(const char *path, char word[QVF_WORD_SIZE])
{
        char bytes[QVF_WORD_SIZE];
        const char *start;
        size_t length;

        if (!read_path(path, bytes, sizeof(bytes)))
                return false;
        start = bytes + strspn(bytes, " \t");
        length = strcspn(start, "\n");
        while (length > 0 && (start[length - 1] == ' ' || start[length - 1] == '\t'))
                length--;
        memcpy(word, start, length);
        word[length] = 0;
        return length > 0;
}

bool qvf_root_word(const char *root, char word[QVF_WORD_SIZE], const char *format, ...)
{
        char path[QVF_PATH_SIZE];
        va_list arguments;
        bool made;

        va_start(arguments, format);
        made = make_path(root, path, format, arguments);
        va_end(arguments);
        return made && word_of(path, word);
}

bool qvf_root_number(const char *root, double *ret_value, const char *format, ...)
{
        char path[QVF_PATH_SIZE], word[QVF_WORD_SIZE];
        va_list arguments;
        char *end;
        long long value;
        bool made;

        va_start(arguments, format);
        made = make_path(root, path, format, arguments);
        va_end(arguments);
        if (!made || !word_of(path, word))
                return false;
        errno = 0;
        value = strtoll(word, &end, 10);
        /* "12 %" is how one driver writes it. */
        if (errno || end == word || (*end && strcmp(end, " %") != 0 && strcmp(end, "%") != 0))
                return false;
        *ret_value = (double)value;
        return true;
}

DIR *qvf_root_folder(const char *root, const char *format, ...)
{
        char path[QVF_PATH_SIZE];
        va_list arguments;
        bool made;

        va_start(arguments, format);
        made = make_path(root, path, format, arguments);
        va_end(arguments);
        return made ? opendir(path) : NULL;
}

const char *qvf_next_entry(DIR *folder, const char *begin)
{
        const struct dirent *entry;

        while ((entry = readdir(folder)))
                if (entry->d_name[0] != '.' && strncmp(entry->d_name, begin, strlen(begin)) == 0)
                        return entry->d_name;
        return NULL;
}
