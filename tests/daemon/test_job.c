/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: order, pause, holds, followers, repetition, what survives. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/job.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"

static struct service *begin(const char *yaml)
{
        struct service *service = service_new(yaml);

        service_start(service);
        service_add_model(service, "tiny", MODEL);
        return service;
}

static void finish(struct service *service)
{
        service_stop(service);
        service_free(service);
}

START_TEST(a_job_makes_an_adapter_that_answers)
{
        struct service *service = begin(NULL);
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 5), *model = NULL;
        sd_bus_message *reply = NULL;
        const char *text;

        ck_assert(service_wait(service, job, "Job", "State", "finished failed"));
        ck_assert_uint_eq(service_count(service, job, "Job", "Step"), 5);
        model = service_text(service, "adapters/fox", "Adapter", "Model");
        ck_assert_str_eq(model, "tiny");
        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Complete", &reply, "ssa{sv}",
                                         "tiny", "the quick", 2, "adapter", "s", "fox:0.5", "max_tokens",
                                         "u", 4u),
                        0);
        ck_assert_int_ge(sd_bus_message_read(reply, "s", &text), 0);
        sd_bus_message_unref(reply);
        finish(service);
}
END_TEST

START_TEST(pause_holds_and_the_order_of_priority)
{
        struct service *service = begin(NULL);
        _cleanup_free_ char *longer = service_train(service, "tiny", "longer", 100000), *shorter = NULL,
                            *code = NULL;
        sd_bus *other = service_connect(service);
        uint64_t step;

        ck_assert(service_wait(service, longer, "Job", "State", "running"));
        /* A hold of another client stops it, and ends with that client. */
        ck_assert_int_ge(service_call(service, other, "", "Manager", "Hold", NULL, "sst", "training",
                                         "a film", 0),
                        0);
        ck_assert(service_wait(service, longer, "Job", "State", "waiting"));
        code = service_text(service, longer, "Job", "ReasonCode");
        ck_assert_str_eq(code, "hold");
        step = service_count(service, longer, "Job", "Step");
        sd_bus_close_unref(other);
        ck_assert(service_wait(service, longer, "Job", "State", "running"));
        /* Paused by a user, it lets another one in, and goes on from where it was. */
        ck_assert_int_ge(service_call(service, service->bus, longer, "Job", "Pause", NULL, ""), 0);
        ck_assert(service_wait(service, longer, "Job", "State", "paused"));
        shorter = service_train(service, "tiny", "shorter", 3);
        ck_assert(service_wait(service, shorter, "Job", "State", "finished"));
        ck_assert_int_ge(service_call(service, service->bus, longer, "Job", "Resume", NULL, ""), 0);
        ck_assert(service_wait(service, longer, "Job", "State", "running"));
        ck_assert_uint_ge(service_count(service, longer, "Job", "Step"), step);
        /* A new one of higher priority takes its place. */
        free(shorter);
        shorter = service_train(service, "tiny", "second", 3);
        ck_assert_int_ge(service_call(service, service->bus, shorter, "Job", "SetPriority", NULL, "i", 10),
                        0);
        ck_assert(service_wait(service, shorter, "Job", "State", "finished"));
        ck_assert_int_ge(service_call(service, service->bus, longer, "Job", "Cancel", NULL, "b", 0), 0);
        ck_assert(service_wait(service, longer, "Job", "State", "cancelled"));
        ck_assert_int_lt(service_call(service, service->bus, longer, "Job", "Retry", NULL, ""), 0);
        ck_assert_str_eq(service_error(service), "BadState");
        ck_assert_int_ge(service_call(service, service->bus, longer, "Job", "Remove", NULL, ""), 0);
        finish(service);
}
END_TEST

START_TEST(a_job_goes_on_after_a_restart)
{
        struct service *service = begin(NULL);
        _cleanup_free_ char *job = service_train(service, "tiny", "fox", 100000), *state = NULL;
        uint64_t step;

        ck_assert(service_wait(service, job, "Job", "State", "running"));
        while (service_count(service, job, "Job", "Step") < 3)
                usleep(20000);
        service_stop(service);
        service_start(service);
        step = service_count(service, job, "Job", "Step");
        ck_assert_uint_ge(step, 3);
        ck_assert(service_wait(service, job, "Job", "State", "running"));
        ck_assert_uint_ge(service_count(service, job, "Job", "Step"), step);
        finish(service);
}
END_TEST

START_TEST(a_follower_waits_and_a_repeated_job_comes_again)
{
        struct service *service = begin(NULL);
        _cleanup_free_ char *first = service_train(service, "tiny", "first", 100000), *code = NULL;
        _cleanup_close_ int data = service_open(service, "d.jsonl", "{\"text\":\"one two three four\"}\n");
        sd_bus_message *reply = NULL;
        const char *path;

        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Train", &reply, "sha{sv}",
                                         "tiny", data, 4, "after", "s", "1", "repeat", "s", "6h", "steps",
                                         "u", 2u, "adapter", "s", "again"),
                        0);
        ck_assert_int_gt(sd_bus_message_read(reply, "o", &path), 0);
        ck_assert_str_eq(path, SERVICE_ROOT "/jobs/_32");
        code = service_text(service, "jobs/_32", "Job", "ReasonCode");
        ck_assert_str_eq(code, "after");
        sd_bus_message_unref(reply);
        ck_assert_int_ge(service_call(service, service->bus, first, "Job", "Cancel", NULL, "b", 0), 0);
        /* It did not finish, so that its follower still waits. */
        ck_assert(service_wait(service, first, "Job", "State", "cancelled"));
        ck_assert(service_wait(service, "jobs/_32", "Job", "ReasonCode", "after"));
        finish(service);
}
END_TEST

START_TEST(a_follower_comes_when_the_first_has_finished)
{
        struct service *service = begin(NULL);
        _cleanup_free_ char *first = service_train(service, "tiny", "first", 100);
        _cleanup_close_ int data = service_open(service, "d.jsonl", "{\"text\":\"one two three four\"}\n");

        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Train", NULL, "sha{sv}", "tiny",
                                         data, 3, "after", "s", "1", "steps", "u", 2u, "adapter", "s",
                                         "second"),
                        0);
        ck_assert(service_wait(service, "jobs/_32", "Job", "State", "finished"));
        ck_assert(service_wait(service, first, "Job", "State", "finished"));
        ck_assert_uint_ge(service_count(service, "jobs/_32", "Job", "Started"),
                        service_count(service, first, "Job", "Finished"));
        finish(service);
}
END_TEST

START_TEST(a_repeated_job_waits_for_its_next_run)
{
        char command[200];
        struct service *service = begin(NULL);
        _cleanup_close_ int data = service_open(service, "d.jsonl", "{\"text\":\"one two three four\"}\n");

        ck_assert_int_ge(service_call(service, service->bus, "", "Manager", "Train", NULL, "sha{sv}", "tiny",
                                         data, 3, "repeat", "s", "nightly", "steps", "u", 2u, "adapter", "s",
                                         "again"),
                        0);
        ck_assert(service_wait(service, "jobs/_31", "Job", "ReasonCode", "time"));
        ck_assert_uint_eq(service_count(service, "jobs/_31", "Job", "Runs"), 1);
        ck_assert_uint_gt(service_count(service, "jobs/_31", "Job", "NotBefore"), 0);
        service_kill(service);
        service_start(service);
        ck_assert(service_wait(service, "jobs/_31", "Job", "ReasonCode", "time"));
        ck_assert_uint_eq(service_count(service, "jobs/_31", "Job", "Runs"), 1);
        /* The night falls while nobody looks. */
        service_stop(service);
        snprintf(command, sizeof(command),
                        "sed -i 's/\"not_before\":[0-9]*/\"not_before\":0/' %s/state/jobs/1/job.json",
                        service->folder);
        ck_assert_int_eq(system(command), 0);
        service_start(service);
        for (unsigned i = 0; i < 1000 && service_count(service, "jobs/_31", "Job", "Runs") < 2; i++)
                usleep(20000);
        ck_assert_uint_eq(service_count(service, "jobs/_31", "Job", "Runs"), 2);
        ck_assert(service_wait(service, "jobs/_31", "Job", "ReasonCode", "time"));
        ck_assert_uint_gt(service_count(service, "adapters/again", "Adapter", "SizeBytes"), 0);
        finish(service);
}
END_TEST

static void fill(const char *folder)
{
        char path[160], bytes[65536] = { 0 };
        int fd;

        snprintf(path, sizeof(path), "%s/fill", folder);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        while (write(fd, bytes, sizeof(bytes)) > 0)
                ;
        close(fd);
}

START_TEST(a_full_disk_pauses_a_job_and_loses_none)
{
        struct service *service = service_new(NULL);
        char state[96], path[128];
        _cleanup_free_ char *job = NULL;

        snprintf(state, sizeof(state), "%s/state", service->folder);
        ck_assert_int_eq(mkdir(state, 0700), 0);
        if (mount("tmpfs", state, "tmpfs", 0, "size=4m,mode=0700") < 0) {
                printf("SKIP a_full_disk_pauses_a_job: a file system can't be mounted here\n");
                service_free(service);
                return;
        }
        service_start(service);
        service_add_model(service, "tiny", MODEL);
        job = service_train(service, "tiny", "fox", 60);
        ck_assert_int_ge(service_call(service, service->bus, job, "Job", "Pause", NULL, ""), 0);
        fill(state);
        service_call(service, service->bus, job, "Job", "Resume", NULL, "");
        ck_assert(service_wait(service, job, "Job", "ReasonCode", "disk"));
        ck_assert(service_wait(service, job, "Job", "State", "waiting"));
        snprintf(path, sizeof(path), "%s/fill", state);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_ge(service_call(service, service->bus, job, "Job", "Resume", NULL, ""), 0);
        ck_assert(service_wait(service, job, "Job", "State", "finished"));
        ck_assert_uint_eq(service_count(service, job, "Job", "Step"), 60);
        service_stop(service);
        ck_assert_int_eq(umount(state), 0);
        service_free(service);
}
END_TEST

START_TEST(what_repeat_understands)
{
        static const char *const wrong[] = { "", "6", "h", "5min", "-6h", "6hours", "1hourly",
                "99999999999d", "367d", "nightly2" };
        const uint64_t now = UINT64_C(1700000000) * 1000000;

        ck_assert_uint_eq(qvfd_repeat_next("6h", now), now + UINT64_C(6) * 3600 * 1000000);
        ck_assert_uint_eq(qvfd_repeat_next("90min", now), now + UINT64_C(90) * 60 * 1000000);
        ck_assert_uint_eq(qvfd_repeat_next("daily", now), now + UINT64_C(86400) * 1000000);
        ck_assert_uint_eq(qvfd_repeat_next("weekly", now), now + UINT64_C(7) * 86400 * 1000000);
        ck_assert_uint_gt(qvfd_repeat_next("nightly", now), now);
        ck_assert_uint_le(qvfd_repeat_next("nightly", now), now + UINT64_C(26) * 3600 * 1000000);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                ck_assert_msg(qvfd_repeat_next(wrong[i], now) == 0, "%s was understood", wrong[i]);
}
END_TEST

QVF_SUITE("jobs", 240, a_job_makes_an_adapter_that_answers, pause_holds_and_the_order_of_priority,
                a_job_goes_on_after_a_restart, a_follower_waits_and_a_repeated_job_comes_again,
                a_follower_comes_when_the_first_has_finished, a_repeated_job_waits_for_its_next_run,
                a_full_disk_pauses_a_job_and_loses_none, what_repeat_understands)
