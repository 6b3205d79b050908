/* SPDX-License-Identifier: Apache-2.0 */
/* From the options of a call to what the engine trains by. */
#include <math.h>

#include "common/checked.h"
#include "common/sha256.h"
#include "worker/job.h"
#include "worker/process.h"

#define CHECKPOINT_EVERY 50u
#define PROCESS_BYTES ((uint64_t)6 << 20) /* mapped code and what the allocator keeps back */

static struct qvf_lora_options lora_of(const struct train_options *options)
{
        struct qvf_lora_options lora = {
                .alpha = options->alpha > 0 ? (float)options->alpha : 2 * (float)options->all_ranks,
                .rank_stabilised = options->rank_stabilised,
                .dropout = (float)options->dropout,
                .seed = options->seed,
                .state = options->optimizer == 1 ? QVF_STATE_8BIT : QVF_STATE_F32,
        };

        for (int i = 0; i < QVF_MODULES; i++)
                if (options->chosen[i])
                        lora.rank[i] = options->rank[i] ? options->rank[i] : options->all_ranks;
        return lora;
}

int worker_job_plan(struct worker_engine *engine, const struct train_options *options,
                const struct worker_data *data, struct qvf_lora_options *ret_lora,
                struct qvf_train_choice *ret_choice, struct qvf_error *error)
{
        uint64_t limit = options->memory ? options->memory : atomic_load(&engine->memory_limit);
        uint64_t own = worker_memory().own, weights = engine->model->device_bytes;
        const struct qvf_train_wish wish = {
                .context_length = data->windows->context,
                .batch_sequences = options->batch,
                .memory_limit = limit,
                /* The plan counts the weights itself. */
                .process_bytes = (engine->device.unified_memory && own > weights ? own - weights : own) +
                                 PROCESS_BYTES,
        };

        *ret_lora = lora_of(options);
        return qvf_train_plan(engine->model, ret_lora, &wish, ret_choice, error);
}

static void hash_double(struct qvf_sha256 *hash, double value)
{
        qvf_sha256_update(hash, &value, sizeof(value));
}

/* What a checkpoint must agree with: the data and every option that moves a number. */
static uint64_t fingerprint(const struct worker_job *job)
{
        const struct qvf_train_options *o = &job->options;
        const struct qvf_lora_options *l = &job->lora_options;
        const uint64_t numbers[] = { o->seed, o->batch_sequences, o->epochs, o->max_steps, o->packing.rows,
                o->packing.one_each, o->packing.file_order, o->schedule.kind, l->state, l->rank_stabilised,
                job->data.windows->count, job->data.held_out ? job->data.held_out->count : 0,
                o->evaluate_every, o->patience };
        const double doubles[] = { (double)o->adamw.beta1, (double)o->adamw.beta2, (double)o->adamw.epsilon,
                (double)o->adamw.weight_decay, (double)o->schedule.rate, (double)o->schedule.floor,
                (double)o->warmup_ratio, (double)o->clip, (double)l->alpha, (double)l->dropout };
        uint8_t digest[QVF_SHA256_BYTES];
        struct qvf_sha256 hash;
        uint64_t value = 0;

        qvf_sha256_init(&hash);
        qvf_sha256_update(&hash, job->data.data->key, sizeof(job->data.data->key));
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(numbers); i++)
                qvf_sha256_update_u64(&hash, numbers[i]);
        for (int i = 0; i < QVF_MODULES; i++)
                qvf_sha256_update_u64(&hash, l->rank[i]);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(doubles); i++)
                hash_double(&hash, doubles[i]);
        qvf_sha256_finish(&hash, digest);
        for (int i = 0; i < 8; i++)
                value = value << 8 | digest[i];
        return value;
}

void worker_job_options(const struct train_options *options, struct worker_job *job)
{
        job->options = (struct qvf_train_options){
                .adamw = { (float)options->beta1, (float)options->beta2, (float)options->epsilon,
                                (float)options->weight_decay },
                .schedule = { .kind = (enum qvf_schedule_kind)options->schedule,
                                .rate = (float)options->learning_rate,
                                .floor = (float)options->learning_rate_min },
                .warmup_ratio = (float)options->warmup,
                .clip = (float)options->clip,
                .epochs = options->epochs,
                .max_steps = options->steps,
                .batch_sequences = options->batch,
                .micro_sequences = job->choice.micro_sequences,
                .packing = { .rows = job->data.windows->context,
                                .seed = options->seed,
                                .one_each = !options->data.pack,
                                .file_order = !options->data.shuffle },
                .evaluate_every = options->evaluate_every,
                .patience = options->patience,
                .checkpoint_every = options->checkpoint_every ? options->checkpoint_every : CHECKPOINT_EVERY,
                .seed = options->seed,
        };
        job->options.fingerprint = fingerprint(job);
}
