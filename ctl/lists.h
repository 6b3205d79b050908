/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs that show objects have in common: JSON, --names, --watch, and a list of properties for people. */
#ifndef QVF_CTL_LISTS_H
#define QVF_CTL_LISTS_H

#include "ctl/ctl.h"

struct ctl_list {
        const char *kind; /* also the key in JSON */
        const char *none; /* what is said where there are none */
        void (*print)(const struct ctl *ctl, const struct qvf_value *objects);
};

int ctl_list_show(const struct ctl_list *list, const struct ctl_common *common, struct qvf_error *error);

/* Prints what `document` makes now and after each event of `kind` (NULL: any), one line each, until Ctrl-C. */
int ctl_watch(struct ctl *ctl, const char *kind,
                int (*document)(struct ctl *ctl, const void *context, struct json_object **ret_document,
                                struct qvf_error *error),
                const void *context, struct qvf_error *error);

struct ctl_field { /* one line about an object */
        const char *label, *property;
        char kind; /* s: text, b: bytes, c: count, n: plain number, t: time, d: seconds, e: joules, l: loss, y: yes or no, a: list */
};

/* Lines "label: value" of those properties that say something. */
void ctl_fields_print(const struct ctl *ctl, const struct ctl_field *fields, const struct qvf_value *object);

/* {"KEY": {properties}} or the fields, of one object. */
int ctl_object_show(const struct ctl_common *common, const char *kind, const char *name, const char *key,
                const struct ctl_field *fields, struct qvf_error *error);

/* A call without a result that matters, and what is printed when it is done. With --json: {"done": true}. */
int ctl_act(const struct ctl_common *common, struct qvf_error *error, int r,
                const struct qvf_failure *failure, const char *format, ...)
                __attribute__((format(printf, 5, 6)));

uint64_t ctl_now_us(void);

#endif
