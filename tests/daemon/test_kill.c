/* SPDX-License-Identifier: Apache-2.0 */
/* qvfd is killed at random instants, with jobs in every state, and its worker too: the store opens again each time, no
 * job is lost, and none is finished twice. QVF_KILLS says how often (20). */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
enum { JOBS = 6, STEPS = 30 };

static void sleep_us(unsigned microseconds)
{
        nanosleep(&(struct timespec){ microseconds / 1000000, (long)(microseconds % 1000000) * 1000 }, NULL);
}

/* How often the metrics have this step: trained twice to the end, the last one would come twice. */
static unsigned times_of_step(const struct service *service, unsigned job, unsigned step)
{
        char path[160], line[4096], wanted[32];
        _cleanup_fclose_ FILE *file = NULL;
        unsigned n = 0;

        snprintf(path, sizeof(path), "%s/state/jobs/%u/run-1/metrics.jsonl", service->folder, job);
        snprintf(wanted, sizeof(wanted), "{\"step\":%u,", step);
        file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file))
                n += strncmp(line, wanted, strlen(wanted)) == 0 && strstr(line, "\"learning_rate\"") ? 1 : 0;
        return n;
}

static void disturb(struct service *service, unsigned *seed)
{
        static const char *const members[] = { "Pause", "Resume", "Resume", "Resume" };
        char path[32];
        unsigned job = 1 + (unsigned)rand_r(seed) % JOBS;

        snprintf(path, sizeof(path), "jobs/_3%u", job);
        service_call(service, service->bus, path, "Job", members[(unsigned)rand_r(seed) % 4], NULL, "");
}

static void kill_worker(struct service *service)
{
        uint64_t pid = service_count(service, "models/tiny", "Model", "WorkerPid");

        if (pid > 1)
                kill((pid_t)pid, SIGKILL);
}

START_TEST(kills)
{
        const char *given = getenv("QVF_KILLS");
        unsigned n_kills = given ? (unsigned)atoi(given) : 20, seed = 1, survived = 0;
        /* Killed workers are the kernel's doing here: no device falls back for them, and none waits long. */
        struct service *service = service_new(
                        "workers:\n  crashes_most: 100\n  retry_after: 100ms\n  retry_most: 200ms\n");

        service_start(service);
        service_add_model(service, "tiny", MODEL);
        for (unsigned i = 1; i <= JOBS; i++) {
                char adapter[16];
                _cleanup_free_ char *path = NULL;

                snprintf(adapter, sizeof(adapter), "adapter-%u", i);
                path = service_train(service, "tiny", adapter, STEPS + 10 * i);
                ck_assert(path != NULL);
        }
        for (unsigned kill_number = 0; kill_number < n_kills; kill_number++) {
                for (unsigned k = 0; k < 3; k++)
                        disturb(service, &seed);
                sleep_us((unsigned)rand_r(&seed) % 300000);
                if (rand_r(&seed) % 4 == 0)
                        kill_worker(service);
                sleep_us((unsigned)rand_r(&seed) % 100000);
                service_kill(service);
                service_start(service); /* fails the test where the store does not open */
                survived++;
                for (unsigned i = 1; i <= JOBS; i++) {
                        char path[32];
                        _cleanup_free_ char *state = NULL;

                        snprintf(path, sizeof(path), "jobs/_3%u", i);
                        state = service_text(service, path, "Job", "State");
                        ck_assert_msg(state != NULL, "kill %u: job %u is lost", kill_number, i);
                        ck_assert_msg(strcmp(state, "failed") != 0, "kill %u: job %u has failed",
                                        kill_number, i);
                }
        }
        for (unsigned i = 1; i <= JOBS; i++) {
                char path[32];

                snprintf(path, sizeof(path), "jobs/_3%u", i);
                service_call(service, service->bus, path, "Job", "Resume", NULL, "");
        }
        for (unsigned i = 1; i <= JOBS; i++) {
                char path[32], adapter[64];

                snprintf(path, sizeof(path), "jobs/_3%u", i);
                ck_assert_msg(service_wait(service, path, "Job", "State", "finished"),
                                "job %u does not finish", i);
                ck_assert_uint_eq(service_count(service, path, "Job", "Runs"), 1);
                ck_assert_uint_eq(service_count(service, path, "Job", "Step"), STEPS + 10 * i);
                snprintf(adapter, sizeof(adapter), "adapters/adapter_2d%u", i);
                ck_assert_uint_gt(service_count(service, adapter, "Adapter", "SizeBytes"), 0);
                ck_assert_uint_eq(times_of_step(service, i, 1), 1);
                ck_assert_uint_eq(times_of_step(service, i, STEPS + 10 * i), 1);
        }
        printf("qvfd was killed %u times\n", survived);
        service_stop(service);
        service_free(service);
}
END_TEST

QVF_SUITE("kills", 900, kills)
