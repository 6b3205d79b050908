/* SPDX-License-Identifier: Apache-2.0 */
/* qvfd.yaml: strict. An unknown key, a wrong type or unit, a value out of range ends in an error that names file, line,
 * column and key, and the nearest key that there is. Everything that is known about a key stands in one table (keys.c):
 * the parser, the defaults, qvfd.yaml(5)'s test and the words of `qvfctl policy explain` come from it. */
#ifndef QVF_DAEMON_CONFIG_CONFIG_H
#define QVF_DAEMON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/text.h"
#include "daemon/policy/policy.h"

struct qvf_devices_config {
        struct qvf_names
                        prefer; /* patterns for "backend" or "backend/device name", best first; none: by score */
        struct qvf_names exclude; /* patterns as above: never used */
};

/* What one client (one unique bus name, or one private connection) may have at a time. */
struct qvf_clients_config {
        unsigned requests;      /* completions that run or wait */
        unsigned requests_all;  /* of all clients together */
        unsigned tokens;        /* that one request may ask for */
        unsigned prompt_tokens; /* that one request may bring */
        unsigned sessions;
        unsigned jobs; /* not yet ended */
        unsigned jobs_all;
        unsigned holds;
        double memory_bytes; /* of prompts, sessions and waiting output together */
};

struct qvf_workers_config {
        double idle_unload_s;  /* a model without requests is unloaded after it; INFINITY: never */
        double hang_after_s;   /* without a heartbeat; twice that for software drivers */
        unsigned crashes_most; /* of one (driver, device, version), then the next backend */
        double retry_after_s;  /* after the first crash; doubles each time */
        double retry_most_s;
};

struct qvf_store_config {
        double model_size_most_bytes, adapter_size_most_bytes, data_size_most_bytes;
        double keep_jobs_s; /* an ended job is forgotten after it; its adapter stays */
};

struct qvf_config {
        struct qvf_policy_config policy; /* training:, inference: */
        struct qvf_devices_config devices;
        struct qvf_clients_config clients;
        struct qvf_workers_config workers;
        struct qvf_store_config store;
        double sample_every_s; /* sensors: sample_every */
};

void qvf_config_defaults(struct qvf_config *ret_config);

/* Where qvfd.yaml lives: /etc/qvf, or with `user` $XDG_CONFIG_HOME/qvf (~/.config/qvf). To be freed; NULL: no memory. */
char *qvf_config_folder(bool user);
/* FOLDER/qvfd.yaml, then FOLDER/qvfd.d/NAME.yaml in the order of their names, later ones win. Files that are not there
 * are no error: the defaults hold. On failure `ret_config` is untouched, so that a reload keeps what was. */
int qvf_config_load_folder(const char *folder, struct qvf_config *ret_config, struct qvf_error *error);
/* One file on top of the defaults; it must be there. */
int qvf_config_load_file(const char *path, struct qvf_config *ret_config, struct qvf_error *error);
/* Merges one YAML text into a configuration; `name` is for messages. Untouched on failure. */
int qvf_config_merge(struct qvf_config *config, const char *name, const char *yaml, size_t length,
                struct qvf_error *error);

/* The whole configuration as YAML that would read back as the same (`qvfd --check-config` prints it). */
int qvf_config_print(const struct qvf_config *config, struct qvf_text *text);
/* One value as people write it: "training.idle_for" gives "5min". -ENOENT where no key is called so. */
int qvf_config_get(const struct qvf_config *config, const char *key, struct qvf_text *text);
/* The sentence on a key ("training.idle_for"), and the key most like an unknown one; NULL: none. */
const char *qvf_config_key_text(const char *key);
const char *qvf_config_nearest_key(const char *key, char *buffer, size_t size);

#endif
