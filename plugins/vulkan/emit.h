/* SPDX-License-Identifier: Apache-2.0 */
/* How an operation becomes dispatches. plugins/vulkan/ops/<operation>.c has one function for each operation, which
 * chooses shaders by the device's features and the operands' shapes, and calls vk_emit() for each dispatch.
 *
 * A dispatch binds up to VK_BINDINGS buffers: binding 0 is struct qvf_args of the run (uniform), binding 1 + k is the
 * storage buffer bind[k]. The places are bound aligned down to what the device asks for; the rest is given to the shader as
 * push.rest[k], in 32-bit words (so it needs adding only where a value may stand in a model file: the weights; all
 * values of arenas are aligned to 256 bytes). No binding may be larger than limits.range: an emitter cuts what is larger
 * into dispatches by rows, by cells of a cache, or by numbers of what is flat; each piece begins at a multiple of
 * limits.alignment from its value's start, unless its shader adds push.rest. Barriers are found by the builder from what
 * is bound as written. */
#ifndef QVF_PLUGINS_VULKAN_EMIT_H
#define QVF_PLUGINS_VULKAN_EMIT_H

#include <string.h>

#include "plugins/common/program_check.h"
#include "qvf/backend.h"
#include "plugins/vulkan/shader_list.h" /* generated */
#include "plugins/vulkan/tuning.h"

#define VK_BINDINGS 12u
#define VK_UNIFORMS 4u
#define VK_CONSTANTS 9u

struct vk_features {         /* what shaders may use: probed, cut by QVF_VK_LIMITS */
        bool float16;        /* f16 arithmetic and 16-bit storage */
        bool int8;           /* int8 arithmetic and 8-bit storage */
        bool dot_product;    /* integer dot product of four packed int8, in hardware */
        bool subgroup;       /* subgroup arithmetic, shuffles and votes, of exactly subgroup_size lanes */
        bool matrix_int8;    /* cooperative matrices 16x16x32 s8 s8 s32 (KHR), subgroup scope */
        bool matrix_float16; /* cooperative matrices 16x16x16 f16 f16 f32 (KHR), subgroup scope */
        bool fused;          /* fma() rounds once: inference gives the CPU's results to the bit */
        bool software;       /* a CPU pretends to be a GPU */
        uint32_t subgroup_size;
};

struct vk_limits {
        uint64_t range;       /* bytes of one binding */
        uint32_t uniform;     /* likewise, of a uniform buffer */
        uint32_t shared;      /* bytes of shared memory in a workgroup */
        uint32_t invocations; /* in a workgroup */
        uint32_t groups[3];
        uint32_t alignment; /* of the start of a binding */
};

struct vk_operand {                    /* a value as an emitter sees it */
        const struct qvf_value *value; /* NULL: QVF_NONE */
        uint32_t rows, columns, dtype;
        bool last; /* nobody needs it behind this operation: it is a temporary, and this is its last use */
};

struct vk_push {            /* 96 bytes; the same block in every shader (qvf.glsl) */
        uint32_t rows_from; /* enum qvf_rows */
        uint32_t rows;      /* declared: R with QVF_ROWS_ALL, and never more than this */
        uint32_t row0;      /* first row of this dispatch, where an operation is cut by rows */
        uint32_t flags;     /* of the operation */
        uint32_t n[8];      /* what the shader and its emitter agree on: columns, first rows of a piece… */
        float f[4];
        uint32_t rest[8]; /* words between the start of binding 1 + k and the value, k < 8 */
};

struct vk_binding {
        const struct qvf_value *value; /* NULL: nothing (the args are bound in its place) */
        uint64_t offset, bytes;        /* of the piece, from the value's start; bytes 0: all of it */
        bool written;
};

struct vk_dispatch {
        enum vk_shader shader;
        uint32_t constant[VK_CONSTANTS]; /* specialisation constants 0 … n_constants - 1 */
        uint32_t n_constants;
        struct vk_binding bind[VK_BINDINGS - 1];
        uint32_t n_bind;
        const struct qvf_value *uniform
                        [VK_UNIFORMS]; /* bound from VK_BINDINGS on; they begin where any device can bind them */
        struct vk_push push;
        uint32_t groups[3];              /* 0 counts as 1 */
        const struct qvf_value *cleared; /* filled with `filling` first; NULL: nothing */
        uint32_t filling;
        bool alone; /* waits for all before it, and all behind it wait: it reads and writes by addresses */
        uint64_t cost; /* about how many multiplications (or bytes moved, whichever is more) */
};

struct vk_build; /* a program in the making */

struct vk_call { /* an operation to emit */
        const struct qvf_op *op;
        struct vk_operand operand[QVF_OP_OPERANDS];
        uint32_t rows; /* most rows that a run may have: R as declared, or the largest args.rows */
        uint32_t at;   /* its place in the program */
        const struct vk_features *features;
        const struct vk_limits *limits;
        const struct vk_tuning *tuning;
};

/* Appends a dispatch. The first failure sticks and is returned by the end of the build: no need to look. */
void vk_emit(struct vk_build *build, const struct vk_dispatch *dispatch);
/* The same behind the next barrier, together with what is emitted then: for what must wait for the dispatch before it and
 * that nothing of this program waits for. */
void vk_emit_later(struct vk_build *build, const struct vk_dispatch *dispatch);
/* Device memory of the program for itself, zeroed never; lives as long as the program. Named like a value, so that it
 * can be bound; later operations get the same memory again (what stands there is gone by then). `slot` 0 to 3: up to four
 * at once in one operation. What is returned holds until the next call for the slot. */
const struct qvf_value *vk_scratch(struct vk_build *build, unsigned slot, uint64_t bytes);

/* A dispatch with rows_from, rows, flags and all of f[] filled in from the call, and operand i bound at 1 + i for all
 * operands that are there (written as op_rules says), whole. */
struct vk_dispatch vk_dispatch(const struct vk_call *call, enum vk_shader shader);
/* Rows of a matrix that one binding can hold, from the limits; at least 1. */
uint32_t vk_rows_in_range(const struct vk_call *call, const struct vk_operand *operand);
/* Whether one binding holds all of it. */
bool vk_in_range(const struct vk_call *call, const struct vk_operand *operand);
/* How many of `rows` rows go into a piece, so that a binding holds those of each operand whose bit is set, and the next
 * piece begins where a binding can; a multiple of `together`, unless it is all of them, and if that can be no more than
 * `most`. */
uint32_t vk_rows_of_piece(const struct vk_call *call, uint32_t operands, uint32_t rows, uint32_t together,
                uint64_t most);
uint64_t vk_operand_row_bytes(const struct vk_operand *operand);
static inline struct vk_binding vk_bind_rows(
                const struct qvf_value *value, uint64_t row_bytes, uint32_t row, uint32_t rows, bool written)
{
        return (struct vk_binding){
                .value = value, .offset = row * row_bytes, .bytes = rows * row_bytes, .written = written
        };
}

/* To the bit. */
static inline bool vk_same_float(float a, float b)
{
        uint32_t x, y;

        memcpy(&x, &a, sizeof(x));
        memcpy(&y, &b, sizeof(y));
        return x == y;
}

static inline uint32_t vk_div_up(uint32_t a, uint32_t b)
{
        return a / b + (a % b != 0);
}

typedef void vk_emitter(struct vk_build *build, const struct vk_call *call);
extern vk_emitter *const vk_emitters[QVF_OP_COUNT]; /* ops/table.c */

#endif
