/* SPDX-License-Identifier: Apache-2.0 */
/* Which job runs: the ready one of the highest priority, of several the oldest. */
#include <string.h>

#include "daemon/job.h"
#include "daemon/qvfd.h"
#include "daemon/train.h"

#define LONG_PAUSE_US (UINT64_C(300) * 1000000) /* then the memory goes back too */

static struct qvfd_job *choose(struct qvfd *service)
{
        struct qvfd_job *best = NULL;

        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        if (qvfd_job_is_ready(job) && (!best || job->priority > best->priority))
                best = job;
        return best;
}

/* Some reasons want the memory or the disk back, not only the processor. */
static bool must_go(const struct qvfd *service, const struct qvfd_job *job)
{
        enum qvf_constraint broken = service->watch.verdict.activity[QVF_TRAINING].first_broken;

        if (broken == QVF_C_SUSPEND || broken == QVF_C_MEMORY_FREE || broken == QVF_C_MEMORY_PRESSURE ||
                        broken == QVF_C_DISK_FREE || broken == QVF_C_ALLOWED)
                return true;
        return job->worker_paused && qvfd_now_us() - job->paused_since_us > LONG_PAUSE_US;
}

static void steer(struct qvfd *service, struct qvfd_job *job, const struct qvfd_job *best)
{
        bool allowed = qvfd_allowed(service, QVF_TRAINING);

        if (job->phase == QVFD_PHASE_STOPPING)
                return;
        if (job->paused || job->cancelling || service->stopping || !qvfd_job_is_ready(job) ||
                        (best && best->priority > job->priority) || (!allowed && must_go(service, job))) {
                qvfd_train_stop(job);
                return;
        }
        if (job->phase == QVFD_PHASE_LOADING && allowed)
                qvfd_train_advance(job);
        else if (!allowed && job->phase == QVFD_PHASE_LOADING)
                qvfd_train_stop(job);
        else if (!allowed)
                qvfd_train_pause(job);
        else if (job->worker_paused)
                qvfd_train_resume(job);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        qvfd_pass_soon(userdata);
        return 0;
}

/* Wakes up when the next job's time has come. */
static void arm(struct qvfd *service)
{
        uint64_t now = qvfd_wall_clock_us(), next = UINT64_MAX;

        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        if (job->fate == QVFD_OPEN && !job->paused && job->not_before_us > now && job->not_before_us < next)
                next = job->not_before_us;
        if (next == UINT64_MAX) {
                if (service->job_timer)
                        sd_event_source_set_enabled(service->job_timer, SD_EVENT_OFF);
                return;
        }
        if (!service->job_timer)
                sd_event_add_time(service->event, &service->job_timer, CLOCK_REALTIME, next, 100000,
                                on_timer, service);
        sd_event_source_set_time(service->job_timer, next);
        sd_event_source_set_enabled(service->job_timer, SD_EVENT_ONESHOT);
}

/* Ended jobs that nobody needs any more. */
static void forget_old(struct qvfd *service)
{
        enum { ENDED_MOST = 100 };
        double keep_s = service->config.store.keep_jobs_s;
        uint64_t now = qvfd_wall_clock_us();
        unsigned n = 0;

        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        n += qvfd_job_has_ended(job) ? 1 : 0;
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        {
                if (!qvfd_job_has_ended(job) || job->finished_us > now ||
                                (n <= ENDED_MOST && (double)(now - job->finished_us) < keep_s * 1e6))
                        continue;
                qvfd_job_remove(job);
                n--;
        }
}

void qvfd_jobs_pass(struct qvfd *service)
{
        struct qvfd_job *best = choose(service);

        if (service->active_job)
                steer(service, service->active_job, best);
        else if (best && qvfd_allowed(service, QVF_TRAINING) && !service->stopping &&
                        !service->options.dry_run)
                qvfd_train_start(best);
        forget_old(service);
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        qvfd_job_update(job);
        arm(service);
}
