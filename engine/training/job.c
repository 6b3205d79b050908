/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/job.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/log.h"
#include "engine/training/job_private.h"

#define CHECKPOINT_EVERY 50u
/* Steps in a row whose numbers are not finite: from here on it is no accident but a rate too high or bad data. */
#define SKIPS_MOST 5u

static double now_seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* All the time since the last call was spent in this phase. */
static void end_phase(struct qvf_train_job *job, enum qvf_train_phase phase)
{
        double now = now_seconds();

        job->metrics.phase_seconds[phase] += now - job->phase_start;
        job->phase_start = now;
}

static struct qvf_train_rows rows_of(const struct qvf_batch *batch)
{
        return (struct qvf_train_rows){ batch->n_rows, batch->n_outputs, batch->ids, batch->position,
                batch->first, batch->output_index, batch->target };
}

static int check_options(const struct qvf_train_options *options, struct qvf_error *error)
{
        if (options->batch_sequences == 0 || options->micro_sequences == 0)
                return qvf_error_set(error, -EINVAL, "a batch of no sequences trains nothing");
        if (!(options->clip >= 0))
                return qvf_error_set(
                                error, -EINVAL, "clip is %g, expected 0 or more", (double)options->clip);
        if (!(options->warmup_ratio >= 0 && options->warmup_ratio <= 1))
                return qvf_error_set(error, -EINVAL, "warm-up ratio is %g, expected 0 to 1",
                                (double)options->warmup_ratio);
        if (options->epochs == 0 && options->max_steps == 0)
                return qvf_error_set(error, -EINVAL, "neither epochs nor steps are given");
        return 0;
}

/* Makes job->packing that of an epoch. */
static int pack_epoch(struct qvf_train_job *job, uint64_t epoch, struct qvf_error *error)
{
        struct qvf_packing *packing;
        int r;

        if (job->packing && job->packed_epoch == epoch)
                return 0;
        r = qvf_packing_new(job->windows, &job->options.packing, epoch, &packing, error);
        if (r < 0)
                return r;
        qvf_packing_free(job->packing);
        job->packing = packing;
        job->packed_epoch = epoch;
        return 0;
}

/* Packing differs a little from epoch to epoch, so the epochs are counted one by one. */
static int count_steps(struct qvf_train_job *job, struct qvf_error *error)
{
        const struct qvf_train_options *options = &job->options;
        uint64_t total = 0, most = options->max_steps ? options->max_steps : UINT64_MAX;

        for (uint64_t epoch = 0; total < most && (options->epochs == 0 || epoch < options->epochs);
                        epoch++) {
                int r = pack_epoch(job, epoch, error);

                if (r < 0)
                        return r;
                if (job->packing->n_sequences == 0)
                        break;
                total += ((uint64_t)job->packing->n_sequences + options->batch_sequences - 1) /
                         options->batch_sequences;
        }
        job->total_steps = qvf_min_u64(total, most);
        return 0;
}

static int set_schedule(struct qvf_train_job *job, struct qvf_error *error)
{
        struct qvf_schedule *schedule = &job->options.schedule;
        int r = count_steps(job, error);

        if (r < 0)
                return r;
        if (schedule->total_steps == 0)
                schedule->total_steps = job->total_steps;
        if (schedule->warmup_steps == 0)
                schedule->warmup_steps = (uint64_t)llround(
                                (double)job->options.warmup_ratio * (double)schedule->total_steps);
        return qvf_schedule_check(schedule, error);
}

int qvf_train_job_new(struct qvf_lora *lora, const struct qvf_trainer_plan *plan,
                const struct qvf_train_options *options, const struct qvf_windows *windows,
                const struct qvf_windows *held_out, int folder, struct qvf_train_job **ret_job,
                struct qvf_error *error)
{
        _cleanup_(qvf_train_job_freep) struct qvf_train_job *job = calloc(1, sizeof(*job));
        int r = check_options(options, error);

        if (!job)
                return -ENOMEM;
        if (r < 0)
                return r;
        job->lora = lora;
        job->options = *options;
        if (job->options.checkpoint_every == 0)
                job->options.checkpoint_every = CHECKPOINT_EVERY;
        job->windows = windows;
        job->folder = folder;
        job->state = (struct train_state){ .fingerprint = options->fingerprint, .best_loss = INFINITY };
        job->metrics.evaluation_loss = job->metrics.evaluation_accuracy = NAN;
        r = set_schedule(job, error);
        if (r == 0 && held_out)
                r = qvf_packing_new(held_out,
                                &(struct qvf_packing_options){
                                                .rows = options->packing.rows, .file_order = true },
                                0, &job->held_out, error);
        if (r == 0)
                r = qvf_batch_init(&job->batch, plan->rows, error);
        if (r == 0)
                r = qvf_trainer_new(lora, plan, &options->adamw, &job->trainer, error);
        if (r == 0)
                r = qvf_train_job_resume(job, error);
        if (r < 0)
                return r;
        job->metrics.step = job->state.step;
        job->metrics.total_steps = job->total_steps;
        job->metrics.total_tokens = job->state.tokens;
        *ret_job = QVF_TAKE(job);
        return 0;
}

struct qvf_train_job *qvf_train_job_free(struct qvf_train_job *job)
{
        if (!job)
                return NULL;
        qvf_trainer_free(job->trainer);
        qvf_batch_exit(&job->batch);
        qvf_packing_free(job->packing);
        qvf_packing_free(job->held_out);
        free(job);
        return NULL;
}

const struct qvf_train_metrics *qvf_train_job_metrics(const struct qvf_train_job *job)
{
        return &job->metrics;
}

uint64_t qvf_train_job_resumed_from(const struct qvf_train_job *job)
{
        return job->resumed_from;
}

int qvf_train_evaluate(struct qvf_trainer *trainer, const struct qvf_packing *packing,
                uint32_t micro_sequences, struct qvf_batch *batch, struct qvf_train_score *ret_score,
                struct qvf_error *error)
{
        struct qvf_train_score score = { 0 };
        uint64_t correct = 0;
        double loss = 0;

        for (uint32_t at = 0; at < packing->n_sequences; at += micro_sequences) {
                struct qvf_train_result result = { 0 };
                struct qvf_train_rows rows;
                int r = qvf_batch_fill(batch, packing, at, micro_sequences);

                rows = rows_of(batch);
                if (r == 0 && rows.n_outputs > 0)
                        r = qvf_trainer_evaluate(trainer, &rows, &result, error);
                if (r < 0)
                        return r;
                loss += result.loss_sum;
                score.tokens += rows.n_outputs;
                correct += result.n_correct;
        }
        if (score.tokens == 0)
                return qvf_error_set(error, -ENODATA, "the held-out data has no token to predict");
        score.loss = loss / (double)score.tokens;
        score.accuracy = (double)correct / (double)score.tokens;
        *ret_score = score;
        return 0;
}

static int run_batch(struct qvf_train_job *job, uint32_t first, uint32_t count, uint64_t n_outputs,
                struct qvf_error *error)
{
        struct qvf_train_metrics *metrics = &job->metrics;
        double loss = 0;
        uint64_t correct = 0;

        metrics->rows = 0;
        for (uint32_t at = 0, micro = 0; at < count; at += job->options.micro_sequences, micro++) {
                struct qvf_train_result result = { 0 };
                struct qvf_train_rows rows;
                uint64_t seed = job->options.seed + (job->state.step << 20) + micro;
                int r = qvf_batch_fill(&job->batch, job->packing, first + at,
                                (uint32_t)qvf_min_u64(job->options.micro_sequences, count - at));

                rows = rows_of(&job->batch);
                end_phase(job, QVF_PHASE_DATA);
                /* Gradients are those of the mean loss over the batch. */
                if (r == 0 && rows.n_outputs > 0)
                        r = qvf_trainer_accumulate(
                                        job->trainer, &rows, 1 / (float)n_outputs, seed, &result, error);
                if (r < 0)
                        return r;
                end_phase(job, QVF_PHASE_GRADIENTS);
                metrics->rows += rows.n_rows;
                loss += result.loss_sum;
                correct += result.n_correct;
        }
        metrics->loss = loss / (double)n_outputs;
        metrics->accuracy = (double)correct / (double)n_outputs;
        return 0;
}

/* A step whose loss or gradient is not finite changes nothing but the counters. */
static int update(struct qvf_train_job *job, struct qvf_error *error)
{
        struct qvf_train_metrics *metrics = &job->metrics;
        struct train_state *state = &job->state;
        bool finite = isfinite(metrics->loss);
        int r;

        metrics->learning_rate = (double)qvf_schedule_rate(&job->options.schedule, state->step);
        metrics->gradient_norm = NAN;
        if (finite)
                r = qvf_trainer_update(job->trainer, (uint32_t)(state->step - state->n_skipped),
                                (float)metrics->learning_rate, job->options.clip, &metrics->gradient_norm,
                                error);
        else
                r = qvf_trainer_discard(job->trainer, error);
        if (r < 0)
                return r;
        end_phase(job, QVF_PHASE_UPDATE);
        metrics->skipped = !finite || !isfinite(metrics->gradient_norm);
        state->skips_in_a_row = metrics->skipped ? state->skips_in_a_row + 1 : 0;
        state->n_skipped += metrics->skipped;
        metrics->n_skipped = state->n_skipped;
        if (state->skips_in_a_row >= SKIPS_MOST)
                return qvf_error_set(error, -ERANGE,
                                "loss or gradient was not a finite number in %u steps in a row, up to step "
                                "%" PRIu64 ": take a lower learning rate than %g, clip the gradient, or "
                                "look at the data",
                                SKIPS_MOST, state->step, metrics->learning_rate);
        return 0;
}

static int train_step(struct qvf_train_job *job, struct qvf_error *error)
{
        struct train_state *state = &job->state;
        double start = job->phase_start;
        uint32_t sequences, count;
        uint64_t n_outputs;
        int r = pack_epoch(job, state->epoch, error);

        if (r < 0)
                return r;
        sequences = job->packing->n_sequences;
        count = (uint32_t)qvf_min_u64(job->options.batch_sequences, sequences - state->sequence);
        n_outputs = qvf_packing_measure(job->packing, state->sequence, count).counting;
        state->step++;
        if (r == 0 && n_outputs > 0)
                r = run_batch(job, state->sequence, count, n_outputs, error);
        if (r < 0)
                state->step--; /* nothing has changed yet: a checkpoint of the step before can still be written */
        if (r == 0 && n_outputs > 0)
                r = update(job, error);
        if (r < 0)
                return r;
        state->sequence += count;
        state->tokens += n_outputs;
        job->metrics.step = state->step;
        job->metrics.total_steps = job->total_steps;
        job->metrics.epoch = state->epoch + (double)state->sequence / sequences;
        job->metrics.tokens = n_outputs;
        job->metrics.total_tokens = state->tokens;
        job->metrics.seconds = now_seconds() - start;
        if (state->sequence >= sequences) {
                state->epoch++;
                state->sequence = 0;
        }
        return 0;
}

static bool evaluation_due(const struct qvf_train_job *job)
{
        const struct train_state *state = &job->state;

        if (!job->held_out || state->step == state->evaluated_step)
                return false;
        if (job->options.evaluate_every > 0 && state->step % job->options.evaluate_every == 0)
                return true;
        return state->sequence == 0 || state->step >= job->total_steps;
}

static int evaluate(struct qvf_train_job *job, struct qvf_error *error)
{
        struct qvf_train_metrics *metrics = &job->metrics;
        struct train_state *state = &job->state;
        struct qvf_train_score score;
        int r = qvf_train_evaluate(job->trainer, job->held_out, job->options.micro_sequences, &job->batch,
                        &score, error);

        if (r < 0)
                return r;
        end_phase(job, QVF_PHASE_EVALUATION);
        metrics->evaluation_loss = score.loss;
        metrics->evaluation_accuracy = score.accuracy;
        state->evaluated_step = state->step;
        if (metrics->evaluation_loss < state->best_loss) {
                state->best_loss = metrics->evaluation_loss;
                state->best_step = state->step;
                state->evaluations_without_gain = 0;
                r = qvf_train_job_write_adapter(job, "best.gguf", error);
        } else {
                state->evaluations_without_gain++;
        }
        metrics->best_evaluation_loss = state->best_loss;
        metrics->best_step = state->best_step;
        metrics->stopped_early = job->options.patience > 0 &&
                                 state->evaluations_without_gain >= job->options.patience;
        return r;
}

static int finish(struct qvf_train_job *job, struct qvf_error *error)
{
        int r = qvf_train_job_write_adapter(job, "last.gguf", error);

        if (r == 0 && !job->held_out)
                r = qvf_train_job_write_adapter(job, "best.gguf", error);
        return r < 0 ? r : qvf_train_job_remove_checkpoints(job);
}

static bool at_end(const struct qvf_train_job *job)
{
        return job->state.step >= job->total_steps ||
               (job->options.patience > 0 && job->state.evaluations_without_gain >= job->options.patience);
}

int qvf_train_job_run(struct qvf_train_job *job, enum qvf_train_event *ret_event, struct qvf_error *error)
{
        enum qvf_train_event event;
        int r;

        job->phase_start = now_seconds();
        if (job->state.step > 0 && evaluation_due(job)) {
                event = QVF_TRAIN_EVALUATED;
                r = evaluate(job, error);
        } else if (at_end(job)) {
                event = QVF_TRAIN_FINISHED;
                r = finish(job, error);
        } else {
                event = QVF_TRAIN_STEPPED;
                r = train_step(job, error);
        }
        if (r == 0 && event != QVF_TRAIN_FINISHED)
                r = qvf_train_job_write_metrics(job, event, error);
        if (r == 0 && event == QVF_TRAIN_STEPPED && job->state.step % job->options.checkpoint_every == 0)
                r = qvf_train_job_checkpoint(job, error);
        if (r < 0)
                return r;
        end_phase(job, QVF_PHASE_FILES);
        *ret_event = event;
        return 0;
}

int qvf_train_job_time_forward(
                struct qvf_train_job *job, double *ret_seconds_per_row, struct qvf_error *error)
{
        struct qvf_train_result result;
        struct qvf_train_rows rows;
        double start;
        int r = qvf_batch_fill(&job->batch, job->packing, 0, job->options.micro_sequences);

        rows = rows_of(&job->batch);
        start = now_seconds();
        if (r == 0)
                r = qvf_trainer_evaluate(job->trainer, &rows, &result, error);
        if (r < 0)
                return r;
        *ret_seconds_per_row = (now_seconds() - start) / rows.n_rows;
        return 0;
}
