/* SPDX-License-Identifier: Apache-2.0 */
/* An adapter in training as numbers for engine/adapters, and so as a file. */
#ifndef QVF_ENGINE_TRAINING_LORA_SAVE_H
#define QVF_ENGINE_TRAINING_LORA_SAVE_H

#include "engine/adapters/adapter_file.h"
#include "engine/training/lora.h"

/* The numbers stand in the device's own memory where it can be mapped, because a copy would be a part of what training
 * takes: so the file is used while the lora lives and does not train. -EINVAL where a number is not finite. */
int qvf_lora_to_file(
                const struct qvf_lora *lora, struct qvf_adapter_file **ret_file, struct qvf_error *error);

/* As the GGUF file that llama.cpp reads, whole or not at all. `folder` is a descriptor or AT_FDCWD. */
int qvf_lora_save(const struct qvf_lora *lora, int folder, const char *name, struct qvf_error *error);

#endif
