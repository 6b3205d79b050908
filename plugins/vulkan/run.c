/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: chunks are submitted in groups of about half of submission_ms, two groups at a time, so that the device never
 * waits for the host. Whoever waits for a run drives it on; once somebody has asked for the event descriptor, a thread
 * of our own does. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "plugins/vulkan/profile.h"
#include "plugins/vulkan/stand.h"
#include "plugins/vulkan/walk.h"

#define HANG_MS 60000.0
#define HANG_MS_SOFTWARE 300000.0
#define CHUNKS_OF_A_GROUP 64u
#define SHORT_RUN_MS 3.0 /* the host looks for the end of such runs instead of sleeping, */
#define AWAKE_MS 0.5     /* and for that of longer ones when it is so near */
#define LATE_MS 1.0
#define LONG_RUN_MS 50.0 /* waking up does not matter */

struct vk_runner {
        struct qvf_device *device;
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        int event_fd;    /* -1: nobody asked */
        unsigned untold; /* states that wait() has not told */
        bool threaded, quit;
        pthread_t thread;
        struct qvf_program *driven; /* the program that is under way and not paused */
};

static double now_ms(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int vk_runner_new(struct qvf_device *device, struct vk_runner **ret_runner)
{
        struct vk_runner *self = device->host.alloc(device->host.context, sizeof(*self), 64);
        pthread_condattr_t attributes;

        if (!self)
                return -ENOMEM;
        *self = (struct vk_runner){ .device = device, .event_fd = -1 };
        pthread_mutex_init(&self->mutex, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&self->changed, &attributes);
        pthread_condattr_destroy(&attributes);
        *ret_runner = self;
        return 0;
}

void vk_runner_free(struct vk_runner *self)
{
        if (!self)
                return;
        if (self->threaded) {
                pthread_mutex_lock(&self->mutex);
                self->quit = true;
                pthread_cond_broadcast(&self->changed);
                pthread_mutex_unlock(&self->mutex);
                pthread_join(self->thread, NULL);
        }
        if (self->event_fd >= 0)
                close(self->event_fd);
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->mutex);
        self->device->host.free(self->device->host.context, self, sizeof(*self));
}

/* A new state of a run; with the mutex held. */
static void tell(struct vk_runner *self, struct qvf_program *program, int state)
{
        uint64_t one = 1;

        program->state = state;
        if (state == QVF_RUN_GOING)
                return;
        if (state == QVF_RUN_DONE) {
                double took = now_ms() - program->begun_ms;

                program->usual_ms = program->usual_ms > 0
                                                    ? program->usual_ms + (took - program->usual_ms) / 4
                                                    : took;
                vk_profile_collect(program, took);
        }
        if (self->driven == program && state != VK_WALKED_IN_VAIN) /* such a run is not over */
                self->driven = NULL;
        if (!program->untold) {
                program->untold = true;
                self->untold++;
        }
        if (self->event_fd >= 0 && write(self->event_fd, &one, sizeof(one)) < 0)
                vk_log(&self->device->host, 1, "vulkan: the event descriptor can't be written");
        pthread_cond_broadcast(&self->changed);
}

static void told(struct vk_runner *self, struct qvf_program *program)
{
        uint64_t count;

        if (!program->untold)
                return;
        program->untold = false;
        if (--self->untold == 0 && self->event_fd >= 0 && read(self->event_fd, &count, sizeof(count)) < 0)
                return; /* it was empty */
}

static int failed_state(const struct qvf_device *device, int r)
{
        int lost = atomic_load(&device->lost);

        return lost ? lost : r == -ENOMEM ? QVF_RUN_OUT_OF_MEMORY : QVF_RUN_DEVICE_LOST;
}

/* The next group of chunks. */
static int submit_group(struct qvf_program *program)
{
        struct qvf_device *device = program->device;
        VkCommandBuffer commands[CHUNKS_OF_A_GROUP];
        double most = device->cost_per_ms * device->submission_ms / 2;
        struct vk_flight *flight = &program->flight[program->in_flight];
        uint32_t count = 0;
        uint64_t cost = 0;
        int r;

        while (program->next < program->n_chunks && count < CHUNKS_OF_A_GROUP) {
                const struct vk_chunk *chunk = &program->chunks[program->next];

                if (count > 0 && (double)(cost + chunk->cost) > most)
                        break;
                cost += chunk->cost;
                commands[count++] = chunk->commands;
                program->next++;
        }
        r = vk_queue_submit(device, commands, count, flight->fence);
        if (r < 0)
                return r;
        flight->cost = cost;
        flight->begun_ms = now_ms();
        program->in_flight++;
        return 0;
}

/* What the oldest group told of the device's speed. A group that waited behind another one began when that ended. */
static void learn(struct qvf_device *device, const struct vk_flight *flight, double ended_ms)
{
        double took = ended_ms - flight->begun_ms, rate = (double)flight->cost / (took > 0.05 ? took : 0.05);

        /* Short groups are mostly overhead: they may only raise the rate. */
        if (took > 2 || rate > device->cost_per_ms)
                device->cost_per_ms += (rate - device->cost_per_ms) / (rate > device->cost_per_ms ? 4 : 2);
        if (device->cost_per_ms < 1000)
                device->cost_per_ms = 1000;
}

static int retire(struct qvf_program *program)
{
        struct vk_flight first = program->flight[0];
        double now = now_ms();
        int r = vk_errno(program->device, vkResetFences(program->device->device, 1, &first.fence),
                        "resetting a fence");

        learn(program->device, &first, now);
        program->flight[0] = program->flight[1];
        program->flight[1] = first;
        program->in_flight--;
        if (program->in_flight > 0)
                program->flight[0].begun_ms = now;
        return r;
}

static void check_hang(struct qvf_program *program)
{
        struct qvf_device *device = program->device;
        double limit = device->features.software ? HANG_MS_SOFTWARE : HANG_MS;

        if (now_ms() - program->flight[0].begun_ms < limit)
                return;
        vk_log(&device->host, 0, "vulkan: program '%s' does not end", program->name);
        atomic_store(&device->lost, QVF_RUN_HUNG);
}

/* Waking up takes longer than a token on a fast device: short runs are waited for awake, the end of others too. */
static VkResult wait_for_fence(const struct qvf_program *program, VkFence fence, double timeout_ms)
{
        VkDevice device = program->device->device;
        double usual = program->usual_ms, end = program->begun_ms + usual, asleep, spin_end;
        VkResult result;

        if (program->device->features.software || usual <= 0 || usual > LONG_RUN_MS || timeout_ms < usual)
                return vkWaitForFences(device, 1, &fence, VK_TRUE, (uint64_t)(timeout_ms * 1e6));
        asleep = usual > SHORT_RUN_MS ? end - AWAKE_MS - now_ms() : 0;
        if (asleep > 0) {
                result = vkWaitForFences(device, 1, &fence, VK_TRUE, (uint64_t)(asleep * 1e6));
                if (result != VK_TIMEOUT)
                        return result;
        }
        spin_end = end + (usual > SHORT_RUN_MS ? LATE_MS : 0.5 * usual);
        do
                result = vkGetFenceStatus(device, fence);
        while (result == VK_NOT_READY && now_ms() < spin_end);
        if (result != VK_NOT_READY)
                return result;
        return vkWaitForFences(device, 1, &fence, VK_TRUE, (uint64_t)(timeout_ms * 1e6));
}

/* Drives the run on for at most timeout_ms; with the mutex held, which is let go while the device works. */
static void drive(struct vk_runner *self, struct qvf_program *program, double timeout_ms)
{
        struct qvf_device *device = self->device;
        double end = now_ms() + timeout_ms;
        int r = 0;

        while (program->state == QVF_RUN_GOING && r == 0) {
                VkFence fence;
                VkResult result;
                double left;

                while (!program->pause_wanted && program->in_flight < 2 &&
                                program->next < program->n_chunks && r == 0)
                        r = submit_group(program);
                if (r < 0)
                        break;
                if (program->in_flight == 0) {
                        tell(self, program,
                                        vk_walk_failed(program)             ? VK_WALKED_IN_VAIN
                                        : program->next < program->n_chunks ? QVF_RUN_PAUSED
                                                                            : QVF_RUN_DONE);
                        return;
                }
                left = end - now_ms();
                fence = program->flight[0].fence;
                pthread_mutex_unlock(&self->mutex);
                result = wait_for_fence(program, fence, left < 0 ? 0 : left > 500 ? 500 : left);
                pthread_mutex_lock(&self->mutex);
                if (result == VK_SUCCESS) {
                        r = retire(program);
                        continue;
                }
                if (result != VK_TIMEOUT)
                        r = vk_errno(device, result, "waiting for the device");
                else
                        check_hang(program);
                if (atomic_load(&device->lost))
                        r = -ENODEV;
                if (r == 0 && now_ms() >= end)
                        return;
        }
        if (r < 0)
                tell(self, program, failed_state(device, r));
}

static void *thread_main(void *context)
{
        struct vk_runner *self = context;

        pthread_mutex_lock(&self->mutex);
        while (!self->quit) {
                if (self->driven && self->driven->state == QVF_RUN_GOING)
                        drive(self, self->driven, 500);
                else
                        pthread_cond_wait(&self->changed, &self->mutex);
        }
        pthread_mutex_unlock(&self->mutex);
        return NULL;
}

int vk_runner_event_fd(struct vk_runner *self)
{
        int fd;

        pthread_mutex_lock(&self->mutex);
        if (self->event_fd < 0)
                self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (self->event_fd >= 0 && !self->threaded)
                self->threaded = pthread_create(&self->thread, NULL, thread_main, self) == 0;
        fd = self->event_fd >= 0 ? self->event_fd : -errno;
        pthread_mutex_unlock(&self->mutex);
        return fd;
}

int vk_submit(struct qvf_program *program, const struct qvf_args *args)
{
        struct qvf_device *device = program->device;
        struct vk_runner *self = device->runner;
        int r = 0;

        if (args->size < sizeof(*args) || args->rows > program->limits.rows ||
                        args->output_rows > program->limits.output_rows)
                return -EINVAL;
        pthread_mutex_lock(&self->mutex);
        if (program->state == QVF_RUN_GOING || program->state == QVF_RUN_PAUSED || self->driven)
                r = -EBUSY;
        else if (atomic_load(&device->lost))
                r = -ENODEV;
        else if (program->source && device->walk_held == 0)
                r = vk_program_stand(program);
        if (r == 0) {
                memcpy(program->args->memory.mapped, args, sizeof(*args));
                told(self, program);
                program->next = 0;
                program->in_flight = 0;
                program->pause_wanted = false;
                program->state = QVF_RUN_GOING;
                program->begun_ms = now_ms();
                self->driven = program;
                if (program->n_chunks > 0)
                        r = submit_group(program);
                if (r < 0)
                        tell(self, program, failed_state(device, r));
                r = 0;
                pthread_cond_broadcast(&self->changed);
        }
        pthread_mutex_unlock(&self->mutex);
        return r;
}

static void wait_for_thread(struct vk_runner *self, struct qvf_program *program, int timeout_ms)
{
        struct timespec end;

        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += timeout_ms / 1000;
        end.tv_nsec += timeout_ms % 1000 * 1000000l;
        if (end.tv_nsec >= 1000000000) {
                end.tv_sec++;
                end.tv_nsec -= 1000000000;
        }
        while (program->state == QVF_RUN_GOING) {
                if (timeout_ms < 0)
                        pthread_cond_wait(&self->changed, &self->mutex);
                else if (pthread_cond_timedwait(&self->changed, &self->mutex, &end) != 0)
                        return;
        }
}

/* After a walk in vain. Here and in vk_submit(), as only the thread that calls us may record. */
static void begin_anew(struct vk_runner *self, struct qvf_program *program)
{
        struct qvf_device *device = self->device;
        bool may = vk_source_may_repeat(program->source);
        int r;

        vk_log(&device->host, 1, "vulkan: the workgroups of program '%s' waited for each other in vain%s",
                        program->name, may ? ": from now on they don't" : "");
        told(self, program);
        r = may ? vk_program_stand(program) : -ENODEV;
        if (!may)
                atomic_store(&device->lost, QVF_RUN_HUNG);
        if (r < 0) {
                tell(self, program, failed_state(device, r));
                return;
        }
        program->next = 0;
        program->begun_ms = now_ms();
        if (program->pause_wanted) {
                tell(self, program, QVF_RUN_PAUSED);
                return;
        }
        program->state = QVF_RUN_GOING;
        pthread_cond_broadcast(&self->changed);
}

int vk_wait(struct qvf_program *program, int timeout_ms)
{
        struct vk_runner *self = program->device->runner;
        int state;

        pthread_mutex_lock(&self->mutex);
        do {
                if (program->state == VK_WALKED_IN_VAIN)
                        begin_anew(self, program);
                if (self->threaded)
                        wait_for_thread(self, program, timeout_ms);
                else
                        while (program->state == QVF_RUN_GOING) {
                                drive(self, program, timeout_ms < 0 ? 1000 : timeout_ms);
                                if (timeout_ms >= 0)
                                        break;
                        }
        } while (program->state == VK_WALKED_IN_VAIN);
        state = program->state;
        if (state != QVF_RUN_GOING)
                told(self, program);
        pthread_mutex_unlock(&self->mutex);
        return state == VK_NEVER_RAN ? -EINVAL : state;
}

int vk_pause(struct qvf_program *program, bool on)
{
        struct vk_runner *self = program->device->runner;
        int r = 0;

        pthread_mutex_lock(&self->mutex);
        if (on) {
                program->pause_wanted =
                                program->state == QVF_RUN_GOING || program->state == VK_WALKED_IN_VAIN;
        } else if (program->state == QVF_RUN_PAUSED && self->driven) {
                r = -EBUSY;
        } else {
                program->pause_wanted = false;
                if (program->state == QVF_RUN_PAUSED) {
                        told(self, program);
                        program->state = QVF_RUN_GOING;
                        self->driven = program;
                        pthread_cond_broadcast(&self->changed);
                }
        }
        pthread_mutex_unlock(&self->mutex);
        return r;
}

/* Ends a run that nobody waits for any more. */
void vk_abandon(struct qvf_program *program)
{
        struct vk_runner *self = program->device->runner;

        if (!self)
                return;
        pthread_mutex_lock(&self->mutex);
        program->next = program->n_chunks; /* nothing more is submitted */
        while (program->state == QVF_RUN_GOING) {
                if (self->threaded)
                        pthread_cond_wait(&self->changed, &self->mutex);
                else
                        drive(self, program, 1000);
        }
        if (self->driven == program) /* it walked in vain */
                self->driven = NULL;
        if (program->state != VK_NEVER_RAN)
                told(self, program);
        pthread_mutex_unlock(&self->mutex);
}
