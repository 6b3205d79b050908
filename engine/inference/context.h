/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model over batches of tokens that belong to one or more sequences, and keeps their keys and values.
 * Knows nothing of text or of choosing tokens: see generator.h for that. */
#ifndef QVF_ENGINE_INFERENCE_CONTEXT_H
#define QVF_ENGINE_INFERENCE_CONTEXT_H

#include "engine/model/adapter.h"

#define QVF_CONTEXT_ADAPTERS_MOST 64u /* different adapters in one batch */
#define QVF_CONTEXT_SEQUENCES_MOST 1024u
#define QVF_CONTEXT_AHEAD_MOST 16u

struct qvf_context_options {     /* 0: what stands in brackets */
        uint32_t context_length; /* positions of one sequence [the model's, at most 4096] */
        uint32_t sequences;      /* at most at once [1] */
        uint32_t cells;          /* positions of all sequences together [context_length * sequences] */
        enum qvf_dtype kv_dtype; /* QVF_F32 (which is 0, so it must be meant: see below), QVF_F16 or QVF_Q8_0
                                  */
        bool kv_f32;             /* F32 caches; else kv_dtype, and F16 where that is 0 */
        uint32_t batch_rows;     /* tokens of one run [128; 512 on a discrete GPU] */
        uint32_t output_rows;    /* rows with results of one run [the larger of 8 and sequences] */
        uint32_t ahead; /* tokens of one sequence that the device chooses one after the other in one run; 1: none
                                  * [QVF_CONTEXT_AHEAD_MOST on a device of its own, 1 on a CPU] */
        bool hidden;    /* results are hidden states too (embeddings) */
        bool no_logits; /* and only they */
};

struct qvf_adapter_choice {
        const struct qvf_adapter *adapter;
        float scale;
};

enum qvf_outputs { QVF_OUTPUTS_NONE, QVF_OUTPUTS_LAST, QVF_OUTPUTS_ALL };

struct qvf_piece { /* the next tokens of one sequence */
        uint32_t sequence;
        const int32_t *tokens;
        uint32_t n_tokens;
        enum qvf_outputs outputs;
};

struct qvf_context_memory {                  /* bytes, known before anything runs */
        uint64_t model_mapped, model_device; /* as in struct qvf_model */
        uint64_t kv, arena, inputs_outputs, scratch;
};

struct qvf_context;

int qvf_context_new(struct qvf_model *model, const struct qvf_context_options *options,
                struct qvf_context **ret_context, struct qvf_error *error);
struct qvf_context *qvf_context_free(struct qvf_context *context);
QVF_DEFINE_CLEANUP(struct qvf_context *, qvf_context_free)

const struct qvf_model *qvf_context_model(const struct qvf_context *context);
const struct qvf_context_options *qvf_context_options(const struct qvf_context *context); /* filled in */
int qvf_context_memory(
                struct qvf_context *context, struct qvf_context_memory *ret_memory, struct qvf_error *error);

/* A new, empty sequence that is computed under these adapters. -EAGAIN: all slots are taken. */
int qvf_context_open(struct qvf_context *context, const struct qvf_adapter_choice *adapters,
                uint32_t n_adapters, uint32_t *ret_sequence, struct qvf_error *error);
void qvf_context_close(struct qvf_context *context, uint32_t sequence);
/* See kv_blocks.h. */
uint32_t qvf_context_reuse(
                struct qvf_context *context, uint32_t sequence, const int32_t *tokens, uint32_t n_tokens);
uint32_t qvf_context_truncate(struct qvf_context *context, uint32_t sequence, uint32_t n_positions);
uint32_t qvf_context_length(const struct qvf_context *context, uint32_t sequence);
uint32_t qvf_context_free_cells(const struct qvf_context *context);

/* Makes room at the end of a full sequence: keeps the first `n_keep` positions (rounded up to whole blocks),
 * drops half of the rest and moves what is behind them to the front. */
int qvf_context_shift(struct qvf_context *context, uint32_t sequence, uint32_t n_keep, uint32_t *ret_dropped,
                struct qvf_error *error);

/* One run. At most batch_rows tokens and output_rows results in all pieces together; a sequence may stand in
 * one piece only. -EAGAIN: no cells are free; -E2BIG: a sequence is full. On failure the sequences are as
 * before. */
int qvf_context_run(struct qvf_context *context, const struct qvf_piece *pieces, uint32_t n_pieces,
                struct qvf_error *error);
/* How many of up to `most` further tokens one qvf_context_continue() should choose, so that it takes no longer than a
 * person notices; 1: it is not worth while. */
uint32_t qvf_context_ahead(const struct qvf_context *context, uint32_t most);
/* Runs `token` at the end of a sequence, lets the device choose the next token by TOP_K of `k` and DRAW, runs that, and so
 * on: `count` tokens, a power of two, come back in ret_ids, and all but the last of them stand in the sequence. -1: none could be
 * chosen; what follows it means nothing. `how` has QVF_DRAW_COLUMNS numbers for each. There are no logits. Fails as qvf_context_run()
 * does. */
int qvf_context_continue(struct qvf_context *context, uint32_t sequence, int32_t token, uint32_t count,
                uint32_t k, const float *how, int32_t *ret_ids, struct qvf_error *error);
/* Results of the last run in the order of their rows; they stand until the next. */
uint32_t qvf_context_outputs(const struct qvf_context *context);
const float *qvf_context_logits(const struct qvf_context *context, uint32_t output);
const float *qvf_context_hidden(const struct qvf_context *context, uint32_t output);

#endif
