/* SPDX-License-Identifier: Apache-2.0 */
#include "common/error.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"

#undef qvf_error_set

/* Names and values quoted in a message come from files: keep them from steering a terminal or a log. */
static void keep_printable(char *text)
{
        for (unsigned char *c = (unsigned char *)text; *c; c++)
                if (*c < 0x20 || *c == 0x7f)
                        *c = '?';
        text[qvf_utf8_valid_prefix(text, strlen(text))] = 0;
}

int qvf_error_set(struct qvf_error *error, int code, const char *format, ...)
{
        va_list arguments;

        if (!error)
                return code;
        error->code = code;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
        keep_printable(error->text);
        return code;
}

int qvf_error_prefix(struct qvf_error *error, const char *format, ...)
{
        char where[sizeof(error->text)];
        char whole[2 * sizeof(error->text) + 2];
        va_list arguments;

        if (!error)
                return 0;
        va_start(arguments, format);
        vsnprintf(where, sizeof(where), format, arguments);
        va_end(arguments);
        snprintf(whole, sizeof(whole), "%s: %s", where, error->text);
        memcpy(error->text, whole, sizeof(error->text) - 1);
        error->text[sizeof(error->text) - 1] = 0;
        keep_printable(error->text);
        return error->code;
}
