/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/train_plan.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"

/* Beyond this many rows a micro-batch gains nothing: a CPU's matrix products are bound by arithmetic long before; a GPU
 * has more units to fill, and each operation costs it some microseconds whatever its size. */
#define ROWS_ENOUGH 512u
#define ROWS_ENOUGH_GPU 2048u
/* Logits that stand in memory at once. A CPU's kernels have a place of their own for a few words of each row, but for the plain
 * one. A GPU needs so many rows that the head is not read too often; what a layer's way back needs later stands in the same
 * place. */
static const struct logits {
        uint64_t bytes;
        uint32_t rows_least, rows_most;
} cpu_logits = { (uint64_t)1 << 20, 4, 8 }, gpu_logits = { (uint64_t)32 << 20, 64, 512 };
#define MIB ((double)(1 << 20))

/* What a run gives up to fit, in the order of what it costs: of the first layers the gates are computed twice, then all of
 * the first layers. `given_up` counts both. */
struct search {
        const struct qvf_model *model;
        const struct qvf_lora_options *lora;
        const struct qvf_train_wish *wish;
        struct qvf_error *error;
};

static uint64_t peak_of(const struct qvf_train_wish *wish, const struct qvf_trainer_memory *memory)
{
        return wish->process_bytes + memory->model_mapped + memory->model_device + memory->adapter +
               memory->arena + memory->inputs_outputs + memory->scratch;
}

static bool on_cpu(const struct search *search)
{
        return strcmp(search->model->compute.backend->name, "cpu") == 0;
}

static int measure(const struct search *search, uint32_t micro, uint32_t given_up,
                struct qvf_train_choice *choice)
{
        const struct logits *logits = on_cpu(search) ? &cpu_logits : &gpu_logits;
        uint32_t vocabulary = search->model->info->vocabulary_size, layers = search->model->info->n_layers;
        uint32_t per_sequence = search->wish->outputs_most ? search->wish->outputs_most
                                                           : search->wish->context_length;
        struct qvf_trainer_plan *plan = &choice->plan;
        int r;

        plan->rows = micro * search->wish->context_length;
        plan->outputs = micro * (uint32_t)qvf_min_u64(per_sequence, search->wish->context_length);
        plan->halves = true;
        plan->recomputed_gates = (uint32_t)qvf_min_u64(given_up, layers);
        plan->recomputed_layers = given_up - plan->recomputed_gates;
        plan->loss_rows = (uint32_t)qvf_max_u64(logits->rows_least,
                        qvf_min_u64(logits->rows_most, logits->bytes / sizeof(float) / vocabulary));
        plan->loss_rows = (uint32_t)qvf_min_u64(plan->loss_rows, plan->outputs);
        plan->loss_columns = vocabulary;
        r = qvf_trainer_memory(search->model, search->lora, plan, &choice->memory, search->error);
        choice->micro_sequences = micro;
        choice->peak_bytes = peak_of(search->wish, &choice->memory);
        return r;
}

static bool fits(const struct search *search, const struct qvf_train_choice *choice)
{
        return search->wish->memory_limit == 0 || choice->peak_bytes <= search->wish->memory_limit;
}

/* The least to give up that fits, up to `most`; 1: found, 0: none. Memory falls with every further layer, so that halving
 * finds it, but for the last one: its way back comes right behind its way forth, and all it needs still stands there. */
static int least_given_up(
                const struct search *search, uint32_t micro, uint32_t most, struct qvf_train_choice *choice)
{
        uint32_t low = 0, high = most;
        int r = measure(search, micro, 0, choice);

        if (r < 0 || fits(search, choice))
                return r < 0 ? r : 1;
        r = measure(search, micro, high, choice);
        if (r < 0 || !fits(search, choice))
                return r;
        while (high - low > 1) {
                uint32_t middle = (low + high) / 2;

                r = measure(search, micro, middle, choice);
                if (r < 0)
                        return r;
                if (fits(search, choice))
                        high = middle;
                else
                        low = middle;
        }
        r = measure(search, micro, high, choice);
        return r < 0 ? r : 1;
}

static int explain_recomputed(const struct search *search, struct qvf_train_choice *choice)
{
        uint32_t layers = search->model->info->n_layers, gates = choice->plan.recomputed_gates,
                 all = choice->plan.recomputed_layers;

        if (gates == 0)
                return qvf_text_append_string(&choice->reason, "; nothing is computed twice but norms");
        if (all == 0)
                return qvf_text_appendf(&choice->reason,
                                "; gates of %u of %u layers are computed twice to fit", gates, layers);
        return qvf_text_appendf(&choice->reason, "; %u of %u layers are computed twice to fit", all, layers);
}

static int explain(const struct search *search, enum qvf_optimizer_state wish_state,
                struct qvf_train_choice *choice)
{
        const struct qvf_train_wish *wish = search->wish;
        const struct qvf_trainer_memory *memory = &choice->memory;
        int r = qvf_text_appendf(&choice->reason,
                        "peak %.1f MiB (model %.1f, adapter with gradients and optimizer %.1f, intermediate "
                        "results "
                        "%.1f, scratch %.1f, process %.1f)",
                        (double)choice->peak_bytes / MIB,
                        (double)(memory->model_mapped + memory->model_device) / MIB,
                        (double)memory->adapter / MIB,
                        (double)(memory->arena + memory->inputs_outputs) / MIB,
                        (double)memory->scratch / MIB, (double)wish->process_bytes / MIB);

        if (r == 0 && wish->memory_limit > 0)
                r = qvf_text_appendf(&choice->reason, ", limit %.1f MiB", (double)wish->memory_limit / MIB);
        if (r == 0)
                r = qvf_text_appendf(&choice->reason, "; %u of %u sequences at a time",
                                choice->micro_sequences, wish->batch_sequences);
        r = r == 0 ? explain_recomputed(search, choice) : r;
        if (r == 0 && choice->state != wish_state)
                r = qvf_text_append_string(&choice->reason, "; the optimizer's state is of 8 bits to fit");
        return r;
}

/* 1: found, 0: nothing fits. */
static int find(const struct search *search, struct qvf_train_choice *choice)
{
        const struct qvf_train_wish *wish = search->wish;
        bool cpu = on_cpu(search);
        uint32_t enough = (uint32_t)qvf_max_u64(
                        1, (cpu ? ROWS_ENOUGH : ROWS_ENOUGH_GPU) / wish->context_length);
        uint32_t micro = (uint32_t)qvf_min_u64(wish->batch_sequences, enough);
        uint32_t layers = search->model->info->n_layers;

        choice->state = search->lora->state;
        /* A CPU loses less by smaller runs than by computing gates twice, a GPU more; whole layers are computed twice
         * when one sequence alone is too much. */
        for (; micro > 1; micro /= 2) {
                int r = least_given_up(search, micro, cpu ? 0 : layers, choice);

                if (r != 0)
                        return r;
        }
        return least_given_up(search, 1, 2 * layers - 1, choice);
}

int qvf_train_plan(const struct qvf_model *model, const struct qvf_lora_options *lora,
                const struct qvf_train_wish *wish, struct qvf_train_choice *ret_choice,
                struct qvf_error *error)
{
        struct qvf_lora_options small = *lora;
        struct search search = { model, lora, wish, error };
        struct qvf_train_choice choice = { 0 };
        int r;

        if (wish->context_length == 0 || wish->context_length > QVF_MODEL_CONTEXT_MOST ||
                        wish->batch_sequences == 0)
                return qvf_error_set(error, -EINVAL, "a batch of %u sequences of %u tokens can't be trained",
                                wish->batch_sequences, wish->context_length);
        small.state = QVF_STATE_8BIT;
        r = find(&search, &choice);
        if (r == 0 && wish->small_state_too) {
                search.lora = &small;
                r = find(&search, &choice);
        }
        if (r == 0)
                return qvf_error_set(error, -ENOMEM,
                                "training needs %.1f MiB at the least, the limit is %.1f MiB: take a "
                                "shorter "
                                "context than %u, a smaller rank, fewer modules%s",
                                (double)choice.peak_bytes / MIB, (double)wish->memory_limit / MIB,
                                wish->context_length, choice.state == QVF_STATE_8BIT ? "" : " or adamw8bit");
        if (r > 0)
                r = explain(&search, lora->state, &choice);
        if (r < 0) {
                qvf_text_exit(&choice.reason);
                return r;
        }
        *ret_choice = choice;
        return 0;
}
