/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a device is at what models of this kind do most: exact products with ternary weights. */
#ifndef QVF_WORKER_SCORE_H
#define QVF_WORKER_SCORE_H

#include "qvf/backend.h"

/* Billions of multiplications and additions a second; 0 where it can't be measured. Takes well below a second. */
double worker_score(const struct qvf_backend *backend, struct qvf_device *device);

#endif
