/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "common/log.h"
#include "engine/data/chat_tokens.h"
#include "engine/model/model.h"

struct chat_names { /* the special tokens as the template calls them */
        struct qvf_text bos, eos, unknown, padding;
};

static void names_exit(struct chat_names *names)
{
        qvf_text_exit(&names->bos);
        qvf_text_exit(&names->eos);
        qvf_text_exit(&names->unknown);
        qvf_text_exit(&names->padding);
}

/* A special token's text, or NULL; `buffer` holds it. */
static const char *named_token(
                const struct qvf_model *model, enum qvf_named_token name, struct qvf_text *buffer)
{
        int32_t id = qvf_tokenizer_named(model->tokenizer, name);
        struct qvf_token_string piece;

        if (id < 0)
                return NULL;
        piece = qvf_tokenizer_piece(model->tokenizer, id);
        if (qvf_text_append(buffer, piece.bytes, piece.length) < 0)
                return NULL;
        return qvf_text_string(buffer);
}

static int encode(const struct qvf_model *model, const struct qvf_chat_template *chat_template,
                const struct qvf_chat_context *context, struct qvf_data_tokens *tokens,
                struct qvf_error *error)
{
        const struct qvf_data_chat_request request = { .context = *context };
        struct qvf_data_chat chat = { 0 };
        int r = qvf_data_chat_init(&chat, model->tokenizer, chat_template, context);

        if (r == 0)
                r = qvf_data_chat_encode(&chat, &request, tokens, error);
        qvf_data_chat_exit(&chat);
        return r;
}

/* With the token that begins a text before them, where the tokenizer wants it and the template did not write it. */
static int take_ids(const struct qvf_model *model, const struct qvf_data_tokens *tokens, int32_t **ret_ids,
                size_t *ret_count)
{
        int32_t bos = qvf_tokenizer_named(model->tokenizer, QVF_NAMED_BOS);
        bool add = qvf_tokenizer_adds_bos(model->tokenizer) && bos >= 0 &&
                   (tokens->count == 0 || QVF_DATA_ID(tokens->tokens[0]) != bos);
        int32_t *ids = calloc(tokens->count + 1, sizeof(*ids));

        if (!ids)
                return -ENOMEM;
        ids[0] = bos;
        for (size_t i = 0; i < tokens->count; i++)
                ids[i + add] = QVF_DATA_ID(tokens->tokens[i]);
        *ret_ids = ids;
        *ret_count = tokens->count + add;
        return 0;
}

int qvf_model_chat(struct qvf_model *model, const struct qvf_chat_message *messages, size_t n_messages,
                bool add_generation_prompt, int32_t **ret_ids, size_t *ret_count, struct qvf_error *error)
{
        static bool said; /* one line in the log is enough, whichever model it is */
        _cleanup_(names_exit) struct chat_names names = { 0 };
        _cleanup_(qvf_chat_template_freep) struct qvf_chat_template *plain = NULL;
        struct qvf_data_tokens tokens = { 0 };
        const struct qvf_chat_context context = {
                .messages = messages,
                .n_messages = n_messages,
                .add_generation_prompt = add_generation_prompt,
                .bos_token = named_token(model, QVF_NAMED_BOS, &names.bos),
                .eos_token = named_token(model, QVF_NAMED_EOS, &names.eos),
                .unk_token = named_token(model, QVF_NAMED_UNKNOWN, &names.unknown),
                .pad_token = named_token(model, QVF_NAMED_PADDING, &names.padding),
        };
        int r = 0;

        if (!model->chat_template) {
                r = qvf_chat_template_new_plain(&plain, error);
                if (!said)
                        qvf_log(QVF_LOG_INFO, "the model has no chat template: \"User: …\", \"Assistant: "
                                              "…\" is used");
                said = true;
        }
        if (r == 0)
                r = encode(model, plain ? plain : model->chat_template, &context, &tokens, error);
        if (r == 0)
                r = take_ids(model, &tokens, ret_ids, ret_count);
        qvf_data_tokens_exit(&tokens);
        return r;
}
