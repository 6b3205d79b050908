/* SPDX-License-Identifier: Apache-2.0 */
/* One case: the same operands for the plain kernel and for the device. All operands of a case stand in one buffer
 * with strips of known bytes between them, so that a kernel that writes past an operand is seen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "engine/conformance/internal.h"
#include "engine/program/builder.h"

#define ALIGNMENT 256u
#define STRIP_BYTES 256u
#define STRIP_BYTE 0xa5
#define RUN_LIMIT_MS 60000

struct image { /* the operands' bytes */
        size_t bytes;
        size_t offset[QVF_OP_OPERANDS];
        size_t length[QVF_OP_OPERANDS];
        char *before, *plain, *device, *again;
};

static void image_exit(struct image *image)
{
        free(image->before);
        free(image->plain);
        free(image->device);
        free(image->again);
}

/* Only the HEAD_LOSS scratch: what is left in it means nothing. */
static bool is_scratch(const struct conformance_case *test, unsigned operand)
{
        return test->op.kind == QVF_OP_HEAD_LOSS && operand == 3;
}

static struct cpu_operand operand_of(const struct conformance_operand *o, void *data)
{
        return (struct cpu_operand){
                .data = o->present ? data : NULL,
                .rows = o->rows,
                .columns = o->columns,
                .dtype = o->dtype,
                .block_scales = o->block_scales,
                .scale = o->scale,
        };
}

/* The backward pass of attention reads what the forward pass wrote. */
static int prepare(const struct conformance_run *run)
{
        const struct cpu_operand *o = run->before;
        const struct cpu_operand forward[QVF_OP_OPERANDS] = { o[3], o[4], o[5], o[6], o[7], o[8] };
        struct qvf_op op = run->test->op;

        if (op.kind != QVF_OP_ATTENTION_TRAIN_BACKWARD)
                return 0;
        op.kind = QVF_OP_ATTENTION_TRAIN;
        return qvf_conformance_plain(&op, &run->test->args, run->test->rows, forward);
}

static int image_init(struct image *image, struct conformance_run *run, uint64_t seed)
{
        const struct conformance_case *test = run->test;
        int r;

        image->bytes = STRIP_BYTES;
        for (unsigned i = 0; i < run->n_operands; i++) {
                struct cpu_operand operand = operand_of(&test->operand[i], NULL);

                image->offset[i] = image->bytes;
                image->length[i] = test->operand[i].present ? qvf_conformance_bytes(&operand) : 0;
                image->bytes += (image->length[i] + STRIP_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        if (posix_memalign((void **)&image->before, ALIGNMENT, image->bytes) != 0 ||
                        posix_memalign((void **)&image->plain, ALIGNMENT, image->bytes) != 0 ||
                        posix_memalign((void **)&image->device, ALIGNMENT, image->bytes) != 0 ||
                        posix_memalign((void **)&image->again, ALIGNMENT, image->bytes) != 0)
                return -ENOMEM;
        memset(image->before, STRIP_BYTE, image->bytes);
        for (unsigned i = 0; i < run->n_operands; i++)
                if (test->operand[i].present)
                        qvf_conformance_fill(&seed, &test->operand[i], image->before + image->offset[i]);
        for (unsigned i = 0; i < run->n_operands; i++) {
                run->before[i] = operand_of(&test->operand[i], image->before + image->offset[i]);
                run->plain[i] = operand_of(&test->operand[i], image->plain + image->offset[i]);
                run->device[i] = operand_of(&test->operand[i], image->device + image->offset[i]);
        }
        r = prepare(run);
        memcpy(image->plain, image->before, image->bytes);
        return r;
}

int qvf_conformance_plain(const struct qvf_op *op, const struct qvf_args *args, uint32_t rows,
                const struct cpu_operand *operands)
{
        const struct cpu_kernel *kernel = &cpu_level_plain.entries[op->kind].kernel;
        size_t bytes = kernel->scratch_bytes ? kernel->scratch_bytes(op, operands, 1) : 0;
        _cleanup_free_ void *scratch = NULL;
        atomic_uint next = 0;
        struct cpu_call call = { .op = op, .args = args, .rows = rows, .n_threads = 1, .next = &next };

        if (posix_memalign(&scratch, 64, bytes + 64) != 0)
                return -ENOMEM;
        memcpy(call.operand, operands, sizeof(call.operand));
        call.scratch = scratch;
        kernel->run(&call);
        return 0;
}

struct on_device {
        const struct qvf_backend *backend;
        struct qvf_buffer *buffer, *weight;
        struct qvf_program *program;
        struct qvf_value values[QVF_OP_OPERANDS];
        struct qvf_op op;
};

static void on_device_exit(struct on_device *self)
{
        self->backend->program_free(self->program);
        self->backend->buffer_free(self->weight);
        self->backend->buffer_free(self->buffer);
}

/* Which operand a model file may hold, and a backend may lay out anew; -1: none. */
static int weight_operand(unsigned kind)
{
        switch (kind) {
        case QVF_OP_EMBED:
        case QVF_OP_MATMUL:
        case QVF_OP_MATMUL_BACKWARD:
        case QVF_OP_MATMUL_TERNARY_BACKWARD: return 2;
        case QVF_OP_MATMUL_TERNARY: return 3;
        case QVF_OP_HEAD_LOSS: return 5;
        default: return -1;
        }
}

/* Gives the backend's own layout to a weight where it has one. F32 weights may be trained: they stay as they are. */
static int pack_weight(
                const struct conformance *self, const struct conformance_run *run, struct on_device *on)
{
        int i = weight_operand(run->test->op.kind);
        _cleanup_free_ void *packed = NULL;
        struct qvf_weight weight = { .size = sizeof(weight) };
        uint64_t bytes = 0;
        int r;

        if (i < 0 || run->before[i].dtype == QVF_F32)
                return 0;
        weight.dtype = run->before[i].dtype;
        weight.rows = run->before[i].rows;
        weight.columns = run->before[i].columns;
        weight.scale = run->before[i].scale;
        weight.block_scales = run->before[i].block_scales;
        weight.data = run->before[i].data;
        weight.bytes = qvf_conformance_bytes(&run->before[i]);
        r = self->backend->pack_size(self->device, &weight, &bytes);
        if (r < 0 || bytes == 0)
                return r;
        if (posix_memalign(&packed, ALIGNMENT, bytes) != 0)
                return -ENOMEM;
        r = self->backend->pack(self->device, &weight, packed);
        if (r == 0)
                r = self->backend->buffer_new(self->device, bytes, QVF_BUFFER_DEVICE, &on->weight);
        if (r == 0)
                r = self->backend->buffer_upload(on->weight, 0, packed, bytes);
        if (r < 0)
                return r;
        on->values[i].buffer = on->weight;
        on->values[i].offset = 0;
        on->values[i].packed = 1;
        return 0;
}

static int build(const struct conformance *self, const struct conformance_run *run,
                const struct image *image, struct on_device *on)
{
        struct qvf_program_desc desc = { sizeof(desc), run->n_operands, 1, on->values, &on->op,
                "conformance" };
        uint64_t bytes;
        int r = self->backend->buffer_new(self->device, image->bytes, QVF_BUFFER_DEVICE, &on->buffer);

        if (r < 0)
                return r;
        on->op = run->test->op;
        for (unsigned i = 0; i < QVF_OP_OPERANDS; i++) {
                const struct conformance_operand *o = &run->test->operand[i];

                on->op.operand[i] = o->present ? (uint16_t)i : QVF_NONE;
                on->values[i] = (struct qvf_value){ on->buffer, image->offset[i], o->rows, o->columns,
                        o->dtype, 0, o->block_scales, o->scale, 0 };
        }
        r = pack_weight(self, run, on);
        if (r == 0)
                r = self->backend->program_size(self->device, &desc, &bytes);
        if (r == 0)
                r = self->backend->program_new(self->device, &desc, &on->program);
        return r;
}

static int run_once(const struct conformance *self, const struct conformance_run *run,
                const struct image *image, struct on_device *on, char *result)
{
        int r = self->backend->buffer_upload(on->buffer, 0, image->before, image->bytes);

        if (r == 0)
                r = self->backend->submit(on->program, &run->test->args);
        if (r < 0)
                return r;
        r = self->backend->wait(on->program, RUN_LIMIT_MS);
        if (r != QVF_RUN_DONE)
                return r < 0 ? r : -EIO;
        r = self->backend->buffer_download(on->buffer, 0, result, image->bytes);
        for (unsigned i = 0; i < run->n_operands; i++)
                if (is_scratch(run->test, i))
                        memcpy(result + image->offset[i], image->before + image->offset[i],
                                        image->length[i]);
        return r;
}

static int run_on_device(
                const struct conformance *self, const struct conformance_run *run, const struct image *image)
{
        _cleanup_(on_device_exit) struct on_device on = { .backend = self->backend };
        int r = build(self, run, image, &on);

        if (r == 0)
                r = run_once(self, run, image, &on, image->device);
        if (r == 0)
                r = run_once(self, run, image, &on, image->again);
        return r;
}

/* What stands between the operands must be as it was. */
static bool strips_whole(const struct image *image, unsigned n_operands)
{
        size_t at = 0;

        for (unsigned i = 0; i <= n_operands; i++) {
                size_t end = i < n_operands ? image->offset[i] : image->bytes;

                for (; at < end; at++)
                        if ((unsigned char)image->device[at] != STRIP_BYTE)
                                return false;
                at = end + (i < n_operands ? image->length[i] : 0);
        }
        return true;
}

static int judge(struct conformance_run *run, const struct image *image)
{
        for (unsigned i = 0; i < run->n_operands; i++) {
                int r;

                if (!run->test->operand[i].present || is_scratch(run->test, i))
                        continue;
                r = qvf_conformance_compare(run, i);
                if (r < 0)
                        return r;
                qvf_conformance_count_bits(run, i);
        }
        if (!run->text[0] && !strips_whole(image, run->n_operands))
                snprintf(run->text, sizeof(run->text), "it wrote past the end of an operand");
        if (!run->text[0] && memcmp(image->device, image->again, image->bytes) != 0)
                snprintf(run->text, sizeof(run->text), "a second run gave other bits");
        return 0;
}

static void digest(struct conformance *self, const struct image *image)
{
        uint64_t hash = self->summary.digest;

        for (size_t i = 0; i < image->bytes; i++)
                hash = (hash ^ (unsigned char)image->device[i]) * 0x100000001b3u; /* FNV-1a */
        self->summary.digest = hash;
}

void qvf_conformance_check(struct conformance *self, const struct conformance_case *test)
{
        struct conformance_run run = { .test = test, .n_operands = qvf_op_operand_count(test->op.kind) };
        const char *name = qvf_op_name(test->op.kind);
        uint64_t seed = qvf_conformance_random(&self->random);
        _cleanup_(image_exit) struct image image = { 0 };
        struct qvf_conformance_case result;
        int r;

        if (self->failure < 0 || (self->options->op && strcmp(self->options->op, name) != 0))
                return;
        r = image_init(&image, &run, seed);
        if (r == 0)
                r = run_on_device(self, &run, &image);
        if (r == 0)
                r = qvf_conformance_plain(&test->op, &test->args, test->rows, run.plain);
        if (r == 0)
                r = judge(&run, &image);
        if (r == -ENOMEM || r == -EIO) {
                self->failure = qvf_error_set(
                                self->error, r, "%s, %s: the device could not run it", name, test->what);
                return;
        }
        if (r < 0)
                snprintf(run.text, sizeof(run.text), "the device refused it: %s", strerror(-r));
        else
                digest(self, &image);
        result = (struct qvf_conformance_case){ name, test->what, !run.text[0], run.worst, run.text,
                run.bits };
        self->summary.bits[test->op.kind].numbers += run.bits.numbers;
        self->summary.bits[test->op.kind].differing += run.bits.differing;
        self->summary.cases++;
        self->summary.failures += !result.passed;
        if (self->report)
                self->report(self->context, &result);
}

int qvf_conformance_run(const struct qvf_backend *backend, struct qvf_device *device,
                const struct qvf_conformance_options *options, qvf_conformance_report report, void *context,
                struct qvf_conformance_summary *ret_summary, struct qvf_error *error)
{
        struct conformance self = {
                .backend = backend,
                .device = device,
                .options = options,
                .report = report,
                .context = context,
                .random = options->seed,
                .summary = { .digest = 0xcbf29ce484222325u },
                .error = error,
        };

        qvf_conformance_movement_cases(&self);
        qvf_conformance_forward_cases(&self);
        qvf_conformance_training_cases(&self);
        if (self.failure == 0 && self.summary.cases == 0)
                return qvf_error_set(error, -EINVAL, "'%s' is no operation", options->op ? options->op : "");
        if (self.failure == 0)
                *ret_summary = self.summary;
        return self.failure;
}
