/* SPDX-License-Identifier: Apache-2.0 */
/* Workgroups that wait for each other in vain, on a driver in software whose workgroups go one after another: the run
 * begins anew without waiting and gives what it should, or ends as hung where it may not begin anew. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/common/op_rules.c"
#undef WRITTEN
#undef OPTIONAL
#undef LIKE
#include "plugins/common/program_check.c"
#include "plugins/vulkan/pack.c"
#include "plugins/vulkan/stand.c"
#include "tests/plugins/vulkan/host.h"
#include "tests/support/suite.h"

#define COLUMNS 256u
#define PLACE (COLUMNS * COLUMNS) /* bytes: a packed matrix has a quarter of it */

enum { X, Q, SCALE, W, Y, Q_2, SCALE_2, W_2, Z, N_VALUES };

static const struct qvf_backend *backend;
static unsigned in_vain; /* times that the log told */

static void host_log(void *context, int level, const char *line)
{
        (void)context;
        (void)level;
        in_vain += strstr(line, "waited for each other in vain") != NULL;
}

static const struct qvf_host host = { sizeof(host), NULL, host_log, host_alloc, host_free };

/* A device whose programs walk without a trial, or don't; NULL: none is here whose workgroups wait in vain. */
static struct qvf_device *open_device(bool walks)
{
        const char *build = getenv("QVF_BUILD");
        struct qvf_device_options options = { .size = sizeof(options) };
        struct qvf_device_info info = { .size = sizeof(info) };
        struct qvf_device *device = NULL;
        uint32_t count = 0;
        char path[512];
        void *handle;

        setenv("LP_NUM_THREADS", "1", 1);
        setenv("QVF_VK_WALK", walks ? "2" : "0", 1);
        setenv("QVF_VK_WALK_UNTRIED", "1", 1);
        snprintf(path, sizeof(path), "%s/plugins/vulkan.so", build ? build : "build");
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle)
                backend = dlsym(handle, QVF_BACKEND_SYMBOL);
        if (!backend || backend->probe(&host, &info, 1, &count) < 0 || count == 0 ||
                        !strstr(info.name, "llvmpipe")) {
                printf("SKIP vulkan walk: no plugin is here, or no driver in software\n");
                return NULL;
        }
        ck_assert_int_eq(backend->device_open(&host, 0, &options, &device), 0);
        return device;
}

struct work { /* z = W₂ (W x), each row quantised before; or x += z */
        struct qvf_device *device;
        struct qvf_buffer *buffer;
        struct qvf_program *program;
};

static void make_matrix(struct qvf_device *device, uint8_t *packed)
{
        struct qvf_weight weight = { sizeof(weight), QVF_TQ2_0, COLUMNS, COLUMNS, 0.25f, 0, NULL,
                COLUMNS * COLUMNS / 256 * 66 };
        uint8_t *file = malloc(weight.bytes);

        for (uint64_t i = 0; i < weight.bytes; i++) {
                file[i] = 0;
                for (int j = 0; j < 8; j += 2)
                        file[i] |= (uint8_t)(rand() % 3 << j);
        }
        for (uint64_t i = 64; i < weight.bytes; i += 66) /* 0.25 as f16 */
                memcpy(&file[i], (const uint8_t[]){ 0, 0x34 }, 2);
        weight.data = file;
        ck_assert_int_eq(backend->pack(device, &weight, packed), 0);
        free(file);
}

static void make_program(struct work *work, bool in_place)
{
        struct qvf_value values[N_VALUES];
        struct qvf_op ops[] = {
                { .kind = QVF_OP_QUANTIZE, .operand = { Q, SCALE, X } },
                { .kind = QVF_OP_MATMUL_TERNARY, .operand = { Y, Q, SCALE, W } },
                { .kind = QVF_OP_QUANTIZE, .operand = { Q_2, SCALE_2, Y } },
                { .kind = QVF_OP_MATMUL_TERNARY, .operand = { Z, Q_2, SCALE_2, W_2 } },
                { .kind = QVF_OP_ADD, .operand = { X, X, Z }, .f = { 1, 1 } },
        };
        struct qvf_program_desc desc = { sizeof(desc), N_VALUES, in_place ? 5 : 4, values, ops, "walk" };

        for (uint32_t i = 0; i < desc.n_ops; i++) {
                ops[i].rows = QVF_ROWS_INPUT;
                for (uint32_t j = qvf_program_operand_count(ops[i].kind); j < QVF_OP_OPERANDS; j++)
                        ops[i].operand[j] = QVF_NONE;
        }
        for (uint32_t i = 0; i < N_VALUES; i++)
                values[i] = (struct qvf_value){ .buffer = work->buffer,
                        .offset = (uint64_t)i * PLACE,
                        .rows = 1,
                        .columns = COLUMNS,
                        .dtype = QVF_F32,
                        .scale = 1,
                        .temporary = i != X && i != W && i != W_2 && (in_place || i != Z) };
        values[Q].dtype = values[Q_2].dtype = QVF_I8;
        values[SCALE].columns = values[SCALE_2].columns = 1;
        for (int i = 0; i < 2; i++) {
                struct qvf_value *w = &values[i ? W_2 : W];

                w->rows = COLUMNS;
                w->dtype = QVF_TQ2_0;
                w->packed = 1;
                w->scale = 0.25f;
        }
        ck_assert_int_eq(backend->program_new(work->device, &desc, &work->program), 0);
}

static bool make(struct work *work, bool walks, bool in_place)
{
        uint8_t *data;

        in_vain = 0;
        *work = (struct work){ .device = open_device(walks) };
        if (!work->device)
                return false;
        srand(1);
        data = calloc(N_VALUES, PLACE);
        for (uint32_t i = 0; i < COLUMNS; i++)
                ((float *)(void *)data)[i] = (float)(rand() % 2001 - 1000) / 500;
        make_matrix(work->device, data + W * PLACE);
        make_matrix(work->device, data + W_2 * PLACE);
        ck_assert_int_eq(backend->buffer_new(
                                         work->device, N_VALUES * PLACE, QVF_BUFFER_DEVICE, &work->buffer),
                        0);
        ck_assert_int_eq(backend->buffer_upload(work->buffer, 0, data, N_VALUES * PLACE), 0);
        free(data);
        make_program(work, in_place);
        return true;
}

static void release(struct work *work)
{
        backend->program_free(work->program);
        backend->buffer_free(work->buffer);
        backend->device_close(work->device);
}

static void submit(struct work *work)
{
        struct qvf_args args = { .size = sizeof(args), .rows = 1 };

        ck_assert_int_eq(backend->submit(work->program, &args), 0);
}

/* What the program should give, and does where nothing walks. */
static void find_expected(float *z)
{
        struct work work;

        ck_assert(make(&work, false, false));
        submit(&work);
        ck_assert_int_eq(backend->wait(work.program, -1), QVF_RUN_DONE);
        ck_assert_int_eq(backend->buffer_download(work.buffer, Z * PLACE, z, COLUMNS * 4), 0);
        release(&work);
        ck_assert(z[0] != 0 || z[1] != 0);
}

static void assert_is_expected(struct work *work)
{
        float z[COLUMNS], expected[COLUMNS];

        ck_assert_int_eq(backend->buffer_download(work->buffer, Z * PLACE, z, sizeof(z)), 0);
        ck_assert_uint_eq(in_vain, 1);
        find_expected(expected);
        ck_assert_mem_eq(z, expected, sizeof(z));
}

START_TEST(begins_anew)
{
        struct work work, other;

        if (!make(&work, true, false))
                return;
        other = work;
        make_program(&other, false);
        submit(&work);
        ck_assert_int_eq(backend->wait(work.program, -1), QVF_RUN_DONE);
        for (int i = 0; i < 2; i++) { /* from now on nothing walks, nor what was recorded before */
                submit(i ? &other : &work);
                ck_assert_int_eq(backend->wait(i ? other.program : work.program, -1), QVF_RUN_DONE);
        }
        assert_is_expected(&work);
        backend->program_free(other.program);
        release(&work);
}
END_TEST

static int wait_by_descriptor(struct work *work)
{
        struct pollfd event = { .fd = backend->event_fd(work->device), .events = POLLIN };
        int state;

        do {
                ck_assert_int_eq(poll(&event, 1, 60000), 1);
                state = backend->wait(work->program, 0);
        } while (state == QVF_RUN_GOING);
        return state;
}

/* As whoever looks at other descriptors too. */
START_TEST(begins_anew_behind_the_event_descriptor)
{
        struct work work;

        if (!make(&work, true, false))
                return;
        backend->event_fd(work.device);
        submit(&work);
        ck_assert_int_eq(wait_by_descriptor(&work), QVF_RUN_DONE);
        assert_is_expected(&work);
        release(&work);
}
END_TEST

/* Before wait() was asked the run is neither over nor does it go on; it may be given up then. */
START_TEST(is_under_way_until_it_was_waited_for)
{
        const struct qvf_args args = { .size = sizeof(args), .rows = 1 };
        struct work work, other;
        struct pollfd event = { .events = POLLIN };

        if (!make(&work, true, false))
                return;
        other = work;
        make_program(&other, false);
        event.fd = backend->event_fd(work.device);
        submit(&other);
        ck_assert_int_eq(poll(&event, 1, 60000), 1);
        ck_assert_int_eq(backend->submit(other.program, &args), -EBUSY);
        ck_assert_int_eq(backend->submit(work.program, &args), -EBUSY);
        backend->program_free(other.program);
        submit(&work);
        ck_assert_int_eq(wait_by_descriptor(&work), QVF_RUN_DONE);
        assert_is_expected(&work);
        release(&work);
}
END_TEST

START_TEST(may_be_paused_meanwhile)
{
        struct work work;
        int state;

        if (!make(&work, true, false))
                return;
        submit(&work);
        backend->pause(work.program, true);
        state = backend->wait(work.program, -1);
        ck_assert(state == QVF_RUN_PAUSED || state == QVF_RUN_DONE);
        if (state == QVF_RUN_PAUSED) {
                ck_assert_int_eq(backend->pause(work.program, false), 0);
                ck_assert_int_eq(backend->wait(work.program, -1), QVF_RUN_DONE);
        }
        assert_is_expected(&work);
        release(&work);
}
END_TEST

/* x was read and is overwritten: a second run would start from something else. */
START_TEST(ends_as_hung_where_it_may_not_begin_anew)
{
        struct qvf_args args = { .size = sizeof(args), .rows = 1 };
        struct work work;

        if (!make(&work, true, true))
                return;
        submit(&work);
        ck_assert_int_eq(backend->wait(work.program, -1), QVF_RUN_HUNG);
        ck_assert_uint_eq(in_vain, 1);
        ck_assert_int_eq(backend->submit(work.program, &args), -ENODEV);
        release(&work);
}
END_TEST

static bool may_repeat(const struct qvf_op *ops, uint32_t count)
{
        struct qvf_value values[4];
        const struct qvf_program_desc desc = { sizeof(desc), 4, count, values, ops, "repeat" };
        struct vk_source *source;
        bool may;

        for (uint32_t i = 0; i < 4; i++) /* the last is a temporary */
                values[i] = (struct qvf_value){ .offset = i * 4096ull,
                        .rows = 32,
                        .columns = 32,
                        .dtype = QVF_F32,
                        .temporary = i == 3 };
        ck_assert_int_eq(vk_source_new(&desc, &source), 0);
        may = vk_source_may_repeat(source);
        vk_source_free(source);
        return may;
}

START_TEST(knows_what_may_begin_anew)
{
        const struct qvf_op forth = { .kind = QVF_OP_ADD, .operand = { 2, 0, 1 } };
        const struct qvf_op back = { .kind = QVF_OP_ADD, .operand = { 0, 2, 1 } };
        const struct qvf_op in_place = { .kind = QVF_OP_ADD, .operand = { 0, 0, 1 } };
        const struct qvf_op temporary = { .kind = QVF_OP_ADD, .operand = { 3, 3, 1 } };
        const struct qvf_op added = {
                .kind = QVF_OP_RMSNORM_BACKWARD, .flags = QVF_ACCUMULATE, .operand = { 2, 0, 1, 0 }
        };
        const struct qvf_op copied = { .kind = QVF_OP_KV_COPY, .operand = { 0, 1 } };
        const struct qvf_op there_and_back[] = { forth, back }, read_after[] = { forth, temporary, forth };
        const struct qvf_op stored = { .kind = QVF_OP_KV_STORE, .operand = { 0, 3, 1, 1, 1 } };
        const struct qvf_op seen = { .kind = QVF_OP_ATTENTION, .operand = { 3, 3, 0, 0, 1, 1 } };
        const struct qvf_op two_tokens[] = { stored, seen, stored, seen };
        const struct qvf_op copied_after[] = { seen, { .kind = QVF_OP_COPY, .operand = { 0, 3 } } };

        ck_assert(may_repeat(&forth, 1));
        ck_assert(may_repeat(&temporary, 1));
        ck_assert(may_repeat(read_after, 3));
        ck_assert(may_repeat(two_tokens, 4));
        ck_assert(!may_repeat(copied_after, 2));
        ck_assert(!may_repeat(there_and_back, 2));
        ck_assert(!may_repeat(&in_place, 1));
        ck_assert(!may_repeat(&added, 1));
        ck_assert(!may_repeat(&copied, 1));
}
END_TEST

QVF_SUITE("vulkan walk", 120, begins_anew, begins_anew_behind_the_event_descriptor,
                is_under_way_until_it_was_waited_for, may_be_paused_meanwhile,
                ends_as_hung_where_it_may_not_begin_anew, knows_what_may_begin_anew)
