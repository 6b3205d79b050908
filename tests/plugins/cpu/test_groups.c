/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that follow each other without a barrier, and those that one thread does alone: a program of random operations must
 * leave what its operations leave that are run one by one. */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/backend/host.h"

/* ROWS are more than L2 holds, which are gone through in strips. */
enum { COLUMNS = 256, ROWS = 2100, FEW = 60, ACTIVATIONS = 6, QUANTISED = 2, STEPS = 60, PROGRAMS = 16 };
/* Values: activations, quantised ones with their scales, weights. */
enum { Q = ACTIVATIONS, SCALE = Q + QUANTISED, WEIGHT = SCALE + QUANTISED, TERNARY, NORM, VALUES };

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
        uint64_t bytes;
};

static struct qvf_value value_of(unsigned i)
{
        struct qvf_value value = { .rows = ROWS, .columns = COLUMNS, .dtype = QVF_F32, .scale = 0.25f };

        if (i >= Q && i < SCALE)
                value.dtype = QVF_I8;
        else if (i >= SCALE && i < WEIGHT)
                value.columns = 1;
        else if (i == TERNARY)
                value.dtype = QVF_TQ2_0;
        if (i == WEIGHT || i == TERNARY)
                value.rows = COLUMNS;
        else if (i == NORM)
                value.rows = 1;
        return value;
}

static uint64_t bytes_of(const struct qvf_value *value)
{
        uint64_t numbers = value->rows * value->columns;

        return value->dtype == QVF_TQ2_0 ? numbers / 256 * 66
               : value->dtype == QVF_I8  ? numbers
                                         : 4 * numbers;
}

static void fill(struct machine *m)
{
        for (unsigned i = 0; i < VALUES; i++) {
                const struct qvf_value *value = &m->values[i];
                uint8_t *to = (uint8_t *)backend->buffer_map(m->buffer) + value->offset;
                uint64_t bytes = bytes_of(value);

                for (uint64_t j = 0; value->dtype == QVF_F32 && j < bytes / sizeof(float); j++)
                        ((float *)to)[j] = (float)any(2001) / 1000 - 1;
                for (uint64_t j = 0; value->dtype == QVF_TQ2_0 && j < bytes; j++) {
                        /* blocks of 64 bytes of four codes and a scale, which is 1 */
                        uint32_t codes = any(3) | any(3) << 2 | any(3) << 4 | any(3) << 6;

                        to[j] = j % 66 == 64 ? 0 : j % 66 == 65 ? 0x3c : (uint8_t)codes;
                }
        }
}

static void open_machine(struct machine *m, unsigned threads)
{
        struct qvf_device_options options = { .size = sizeof(options), .threads = threads };

        m->bytes = 0;
        ck_assert_int_eq(backend->device_open(&qvf_host_default, 0, &options, &m->device), 0);
        for (unsigned i = 0; i < VALUES; i++) {
                struct qvf_value *value = &m->values[i];

                *value = value_of(i);
                value->offset = m->bytes;
                m->bytes += (bytes_of(value) + 63) / 64 * 64;
        }
        ck_assert_int_eq(backend->buffer_new(m->device, m->bytes, QVF_BUFFER_DEVICE, &m->buffer), 0);
        for (unsigned i = 0; i < VALUES; i++)
                m->values[i].buffer = m->buffer;
        fill(m);
}

static struct qvf_op any_op(void)
{
        static const uint16_t kinds[] = { QVF_OP_ADD, QVF_OP_GATE, QVF_OP_RMSNORM, QVF_OP_MATMUL,
                QVF_OP_QUANTIZE, QVF_OP_MATMUL_TERNARY };
        struct qvf_op op = { .kind = kinds[any(6)], .rows = QVF_ROWS_INPUT };
        uint16_t y = (uint16_t)any(ACTIVATIONS),
                 a = (uint16_t)((y + 1 + any(ACTIVATIONS - 1)) % ACTIVATIONS);
        uint16_t b = (uint16_t)((y + 1 + any(ACTIVATIONS - 1)) % ACTIVATIONS), q = (uint16_t)any(QUANTISED);
        uint16_t operands[4] = { y, a, b, QVF_NONE };

        switch (op.kind) {
        case QVF_OP_RMSNORM: operands[2] = NORM; break;
        case QVF_OP_MATMUL: operands[2] = WEIGHT; break;
        case QVF_OP_QUANTIZE:
                operands[0] = Q + q;
                operands[1] = SCALE + q;
                operands[2] = a;
                break;
        case QVF_OP_MATMUL_TERNARY:
                operands[1] = Q + q;
                operands[2] = SCALE + q;
                operands[3] = TERNARY;
                break;
        default: break;
        }
        for (unsigned i = 0; i < QVF_OP_OPERANDS; i++)
                op.operand[i] = i < 4 ? operands[i] : QVF_NONE;
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

/* Of at most that many rows. */
static void check_programs(unsigned threads, uint32_t most)
{
        static const uint32_t rows_of[] = { 1, 2, 9, FEW }; /* the last: many, for one thread and for two */
        struct machine m, one;

        open_machine(&m, threads);
        open_machine(&one, 1);
        for (unsigned p = 0; p < PROGRAMS; p++) {
                uint32_t rows = p == 0 ? most : rows_of[p % 4];
                struct qvf_op ops[STEPS];

                fill(&m);
                memcpy(backend->buffer_map(one.buffer), backend->buffer_map(m.buffer), m.bytes);
                for (unsigned i = 0; i < STEPS; i++) {
                        ops[i] = any_op();
                        run(&one, &ops[i], 1, rows);
                }
                run(&m, ops, STEPS, rows);
                ck_assert_msg(memcmp(backend->buffer_map(one.buffer), backend->buffer_map(m.buffer),
                                              m.bytes) == 0,
                                "program %u, %u rows, %u threads: other numbers than one by one", p, rows,
                                threads);
        }
        backend->buffer_free(one.buffer);
        backend->device_close(one.device);
        backend->buffer_free(m.buffer);
        backend->device_close(m.device);
}

static bool load(const char *plugin)
{
        const char *build = getenv("QVF_BUILD");
        char path[512];
        void *handle;

        snprintf(path, sizeof(path), "%s/%s/cpu.so", build ? build : "build", plugin);
        if (access(path, F_OK) != 0)
                return false;
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        ck_assert_msg(handle != NULL, "%s", dlerror());
        backend = dlsym(handle, QVF_BACKEND_SYMBOL);
        ck_assert_ptr_nonnull(backend);
        return true;
}

START_TEST(same_as_one_by_one)
{
        ck_assert(load("plugins"));
        check_programs(1 + (unsigned)_i, ROWS);
}
END_TEST

/* There products of many rows are done row by row. */
START_TEST(same_with_the_matrix_unit)
{
        if (load("tests/amx-model"))
                check_programs(1 + (unsigned)_i, FEW);
        else
                printf("SKIP groups of the AMX level: not in this build\n");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("groups");
        TCase *tcase = tcase_create("groups");
        SRunner *runner = srunner_create(suite);
        struct timespec now;
        int failed;

        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_nsec;
        printf("seed %llu\n", (unsigned long long)seed);
        fflush(stdout);
        tcase_set_timeout(tcase, 100);
        tcase_add_loop_test(tcase, same_as_one_by_one, 0, 5);
        tcase_add_loop_test(tcase, same_with_the_matrix_unit, 0, 4);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
