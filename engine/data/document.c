/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/document.h"

#include <errno.h>
#include <string.h>

/* Long text is encoded in parts: encoding takes some ten times the text's size. A part ends at a line's end where the
 * next line begins with more than white space, which is a token boundary for every pre-tokenizer; a text without such
 * lines is cut at a character. */
#define PART_BYTES ((size_t)1 << 20)
#define PART_BYTES_MOST ((size_t)4 << 20)

/* Noon of 1 January 2025: templates that write the date would else give other tokens every day. */
#define DEFAULT_NOW ((int64_t)1735732800)

static int name_token(struct qvf_data_encoder *encoder, unsigned index, enum qvf_named_token token,
                const char **ret_name)
{
        int32_t id = qvf_tokenizer_named(encoder->tokenizer, token);
        struct qvf_token_string piece = qvf_tokenizer_piece(encoder->tokenizer, id);
        int r = 0;

        if (id == QVF_TOKEN_NONE || memchr(piece.bytes, 0, piece.length))
                return 0;
        r = qvf_text_append(&encoder->names[index], piece.bytes, piece.length);
        *ret_name = qvf_text_string(&encoder->names[index]);
        return r;
}

static int prepare(struct qvf_data_encoder *encoder, const struct qvf_data_source *source,
                struct qvf_error *error)
{
        const struct qvf_chat_template *chat_template = source->chat_template;
        int r = 0;

        if (!chat_template) {
                r = qvf_chat_template_new_plain(&encoder->plain, error);
                chat_template = encoder->plain;
        }
        if (r >= 0)
                r = name_token(encoder, 0, QVF_NAMED_BOS, &encoder->context.bos_token);
        if (r >= 0)
                r = name_token(encoder, 1, QVF_NAMED_EOS, &encoder->context.eos_token);
        if (r >= 0)
                r = name_token(encoder, 2, QVF_NAMED_UNKNOWN, &encoder->context.unk_token);
        if (r >= 0)
                r = name_token(encoder, 3, QVF_NAMED_PADDING, &encoder->context.pad_token);
        encoder->context.now = encoder->options->now ? encoder->options->now : DEFAULT_NOW;
        return r < 0 ? r
                     : qvf_data_chat_init(
                                       &encoder->chat, source->tokenizer, chat_template, &encoder->context);
}

int qvf_data_encoder_init(struct qvf_data_encoder *encoder, const struct qvf_data_source *source,
                const struct qvf_data_options *options, struct qvf_error *error)
{
        int r;

        *encoder = (struct qvf_data_encoder){ .tokenizer = source->tokenizer, .options = options };
        r = prepare(encoder, source, error);
        if (r >= 0)
                return 0;
        qvf_data_encoder_exit(encoder);
        return r == -ENOMEM ? qvf_error_set(error, r, "no memory for the chat template") : r;
}

void qvf_data_encoder_exit(struct qvf_data_encoder *encoder)
{
        for (size_t i = 0; i < 4; i++)
                qvf_text_exit(&encoder->names[i]);
        qvf_data_chat_exit(&encoder->chat);
        qvf_chat_template_free(encoder->plain);
        *encoder = (struct qvf_data_encoder){ 0 };
}

static bool choose(enum qvf_data_choice choice, bool by_default)
{
        return choice == QVF_DATA_DEFAULT ? by_default : choice == QVF_DATA_ON;
}

/* The end or begin token, where it is wanted and there is one. */
static int add_named(const struct qvf_data_encoder *encoder, enum qvf_named_token name, bool wanted,
                bool counts, struct qvf_data_tokens *tokens)
{
        int32_t id = qvf_tokenizer_named(encoder->tokenizer, name);

        return wanted && id != QVF_TOKEN_NONE ? qvf_data_tokens_append(tokens, id, counts) : 0;
}

static int begin(const struct qvf_data_encoder *encoder, struct qvf_data_tokens *tokens)
{
        return add_named(encoder, QVF_NAMED_BOS,
                        choose(encoder->options->add_bos, qvf_tokenizer_adds_bos(encoder->tokenizer)), false,
                        tokens);
}

static int finish(const struct qvf_data_encoder *encoder, bool by_default, struct qvf_data_tokens *tokens)
{
        return add_named(
                        encoder, QVF_NAMED_EOS, choose(encoder->options->add_eos, by_default), true, tokens);
}

/* A string as pieces; closed to special tokens unless the options open it. */
static int encode_pieces(const struct qvf_data_encoder *encoder, const char *bytes, size_t length,
                const struct qvf_data_piece *pieces, size_t n_pieces, bool continues,
                struct qvf_data_tokens *tokens, struct qvf_error *error)
{
        const struct qvf_chat_range closed = { 0, length };
        const struct qvf_data_text text = { .bytes = bytes,
                .length = length,
                .pieces = pieces,
                .n_pieces = n_pieces,
                .closed = &closed,
                .n_closed = encoder->options->parse_special ? 0 : 1 };

        return qvf_data_encode(encoder->tokenizer, &text, continues, tokens, error);
}

/* Where the part that starts at `start` ends. */
static size_t part_end(const char *bytes, size_t length, size_t start)
{
        size_t least = start + PART_BYTES, most = start + PART_BYTES_MOST;

        if (length - start <= PART_BYTES_MOST)
                return length;
        for (size_t at = least; at < most; at++)
                if (bytes[at - 1] == '\n' && !memchr(" \t\r\n\v\f", bytes[at], 6))
                        return at;
        while (most > least && ((uint8_t)bytes[most] & 0xc0) == 0x80)
                most--;
        return most;
}

static int append_without_carriage_returns(struct qvf_text *text, const char *bytes, size_t length)
{
        int r = 0;

        while (r >= 0 && length > 0) {
                const char *found = memchr(bytes, '\r', length);
                size_t taken = found ? (size_t)(found - bytes) : length;

                r = qvf_text_append(text, bytes, taken);
                if (r >= 0 && found && (taken + 1 == length || found[1] != '\n'))
                        r = qvf_text_append_char(text, '\r');
                taken += found != NULL;
                bytes += taken;
                length -= taken;
        }
        return r;
}

int qvf_data_encode_text(const struct qvf_data_encoder *encoder, const char *bytes, size_t length,
                struct qvf_data_tokens *tokens, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text part = { 0 };
        int r = begin(encoder, tokens);

        for (size_t start = 0, end; r >= 0 && start < length; start = end) {
                end = part_end(bytes, length, start);
                qvf_text_clear(&part);
                r = append_without_carriage_returns(&part, bytes + start, end - start);
                if (r >= 0)
                        r = encode_pieces(encoder, qvf_text_string(&part), part.length,
                                        &(struct qvf_data_piece){ 0, part.length, true }, 1, start > 0,
                                        tokens, error);
                if (r >= 0 && end < length)
                        r = qvf_data_tokens_spill(tokens);
        }
        return r < 0 ? r : finish(encoder, qvf_tokenizer_adds_eos(encoder->tokenizer), tokens);
}

static int encode_completion(const struct qvf_data_encoder *encoder, const struct qvf_data_record *record,
                struct qvf_data_tokens *tokens, struct qvf_error *error)
{
        const size_t boundary = record->prompt.length, length = boundary + record->completion.length;
        const struct qvf_data_piece pieces[2] = { { 0, boundary, encoder->options->all_count },
                { boundary, length, true } };
        _cleanup_text_ struct qvf_text both = { 0 };
        int r;

        if (record->completion.length == 0)
                return 0;
        r = qvf_text_append(&both, record->prompt.bytes, record->prompt.length);
        if (r >= 0)
                r = qvf_text_append(&both, record->completion.bytes, record->completion.length);
        if (r >= 0)
                r = begin(encoder, tokens);
        if (r >= 0)
                r = encode_pieces(encoder, qvf_text_string(&both), length, pieces, 2, false, tokens, error);
        return r < 0 ? r : finish(encoder, true, tokens);
}

/* The template writes tools like text of its own: so they may not hold what looks like a special token. */
static int check_tools(const struct qvf_data_encoder *encoder, json_object *value, struct qvf_error *error)
{
        size_t start, length;
        int32_t id;
        int r = 0;

        if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; r >= 0 && i < json_object_array_length(value); i++)
                        r = check_tools(encoder, json_object_array_get_idx(value, i), error);
        } else if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member)
                {
                        if (qvf_tokenizer_next_special(
                                            encoder->tokenizer, key, strlen(key), 0, &start, &length, &id))
                                return qvf_error_set(error, -EBADMSG,
                                                "\"tools\" holds the special token %.*s", (int)length,
                                                key + start);
                        r = check_tools(encoder, member, error);
                        if (r < 0)
                                return r;
                }
        } else if (json_object_is_type(value, json_type_string)) {
                const char *bytes = json_object_get_string(value);

                if (qvf_tokenizer_next_special(encoder->tokenizer, bytes,
                                    (size_t)json_object_get_string_len(value), 0, &start, &length, &id))
                        r = qvf_error_set(error, -EBADMSG, "\"tools\" holds the special token %.*s",
                                        (int)length, bytes + start);
        }
        return r;
}

static int encode_messages(const struct qvf_data_encoder *encoder, const struct qvf_data_record *record,
                struct qvf_data_tokens *tokens, struct qvf_error *error)
{
        struct qvf_data_chat_request request = { .context = encoder->context,
                .left_out = record->left_out,
                .all_count = encoder->options->all_count };
        const int32_t bos = qvf_tokenizer_named(encoder->tokenizer, QVF_NAMED_BOS);
        const int32_t eos = qvf_tokenizer_named(encoder->tokenizer, QVF_NAMED_EOS);
        size_t start = tokens->count;
        int r = begin(encoder, tokens);
        bool began = tokens->count > start;

        request.context.messages = record->messages;
        request.context.n_messages = record->n_messages;
        request.context.tools = record->tools;
        if (r >= 0 && record->tools)
                r = check_tools(encoder, json_object_object_get(record->root, "tools"), error);
        if (r >= 0)
                r = qvf_data_chat_encode(&encoder->chat, &request, tokens, error);
        if (r < 0)
                /* Whatever a template can't do with these messages is the line's fault, as far as anyone can tell. */
                return r == -ENOMEM || (tokens->limit && tokens->count == tokens->limit) ? r : -EBADMSG;
        /* The template may have written the begin token itself. */
        if (began && tokens->count > start + 1 && QVF_DATA_ID(tokens->tokens[start + 1]) == bos) {
                tokens->count--;
                memmove(tokens->tokens + start, tokens->tokens + start + 1,
                                (tokens->count - start) * sizeof(*tokens->tokens));
                began = false;
        }
        if (tokens->count == start + began)
                tokens->count = start; /* no text at all */
        else if (QVF_DATA_ID(tokens->tokens[tokens->count - 1]) != eos)
                r = finish(encoder, false, tokens);
        return r;
}

static bool has_text(const struct qvf_data_string *string)
{
        for (size_t i = 0; i < string->length; i++)
                if (!memchr(" \t\r\n\v\f", string->bytes[i], 6))
                        return true;
        return false;
}

int qvf_data_encode_record(const struct qvf_data_encoder *encoder, const struct qvf_data_record *record,
                struct qvf_data_tokens *tokens, struct qvf_error *error)
{
        int r = -EINVAL;

        if (record->kind == QVF_DATA_JSON_TEXT)
                r = !has_text(&record->text) ? 0
                                             : qvf_data_encode_text(encoder, record->text.bytes,
                                                               record->text.length, tokens, error);
        else if (record->kind == QVF_DATA_COMPLETION)
                r = encode_completion(encoder, record, tokens, error);
        else if (record->kind == QVF_DATA_MESSAGES)
                r = encode_messages(encoder, record, tokens, error);
        return r;
}
