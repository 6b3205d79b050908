/* SPDX-License-Identifier: Apache-2.0 */
/* Models and adapters lie in the store in the same way: NAME.gguf, and NAME.json that says what it is. A thing is there
 * when its record is: the file comes first and goes last. */
#ifndef QVF_DAEMON_STORED_H
#define QVF_DAEMON_STORED_H

#include <json-c/json.h>

#include "common/error.h"

struct qvfd;

/* Calls `take` for each one, in the order of their names. Files without a record are removed. */
void qvfd_stored_load(struct qvfd *service, int folder,
                int (*take)(struct qvfd *service, const char *name, struct json_object *record));
int qvfd_stored_open(int folder, const char *name); /* the file, for reading */
/* Moves a file of the scratch folder in, with its record; what had the name before is replaced. */
int qvfd_stored_put(struct qvfd *service, int folder, const char *name, int from, const char *from_name,
                struct json_object *record, struct qvf_error *error);
void qvfd_stored_remove(int folder, const char *name);

#endif
