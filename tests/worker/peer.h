/* SPDX-License-Identifier: Apache-2.0 */
/* A worker in a process of its own, and the other end of its connection. */
#ifndef QVF_TESTS_WORKER_PEER_H
#define QVF_TESTS_WORKER_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#define PEER_SIGNALS_MOST 4096u

struct peer_signal {
        char name[24], subject[132], word[64], text[512]; /* subject, verdict or reason, message */
        double values[8];                                 /* of the keys in peer_keys[]; NaN */
};
enum { PEER_STEP, PEER_LOSS, PEER_GENERATED, PEER_FIRST_MS, PEER_CHECKPOINT, PEER_REUSED, PEER_TOTAL };

struct peer {
        pid_t pid;
        sd_bus *bus;
        struct peer_signal signals[PEER_SIGNALS_MOST];
        unsigned n_signals, n_heartbeats;
        char activity[16];  /* of the last heartbeat */
        sd_bus_error error; /* of the last call that failed */
};

enum { PEER_LIMIT_MS = 200000 }; /* ends a hang; how long things take is not tested */

/* What is in the environment goes to the worker. Fails the test where it can't be started. */
struct peer *peer_start(void);
/* Closes the connection; returns the status of the process as waitpid() gives it. */
int peer_stop(struct peer *peer);
/* Waits for a process that ends by itself. */
int peer_wait_end(struct peer *peer, unsigned limit_ms);

/* sd_bus_call_method() without a time-out; peer->error is filled on failure. */
int peer_call(struct peer *peer, const char *member, sd_bus_message **ret_reply, const char *types, ...);
/* The short name of the last error: "BadFile". */
const char *peer_error(const struct peer *peer);
/* A signal of this name about this subject (NULL: any), also one that came before; NULL when the time has passed. */
const struct peer_signal *peer_wait(
                struct peer *peer, const char *name, const char *subject, unsigned limit_ms);
/* Takes what has come until the time has passed. */
void peer_run(struct peer *peer, unsigned milliseconds);
void peer_forget(struct peer *peer); /* the signals so far */

/* A number in an a{sv} reply; NaN: not there. The reply can be asked many times. */
double peer_number(sd_bus_message *reply, const char *key);
/* Loads a model on the device of QVF_TEST_BACKEND (cpu), or fails the test. */
void peer_load(struct peer *peer, const char *path, bool infer);
/* Asks and reads the answer to its end; returns the text, which is the caller's, or NULL. */
char *peer_ask(struct peer *peer, const char *request, const char *prompt, uint32_t max_tokens,
                const char *adapter);
/* Starts a request; returns the reading end of its pipe, or a negative errno. */
int peer_infer(struct peer *peer, const char *request, const char *prompt, uint32_t max_tokens,
                const char *adapter);
char *peer_read_all(struct peer *peer, int fd, unsigned limit_ms);

struct peer_training {
        uint32_t steps, batch, context, checkpoint_every, rank;
        double rate;
        bool paused;
};
/* Starts a job on a JSONL or text file; 0 or a negative errno. */
int peer_train(struct peer *peer, const char *job, const char *data, int folder,
                const struct peer_training *options, sd_bus_message **ret_reply);

double peer_now_ms(void);

#endif
