/* SPDX-License-Identifier: Apache-2.0 */
/* Where the plugins are. */
#ifndef QVF_WORKER_PLUGINS_H
#define QVF_WORKER_PLUGINS_H

#include <limits.h>

/* QVF_PLUGIN_DIR of the environment; the folder beside a program that runs where it was built; NULL, which is the
 * compiled-in one. The loader checks owner and mode of whatever it is. */
const char *worker_plugin_folder(char buffer[PATH_MAX]);

#endif
