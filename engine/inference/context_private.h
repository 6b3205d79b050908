/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the context share: context.c makes and ends it, context_run.c runs it. */
#ifndef QVF_ENGINE_INFERENCE_CONTEXT_PRIVATE_H
#define QVF_ENGINE_INFERENCE_CONTEXT_PRIVATE_H

#include "engine/inference/context.h"
#include "engine/inference/kv_blocks.h"
#include "engine/model/network.h"
#include "engine/program/planner.h"

#define CONTEXT_PROGRAMS 12 /* kept compiled; the one unused for longest makes room */

struct context_sequence {
        struct qvf_adapter_choice *adapters;
        uint32_t n_adapters;
};

struct context_row { /* what a row of the batch is, before it goes to the device */
        int32_t id, position, sequence;
        bool output;
};

struct context_ahead { /* what one token needs that the device chooses, each in a place of its own */
        struct qvf_value position, place, how; /* from the host */
        struct qvf_value chosen;               /* for it, and for the token behind */
};

struct context_kind { /* of a program */
        uint32_t rows;
        uint32_t ahead, k; /* 0: an ordinary run */
};

struct context_program {
        struct qvf_builder *builder; /* owns the description */
        struct qvf_program *program; /* NULL: a free place */
        struct context_kind kind;
        const struct qvf_adapter *adapters[QVF_CONTEXT_ADAPTERS_MOST];
        uint32_t n_adapters;
        uint64_t last_used;
};

struct qvf_context {
        struct qvf_model *model;
        struct qvf_context_options options;
        struct qvf_kv_blocks *blocks;
        uint32_t n_blocks, blocks_per_sequence;
        struct context_sequence *sequences;
        struct context_row *rows;

        struct qvf_buffer *inputs_buffer, *results_buffer, *arena, **kv_buffers;
        uint64_t inputs_bytes, results_bytes, arena_bytes, kv_bytes;
        struct qvf_value *caches; /* keys of layer 0, values of layer 0, keys of layer 1, … */
        struct qvf_network_inputs inputs;
        struct context_ahead ahead[QVF_CONTEXT_AHEAD_MOST];
        double row_ms; /* what a run of one row takes, lately; 0: not known */
        struct qvf_value logits, hidden, turn, copy;
        char *host_results; /* a copy of the results, for devices whose buffers can't be mapped */
        uint32_t n_outputs;

        struct context_program programs[CONTEXT_PROGRAMS];
        uint64_t clock;
};

void qvf_context_drop_programs(struct qvf_context *context);
/* The compiled program for so many rows, or tokens ahead, under these adapters. */
int qvf_context_program(struct qvf_context *context, struct context_kind kind,
                const struct qvf_adapter *const *adapters, uint32_t n_adapters,
                struct context_program **ret_program, struct qvf_error *error);

/* context_ahead.c, for context_run.c */
double qvf_context_now_ms(void);
void qvf_context_took(struct qvf_context *context, double row_ms); /* a run of one row */
/* context_run.c, for context_ahead.c */
int qvf_context_upload(struct qvf_context *context, const struct qvf_value *value, const void *bytes,
                uint64_t length, struct qvf_error *error);
int qvf_context_upload_table(struct qvf_context *context, struct qvf_error *error);
int qvf_context_reserve(
                struct qvf_context *context, uint32_t sequence, uint32_t n_tokens, struct qvf_error *error);
int qvf_context_collect_adapters(const struct qvf_context *context, const struct qvf_piece *pieces,
                uint32_t n_pieces, const struct qvf_adapter **adapters, uint32_t *ret_count,
                struct qvf_error *error);
/* For the first n_rows of context->rows. */
int qvf_context_upload_scales(struct qvf_context *context, uint32_t n_rows,
                const struct qvf_adapter *const *adapters, uint32_t n_adapters, struct qvf_error *error);

#endif
