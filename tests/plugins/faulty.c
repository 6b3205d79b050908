/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend, until it goes wrong. QVF_FAULT says how: "crash", "hang", "lost", "memory", "wrong". QVF_FAULT_AT: at
 * which submission of the process (1: the first), and from then on at each. QVF_FAULT_FILE and QVF_FAULT_TIMES: the
 * file gets a byte for each process that went wrong, and when it has so many, no further one does. It can be tuned: its
 * opening writes what it was given of that into QVF_FAULT_TUNED; QVF_FAULT "tune": the process dies of the tuning. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/cpu/cpu.h"

extern const struct qvf_backend cpu_backend; /* of plugins/cpu/cpu.c, which is compiled under this name */

enum fault { FAULT_NONE, FAULT_CRASH, FAULT_HANG, FAULT_LOST, FAULT_MEMORY, FAULT_WRONG, FAULT_TUNE };

static struct {
        enum fault kind;
        uint64_t at, submissions;
        int file;
        bool counted;
        struct { /* what the last operation of a program writes */
                struct qvf_program *program;
                struct qvf_value value;
        } results[256];
        unsigned n_results;
        bool stuck;
} state = { .file = -1 };

static void read_wishes(void)
{
        static const char *const names[] = { "", "crash", "hang", "lost", "memory", "wrong", "tune" };
        const char *kind = getenv("QVF_FAULT"), *at = getenv("QVF_FAULT_AT"),
                   *file = getenv("QVF_FAULT_FILE"), *times = getenv("QVF_FAULT_TIMES");
        struct stat status;

        for (unsigned i = 1; kind && i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(kind, names[i]) == 0)
                        state.kind = (enum fault)i;
        state.at = at ? strtoull(at, NULL, 10) : 1;
        if (file && state.file < 0) /* now: later it can't be opened any more */
                state.file = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (state.file >= 0 && times && fstat(state.file, &status) == 0 &&
                        status.st_size >= strtoll(times, NULL, 10))
                state.kind = FAULT_NONE;
}

static bool wrong_now(void)
{
        if (state.kind == FAULT_NONE || state.kind == FAULT_TUNE || state.submissions < state.at)
                return false;
        if (!state.counted && state.file >= 0 && write(state.file, "x", 1) < 0)
                abort();
        state.counted = true;
        return true;
}

static int faulty_probe(const struct qvf_host *host, struct qvf_device_info *infos, uint32_t capacity,
                uint32_t *ret_count)
{
        int r = cpu_backend.probe(host, infos, capacity, ret_count);

        if (r < 0 || *ret_count == 0)
                return r;
        strcpy(infos[0].id, "faulty");
        strcpy(infos[0].name, "A CPU that goes wrong");
        infos[0].kind = QVF_DEVICE_DISCRETE; /* so that it is preferred */
        return 0;
}

static int faulty_open(const struct qvf_host *host, uint32_t index, const struct qvf_device_options *options,
                struct qvf_device **ret_device)
{
        const char *path = getenv("QVF_FAULT_TUNED");
        FILE *file = path && options->tuning && options->tuning[0] ? fopen(path, "w") : NULL;

        if (file) {
                fputs(options->tuning, file);
                fclose(file);
        }
        read_wishes();
        return cpu_device_open(host, index, options, ret_device);
}

static int faulty_tune(struct qvf_device *device, const struct qvf_tuning_options *options,
                char ret_text[QVF_TUNING_BYTES])
{
        (void)device;
        if (state.kind == FAULT_TUNE)
                abort();
        snprintf(ret_text, QVF_TUNING_BYTES, "budget %u ms\nverily\n", options->budget_ms);
        return 0;
}

static int faulty_pack_size(struct qvf_device *device, const struct qvf_weight *weight, uint64_t *ret_bytes)
{
        return cpu_backend.pack_size(device, weight, ret_bytes);
}

static int faulty_pack(struct qvf_device *device, const struct qvf_weight *weight, void *packed)
{
        return cpu_backend.pack(device, weight, packed);
}

static int faulty_program_new(struct qvf_device *device, const struct qvf_program_desc *desc,
                struct qvf_program **ret_program)
{
        int r = cpu_program_new(device, desc, ret_program);
        const struct qvf_op *last = &desc->ops[desc->n_ops - 1];

        if (r == 0) {
                unsigned slot = state.n_results++ % 256;

                for (unsigned i = 0; i < 256; i++) /* another program stood at this address before */
                        if (state.results[i].program == *ret_program)
                                state.results[i].program = NULL;
                state.results[slot].program = *ret_program;
                state.results[slot].value = desc->values[last->operand[0]];
        }
        return r;
}

static int faulty_submit(struct qvf_program *program, const struct qvf_args *args)
{
        state.submissions++;
        if (wrong_now() && state.kind == FAULT_CRASH)
                abort();
        if (wrong_now() && state.kind == FAULT_HANG) {
                state.stuck = true;
                return 0;
        }
        return cpu_submit(program, args);
}

static void spoil(struct qvf_program *program)
{
        for (unsigned i = 0; i < state.n_results && i < 256; i++) {
                const struct qvf_value *value = &state.results[i].value;
                char *numbers;

                if (state.results[i].program != program ||
                                (value->dtype != QVF_F32 && value->dtype != QVF_I32))
                        continue;
                numbers = (char *)cpu_buffer_map(value->buffer) + value->offset;
                for (uint64_t n = 0; n < (uint64_t)value->rows * value->columns; n++)
                        if (value->dtype == QVF_F32)
                                ((float *)(void *)numbers)[n] = NAN;
                        else
                                ((int32_t *)(void *)numbers)[n] =
                                                -1; /* as DRAW has it where there are no numbers */
        }
}

static int faulty_wait(struct qvf_program *program, int timeout_ms)
{
        int r;

        if (state.stuck) {
                if (timeout_ms < 0)
                        for (;;)
                                pause();
                usleep((useconds_t)timeout_ms * 1000);
                return QVF_RUN_GOING;
        }
        r = cpu_wait(program, timeout_ms);
        if (r != QVF_RUN_DONE || !wrong_now())
                return r;
        if (state.kind == FAULT_WRONG)
                spoil(program);
        return state.kind == FAULT_LOST     ? QVF_RUN_DEVICE_LOST
               : state.kind == FAULT_MEMORY ? QVF_RUN_OUT_OF_MEMORY
                                            : r;
}

extern const struct qvf_backend qvf_backend;

__attribute__((visibility("default"))) const struct qvf_backend qvf_backend = {
        .magic = QVF_BACKEND_MAGIC,
        .abi = QVF_BACKEND_ABI,
        .size = sizeof(qvf_backend),
        .name = "faulty",
        .version = QVF_VERSION,
        .probe = faulty_probe,
        .device_open = faulty_open,
        .device_close = cpu_device_close,
        .event_fd = cpu_device_event_fd,
        .buffer_new = cpu_buffer_new,
        .buffer_import = cpu_buffer_import,
        .buffer_free = cpu_buffer_free,
        .buffer_upload = cpu_buffer_upload,
        .buffer_download = cpu_buffer_download,
        .buffer_map = cpu_buffer_map,
        .pack_size = faulty_pack_size,
        .pack = faulty_pack,
        .program_size = cpu_program_size,
        .program_new = faulty_program_new,
        .program_free = cpu_program_free,
        .submit = faulty_submit,
        .wait = faulty_wait,
        .pause = cpu_pause,
        .tune = faulty_tune,
};
