/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugins.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *worker_plugin_folder(char buffer[PATH_MAX])
{
        const char *wanted = secure_getenv("QVF_PLUGIN_DIR");
        ssize_t length;
        char *slash;

        if (wanted && *wanted)
                return wanted;
        length = readlink("/proc/self/exe", buffer, PATH_MAX - sizeof("/plugins"));
        if (length <= 0)
                return NULL;
        buffer[length] = 0;
        slash = strrchr(buffer, '/');
        if (!slash)
                return NULL;
        strcpy(slash, "/plugins");
        return access(buffer, F_OK) == 0 ? buffer : NULL;
}
