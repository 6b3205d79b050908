/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an adapter in training as the GGUF file that llama.cpp reads. */
#ifndef QVF_ENGINE_TRAINING_LORA_SAVE_H
#define QVF_ENGINE_TRAINING_LORA_SAVE_H

#include "engine/training/lora.h"

/* Whole or not at all. `folder` is a descriptor or AT_FDCWD. A file has one alpha: where the scales of the modules
 * need more (different ranks under rank-stabilised scaling), B takes up the difference. */
int qvf_lora_save(struct qvf_lora *lora, int folder, const char *name, struct qvf_error *error);

#endif
