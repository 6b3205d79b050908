/* SPDX-License-Identifier: Apache-2.0 */
/* A qvfd of the test's own, in a folder of its own, behind a private socket. */
#ifndef QVF_TESTS_DAEMON_SERVICE_H
#define QVF_TESTS_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#define SERVICE_ROOT "/org/qvf/Fabric1"

struct service {
        char folder[64]; /* socket, store, qvfd.yaml, log */
        pid_t pid;
        sd_bus *bus; /* the test's first client */
        sd_bus_error error;
};

/* Makes the folder; `yaml` goes into qvfd.yaml after what lets training run at any time. */
struct service *service_new(const char *yaml);
void service_start(struct service *service); /* and waits until it answers */
void service_kill(struct service *service);  /* SIGKILL */
void service_stop(struct service *service);  /* SIGTERM; its exit status must be 0 */
void service_free(struct service *service);  /* kills it and removes the folder */
/* A further client; NULL where it is refused. */
sd_bus *service_connect(const struct service *service);

/* "Manager" and "" or "Job" and "jobs/1", and so on. Negative: service->error says why. */
int service_call(struct service *service, sd_bus *bus, const char *path, const char *interface,
                const char *member, sd_bus_message **ret_reply, const char *types, ...);
const char *service_error(const struct service *service); /* the short name of the last error */
int service_open(const struct service *service, const char *name,
                const char *text); /* a file of the folder, for reading */

void service_add_model(struct service *service, const char *name, const char *file);
/* Queues a job over a small data set; returns its path below the root ("jobs/1"), the caller's. */
char *service_train(struct service *service, const char *model, const char *adapter, uint32_t steps);
/* Properties, to be freed; NULL where the object is gone. */
char *service_text(struct service *service, const char *path, const char *interface, const char *property);
uint64_t service_count(
                struct service *service, const char *path, const char *interface, const char *property);
/* Waits until a property is one of the words (separated by spaces); false after minutes, which only ends a hang. */
bool service_wait(struct service *service, const char *path, const char *interface, const char *property,
                const char *words);

#endif
