/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/tune_cases.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "plugins/vulkan/pack.h"

#define HEAD_SIZE 64u
#define RANK 8u
#define POSITIONS_MOST 1024u
#define ROWS_MOST 1024u
#define FEW_ROWS 16u
#define PIECE_BYTES ((size_t)1 << 20)

/* Of the buffer of indexes, in words: the positions of rows, their (position, sequence), zeros, the table, frequencies. */
#define AT_POSITIONS 0u
#define AT_PLACES (AT_POSITIONS + ROWS_MOST)
#define AT_ZEROS (AT_PLACES + 2 * ROWS_MOST)
#define AT_FAR (AT_ZEROS + ROWS_MOST) /* as AT_PLACES, near the end */
#define AT_TABLE (AT_FAR + 2 * FEW_ROWS)
#define AT_FREQUENCIES (AT_TABLE + 64)
#define INDEX_WORDS (AT_FREQUENCIES + 64)

static uint16_t add_value(struct vk_sketch *s, const struct qvf_value *value)
{
        if (s->n_values == VK_SKETCH_VALUES) {
                s->failed = true;
                return 0;
        }
        s->values[s->n_values] = *value;
        return (uint16_t)s->n_values++;
}

static uint16_t index_value(
                struct vk_sketch *s, uint32_t at, uint32_t rows, uint32_t columns, uint32_t dtype)
{
        const struct qvf_value value = { .buffer = s->indexes,
                .offset = at * 4ull,
                .rows = rows,
                .columns = columns,
                .dtype = dtype,
                .scale = 1 };

        return add_value(s, &value);
}

static uint16_t place(
                struct vk_sketch *s, struct qvf_value *value, uint64_t bytes, uint64_t *end, uint64_t most)
{
        value->buffer = s->arena;
        value->offset = *end;
        *end += (bytes + 255) / 256 * 256;
        if (*end > most)
                s->failed = true;
        return add_value(s, value);
}

/* Between weights of a layer and the next nothing is shared; when there is no room for more, it begins again. */
static uint16_t weight(struct vk_sketch *s, uint32_t rows, uint32_t columns, uint32_t dtype)
{
        struct qvf_value value = { .rows = rows,
                .columns = columns,
                .dtype = dtype,
                .packed = dtype == QVF_TQ2_0 || dtype == QVF_TQ1_0,
                .scale = 0.015625F };
        uint64_t bytes = value.packed ? vk_packed_bytes(&value)
                                      : qvf_program_row_bytes(dtype, columns) * rows;

        if (s->weight_end + bytes + 256 > VK_SKETCH_WEIGHT_BYTES)
                s->weight_end = 0;
        return place(s, &value, bytes, &s->weight_end, VK_SKETCH_WEIGHT_BYTES);
}

static uint16_t floats(struct vk_sketch *s, uint32_t rows, uint32_t columns, bool temporary)
{
        struct qvf_value value = {
                .rows = rows, .columns = columns, .dtype = QVF_F32, .scale = 1, .temporary = temporary
        };

        return place(s, &value, 4ull * rows * columns, &s->float_end,
                        VK_SKETCH_WEIGHT_BYTES + VK_SKETCH_FLOAT_BYTES);
}

static uint16_t bytes(struct vk_sketch *s, uint32_t rows, uint32_t columns, uint32_t dtype)
{
        struct qvf_value value = {
                .rows = rows, .columns = columns, .dtype = dtype, .scale = 1, .temporary = dtype == QVF_I8
        };

        return place(s, &value, qvf_program_row_bytes(dtype, columns) * rows, &s->float_end,
                        VK_SKETCH_WEIGHT_BYTES + VK_SKETCH_FLOAT_BYTES);
}

static struct qvf_op *add_op(
                struct vk_sketch *s, enum qvf_op_kind kind, const uint16_t *operands, uint32_t count)
{
        static struct qvf_op nowhere;
        struct qvf_op *op = &nowhere;

        if (s->n_ops == VK_SKETCH_OPS)
                s->failed = true;
        else
                op = &s->ops[s->n_ops++];
        memset(op, 0, sizeof(*op));
        op->kind = (uint16_t)kind;
        op->rows = QVF_ROWS_INPUT;
        for (uint32_t i = 0; i < QVF_OP_OPERANDS; i++)
                op->operand[i] = i < count ? operands[i] : QVF_NONE;
        return op;
}
#define OP(s, kind, ...)                                                                                    \
        add_op(s, QVF_OP_##kind, (const uint16_t[]){ __VA_ARGS__ },                                         \
                        QVF_ARRAY_LENGTH(((const uint16_t[]){ __VA_ARGS__ })))

static void show(struct vk_sketch *s, uint16_t value)
{
        if (s->n_results < VK_SKETCH_RESULTS)
                s->results[s->n_results++] = value;
}

struct row { /* quantised */
        uint16_t q, scale;
};

static struct row quantise(struct vk_sketch *s, uint16_t x, uint32_t columns, bool normalised)
{
        struct row row = { bytes(s, s->rows, columns, QVF_I8), floats(s, s->rows, 1, true) };
        uint16_t norm = floats(s, 1, columns, false), from = x;

        if (normalised) {
                from = floats(s, s->rows, columns, true);
                OP(s, RMSNORM, from, x, norm)->f[0] = 1e-5F;
        }
        OP(s, QUANTIZE, row.q, row.scale, from);
        return row;
}

static uint16_t product(struct vk_sketch *s, const struct row *row, uint32_t columns, uint32_t outputs)
{
        uint16_t y = floats(s, s->rows, outputs, true);

        OP(s, MATMUL_TERNARY, y, row->q, row->scale, weight(s, outputs, columns, QVF_TQ2_0));
        return y;
}

static void add(struct vk_sketch *s, uint16_t x, uint16_t more)
{
        struct qvf_op *op = OP(s, ADD, x, x, more);

        op->f[0] = 1;
        op->f[1] = 1;
}

struct caches {
        uint16_t keys, values, table;
};

static struct caches caches(struct vk_sketch *s, uint32_t width, uint32_t positions)
{
        return (struct caches){ bytes(s, positions, width, QVF_F16), bytes(s, positions, width, QVF_F16),
                index_value(s, AT_TABLE, 1, positions / QVF_KV_BLOCK, QVF_I32) };
}

static void look(struct vk_sketch *s, uint16_t y, uint16_t q, const struct caches *c, uint32_t from)
{
        struct qvf_op *op = OP(s, ATTENTION, y, q, c->keys, c->values,
                        index_value(s, from, s->rows, 2, QVF_I32), c->table);

        op->i[0] = (int32_t)HEAD_SIZE;
        op->f[0] = 0.125F;
}

/* A row of its own as well. */
static uint16_t attend(struct vk_sketch *s, uint16_t q, uint16_t k, uint16_t v, uint32_t width)
{
        const struct caches c = caches(s, width, 256);
        uint16_t position = index_value(s, AT_POSITIONS, s->rows, 1, QVF_I32);
        uint16_t sequence = index_value(s, AT_ZEROS, s->rows, 1, QVF_I32);
        uint16_t frequency = index_value(s, AT_FREQUENCIES, 1, HEAD_SIZE / 2, QVF_F32);
        uint16_t y = floats(s, s->rows, width, true);

        for (int i = 0; i < 2; i++) {
                uint16_t x = i == 0 ? q : k;
                struct qvf_op *op = OP(s, ROPE, x, x, position, frequency);

                op->i[0] = (int32_t)HEAD_SIZE;
                op->f[0] = op->f[1] = 1;
        }
        OP(s, KV_STORE, c.keys, k, position, sequence, c.table);
        OP(s, KV_STORE, c.values, v, position, sequence, c.table);
        look(s, y, q, &c, AT_PLACES);
        return y;
}

/* A row's way through layers, as engine/model/network.c has it. */
static void sketch_token(struct vk_sketch *s, uint32_t width, uint32_t wide, uint32_t layers)
{
        uint16_t x = floats(s, s->rows, width, false);

        for (uint32_t layer = 0; layer < layers; layer++) {
                struct row row = quantise(s, x, width, true);
                uint16_t q = product(s, &row, width, width), k = product(s, &row, width, width);
                uint16_t y = attend(s, q, k, product(s, &row, width, width), width), gate;

                row = quantise(s, y, width, true);
                add(s, x, product(s, &row, width, width));
                row = quantise(s, x, width, true);
                gate = product(s, &row, width, wide);
                OP(s, GATE, gate, gate, product(s, &row, width, wide));
                row = quantise(s, gate, wide, true);
                add(s, x, product(s, &row, wide, width));
        }
        show(s, x);
}

static void sketch_forward(struct vk_sketch *s, uint32_t width, uint32_t wide, uint32_t times, bool adapter)
{
        struct row row = quantise(s, floats(s, s->rows, width, false), width, false);
        uint16_t y = floats(s, s->rows, wide, false), thin = floats(s, s->rows, RANK, false);
        uint16_t thick = floats(s, wide, RANK, false);

        for (uint32_t i = 0; i < times; i++) {
                OP(s, MATMUL_TERNARY, y, row.q, row.scale, weight(s, wide, width, QVF_TQ2_0));
                if (adapter) {
                        struct qvf_op *op = OP(s, MATMUL, y, thin, thick);

                        op->f[0] = 2;
                        op->flags = QVF_ACCUMULATE;
                }
        }
        show(s, y);
}

static void sketch_backward(struct vk_sketch *s, uint32_t width, uint32_t wide, uint32_t times)
{
        uint16_t dx = floats(s, s->rows, wide, false), dy = floats(s, s->rows, width, false);
        uint16_t thin = floats(s, s->rows, RANK, false), thick = floats(s, RANK, wide, false);

        for (uint32_t i = 0; i < times; i++) {
                struct qvf_op *op;

                OP(s, MATMUL_TERNARY_BACKWARD, dx, dy, weight(s, width, wide, QVF_TQ2_0));
                op = OP(s, MATMUL_BACKWARD, dx, thin, thick);
                op->f[0] = 2;
                op->flags = QVF_ACCUMULATE;
        }
        show(s, dx);
}

/* x by a matrix of few rows. */
static void sketch_thin(struct vk_sketch *s, uint32_t width, uint32_t times)
{
        uint16_t x = floats(s, s->rows, width, false), y = floats(s, s->rows, RANK, false);
        uint16_t w = floats(s, RANK, width, false);

        for (uint32_t i = 0; i < times; i++)
                OP(s, MATMUL, y, x, w)->f[0] = 1;
        show(s, y);
}

/* A narrow matrix by one of as few columns, forth and back. */
static void sketch_thick(struct vk_sketch *s, uint32_t width, uint32_t times)
{
        uint16_t y = floats(s, s->rows, width, false), dx = floats(s, s->rows, width, false);
        uint16_t thin = floats(s, s->rows, RANK, false), up = floats(s, width, RANK, false),
                 down = floats(s, RANK, width, false);

        for (uint32_t i = 0; i < times; i++) {
                OP(s, MATMUL, y, thin, up)->f[0] = 1;
                OP(s, MATMUL_BACKWARD, dx, thin, down)->f[0] = 1;
        }
        show(s, y);
        show(s, dx);
}

static void sketch_head(struct vk_sketch *s, uint32_t width, uint32_t words, uint32_t times)
{
        uint16_t x = floats(s, s->rows, width, false), y = floats(s, s->rows, words, false);

        for (uint32_t i = 0; i < times; i++)
                OP(s, MATMUL, y, x, weight(s, words, width, QVF_F16))->f[0] = 1;
        show(s, y);
}

static void sketch_attention(struct vk_sketch *s, uint32_t width, uint32_t positions, uint32_t times)
{
        const struct caches c = caches(s, width, positions);
        uint16_t q = floats(s, s->rows, width, false), y = floats(s, s->rows, width, false);

        for (uint32_t i = 0; i < times; i++)
                look(s, y, q, &c, s->rows <= FEW_ROWS ? AT_FAR : AT_PLACES);
        show(s, y);
}

void vk_sketch(struct vk_sketch *s, const struct vk_case *wanted, uint32_t times, uint32_t shift)
{
        /* Quantised rows are whole ternary blocks. */
        uint32_t width = wanted->width >> shift > 256 ? (wanted->width >> shift) / 256 * 256 : 256;
        uint32_t wide = wanted->wide >> shift > 256 ? (wanted->wide >> shift) / 256 * 256 : 256;
        struct qvf_buffer *arena = s->arena, *indexes = s->indexes;

        *s = (struct vk_sketch){
                .arena = arena, .indexes = indexes, .rows = wanted->rows, .float_end = VK_SKETCH_WEIGHT_BYTES
        };
        switch (wanted->kind) {
        case VK_CASE_TOKEN: sketch_token(s, width, wide, times); break;
        case VK_CASE_FORWARD: sketch_forward(s, width, wide, times, wanted->adapter); break;
        case VK_CASE_BACKWARD: sketch_backward(s, width, wide, times); break;
        case VK_CASE_THIN: sketch_thin(s, width, times); break;
        case VK_CASE_THICK: sketch_thick(s, width, times); break;
        case VK_CASE_HEAD: sketch_head(s, width, wide, times); break;
        case VK_CASE_ATTENTION: sketch_attention(s, width, wanted->wide, times); break;
        }
}

/* xorshift: any numbers will do, if they are the same each time. */
static uint32_t next_word(uint32_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        return *state;
}

/* Of weights: never an infinity or a NaN, as f16 or as f32. Of floats: 0.06 to 1, of both signs; as f16, 0.0001 to 2. */
static void make_piece(uint32_t *piece, bool are_floats)
{
        uint32_t state = 0x1234567u;

        for (size_t i = 0; i < PIECE_BYTES / 4; i++) {
                uint32_t word = next_word(&state);

                piece[i] = are_floats ? (word & 0x81ffbfffu) + 0x3d800000u : word & 0xbfffbfffu;
        }
}

static int fill(struct qvf_buffer *arena, uint64_t from, uint64_t end, bool are_floats)
{
        _cleanup_free_ uint32_t *piece = malloc(PIECE_BYTES);
        int r = 0;

        if (!piece)
                return -ENOMEM;
        make_piece(piece, are_floats);
        for (uint64_t at = from; at < end && r == 0; at += PIECE_BYTES)
                r = vk_buffer_upload(arena, at, piece, qvf_min_u64(PIECE_BYTES, end - at));
        return r;
}

int vk_sketch_refill(const struct vk_sketch *s)
{
        return fill(s->arena, VK_SKETCH_WEIGHT_BYTES, s->float_end, true);
}

int vk_sketch_buffers(
                struct qvf_device *device, struct qvf_buffer **ret_arena, struct qvf_buffer **ret_indexes)
{
        int32_t words[INDEX_WORDS] = { 0 };
        int r = vk_buffer_new(device, VK_SKETCH_WEIGHT_BYTES + VK_SKETCH_FLOAT_BYTES, QVF_BUFFER_DEVICE,
                        ret_arena);

        for (uint32_t i = 0; i < ROWS_MOST; i++) {
                /* Rows of a prompt look back further each; the few of an answer stand at the end of a block. */
                words[AT_POSITIONS + i] = (int32_t)(i + 192) % (int32_t)POSITIONS_MOST;
                words[AT_PLACES + 2 * i] = words[AT_POSITIONS + i];
        }
        for (uint32_t i = 0; i < FEW_ROWS; i++)
                words[AT_FAR + 2 * i] = (int32_t)(POSITIONS_MOST - 2 * FEW_ROWS + i);
        for (uint32_t i = 0; i < POSITIONS_MOST / QVF_KV_BLOCK; i++)
                words[AT_TABLE + i] = (int32_t)i;
        for (uint32_t i = 0; i < HEAD_SIZE / 2; i++) {
                float turn = 1 / (1 + (float)i * (float)i);

                memcpy(&words[AT_FREQUENCIES + i], &turn, 4);
        }
        r = r < 0 ? r : fill(*ret_arena, 0, VK_SKETCH_WEIGHT_BYTES, false);
        r = r < 0 ? r
                  : fill(*ret_arena, VK_SKETCH_WEIGHT_BYTES, VK_SKETCH_WEIGHT_BYTES + VK_SKETCH_FLOAT_BYTES,
                                    true);
        r = r < 0 ? r : vk_buffer_new(device, sizeof(words), QVF_BUFFER_DEVICE, ret_indexes);
        return r < 0 ? r : vk_buffer_upload(*ret_indexes, 0, words, sizeof(words));
}
