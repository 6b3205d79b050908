/* SPDX-License-Identifier: Apache-2.0 */
/* Chat templates: the Jinja subset that `tokenizer.chat_template` of public models uses, rendered as
 * Hugging Face does it (trim_blocks, lstrip_blocks, loop controls, an immutable sandbox).
 *
 * Every error names line, column and what was expected. Codes: -EINVAL the template is wrong or does what it
 * may not; -EBADMSG the template itself refused the messages (raise_exception); -EILSEQ the caller's JSON is
 * malformed; -E2BIG a limit below was reached; -ENOMEM. Nothing is global: threads may share a template. */
#ifndef QVF_ENGINE_CHAT_TEMPLATE_H
#define QVF_ENGINE_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/text.h"

#define QVF_CHAT_SOURCE_LIMIT                                                                               \
        ((size_t)256 << 10)                      /* bytes of a template; the longest public one has 30 KiB */
#define QVF_CHAT_INPUT_LIMIT ((size_t)256 << 20) /* bytes of all messages and other inputs together */
#define QVF_CHAT_OUTPUT_LIMIT ((size_t)16 << 20) /* bytes rendered, unless the context says otherwise */
#define QVF_CHAT_WORK_LIMIT ((uint64_t)1000000)  /* steps, plus one for every byte of input */
#define QVF_CHAT_MEMORY_FLOOR ((size_t)8 << 20)  /* memory limit of a rendering: this + 4 x input */
#define QVF_CHAT_PARSE_DEPTH 200                 /* brackets (2 each) and blocks inside one another */
#define QVF_CHAT_RENDER_DEPTH 400                /* the same while rendering, macro calls included */

struct qvf_chat_message {
        const char *role;
        const char *content; /* NULL: none, as for a message that only calls tools */
        const char *extra; /* NULL, or a JSON object: more members of the message (name, tool_calls, …) */
};

struct qvf_chat_context {
        const struct qvf_chat_message *messages;
        size_t n_messages;
        bool add_generation_prompt;
        const char *bos_token; /* each token may be NULL: then it is undefined in the template */
        const char *eos_token;
        const char *unk_token;
        const char *pad_token;
        const char *tools;     /* NULL, or a JSON array */
        const char *documents; /* NULL, or a JSON array */
        const char *variables; /* NULL, or a JSON object: more variables; the ones above win */
        int64_t now;           /* seconds since 1970 for strftime_now (local time); 0: the clock */
        size_t output_limit;   /* 0: QVF_CHAT_OUTPUT_LIMIT */
};

#define QVF_CHAT_NO_MESSAGE SIZE_MAX

/* A run of rendered bytes that belongs to one message, in rising order, never overlapping. The interpreter
 * carries the origin of every byte through its values (trim, slices, +, replace, tojson, macros, set
 * blocks), so that no marker is searched for in the result. The rule:
 *  - A span starts at the first byte that came from the message's content (or from its `extra`).
 *  - It goes on over further bytes of the same message and over what the template itself writes between them
 *    in the same turn. A turn is one pass of the for loop over the messages; where there is none, one pass
 * of the outermost loop; outside of any loop, one {{ … }}. `content_end` is the end of its last own byte.
 *  - For an assistant, `end` also takes in what the template writes after that in the same turn (the
 *    end-of-turn token: what a model must learn to say to stop), less the white space at its end; where it
 * is nothing but white space, all of it up to the first newline. For others `end` is `content_end`.
 *  - A template with {% generation %} blocks says itself what the assistant's part is: then each block's
 *    output is one assistant span, and there are no other assistant spans. */
struct qvf_chat_span {
        size_t start, content_end, end;
        size_t message; /* index into messages, or QVF_CHAT_NO_MESSAGE (an empty generation block) */
        bool is_assistant;
};

struct qvf_chat_spans {
        struct qvf_chat_span *items;
        size_t count;
};

struct qvf_chat_template;

/* Parses `source` (copied; need not end in NUL). */
int qvf_chat_template_new(const char *source, size_t length, struct qvf_chat_template **ret_template,
                struct qvf_error *error);
struct qvf_chat_template *qvf_chat_template_free(struct qvf_chat_template *chat_template);

/* What it was made from, newlines unified; lives as long as the template. */
const char *qvf_chat_template_source(const struct qvf_chat_template *chat_template, size_t *ret_length);

/* Appends the rendered text to `out`, which is untouched on failure. */
int qvf_chat_template_render(const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context, struct qvf_text *out, struct qvf_error *error);

/* The same, and tells which bytes (counted from where `out` ended before) are whose. `ret_spans->items` is
 * the caller's to free. */
int qvf_chat_template_render_spans(const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context, struct qvf_text *out,
                struct qvf_chat_spans *ret_spans, struct qvf_error *error);

/* A run of bytes, counted like those of the spans. */
struct qvf_chat_range {
        size_t start, end;
};

struct qvf_chat_ranges {
        struct qvf_chat_range *items;
        size_t count;
};

/* The same again, and tells which bytes the template did not write itself but took from some message: there no
 * special token may be looked for. `ret_own->items` is the caller's to free as well. */
int qvf_chat_template_render_origins(const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context, struct qvf_text *out,
                struct qvf_chat_spans *ret_spans, struct qvf_chat_ranges *ret_own, struct qvf_error *error);

/* The built-in template for a model that has none. Each turn is "Role: content" and a newline, content
 * trimmed; with add_generation_prompt "Assistant:" follows. With an eos_token, an assistant's turn ends in
 * it before the newline. A bos_token comes first. The returned template is made by qvf_chat_template_new. */
int qvf_chat_template_new_plain(struct qvf_chat_template **ret_template, struct qvf_error *error);
int qvf_chat_template_plain(
                const struct qvf_chat_context *context, struct qvf_text *out, struct qvf_error *error);

QVF_DEFINE_CLEANUP(struct qvf_chat_template *, qvf_chat_template_free)

#endif
