/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbouring operations as one dispatch: a program of several has the results of as many programs of one, wherever
 * the arena puts the values, and nothing else is written. */
#include <check.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "qvf/backend.h"
#include "tests/plugins/vulkan/host.h"
#include "tests/support/suite.h"

#define ROWS_MOST 37u
#define COLUMNS_MOST 1536u
#define PLACE (ROWS_MOST * COLUMNS_MOST * 4u) /* of one value, when it is alone there */
#define PLACES 12u
#define CELLS 128u
#define ALIGNMENT 256u

static const struct qvf_backend *backend;

static void host_log(void *context, int level, const char *line)
{
        (void)context;
        if (level == 0)
                printf("%s\n", line);
}

static const struct qvf_host host = { sizeof(host), NULL, host_log, host_alloc, host_free };

/* NULL: no plugin or no driver is here. */
static struct qvf_device *open_device(void)
{
        const char *build = getenv("QVF_BUILD");
        struct qvf_device_options options = { .size = sizeof(options) };
        struct qvf_device_info info = { .size = sizeof(info) };
        struct qvf_device *device = NULL;
        uint32_t count = 0;
        char path[512];
        void *handle;

        snprintf(path, sizeof(path), "%s/plugins/vulkan.so", build ? build : "build");
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle)
                backend = dlsym(handle, QVF_BACKEND_SYMBOL);
        if (!backend || backend->probe(&host, &info, 1, &count) < 0 || count == 0) {
                printf("SKIP vulkan fuse: no plugin or no driver is here\n");
                return NULL;
        }
        ck_assert_int_eq(backend->device_open(&host, 0, &options, &device), 0);
        return device;
}

struct chain {
        struct qvf_value values[24];
        struct qvf_op ops[8];
        uint32_t n_values, n_ops, rows, declared, places;
        float data[PLACES * PLACE / 4];
};

struct device_and_chain {
        struct qvf_device *device;
        struct chain *chain;
};

static uint32_t pick(uint32_t count)
{
        return (uint32_t)rand() % count;
}

static uint16_t add(struct chain *chain, uint32_t rows, uint32_t columns, uint32_t dtype)
{
        ck_assert_uint_lt(chain->places, PLACES);
        chain->values[chain->n_values] = (struct qvf_value){ .offset = (uint64_t)chain->places++ * PLACE,
                .rows = rows,
                .columns = columns,
                .dtype = dtype,
                .scale = 1 };
        return (uint16_t)chain->n_values++;
}

/* A result of `columns` floats where a value is that nobody needs any more, perhaps a little off, or alone. */
static uint16_t add_result(struct chain *chain, uint32_t columns, uint16_t dead)
{
        uint16_t value;

        if (dead == QVF_NONE || pick(2))
                return add(chain, chain->declared, columns, QVF_F32);
        value = (uint16_t)chain->n_values++;
        chain->values[value] = chain->values[dead];
        chain->values[value].columns = columns;
        chain->values[value].offset += pick(3) * ALIGNMENT;
        return value;
}

static struct qvf_op *op(struct chain *chain, uint16_t kind, const uint16_t *operands, uint32_t count)
{
        struct qvf_op *to = &chain->ops[chain->n_ops++];

        *to = (struct qvf_op){ .kind = kind, .rows = QVF_ROWS_INPUT };
        for (uint32_t i = 0; i < QVF_OP_OPERANDS; i++)
                to->operand[i] = i < count ? operands[i] : QVF_NONE;
        return to;
}

#define OP(kind, ...)                                                                                       \
        op(chain, QVF_OP_##kind, (const uint16_t[]){ __VA_ARGS__ },                                         \
                        sizeof((const uint16_t[]){ __VA_ARGS__ }) / sizeof(uint16_t))

/* [ADD or GATE] [RMSNORM] [QUANTIZE] */
static void forward(struct chain *chain, uint32_t columns)
{
        uint32_t kind = pick(4), padded = (columns + 255) / 256 * 256;
        uint16_t x = add(chain, chain->declared, columns, QVF_F32), dead = QVF_NONE, y;

        if (kind < 3) {
                uint16_t b = add(chain, chain->declared, columns, QVF_F32), sum = pick(2) ? x : b;

                dead = sum == x ? b : x;
                if (pick(3) == 0)
                        sum = add(chain, chain->declared, columns, QVF_F32);
                struct qvf_op *first = kind == 2 ? OP(ADD, sum, x, b) : OP(GATE, sum, x, b);

                first->f[0] = 1;
                first->f[1] = -0.5f;
                first->i[0] = kind == 1;
                x = sum;
        }
        if (kind == 3 || pick(3)) {
                y = add_result(chain, columns, dead);
                OP(RMSNORM, y, x, add(chain, 1, columns, QVF_F32))->f[0] = 1e-5f;
                dead = QVF_NONE;
                x = y;
        }
        OP(QUANTIZE, add(chain, chain->declared, padded, QVF_I8), add(chain, chain->declared, 1, QVF_F32),
                        x);
}

/* RMSNORM_BACKWARD, GATE_BACKWARD */
static void backward(struct chain *chain, uint32_t columns)
{
        uint16_t x = add(chain, chain->declared, columns, QVF_F32), w = add(chain, 1, columns, QVF_F32);
        uint16_t dy = add(chain, chain->declared, columns, QVF_F32);
        uint16_t dx = pick(2) ? dy : add(chain, chain->declared, columns, QVF_F32);
        uint16_t g = add(chain, chain->declared, columns, QVF_F32),
                 u = add(chain, chain->declared, columns, QVF_F32);
        struct qvf_op *norm = OP(RMSNORM_BACKWARD, dx, x, w, dy);

        norm->f[0] = 1e-5f;
        norm->flags = pick(2) ? QVF_ACCUMULATE : 0;
        OP(GATE_BACKWARD, pick(2) ? g : add_result(chain, columns, x),
                        pick(2) ? u : add(chain, chain->declared, columns, QVF_F32), g, u, dx)
                        ->i[0] = (int32_t)pick(2);
}

/* ROPE of queries and keys, both KV_STOREs. */
static void rope(struct chain *chain, bool small)
{
        uint32_t head = small ? 8 : 64, heads = 1 + pick(4), key_heads = 1 + pick(2),
                 dtype = pick(2) ? QVF_F16 : QVF_F32;
        uint32_t rows = chain->declared, pairs = pick(3) ? head / 2 : head / 4;
        uint16_t q = add(chain, rows, heads * head, QVF_F32),
                 k = add(chain, rows, key_heads * head, QVF_F32);
        uint16_t v = add(chain, rows, key_heads * head, QVF_F32), position = add(chain, rows, 1, QVF_I32);
        uint16_t sequence = add(chain, rows, 1, QVF_I32), frequency = add(chain, 1, pairs, QVF_F32);
        uint16_t keys = add(chain, CELLS, key_heads * head, dtype),
                 values = add(chain, CELLS, key_heads * head, dtype);
        uint16_t table = add(chain, 2, 2, QVF_I32);
        int32_t *at = (int32_t *)chain->data;
        int32_t interleaved = (int32_t)pick(2);

        for (uint32_t r = 0; r < rows; r++) { /* no two rows in one cell, some nowhere */
                at[chain->values[position].offset / 4 + r] = r % 7 == 6 ? -1 : (int32_t)(r / 2);
                at[chain->values[sequence].offset / 4 + r] = (int32_t)(r % 2);
        }
        memcpy(&at[chain->values[table].offset / 4], (const int32_t[]){ 2, 1, 3, -1 }, 16);
        for (int i = 0; i < 2; i++) {
                struct qvf_op *turn = i ? OP(ROPE, k, k, position, frequency)
                                        : OP(ROPE, q, q, position, frequency);

                turn->i[0] = (int32_t)head;
                turn->i[1] = interleaved;
                turn->f[0] = 1;
                turn->f[1] = 1.25f;
        }
        OP(KV_STORE, keys, k, position, sequence, table);
        OP(KV_STORE, values, v, position, sequence, table);
}

/* COPYs to f16 or back; now and then one that reads or overwrites what another one wrote. */
static void copies(struct chain *chain, uint32_t columns)
{
        uint16_t made[5] = { QVF_NONE };
        uint32_t count = 1 + pick(5);

        for (uint32_t i = 0; i < count; i++) {
                bool narrow = pick(8) ? count % 2 : pick(2), again = i > 0 && pick(6) == 0;
                uint16_t x = again ? made[i - 1] : add(chain, chain->declared, columns, QVF_F32), y;

                if (again)
                        narrow = chain->values[x].dtype == QVF_F32;
                else
                        chain->values[x].dtype = narrow ? QVF_F32 : QVF_F16;
                y = i > 0 && pick(8) == 0 && chain->values[made[i - 1]].dtype == (narrow ? QVF_F16 : QVF_F32)
                                    ? made[i - 1]
                                    : add(chain, chain->declared, columns, narrow ? QVF_F16 : QVF_F32);
                OP(COPY, y, x);
                made[i] = y;
        }
}

/* A ternary matrix as the backend wants it. */
static uint16_t add_ternary(struct device_and_chain *c, uint32_t rows, uint32_t columns)
{
        struct chain *chain = c->chain;
        struct qvf_weight weight = { sizeof(weight), QVF_TQ2_0, rows, columns, 0.25f, 0, NULL,
                (uint64_t)rows * columns / 256 * 66 };
        uint16_t value = add(chain, rows, columns, QVF_TQ2_0);
        uint8_t *file = malloc(weight.bytes);
        uint64_t packed;

        for (uint64_t i = 0; i < weight.bytes; i++) {
                file[i] = 0;
                for (int j = 0; j < 8; j += 2)
                        file[i] |= (uint8_t)(pick(3) << j);
        }
        for (uint64_t i = 64; i < weight.bytes; i += 66) /* 0.25 as f16 */
                memcpy(&file[i], (const uint8_t[]){ 0, 0x34 }, 2);
        weight.data = file;
        ck_assert_int_eq(backend->pack_size(c->device, &weight, &packed), 0);
        ck_assert_uint_le(packed, PLACE);
        ck_assert_int_eq(
                        backend->pack(c->device, &weight, (char *)chain->data + chain->values[value].offset),
                        0);
        chain->values[value].packed = 1;
        chain->values[value].scale = 0.25f;
        free(file);
        return value;
}

/* A ternary product and what an adapter adds to it, forth or back. */
static void adapters(struct device_and_chain *c)
{
        struct chain *chain = c->chain;
        uint32_t outputs = 4 * (1 + pick(100)), inputs = 256 * (1 + pick(4)), rank = 1 + pick(17);
        uint16_t w, y, x, t;

        rank = pick(3) ? (rank + 3) / 4 * 4 : rank;
        outputs -= pick(4) == 0;
        w = add_ternary(c, outputs, inputs);
        t = add(chain, chain->declared, rank, QVF_F32);
        if (pick(2)) {
                y = add(chain, chain->declared, outputs, QVF_F32);
                x = add(chain, chain->declared, inputs, QVF_I8);
                OP(MATMUL_TERNARY, y, x, add(chain, chain->declared, 1, QVF_F32), w);
                OP(MATMUL, y, t, add(chain, outputs, rank, QVF_F32))->flags = QVF_ACCUMULATE;
        } else {
                y = add(chain, chain->declared, inputs, QVF_F32);
                x = add(chain, chain->declared, outputs, QVF_F32);
                OP(MATMUL_TERNARY_BACKWARD, y, x, w)->flags = pick(2) ? QVF_ACCUMULATE : 0;
                OP(MATMUL_BACKWARD, y, t, add(chain, rank, inputs, QVF_F32))->flags = QVF_ACCUMULATE;
        }
        chain->ops[1].f[0] = 0.5f;
}

/* Gradients of some thin matrices, of rows as wide as a place holds; now and then two of the same matrix. */
static void weights(struct chain *chain)
{
        uint32_t count = 1 + pick(4), flags = pick(2) ? QVF_ACCUMULATE : 0;
        uint16_t dw = QVF_NONE;

        for (uint32_t i = 0; i < count && chain->places + 3 <= PLACES; i++) {
                uint32_t wide = 4 * (1 + pick(60)) - (pick(8) == 0),
                         narrow = pick(8) ? 8 * (1 + pick(3)) : 5;
                bool x_wide = pick(2);
                uint16_t dy = add(chain, chain->declared, x_wide ? narrow : wide, QVF_F32);
                uint16_t x = add(chain, chain->declared, x_wide ? wide : narrow, QVF_F32);
                bool again = dw != QVF_NONE && pick(6) == 0;
                struct qvf_op *to;

                if (again)
                        dy = chain->ops[chain->n_ops - 1].operand[1],
                        x = chain->ops[chain->n_ops - 1].operand[2];
                else
                        dw = add(chain, x_wide ? narrow : wide, x_wide ? wide : narrow, QVF_F32);
                to = OP(MATMUL_WEIGHT_BACKWARD, dw, dy, x);
                to->f[0] = 0.5f + (float)i;
                to->flags = (uint16_t)flags;
        }
}

/* Runs `count` operations as one program over what is in the buffer. */
static void run(struct qvf_device *device, struct chain *chain, const struct qvf_op *ops, uint32_t count)
{
        struct qvf_program_desc desc = { sizeof(desc), chain->n_values, count, chain->values, ops, "chain" };
        struct qvf_args args = { .size = sizeof(args), .rows = chain->rows };
        struct qvf_program *program;

        ck_assert_int_eq(backend->program_new(device, &desc, &program), 0);
        ck_assert_int_eq(backend->submit(program, &args), 0);
        ck_assert_int_eq(backend->wait(program, -1), QVF_RUN_DONE);
        backend->program_free(program);
}

/* Floats may differ in their last places, codes by one; a word that is no float is bytes or equal. */
static bool alike(uint32_t a, uint32_t b)
{
        float x, y;

        memcpy(&x, &a, 4);
        memcpy(&y, &b, 4);
        if (a == b || fabsf(x - y) <= 1e-5f * (fabsf(x) + fabsf(y)) + 1e-6f)
                return true;
        for (int i = 0; i < 4; i++)
                if (abs((int8_t)((a >> 8 * i & 255) - (b >> 8 * i & 255))) > 1)
                        return false;
        return true;
}

static void compare(struct qvf_device *device, struct chain *chain)
{
        static uint32_t one[PLACES * PLACE / 4], several[PLACES * PLACE / 4];
        struct qvf_buffer *buffer;

        ck_assert_int_eq(backend->buffer_new(device, sizeof(one), QVF_BUFFER_DEVICE, &buffer), 0);
        for (uint32_t i = 0; i < chain->n_values; i++)
                chain->values[i].buffer = buffer;
        ck_assert_int_eq(backend->buffer_upload(buffer, 0, chain->data, sizeof(one)), 0);
        for (uint32_t i = 0; i < chain->n_ops; i++)
                run(device, chain, &chain->ops[i], 1);
        ck_assert_int_eq(backend->buffer_download(buffer, 0, one, sizeof(one)), 0);
        ck_assert_int_eq(backend->buffer_upload(buffer, 0, chain->data, sizeof(one)), 0);
        run(device, chain, chain->ops, chain->n_ops);
        ck_assert_int_eq(backend->buffer_download(buffer, 0, several, sizeof(one)), 0);
        for (uint32_t i = 0; i < PLACES * PLACE / 4; i++)
                ck_assert_msg(alike(one[i], several[i]), "place %u, word %u: %08x, by themselves %08x",
                                i / (PLACE / 4), i % (PLACE / 4), several[i], one[i]);
        ck_assert(memcmp(one, (const void *)chain->data, sizeof(one)) != 0 || chain->rows == 0);
        backend->buffer_free(buffer);
}

static void compare_many(int kind, int count)
{
        static const uint32_t columns[] = { 4, 36, 33, 256, 640, 1000, COLUMNS_MOST };
        static struct chain chain;
        const char *given = getenv("QVF_TEST_SEED");
        unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
        struct qvf_device *device = open_device();

        printf("QVF_TEST_SEED=%u\n", seed);
        srand(seed);
        for (int i = 0; i < count && device; i++) {
                uint32_t width = columns[pick(7)];

                chain.n_values = chain.n_ops = chain.places = 0;
                chain.declared = pick(4) ? 1 + pick(ROWS_MOST) : 1;
                chain.rows = chain.declared - (pick(3) == 0);
                for (uint32_t j = 0; j < PLACES * PLACE / 4; j++)
                        chain.data[j] = (float)((int)pick(2001) - 1000) / 500;
                if (kind == 0)
                        forward(&chain, width);
                else if (kind == 1)
                        backward(&chain, width);
                else if (kind == 2)
                        rope(&chain, pick(2));
                else if (kind == 3)
                        copies(&chain, width);
                else if (kind == 5)
                        weights(&chain);
                else
                        adapters(&(struct device_and_chain){ device, &chain });
                compare(device, &chain);
        }
        if (device)
                backend->device_close(device);
}

START_TEST(sums_norms_and_codes)
{
        compare_many(0, 14);
}
END_TEST

START_TEST(back_through_norms_and_gates)
{
        compare_many(1, 8);
}
END_TEST

START_TEST(turns_and_caches)
{
        compare_many(2, 8);
}
END_TEST

START_TEST(to_halves_and_back)
{
        compare_many(3, 10);
}
END_TEST

START_TEST(products_with_adapters)
{
        compare_many(4, 12);
}
END_TEST

START_TEST(gradients_of_weights)
{
        compare_many(5, 8);
}
END_TEST

QVF_SUITE("vulkan fuse", 120, gradients_of_weights, sums_norms_and_codes, back_through_norms_and_gates,
                turns_and_caches, to_halves_and_back, products_with_adapters)
