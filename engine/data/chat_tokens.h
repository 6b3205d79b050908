/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of text that several hands wrote: a template, the people of a chat, a prompt's author.
 *
 * Special tokens are looked for only in what may hold them (a template's own text): "<|eot_id|>" in a message stays
 * text. The rest is encoded as one text from special token to special token, as it is when a model is asked, but
 * for one thing: a cut in the text is always a token boundary. Cuts stand where an answer begins and ends, because a
 * model that is asked begins with a fresh token too. So a token lies wholly inside or wholly outside of an answer,
 * and counts for the loss when it lies inside of one that counts. */
#ifndef QVF_ENGINE_DATA_CHAT_TOKENS_H
#define QVF_ENGINE_DATA_CHAT_TOKENS_H

#include "engine/template/chat_template.h"
#include "engine/tokenizer/tokenizer.h"

/* A token of training data: the id, and whether the loss looks at how well it was predicted. */
#define QVF_DATA_COUNTS ((uint32_t)1 << 31)
#define QVF_DATA_ID(token) ((int32_t)((token) & ~QVF_DATA_COUNTS))

struct qvf_data_tokens {
        uint32_t *tokens;
        size_t count, capacity;
        uint64_t spilled, limit; /* limit 0: none */
        /* Optional: takes the tokens so far, so that a long document needs not be in memory as a whole. */
        int (*spill)(void *context, const uint32_t *tokens, size_t count);
        void *context;
};
/* -E2BIG past the limit. */
int qvf_data_tokens_append(struct qvf_data_tokens *list, int32_t id, bool counts);
/* Hands all tokens on, where somebody takes them. */
int qvf_data_tokens_spill(struct qvf_data_tokens *list);
void qvf_data_tokens_exit(struct qvf_data_tokens *list);

/* A piece of text between two cuts. */
struct qvf_data_piece {
        size_t start, end;
        bool counts;
};

struct qvf_data_text {
        const char *bytes;
        size_t length;
        /* In rising order, and together they are the whole text; neighbours that are not cut apart may be one. */
        const struct qvf_data_piece *pieces;
        size_t n_pieces;
        /* Where special tokens are not looked for, in rising order. */
        const struct qvf_chat_range *closed;
        size_t n_closed;
};

/* Appends the tokens of `text`. `continues`: it goes on where other text ended. */
int qvf_data_encode(const struct qvf_tokenizer *tokenizer, const struct qvf_data_text *text, bool continues,
                struct qvf_data_tokens *tokens, struct qvf_error *error);

struct qvf_data_chat {
        const struct qvf_tokenizer *tokenizer;
        const struct qvf_chat_template *chat_template;
        /* What the template writes to have the next answer begin: an answer's first token comes right after it, be
         * it white space. Empty where that can't be told. */
        struct qvf_text prompt;
};

/* Finds out chat->prompt; the tokenizer and the template must outlive the chat. */
int qvf_data_chat_init(struct qvf_data_chat *chat, const struct qvf_tokenizer *tokenizer,
                const struct qvf_chat_template *chat_template, const struct qvf_chat_context *tokens);
void qvf_data_chat_exit(struct qvf_data_chat *chat);

struct qvf_data_chat_request {
        struct qvf_chat_context context;
        const bool *left_out; /* NULL, or for each message: its tokens do not count */
        bool all_count;       /* all tokens count, not only those of answers */
};

/* Renders the chat and appends its tokens: what the template writes and no more, no begin token of its own. */
int qvf_data_chat_encode(const struct qvf_data_chat *chat, const struct qvf_data_chat_request *request,
                struct qvf_data_tokens *tokens, struct qvf_error *error);

#endif
