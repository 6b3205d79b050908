/* SPDX-License-Identifier: Apache-2.0 */
/* What the process ends with, for whoever started it; config/org.qvf.Worker1.xml says the same in words. */
#ifndef QVF_WORKER_STATUS_H
#define QVF_WORKER_STATUS_H

enum worker_status {
        WORKER_ENDED = 0,
        WORKER_USAGE = 64,
        WORKER_DEVICE_LOST = 65,
        WORKER_HUNG = 66,
        WORKER_OUT_OF_MEMORY = 67,
        WORKER_WRONG_NUMBERS = 68,
        WORKER_PROTOCOL = 69,
        WORKER_SANDBOX = 70,
};

#endif
