/* SPDX-License-Identifier: Apache-2.0 */
/* Object paths: QVF_BUS_ROOT/kind/name, the name escaped as sd_bus_path_encode() does. */
#include <ctype.h>
#include <string.h>

#include "client/client.h"
#include "common/checked.h"
#include "common/text.h"

static const struct {
        const char *kind, *interface;
} kinds[] = {
        { "manager", QVF_BUS_NAME ".Manager" },
        { "devices", QVF_BUS_NAME ".Device" },
        { "models", QVF_BUS_NAME ".Model" },
        { "adapters", QVF_BUS_NAME ".Adapter" },
        { "jobs", QVF_BUS_NAME ".Job" },
        { "sessions", QVF_BUS_NAME ".Session" },
};

const char *qvf_interface_of(const char *kind)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(kinds); i++)
                if (strcmp(kinds[i].kind, kind) == 0)
                        return kinds[i].interface;
        return NULL;
}

static bool is_plain(unsigned char c, bool first)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9' && !first);
}

char *qvf_object_path(const char *kind, const char *name)
{
        struct qvf_text path = { 0 };
        int r = qvf_text_append_string(&path, QVF_BUS_ROOT);

        if (strcmp(kind, "manager") == 0)
                return r < 0 ? NULL : path.bytes;
        if (r == 0)
                r = qvf_text_appendf(&path, "/%s/%s", kind, *name ? "" : "_");
        for (const char *c = name; r == 0 && *c; c++)
                r = is_plain((unsigned char)*c, c == name)
                                    ? qvf_text_append_char(&path, *c)
                                    : qvf_text_appendf(&path, "_%02x", (unsigned)(unsigned char)*c);
        if (r == 0)
                return path.bytes;
        qvf_text_exit(&path);
        return NULL;
}

static int hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *decode(const char *escaped)
{
        char *name = strdup(escaped), *out = name;

        for (const char *c = name; c && *c; c++) {
                if (*c == '_' && hex(c[1]) >= 0 && hex(c[2]) >= 0) {
                        *out++ = (char)(hex(c[1]) << 4 | hex(c[2]));
                        c += 2;
                } else if (strcmp(escaped, "_") != 0) {
                        *out++ = *c;
                }
        }
        if (out)
                *out = 0;
        return name;
}

const char *qvf_path_kind(const char *path, char **ret_name)
{
        const char *at = path + strlen(QVF_BUS_ROOT);

        if (strncmp(path, QVF_BUS_ROOT, strlen(QVF_BUS_ROOT)) != 0)
                return NULL;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(kinds); i++) {
                size_t length = strlen(kinds[i].kind);
                bool manager = i == 0;

                if (manager ? *at != 0
                            : at[0] != '/' || strncmp(at + 1, kinds[i].kind, length) != 0 ||
                                                                at[length + 1] != '/')
                        continue;
                *ret_name = decode(manager ? "_" : at + length + 2);
                return *ret_name ? kinds[i].kind : NULL;
        }
        return NULL;
}
