/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin and the device that --backend and --device name. */
#ifndef QVF_BENCH_BACKEND_H
#define QVF_BENCH_BACKEND_H

#include "engine/model/compute.h"

struct bench_device_options {
        const char *backend, *device, *plugins, *cache;
        uint32_t threads; /* 0: all CPUs */
};

int bench_backend_open(const struct bench_device_options *options, struct qvf_compute *ret_compute,
                struct qvf_device_info *ret_info, struct qvf_error *error);
void bench_backend_close(struct qvf_compute *compute); /* also where nothing was opened */

#endif
