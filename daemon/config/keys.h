/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all that qvfd.yaml may hold. */
#ifndef QVF_DAEMON_CONFIG_KEYS_H
#define QVF_DAEMON_CONFIG_KEYS_H

#include "common/units.h"
#include "daemon/config/config.h"

enum qvf_key_type {
        QVF_KEY_BOOL,   /* bool: yes, no, true, false, on, off */
        QVF_KEY_NUMBER, /* double, in a unit */
        QVF_KEY_COUNT,  /* unsigned */
        QVF_KEY_CHOICE, /* enum, one of `choices` */
        QVF_KEY_NAMES,  /* struct qvf_names: a list, or one alone */
        QVF_KEY_HOURS,  /* struct qvf_hours: likewise, of spans */
        QVF_KEY_DAYS,   /* unsigned: likewise, of days */
};

struct qvf_key {
        const char *name;
        enum qvf_key_type type;
        enum qvf_unit unit;
        size_t offset; /* in the section's struct */
        double least, most;
        const char *none;    /* the word for no limit ("none", "auto", "all"); NULL: there is none */
        double none_value;   /* what it stands for, of numbers and counts */
        const char *choices; /* "any mains charging", in the order of the enum */
        /* As it would stand in the file; elements of lists parted by ", ". The second is that of inference. */
        const char *initial[2];
        const char *text; /* one sentence, for the man page's test and for `qvfctl policy explain` */
};

struct qvf_section {
        const char *name;
        size_t offset;   /* in struct qvf_config */
        unsigned column; /* of qvf_key.initial */
        const struct qvf_key *keys;
        size_t n_keys;
        const char *text;
};

extern const struct qvf_section qvf_sections[];
extern const size_t qvf_n_sections;

/* NULL where there is none of that name. */
const struct qvf_section *qvf_section_find(const char *name);
const struct qvf_key *qvf_key_find(const struct qvf_section *section, const char *name);
/* The value's place in a configuration. */
static inline void *qvf_key_place(
                const struct qvf_section *section, const struct qvf_key *key, struct qvf_config *config)
{
        return (char *)config + section->offset + key->offset;
}

/* Sets the value from `n` texts (one, unless the key takes a list). The error says what was expected, not where. */
int qvf_key_set(const struct qvf_key *key, void *place, const char *const *texts, size_t n,
                struct qvf_error *error);
bool qvf_key_is_list(const struct qvf_key *key);
/* As it would stand in the file. */
int qvf_key_print(const struct qvf_key *key, const void *place, struct qvf_text *text);
/* "a duration, as 30s, 5min or 1h30min, from 0s to 7d, or none" */
int qvf_key_expects(const struct qvf_key *key, struct qvf_text *text);

#endif
