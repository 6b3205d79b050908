/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that go through a program together, operation after operation.
 *
 * A paused run keeps its threads: they stand where they were, in the middle of a kernel perhaps. Another run
 * then gets another pool. `progress` says how many threads have come to the barrier and how many stand at a
 * pause point: a run is paused once these are all of them. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plugins/cpu/cpu.h"

#define MOST_POOLS 8u
#define STACK_BYTES ((size_t)512 << 10)
/* How long a thread looks before it sleeps. Threads of one operation end within microseconds of each other, and
 * to sleep and to be woken costs some ten; a thread whose CPU another process has is not worth waiting for. */
#define SPIN_NS 25000
#define PAUSED_ONE (1u << 16)

struct cpu_pool {
        struct qvf_device *device;
        struct cpu_pool *next;
        struct qvf_program *program; /* whose run has the pool; NULL: free */
        unsigned n_threads;
        bool quit;
        bool stop; /* the run was abandoned: written by the last thread at the end of a step, before the
                      others go on */
        unsigned resumes;       /* how often a pause ended */
        pthread_cond_t resumed; /* with the device's mutex */

        /* What the threads write all the time, each in a cache line of its own. */
        _Alignas(64) atomic_uint jobs; /* counts runs; a futex */
        _Alignas(64) atomic_uint progress;
        _Alignas(64) atomic_uint rounds; /* counts barriers; a futex */
        atomic_uint sleepers;            /* on either futex */
        _Alignas(64) atomic_uint next_work;
        struct cpu_worker {
                struct cpu_pool *pool;
                unsigned index;
                pthread_t thread;
        } workers[];
};

static size_t pool_bytes(unsigned n_threads)
{
        return sizeof(struct cpu_pool) + n_threads * sizeof(struct cpu_worker);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
}

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Returns when *word is not `old` any more. */
static void wait_change(struct cpu_pool *pool, atomic_uint *word, unsigned old)
{
        uint64_t end = pool->device->crowded ? 0 : now_ns() + SPIN_NS;

        do {
                for (unsigned i = 0; i < 64; i++) { /* between two looks at the clock */
                        if (atomic_load_explicit(word, memory_order_acquire) != old)
                                return;
                        relax();
                }
        } while (end > 0 && now_ns() < end);
        atomic_fetch_add(&pool->sleepers, 1);
        while (atomic_load(word) == old)
                syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
        atomic_fetch_sub(&pool->sleepers, 1);
}

static void change(struct cpu_pool *pool, atomic_uint *word)
{
        atomic_fetch_add(word, 1);
        if (atomic_load(&pool->sleepers))
                syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Stands still until the run is resumed; with the mutex held. */
static void stand(struct cpu_pool *pool)
{
        unsigned resumes = pool->resumes;

        while (pool->resumes == resumes)
                pthread_cond_wait(&pool->resumed, &pool->device->mutex);
}

static bool all_stand(const struct cpu_pool *pool)
{
        unsigned progress = atomic_load(&pool->progress);

        return progress / PAUSED_ONE > 0 && progress / PAUSED_ONE + progress % PAUSED_ONE == pool->n_threads;
}

static void pause_point(const struct cpu_call *call)
{
        struct cpu_pool *pool = call->context;
        struct qvf_program *program = pool->program;

        pthread_mutex_lock(&pool->device->mutex);
        if (atomic_load(&program->pause_wanted)) {
                atomic_fetch_add(&pool->progress, PAUSED_ONE);
                if (all_stand(pool))
                        cpu_tell(program, QVF_RUN_PAUSED);
                stand(pool); /* cpu_pool_resume() takes it out of `progress` again */
        }
        pthread_mutex_unlock(&pool->device->mutex);
}

/* Every thread has come to the barrier: the one place where a run can stop without standing inside a kernel.
 */
static void pause_at_barrier(struct cpu_pool *pool)
{
        struct qvf_program *program = pool->program;

        if (!atomic_load_explicit(&program->pause_wanted, memory_order_relaxed))
                return;
        pthread_mutex_lock(&pool->device->mutex);
        while (atomic_load(&program->pause_wanted)) {
                cpu_tell(program, QVF_RUN_PAUSED);
                stand(pool);
        }
        pthread_mutex_unlock(&pool->device->mutex);
}

/* Counts a thread that waits for the others or is through with the run; true for the last one. */
static bool arrive(struct cpu_pool *pool)
{
        unsigned progress = atomic_fetch_add(&pool->progress, 1) + 1;

        if (progress == pool->n_threads)
                return true;
        if (progress / PAUSED_ONE + progress % PAUSED_ONE ==
                        pool->n_threads) { /* the others stand at pause points */
                pthread_mutex_lock(&pool->device->mutex);
                if (all_stand(pool) && atomic_load(&pool->program->state) == QVF_RUN_GOING)
                        cpu_tell(pool->program, QVF_RUN_PAUSED);
                pthread_mutex_unlock(&pool->device->mutex);
        }
        return false;
}

static void meet(struct cpu_pool *pool, bool end_of_step)
{
        unsigned round = atomic_load_explicit(&pool->rounds, memory_order_relaxed);

        if (!arrive(pool)) {
                wait_change(pool, &pool->rounds, round);
                return;
        }
        pause_at_barrier(pool);
        atomic_store_explicit(&pool->progress, 0, memory_order_relaxed);
        if (end_of_step) {
                atomic_store_explicit(&pool->next_work, 0, memory_order_relaxed);
                pool->stop = atomic_load(&pool->program->abandon);
        }
        change(pool, &pool->rounds);
}

static void barrier(const struct cpu_call *call)
{
        meet(call->context, false);
}

static uint32_t rows_of(const struct cpu_step *step, const struct qvf_args *args)
{
        switch (step->op.rows) {
        case QVF_ROWS_INPUT: return args->rows;
        case QVF_ROWS_OUTPUT: return args->output_rows;
        default: return step->all_rows;
        }
}

static void run_program(struct cpu_pool *pool, unsigned thread)
{
        struct qvf_program *program = pool->program;
        struct cpu_call call = {
                .args = &program->args,
                .thread = thread,
                .n_threads = pool->n_threads,
                .scratch = program->scratch,
                .barrier = barrier,
                .next = &pool->next_work,
                .pause_wanted = &program->pause_wanted,
                .pause = pause_point,
                .context = pool,
        };

        for (uint32_t i = 0; i < program->n_steps && !pool->stop; i++) {
                const struct cpu_step *step = &program->steps[i];

                call.op = &step->op;
                memcpy(call.operand, step->operand, sizeof(call.operand));
                call.rows = rows_of(step, &program->args);
                /* No rows, nothing to do, but for the one result that has no rows of them. */
                if (call.rows > 0 || step->op.kind == QVF_OP_MATMUL_WEIGHT_BACKWARD)
                        step->kernel.run(&call);
                if (i + 1 < program->n_steps)
                        meet(pool, true);
        }
}

static void *worker_main(void *argument)
{
        struct cpu_worker *worker = argument;
        struct cpu_pool *pool = worker->pool;
        unsigned seen = 0;

        for (;;) {
                wait_change(pool, &pool->jobs, seen);
                seen++;
                if (pool->quit)
                        return NULL;
                run_program(pool, worker->index);
                if (!arrive(pool))
                        continue;
                pthread_mutex_lock(&pool->device->mutex);
                pool->program->pool = NULL;
                cpu_tell(pool->program, QVF_RUN_DONE);
                pool->program = NULL;
                pthread_mutex_unlock(&pool->device->mutex);
        }
}

static int start_threads(struct cpu_pool *pool)
{
        sigset_t all, before;
        pthread_attr_t attributes;
        int r = 0;

        /* Signals are for the host's own thread. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        for (unsigned i = 0; i < pool->device->n_threads && r == 0; i++) {
                pool->workers[i] = (struct cpu_worker){ .pool = pool, .index = i };
                r = pthread_create(&pool->workers[i].thread, &attributes, worker_main, &pool->workers[i]);
                if (r == 0) {
                        pthread_setname_np(pool->workers[i].thread, "qvf-cpu");
                        pool->n_threads++;
                }
        }
        pthread_attr_destroy(&attributes);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return -r;
}

int cpu_pool_get(struct qvf_device *device, struct cpu_pool **ret_pool)
{
        struct cpu_pool *pool, *free_pool = NULL;
        unsigned count = 0;
        int r;

        for (pool = device->pools; pool; pool = pool->next) {
                count++;
                if (!pool->program)
                        free_pool = pool;
                else if (atomic_load(&pool->program->state) != QVF_RUN_PAUSED)
                        return -EBUSY;
        }
        if (free_pool) {
                *ret_pool = free_pool;
                return 0;
        }
        if (count == MOST_POOLS)
                return -EBUSY;
        pool = device->host.alloc(device->host.context, pool_bytes(device->n_threads), 64);
        if (!pool)
                return -ENOMEM;
        memset(pool, 0, pool_bytes(device->n_threads));
        pool->device = device;
        pthread_cond_init(&pool->resumed, NULL);
        r = start_threads(pool);
        if (r < 0) {
                cpu_pool_free(pool);
                return r;
        }
        pool->next = device->pools;
        device->pools = pool;
        *ret_pool = pool;
        return 0;
}

void cpu_pool_start(struct cpu_pool *pool, struct qvf_program *program)
{
        pool->program = program;
        pool->stop = false;
        atomic_store(&pool->progress, 0);
        atomic_store(&pool->next_work, 0);
        change(pool, &pool->jobs);
}

void cpu_pool_resume(struct cpu_pool *pool)
{
        atomic_fetch_and(&pool->progress, PAUSED_ONE - 1);
        pool->resumes++;
        pthread_cond_broadcast(&pool->resumed);
}

struct cpu_pool *cpu_pool_free(struct cpu_pool *pool)
{
        struct cpu_pool *next;

        if (!pool)
                return NULL;
        next = pool->next;
        pool->quit = true;
        change(pool, &pool->jobs);
        for (unsigned i = 0; i < pool->n_threads; i++)
                pthread_join(pool->workers[i].thread, NULL);
        pthread_cond_destroy(&pool->resumed);
        pool->device->host.free(pool->device->host.context, pool, pool_bytes(pool->device->n_threads));
        return next;
}
