/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of qvfctl share: options, connection, exit codes. */
#ifndef QVF_CTL_CTL_H
#define QVF_CTL_CTL_H

#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/options.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "qvf/qvf.h"

enum ctl_exit {
        CTL_OK = 0,
        CTL_FAILED = 1,
        CTL_USAGE = BENCH_USAGE,
        CTL_TIMED_OUT = 3,
        CTL_NOT_FOUND = 4,
        CTL_DENIED = 5,
        CTL_NOTHING = 6,
        CTL_NOT_RUNNING = 8,
};

/* The beginning of every verb's options. */
struct ctl_common {
        const char *address;
        bool user, private, json, watch, names, no_colour, ask;
        uint32_t timeout_s;
};

/* Tables of options that many verbs have. */
extern const struct bench_option ctl_common_options[]; /* all verbs */
extern const struct bench_option ctl_watch_options[];  /* those that can go on */
extern const struct bench_option ctl_names_options[];  /* lists */

#define CTL_COMMON_DEFAULTS                                                                                 \
        {                                                                                                   \
                .timeout_s = 25                                                                             \
        }

/* The one context of the program. */
struct ctl {
        struct qvf_client *client;
        struct ctl_daemon *daemon; /* of --private */
        bool json;                 /* errors are told as JSON, too */
        bool colour;               /* of standard output */
        char error_name[60];       /* of the failure that ended the verb */
};

/* Connects once; with --private it starts qvfd where none answers. An exit code, with its words in `error`. */
int ctl_connect(struct ctl *ctl, const struct ctl_common *common, struct qvf_error *error);
void ctl_disconnect(struct ctl *ctl);
struct ctl *ctl_context(void);

/* From a failure of the library to an exit code with words. */
int ctl_failed(struct qvf_error *error, const struct qvf_failure *failure);

/* The model that an empty name means; to free(). */
int ctl_default_model(struct ctl *ctl, const char *name, char **ret_name, struct qvf_error *error);

/* SIGINT sets this while ctl_catch_interrupt() holds; the default action otherwise. */
extern volatile sig_atomic_t ctl_interrupted;
void ctl_catch_interrupt(bool catch);

static inline void ctl_value_freep(struct qvf_value **value)
{
        qvf_value_free(*value);
}
static inline void ctl_options_freep(struct qvf_options **options)
{
        qvf_options_free(*options);
}
static inline void ctl_session_freep(struct qvf_session **session)
{
        qvf_session_free(*session);
}
static inline void ctl_json_freep(struct json_object **object)
{
        json_object_put(*object);
}
#define _cleanup_value_ _cleanup_(ctl_value_freep)
#define _cleanup_options_ _cleanup_(ctl_options_freep)
#define _cleanup_session_ _cleanup_(ctl_session_freep)
#define _cleanup_json_ _cleanup_(ctl_json_freep)

/* Short for what verbs say most. */
static inline const char *ctl_string(const struct qvf_value *object, const char *key)
{
        return qvf_value_string(qvf_value_get(object, key));
}
static inline double ctl_number(const struct qvf_value *object, const char *key)
{
        return qvf_value_number(qvf_value_get(object, key));
}
static inline uint64_t ctl_unsigned(const struct qvf_value *object, const char *key)
{
        return qvf_value_unsigned(qvf_value_get(object, key));
}
static inline bool ctl_boolean(const struct qvf_value *object, const char *key)
{
        return qvf_value_boolean(qvf_value_get(object, key));
}

#endif
