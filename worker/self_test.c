/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/self_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/backend/host.h"
#include "engine/backend/loader.h"
#include "engine/conformance/conformance.h"
#include "worker/command.h"
#include "worker/sandbox.h"
#include "worker/score.h"

#define KILL_LIMIT_MS 2000 /* for a killed child to go away: a driver may hold it in the kernel */

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

static _Noreturn void run_child(const char *folder, const char *name, uint32_t index, int fd)
{
        struct self_test_result result = { .outcome = SELF_TEST_PASSED };
        struct qvf_error error = { 0 };

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (worker_sandbox_process(&error) == 0) {
                run(folder, name, index, &result);
        } else {
                result.outcome = SELF_TEST_FAILED;
                snprintf(result.message, sizeof(result.message), "%s", error.text);
        }
        if (write(fd, &result, sizeof(result)) != (ssize_t)sizeof(result))
                _exit(1);
        _exit(0); /* without the plugin's destructors */
}

/* Whether all of it came; a child writes it at once, which a pipe never splits. */
static bool read_result(int fd, int64_t limit_ms, struct self_test_result *result, bool *ret_late)
{
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        int r;

        do
                r = poll(&poll_fd, 1, (int)limit_ms);
        while (r < 0 && errno == EINTR);
        *ret_late = r == 0;
        return r > 0 && read(fd, result, sizeof(*result)) == (ssize_t)sizeof(*result);
}

static void reap(pid_t child, int *ret_status)
{
        for (unsigned i = 0; i < KILL_LIMIT_MS; i++) {
                if (waitpid(child, ret_status, WNOHANG) != 0)
                        return;
                nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
        }
}

void self_test_run(const char *folder, const char *backend, uint32_t index, int64_t limit_ms,
                struct self_test_result *ret_result)
{
        struct self_test_result result = { .outcome = SELF_TEST_CRASHED };
        int pipe_fds[2], status = 0;
        bool late = false, whole;
        pid_t child;

        *ret_result = result;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return;
        child = fork();
        if (child == 0) {
                close(pipe_fds[0]);
                run_child(folder, backend, index, pipe_fds[1]);
        }
        close(pipe_fds[1]);
        whole = child > 0 && read_result(pipe_fds[0], limit_ms, &result, &late);
        close(pipe_fds[0]);
        if (child < 0)
                return;
        if (!whole)
                kill(child, SIGKILL);
        reap(child, &status);
        if (whole) {
                result.message[sizeof(result.message) - 1] = 0;
        } else if (late) {
                result = (struct self_test_result){ .outcome = SELF_TEST_HUNG };
                snprintf(result.message, sizeof(result.message), "the self-test did not end within %lld s",
                                (long long)limit_ms / 1000);
        } else {
                result = (struct self_test_result){ .outcome = SELF_TEST_CRASHED };
                snprintf(result.message, sizeof(result.message), "the self-test ended with %s %d",
                                WIFSIGNALED(status) ? "signal" : "status",
                                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        }
        *ret_result = result;
}
