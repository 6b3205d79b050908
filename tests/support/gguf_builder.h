/* SPDX-License-Identifier: Apache-2.0 */
/* Writes GGUF bytes for tests, good ones and bad ones. Every function asserts that memory suffices. */
#ifndef QVF_TESTS_SUPPORT_GGUF_BUILDER_H
#define QVF_TESTS_SUPPORT_GGUF_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/text.h"
#include "engine/files/gguf.h"
#include "engine/files/ternary.h"
#include "qvf/dtype.h"

struct gguf_builder {
        uint32_t version;   /* 0: 3 */
        uint32_t alignment; /* 0: 32; what the layout follows, not a key */
        uint64_t n_keys, n_tensors;
        bool claim_counts; /* write the claimed counts, not the true ones */
        uint64_t claimed_keys, claimed_tensors;
        struct qvf_text keys, tensors, data;
};

void gguf_builder_exit(struct gguf_builder *builder);
#define _cleanup_gguf_builder_ _cleanup_(gguf_builder_exit)

/* Pieces of bytes, to put bad ones together. */
void gguf_put_u32(struct qvf_text *text, uint32_t value);
void gguf_put_u64(struct qvf_text *text, uint64_t value);
void gguf_put_string(struct qvf_text *text, const char *string);

/* A key whose type and value are the bytes given. */
void gguf_add_raw(struct gguf_builder *builder, const char *key, uint32_t type, const void *value,
                size_t bytes);
void gguf_add_u32(struct gguf_builder *builder, const char *key, uint32_t value);
void gguf_add_f32(struct gguf_builder *builder, const char *key, float value);
void gguf_add_bool(struct gguf_builder *builder, const char *key, uint8_t value);
void gguf_add_string(struct gguf_builder *builder, const char *key, const char *value);
void gguf_add_array(struct gguf_builder *builder, const char *key, uint32_t element_type, uint64_t length,
                const void *elements, size_t bytes);
void gguf_add_strings(
                struct gguf_builder *builder, const char *key, const char *const *strings, uint64_t length);

/* A tensor's entry exactly as given. */
void gguf_add_tensor_raw(struct gguf_builder *builder, const char *name, uint32_t n_dims, const uint64_t *ne,
                uint32_t type, uint64_t offset);
/* A tensor with its data (NULL: zeros), placed after those before it. */
void gguf_add_tensor(struct gguf_builder *builder, const char *name, enum qvf_dtype dtype, uint64_t columns,
                uint64_t rows, const void *data);

/* The whole file; the caller frees it with qvf_text_exit(). */
struct qvf_text gguf_finish(const struct gguf_builder *builder);
/* The bytes as an open, unnamed file. */
int gguf_memory_file(const void *bytes, size_t length);
/* Opens the builder's file, or bytes. */
int gguf_builder_open(
                const struct gguf_builder *builder, struct qvf_gguf **ret_gguf, struct qvf_error *error);
int gguf_bytes_open(const void *bytes, size_t length, struct qvf_gguf **ret_gguf, struct qvf_error *error);

/* A model's shape; zeros mean what their comments say. */
struct gguf_model_shape {
        const char *architecture;
        uint32_t n_layers, dim, ffn_dim, n_heads;
        uint32_t n_kv_heads; /* 0: as n_heads */
        uint32_t head_dim;   /* 0: dim / n_heads, and no key says so */
        uint32_t vocabulary;
        float rope_base; /* 0: no key */
        bool untied, sub_norms, scales;
        float head_scale;                 /* of an untied head; 0: it has none */
        enum qvf_dtype linear, embedding; /* 0 is F32 */
        const char *left_out;             /* this tensor is not written */
        enum qvf_i2s_order i2s_order;     /* 0: x86 */
        bool uneven; /* norms vary, and a column of a linear weight has the more zeros the larger its norm is */
        bool dense; /* linear weights take any value up to the scale, not three: for `linear` F32 and the like */
        float scale; /* of the linear weights; 0: 0.25 */
        uint32_t ffn_live; /* rows and columns of the ffn from here on are zero, and the others as in a model of this
                              ffn_dim; 0: none is */
};

/* The least tokenizer that a model may have: byte tokens of the kind "llama", cut or filled up to `n_tokens`. */
void gguf_add_tokenizer(struct gguf_builder *builder, uint32_t n_tokens);
/* Keys and tensors of a model; weights are random ternary ones of scale 0.25 (linear), small numbers
 * (embedding) or 1 (norms), the same for the same seed. */
void gguf_add_model(struct gguf_builder *builder, const struct gguf_model_shape *shape, unsigned seed);

#endif
