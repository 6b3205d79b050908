/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU can do at most: loops that keep its arithmetic units, or its memory, busy and do nothing
 * else. */
#ifndef QVF_BENCH_PEAKS_H
#define QVF_BENCH_PEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_peak { BENCH_PEAK_INT8, BENCH_PEAK_FLOAT32, BENCH_PEAK_BFLOAT16, BENCH_PEAK_COUNT };

struct bench_kernel { /* arithmetic in registers */
        enum bench_peak peak;
        const char *name;     /* the instruction and its width */
        double operations;    /* of one round; a multiplication and an addition are two */
        bool (*usable)(void); /* NULL: always */
        void (*run)(uint64_t rounds);
};

struct bench_reader { /* reads all of some memory; bytes is a multiple of 1024 */
        bool (*usable)(void);
        void (*run)(const void *memory, size_t bytes);
};

/* This machine's own kernels and then plain ones, the best first. */
extern const struct bench_kernel bench_kernels[];
extern const size_t bench_kernel_count;
extern const struct bench_reader bench_readers[];
extern const size_t bench_reader_count;

/* NULL where the CPU has no such arithmetic. */
const struct bench_kernel *bench_kernel_for(enum bench_peak peak);
const char *bench_peak_name(enum bench_peak peak);

uint32_t bench_cpu_count(void); /* that this process may use */

/* Best of several runs on so many threads at once; 0 or -errno. */
int bench_measure_peak(
                const struct bench_kernel *kernel, uint32_t threads, double *ret_operations_per_second);
int bench_measure_bandwidth(uint32_t threads, double *ret_bytes_per_second);
/* How much memory bench_measure_bandwidth() reads: more than the caches hold, a quarter of what is free at
 * most. */
size_t bench_bandwidth_bytes(void);

/* A result that is written here counts as used. */
extern volatile uint8_t bench_sink[64];

#endif
