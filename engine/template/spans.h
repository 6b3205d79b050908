/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QVF_ENGINE_TEMPLATE_SPANS_H
#define QVF_ENGINE_TEMPLATE_SPANS_H

#include "engine/template/builder.h"
#include "engine/template/chat_template.h"

/* Which rendered bytes are whose, from the runs of the output. 0 or -ENOMEM. */
int qvf_jinja_spans(const struct jinja_builder *output, const struct qvf_chat_context *context,
                struct qvf_chat_spans *ret_spans);
/* The runs that have an origin, neighbours joined. 0 or -ENOMEM. */
int qvf_jinja_own_ranges(const struct jinja_builder *output, struct qvf_chat_ranges *ret_own);

#endif
