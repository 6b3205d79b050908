/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/self_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "engine/backend/host.h"
#include "engine/backend/loader.h"
#include "engine/conformance/conformance.h"
#include "worker/sandbox.h"
#include "worker/score.h"
#include "worker/throwaway.h"

const char *self_test_outcome_name(enum self_test_outcome outcome)
{
        static const char *const names[] = {
                [SELF_TEST_PASSED] = "passed",
                [SELF_TEST_FAILED] = "failed",
                [SELF_TEST_CRASHED] = "crashed",
                [SELF_TEST_HUNG] = "hung",
                [SELF_TEST_OUT_OF_MEMORY] = "out-of-memory",
                [SELF_TEST_DEVICE_LOST] = "device-lost",
                [SELF_TEST_SKIPPED] = "skipped",
        };

        return names[outcome];
}

static void note_case(void *result_, const struct qvf_conformance_case *test)
{
        struct self_test_result *result = result_;

        if (!test->passed && !result->message[0])
                snprintf(result->message, sizeof(result->message), "%s, %s: %s", test->op, test->what,
                                test->text);
}

static void run(const char *folder, const char *name, uint32_t index, struct self_test_result *result)
{
        const struct qvf_conformance_options options = { .seed = 1, .quick = true };
        const struct qvf_device_options wanted = { .size = sizeof(wanted) };
        struct qvf_conformance_summary summary = { 0 };
        const struct qvf_backend *backend;
        struct qvf_device *device;
        struct qvf_error error = { 0 };
        int r = qvf_backend_open(folder, name, &backend, &error);

        if (r == 0)
                r = backend->device_open(&qvf_host_default, index, &wanted, &device);
        if (r == 0)
                r = qvf_conformance_run(backend, device, &options, note_case, result, &summary, &error);
        result->cases = summary.cases;
        result->failures = summary.failures;
        result->digest = summary.digest;
        if (r < 0) {
                result->outcome = r == -ENOMEM   ? SELF_TEST_OUT_OF_MEMORY
                                  : r == -ETIME  ? SELF_TEST_HUNG
                                  : r == -ENODEV ? SELF_TEST_DEVICE_LOST
                                                 : SELF_TEST_FAILED;
                snprintf(result->message, sizeof(result->message), "%s",
                                error.code ? error.text : strerror(-r));
        } else if (summary.failures > 0) {
                result->outcome = SELF_TEST_FAILED;
        } else {
                result->score = worker_score(backend, device);
        }
}

struct task {
        const char *folder, *backend;
        uint32_t index;
};

static void run_in_child(const void *task_, void *result_)
{
        const struct task *task = task_;
        struct self_test_result *result = result_;
        struct qvf_error error = { 0 };

        if (worker_sandbox_process(&error) == 0) {
                run(task->folder, task->backend, task->index, result);
        } else {
                result->outcome = SELF_TEST_FAILED;
                snprintf(result->message, sizeof(result->message), "%s", error.text);
        }
}

void self_test_run(const char *folder, const char *backend, uint32_t index, int64_t limit_ms,
                struct self_test_result *ret_result)
{
        const struct task task = { folder, backend, index };
        struct self_test_result result = { .outcome = SELF_TEST_PASSED };
        int status = 0;

        switch (worker_throwaway(run_in_child, &task, &result, sizeof(result), limit_ms, &status)) {
        case 0: result.message[sizeof(result.message) - 1] = 0; break;
        case -ETIMEDOUT:
                result = (struct self_test_result){ .outcome = SELF_TEST_HUNG };
                snprintf(result.message, sizeof(result.message), "the self-test did not end within %lld s",
                                (long long)limit_ms / 1000);
                break;
        case -EIO:
                result = (struct self_test_result){ .outcome = SELF_TEST_CRASHED };
                snprintf(result.message, sizeof(result.message), "the self-test ended with %s %d",
                                WIFSIGNALED(status) ? "signal" : "status",
                                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
                break;
        default: result = (struct self_test_result){ .outcome = SELF_TEST_CRASHED };
        }
        *ret_result = result;
}
