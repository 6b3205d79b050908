/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU plugin as the host sees it: buffers, programs that are refused, runs, pauses. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "qvf/backend.h"

static const struct qvf_backend *backend;
static char logged[2048];
static int64_t held_bytes; /* what the plugin has of the host's memory */

static void host_log(void *context, int level, const char *line)
{
        (void)context;
        if (level == 0)
                snprintf(logged, sizeof(logged), "%s", line);
}

static void *host_alloc(void *context, size_t bytes, size_t alignment)
{
        (void)context;
        held_bytes += (int64_t)bytes;
        return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void host_free(void *context, void *memory, size_t bytes)
{
        (void)context;
        held_bytes -= (int64_t)bytes;
        free(memory);
}

static const struct qvf_host host = { sizeof(host), NULL, host_log, host_alloc, host_free };

static bool load(void)
{
        const char *build = getenv("QVF_BUILD");
        char path[512];
        void *handle;

        snprintf(path, sizeof(path), "%s/plugins/cpu.so", build ? build : "build");
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle)
                backend = dlsym(handle, QVF_BACKEND_SYMBOL);
        if (!backend)
                fprintf(stderr, "%s\n", dlerror());
        return backend != NULL;
}

static struct qvf_device *open_device(unsigned threads)
{
        struct qvf_device_options options = { .size = sizeof(options), .threads = threads };
        struct qvf_device *device;

        ck_assert_int_eq(backend->device_open(&host, 0, &options, &device), 0);
        return device;
}

static double now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A chain of matrix products and copies that takes a while: x = W x / C, again and again. */
enum { N = 512, ROWS = 8, STEPS = 40 };
struct chain {
        struct qvf_buffer *buffer;
        struct qvf_program *program;
        struct qvf_value values[3];
        struct qvf_op ops[STEPS];
};

/* As before the first run, which has written over its input. */
static void fill_chain(struct chain *chain)
{
        float *numbers = backend->buffer_map(chain->buffer);

        for (int i = 0; i < (N + ROWS) * N; i++)
                numbers[i] = (float)((i * 7919) % 1001 - 500) / 500;
}

static void make_chain(struct chain *chain, struct qvf_device *device)
{
        struct qvf_program_desc desc = { sizeof(desc), 3, STEPS, chain->values, chain->ops, "chain" };
        uint64_t bytes;
        int64_t before;

        ck_assert_int_eq(backend->buffer_new(device, (N + 2 * ROWS) * N * sizeof(float), QVF_BUFFER_DEVICE,
                                         &chain->buffer),
                        0);
        fill_chain(chain);
        chain->values[0] = (struct qvf_value){ chain->buffer, 0, N, N, QVF_F32, 0, 0, 1, 0 };
        chain->values[1] = (struct qvf_value){ chain->buffer, N * N * 4, ROWS, N, QVF_F32, 0, 0, 1, 0 };
        chain->values[2] = (struct qvf_value){ chain->buffer, (N + ROWS) * N * 4, ROWS, N, QVF_F32, 0, 0, 1,
                0 };
        for (int i = 0; i < STEPS; i++)
                chain->ops[i] = (struct qvf_op){
                        .kind = QVF_OP_MATMUL,
                        .rows = QVF_ROWS_INPUT,
                        .operand = { i % 2 ? 1 : 2, i % 2 ? 2 : 1, 0, QVF_NONE },
                        .f = { 0.05f },
                };
        ck_assert_int_eq(backend->program_size(device, &desc, &bytes), 0);
        before = held_bytes;
        ck_assert_int_eq(backend->program_new(device, &desc, &chain->program), 0);
        ck_assert_int_eq(held_bytes - before, (int64_t)bytes);
}

static void free_chain(struct chain *chain)
{
        backend->program_free(chain->program);
        backend->buffer_free(chain->buffer);
}

static const struct qvf_args full = { .size = sizeof(full), .rows = ROWS };

static void get(struct chain *chain, float numbers[ROWS * N])
{
        ck_assert_int_eq(backend->buffer_download(chain->buffer, N * N * 4, numbers, ROWS * N * 4), 0);
}

static void run_to_end(struct chain *chain)
{
        ck_assert_int_eq(backend->submit(chain->program, &full), 0);
        ck_assert_int_eq(backend->wait(chain->program, -1), QVF_RUN_DONE);
}

static bool readable(struct qvf_device *device)
{
        struct pollfd poll_fd = { backend->event_fd(device), POLLIN, 0 };

        return poll(&poll_fd, 1, 0) == 1;
}

START_TEST(same_result_for_any_threads)
{
        static float first[ROWS * N], again[ROWS * N];

        for (unsigned threads = 1; threads <= 5; threads++) {
                struct qvf_device *device = open_device(threads);
                struct chain chain;

                make_chain(&chain, device);
                run_to_end(&chain);
                get(&chain, threads == 1 ? first : again);
                if (threads > 1)
                        ck_assert_mem_eq(first, again, sizeof(first));
                run_to_end(&chain);
                free_chain(&chain);
                backend->device_close(device);
                ck_assert_int_eq(held_bytes, 0);
        }
}
END_TEST

START_TEST(events)
{
        struct qvf_device *device = open_device(2);
        struct chain chain;
        struct qvf_args too_many = full;

        make_chain(&chain, device);
        too_many.rows++;
        ck_assert_int_eq(backend->wait(chain.program, 0), -EINVAL);
        ck_assert_int_eq(backend->submit(chain.program, &too_many), -EINVAL);
        ck_assert(!readable(device));
        ck_assert_int_eq(backend->submit(chain.program, &full), 0);
        ck_assert_int_eq(backend->submit(chain.program, &full), -EBUSY);
        ck_assert_int_eq(backend->wait(chain.program, 0), QVF_RUN_GOING);
        ck_assert_int_eq(poll(&(struct pollfd){ backend->event_fd(device), POLLIN, 0 }, 1, 10000), 1);
        ck_assert_int_eq(backend->wait(chain.program, 0), QVF_RUN_DONE);
        ck_assert(!readable(device));
        ck_assert_int_eq(backend->wait(chain.program, 0), QVF_RUN_DONE);
        ck_assert_int_eq(backend->pause(chain.program, true), 0); /* nothing to pause: not an error */
        run_to_end(&chain);
        free_chain(&chain);
        backend->device_close(device);
}
END_TEST

START_TEST(pauses)
{
        static float expected[ROWS * N], result[ROWS * N];

        for (unsigned threads = 1; threads <= 3; threads++) {
                struct qvf_device *device = open_device(threads);
                struct chain chain, other;
                int state = QVF_RUN_GOING, paused = 0;

                make_chain(&chain, device);
                make_chain(&other, device);
                run_to_end(&other);
                get(&other, expected);
                ck_assert_int_eq(backend->submit(chain.program, &full), 0);
                ck_assert_int_eq(backend->submit(other.program, &full), -EBUSY);
                /* On a busy machine a run may be over before it is asked to pause: then it is started again. */
                for (int attempt = 0; state != QVF_RUN_DONE || (paused == 0 && attempt < 1000); attempt++) {
                        double start;

                        if (state == QVF_RUN_DONE) {
                                fill_chain(&chain);
                                ck_assert_int_eq(backend->submit(chain.program, &full), 0);
                        }
                        nanosleep(&(struct timespec){ 0, 300000 }, NULL);
                        start = now_ms();
                        backend->pause(chain.program, true);
                        state = backend->wait(chain.program, 5000);
                        ck_assert_int_ne(state, QVF_RUN_GOING);
                        if (state != QVF_RUN_PAUSED)
                                continue;
                        if (now_ms() - start > 100)
                                printf("pause took %.1f ms\n", now_ms() - start);
                        ck_assert(!readable(device));
                        if (paused++ == 0)
                                run_to_end(&other);
                        ck_assert_int_eq(backend->wait(chain.program, 0), QVF_RUN_PAUSED);
                        backend->pause(chain.program, false);
                        backend->pause(chain.program, true); /* asked and taken back before it can happen */
                        backend->pause(chain.program, false);
                }
                get(&chain, result);
                ck_assert_mem_eq(expected, result, sizeof(result));
                ck_assert_int_gt(paused, 0);
                free_chain(&chain);
                free_chain(&other);
                backend->device_close(device);
                ck_assert_int_eq(held_bytes, 0);
        }
}
END_TEST

/* On a busy machine a run may be over before it is asked to pause: then it is started again. */
static void pause_in_time(const struct chain *chain)
{
        int state = QVF_RUN_DONE;

        for (unsigned tries = 0; tries < 100 && state == QVF_RUN_DONE; tries++) {
                backend->pause(chain->program, false);
                ck_assert_int_eq(backend->submit(chain->program, &full), 0);
                backend->pause(chain->program, true);
                state = backend->wait(chain->program, -1);
        }
        ck_assert_int_eq(state, QVF_RUN_PAUSED);
}

START_TEST(freed_while_under_way)
{
        for (unsigned threads = 1; threads <= 3; threads++) {
                struct qvf_device *device = open_device(threads);
                struct chain going, paused;

                make_chain(&going, device);
                make_chain(&paused, device);
                pause_in_time(&paused);
                ck_assert_int_eq(backend->submit(going.program, &full), 0);
                free_chain(&paused);
                free_chain(&going);
                ck_assert(!readable(device));
                backend->device_close(device);
                ck_assert_int_eq(held_bytes, 0);
        }
}
END_TEST

START_TEST(buffers)
{
        static _Alignas(64) float memory[16] = { 1, 2, 3 };
        struct qvf_device *device = open_device(1);
        struct qvf_buffer *buffer;
        float value;

        ck_assert_int_eq(backend->buffer_new(device, 0, QVF_BUFFER_DEVICE, &buffer), -EINVAL);
        ck_assert_int_eq(backend->buffer_new(device, UINT64_MAX - 3, QVF_BUFFER_DEVICE, &buffer), -EINVAL);
        ck_assert_int_eq(backend->buffer_new(device, 10, QVF_BUFFER_DEVICE, &buffer), 0);
        ck_assert_int_eq(((char *)backend->buffer_map(buffer))[9], 0);
        ck_assert_int_eq(backend->buffer_upload(buffer, 8, "abc", 3), -EINVAL);
        ck_assert_int_eq(backend->buffer_upload(buffer, UINT64_MAX, "abc", 3), -EINVAL);
        ck_assert_int_eq(backend->buffer_download(buffer, 4, memory, UINT64_MAX), -EINVAL);
        backend->buffer_free(buffer);
        ck_assert_int_eq(backend->buffer_import(device, memory, sizeof(memory), &buffer), 0);
        ck_assert_ptr_eq(backend->buffer_map(buffer), memory);
        ck_assert_int_eq(backend->buffer_download(buffer, 4, &value, 4), 0);
        ck_assert(value == 2);
        ck_assert_int_eq(backend->buffer_upload(buffer, 0, &value, 4), -EINVAL);
        backend->buffer_free(buffer);
        backend->device_close(device);
        ck_assert_int_eq(held_bytes, 0);
}
END_TEST

START_TEST(probe)
{
        struct qvf_device_info info;
        uint32_t count;

        ck_assert_int_eq(backend->probe(&host, &info, 1, &count), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_str_eq(info.id, "cpu");
        ck_assert_uint_gt(info.memory_bytes, 1 << 20);
        ck_assert_int_eq(backend->probe(&host, NULL, 0, &count), 0);
        ck_assert_uint_eq(count, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("cpu");
        TCase *tcase = tcase_create("cpu");
        SRunner *runner = srunner_create(suite);
        int failed;

        if (!load())
                return EXIT_FAILURE;
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, same_result_for_any_threads);
        tcase_add_test(tcase, events);
        tcase_add_test(tcase, pauses);
        tcase_add_test(tcase, freed_while_under_way);
        tcase_add_test(tcase, buffers);
        tcase_add_test(tcase, probe);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
