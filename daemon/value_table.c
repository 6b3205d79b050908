/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/value_table.h"

#include <stdint.h>

#define EXACT 9007199254740992.0 /* 2^53: integers up to here compare exactly as doubles */
#define ANY_U64 18446744073709551615.0
#define NAME 64
#define LINE 200

#define JOB QVFD_G_JOB
#define ADAPTER QVFD_G_ADAPTER
#define RUN QVFD_G_RUN
#define DATA QVFD_G_DATA
#define PLAN QVFD_G_PLAN
#define SAMPLING QVFD_G_SAMPLING
#define PROMPT QVFD_G_PROMPT

const struct qvfd_value_entry qvfd_value_table[] = {
        { "name", QVFD_STRING, JOB, 0, LINE, NULL },
        { "adapter", QVFD_STRING, JOB, 0, NAME, NULL },
        { "priority", QVFD_INT, JOB, -100, 100, NULL },
        { "after", QVFD_STRING, JOB, 0, NAME, NULL },
        { "start_at", QVFD_COUNT, JOB, 0, EXACT, NULL },
        { "repeat", QVFD_STRING, JOB, 0, 16, NULL },
        { "continue", QVFD_BOOL, JOB, 0, 0, NULL },
        { "paused", QVFD_BOOL, JOB, 0, 0, NULL },
        { "device", QVFD_STRING, JOB, 0, NAME, NULL },
        { "backend", QVFD_STRING, JOB, 0, NAME, NULL },
        { "init", QVFD_STRING, JOB, 0, NAME, NULL },

        { "rank", QVFD_COUNT, ADAPTER | PLAN, 1, 512, NULL },
        { "rank", QVFD_COUNT, QVFD_G_RANK, 0, 4096, NULL },
        { "alpha", QVFD_NUMBER, ADAPTER, 0, 1e6, NULL },
        { "modules", QVFD_STRING, ADAPTER | PLAN, 0, 256, NULL },
        { "rank_stabilised", QVFD_BOOL, ADAPTER, 0, 0, NULL },
        { "dropout", QVFD_NUMBER, ADAPTER, 0, 0.99, NULL },

        { "epochs", QVFD_COUNT, RUN | PLAN, 1, 100000, NULL },
        { "steps", QVFD_COUNT, RUN, 0, 1u << 30, NULL },
        { "batch", QVFD_COUNT, RUN | PLAN, 1, 65536, NULL },
        { "context", QVFD_COUNT, RUN | PLAN, 2, 1u << 20, NULL },
        { "learning_rate", QVFD_NUMBER, RUN, 0, 1, NULL },
        { "learning_rate_min", QVFD_NUMBER, RUN, 0, 1, NULL },
        { "schedule", QVFD_STRING, RUN, 0, 16, "constant linear cosine" },
        { "warmup", QVFD_NUMBER, RUN, 0, 1, NULL },
        { "clip", QVFD_NUMBER, RUN, 0, 1e6, NULL },
        { "weight_decay", QVFD_NUMBER, RUN, 0, 1, NULL },
        { "beta1", QVFD_NUMBER, RUN, 0, 0.9999, NULL },
        { "beta2", QVFD_NUMBER, RUN, 0, 0.999999, NULL },
        { "epsilon", QVFD_NUMBER, RUN, 0, 1, NULL },
        { "optimizer", QVFD_STRING, RUN | PLAN, 0, 16, "adamw adamw8bit" },
        { "seed", QVFD_COUNT, RUN | SAMPLING, 0, ANY_U64, NULL },
        { "evaluate_every", QVFD_COUNT, RUN, 0, 1u << 30, NULL },
        { "patience", QVFD_COUNT, RUN, 0, 1u << 30, NULL },
        { "checkpoint_every", QVFD_COUNT, RUN, 0, 1u << 30, NULL },
        { "memory", QVFD_COUNT, RUN | PLAN, 0, EXACT, NULL },

        { "loss", QVFD_STRING, DATA, 0, 16, "answers all" },
        { "data_kind", QVFD_STRING, DATA, 0, 24, "auto text jsonl-text jsonl-messages jsonl-completion" },
        { "separator", QVFD_STRING, DATA, 0, LINE, NULL },
        { "overlap", QVFD_COUNT, DATA, 0, 1u << 20, NULL },
        { "truncate", QVFD_BOOL, DATA, 0, 0, NULL },
        { "skip_bad_lines", QVFD_BOOL, DATA, 0, 0, NULL },
        { "pack", QVFD_BOOL, DATA, 0, 0, NULL },
        { "shuffle", QVFD_BOOL, DATA, 0, 0, NULL },
        { "held_out", QVFD_FD, DATA, 0, 0, NULL },
        { "held_out_ratio", QVFD_NUMBER, DATA, 0, 0.9, NULL },

        { "adapter", QVFD_STRING, PROMPT, 0, NAME + 24, NULL },
        { "adapters", QVFD_ADAPTERS, PROMPT, 0, 16, NULL },
        { "chat", QVFD_BOOL, PROMPT, 0, 0, NULL },
        { "system", QVFD_STRING, PROMPT, 0, 65536, NULL },
        { "max_tokens", QVFD_COUNT, SAMPLING, 1, 1u << 20, NULL },
        { "stop", QVFD_STRINGS, SAMPLING, 0, 16, NULL },
        { "temperature", QVFD_NUMBER, SAMPLING, 0, 100, NULL },
        { "top_k", QVFD_COUNT, SAMPLING, 0, INT32_MAX, NULL },
        { "top_p", QVFD_NUMBER, SAMPLING, 0, 1, NULL },
        { "min_p", QVFD_NUMBER, SAMPLING, 0, 1, NULL },
        { "typical_p", QVFD_NUMBER, SAMPLING, 0, 1, NULL },
        { "repetition_penalty", QVFD_NUMBER, SAMPLING, 0.01, 100, NULL },
        { "presence_penalty", QVFD_NUMBER, SAMPLING, -100, 100, NULL },
        { "frequency_penalty", QVFD_NUMBER, SAMPLING, -100, 100, NULL },
        { "penalty_window", QVFD_COUNT, SAMPLING, 0, 4096, NULL },
        { "bias", QVFD_BIAS, SAMPLING, 0, 256, NULL },
        { "shift", QVFD_BOOL, SAMPLING, 0, 0, NULL },
        { "ignore_end", QVFD_BOOL, SAMPLING, 0, 0, NULL },
        { "show_special", QVFD_BOOL, SAMPLING, 0, 0, NULL },

        { "replace", QVFD_BOOL, QVFD_G_STORED, 0, 0, NULL },
        { "description", QVFD_STRING, QVFD_G_STORED, 0, LINE, NULL },
        { "config", QVFD_FD, QVFD_G_CONFIG, 0, 0, NULL },
        { "format", QVFD_STRING, QVFD_G_EXPORT, 0, 8, "gguf peft" },
        { "dtype", QVFD_STRING, QVFD_G_INTO_MODEL, 0, 8, "f16 q8_0 f32" },
        { "scale", QVFD_NUMBER, QVFD_G_INTO_MODEL, -1000, 1000, NULL },
        { "force", QVFD_BOOL, QVFD_G_FORCE, 0, 0, NULL },
        { 0 },
};
