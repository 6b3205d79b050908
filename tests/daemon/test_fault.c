/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that go wrong in the middle of a job: each way ends as it should, and the user sees one clear line. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define YAML                                                                                                \
        "devices:\n  prefer: [faulty]\n"                                                                    \
        "workers:\n  retry_after: 100ms\n  retry_most: 1s\n  hang_after: 2s\n  crashes_most: 3\n"

/* The device is tested while it is sound, and remembered as good; then the service starts with the fault. */
static struct service *begin(const char *fault, const char *at)
{
        const char *build = getenv("QVF_BUILD");
        struct service *service = service_new(YAML);
        char plugins[PATH_MAX];

        if (!realpath(build ? build : "build", plugins))
                ck_abort();
        strcat(plugins, "/tests/faulty");
        setenv("QVF_PLUGIN_DIR", plugins, 1);
        unsetenv("QVF_FAULT");
        service_start(service);
        ck_assert(service_wait(service, "devices/faulty_2d0", "Device", "State", "ready"));
        ck_assert(service_wait(service, "devices/cpu_2d0", "Device", "State", "ready"));
        service_add_model(service, "tiny", MODEL);
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Discover", NULL, ""), 0);
        service_stop(service);
        setenv("QVF_FAULT", fault, 1);
        setenv("QVF_FAULT_AT", at, 1);
        service_start(service);
        return service;
}

/* `or`: what is said instead where the machine is so busy that qvfd finds it out before the worker does. */
static void assert_falls_back(const char *fault, const char *said, const char * or)
{
        struct service *service = begin(fault, "60");
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 300), *device = NULL,
                            *reason = NULL;

        ck_assert(service_wait(service, job, "Job", "State", "finished failed"));
        device = service_text(service, job, "Job", "Device");
        ck_assert_str_eq(device, "cpu-0");
        ck_assert_uint_eq(service_count(service, job, "Job", "Step"), 300);
        ck_assert(service_wait(service, "devices/faulty_2d0", "Device", "State", "fallen-back"));
        ck_assert_uint_eq(service_count(service, "devices/faulty_2d0", "Device", "Crashes"), 3);
        reason = service_text(service, "devices/faulty_2d0", "Device", "LastCrashReason");
        ck_assert_msg(strstr(reason, said) != NULL || strstr(reason, or) != NULL, "%s", reason);
        /* It is remembered over a restart, and forgotten when asked. */
        service_stop(service);
        unsetenv("QVF_FAULT");
        service_start(service);
        ck_assert(service_wait(service, "devices/faulty_2d0", "Device", "State", "fallen-back"));
        ck_assert_int_ge(service_call(service, service->bus, "devices/faulty_2d0", "Device", "Reset", NULL,
                                         ""),
                        0);
        ck_assert(service_wait(service, "devices/faulty_2d0", "Device", "State", "ready"));
        service_stop(service);
        service_free(service);
}

START_TEST(a_driver_that_crashes)
{
        assert_falls_back("crash", "killed by signal", "killed by signal");
}
END_TEST

START_TEST(a_device_that_is_lost)
{
        assert_falls_back("lost", "device was lost", "device was lost");
}
END_TEST

START_TEST(a_device_that_hangs)
{
        assert_falls_back("hang", "hung", "no sign of life");
}
END_TEST

START_TEST(a_device_with_wrong_numbers)
{
        assert_falls_back("wrong", "wrong numbers", "wrong numbers");
}
END_TEST

START_TEST(too_little_memory_is_waited_for)
{
        struct service *service = begin("memory", "60");
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 40), *said = NULL;

        ck_assert(service_wait(service, job, "Job", "ReasonCode", "memory"));
        ck_assert(service_wait(service, job, "Job", "State", "waiting"));
        said = service_text(service, job, "Job", "Reason");
        ck_assert_msg(strstr(said, "memory") != NULL, "%s", said);
        ck_assert_uint_eq(service_count(service, "devices/faulty_2d0", "Device", "Crashes"), 0);
        service_stop(service);
        service_free(service);
}
END_TEST

/* A worker that stands still altogether gives no sign of life, whatever it would have said. */
START_TEST(a_worker_that_stands_still)
{
        struct service *service = begin("", "0");
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 100000), *reason = NULL;
        uint64_t pid;

        ck_assert(service_wait(service, job, "Job", "State", "running"));
        pid = service_count(service, "models/tiny", "Model", "WorkerPid");
        ck_assert_uint_gt(pid, 1);
        kill((pid_t)pid, SIGSTOP);
        ck_assert(service_wait(service, job, "Job", "ReasonCode", "retry"));
        reason = service_text(service, job, "Job", "LastError");
        ck_assert_msg(strstr(reason, "no sign of life") != NULL, "%s", reason);
        ck_assert(service_wait(service, job, "Job", "State", "running"));
        service_stop(service);
        service_free(service);
}
END_TEST

START_TEST(an_answer_survives_a_crash)
{
        struct service *service = begin("", "0");
        sd_bus_message *reply = NULL;

        ck_assert_int_ge(service_call(service, service->bus, "models/tiny", "Model", "Load", NULL, ""), 0);
        kill((pid_t)service_count(service, "models/tiny", "Model", "WorkerPid"), SIGSEGV);
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Complete", &reply, "ssa{sv}",
                                         "tiny", "one two", 1, "max_tokens", "u", 4u),
                        0);
        sd_bus_message_unref(reply);
        service_stop(service);
        service_free(service);
}
END_TEST

QVF_SUITE("faults", 280, a_driver_that_crashes, a_device_that_is_lost, a_device_that_hangs,
                a_device_with_wrong_numbers, too_little_memory_is_waited_for, a_worker_that_stands_still,
                an_answer_survives_a_crash)
