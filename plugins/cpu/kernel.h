/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel of the CPU backend sees. One kernel does one operation; all threads of the pool enter it together
 * and share the work out between them. A result must not depend on how many threads there are.
 *
 * A kernel of an operation that cpu_by_rows() names shares its rows out by cpu_share(call, call->rows, 1, …) and by nothing
 * else, so that several of these follow each other without a barrier: a row stays with its thread. Of several in a row each
 * is called for a strip of the thread's rows before any is for the next strip, while the rows are in L1. */
#ifndef QVF_PLUGINS_CPU_KERNEL_H
#define QVF_PLUGINS_CPU_KERNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qvf/backend.h"

struct cpu_operand {
        void *data; /* NULL where the operand is QVF_NONE */
        uint32_t rows, columns;
        uint32_t dtype;
        uint32_t packed;
        uint32_t block_scales;
        float scale;
};

struct cpu_call {
        const struct qvf_op *op;
        struct cpu_operand operand[QVF_OP_OPERANDS];
        const struct qvf_args *args;
        uint32_t rows; /* R: resolved from op->rows */
        struct {       /* of the thread's share, the pieces from `first` on; count 0: all of them */
                uint32_t first, count;
        } strip;
        unsigned thread, n_threads;
        void *scratch; /* shared by all threads, 64-byte aligned, as large as the kernel's scratch_bytes() said */
        /* Waits until every thread has come here. NULL with one thread: use cpu_barrier(). */
        void (*barrier)(const struct cpu_call *call);
        /* Hands out work: 0, 1, 2, … over all threads; zero when the kernel starts. Use cpu_next(). */
        atomic_uint *next;
        /* Set while somebody wants the device: a long kernel looks between tiles through cpu_pause_point(). */
        const atomic_bool *pause_wanted;
        void (*pause)(const struct cpu_call *call); /* returns when the run may go on */
        void *context;                              /* of barrier and pause */
};

struct cpu_kernel {
        void (*run)(const struct cpu_call *call);
        /* Shared scratch for an operation, by its operands' declared rows; NULL: none. */
        size_t (*scratch_bytes)(
                        const struct qvf_op *op, const struct cpu_operand *operands, unsigned n_threads);
        /* Whether with cpu_many_rows() and these operands it shares its work out as the kernels that cpu_by_rows() names,
         * and uses no scratch; NULL: no. */
        bool (*many_by_rows)(const struct cpu_operand *operands);
};

/* One table per level (plain, avx2, …), indexed by operation; run == NULL: the level below does it. A level is a
 * folder: plain is complete. supports() says whether the kernel takes these dtypes; NULL: all. */
struct cpu_level {
        const char *name;
        bool (*available)(void);
        struct cpu_level_entry {
                struct cpu_kernel kernel;
                bool (*supports)(const struct qvf_op *op, const struct cpu_operand *operands);
        } entries[QVF_OP_COUNT];
};

extern const struct cpu_level cpu_level_plain;

/* What it makes of a row hangs on that row of its other operands, and on what none of these writes. */
static inline bool cpu_by_rows(uint32_t kind)
{
        switch (kind) {
        case QVF_OP_COPY:
        case QVF_OP_EMBED:
        case QVF_OP_KV_STORE:
        case QVF_OP_ADD:
        case QVF_OP_RMSNORM:
        case QVF_OP_QUANTIZE:
        case QVF_OP_ROPE:
        case QVF_OP_GATE:
        case QVF_OP_DROPOUT:
        case QVF_OP_RMSNORM_BACKWARD:
        case QVF_OP_GATE_BACKWARD: return true;
        default: return false;
        }
}

/* Enough rows for each thread to have some of its own. */
static inline bool cpu_many_rows(uint32_t rows, unsigned n_threads)
{
        return rows >= 24u * n_threads;
}

static inline void cpu_barrier(const struct cpu_call *call)
{
        if (call->n_threads > 1)
                call->barrier(call);
}

static inline uint32_t cpu_next(const struct cpu_call *call)
{
        return atomic_fetch_add_explicit(call->next, 1, memory_order_relaxed);
}

static inline void cpu_pause_point(const struct cpu_call *call)
{
        if (call->pause_wanted && atomic_load_explicit(call->pause_wanted, memory_order_relaxed))
                call->pause(call);
}

/* This thread's share of `count` pieces of work: [begin, end), cut at multiples of `grain`. */
static inline void cpu_share(const struct cpu_call *call, uint32_t count, uint32_t grain,
                uint32_t *ret_begin, uint32_t *ret_end)
{
        uint64_t pieces = ((uint64_t)count + grain - 1) / grain;
        uint64_t begin = pieces * call->thread / call->n_threads * grain;
        uint64_t end = pieces * (call->thread + 1) / call->n_threads * grain;

        if (call->strip.count > 0) {
                begin += (uint64_t)call->strip.first * grain;
                if (end > begin + (uint64_t)call->strip.count * grain)
                        end = begin + (uint64_t)call->strip.count * grain;
                if (begin > end)
                        begin = end;
        }
        *ret_begin = (uint32_t)(begin < count ? begin : count);
        *ret_end = (uint32_t)(end < count ? end : count);
}

#endif
