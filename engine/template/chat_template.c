/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/chat_template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/template/machine.h"
#include "engine/template/spans.h"

/* What a message costs besides its text: its dict, so that many short ones do not run into the limit. */
#define MESSAGE_BYTES 1024

static const char plain_source[] =
                "{{ bos_token }}"
                "{% for message in messages %}"
                "{{ message['role'] | capitalize }}: {{ (message['content'] or '') | trim }}"
                "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
                "{{ '\\n' }}"
                "{% endfor %}"
                "{% if add_generation_prompt %}Assistant:{% endif %}";

struct qvf_chat_template {
        char *source; /* newlines are all "\n" */
        size_t length;
        struct jinja_memory memory;
        struct jinja_arena arena;
        struct jinja_node *body;
};

/* Like Jinja: any newline becomes "\n", and one at the end is dropped. */
static size_t copy_source(char *out, const char *source, size_t length)
{
        size_t used = 0;

        for (size_t i = 0; i < length; i++) {
                out[used++] = source[i] == '\r' ? '\n' : source[i];
                if (source[i] == '\r' && i + 1 < length && source[i + 1] == '\n')
                        i++;
        }
        if (used > 0 && out[used - 1] == '\n')
                used--;
        out[used] = 0;
        return used;
}

int qvf_chat_template_new(const char *source, size_t length, struct qvf_chat_template **ret_template,
                struct qvf_error *error)
{
        _cleanup_(qvf_chat_template_freep) struct qvf_chat_template *chat_template = NULL;
        int r;

        if (length > QVF_CHAT_SOURCE_LIMIT)
                return qvf_error_set(error, -E2BIG, "the chat template has %zu bytes, more than %zu", length,
                                QVF_CHAT_SOURCE_LIMIT);
        chat_template = calloc(1, sizeof(*chat_template));
        if (!chat_template)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        chat_template->source = malloc(length + 1);
        if (!chat_template->source)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        chat_template->length = copy_source(chat_template->source, source, length);
        chat_template->memory.limit = QVF_CHAT_MEMORY_FLOOR + 4 * length;
        chat_template->arena.memory = &chat_template->memory;
        r = qvf_jinja_parse(chat_template->source, chat_template->length, &chat_template->arena,
                        &chat_template->body, error);
        if (r < 0)
                return r;
        *ret_template = QVF_TAKE(chat_template);
        return 0;
}

struct qvf_chat_template *qvf_chat_template_free(struct qvf_chat_template *chat_template)
{
        if (!chat_template)
                return NULL;
        qvf_jinja_arena_exit(&chat_template->arena);
        free(chat_template->source);
        free(chat_template);
        return NULL;
}

const char *qvf_chat_template_source(const struct qvf_chat_template *chat_template, size_t *ret_length)
{
        *ret_length = chat_template->length;
        return chat_template->source;
}

static bool add_length(uint64_t *sum, const char *text)
{
        return !text || qvf_add_u64(*sum, strlen(text), sum);
}

/* All bytes that come from outside, by which the limits are reckoned. */
static int measure(const struct qvf_chat_template *chat_template, const struct qvf_chat_context *context,
                uint64_t *ret_bytes, struct qvf_error *error)
{
        const char *const texts[] = { context->bos_token, context->eos_token, context->unk_token,
                context->pad_token, context->tools, context->documents, context->variables };
        uint64_t bytes = chat_template->length;
        bool fits = true;

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(texts); i++)
                fits &= add_length(&bytes, texts[i]);
        for (size_t i = 0; fits && i < context->n_messages; i++) {
                const struct qvf_chat_message *message = &context->messages[i];

                if (!message->role)
                        return qvf_error_set(error, -EINVAL, "message %zu has no role", i);
                fits &= add_length(&bytes, message->role) && add_length(&bytes, message->content) &&
                        add_length(&bytes, message->extra) && qvf_add_u64(bytes, MESSAGE_BYTES, &bytes) &&
                        bytes <= QVF_CHAT_INPUT_LIMIT;
        }
        if (!fits || bytes > QVF_CHAT_INPUT_LIMIT)
                return qvf_error_set(error, -E2BIG, "the messages have more than %zu bytes",
                                QVF_CHAT_INPUT_LIMIT);
        *ret_bytes = bytes;
        return 0;
}

static int define(struct jinja_machine *machine, const char *name, struct jinja_value value)
{
        return qvf_jinja_scope_set(machine, name, strlen(name), &value);
}

static int define_token(struct jinja_machine *machine, const char *name, const char *token)
{
        return token ? define(machine, name, qvf_jinja_literal(token)) : 0;
}

/* A variable from JSON; None where there is none, as in Hugging Face. */
static int define_json(struct jinja_machine *machine, const char *name, const char *json)
{
        struct jinja_value value = JINJA_VALUE_NONE;
        int r = json ? qvf_jinja_json_read(machine, name, json, strlen(json), 0, &value) : 0;

        return r < 0 ? r : define(machine, name, value);
}

static int define_variables(struct jinja_machine *machine, const char *json)
{
        struct jinja_value value;
        int r;

        if (!json)
                return 0;
        r = qvf_jinja_json_read(machine, "variables", json, strlen(json), 0, &value);
        if (r >= 0 && value.kind != JINJA_DICT)
                return qvf_jinja_fail(machine, -EILSEQ, "variables: expected a JSON object");
        for (uint32_t i = 0; r >= 0 && i < value.dict->count; i++) {
                const struct jinja_string *name = &value.dict->entries[i].key.string;

                r = qvf_jinja_scope_set(machine, name->bytes, name->length, &value.dict->entries[i].value);
        }
        return r;
}

static int make_message(struct jinja_machine *machine, const struct qvf_chat_message *message,
                uint32_t origin, struct jinja_value *ret_value)
{
        struct jinja_value extra = { .kind = JINJA_DICT }, content = JINJA_VALUE_NONE;
        char what[48];
        int r = qvf_jinja_dict_new(machine, ret_value);

        if (message->content)
                content = qvf_jinja_string(message->content, strlen(message->content), origin);
        if (r >= 0)
                r = qvf_jinja_dict_set_name(
                                machine, ret_value->dict, "role", qvf_jinja_literal(message->role));
        if (r >= 0)
                r = qvf_jinja_dict_set_name(machine, ret_value->dict, "content", content);
        if (r < 0)
                return r;
        ret_value->dict->message = origin;
        if (!message->extra)
                return 0;
        snprintf(what, sizeof(what), "message %u", origin - 1);
        r = qvf_jinja_json_read(machine, what, message->extra, strlen(message->extra), origin, &extra);
        if (r >= 0 && extra.kind != JINJA_DICT)
                return qvf_jinja_fail(machine, -EILSEQ, "%s: expected a JSON object", what);
        for (uint32_t i = 0; r >= 0 && i < extra.dict->count; i++)
                r = qvf_jinja_dict_set(machine, ret_value->dict, &extra.dict->entries[i].key,
                                &extra.dict->entries[i].value);
        return r;
}

static int define_messages(struct jinja_machine *machine, const struct qvf_chat_context *context)
{
        struct jinja_value list;
        int r = qvf_jinja_list_new(machine, context->n_messages, JINJA_PLAIN, &list);

        for (size_t i = 0; r >= 0 && i < context->n_messages; i++)
                r = make_message(machine, &context->messages[i], (uint32_t)i + 1, &list.list->items[i]);
        return r < 0 ? r : define(machine, "messages", list);
}

static int define_context(struct jinja_machine *machine, const struct qvf_chat_context *context)
{
        int r = define_variables(machine, context->variables);

        if (r >= 0)
                r = define_messages(machine, context);
        if (r >= 0)
                r = define(machine, "add_generation_prompt",
                                JINJA_VALUE_BOOLEAN(context->add_generation_prompt));
        if (r >= 0)
                r = define_token(machine, "bos_token", context->bos_token);
        if (r >= 0)
                r = define_token(machine, "eos_token", context->eos_token);
        if (r >= 0)
                r = define_token(machine, "unk_token", context->unk_token);
        if (r >= 0)
                r = define_token(machine, "pad_token", context->pad_token);
        if (r >= 0)
                r = define_json(machine, "tools", context->tools);
        return r < 0 ? r : define_json(machine, "documents", context->documents);
}

static void machine_exit(struct jinja_machine *machine)
{
        qvf_jinja_arena_exit(&machine->objects);
        qvf_jinja_arena_exit(&machine->bytes);
        qvf_jinja_arena_exit(&machine->runs);
}

static int run(struct jinja_machine *machine, const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context)
{
        struct jinja_scope scope = { 0 };
        int r;

        machine->objects.memory = machine->bytes.memory = machine->runs.memory = &machine->memory;
        /* cppcheck-suppress autoVariables ; the machine runs no longer than this */
        machine->scope = &scope;
        r = define_context(machine, context);
        return r < 0 ? r : qvf_jinja_execute(machine, chat_template->body);
}

static int render(const struct qvf_chat_template *chat_template, const struct qvf_chat_context *context,
                struct qvf_text *out, struct qvf_chat_spans *ret_spans, struct qvf_chat_ranges *ret_own,
                struct qvf_error *error)
{
        _cleanup_(machine_exit) struct jinja_machine machine = {
                .source = chat_template->source, .error = error, .now = context->now
        };
        _cleanup_builder_ struct jinja_builder output = { .machine = &machine, .is_output = true };
        size_t limit = context->output_limit ? context->output_limit : QVF_CHAT_OUTPUT_LIMIT;
        struct qvf_chat_spans spans = { 0 };
        struct qvf_chat_ranges own = { 0 };
        uint64_t bytes = 0;
        int r = measure(chat_template, context, &bytes, error);

        if (r < 0)
                return r;
        output.limit = (uint32_t)qvf_min_u64(limit, UINT32_MAX);
        machine.memory.limit = QVF_CHAT_MEMORY_FLOOR + 4 * (size_t)bytes;
        machine.work_left = QVF_CHAT_WORK_LIMIT + bytes;
        machine.output = &output;
        r = run(&machine, chat_template, context);
        if (r < 0)
                return r;
        machine_exit(&machine);
        if (ret_spans && qvf_jinja_spans(&output, context, &spans) < 0)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        r = ret_own ? qvf_jinja_own_ranges(&output, &own) : 0;
        if (r >= 0)
                r = qvf_text_append(out, output.bytes, output.length);
        if (r < 0) {
                free(spans.items);
                free(own.items);
                return qvf_error_set(error, r, "the rendered text does not fit");
        }
        if (ret_spans)
                *ret_spans = spans;
        if (ret_own)
                *ret_own = own;
        return 0;
}

int qvf_chat_template_render(const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context, struct qvf_text *out, struct qvf_error *error)
{
        return render(chat_template, context, out, NULL, NULL, error);
}

int qvf_chat_template_render_spans(const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context, struct qvf_text *out,
                struct qvf_chat_spans *ret_spans, struct qvf_error *error)
{
        return render(chat_template, context, out, ret_spans, NULL, error);
}

int qvf_chat_template_render_origins(const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context, struct qvf_text *out,
                struct qvf_chat_spans *ret_spans, struct qvf_chat_ranges *ret_own, struct qvf_error *error)
{
        return render(chat_template, context, out, ret_spans, ret_own, error);
}

int qvf_chat_template_new_plain(struct qvf_chat_template **ret_template, struct qvf_error *error)
{
        return qvf_chat_template_new(plain_source, sizeof(plain_source) - 1, ret_template, error);
}

int qvf_chat_template_plain(
                const struct qvf_chat_context *context, struct qvf_text *out, struct qvf_error *error)
{
        _cleanup_(qvf_chat_template_freep) struct qvf_chat_template *chat_template = NULL;
        int r = qvf_chat_template_new_plain(&chat_template, error);

        return r < 0 ? r : qvf_chat_template_render(chat_template, context, out, error);
}
