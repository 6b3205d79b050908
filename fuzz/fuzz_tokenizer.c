/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: a vocabulary and a text for it. The first line: l (llama) or g (gpt2), a digit for the pre-tokenizer, a
 * for all 256 bytes as tokens, and s for no space before the text. Then the tokens, one a line, each with the digit of
 * its type before it, as it stands in a file; an empty line; merges likewise; an empty line; and the text. Where the
 * vocabulary has all bytes, the text must come back to the last byte. Seeds: fuzz/seeds/tokenizer/ */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tokenizer/tokenizer.h"

#define TOKENS_MOST 2048u
#define MERGES_MOST 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
        struct qvf_token_string tokens[TOKENS_MOST], merges[MERGES_MOST];
        float scores[TOKENS_MOST];
        int32_t types[TOKENS_MOST];
        char bytes[256][8]; /* the tokens of the 256 bytes */
        const char *at, *end;
        size_t n_tokens, n_merges;
};

static struct qvf_token_string next_line(struct input *input)
{
        const char *start = input->at;
        const char *newline = memchr(start, '\n', (size_t)(input->end - start));
        const char *stop = newline ? newline : input->end;

        input->at = newline ? newline + 1 : input->end;
        return (struct qvf_token_string){ start, (size_t)(stop - start) };
}

static void add_token(struct input *input, const char *bytes, size_t length, int32_t type)
{
        if (input->n_tokens == TOKENS_MOST)
                return;
        input->tokens[input->n_tokens] = (struct qvf_token_string){ bytes, length };
        input->types[input->n_tokens] = type;
        input->scores[input->n_tokens] = -(float)(input->n_tokens * 7 % 101);
        input->n_tokens++;
}

/* As files of either kind have them: see alphabet.h for gpt2's. */
static void add_all_bytes(struct input *input, bool is_llama)
{
        unsigned other = 0x100;

        for (unsigned byte = 0; byte < 256; byte++) {
                bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
                                 byte >= 0xae;
                size_t length;

                if (is_llama)
                        length = (size_t)snprintf(
                                        input->bytes[byte], sizeof(input->bytes[byte]), "<0x%02X>", byte);
                else
                        length = qvf_utf8_encode(printable ? byte : other++, input->bytes[byte]);
                add_token(input, input->bytes[byte], length,
                                is_llama ? QVF_TOKEN_TYPE_BYTE : QVF_TOKEN_TYPE_NORMAL);
        }
}

static void read_vocabulary(struct input *input, struct qvf_vocabulary *vocabulary)
{
        static const char *const pres[] = { "default", "llama-bpe", "gpt-2", "qwen2", "falcon",
                "none such" };
        struct qvf_token_string line = next_line(input);
        bool is_llama = memchr(line.bytes, 'l', line.length) != NULL;

        vocabulary->model = is_llama ? "llama" : "gpt2";
        for (size_t i = 0; i < line.length; i++)
                if (line.bytes[i] >= '0' && line.bytes[i] <= '9')
                        vocabulary->pre = pres[(size_t)(line.bytes[i] - '0') %
                                               (sizeof(pres) / sizeof(pres[0]))];
        if (memchr(line.bytes, 's', line.length))
                vocabulary->add_space_prefix = 0;
        if (memchr(line.bytes, 'a', line.length))
                add_all_bytes(input, is_llama);
        while ((line = next_line(input)).length > 0)
                add_token(input, line.bytes + 1, line.length - 1, line.bytes[0] - '0');
        while (!is_llama && (line = next_line(input)).length > 0)
                if (input->n_merges < MERGES_MOST)
                        input->merges[input->n_merges++] = line;
        vocabulary->tokens = input->tokens;
        vocabulary->n_tokens = input->n_tokens;
        vocabulary->scores = input->scores;
        vocabulary->types = input->types;
        vocabulary->merges = input->merges;
        vocabulary->n_merges = input->n_merges;
}

/* Token by token: what comes is whole characters. */
static void stream(const struct qvf_tokenizer *tokenizer, const int32_t *ids, size_t count)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_detokenizer detokenizer;

        qvf_detokenizer_init(&detokenizer, tokenizer, 0);
        for (size_t i = 0; i < count; i++) {
                if (qvf_detokenizer_push(&detokenizer, ids[i], &text) < 0)
                        abort();
                if (qvf_utf8_valid_prefix(qvf_text_string(&text), text.length) != text.length)
                        abort();
        }
        if (qvf_detokenizer_flush(&detokenizer, &text) < 0)
                abort();
}

static void check(const struct qvf_tokenizer *tokenizer, const char *bytes, size_t length, unsigned flags)
{
        _cleanup_text_ struct qvf_text back = { 0 };
        _cleanup_free_ int32_t *ids = NULL;
        struct qvf_error error = { 0 };
        size_t count;

        if (qvf_tokenizer_encode(tokenizer, bytes, length, flags, &ids, &count, &error) < 0)
                abort();
        for (size_t i = 0; i < count; i++)
                if (ids[i] < 0 || (size_t)ids[i] >= qvf_tokenizer_n_tokens(tokenizer))
                        abort();
        if (qvf_tokenizer_decode(tokenizer, ids, count, flags ? QVF_DECODE_SHOW_SPECIAL : 0, &back, &error) <
                        0)
                abort();
        if (flags == 0 && qvf_tokenizer_missing_bytes(tokenizer) == 0 &&
                        (back.length != length || memcmp(qvf_text_string(&back), bytes, length) != 0))
                abort();
        stream(tokenizer, ids, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct input input;
        _cleanup_(qvf_tokenizer_freep) struct qvf_tokenizer *tokenizer = NULL;
        struct qvf_vocabulary vocabulary = qvf_vocabulary_empty();
        struct qvf_error error = { 0 };

        input.at = (const char *)data;
        input.end = input.at + size;
        input.n_tokens = input.n_merges = 0;
        read_vocabulary(&input, &vocabulary);
        if (qvf_tokenizer_new(&vocabulary, &tokenizer, &error) < 0)
                return error.text[0] ? 0 : (abort(), 0);
        check(tokenizer, input.at, (size_t)(input.end - input.at), 0);
        check(tokenizer, input.at, (size_t)(input.end - input.at),
                        QVF_ENCODE_ADD_SPECIAL | QVF_ENCODE_PARSE_SPECIAL);
        return 0;
}
