/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/gguf_builder.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/files/dtype.h"
#include "engine/files/ternary.h"

void gguf_builder_exit(struct gguf_builder *builder)
{
        qvf_text_exit(&builder->keys);
        qvf_text_exit(&builder->tensors);
        qvf_text_exit(&builder->data);
}

static void put(struct qvf_text *text, const void *bytes, size_t length)
{
        ck_assert_int_eq(qvf_text_append(text, bytes, length), 0);
}

void gguf_put_u32(struct qvf_text *text, uint32_t value)
{
        put(text, &value, sizeof(value));
}

void gguf_put_u64(struct qvf_text *text, uint64_t value)
{
        put(text, &value, sizeof(value));
}

void gguf_put_string(struct qvf_text *text, const char *string)
{
        gguf_put_u64(text, strlen(string));
        put(text, string, strlen(string));
}

void gguf_add_raw(struct gguf_builder *builder, const char *key, uint32_t type, const void *value,
                size_t bytes)
{
        gguf_put_string(&builder->keys, key);
        gguf_put_u32(&builder->keys, type);
        put(&builder->keys, value, bytes);
        builder->n_keys++;
}

void gguf_add_u32(struct gguf_builder *builder, const char *key, uint32_t value)
{
        gguf_add_raw(builder, key, QVF_GGUF_U32, &value, sizeof(value));
}

void gguf_add_f32(struct gguf_builder *builder, const char *key, float value)
{
        gguf_add_raw(builder, key, QVF_GGUF_F32, &value, sizeof(value));
}

void gguf_add_bool(struct gguf_builder *builder, const char *key, uint8_t value)
{
        gguf_add_raw(builder, key, QVF_GGUF_BOOL, &value, sizeof(value));
}

void gguf_add_string(struct gguf_builder *builder, const char *key, const char *value)
{
        _cleanup_text_ struct qvf_text text = { 0 };

        gguf_put_string(&text, value);
        gguf_add_raw(builder, key, QVF_GGUF_STRING, text.bytes, text.length);
}

void gguf_add_array(struct gguf_builder *builder, const char *key, uint32_t element_type, uint64_t length,
                const void *elements, size_t bytes)
{
        _cleanup_text_ struct qvf_text text = { 0 };

        gguf_put_u32(&text, element_type);
        gguf_put_u64(&text, length);
        put(&text, elements, bytes);
        gguf_add_raw(builder, key, QVF_GGUF_ARRAY, text.bytes, text.length);
}

void gguf_add_strings(
                struct gguf_builder *builder, const char *key, const char *const *strings, uint64_t length)
{
        _cleanup_text_ struct qvf_text text = { 0 };

        for (uint64_t i = 0; i < length; i++)
                gguf_put_string(&text, strings[i]);
        gguf_add_array(builder, key, QVF_GGUF_STRING, length, text.bytes, text.length);
}

void gguf_add_tensor_raw(struct gguf_builder *builder, const char *name, uint32_t n_dims, const uint64_t *ne,
                uint32_t type, uint64_t offset)
{
        gguf_put_string(&builder->tensors, name);
        gguf_put_u32(&builder->tensors, n_dims);
        for (uint32_t i = 0; i < n_dims; i++)
                gguf_put_u64(&builder->tensors, ne[i]);
        gguf_put_u32(&builder->tensors, type);
        gguf_put_u64(&builder->tensors, offset);
        builder->n_tensors++;
}

static void pad(struct qvf_text *text, uint32_t alignment)
{
        while (text->length % (alignment ? alignment : 32) != 0)
                ck_assert_int_eq(qvf_text_append_char(text, 0), 0);
}

void gguf_add_tensor(struct gguf_builder *builder, const char *name, enum qvf_dtype dtype, uint64_t columns,
                uint64_t rows, const void *data)
{
        uint64_t ne[2] = { columns, rows }, bytes;

        ck_assert_int_eq(qvf_dtype_tensor_bytes(dtype, rows, columns, &bytes), 0);
        pad(&builder->data, builder->alignment);
        gguf_add_tensor_raw(builder, name, rows > 1 ? 2 : 1, ne, dtype == QVF_I2_S ? 36 : (uint32_t)dtype,
                        builder->data.length);
        if (data)
                put(&builder->data, data, bytes);
        else
                for (uint64_t i = 0; i < bytes; i++)
                        ck_assert_int_eq(qvf_text_append_char(&builder->data, 0), 0);
}

struct qvf_text gguf_finish(const struct gguf_builder *builder)
{
        struct qvf_text file = { 0 };

        put(&file, "GGUF", 4);
        gguf_put_u32(&file, builder->version ? builder->version : 3);
        gguf_put_u64(&file, builder->claim_counts ? builder->claimed_tensors : builder->n_tensors);
        gguf_put_u64(&file, builder->claim_counts ? builder->claimed_keys : builder->n_keys);
        put(&file, builder->keys.bytes, builder->keys.length);
        put(&file, builder->tensors.bytes, builder->tensors.length);
        pad(&file, builder->alignment);
        put(&file, builder->data.bytes, builder->data.length);
        return file;
}

int gguf_memory_file(const void *bytes, size_t length)
{
        int fd = memfd_create("gguf", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        ck_assert_int_ge(fd, 0);
        for (size_t done = 0; done < length;) {
                ssize_t n = write(fd, (const char *)bytes + done, length - done);

                ck_assert_int_gt(n, 0);
                done += (size_t)n;
        }
        return fd;
}

int gguf_bytes_open(const void *bytes, size_t length, struct qvf_gguf **ret_gguf, struct qvf_error *error)
{
        _cleanup_close_ int fd = gguf_memory_file(bytes, length);
        const char *name = "test.gguf";

        return qvf_gguf_open_fds(&fd, &name, 1, ret_gguf, error);
}

int gguf_builder_open(
                const struct gguf_builder *builder, struct qvf_gguf **ret_gguf, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text file = gguf_finish(builder);

        return gguf_bytes_open(file.bytes, file.length, ret_gguf, error);
}

struct model_writer {
        struct gguf_builder *builder;
        const struct gguf_model_shape *shape;
        unsigned seed;
};

static unsigned next_random(struct model_writer *writer)
{
        writer->seed = writer->seed * 1664525u + 1013904223u;
        return writer->seed >> 16;
}

/* 0 to 255, the same for the same column. */
static unsigned evenness(uint64_t column)
{
        return (unsigned)(column * 2654435761u >> 16) % 256;
}

static float random_value(struct model_writer *writer, const char *name, uint64_t column)
{
        const struct gguf_model_shape *shape = writer->shape;

        if (strstr(name, "norm"))
                return shape->uneven ? 0.5f + (float)evenness(column) / 256 : 1;
        if (strncmp(name, "blk.", 4) == 0) {
                if (shape->uneven && next_random(writer) % 512 < evenness(column))
                        return 0;
                if (shape->dense)
                        return ((float)(next_random(writer) % 2001) / 1000 - 1) *
                               (shape->scale > 0 ? shape->scale : 0.25f);
                return ((float)(next_random(writer) % 3) - 1) * (shape->scale > 0 ? shape->scale : 0.25f);
        }
        return (float)(next_random(writer) % 256) / 4096 - 0.03f;
}

static uint64_t live_rows(const struct gguf_model_shape *shape, const char *name, uint64_t rows)
{
        return shape->ffn_live && (strstr(name, "ffn_gate") || strstr(name, "ffn_up")) ? shape->ffn_live
                                                                                       : rows;
}

static uint64_t live_columns(const struct gguf_model_shape *shape, const char *name, uint64_t columns)
{
        return shape->ffn_live && strstr(name, "ffn_down") ? shape->ffn_live : columns;
}

/* I2_S and TQ rows by way of TQ2_0; the rest by the reference quantisers. */
static void add_weight(struct model_writer *writer, const char *name, enum qvf_dtype dtype, uint64_t columns,
                uint64_t rows)
{
        _cleanup_free_ float *values = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        uint64_t bytes;

        if (writer->shape->left_out && strcmp(name, writer->shape->left_out) == 0)
                return;
        values = calloc(columns * rows, sizeof(*values));
        ck_assert_int_eq(qvf_dtype_tensor_bytes(dtype, rows, columns, &bytes), 0);
        data = malloc(bytes);
        ck_assert(values && data);
        for (uint64_t row = 0; row < live_rows(writer->shape, name, rows); row++)
                for (uint64_t column = 0; column < live_columns(writer->shape, name, columns); column++)
                        values[row * columns + column] = random_value(writer, name, column);
        if (dtype == QVF_I2_S) {
                _cleanup_free_ uint8_t *blocks = NULL;
                struct qvf_ternary_recovered recovered;
                uint64_t blocks_bytes;

                ck_assert_int_eq(qvf_ternary_tq2_bytes(rows, columns, &blocks_bytes), 0);
                blocks = malloc(blocks_bytes);
                ck_assert_ptr_nonnull(blocks);
                ck_assert_int_eq(qvf_ternary_recover(QVF_F32, values, rows, columns, blocks, &recovered), 0);
                ck_assert_int_eq(qvf_i2s_pack(blocks, rows, columns,
                                                 writer->shape->i2s_order ? writer->shape->i2s_order
                                                                          : QVF_I2S_X86,
                                                 recovered.scale, data),
                                0);
        } else {
                ck_assert_int_eq(qvf_dtype_quantise_row(dtype, values, data, columns * rows), 0);
        }
        gguf_add_tensor(writer->builder, name, dtype, columns, rows, data);
}

static void add_linear(struct model_writer *writer, unsigned layer, const char *part, uint64_t columns,
                uint64_t rows)
{
        static const float two = 2;
        char name[QVF_GGUF_NAME_BYTES_MOST];

        snprintf(name, sizeof(name), "blk.%u.%s.weight", layer, part);
        add_weight(writer, name, writer->shape->linear, columns, rows);
        snprintf(name, sizeof(name), "blk.%u.%s.scale", layer, part);
        if (writer->shape->scales)
                gguf_add_tensor(writer->builder, name, QVF_F32, 1, 1, &two);
}

static void add_norm(struct model_writer *writer, unsigned layer, const char *part, uint64_t columns)
{
        char name[QVF_GGUF_NAME_BYTES_MOST];

        snprintf(name, sizeof(name), "blk.%u.%s.weight", layer, part);
        add_weight(writer, name, QVF_F32, columns, 1);
}

static void add_keys(struct gguf_builder *builder, const struct gguf_model_shape *shape)
{
        const struct {
                const char *key;
                uint32_t value;
        } sizes[] = {
                { "block_count", shape->n_layers },
                { "embedding_length", shape->dim },
                { "feed_forward_length", shape->ffn_dim },
                { "attention.head_count", shape->n_heads },
                { "attention.head_count_kv", shape->n_kv_heads ? shape->n_kv_heads : shape->n_heads },
                { "context_length", 2048 },
                { "vocab_size", shape->vocabulary },
                { "attention.key_length", shape->head_dim },
                { "attention.value_length", shape->head_dim },
                { "rope.dimension_count", shape->head_dim },
        };
        char key[128];

        gguf_add_string(builder, "general.architecture", shape->architecture);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                snprintf(key, sizeof(key), "%s.%s", shape->architecture, sizes[i].key);
                if (sizes[i].value)
                        gguf_add_u32(builder, key, sizes[i].value);
        }
        snprintf(key, sizeof(key), "%s.attention.layer_norm_rms_epsilon", shape->architecture);
        gguf_add_f32(builder, key, 1e-5f);
        snprintf(key, sizeof(key), "%s.rope.freq_base", shape->architecture);
        if (shape->rope_base > 0)
                gguf_add_f32(builder, key, shape->rope_base);
}

void gguf_add_tokenizer(struct gguf_builder *builder, uint32_t n_tokens)
{
        _cleanup_text_ struct qvf_text tokens = { 0 };
        _cleanup_free_ int32_t *types = calloc(n_tokens, sizeof(*types));
        _cleanup_free_ float *scores = calloc(n_tokens, sizeof(*scores));

        ck_assert(types && scores);
        for (uint32_t i = 0; i < n_tokens; i++) {
                char token[16];

                snprintf(token, sizeof(token), i < 256 ? "<0x%02X>" : "t%u", i);
                gguf_put_string(&tokens, token);
                types[i] = i < 256 ? 6 : 1;
        }
        gguf_add_string(builder, "tokenizer.ggml.model", "llama");
        gguf_add_array(builder, "tokenizer.ggml.tokens", QVF_GGUF_STRING, n_tokens, tokens.bytes,
                        tokens.length);
        gguf_add_array(builder, "tokenizer.ggml.scores", QVF_GGUF_F32, n_tokens, scores,
                        n_tokens * sizeof(*scores));
        gguf_add_array(builder, "tokenizer.ggml.token_type", QVF_GGUF_I32, n_tokens, types,
                        n_tokens * sizeof(*types));
}

void gguf_add_model(struct gguf_builder *builder, const struct gguf_model_shape *shape, unsigned seed)
{
        struct model_writer writer = { builder, shape, seed };
        uint64_t head_dim = shape->head_dim ? shape->head_dim : shape->dim / shape->n_heads;
        uint64_t query = head_dim * shape->n_heads;
        uint64_t key = head_dim * (shape->n_kv_heads ? shape->n_kv_heads : shape->n_heads);

        add_keys(builder, shape);
        add_weight(&writer, "token_embd.weight", shape->embedding, shape->dim, shape->vocabulary);
        add_weight(&writer, "output_norm.weight", QVF_F32, shape->dim, 1);
        if (shape->untied)
                add_weight(&writer, "output.weight", shape->embedding, shape->dim, shape->vocabulary);
        if (shape->head_scale > 0)
                gguf_add_tensor(builder, "output.scale", QVF_F32, 1, 1, &shape->head_scale);
        for (unsigned i = 0; i < shape->n_layers; i++) {
                add_norm(&writer, i, "attn_norm", shape->dim);
                add_norm(&writer, i, "ffn_norm", shape->dim);
                if (shape->sub_norms) {
                        add_norm(&writer, i, "attn_sub_norm", query);
                        add_norm(&writer, i, "ffn_sub_norm", shape->ffn_dim);
                }
                add_linear(&writer, i, "attn_q", shape->dim, query);
                add_linear(&writer, i, "attn_k", shape->dim, key);
                add_linear(&writer, i, "attn_v", shape->dim, key);
                add_linear(&writer, i, "attn_output", query, shape->dim);
                add_linear(&writer, i, "ffn_gate", shape->dim, shape->ffn_dim);
                add_linear(&writer, i, "ffn_up", shape->dim, shape->ffn_dim);
                add_linear(&writer, i, "ffn_down", shape->ffn_dim, shape->dim);
        }
}
