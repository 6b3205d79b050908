/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a string together and keeps the origin of every part. The memory counts against the machine's budget.
 */
#ifndef QVF_ENGINE_TEMPLATE_BUILDER_H
#define QVF_ENGINE_TEMPLATE_BUILDER_H

#include "common/cleanup.h"
#include "engine/template/value.h"

struct jinja_builder {
        struct jinja_machine *machine;
        char *bytes;
        struct jinja_run *runs;
        uint32_t length, capacity;
        uint32_t run_count, run_capacity;
        uint32_t limit; /* 0: none of its own */
        bool is_output; /* stamps turn and generation block on text that has none yet */
};

int qvf_jinja_build(struct jinja_builder *builder, const char *bytes, size_t length, uint32_t origin);
int qvf_jinja_build_literal(struct jinja_builder *builder, const char *literal);
int qvf_jinja_build_codepoint(struct jinja_builder *builder, uint32_t codepoint, uint32_t origin);
int qvf_jinja_build_string(struct jinja_builder *builder, const struct jinja_string *string);
int qvf_jinja_build_slice(struct jinja_builder *builder, const struct jinja_string *string, uint32_t from,
                uint32_t to);
int qvf_jinja_build_repeat(struct jinja_builder *builder, char byte, size_t count);
/* Makes the text a value, and empties the builder. */
int qvf_jinja_build_finish(struct jinja_builder *builder, struct jinja_value *ret_value);
void qvf_jinja_builder_exit(struct jinja_builder *builder);

#define _cleanup_builder_ _cleanup_(qvf_jinja_builder_exit)

#endif
