/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/train_plan.h"

#include <errno.h>
#include <string.h>

#include "tests/support/compute.h"
#include "tests/support/suite.h"

struct plans {
        struct qvf_compute compute;
        struct qvf_model *model;
        struct qvf_lora_options lora;
        struct qvf_train_wish wish;
};

static void set_up(struct plans *p)
{
        *p = (struct plans){ .lora = { .alpha = 16 },
                .wish = { .context_length = 128, .batch_sequences = 4, .process_bytes = 1 << 20 } };
        p->compute = test_compute(NULL, 2);
        p->model = test_model(&p->compute, "helper-29m.TQ2_0");
        for (int i = 0; i < QVF_MODULES; i++)
                p->lora.rank[i] = 8;
}

static void tear_down(struct plans *p)
{
        qvf_model_free(p->model);
        p->compute.backend->device_close(p->compute.device);
}

/* Returns the peak, and expects words in the reason. */
static struct qvf_train_choice plan(struct plans *p, uint64_t limit, const char *words)
{
        struct qvf_train_choice choice;
        struct qvf_error error = { 0 };

        p->wish.memory_limit = limit;
        ck_assert_msg(qvf_train_plan(p->model, &p->lora, &p->wish, &choice, &error) == 0, "%s", error.text);
        ck_assert(limit == 0 || choice.peak_bytes <= limit);
        ck_assert_msg(strstr(qvf_text_string(&choice.reason), words) != NULL, "%s",
                        qvf_text_string(&choice.reason));
        qvf_text_exit(&choice.reason);
        return choice;
}

static void expect_none(struct plans *p, uint64_t limit, const char *words)
{
        struct qvf_train_choice choice;
        struct qvf_error error = { 0 };

        p->wish.memory_limit = limit;
        ck_assert_int_eq(qvf_train_plan(p->model, &p->lora, &p->wish, &choice, &error), -ENOMEM);
        ck_assert_msg(strstr(error.text, words) != NULL, "%s", error.text);
}

/* Shorter runs first, then gates and then layers that are computed twice, then, where it is allowed, a smaller state. */
START_TEST(gives_up_what_costs_least)
{
        struct plans p;
        struct qvf_train_choice all, one, twice, small;
        bool gates = false;

        set_up(&p);
        all = plan(&p, 0, "4 of 4 sequences");
        ck_assert_uint_eq(all.micro_sequences, 4);
        ck_assert_uint_eq(all.plan.recomputed_layers, 0);
        ck_assert_uint_eq(plan(&p, all.peak_bytes, "4 of 4 sequences").micro_sequences, 4);
        ck_assert_uint_eq(plan(&p, all.peak_bytes - 1, "2 of 4 sequences").micro_sequences, 2);
        p.wish.batch_sequences = 1;
        one = plan(&p, 0, "nothing is computed twice");
        twice = plan(&p, one.peak_bytes - 1, "gates of 1 of");
        ck_assert_uint_eq(twice.plan.recomputed_gates, 1);
        ck_assert_uint_eq(twice.plan.recomputed_layers, 0);
        while (twice.plan.recomputed_layers + 1 < p.model->info->n_layers) { /* down to the smallest */
                gates = gates || (twice.plan.recomputed_layers == 0 && twice.plan.recomputed_gates > 1);
                twice = plan(&p, twice.peak_bytes - 1, "computed twice to fit");
        }
        ck_assert(gates);
        expect_none(&p, twice.peak_bytes - 1, "adamw8bit");
        p.wish.small_state_too = true;
        small = plan(&p, twice.peak_bytes - 1, "state is of 8 bits to fit");
        ck_assert_int_eq(small.state, QVF_STATE_8BIT);
        ck_assert_uint_lt(small.memory.adapter, twice.memory.adapter);
        ck_assert_int_eq(plan(&p, 0, "nothing is computed twice").state, QVF_STATE_F32);
        expect_none(&p, 1 << 20, "fewer modules");
        tear_down(&p);
}
END_TEST

QVF_SUITE("train_plan", 60, gives_up_what_costs_least)
