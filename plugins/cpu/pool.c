/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that go through a program together, operation after operation.
 *
 * A paused run keeps its threads: they stand where they were, in the middle of a kernel perhaps. Another run
 * then gets another pool. `progress` says how many threads have come to the barrier and how many stand at a
 * pause point: a run is paused once these are all of them. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plugins/cpu/cpu.h"

#define MOST_POOLS 8u
#define STACK_BYTES ((size_t)512 << 10)
/* How long a thread looks before it sleeps. Threads of one group of steps end within microseconds of each other, and to
 * sleep and to wake 15 others costs some twenty; a thread whose CPU another process has is not worth waiting for. So a
 * thread looks long where its last wait was over within that time, and shortly where it was not. */
#define SPIN_NS 25000
#define SPIN_LONG_NS 100000
#define STRIP_NUMBERS 4096u  /* of the widest operand of a strip of rows: 16 KiB */
#define STRIPS_FROM 0x40000u /* numbers of a thread's share: 1 MiB */
#define PAUSED_ONE (1u << 16)
#define PINNED_ROWS 8u /* the most rows of a run whose steps are short */

struct cpu_pool {
        struct qvf_device *device;
        struct cpu_pool *next;
        struct qvf_program *program; /* whose run has the pool; NULL: free */
        unsigned n_threads;
        bool quit;
        cpu_set_t cpus; /* those that the threads may have */
        bool only_fast; /* not all that the process may have */
        bool a_cpu_each;
        bool stop; /* the run was abandoned: written by the last thread at the end of a step, before the
                      others go on */
        unsigned resumes;       /* how often a pause ended */
        pthread_cond_t resumed; /* with the device's mutex */

        /* What the threads write all the time, each in a cache line of its own. */
        _Alignas(64) atomic_uint jobs; /* counts runs; a futex */
        _Alignas(64) atomic_uint progress;
        _Alignas(64) atomic_uint rounds; /* counts barriers; a futex */
        atomic_uint sleepers;            /* on either futex */
        struct {
                _Alignas(64) atomic_uint next;
        } work[CPU_GROUP_MOST]; /* of each step of a group */
        struct cpu_worker {
                _Alignas(64) struct cpu_pool *pool;
                unsigned index;
                pthread_t thread;
                bool quick_job, quick_step; /* the last wait for one was over within SPIN_LONG_NS */
                bool pinned;
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
static void wait_change(struct cpu_pool *pool, atomic_uint *word, unsigned old, bool *quick)
{
        uint64_t begin = now_ns(), spin = pool->device->crowded ? 0 : *quick ? SPIN_LONG_NS : SPIN_NS;

        do {
                for (unsigned i = 0; i < 64; i++) { /* between two looks at the clock */
                        if (atomic_load_explicit(word, memory_order_acquire) != old)
                                return;
                        relax();
                }
        } while (now_ns() - begin < spin);
        atomic_fetch_add(&pool->sleepers, 1);
        while (atomic_load(word) == old)
                syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
        atomic_fetch_sub(&pool->sleepers, 1);
        *quick = now_ns() - begin < SPIN_LONG_NS;
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

static uint32_t rows_of(const struct cpu_step *step, const struct qvf_args *args)
{
        switch (step->op.rows) {
        case QVF_ROWS_INPUT: return args->rows;
        case QVF_ROWS_OUTPUT: return args->output_rows;
        default: return step->all_rows;
        }
}

/* Which of the two ways of grouping steps a run takes. */
static bool many_rows(const struct qvf_program *program)
{
        return cpu_many_rows(program->args.rows, program->pool->n_threads);
}

static uint32_t group_end(const struct qvf_program *program, uint32_t step)
{
        bool many = many_rows(program);

        do
                step++;
        while (step < program->n_steps && !program->steps[step].group[many].first);
        return step;
}

static void run_step(struct cpu_call *call, const struct qvf_program *program, uint32_t step, bool many)
{
        struct cpu_pool *pool = call->context;
        const struct cpu_step *s = &program->steps[step];

        call->op = &s->op;
        memcpy(call->operand, s->operand, sizeof(call->operand));
        call->rows = rows_of(s, &program->args);
        call->scratch = s->group[many].scratch;
        call->next = &pool->work[s->group[many].slot].next;
        /* No rows, nothing to do, but for the one result that has no rows of them. */
        if (call->rows > 0 || s->op.kind == QVF_OP_MATMUL_WEIGHT_BACKWARD)
                s->kernel.run(call);
}

/* Where the steps end that begin at `step` and go through the same rows one by one: each strip of rows is taken through
 * all of them. */
static uint32_t strips_end(const struct qvf_program *program, uint32_t step, uint32_t end)
{
        uint32_t rows = rows_of(&program->steps[step], &program->args), i = step;

        while (i < end && cpu_by_rows(program->steps[i].op.kind) && program->steps[i].scratch_bytes == 0 &&
                        rows_of(&program->steps[i], &program->args) == rows)
                i++;
        return i;
}

/* The rows of a strip: as many as leave what one step writes and the next one reads in L1. All of a thread's share where
 * that is not far from L2 anyway. */
static uint32_t strip_rows(const struct qvf_program *program, uint32_t step, uint32_t end, uint32_t share)
{
        uint32_t widest = 1;

        for (; step < end; step++)
                for (unsigned i = 0; i < 3; i++)
                        if (program->steps[step].operand[i].columns > widest)
                                widest = program->steps[step].operand[i].columns;
        if ((uint64_t)share * widest < STRIPS_FROM)
                return share;
        return widest < STRIP_NUMBERS ? STRIP_NUMBERS / widest : 1;
}

static void run_strips(struct cpu_call *call, const struct qvf_program *program, uint32_t step, uint32_t end,
                bool many)
{
        uint32_t rows = rows_of(&program->steps[step], &program->args);
        uint32_t share = (rows + call->n_threads - 1) / call->n_threads; /* of a thread, at most */

        call->strip.count = strip_rows(program, step, end, share);
        for (call->strip.first = 0; call->strip.first < share; call->strip.first += call->strip.count)
                for (uint32_t i = step; i < end; i++)
                        run_step(call, program, i, many);
        call->strip.count = call->strip.first = 0;
}

static void run_steps(struct cpu_call *call, const struct qvf_program *program, uint32_t step, uint32_t end)
{
        bool many = many_rows(program);

        while (step < end) {
                uint32_t strips = strips_end(program, step, end);

                if (strips > step + 1)
                        run_strips(call, program, step, strips, many);
                else
                        run_step(call, program, step, many);
                step = strips > step ? strips : step + 1;
        }
}

/* Where the groups end that begin at `step` and have one row: one thread does all of them, rather than that all
 * threads meet for each. */
static uint32_t lone_end(const struct qvf_program *program, uint32_t step)
{
        while (step < program->n_steps) {
                uint32_t end = group_end(program, step);

                for (uint32_t i = step; i < end; i++)
                        if (!cpu_by_rows(program->steps[i].op.kind) ||
                                        rows_of(&program->steps[i], &program->args) > 1)
                                return step;
                step = end;
        }
        return step;
}

static void run_lone(const struct cpu_call *call, uint32_t step, uint32_t end)
{
        struct cpu_pool *pool = call->context;
        struct cpu_call lone = { .args = call->args, .n_threads = 1, .context = pool };

        run_steps(&lone, pool->program, step, end);
}

/* Waits for all threads. The last one does the steps [step, lone) before the others go on. */
static void meet(const struct cpu_call *call, bool end_of_group, uint32_t step, uint32_t lone)
{
        struct cpu_pool *pool = call->context;
        unsigned round = atomic_load_explicit(&pool->rounds, memory_order_relaxed);

        if (!arrive(pool)) {
                wait_change(pool, &pool->rounds, round, &pool->workers[call->thread].quick_step);
                return;
        }
        pause_at_barrier(pool);
        if (end_of_group) {
                pool->stop = atomic_load(&pool->program->abandon);
                for (unsigned i = 0; i < CPU_GROUP_MOST; i++)
                        if (atomic_load_explicit(&pool->work[i].next, memory_order_relaxed))
                                atomic_store_explicit(&pool->work[i].next, 0, memory_order_relaxed);
        }
        if (!pool->stop)
                run_lone(call, step, lone);
        atomic_store_explicit(&pool->progress, 0, memory_order_relaxed);
        change(pool, &pool->rounds);
}

static void barrier(const struct cpu_call *call)
{
        meet(call, false, 0, 0);
}

static void run_program(struct cpu_pool *pool, unsigned thread)
{
        struct qvf_program *program = pool->program;
        struct cpu_call call = {
                .args = &program->args,
                .thread = thread,
                .n_threads = pool->n_threads,
                .barrier = barrier,
                .pause_wanted = &program->pause_wanted,
                .pause = pause_point,
                .context = pool,
        };
        uint32_t step = 0, lone = lone_end(program, 0);

        if (lone > 0)
                meet(&call, true, 0, lone);
        for (step = lone; step < program->n_steps && !pool->stop; step = lone) {
                uint32_t end = group_end(program, step);

                run_steps(&call, program, step, end);
                lone = lone_end(program, end);
                if (end < program->n_steps)
                        meet(&call, true, end, lone);
        }
}

/* Where there is a thread for each CPU, each keeps to its own while steps are short: the scheduler leaves two on one CPU
 * for long, and at each barrier one of them waits until the other sleeps. Long steps fare better where the scheduler can
 * move them out of others' way. What is refused does no harm. */
static void pin(struct cpu_worker *worker, const struct qvf_program *program)
{
        struct cpu_pool *pool = worker->pool;
        bool wanted = pool->a_cpu_each && program->args.rows <= PINNED_ROWS;
        unsigned cpu = 0, left = worker->index;
        cpu_set_t one;

        if (wanted == worker->pinned)
                return;
        worker->pinned = wanted;
        while (!CPU_ISSET(cpu, &pool->cpus) || left-- > 0)
                cpu++;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(pthread_self(), sizeof(one), wanted ? &one : &pool->cpus);
}

static void *worker_main(void *argument)
{
        struct cpu_worker *worker = argument;
        struct cpu_pool *pool = worker->pool;
        unsigned seen = 0;

        if (pool->only_fast)
                pthread_setaffinity_np(pthread_self(), sizeof(pool->cpus), &pool->cpus);
        for (;;) {
                wait_change(pool, &pool->jobs, seen, &worker->quick_job);
                seen++;
                if (pool->quit)
                        return NULL;
                pin(worker, pool->program);
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

static void choose_cpus(struct cpu_pool *pool)
{
        unsigned threads = pool->device->n_threads;
        struct cpu_choice choice = cpu_choose();
        bool known = sched_getaffinity(0, sizeof(pool->cpus), &pool->cpus) == 0;

        pool->only_fast = known && choice.uneven && threads <= (unsigned)CPU_COUNT(&choice.fast);
        if (pool->only_fast)
                pool->cpus = choice.fast;
        pool->a_cpu_each = known && threads > 1 && (unsigned)CPU_COUNT(&pool->cpus) == threads;
}

static int start_threads(struct cpu_pool *pool)
{
        sigset_t all, before;
        pthread_attr_t attributes;
        int r = 0;

        choose_cpus(pool);
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
        for (unsigned i = 0; i < CPU_GROUP_MOST; i++)
                atomic_store(&pool->work[i].next, 0);
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
