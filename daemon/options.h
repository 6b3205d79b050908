/* SPDX-License-Identifier: Apache-2.0 */
/* qvfd's command line. */
#ifndef QVF_DAEMON_OPTIONS_H
#define QVF_DAEMON_OPTIONS_H

#include <stdbool.h>

struct qvfd_options {
        bool user, dry_run, check_config, json, verbose, help, version;
        const char *address;    /* unix:path=…; NULL: a bus */
        const char *state;      /* the store's folder; NULL: by the environment */
        const char *config;     /* the folder of qvfd.yaml, or one file; NULL: by the mode */
        const char *introspect; /* an object's path, or "list" */
        const char *simulate;   /* a trace, or "-" */
        const char *root;       /* of sysfs and procfs, for tests */
        const char *worker;     /* the program; NULL: beside qvfd, or the installed one */
};

/* 0; -EINVAL after a line on stderr. */
int qvfd_options_parse(int n, char **arguments, struct qvfd_options *ret_options);
void qvfd_options_print_help(void);

#endif
