/* SPDX-License-Identifier: Apache-2.0 */
/* Runs as the host sees them: start, wait, pause. */
#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/checked.h"
#include "plugins/cpu/cpu.h"

#define SPIN_NS                                                                                             \
        50000 /* how long wait() spins where there are CPUs to spare: as long as going to sleep costs */

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cpu_tell(struct qvf_program *program, enum qvf_run_state state)
{
        struct qvf_device *device = program->device;

        if (!program->untold)
                device->events++;
        program->untold = true;
        atomic_store_explicit(&program->state, state, memory_order_release);
        eventfd_write(device->event_fd, 1);
        pthread_cond_broadcast(&device->changed);
}

/* The host knows the program's state: the descriptor is readable only while there is another one to tell. */
static void told(struct qvf_program *program)
{
        struct qvf_device *device = program->device;
        eventfd_t value;

        if (!program->untold)
                return;
        program->untold = false;
        device->events--;
        if (device->events == 0)
                eventfd_read(device->event_fd, &value);
}

int cpu_submit(struct qvf_program *program, const struct qvf_args *args)
{
        struct qvf_device *device = program->device;
        struct cpu_pool *pool = NULL;
        int r;

        if (args->size < sizeof(*args) || args->rows > program->limits.rows ||
                        args->output_rows > program->limits.output_rows) {
                cpu_log(&device->host, 0,
                                "cpu: %u rows and %u output rows, but the program has room for %u and %u",
                                args->rows, args->output_rows, program->limits.rows,
                                program->limits.output_rows);
                return -EINVAL;
        }
        pthread_mutex_lock(&device->mutex);
        r = program->pool ? -EBUSY : cpu_pool_get(device, &pool);
        if (r == 0) {
                told(program);
                program->args = *args;
                program->pool = pool;
                atomic_store(&program->pause_wanted, false);
                atomic_store(&program->abandon, false);
                atomic_store(&program->state, QVF_RUN_GOING);
                cpu_pool_start(pool, program);
        }
        pthread_mutex_unlock(&device->mutex);
        return r;
}

static void wait_until(struct qvf_program *program, int timeout_ms)
{
        struct qvf_device *device = program->device;
        uint64_t end = now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;
        struct timespec deadline = { (time_t)(end / 1000000000u), (long)(end % 1000000000u) };

        while (atomic_load(&program->state) == QVF_RUN_GOING) {
                if (timeout_ms < 0)
                        pthread_cond_wait(&device->changed, &device->mutex);
                else if (pthread_cond_timedwait(&device->changed, &device->mutex, &deadline) == ETIMEDOUT)
                        return;
        }
}

int cpu_wait(struct qvf_program *program, int timeout_ms)
{
        struct qvf_device *device = program->device;
        int state;

        if (device->spare_cpus && timeout_ms != 0) {
                uint64_t end = now_ns() + SPIN_NS;

                while (atomic_load_explicit(&program->state, memory_order_acquire) == QVF_RUN_GOING &&
                                now_ns() < end)
                        ;
        }
        pthread_mutex_lock(&device->mutex);
        if (timeout_ms != 0)
                wait_until(program, timeout_ms);
        state = atomic_load(&program->state);
        if (state != QVF_RUN_GOING && state != CPU_NEVER_RAN)
                told(program);
        pthread_mutex_unlock(&device->mutex);
        return state == CPU_NEVER_RAN ? -EINVAL : state;
}

int cpu_pause(struct qvf_program *program, bool on)
{
        struct qvf_device *device = program->device;

        pthread_mutex_lock(&device->mutex);
        if (program->pool && on) {
                atomic_store(&program->pause_wanted, true);
        } else if (program->pool) {
                atomic_store(&program->pause_wanted, false);
                if (atomic_load(&program->state) == QVF_RUN_PAUSED) {
                        told(program);
                        atomic_store(&program->state, QVF_RUN_GOING);
                }
                cpu_pool_resume(program->pool);
        }
        pthread_mutex_unlock(&device->mutex);
        return 0;
}

void cpu_abandon(struct qvf_program *program)
{
        atomic_store(&program->abandon, true);
        cpu_pause(program, false);
        pthread_mutex_lock(&program->device->mutex);
        wait_until(program, -1);
        told(program);
        pthread_mutex_unlock(&program->device->mutex);
}
