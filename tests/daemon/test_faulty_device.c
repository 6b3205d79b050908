/* SPDX-License-Identifier: Apache-2.0 */
/* A device that goes wrong once, or from the start, or under an answer; test_fault.c has those that go on going wrong. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define CONFIG                                                                                              \
        "devices:\n  prefer: faulty\nworkers:\n  hang_after: 2s\n  retry_after: 1s\n"                       \
        "clients:\n  tokens: 10000\n"
#define STEPS 400u

/* From which submission of a process on it goes wrong: behind all those of its self-test, in the midst of the steps. */
#define LATE "650"

static struct service *begin(const char *fault, const char *at, const char *times)
{
        struct service *service = service_new(CONFIG);
        const char *build = getenv("QVF_BUILD");
        char path[160];

        snprintf(path, sizeof(path), "%s/tests/faulty", build ? build : "build");
        setenv("QVF_PLUGIN_DIR", path, 1);
        setenv("QVF_FAULT", fault, 1);
        setenv("QVF_FAULT_AT", at, 1);
        snprintf(path, sizeof(path), "%s/faults", service->folder);
        setenv("QVF_FAULT_FILE", path, 1);
        setenv("QVF_FAULT_TIMES", times, 1);
        snprintf(path, sizeof(path), "%s/tuned", service->folder);
        setenv("QVF_FAULT_TUNED", path, 1);
        service_start(service);
        ck_assert(service_wait(service, "devices/faulty_2d0", "Device", "State", "ready failed"));
        service_add_model(service, "tiny", MODEL);
        return service;
}

/* What the worker's device was told to be tuned to. */
static void assert_tuned(const struct service *service)
{
        char path[160], text[64] = "";
        FILE *file;

        snprintf(path, sizeof(path), "%s/tuned", service->folder);
        file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
        fclose(file);
        ck_assert_str_eq(text, "budget 2000 ms\nverily\n");
}

static void finish(struct service *service)
{
        service_stop(service);
        service_free(service);
}

static void assert_device(struct service *service, const char *device, const char *state)
{
        char path[64];
        _cleanup_free_ char *found = NULL;

        snprintf(path, sizeof(path), "devices/%s", device);
        found = service_text(service, path, "Device", "State");
        ck_assert_ptr_nonnull(found);
        ck_assert_str_eq(found, state);
}

/* Processes that went wrong. */
static unsigned faults(const struct service *service)
{
        struct stat status;
        char path[160];

        snprintf(path, sizeof(path), "%s/faults", service->folder);
        return stat(path, &status) == 0 ? (unsigned)status.st_size : 0;
}

/* Goes wrong once: the job is finished all the same, on the same device. */
static void once(const char *fault, const char *words)
{
        struct service *service = begin(fault, LATE, "1");
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", STEPS), *error = NULL,
                            *device = NULL;

        ck_assert(service_wait(service, job, "Job", "State", "finished failed"));
        error = service_text(service, job, "Job", "LastError");
        ck_assert_msg(strstr(error, words) != NULL, "'%s' does not say '%s'", error, words);
        ck_assert_ptr_null(strchr(error, '\n'));
        printf("%s: %s\n", fault, error);
        ck_assert_uint_eq(service_count(service, job, "Job", "Step"), STEPS);
        ck_assert_uint_eq(faults(service), 1);
        device = service_text(service, job, "Job", "Device");
        ck_assert_str_eq(device, "faulty-0");
        assert_tuned(service);
        finish(service);
}

START_TEST(a_crash_costs_a_few_steps)
{
        once("crash", "signal");
}
END_TEST

START_TEST(wrong_numbers_cost_a_few_steps)
{
        once("wrong", "self-test");
}
END_TEST

START_TEST(a_device_that_fails_its_self_test_is_not_used)
{
        struct service *service = begin("wrong", "5", "1000");
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 5), *device = NULL, *reason = NULL;

        ck_assert(service_wait(service, job, "Job", "State", "finished failed"));
        device = service_text(service, job, "Job", "Device");
        ck_assert_str_eq(device, "cpu-0");
        assert_device(service, "faulty_2d0", "failed");
        reason = service_text(service, "devices/faulty_2d0", "Device", "Reason");
        ck_assert_uint_gt(strlen(reason), 0);
        finish(service);
}
END_TEST

START_TEST(an_answer_that_the_device_broke_is_given_by_the_next_worker)
{
        struct service *service = begin("crash", LATE, "1");

        /* Up to 16 tokens are one submission. */
        for (unsigned i = 0; i < 400 && faults(service) == 0; i++) {
                int r = service_call(service, service->bus, "", "Manager", "Complete", NULL, "ssa{sv}",
                                "tiny", "the quick", 2, "max_tokens", "u", 64u, "ignore_end", "b", 1);

                ck_assert_msg(r >= 0, "%s", service->error.message);
        }
        ck_assert_uint_eq(faults(service), 1);
        finish(service);
}
END_TEST

START_TEST(an_answer_that_no_worker_can_give_is_an_error)
{
        struct service *service = begin("crash", LATE, "1000");
        int r = 0;

        for (unsigned i = 0; i < 100 && r >= 0; i++)
                r = service_call(service, service->bus, "", "Manager", "Complete", NULL, "ssa{sv}", "tiny",
                                "the quick", 3, "max_tokens", "u", 10000u, "shift", "b", 1, "ignore_end",
                                "b", 1);
        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(service_error(service), "WorkerFailed");
        finish(service);
}
END_TEST

QVF_SUITE("daemon: a faulty device", 120, a_crash_costs_a_few_steps, wrong_numbers_cost_a_few_steps,
                a_device_that_fails_its_self_test_is_not_used,
                an_answer_that_the_device_broke_is_given_by_the_next_worker,
                an_answer_that_no_worker_can_give_is_an_error)
