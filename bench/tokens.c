/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/tokens.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "bench/report.h"

const struct bench_option bench_token_option_table[] = {
        { "ids", 0, BENCH_STRING, offsetof(struct bench_token_options, ids), "LIST",
                        "token ids: \"1, 2, 3\"", 0, 0 },
        { "ids-file", 0, BENCH_STRING, offsetof(struct bench_token_options, ids_file), "FILE",
                        "a file of token ids (- is standard input)", 0, 0 },
        { "text", 0, BENCH_STRING, offsetof(struct bench_token_options, text), "TEXT", "text", 0, 0 },
        { "text-file", 0, BENCH_STRING, offsetof(struct bench_token_options, text_file), "FILE",
                        "a file of text (- is standard input)", 0, 0 },
        { "jsonl-file", 0, BENCH_STRING, offsetof(struct bench_token_options, jsonl_file), "FILE",
                        "a file of JSON objects, one a line, each with \"text\"", 0, 0 },
        { 0 },
};

void bench_tokens_exit(struct bench_tokens *tokens)
{
        free(tokens->ids);
        *tokens = (struct bench_tokens){ 0 };
}

int bench_tokens_append(struct bench_tokens *tokens, const int32_t *ids, size_t count)
{
        uint64_t capacity = tokens->capacity ? tokens->capacity : 256;
        int32_t *larger;

        if (count > INT32_MAX - tokens->count)
                return -E2BIG;
        while (capacity < tokens->count + count)
                capacity *= 2;
        if (capacity != tokens->capacity) {
                larger = reallocarray(tokens->ids, capacity, sizeof(*larger));
                if (!larger)
                        return -ENOMEM;
                tokens->ids = larger;
                tokens->capacity = (uint32_t)capacity;
        }
        if (count)
                memcpy(tokens->ids + tokens->count, ids, count * sizeof(*ids));
        tokens->count += (uint32_t)count;
        return 0;
}

int bench_read_file(const char *path, struct qvf_text *text, struct qvf_error *error)
{
        bool is_stdin = strcmp(path, "-") == 0;
        _cleanup_fclose_ FILE *opened = is_stdin ? NULL : fopen(path, "re");
        FILE *file = is_stdin ? stdin : opened;
        char bytes[16384];
        size_t length;

        if (!file)
                return qvf_error_set(error, -errno, "%s: %s", path, strerror(errno));
        text->limit = BENCH_INPUT_LIMIT;
        while ((length = fread(bytes, 1, sizeof(bytes), file)) > 0) {
                int r = qvf_text_append(text, bytes, length);

                if (r < 0)
                        return qvf_error_set(error, r, "%s: %s", path,
                                        r == -E2BIG ? "larger than 256 MiB" : strerror(-r));
        }
        if (ferror(file))
                return qvf_error_set(error, -EIO, "%s: can't be read: %s", path, strerror(errno));
        return 0;
}

/* Numbers with anything of spaces, commas and brackets between them, so that a JSON array will do too. */
static int parse_ids(
                const char *where, const char *text, struct bench_tokens *tokens, struct qvf_error *error)
{
        for (;;) {
                char *end;
                long value;
                int32_t id;
                int r;

                text += strspn(text, " \t\r\n,[]");
                if (!*text)
                        break;
                errno = 0;
                value = strtol(text, &end, 10);
                if (end == text || errno || value < 0 || value > INT32_MAX)
                        return qvf_error_set(error, -EINVAL, "%s: id %u is '%.20s': expected a token id",
                                        where, tokens->count + 1, text);
                id = (int32_t)value;
                r = bench_tokens_append(tokens, &id, 1);
                if (r < 0)
                        return r;
                text = end;
        }
        return tokens->count ? 0 : qvf_error_set(error, -EINVAL, "%s: no token ids", where);
}

int bench_tokens_encode(const struct qvf_tokenizer *tokenizer, const char *text, size_t length,
                unsigned flags, struct bench_tokens *tokens, struct qvf_error *error)
{
        _cleanup_free_ int32_t *ids = NULL;
        size_t count;
        int r;

        r = qvf_tokenizer_encode(tokenizer, text, length, flags, &ids, &count, error);
        if (r < 0)
                return r;
        return bench_tokens_append(tokens, ids, count);
}

void bench_documents_exit(struct bench_documents *documents)
{
        for (uint32_t i = 0; i < documents->count; i++)
                bench_tokens_exit(&documents->items[i]);
        free(documents->items);
        *documents = (struct bench_documents){ 0 };
}

static int new_document(struct bench_documents *documents, struct bench_tokens **ret_tokens)
{
        if (documents->count == documents->capacity) {
                uint32_t capacity = documents->capacity ? 2 * documents->capacity : 16;
                struct bench_tokens *larger = reallocarray(documents->items, capacity, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                documents->items = larger;
                documents->capacity = capacity;
        }
        *ret_tokens = &documents->items[documents->count++];
        **ret_tokens = (struct bench_tokens){ 0 };
        return 0;
}

static int read_json_line(const char *where, const char *line, size_t length,
                const struct qvf_tokenizer *tokenizer, struct bench_documents *documents,
                struct qvf_error *error)
{
        struct json_tokener *parser = json_tokener_new();
        _cleanup_report_ struct json_object *object =
                        parser && length < INT32_MAX ? json_tokener_parse_ex(parser, line, (int)length)
                                                     : NULL;
        struct json_object *text;
        struct bench_tokens *tokens;
        int r;

        if (parser)
                json_tokener_free(parser);
        if (!json_object_is_type(object, json_type_object) ||
                        !json_object_object_get_ex(object, "text", &text) ||
                        !json_object_is_type(text, json_type_string))
                return qvf_error_set(error, -EINVAL, "%s: expected a JSON object with \"text\"", where);
        r = new_document(documents, &tokens);
        if (r < 0)
                return r;
        return bench_tokens_encode(tokenizer, json_object_get_string(text),
                        (size_t)json_object_get_string_len(text), QVF_ENCODE_ADD_SPECIAL, tokens, error);
}

static int read_jsonl(const char *path, const struct qvf_tokenizer *tokenizer,
                struct bench_documents *documents, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        const char *line, *end;
        uint32_t number = 1;
        int r;

        r = bench_read_file(path, &text, error);
        if (r < 0)
                return r;
        end = qvf_text_string(&text) + text.length;
        for (line = qvf_text_string(&text); line < end; number++) {
                const char *newline = memchr(line, '\n', (size_t)(end - line));
                size_t length = (size_t)((newline ? newline : end) - line);
                char where[256];

                snprintf(where, sizeof(where), "%s: line %u", path, number);
                if (strspn(line, " \t\r") < length) {
                        r = read_json_line(where, line, length, tokenizer, documents, error);
                        if (r < 0)
                                return r;
                }
                line += length + 1;
        }
        return documents->count ? 0 : qvf_error_set(error, -EINVAL, "%s: no lines", path);
}

static int read_text_file(const char *path, const struct qvf_tokenizer *tokenizer,
                struct bench_tokens *tokens, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        int r = bench_read_file(path, &text, error);

        if (r < 0)
                return r;
        return bench_tokens_encode(tokenizer, qvf_text_string(&text), text.length, QVF_ENCODE_ADD_SPECIAL,
                        tokens, error);
}

static int read_ids_file(const char *path, struct bench_tokens *tokens, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        int r = bench_read_file(path, &text, error);

        return r < 0 ? r : parse_ids(path, qvf_text_string(&text), tokens, error);
}

static int check_ids(const struct bench_documents *documents, uint32_t n_vocab, struct qvf_error *error)
{
        for (uint32_t i = 0; i < documents->count; i++)
                for (uint32_t j = 0; j < documents->items[i].count; j++) {
                        int32_t id = documents->items[i].ids[j];

                        if (id < 0 || (uint32_t)id >= n_vocab)
                                return qvf_error_set(error, -EINVAL, "token %u is %d: the model has 0 to %u",
                                                j + 1, id, n_vocab - 1);
                }
        return 0;
}

static int read_source(const struct bench_token_options *options, const struct qvf_tokenizer *tokenizer,
                struct bench_documents *documents, struct qvf_error *error)
{
        struct bench_tokens *tokens;
        int given = !!options->ids + !!options->ids_file + !!options->text + !!options->text_file +
                    !!options->jsonl_file;
        int r;

        if (given != 1)
                return qvf_error_set(error, BENCH_USAGE,
                                "give one of --ids, --ids-file, --text, --text-file and --jsonl-file");
        if (options->jsonl_file)
                return read_jsonl(options->jsonl_file, tokenizer, documents, error);
        r = new_document(documents, &tokens);
        if (r < 0)
                return r;
        if (options->ids)
                r = parse_ids("--ids", options->ids, tokens, error);
        else if (options->ids_file)
                r = read_ids_file(options->ids_file, tokens, error);
        else if (options->text)
                r = bench_tokens_encode(tokenizer, options->text, strlen(options->text),
                                QVF_ENCODE_ADD_SPECIAL, tokens, error);
        else
                r = read_text_file(options->text_file, tokenizer, tokens, error);
        return r;
}

int bench_documents_read(const struct bench_token_options *options, const struct qvf_tokenizer *tokenizer,
                uint32_t n_vocab, struct bench_documents *documents, struct qvf_error *error)
{
        int given = !!options->ids + !!options->ids_file + !!options->text + !!options->text_file +
                    !!options->jsonl_file;
        int r;

        if (given != 1)
                return qvf_error_set(error, BENCH_USAGE,
                                "give one of --ids, --ids-file, --text, --text-file and --jsonl-file");
        r = read_source(options, tokenizer, documents, error);
        return r < 0 ? r : check_ids(documents, n_vocab, error);
}

int bench_tokens_read(const struct bench_token_options *options, const struct qvf_tokenizer *tokenizer,
                uint32_t n_vocab, struct bench_tokens *tokens, struct qvf_error *error)
{
        _cleanup_documents_ struct bench_documents documents = { 0 };
        int r = bench_documents_read(options, tokenizer, n_vocab, &documents, error);

        for (uint32_t i = 0; i < documents.count && r == 0; i++)
                r = bench_tokens_append(tokens, documents.items[i].ids, documents.items[i].count);
        if (r == 0 && tokens->count == 0)
                return qvf_error_set(error, -EINVAL, "there are no tokens");
        return r;
}
