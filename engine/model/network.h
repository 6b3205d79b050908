/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a model's forward pass over cached keys and values: what inference runs. */
#ifndef QVF_ENGINE_MODEL_NETWORK_H
#define QVF_ENGINE_MODEL_NETWORK_H

#include "engine/model/adapter.h"
#include "engine/program/builder.h"

struct qvf_network_inputs { /* values that the host fills before a run, all I32 but adapter_scale */
        struct qvf_value ids, position, sequence; /* [rows, 1] */
        struct qvf_value place;                   /* [rows, 2]: position, sequence */
        struct qvf_value table;                   /* [sequences, blocks] */
        struct qvf_value output_index;            /* [outputs, 1]: the rows whose results are wanted */
        struct qvf_value adapter_scale;           /* [rows, adapters] */
};

struct qvf_network {
        const struct qvf_model *model;
        struct qvf_network_inputs inputs;
        const struct qvf_value *keys, *values; /* the caches, one per layer */
        const struct qvf_adapter *const *adapters;
        uint32_t n_adapters;
        uint32_t rows, outputs;  /* most rows of a run, and most of them with results */
        struct qvf_value logits; /* [outputs, vocabulary]; rows 0: not wanted */
        bool logits_stay;        /* they are wanted as a temporary value instead */
        struct qvf_value hidden; /* [outputs, dim], after the last norm; likewise */
};

/* Returns the logits; QVF_NONE where none are wanted. */
uint16_t qvf_network_emit(const struct qvf_network *network, struct qvf_builder *builder);

#endif
