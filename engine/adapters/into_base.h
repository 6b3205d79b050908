/* SPDX-License-Identifier: Apache-2.0 */
/* A base model with an adapter merged into its weights, as a GGUF file of its own: W·s + scale·B·A for the seven
 * matrices of each layer, dense; everything else as it is.
 *
 * A ternary file cannot hold the sum. And a dense layer is computed on activations as they are, where a ternary one
 * quantises them to 8 bits first: the merged model answers nearly, not exactly, as base and adapter do. Matrices that
 * the adapter leaves alone keep their values, so that they are found to be ternary when an F16 or F32 file is read. */
#ifndef QVF_ENGINE_ADAPTERS_INTO_BASE_H
#define QVF_ENGINE_ADAPTERS_INTO_BASE_H

#include "engine/adapters/adapter_file.h"
#include "engine/files/ternary.h"

struct qvf_into_base_options {
        enum qvf_dtype dtype; /* F16, Q8_0 or F32 */
        float scale;          /* the user's, on top of the adapter's own */
        enum qvf_i2s_order i2s_order;
};

struct qvf_into_base_report {
        uint32_t n_adapted;   /* matrices that were changed */
        uint32_t n_unadapted; /* those of the seven kinds that were only made dense */
        uint32_t n_as_f16;    /* whose rows are no whole blocks of Q8_0 */
};

/* Works row by row: memory is one matrix of the adapter, and one packed matrix where the file is I2_S. ret_report may
 * be NULL. */
int qvf_into_base_write(const struct qvf_model_info *info, const struct qvf_adapter_file *file,
                const struct qvf_into_base_options *options, int fd, struct qvf_into_base_report *ret_report,
                struct qvf_error *error);
int qvf_into_base_save(const struct qvf_model_info *info, const struct qvf_adapter_file *file,
                const struct qvf_into_base_options *options, const char *path,
                struct qvf_into_base_report *ret_report, struct qvf_error *error);

#endif
