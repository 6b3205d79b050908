/* SPDX-License-Identifier: Apache-2.0 */
/* The filters on lists; those on text and numbers stand beside the table in filters.c. */
#ifndef QVF_ENGINE_TEMPLATE_FILTERS_H
#define QVF_ENGINE_TEMPLATE_FILTERS_H

#include "engine/template/machine.h"

#define JINJA_FILTER(name)                                                                                  \
        int qvf_jinja_filter_##name(struct jinja_machine *machine, struct jinja_call *call,                 \
                        struct jinja_value *ret_value)

JINJA_FILTER(batch);
JINJA_FILTER(dictsort);
JINJA_FILTER(first);
JINJA_FILTER(items);
JINJA_FILTER(join);
JINJA_FILTER(last);
JINJA_FILTER(length);
JINJA_FILTER(list);
JINJA_FILTER(map);
JINJA_FILTER(max);
JINJA_FILTER(min);
JINJA_FILTER(reject);
JINJA_FILTER(rejectattr);
JINJA_FILTER(reverse);
JINJA_FILTER(select);
JINJA_FILTER(selectattr);
JINJA_FILTER(sort);
JINJA_FILTER(sum);
JINJA_FILTER(unique);

#endif
