/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peaks.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/report.h"
#include "common/checked.h"
#include "common/cleanup.h"

/* Many short runs and the best of them: a run in which nothing else had the CPU is what is looked for. */
enum { REPETITIONS = 20, READ_REPETITIONS = 8 };
#define RUN_SECONDS 0.01

volatile uint8_t bench_sink[64];

const char *bench_peak_name(enum bench_peak peak)
{
        static const char *const names[BENCH_PEAK_COUNT] = { "int8", "float32", "bfloat16" };

        return names[peak];
}

const struct bench_kernel *bench_kernel_for(enum bench_peak peak)
{
        for (size_t i = 0; i < bench_kernel_count; i++)
                if (bench_kernels[i].peak == peak && (!bench_kernels[i].usable || bench_kernels[i].usable()))
                        return &bench_kernels[i];
        return NULL;
}

uint32_t bench_cpu_count(void)
{
        cpu_set_t allowed;
        long online;

        if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 0)
                return (uint32_t)CPU_COUNT(&allowed);
        online = sysconf(_SC_NPROCESSORS_ONLN);
        return online > 0 ? (uint32_t)online : 1;
}

struct team { /* threads that do the same thing at the same time */
        pthread_barrier_t barrier;
        void (*work)(struct team *team, uint32_t member);
        uint32_t threads;

        const struct bench_kernel *kernel;
        uint64_t rounds;

        const struct bench_reader *reader;
        const char *memory;
        size_t bytes; /* of each member */
};

struct member {
        struct team *team;
        uint32_t number;
        pthread_t thread;
        double start, end;
};

static void *run_member(void *member_)
{
        struct member *member = member_;

        pthread_barrier_wait(&member->team->barrier);
        member->start = bench_seconds();
        member->team->work(member->team, member->number);
        member->end = bench_seconds();
        return NULL;
}

/* The threads that were started wait at the barrier for those that could not be: none may be left behind. */
static void abandon(struct member *members, uint32_t started)
{
        for (uint32_t i = 0; i < started; i++)
                pthread_cancel(members[i].thread);
}

/* The seconds run from the first member's start to the last one's end, by their own clocks: where every CPU has a member,
 * a thread that only waits for them sees the start too late. */
static int run_team(struct team *team, double *ret_seconds)
{
        _cleanup_free_ struct member *members = calloc(team->threads, sizeof(*members));
        double start = INFINITY, end = 0;
        int r;

        if (!members)
                return -ENOMEM;
        r = pthread_barrier_init(&team->barrier, NULL, team->threads);
        if (r != 0)
                return -r;
        for (uint32_t i = 0; i < team->threads; i++) {
                members[i] = (struct member){ .team = team, .number = i };
                r = pthread_create(&members[i].thread, NULL, run_member, &members[i]);
                if (r != 0) {
                        abandon(members, i);
                        return -r;
                }
        }
        for (uint32_t i = 0; i < team->threads; i++) {
                pthread_join(members[i].thread, NULL);
                start = fmin(start, members[i].start);
                end = fmax(end, members[i].end);
        }
        *ret_seconds = end - start;
        pthread_barrier_destroy(&team->barrier);
        return 0;
}

static void compute(struct team *team, uint32_t member)
{
        (void)member;
        team->kernel->run(team->rounds);
}

int bench_measure_peak(
                const struct bench_kernel *kernel, uint32_t threads, double *ret_operations_per_second)
{
        struct team team = { .work = compute, .threads = threads, .kernel = kernel, .rounds = 1000 };
        double seconds, best = 0;

        for (int i = 0; i < REPETITIONS;) {
                int r = run_team(&team, &seconds);

                if (r < 0)
                        return r;
                if (seconds < RUN_SECONDS) { /* find out how many rounds it takes */
                        team.rounds *= seconds < RUN_SECONDS / 8 ? 4 : 2;
                        continue;
                }
                best = qvf_max_u64(1, threads) * (double)team.rounds * kernel->operations / seconds > best
                                       ? threads * (double)team.rounds * kernel->operations / seconds
                                       : best;
                i++;
        }
        *ret_operations_per_second = best;
        return 0;
}

static void read_part(struct team *team, uint32_t member)
{
        team->reader->run(team->memory + member * team->bytes, team->bytes);
}

/* From /proc/meminfo; a guess where that can't be read. */
static uint64_t available_bytes(void)
{
        _cleanup_fclose_ FILE *file = fopen("/proc/meminfo", "re");
        unsigned long long kib = 0;
        char line[128];

        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
                        return kib * 1024;
        return (uint64_t)512 << 20;
}

size_t bench_bandwidth_bytes(void)
{
        long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
        uint64_t bytes = qvf_max_u64((uint64_t)256 << 20, cache > 0 ? 4 * (uint64_t)cache : 0);

        bytes = qvf_min_u64(qvf_min_u64(bytes, (uint64_t)1 << 30), available_bytes() / 4);
        return (size_t)(bytes & ~(uint64_t)0xfffff);
}

int bench_measure_bandwidth(uint32_t threads, double *ret_bytes_per_second)
{
        size_t bytes = bench_bandwidth_bytes();
        struct team team = { .work = read_part, .threads = threads };
        double seconds, best = 0;
        void *memory;
        int r = 0;

        if (bytes == 0)
                return -ENOMEM;
        for (size_t i = 0; i < bench_reader_count && !team.reader; i++)
                if (!bench_readers[i].usable || bench_readers[i].usable())
                        team.reader = &bench_readers[i];
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return -errno;
        madvise(memory, bytes, MADV_HUGEPAGE); /* what is asked is the memory, not the page tables */
        memset(memory, 1, bytes);              /* pages that were never written are all the same one */
        team.memory = memory;
        team.bytes = bytes / threads & ~(size_t)1023;
        for (int i = 0; i < READ_REPETITIONS && r >= 0; i++) {
                r = run_team(&team, &seconds);
                if (r >= 0)
                        best = fmax(best, (double)team.bytes * threads / seconds);
        }
        munmap(memory, bytes);
        if (r >= 0)
                *ret_bytes_per_second = best;
        return r;
}
