/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/chat_tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* White space that a template may put between what it writes to prompt for an answer and the answer. */
#define GAP_LIMIT 16

int qvf_data_tokens_append(struct qvf_data_tokens *list, int32_t id, bool counts)
{
        if (list->limit && list->spilled + list->count >= list->limit)
                return -E2BIG;
        if (list->count == list->capacity) {
                size_t capacity = list->capacity ? list->capacity * 2 : 256;
                uint32_t *tokens;

                if (capacity > SIZE_MAX / sizeof(*tokens))
                        return -E2BIG;
                tokens = realloc(list->tokens, capacity * sizeof(*tokens));
                if (!tokens)
                        return -ENOMEM;
                list->tokens = tokens;
                list->capacity = capacity;
        }
        list->tokens[list->count++] = (uint32_t)id | (counts ? QVF_DATA_COUNTS : 0);
        return 0;
}

int qvf_data_tokens_spill(struct qvf_data_tokens *list)
{
        int r;

        if (!list->spill || list->count == 0)
                return 0;
        r = list->spill(list->context, list->tokens, list->count);
        list->spilled += list->count;
        list->count = 0;
        return r;
}

void qvf_data_tokens_exit(struct qvf_data_tokens *list)
{
        free(list->tokens);
        *list = (struct qvf_data_tokens){ 0 };
}

struct encoding {
        const struct qvf_tokenizer *tokenizer;
        const struct qvf_data_text *text;
        struct qvf_data_tokens *tokens;
        size_t done;    /* bytes whose tokens are appended */
        bool continues; /* what comes next goes on where other text ended */
        size_t n_closed;
        struct qvf_error *error;
};

static int append(struct encoding *encoding, int32_t id, bool counts)
{
        int r = qvf_data_tokens_append(encoding->tokens, id, counts);

        if (r == -E2BIG)
                return qvf_error_set(encoding->error, r, "more than %llu tokens",
                                (unsigned long long)encoding->tokens->limit);
        return r;
}

/* The text up to `end`, which has no special tokens. */
static int encode_plain(struct encoding *encoding, size_t end, bool counts)
{
        _cleanup_free_ int32_t *ids = NULL;
        size_t count = 0;
        int r;

        if (end == encoding->done)
                return 0;
        r = qvf_tokenizer_encode(encoding->tokenizer, encoding->text->bytes + encoding->done,
                        end - encoding->done, encoding->continues ? QVF_ENCODE_CONTINUES : 0, &ids, &count,
                        encoding->error);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = append(encoding, ids[i], counts);
        encoding->done = end;
        encoding->continues = true;
        return r;
}

/* Text from `start` to `end` in which special tokens are tokens. What is left after the last stays undone. */
static int encode_open(struct encoding *encoding, size_t start, size_t end, bool counts)
{
        size_t at, length;
        int32_t id;

        while (start < end && qvf_tokenizer_next_special(encoding->tokenizer, encoding->text->bytes, end,
                                              start, &at, &length, &id)) {
                int r = encode_plain(encoding, at, counts);

                if (r >= 0)
                        r = append(encoding, id, counts);
                if (r < 0)
                        return r;
                start = encoding->done = at + length;
                encoding->continues = false;
        }
        return 0;
}

static int encode_piece(struct encoding *encoding, const struct qvf_data_piece *piece)
{
        const struct qvf_data_text *text = encoding->text;
        size_t at = piece->start;
        int r = 0;

        encoding->done = piece->start;
        while (r >= 0 && encoding->n_closed < text->n_closed) {
                const struct qvf_chat_range *closed = &text->closed[encoding->n_closed];

                if (closed->start >= piece->end)
                        break;
                if (closed->start > at)
                        r = encode_open(encoding, at, closed->start, piece->counts);
                at = closed->end;
                if (closed->end > piece->end)
                        break; /* goes on in the next piece */
                encoding->n_closed++;
        }
        if (r >= 0 && at < piece->end)
                r = encode_open(encoding, at, piece->end, piece->counts);
        return r < 0 ? r : encode_plain(encoding, piece->end, piece->counts);
}

int qvf_data_encode(const struct qvf_tokenizer *tokenizer, const struct qvf_data_text *text, bool continues,
                struct qvf_data_tokens *tokens, struct qvf_error *error)
{
        struct encoding encoding = { .tokenizer = tokenizer,
                .text = text,
                .tokens = tokens,
                .continues = continues,
                .error = error };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < text->n_pieces; i++)
                r = encode_piece(&encoding, &text->pieces[i]);
        return r == -ENOMEM ? qvf_error_set(error, r, "no memory for the tokens of %zu bytes", text->length)
                            : r;
}

int qvf_data_chat_init(struct qvf_data_chat *chat, const struct qvf_tokenizer *tokenizer,
                const struct qvf_chat_template *chat_template, const struct qvf_chat_context *tokens)
{
        const struct qvf_chat_message message = { .role = "user", .content = "x" };
        _cleanup_text_ struct qvf_text without = { 0 }, with = { 0 };
        struct qvf_chat_context context = *tokens;

        *chat = (struct qvf_data_chat){ .tokenizer = tokenizer, .chat_template = chat_template };
        context.messages = &message;
        context.n_messages = 1;
        context.add_generation_prompt = false;
        if (qvf_chat_template_render(chat_template, &context, &without, NULL) < 0)
                return 0; /* there are templates that refuse such a chat */
        context.add_generation_prompt = true;
        if (qvf_chat_template_render(chat_template, &context, &with, NULL) < 0)
                return 0;
        if (with.length <= without.length ||
                        (without.length && memcmp(with.bytes, without.bytes, without.length) != 0))
                return 0;
        return qvf_text_append(&chat->prompt, with.bytes + without.length, with.length - without.length);
}

void qvf_data_chat_exit(struct qvf_data_chat *chat)
{
        qvf_text_exit(&chat->prompt);
}

/* Where the answer that has its first own byte at `start` begins: not before `least`. */
static size_t answer_start(
                const struct qvf_text *prompt, const struct qvf_text *text, size_t least, size_t start)
{
        for (size_t at = start; prompt->length && at >= least + prompt->length; at--) {
                if (memcmp(text->bytes + at - prompt->length, prompt->bytes, prompt->length) == 0)
                        return at;
                if (start - at == GAP_LIMIT || !memchr(" \t\r\n", text->bytes[at - 1], 4))
                        break;
        }
        return start;
}

/* Cuts the text where answers begin and end. `pieces` has room for 2 * spans + 1. */
static size_t cut(const struct qvf_data_chat *chat, const struct qvf_data_chat_request *request,
                const struct qvf_text *text, const struct qvf_chat_spans *spans,
                struct qvf_data_piece *pieces)
{
        size_t n_pieces = 0, done = 0;

        for (size_t i = 0; i < spans->count; i++) {
                const struct qvf_chat_span *span = &spans->items[i];
                bool left_out = request->left_out && span->message != QVF_CHAT_NO_MESSAGE &&
                                request->left_out[span->message];
                size_t start;

                if (!span->is_assistant || span->end <= done)
                        continue;
                start = span->start > done ? answer_start(&chat->prompt, text, done, span->start) : done;
                if (start > done)
                        pieces[n_pieces++] = (struct qvf_data_piece){ done, start, request->all_count };
                pieces[n_pieces++] =
                                (struct qvf_data_piece){ start, span->end, request->all_count || !left_out };
                done = span->end;
        }
        if (done < text->length)
                pieces[n_pieces++] = (struct qvf_data_piece){ done, text->length, request->all_count };
        return n_pieces;
}

int qvf_data_chat_encode(const struct qvf_data_chat *chat, const struct qvf_data_chat_request *request,
                struct qvf_data_tokens *tokens, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text rendered = { 0 };
        _cleanup_free_ struct qvf_chat_span *span_items = NULL;
        _cleanup_free_ struct qvf_chat_range *own_items = NULL;
        _cleanup_free_ struct qvf_data_piece *pieces = NULL;
        struct qvf_chat_spans spans = { 0 };
        struct qvf_chat_ranges own = { 0 };
        int r;

        r = qvf_chat_template_render_origins(
                        chat->chat_template, &request->context, &rendered, &spans, &own, error);
        if (r < 0)
                return r;
        span_items = spans.items;
        own_items = own.items;
        pieces = calloc(2 * spans.count + 1, sizeof(*pieces));
        if (!pieces)
                return qvf_error_set(error, -ENOMEM, "no memory for a chat of %zu turns", spans.count);
        return qvf_data_encode(chat->tokenizer,
                        &(struct qvf_data_text){ .bytes = qvf_text_string(&rendered),
                                        .length = rendered.length,
                                        .pieces = pieces,
                                        .n_pieces = cut(chat, request, &rendered, &spans, pieces),
                                        .closed = own.items,
                                        .n_closed = own.count },
                        false, tokens, error);
}
