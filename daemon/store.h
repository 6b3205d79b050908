/* SPDX-License-Identifier: Apache-2.0 */
/* The folders that outlive the process. Whatever instant it is killed at, what is there opens again: every file comes
 * by rename, and what was half made carries a name that the next start removes. */
#ifndef QVF_DAEMON_STORE_H
#define QVF_DAEMON_STORE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

struct qvfd_store {
        char *path;
        int root, models, adapters, jobs, devices, scratch; /* folders */
        int lock;
};

/* Makes the folders where they are missing and empties scratch. -EBUSY: another qvfd has it. */
int qvfd_store_open(const char *path, struct qvfd_store *ret_store, struct qvf_error *error);
void qvfd_store_close(struct qvfd_store *store);
/* $STATE_DIRECTORY, or below $XDG_STATE_HOME; to be freed. */
char *qvfd_store_default_path(bool user);

/* A record: one JSON object in a file. -ENOENT: none; -EBADMSG: not one. */
int qvfd_record_read(int folder, const char *name, struct json_object **ret_record, struct qvf_error *error);
int qvfd_record_write(int folder, const char *name, struct json_object *record, struct qvf_error *error);

/* Removes a file, or a folder with all in it; what is missing is no error. Symbolic links are not followed. */
int qvfd_remove_all(int folder, const char *name);
/* A new, empty file for reading and writing; the name is written into `ret_name`. */
int qvfd_scratch_file(struct qvfd_store *store, char ret_name[32], struct qvf_error *error);
/* Moves `name` of one folder to another, and syncs the folder. */
int qvfd_store_move(int from, const char *from_name, int to, const char *to_name);

/* A model's, adapter's or job's name: 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit. */
bool qvfd_name_valid(const char *name);

const char *qvfd_json_string(struct json_object *record, const char *key); /* "" where there is none */
double qvfd_json_number(struct json_object *record, const char *key, double otherwise);
uint64_t qvfd_json_u64(struct json_object *record, const char *key);
bool qvfd_json_bool(struct json_object *record, const char *key);
void qvfd_json_set_string(struct json_object *record, const char *key, const char *value);
void qvfd_json_set_number(struct json_object *record, const char *key, double value); /* NaN: left out */
void qvfd_json_set_u64(struct json_object *record, const char *key, uint64_t value);

static inline void qvfd_json_putp(struct json_object **value)
{
        json_object_put(*value);
}
#define _cleanup_json_ __attribute__((cleanup(qvfd_json_putp)))

#endif
