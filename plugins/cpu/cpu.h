/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend from inside: a device has pools of threads, a run of a program has one pool for itself. */
#ifndef QVF_PLUGINS_CPU_CPU_H
#define QVF_PLUGINS_CPU_CPU_H

#include <pthread.h>
#include <sched.h>

#include "plugins/common/program_check.h"
#include "plugins/cpu/kernel.h"

struct cpu_pool;

struct qvf_device {
        struct qvf_host host;
        unsigned n_threads;
        bool spare_cpus; /* there are more CPUs than threads: a waiting host may spin */
        bool crowded;    /* there are more threads than CPUs: a waiting thread sleeps at once */
        unsigned levels; /* which of cpu_levels[] may be used, one bit each */
        int event_fd;

        /* Guards what follows, and the states of the programs. Held for moments only. */
        pthread_mutex_t mutex;
        pthread_cond_t changed; /* some program's state */
        unsigned events;        /* states that wait() has not told yet */
        struct cpu_pool *pools;
};

struct qvf_buffer {
        struct qvf_device *device;
        void *memory;
        uint64_t bytes;
        bool imported;
};

struct cpu_step { /* an operation, ready to run */
        struct qvf_op op;
        struct cpu_kernel kernel;
        struct cpu_operand operand[QVF_OP_OPERANDS];
        uint32_t all_rows; /* R with QVF_ROWS_ALL */
        uint64_t scratch_bytes;
        struct {               /* groups.c: for few rows and for many */
                bool first;    /* the threads meet before it */
                uint16_t slot; /* its place in its group */
                void *scratch; /* shared by the threads; no other step of its group has it */
        } group[2];
};

#define CPU_GROUP_MOST 32u /* steps */

struct qvf_program {
        struct qvf_device *device;
        uint64_t bytes; /* of this struct with steps and scratch: one allocation */
        uint32_t n_steps;
        struct cpu_step *steps;
        void *scratch;
        struct qvf_program_limits limits;

        struct qvf_args args;
        struct cpu_pool *pool;    /* while a run is under way */
        atomic_int state;         /* enum qvf_run_state; CPU_NEVER_RAN */
        bool untold;              /* the state is one of device->events */
        atomic_bool pause_wanted; /* changed under the mutex */
        atomic_bool abandon;      /* the run ends at the next boundary: nobody wants its result */
};

#define CPU_NEVER_RAN (-1)

/* The levels of this build, the lowest first. */
extern const struct cpu_level *const cpu_levels[];
unsigned cpu_level_count(void);
/* Those that this CPU has and QVF_CPU_LEVEL allows, a bit each; plain is always among them. */
unsigned cpu_level_allowed(const struct qvf_host *host);
const char *cpu_level_highest(unsigned levels); /* its name */
const struct cpu_kernel *cpu_level_find(
                unsigned levels, const struct qvf_op *op, const struct cpu_operand *operands);

/* CPUs that this process may use: its affinity, cut by the CPU quotas of its cgroup and those above. Where some are much
 * slower than others (big.LITTLE) threads are for the fast ones: all wait for the slowest of them. */
struct cpu_choice {
        unsigned threads; /* as many as are sensible */
        unsigned cpus;    /* that can run at a time, slow ones too */
        bool uneven;      /* some are slow */
        cpu_set_t fast;   /* none: not known */
};
struct cpu_choice cpu_choose(void);
/* The same of a machine whose proc and sys lie below `root`. */
struct cpu_choice cpu_choose_below(const char *root, const cpu_set_t *cpus);

void cpu_log(const struct qvf_host *host, int level, const char *format, ...)
                __attribute__((format(printf, 3, 4)));

/* device.c */
int cpu_device_open(const struct qvf_host *host, uint32_t index, const struct qvf_device_options *options,
                struct qvf_device **ret_device);
void cpu_device_close(struct qvf_device *device);
int cpu_device_event_fd(struct qvf_device *device);
int cpu_buffer_new(struct qvf_device *device, uint64_t bytes, uint32_t use, struct qvf_buffer **ret_buffer);
int cpu_buffer_import(struct qvf_device *device, const void *memory, uint64_t bytes,
                struct qvf_buffer **ret_buffer);
void cpu_buffer_free(struct qvf_buffer *buffer);
int cpu_buffer_upload(struct qvf_buffer *buffer, uint64_t offset, const void *bytes, uint64_t length);
int cpu_buffer_download(struct qvf_buffer *buffer, uint64_t offset, void *bytes, uint64_t length);
void *cpu_buffer_map(struct qvf_buffer *buffer);

/* program.c */
int cpu_program_size(struct qvf_device *device, const struct qvf_program_desc *desc, uint64_t *ret_bytes);
int cpu_program_new(struct qvf_device *device, const struct qvf_program_desc *desc,
                struct qvf_program **ret_program);
void cpu_program_free(struct qvf_program *program);

/* groups.c: cuts the steps into groups that need no more scratch than the one that needs most. */
void cpu_group_steps(struct qvf_program *program, uint64_t scratch_bytes);

/* run.c */
int cpu_submit(struct qvf_program *program, const struct qvf_args *args);
int cpu_wait(struct qvf_program *program, int timeout_ms);
int cpu_pause(struct qvf_program *program, bool on);
void cpu_abandon(struct qvf_program *program); /* returns when no thread is in the program any more */
/* A new state of a run; with the mutex held. */
void cpu_tell(struct qvf_program *program, enum qvf_run_state state);

/* pool.c: with the mutex held, but for cpu_pool_free() */
int cpu_pool_get(struct qvf_device *device, struct cpu_pool **ret_pool); /* a free one, or a new one */
void cpu_pool_start(struct cpu_pool *pool, struct qvf_program *program);
void cpu_pool_resume(struct cpu_pool *pool);
struct cpu_pool *cpu_pool_free(struct cpu_pool *pool); /* returns the next one of the device */

#endif
