/* SPDX-License-Identifier: Apache-2.0 */
/* A good program of each operation, and what becomes of it when one thing about it is wrong. The CPU plugin stands for
 * all that check their programs with plugins/common. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/backend/host.h"
#include "qvf/backend.h"
#include "tests/support/suite.h"

#define BUFFER_BYTES (1u << 20)

static char logged[2048];

static void keep(void *context, int level, const char *line)
{
        (void)context;
        if (level == 0)
                snprintf(logged, sizeof(logged), "%s", line);
}

struct fixture {
        const struct qvf_backend *backend;
        struct qvf_device *device;
        struct qvf_buffer *buffer;
        struct qvf_value values[4];
        struct qvf_op op;
        uint32_t n_values;
};

static void set_up(struct fixture *f)
{
        static struct qvf_host host;
        struct qvf_device_options options = { .size = sizeof(options), .threads = 1 };
        const char *build = getenv("QVF_BUILD");
        char path[512];
        void *handle;

        snprintf(path, sizeof(path), "%s/plugins/cpu.so", build ? build : "build");
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        ck_assert_msg(handle != NULL, "%s", dlerror());
        f->backend = dlsym(handle, QVF_BACKEND_SYMBOL);
        host = qvf_host_default;
        host.log = keep;
        ck_assert_int_eq(f->backend->device_open(&host, 0, &options, &f->device), 0);
        ck_assert_int_eq(f->backend->buffer_new(f->device, BUFFER_BYTES, QVF_BUFFER_DEVICE, &f->buffer), 0);
}

static void tear_down(struct fixture *f)
{
        f->backend->buffer_free(f->buffer);
        f->backend->device_close(f->device);
}

/* y[3,8] = W x with W[8,256] of TQ2_0, x[3,256] in I8 and scales. */
static void good(struct fixture *f)
{
        f->n_values = 4;
        f->values[0] = (struct qvf_value){ f->buffer, 0, 3, 8, QVF_F32, 0, 0, 1, 0 };
        f->values[1] = (struct qvf_value){ f->buffer, 1024, 3, 256, QVF_I8, 0, 0, 1, 0 };
        f->values[2] = (struct qvf_value){ f->buffer, 2048, 3, 1, QVF_F32, 0, 0, 1, 0 };
        f->values[3] = (struct qvf_value){ f->buffer, 4096, 8, 256, QVF_TQ2_0, 0, 0, 1, 0 };
        f->op = (struct qvf_op){ .kind = QVF_OP_MATMUL_TERNARY, .operand = { 0, 1, 2, 3 } };
}

static int try_program(struct fixture *f)
{
        struct qvf_program_desc desc = { sizeof(desc), f->n_values, 1, f->values, &f->op, "test" };
        struct qvf_program *program = NULL;
        int r;

        logged[0] = 0;
        r = f->backend->program_new(f->device, &desc, &program);
        if (r == 0)
                f->backend->program_free(program);
        return r;
}

static void expect(struct fixture *f, const char *words)
{
        ck_assert_int_eq(try_program(f), -EINVAL);
        ck_assert_msg(strstr(logged, words) != NULL, "'%s' not in '%s'", words, logged);
        good(f);
        ck_assert_int_eq(try_program(f), 0);
}

START_TEST(values)
{
        struct fixture f;

        set_up(&f);
        good(&f);
        ck_assert_int_eq(try_program(&f), 0);
        f.op.kind = QVF_OP_COUNT;
        expect(&f, "operation 0: unknown kind");
        f.op.operand[3] = 4;
        expect(&f, "operation 0 (MATMUL_TERNARY), operand 3 (W): there is no value 4");
        f.op.operand[2] = QVF_NONE;
        expect(&f, "operand 2 (scale)");
        f.op.rows = 7;
        expect(&f, "rows come from");
        f.values[0].offset = BUFFER_BYTES - 3 * 8 * 4 + 4;
        expect(&f, "operand 0 (y), 3 x 8 of dtype 0: it reaches past the end of its buffer");
        f.values[0].offset = UINT64_MAX - 3;
        expect(&f, "past the end");
        f.values[0].offset = 2;
        expect(&f, "not aligned");
        f.values[0].buffer = NULL;
        expect(&f, "no buffer");
        f.values[3].rows = 0;
        expect(&f, "empty");
        f.values[3].rows = UINT32_MAX;
        f.values[3].columns = UINT32_MAX - 255;
        expect(&f, "larger than any value");
        f.values[3].columns = 255;
        expect(&f, "not whole blocks");
        f.values[3].dtype = 999;
        expect(&f, "its dtype must be TQ1_0 or TQ2_0");
        f.values[3].packed = 1;
        expect(&f, "no packed layout");
        f.values[1].packed = 1;
        expect(&f, "only weights");
        tear_down(&f);
}
END_TEST

START_TEST(shapes)
{
        struct fixture f;

        set_up(&f);
        good(&f);
        f.values[0].columns = 7;
        expect(&f, "operand 3 (W), 8 x 256 of dtype 35: its shape");
        f.values[3].columns = 512;
        expect(&f, "operand 3 (W)");
        f.values[2].rows = 2;
        expect(&f, "fewer rows than the first");
        f.values[1].columns = 128;
        expect(&f, "operand 3 (W)");
        f.values[0].offset = 4096 + 8;
        expect(&f, "a result stands in the same place");
        tear_down(&f);
}
END_TEST

START_TEST(parameters)
{
        struct fixture f;

        set_up(&f);
        good(&f);
        f.values[0] = (struct qvf_value){ f.buffer, 0, 3, 64, QVF_F32, 0, 0, 1, 0 };
        f.values[1] = (struct qvf_value){ f.buffer, 1024, 3, 64, QVF_F32, 0, 0, 1, 0 };
        f.values[2] = (struct qvf_value){ f.buffer, 2048, 3, 1, QVF_I32, 0, 0, 1, 0 };
        f.values[3] = (struct qvf_value){ f.buffer, 4096, 1, 16, QVF_F32, 0, 0, 1, 0 };
        f.op = (struct qvf_op){ .kind = QVF_OP_ROPE, .operand = { 0, 1, 2, 3 }, .i = { 32 }, .f = { 1, 1 } };
        ck_assert_int_eq(try_program(&f), 0);
        f.op.operand[0] = 1; /* in place */
        ck_assert_int_eq(try_program(&f), 0);
        f.values[0].offset = 1028; /* nearly in place */
        f.op.operand[0] = 0;
        ck_assert_int_eq(try_program(&f), -EINVAL);
        f.values[0].offset = 0;
        f.op.i[0] = 0;
        ck_assert_int_eq(try_program(&f), -EINVAL);
        f.op.i[0] = 48;
        ck_assert_int_eq(try_program(&f), -EINVAL);
        f.op.i[0] = -32;
        ck_assert_int_eq(try_program(&f), -EINVAL);
        f.op.i[0] = 16;
        ck_assert_int_eq(try_program(&f), -EINVAL);
        ck_assert_msg(strstr(logged, "more frequencies than pairs") != NULL, "%s", logged);
        good(&f);
        f.op = (struct qvf_op){ .kind = QVF_OP_DROPOUT, .operand = { 0, 0 }, .f = { 1 } };
        ck_assert_int_eq(try_program(&f), -EINVAL);
        f.op.f[0] = 0.5f;
        ck_assert_int_eq(try_program(&f), 0);
        f.op = (struct qvf_op){ .kind = QVF_OP_GATE, .operand = { 0, 0, 0 }, .i = { 2 } };
        ck_assert_int_eq(try_program(&f), -EINVAL);
        tear_down(&f);
}
END_TEST

QVF_SUITE("program check", 60, values, shapes, parameters)
