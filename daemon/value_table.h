/* SPDX-License-Identifier: Apache-2.0 */
/* Every option that a call may carry: one line each. The interface files describe them. */
#ifndef QVF_DAEMON_VALUE_TABLE_H
#define QVF_DAEMON_VALUE_TABLE_H

#include "daemon/values.h"

struct qvfd_value_entry {
        const char *key;
        enum qvfd_type type;
        unsigned groups;
        double least, most; /* of numbers; `most` of strings in bytes, of lists in items */
        const char *choices;
};

extern const struct qvfd_value_entry qvfd_value_table[]; /* ends with a NULL key */

#endif
