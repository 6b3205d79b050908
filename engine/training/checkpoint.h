/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a training run goes on from: all of its state in one file, whole or not at all, with a checksum over
 * every byte. Two generations are kept, so that a damaged newest one costs a few steps and not the run. */
#ifndef QVF_ENGINE_TRAINING_CHECKPOINT_H
#define QVF_ENGINE_TRAINING_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define QVF_CHECKPOINT_SECTIONS_MOST 16u
#define QVF_CHECKPOINTS_KEPT 2u

struct qvf_checkpoint_section {
        char name[8]; /* not terminated where all 8 are used */
        void *bytes;
        uint64_t length;
};

/* Writes checkpoint-STEP into the folder and removes all but the newest QVF_CHECKPOINTS_KEPT. */
int qvf_checkpoint_write(int folder, uint64_t step, const struct qvf_checkpoint_section *sections,
                unsigned n_sections, struct qvf_error *error);

/* Fills the sections from the newest checkpoint that is whole; one that is damaged is named in the log and passed
 * over. Every section must be there with this length. -ENOENT: there is none. -EINVAL: the newest whole one is of
 * another shape (another model, or other options). */
int qvf_checkpoint_read(int folder, struct qvf_checkpoint_section *sections, unsigned n_sections,
                uint64_t *ret_step, struct qvf_error *error);

/* Removes all checkpoints of the folder. */
int qvf_checkpoint_remove_all(int folder);

#endif
