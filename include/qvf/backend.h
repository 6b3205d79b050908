/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend plugin is. The plugin exports one const symbol, `qvf_backend`; the host reads its first four
 * fields before it calls anything in it. Every struct starts with its size: the side that made it says how much of
 * it is there. Functions return 0 or a negative errno and are called from one thread. A plugin is never unloaded. */
#ifndef QVF_BACKEND_H
#define QVF_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qvf/dtype.h"
#include "qvf/ops.h"

#define QVF_BACKEND_MAGIC "QVFBACK" /* with its NUL: 8 bytes */
#define QVF_BACKEND_ABI 1u
#define QVF_BACKEND_SYMBOL "qvf_backend"

struct qvf_device;  /* an opened device */
struct qvf_buffer;  /* a run of bytes that the device can read and write */
struct qvf_program; /* a compiled list of operations */

struct qvf_host { /* what the host lends to the plugin */
        uint32_t size;
        void *context;
        void (*log)(void *context, int level, const char *line); /* level: 0 error … 3 debug */
        void *(*alloc)(void *context, size_t bytes, size_t alignment);
        void (*free)(void *context, void *memory, size_t bytes);
};

enum qvf_device_kind { QVF_DEVICE_CPU, QVF_DEVICE_INTEGRATED, QVF_DEVICE_DISCRETE, QVF_DEVICE_SOFTWARE };

struct qvf_device_info {
        uint32_t size;
        uint32_t kind;
        char id[64];      /* stable over boots: records and configuration name the device by it */
        char name[128];   /* for people */
        char driver[128]; /* name and version: a self-test holds for one of these */
        uint64_t memory_bytes, memory_free_bytes; /* free 0: unknown, the host's MemAvailable counts */
        uint64_t largest_buffer_bytes;
        uint32_t import_alignment; /* of host memory for buffer_import; 0: it can't */
        uint32_t layout_version;   /* of what pack() writes: part of the cache's key */
        uint32_t unified_memory;   /* 1: the host's memory is the device's */
};

struct qvf_device_options {
        uint32_t size;
        uint32_t threads;       /* 0: as many as the device finds sensible; CPU only */
        uint32_t submission_ms; /* longest piece of work between two looks at pause; 0: 100 */
        int32_t cache_folder; /* descriptor of a folder for compiled shaders and the like; 0: nothing is kept */
        const char *tuning; /* what tune() gave for this device and driver; NULL: what the cache folder has */
};

#define QVF_TUNING_BYTES 2048u /* of a tuning's text, with its NUL */

struct qvf_tuning_row { /* one way to do a thing, as it was measured */
        uint32_t size;
        uint32_t chosen;
        const char *what, *way; /* they and note hold during the call */
        double ms;              /* 0: not measured, and note says why */
        const char *note;
};

struct qvf_tuning_options {
        uint32_t size;
        uint32_t budget_ms; /* about so long does the device work; with compiling, five times that at most */
        void *context;
        void (*tell)(void *context,
                        const struct qvf_tuning_row *row); /* as it goes on; NULL: nobody looks */
};

struct qvf_weight { /* a constant matrix as a model file holds it */
        uint32_t size;
        uint32_t dtype;
        uint32_t rows, columns; /* ternary: columns is a multiple of QVF_TERNARY_BLOCK */
        float scale;            /* of the whole tensor; ternary block scales are equal to it, or 0 */
        uint32_t block_scales;  /* 1: ternary block scales differ, and scale multiplies them */
        const void *data;
        uint64_t bytes;
};

struct qvf_value { /* a matrix that operations read or write */
        struct qvf_buffer *buffer;
        uint64_t offset;
        uint32_t rows, columns;
        uint32_t dtype;
        uint32_t packed;       /* 1: a weight in the backend's own layout */
        uint32_t block_scales; /* as in qvf_weight */
        float scale;
        uint32_t temporary; /* 1: nobody but the program's operations looks at it, and one writes it first */
};

struct qvf_op {
        uint16_t kind, rows, flags; /* enum qvf_op_kind, qvf_rows, qvf_op_flags */
        uint16_t operand[QVF_OP_OPERANDS];
        int32_t i[4];
        float f[4];
};

struct qvf_program_desc {
        uint32_t size;
        uint32_t n_values, n_ops;
        const struct qvf_value *values;
        const struct qvf_op *ops;
        const char *name; /* for logs */
};

struct qvf_args { /* what changes from run to run; may be sent to the device as it is */
        uint32_t size;
        uint32_t rows, output_rows;
        uint32_t step;
        uint64_t seed;
        float learning_rate, clip, loss_scale;
};

enum qvf_buffer_use {
        QVF_BUFFER_DEVICE,  /* what the device works on */
        QVF_BUFFER_RESULTS, /* what it writes and the host reads after each run */
};

enum qvf_run_state { /* wait() returns one of these or a negative errno */
        QVF_RUN_DONE,
        QVF_RUN_GOING,         /* the time-out passed first */
        QVF_RUN_PAUSED,        /* at a boundary, as asked; go on with pause(program, false) */
        QVF_RUN_DEVICE_LOST,   /* the device can't be used by this process any more */
        QVF_RUN_HUNG,          /* the device does not answer: likewise */
        QVF_RUN_OUT_OF_MEMORY, /* nothing was lost but this run */
};

struct qvf_backend {
        char magic[8];
        uint32_t abi;
        uint32_t size;
        char name[16]; /* "cpu", "vulkan", … */
        char version[32];

        /* Fills up to `capacity` infos, the best device first. Must work without opening anything for long. */
        int (*probe)(const struct qvf_host *host, struct qvf_device_info *infos, uint32_t capacity,
                        uint32_t *ret_count);
        int (*device_open)(const struct qvf_host *host, uint32_t index,
                        const struct qvf_device_options *options, struct qvf_device **ret_device);
        void (*device_close)(struct qvf_device *device); /* buffers and programs are gone by then */
        /* Readable when a run ended or paused; wait() with time-out 0 then says which, and clears it. */
        int (*event_fd)(struct qvf_device *device);

        /* Zeroed. `use` is an enum qvf_buffer_use: a hint where it should stand, and no more. */
        int (*buffer_new)(struct qvf_device *device, uint64_t bytes, uint32_t use,
                        struct qvf_buffer **ret_buffer);
        /* Uses host memory as it stands, without a copy; -ENOTSUP where the device can't. Read-only memory is fine
         * for weights. */
        int (*buffer_import)(struct qvf_device *device, const void *memory, uint64_t bytes,
                        struct qvf_buffer **ret_buffer);
        void (*buffer_free)(struct qvf_buffer *buffer);
        int (*buffer_upload)(struct qvf_buffer *buffer, uint64_t offset, const void *bytes, uint64_t length);
        int (*buffer_download)(struct qvf_buffer *buffer, uint64_t offset, void *bytes, uint64_t length);
        /* NULL: not mappable; coherent while no run is going. */
        void *(*buffer_map)(struct qvf_buffer *buffer);

        /* Bytes that pack() will write; 0: the file's layout is used as it is. Looks at no data: it may be NULL. */
        int (*pack_size)(struct qvf_device *device, const struct qvf_weight *weight, uint64_t *ret_bytes);
        int (*pack)(struct qvf_device *device, const struct qvf_weight *weight, void *packed_in_host_memory);

        /* Memory that program_new will take beyond the values' buffers. */
        int (*program_size)(
                        struct qvf_device *device, const struct qvf_program_desc *desc, uint64_t *ret_bytes);
        int (*program_new)(struct qvf_device *device, const struct qvf_program_desc *desc,
                        struct qvf_program **ret_program);
        void (*program_free)(struct qvf_program *program);

        /* Starts a run and returns at once. Runs of several programs may be under way, but all of them except one
         * must be paused; a program has at most one. */
        int (*submit)(struct qvf_program *program, const struct qvf_args *args);
        int (*wait)(struct qvf_program *program, int timeout_ms); /* -1: no limit */
        /* on: the run stops at the next boundary, within submission_ms; off: it goes on from there. */
        int (*pause)(struct qvf_program *program, bool on);

        /* From here on a plugin may be made for an older host, or have NULL: ask qvf_backend_can_tune() (loader.h).
         * Measures on an opened device that has no program which way to do things is the fastest here, and writes it as a
         * text that a later device_open() takes. No way changes a result. With a cache folder it is kept there too. */
        int (*tune)(struct qvf_device *device, const struct qvf_tuning_options *options,
                        char ret_text[QVF_TUNING_BYTES]);
};

#endif
