/* SPDX-License-Identifier: Apache-2.0 */
/* Opens backend plugins. A plugin is code that runs with our rights: it comes from one folder, and owner and mode of
 * the folder and the file are checked on the open descriptors. */
#ifndef QVF_ENGINE_BACKEND_LOADER_H
#define QVF_ENGINE_BACKEND_LOADER_H

#include "common/error.h"
#include "qvf/backend.h"

#define QVF_BACKEND_NAME_SIZE 16u /* with the NUL */

/* Opens FOLDER/NAME.so; folder NULL means the compiled-in one, and only tools and tests give another. A plugin that
 * was opened stays for the life of the process, also when it is refused here. */
int qvf_backend_open(const char *folder, const char *name, const struct qvf_backend **ret_backend,
                struct qvf_error *error);

/* The names of the plugins in a folder, in alphabetical order; more than `capacity` are left out. They are names
 * only: nothing was opened. */
int qvf_backend_list(const char *folder, char (*names)[QVF_BACKEND_NAME_SIZE], uint32_t capacity,
                uint32_t *ret_count, struct qvf_error *error);

/* Whether backend->tune may be called. */
bool qvf_backend_can_tune(const struct qvf_backend *backend);

#endif
