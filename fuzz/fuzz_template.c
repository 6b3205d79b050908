/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: the bytes are a chat template, for fixed messages. Seeds: tests/data/templates/ */
#include <stdlib.h>

#include "engine/template/chat_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct qvf_chat_message messages[] = {
                { "system", "Be brief.", NULL },
                { "user", "  What is grep?\n", NULL },
                { "assistant", "<think>\nhm\n</think>\n\nIt finds \xc3\xa4 patterns.", NULL },
                { "assistant", NULL,
                                "{\"tool_calls\": [{\"id\": \"abcdefghi\", \"type\": \"function\", "
                                "\"function\": "
                                "{\"name\": \"f\", \"arguments\": {\"x\": [1, 2.5, null, true]}}}]}" },
                { "tool", "{\"t\": 21}", "{\"name\": \"f\", \"tool_call_id\": \"abcdefghi\"}" },
                { "assistant", "21", NULL },
        };
        static const struct qvf_chat_context context = {
                .messages = messages,
                .n_messages = sizeof(messages) / sizeof(messages[0]),
                .add_generation_prompt = true,
                .bos_token = "<s>",
                .eos_token = "</s>",
                .tools = "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": "
                         "{\"type\": "
                         "\"object\", \"properties\": {\"x\": {\"type\": \"array\"}}}}}]",
                .now = 1753000000,
        };
        _cleanup_(qvf_chat_template_freep) struct qvf_chat_template *chat_template = NULL;
        _cleanup_text_ struct qvf_text out = { 0 };
        struct qvf_chat_spans spans = { 0 };
        struct qvf_error error = { 0 };

        if (qvf_chat_template_new((const char *)data, size, &chat_template, &error) < 0)
                return 0;
        if (qvf_chat_template_render_spans(chat_template, &context, &out, &spans, &error) >= 0)
                free(spans.items);
        return 0;
}
