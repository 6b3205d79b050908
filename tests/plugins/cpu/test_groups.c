/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that follow each other without a barrier, and those that one thread does alone: a program of random operations must
 * leave what its operations leave that are run one by one. */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/backend/host.h"

enum { COLUMNS = 320, ROWS = 9, ACTIVATIONS = 6, STEPS = 60, PROGRAMS = 30 };
enum { WEIGHT = ACTIVATIONS, NORM, VALUES };

static const struct qvf_backend *backend;
static uint64_t seed;

static uint32_t any(uint32_t below)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t)(seed >> 33) % below;
}

struct machine { /* a device with values */
        struct qvf_device *device;
        struct qvf_buffer *buffer;
        struct qvf_value values[VALUES];
};

static const size_t activations_bytes = (size_t)ACTIVATIONS * ROWS * COLUMNS * sizeof(float);

static void open_machine(struct machine *m, unsigned threads)
{
        struct qvf_device_options options = { .size = sizeof(options), .threads = threads };
        uint64_t at = 0;

        ck_assert_int_eq(backend->device_open(&qvf_host_default, 0, &options, &m->device), 0);
        for (unsigned i = 0; i < VALUES; i++) {
                uint32_t rows = i == WEIGHT ? COLUMNS : i == NORM ? 1 : ROWS;

                m->values[i] = (struct qvf_value){
                        .offset = at, .rows = rows, .columns = COLUMNS, .dtype = QVF_F32, .scale = 1
                };
                at += (uint64_t)rows * COLUMNS * sizeof(float);
        }
        ck_assert_int_eq(backend->buffer_new(m->device, at, QVF_BUFFER_DEVICE, &m->buffer), 0);
        for (unsigned i = 0; i < VALUES; i++)
                m->values[i].buffer = m->buffer;
        for (uint64_t i = 0; i < at / sizeof(float); i++)
                ((float *)backend->buffer_map(m->buffer))[i] = (float)any(2001) / 1000 - 1;
}

static void close_machine(struct machine *m)
{
        backend->buffer_free(m->buffer);
        backend->device_close(m->device);
}

static struct qvf_op any_op(void)
{
        static const uint16_t kinds[] = { QVF_OP_ADD, QVF_OP_GATE, QVF_OP_RMSNORM, QVF_OP_MATMUL };
        struct qvf_op op = { .kind = kinds[any(4)], .rows = QVF_ROWS_INPUT };
        uint16_t y = (uint16_t)any(ACTIVATIONS),
                 a = (uint16_t)((y + 1 + any(ACTIVATIONS - 1)) % ACTIVATIONS);
        uint16_t b = (uint16_t)((y + 1 + any(ACTIVATIONS - 1)) % ACTIVATIONS);

        for (unsigned i = 0; i < QVF_OP_OPERANDS; i++)
                op.operand[i] = QVF_NONE;
        op.operand[0] = y;
        op.operand[1] = a;
        op.operand[2] = op.kind == QVF_OP_MATMUL ? WEIGHT : op.kind == QVF_OP_RMSNORM ? NORM : b;
        op.f[0] = op.kind == QVF_OP_ADD ? 0.75f : op.kind == QVF_OP_MATMUL ? 0.0625f : 1e-5f;
        op.f[1] = 0.5f;
        return op;
}

static void run(const struct machine *m, const struct qvf_op *ops, uint32_t count, uint32_t rows)
{
        const struct qvf_program_desc desc = {
                .size = sizeof(desc), .n_values = VALUES, .n_ops = count, .values = m->values, .ops = ops
        };
        const struct qvf_args args = { .size = sizeof(args), .rows = rows };
        struct qvf_program *program;

        ck_assert_int_eq(backend->program_new(m->device, &desc, &program), 0);
        ck_assert_int_eq(backend->submit(program, &args), 0);
        ck_assert_int_eq(backend->wait(program, -1), QVF_RUN_DONE);
        backend->program_free(program);
}

START_TEST(same_as_one_by_one)
{
        static const uint32_t rows_of[] = { 1, 2, ROWS };
        unsigned threads = 1 + (unsigned)_i;
        struct machine m, one;

        open_machine(&m, threads);
        open_machine(&one, 1);
        for (unsigned p = 0; p < PROGRAMS; p++) {
                uint32_t rows = rows_of[p % 3];
                struct qvf_op ops[STEPS];

                memcpy(backend->buffer_map(one.buffer), backend->buffer_map(m.buffer), activations_bytes);
                memcpy((char *)backend->buffer_map(one.buffer) + activations_bytes,
                                (char *)backend->buffer_map(m.buffer) + activations_bytes,
                                (size_t)(COLUMNS + 1) * COLUMNS * sizeof(float));
                for (unsigned i = 0; i < STEPS; i++) {
                        ops[i] = any_op();
                        run(&one, &ops[i], 1, rows);
                }
                run(&m, ops, STEPS, rows);
                ck_assert_msg(memcmp(backend->buffer_map(one.buffer), backend->buffer_map(m.buffer),
                                              activations_bytes) == 0,
                                "program %u, %u rows, %u threads: other numbers than one by one", p, rows,
                                threads);
        }
        close_machine(&one);
        close_machine(&m);
}
END_TEST

int main(void)
{
        const char *build = getenv("QVF_BUILD");
        Suite *suite = suite_create("groups");
        TCase *tcase = tcase_create("groups");
        SRunner *runner = srunner_create(suite);
        struct timespec now;
        char path[512];
        void *handle;
        int failed;

        snprintf(path, sizeof(path), "%s/plugins/cpu.so", build ? build : "build");
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        backend = handle ? dlsym(handle, QVF_BACKEND_SYMBOL) : NULL;
        if (!backend) {
                fprintf(stderr, "%s\n", dlerror());
                return EXIT_FAILURE;
        }
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_nsec;
        printf("seed %llu\n", (unsigned long long)seed);
        fflush(stdout);
        tcase_set_timeout(tcase, 100);
        tcase_add_loop_test(tcase, same_as_one_by_one, 0, 5);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
