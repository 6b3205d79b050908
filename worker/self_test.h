/* SPDX-License-Identifier: Apache-2.0 */
/* The self-test of one device in a child process. */
#ifndef QVF_WORKER_SELF_TEST_H
#define QVF_WORKER_SELF_TEST_H

#include <stdint.h>

#include "common/error.h"

enum self_test_outcome {
        SELF_TEST_PASSED,
        SELF_TEST_FAILED,
        SELF_TEST_CRASHED,
        SELF_TEST_HUNG,
        SELF_TEST_OUT_OF_MEMORY,
        SELF_TEST_DEVICE_LOST,
        SELF_TEST_SKIPPED,
};

struct self_test_result {
        enum self_test_outcome outcome;
        uint32_t cases, failures;
        uint64_t digest;
        double score;       /* billions of ternary multiplications a second; 0: not measured */
        char message[1024]; /* of the first thing that went wrong */
};

const char *self_test_outcome_name(enum self_test_outcome outcome);
/* Takes `limit_ms` at the longest. Forks: the process must have one thread only. */
void self_test_run(const char *folder, const char *backend, uint32_t index, int64_t limit_ms,
                struct self_test_result *ret_result);

#endif
