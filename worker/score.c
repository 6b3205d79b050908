/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/score.h"

#include <errno.h>

#include "engine/model/compute.h"
#include "engine/program/builder.h"
#include "worker/command.h"

enum { ROWS = 64, SIZE = 2048 }; /* a short prompt, and a layer of a small model */
#define RUNS_MOST 16u
#define ENOUGH_US 200000u

/* A weight of zeros: how long it takes does not hang on the numbers. */
static int make_weight(const struct qvf_compute *compute, struct qvf_value *ret_value)
{
        uint64_t bytes = qvf_row_bytes(QVF_TQ2_0, SIZE) * SIZE, packed = 0;
        _cleanup_free_ void *data = calloc(1, bytes);
        const struct qvf_weight weight = {
                .size = sizeof(weight),
                .dtype = QVF_TQ2_0,
                .rows = SIZE,
                .columns = SIZE,
                .scale = 1,
                .data = data,
                .bytes = bytes,
        };
        _cleanup_free_ void *form = NULL;
        int r = data ? compute->backend->pack_size(compute->device, &weight, &packed) : -ENOMEM;

        if (r == 0 && packed > 0) {
                form = malloc(packed);
                r = form ? compute->backend->pack(compute->device, &weight, form) : -ENOMEM;
        }
        *ret_value = (struct qvf_value){
                .rows = SIZE, .columns = SIZE, .dtype = QVF_TQ2_0, .packed = packed > 0, .scale = 1
        };
        return r < 0 ? r
                     : qvf_compute_upload(compute, form ? form : data, form ? packed : bytes, "weight",
                                       &ret_value->buffer, NULL);
}

static int make_program(const struct qvf_compute *compute, const struct qvf_value *weight,
                struct qvf_buffer *inputs, struct qvf_builder *builder, struct qvf_program **ret_program)
{
        const struct qvf_value y = { .buffer = inputs, .rows = ROWS, .columns = SIZE, .scale = 1 };
        const struct qvf_value q = { .buffer = inputs,
                .offset = ROWS * SIZE * sizeof(float),
                .rows = ROWS,
                .columns = SIZE,
                .dtype = QVF_I8,
                .scale = 1 };
        const struct qvf_value scale = { .buffer = inputs,
                .offset = ROWS * SIZE * (sizeof(float) + 1),
                .rows = ROWS,
                .columns = 1,
                .scale = 1 };
        struct qvf_program_desc desc;
        uint64_t arena;
        int r;

        QVF_EMIT(builder, MATMUL_TERNARY, QVF_ROWS_ALL, qvf_builder_fixed(builder, &y),
                        qvf_builder_fixed(builder, &q), qvf_builder_fixed(builder, &scale),
                        qvf_builder_fixed(builder, weight));
        r = qvf_builder_plan(builder, &arena, NULL);
        if (r < 0)
                return r;
        qvf_builder_describe(builder, NULL, "score", &desc);
        return compute->backend->program_new(compute->device, &desc, ret_program);
}

static double measure(const struct qvf_compute *compute, struct qvf_program *program)
{
        const struct qvf_args args = { .size = sizeof(args), .rows = ROWS, .output_rows = ROWS };
        uint64_t start, passed = 0;
        unsigned runs = 0;

        if (qvf_compute_run(compute, program, &args, NULL) < 0) /* the first one may compile */
                return 0;
        start = worker_now_us();
        while (runs < RUNS_MOST && passed < ENOUGH_US) {
                if (qvf_compute_run(compute, program, &args, NULL) < 0)
                        return 0;
                runs++;
                passed = worker_now_us() - start;
        }
        return passed > 0 ? (double)runs * ROWS * SIZE * SIZE / (double)passed * 1e-3 : 0;
}

double worker_score(const struct qvf_backend *backend, struct qvf_device *device)
{
        const struct qvf_compute compute = { .backend = backend, .device = device };
        _cleanup_(qvf_builder_freep) struct qvf_builder *builder = NULL;
        struct qvf_program *program = NULL;
        struct qvf_buffer *inputs = NULL;
        struct qvf_value weight = { .buffer = NULL };
        double score = 0;

        if (qvf_builder_new(&builder) == 0 && make_weight(&compute, &weight) == 0 &&
                        qvf_compute_buffer(&compute, ROWS * (SIZE * 5 + 4), QVF_BUFFER_DEVICE, "inputs",
                                        &inputs, NULL) == 0 &&
                        make_program(&compute, &weight, inputs, builder, &program) == 0)
                score = measure(&compute, program);
        if (program)
                backend->program_free(program);
        qvf_compute_buffer_free(&compute, inputs);
        qvf_compute_buffer_free(&compute, weight.buffer);
        return score;
}
