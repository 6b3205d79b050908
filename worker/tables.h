/* SPDX-License-Identifier: Apache-2.0 */
/* The options of each call, as config/org.qvf.Worker1.xml describes them. */
#ifndef QVF_WORKER_TABLES_H
#define QVF_WORKER_TABLES_H

#include "engine/data/windows.h"
#include "engine/model/model.h"
#include "engine/sampling/options.h"
#include "worker/options.h"

#define WORKER_NAME_MOST 128u
#define WORKER_STOPS_MOST 16u
#define WORKER_TEXT_MOST ((size_t)16 << 20) /* bytes of all messages of a request */

enum worker_self_test { SELF_TEST_NONE, SELF_TEST_QUICK };

struct load_options {
        char *backend, *device, *tuning;
        uint32_t threads, submission_ms, hang_seconds;
        uint64_t memory;
        int cache;
        unsigned self_test, kv; /* kv: f16, q8_0, f32 */
        bool infer;
        uint32_t context_length, sequences, cells;
};

struct data_options {
        unsigned loss, kind; /* loss: answers, all */
        char *separator;
        uint32_t context, overlap;
        bool truncate, skip_bad_lines, pack, shuffle;
        int held_out;
        double held_out_ratio;
};

struct train_options {
        struct data_options data;
        uint32_t rank[QVF_MODULES]; /* 0: `all_ranks`, where the module is chosen */
        bool chosen[QVF_MODULES];
        uint32_t all_ranks;
        double alpha, dropout; /* alpha 0: twice the rank */
        bool rank_stabilised;
        int init;
        uint32_t epochs, batch;
        uint64_t steps, seed, memory;
        double learning_rate, learning_rate_min, warmup, clip, weight_decay, beta1, beta2, epsilon;
        unsigned schedule, optimizer;
        uint32_t evaluate_every, patience, checkpoint_every;
        bool paused;
        double duty_cycle;
};

struct training_options { /* of SetTraining */
        double duty_cycle;
};

struct infer_message {
        char *role, *text;
};

struct infer_adapter {
        char *name;
        double scale;
};

struct infer_options {
        char *prompt;
        struct infer_message *messages;
        uint32_t n_messages;
        struct infer_adapter *adapters;
        uint32_t n_adapters;
        unsigned format; /* text, jsonl */
        uint32_t best, max_tokens, top_k, penalty_window;
        char *stops[WORKER_STOPS_MOST];
        uint32_t n_stops;
        double temperature, top_p, min_p, typical_p, repetition_penalty, presence_penalty, frequency_penalty;
        struct qvf_logit_bias *bias;
        uint32_t n_bias;
        uint64_t seed;
        bool shift, ignore_end, show_special;
};

struct adapter_options {
        bool replace;
};

struct import_options {
        int config;
};

struct merge_options {
        uint32_t rank;
        int files[64]; /* -1 behind the last: the parts, of the call's own argument */
        double weights[64];
        uint32_t n_files;
};

struct into_model_options {
        unsigned dtype; /* f16, q8_0, f32 */
        double scale;
};

extern const struct worker_option load_table[], train_table[], check_table[], training_table[],
                infer_table[], adapter_table[], import_table[], merge_table[], into_model_table[];

/* With the defaults; NULL where there is no memory. */
struct load_options *load_options_new(void);
struct train_options *train_options_new(void);
struct infer_options *infer_options_new(void);
/* What worker_options_exit() does not know of. */
void infer_options_exit(void *options);
void merge_options_exit(void *options);

#endif
