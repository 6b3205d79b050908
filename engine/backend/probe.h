/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for the devices of a plugin in a child process that may crash, hang or lie. */
#ifndef QVF_ENGINE_BACKEND_PROBE_H
#define QVF_ENGINE_BACKEND_PROBE_H

#include "common/error.h"
#include "qvf/backend.h"

#define QVF_PROBE_DEVICES 16u /* most devices that one plugin may show */

/* Opens the plugin (as qvf_backend_open() does) and asks it, for `limit_ms` at the longest. Forks: the process must
 * have one thread only. The infos that come back are checked: strings end, kinds exist.
 * -ETIMEDOUT: it hung and was killed; -EIO: it crashed; -EBADMSG: it told nonsense. */
int qvf_backend_probe(const char *folder, const char *name, unsigned limit_ms, struct qvf_device_info *infos,
                uint32_t capacity, uint32_t *ret_count, struct qvf_error *error);

#endif
