/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of qvf_host: memory from the C library, log lines to qvf_log(). */
#ifndef QVF_ENGINE_BACKEND_HOST_H
#define QVF_ENGINE_BACKEND_HOST_H

#include "qvf/backend.h"

extern const struct qvf_host qvf_host_default;

#endif
