/* SPDX-License-Identifier: Apache-2.0 */
/* Options that came as a{sv}, read into a struct by a table of keys. */
#ifndef QVF_WORKER_OPTIONS_H
#define QVF_WORKER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/error.h"

enum worker_option_type {
        OPTION_BOOL,    /* bool */
        OPTION_U32,     /* uint32_t, within least and most */
        OPTION_U64,     /* uint64_t, likewise */
        OPTION_DOUBLE,  /* double, likewise, finite */
        OPTION_STRING,  /* char *, of least to most bytes */
        OPTION_CHOICE,  /* unsigned: which of `choices` */
        OPTION_FILE,    /* int, a copy of the descriptor; -1 before */
        OPTION_SPECIAL, /* read() does it */
};

struct worker_option {
        const char *key; /* NULL ends a table */
        enum worker_option_type type;
        size_t offset;
        double least, most;
        const char *choices; /* "adamw adamw8bit" */
        /* The message stands inside of the variant, whose type is `contents`. */
        int (*read)(sd_bus_message *message, const char *contents, void *options, struct qvf_error *error);
        const char *contents; /* that read() expects */
};

/* Leaves what is not given as it is. -EINVAL: a value is bad; -ENOKEY: a key is not known. Strings and descriptors are
 * in the struct for worker_options_exit(), also when this fails. */
int worker_options_read(sd_bus_message *message, const struct worker_option *table, void *options,
                struct qvf_error *error);
void worker_options_exit(const struct worker_option *table, void *options);

#endif
