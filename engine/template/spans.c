/* SPDX-License-Identifier: Apache-2.0 */
/* The rule stands in chat_template.h, at struct qvf_chat_span. */
#include "engine/template/spans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/template/characters.h"

static int add_span(struct qvf_chat_spans *spans, struct qvf_chat_span span)
{
        /* The capacity is the power of two that is not below the count. */
        if ((spans->count & (spans->count - 1)) == 0) {
                size_t capacity = spans->count ? spans->count * 2 : 1;
                struct qvf_chat_span *items = realloc(spans->items, capacity * sizeof(*items));

                if (!items)
                        return -ENOMEM;
                spans->items = items;
        }
        spans->items[spans->count++] = span;
        return 0;
}

static size_t run_start(const struct jinja_builder *output, uint32_t index)
{
        return index ? output->runs[index - 1].end : 0;
}

/* Where an assistant's span ends whose content ends at `from`, when its turn goes on up to `to`. */
static size_t turn_end(const char *bytes, size_t from, size_t to)
{
        const char *newline = memchr(bytes + from, '\n', to - from);
        size_t end = to, space;

        while ((space = qvf_jinja_space_length_before(bytes + from, end - from)) > 0)
                end -= space;
        if (end > from)
                return end;
        return newline ? (size_t)(newline - bytes) + 1 : from;
}

/* The runs of one generation block, from `*index` on; *index moves behind them. */
static struct qvf_chat_span take_generation(const struct jinja_builder *output, uint32_t *index)
{
        uint32_t generation = output->runs[*index].generation;
        struct qvf_chat_span span = {
                .start = run_start(output, *index), .message = QVF_CHAT_NO_MESSAGE, .is_assistant = true
        };

        for (; *index < output->run_count && output->runs[*index].generation == generation; (*index)++) {
                const struct jinja_run *run = &output->runs[*index];

                if (run->origin && span.message == QVF_CHAT_NO_MESSAGE)
                        span.message = run->origin - 1;
                span.end = run->end;
        }
        span.content_end = span.end;
        return span;
}

/* The runs of one message in one turn, and what the template wrote between and behind them. */
static struct qvf_chat_span take_message(
                const struct jinja_builder *output, uint32_t *index, bool is_assistant)
{
        const struct jinja_run first = output->runs[*index];
        struct qvf_chat_span span = {
                .start = run_start(output, *index), .message = first.origin - 1, .is_assistant = is_assistant
        };
        size_t tail = first.end;
        uint32_t next = *index;

        for (uint32_t i = *index; i < output->run_count; i++) {
                const struct jinja_run *run = &output->runs[i];

                if (run->turn != first.turn || run->generation ||
                                (run->origin && run->origin != first.origin))
                        break;
                tail = run->end;
                if (run->origin) {
                        span.content_end = run->end;
                        next = i + 1;
                }
        }
        span.end = is_assistant ? turn_end(output->bytes, span.content_end, tail) : span.content_end;
        *index = next;
        return span;
}

int qvf_jinja_spans(const struct jinja_builder *output, const struct qvf_chat_context *context,
                struct qvf_chat_spans *ret_spans)
{
        struct qvf_chat_spans spans = { 0 };
        bool has_generation = false;
        int r = 0;

        for (uint32_t i = 0; i < output->run_count; i++)
                has_generation |= output->runs[i].generation != 0;
        for (uint32_t i = 0; r >= 0 && i < output->run_count;) {
                const struct jinja_run *run = &output->runs[i];

                if (run->generation)
                        r = add_span(&spans, take_generation(output, &i));
                else if (run->origin)
                        r = add_span(&spans,
                                        take_message(output, &i,
                                                        !has_generation &&
                                                                        strcmp(context->messages[run->origin -
                                                                                                      1]
                                                                                                        .role,
                                                                                        "assistant") == 0));
                else
                        i++;
        }
        if (r < 0) {
                free(spans.items);
                return r;
        }
        *ret_spans = spans;
        return 0;
}

int qvf_jinja_own_ranges(const struct jinja_builder *output, struct qvf_chat_ranges *ret_own)
{
        struct qvf_chat_ranges own = { 0 };

        own.items = calloc((size_t)output->run_count + 1, sizeof(*own.items));
        if (!own.items)
                return -ENOMEM;
        for (uint32_t i = 0; i < output->run_count; i++) {
                size_t start = run_start(output, i), end = output->runs[i].end;

                if (!output->runs[i].origin || start == end)
                        continue;
                if (own.count > 0 && own.items[own.count - 1].end == start)
                        own.items[own.count - 1].end = end;
                else
                        own.items[own.count++] = (struct qvf_chat_range){ start, end };
        }
        *ret_own = own;
        return 0;
}
