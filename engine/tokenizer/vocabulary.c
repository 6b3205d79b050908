/* SPDX-License-Identifier: Apache-2.0 */
/* From what a model file says to a tokenizer. Nothing in the file is believed: lengths and counts have
 * limits, ids are looked up, and what makes no sense is either an error that names the key, or left out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/tokenizer/alphabet.h"
#include "engine/tokenizer/internal.h"

static const char *const named_keys[QVF_NAMED_COUNT] = {
        [QVF_NAMED_BOS] = "bos",
        [QVF_NAMED_EOS] = "eos",
        [QVF_NAMED_EOT] = "eot",
        [QVF_NAMED_EOM] = "eom",
        [QVF_NAMED_UNKNOWN] = "unknown",
        [QVF_NAMED_PADDING] = "padding",
};

/* Tokens that end a turn or a text, by the names that public models give them. Files often forget to say so.
 */
static const struct {
        const char *text;
        bool any_type; /* ends generation even where the file calls it text */
        bool ends_turn;
} end_names[] = {
        { "<|eot_id|>", true, true },
        { "<|im_end|>", true, true },
        { "<|end|>", true, true },
        { "<end_of_turn>", true, true },
        { "<|eom_id|>", true, false },
        { "<|endoftext|>", true, false },
        { "<|end_of_text|>", true, false },
        { "<end_of_utterance>", true, false },
        { "<EOT>", true, false },
        { "_<EOT>", true, false },
        { "<\xef\xbd\x9c"
          "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
                        true, false },
        { "</s>", false, false },
};

struct qvf_vocabulary qvf_vocabulary_empty(void)
{
        struct qvf_vocabulary vocabulary = { .add_bos = -1, .add_eos = -1, .add_space_prefix = -1 };

        for (size_t i = 0; i < QVF_NAMED_COUNT; i++)
                vocabulary.named[i] = QVF_TOKEN_NONE;
        return vocabulary;
}

static int check_sizes(const struct qvf_vocabulary *vocabulary, size_t *ret_n_bytes, struct qvf_error *error)
{
        size_t n_bytes = 0;

        if (!vocabulary->tokens || vocabulary->n_tokens == 0 || vocabulary->n_tokens > QVF_TOKENS_LIMIT)
                return qvf_error_set(error, -EINVAL, "tokenizer.ggml.tokens: %zu tokens, expected 1 to %zu",
                                vocabulary->n_tokens, QVF_TOKENS_LIMIT);
        if (vocabulary->n_merges > QVF_MERGES_LIMIT)
                return qvf_error_set(error, -EINVAL,
                                "tokenizer.ggml.merges: %zu merges, expected at most %zu",
                                vocabulary->n_merges, QVF_MERGES_LIMIT);
        for (size_t i = 0; i < vocabulary->n_tokens; i++) {
                if (vocabulary->tokens[i].length > QVF_TOKEN_LENGTH_LIMIT)
                        return qvf_error_set(error, -EINVAL,
                                        "tokenizer.ggml.tokens[%zu]: %zu bytes, expected at most %zu", i,
                                        vocabulary->tokens[i].length, QVF_TOKEN_LENGTH_LIMIT);
                n_bytes += vocabulary->tokens[i].length;
                if (n_bytes > QVF_TOKENS_BYTES_LIMIT)
                        return qvf_error_set(error, -EINVAL,
                                        "tokenizer.ggml.tokens[%zu]: tokens of more than %zu bytes in all",
                                        i, QVF_TOKENS_BYTES_LIMIT);
        }
        *ret_n_bytes = n_bytes;
        return 0;
}

static int choose_kind(struct qvf_tokenizer *tokenizer, const struct qvf_vocabulary *vocabulary,
                struct qvf_error *error)
{
        const char *model = vocabulary->model;

        if (!model)
                return qvf_error_set(error, -EINVAL,
                                "tokenizer.ggml.model is missing, expected 'llama' or 'gpt2'");
        if (strcmp(model, "llama") == 0) {
                tokenizer->kind = QVF_TOKENIZER_LLAMA;
                if (!vocabulary->scores)
                        return qvf_error_set(error, -EINVAL,
                                        "tokenizer.ggml.scores is missing, model 'llama' needs a score for "
                                        "each token");
        } else if (strcmp(model, "gpt2") == 0) {
                tokenizer->kind = QVF_TOKENIZER_GPT2;
                if (!vocabulary->merges || vocabulary->n_merges == 0)
                        return qvf_error_set(error, -EINVAL,
                                        "tokenizer.ggml.merges is missing, model 'gpt2' needs merges");
        } else {
                return qvf_error_set(error, -ENOTSUP,
                                "tokenizer.ggml.model is '%.64s', expected 'llama' or 'gpt2'", model);
        }
        return 0;
}

static bool is_text(struct qvf_token_string string, const char *text)
{
        return string.length == strlen(text) && memcmp(string.bytes, text, string.length) == 0;
}

static int choose_named(struct qvf_tokenizer *tokenizer, const struct qvf_vocabulary *vocabulary)
{
        static const struct {
                enum qvf_named_token name;
                const char *text;
        } llama_defaults[] = { { QVF_NAMED_UNKNOWN, "<unk>" }, { QVF_NAMED_BOS, "<s>" },
                { QVF_NAMED_EOS, "</s>" } };
        int r;

        for (size_t i = 0; i < QVF_NAMED_COUNT; i++) {
                int32_t id = vocabulary->named[i];

                tokenizer->named[i] = QVF_TOKEN_NONE;
                if (id >= 0 && (size_t)id < vocabulary->n_tokens) {
                        tokenizer->named[i] = id;
                } else if (id != QVF_TOKEN_NONE) {
                        r = qvf_text_appendf(&tokenizer->assumed,
                                        "tokenizer.ggml.%s_token_id is %u but there are %zu tokens: taken "
                                        "as none. ",
                                        named_keys[i], (unsigned)id, vocabulary->n_tokens);
                        if (r < 0)
                                return r;
                }
        }
        /* SentencePiece has these three at the ids 0, 1 and 2 unless told otherwise. */
        for (size_t id = 0; tokenizer->kind == QVF_TOKENIZER_LLAMA && id < 3 && id < vocabulary->n_tokens;
                        id++)
                if (vocabulary->named[llama_defaults[id].name] == QVF_TOKEN_NONE &&
                                is_text(vocabulary->tokens[id], llama_defaults[id].text))
                        tokenizer->named[llama_defaults[id].name] = (int32_t)id;
        return 0;
}

/* Microsoft's BitNet 2B-4T files forget to name their pre-tokenizer; Llama 3's vocabulary is known by this
 * token. */
static bool looks_like_llama3(const struct qvf_vocabulary *vocabulary)
{
        return vocabulary->n_tokens > 128000 && is_text(vocabulary->tokens[128000], "<|begin_of_text|>");
}

static int choose_pre(struct qvf_tokenizer *tokenizer, const struct qvf_vocabulary *vocabulary)
{
        const char *name = vocabulary->pre;

        if (tokenizer->kind != QVF_TOKENIZER_GPT2)
                return 0;
        if (name)
                tokenizer->pre = qvf_pretokenizer_find(name);
        if (tokenizer->pre)
                return 0;
        tokenizer->pre = qvf_pretokenizer_find(
                        !name && looks_like_llama3(vocabulary) ? "llama-bpe" : "default");
        if (name)
                return qvf_text_appendf(&tokenizer->assumed,
                                "tokenizer.ggml.pre '%.64s' is not known: text is cut into words as for "
                                "'%s'. ",
                                name, tokenizer->pre->name);
        return qvf_text_appendf(&tokenizer->assumed,
                        "tokenizer.ggml.pre is missing: text is cut into words as for '%s'. ",
                        tokenizer->pre->name);
}

static bool is_named(const struct qvf_tokenizer *tokenizer, size_t id)
{
        for (size_t i = 0; i < QVF_NAMED_COUNT; i++)
                if (tokenizer->named[i] == (int32_t)id)
                        return true;
        return false;
}

/* The byte of "<0x0A>", or -1. */
static int byte_of_name(struct qvf_token_string string)
{
        int value = 0;

        if (string.length != 6 || memcmp(string.bytes, "<0x", 3) != 0 || string.bytes[5] != '>')
                return -1;
        for (size_t i = 3; i < 5; i++) {
                char c = string.bytes[i];

                if (c >= '0' && c <= '9')
                        value = value * 16 + c - '0';
                else if (c >= 'A' && c <= 'F')
                        value = value * 16 + c - 'A' + 10;
                else if (c >= 'a' && c <= 'f')
                        value = value * 16 + c - 'a' + 10;
                else
                        return -1;
        }
        return value;
}

/* The type of a token, also where the file has no types, or calls the end of a turn text. */
static enum qvf_token_type type_of(const struct qvf_tokenizer *tokenizer,
                const struct qvf_vocabulary *vocabulary, size_t id, bool *ret_ends)
{
        struct qvf_token_string string = vocabulary->tokens[id];
        enum qvf_token_type type = QVF_TOKEN_TYPE_NORMAL;

        *ret_ends = false;
        if (vocabulary->types)
                type = (enum qvf_token_type)vocabulary->types[id];
        else if (is_named(tokenizer, id))
                type = QVF_TOKEN_TYPE_CONTROL;
        else if (tokenizer->kind == QVF_TOKENIZER_LLAMA && byte_of_name(string) >= 0)
                type = QVF_TOKEN_TYPE_BYTE;
        if (string.length == 0 || (string.bytes[0] != '<' && string.bytes[0] != '_'))
                return type;
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(end_names); i++) {
                if (!is_text(string, end_names[i].text))
                        continue;
                if (!end_names[i].any_type && type != QVF_TOKEN_TYPE_CONTROL)
                        continue;
                *ret_ends = true;
                return QVF_TOKEN_TYPE_CONTROL;
        }
        return type;
}

/* U+2581 stands for a space. */
static size_t replace_blocks(struct qvf_token_string string, char *bytes)
{
        size_t length = 0;

        for (size_t i = 0; i < string.length;) {
                if (string.length - i >= 3 && memcmp(string.bytes + i, "\xe2\x96\x81", 3) == 0) {
                        bytes[length++] = ' ';
                        i += 3;
                } else {
                        bytes[length++] = string.bytes[i++];
                }
        }
        return length;
}

static size_t write_literally(struct qvf_token_string string, char *bytes)
{
        if (string.length)
                memcpy(bytes, string.bytes, string.length);
        return string.length;
}

/* Writes what the token stands for, says what it may be used for, and returns its length. */
static size_t write_piece(const struct qvf_tokenizer *tokenizer, struct qvf_token_string string,
                enum qvf_token_type type, char *bytes, uint8_t *ret_flags)
{
        const bool is_llama = tokenizer->kind == QVF_TOKENIZER_LLAMA;
        size_t length;
        int byte;

        *ret_flags = 0;
        switch (type) {
        case QVF_TOKEN_TYPE_CONTROL:
        case QVF_TOKEN_TYPE_UNKNOWN: *ret_flags = QVF_TOKEN_SPECIAL; return write_literally(string, bytes);
        case QVF_TOKEN_TYPE_USER_DEFINED:
                *ret_flags = QVF_TOKEN_TEXT | QVF_TOKEN_LITERAL;
                if (!is_llama)
                        return write_literally(string, bytes);
                length = replace_blocks(string, bytes);
                /* With a space in it, it is found by merging: so a text's leading space is never cut off it.
                 */
                if (memchr(bytes, ' ', length))
                        *ret_flags = QVF_TOKEN_TEXT;
                return length;
        case QVF_TOKEN_TYPE_BYTE:
                byte = byte_of_name(string);
                if (byte < 0 || !is_llama)
                        break;
                *ret_flags = QVF_TOKEN_BYTE;
                *bytes = (char)byte;
                return 1;
        default: break;
        }
        if (type != QVF_TOKEN_TYPE_UNUSED && !(type == QVF_TOKEN_TYPE_BYTE && is_llama))
                *ret_flags = QVF_TOKEN_TEXT;
        if (is_llama)
                return replace_blocks(string, bytes);
        if (qvf_alphabet_decode(string.bytes, string.length, bytes, &length))
                return length;
        /* It is not written in bytes, so no text can become it. */
        *ret_flags = 0;
        return write_literally(string, bytes);
}

static int add_tokens(struct qvf_tokenizer *tokenizer, const struct qvf_vocabulary *vocabulary,
                struct qvf_error *error)
{
        size_t n_bytes = 0;
        int r = check_sizes(vocabulary, &n_bytes, error);

        if (r < 0)
                return r;
        r = choose_named(tokenizer, vocabulary);
        if (r < 0)
                return r;
        r = qvf_token_table_init(&tokenizer->tokens, vocabulary->n_tokens, n_bytes);
        if (r < 0)
                return r;
        for (size_t id = 0; id < vocabulary->n_tokens; id++) {
                char *bytes = qvf_token_table_next(&tokenizer->tokens, id);
                uint8_t flags;
                bool ends;
                enum qvf_token_type type = type_of(tokenizer, vocabulary, id, &ends);
                size_t length = write_piece(tokenizer, vocabulary->tokens[id], type, bytes, &flags);

                qvf_token_table_add(&tokenizer->tokens, id, length, flags | (ends ? QVF_TOKEN_END : 0));
        }
        return 0;
}

static void find_ends(struct qvf_tokenizer *tokenizer)
{
        static const enum qvf_named_token enders[] = { QVF_NAMED_EOS, QVF_NAMED_EOT, QVF_NAMED_EOM };

        for (size_t i = 0;
                        i < QVF_ARRAY_LENGTH(end_names) && tokenizer->named[QVF_NAMED_EOT] == QVF_TOKEN_NONE;
                        i++)
                if (end_names[i].ends_turn)
                        tokenizer->named[QVF_NAMED_EOT] = qvf_token_table_find(&tokenizer->tokens,
                                        end_names[i].text, strlen(end_names[i].text), QVF_TOKEN_SPECIAL);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(enders); i++)
                if (tokenizer->named[enders[i]] != QVF_TOKEN_NONE)
                        tokenizer->tokens.flags[tokenizer->named[enders[i]]] |= QVF_TOKEN_END;
}

static void find_bytes(struct qvf_tokenizer *tokenizer)
{
        for (int byte = 0; byte < 256; byte++) {
                char c = (char)byte;

                tokenizer->text_ids[byte] = qvf_token_table_find(&tokenizer->tokens, &c, 1, QVF_TOKEN_TEXT);
                tokenizer->byte_ids[byte] = tokenizer->text_ids[byte];
        }
        for (size_t id = tokenizer->tokens.n_tokens; id > 0; id--)
                if (tokenizer->tokens.flags[id - 1] & QVF_TOKEN_BYTE)
                        tokenizer->byte_ids[(uint8_t)*qvf_token_table_next(&tokenizer->tokens, id - 1)] =
                                        (int32_t)(id - 1);
        for (int byte = 0; byte < 256; byte++)
                tokenizer->missing_bytes += tokenizer->byte_ids[byte] == QVF_TOKEN_NONE;
}

/* "left right" in the alphabet of bytes; false where it does not name three tokens. */
static bool read_merge(const struct qvf_tokenizer *tokenizer, struct qvf_token_string string,
                struct qvf_merge *merge)
{
        const struct qvf_token_table *tokens = &tokenizer->tokens;
        char bytes[2 * QVF_TOKEN_LENGTH_LIMIT + 1];
        const char *gap;
        size_t left_size, left_length, right_length;
        int32_t left, right, merged;

        if (string.length < 3 || string.length > sizeof(bytes))
                return false;
        gap = memchr(string.bytes + 1, ' ', string.length - 1);
        if (!gap)
                return false;
        left_size = (size_t)(gap - string.bytes);
        if (!qvf_alphabet_decode(string.bytes, left_size, bytes, &left_length) ||
                        !qvf_alphabet_decode(gap + 1, string.length - left_size - 1, bytes + left_length,
                                        &right_length))
                return false;
        left = qvf_token_table_find(tokens, bytes, left_length, QVF_TOKEN_TEXT);
        right = qvf_token_table_find(tokens, bytes + left_length, right_length, QVF_TOKEN_TEXT);
        merged = qvf_token_table_find(tokens, bytes, left_length + right_length, QVF_TOKEN_TEXT);
        if (left == QVF_TOKEN_NONE || right == QVF_TOKEN_NONE || merged == QVF_TOKEN_NONE)
                return false;
        merge->left = (uint32_t)left;
        merge->right = (uint32_t)right;
        merge->merged = (uint32_t)merged;
        return true;
}

static int add_merges(struct qvf_tokenizer *tokenizer, const struct qvf_vocabulary *vocabulary)
{
        int r = qvf_merge_table_init(&tokenizer->merges, vocabulary->n_merges, tokenizer->tokens.key);

        if (r < 0)
                return r;
        for (size_t i = 0; i < vocabulary->n_merges; i++) {
                struct qvf_merge merge = { .rank = (uint32_t)i };

                if (read_merge(tokenizer, vocabulary->merges[i], &merge))
                        qvf_merge_table_add(&tokenizer->merges, &merge);
                else
                        tokenizer->ignored_merges++;
        }
        return 0;
}

/* The order of floats, turned round, as the order of integers. NaN comes last. */
static uint32_t rank_of_score(float score)
{
        uint32_t bits;

        if (score != score)
                return QVF_RANK_NONE - 1;
        score += 0.0f; /* -0 becomes 0 */
        memcpy(&bits, &score, sizeof(bits));
        bits ^= bits >> 31 ? 0 : 0x7fffffff;
        return bits < QVF_RANK_NONE - 1 ? bits : QVF_RANK_NONE - 1;
}

static int add_scores(struct qvf_tokenizer *tokenizer, const struct qvf_vocabulary *vocabulary)
{
        tokenizer->ranks = calloc(vocabulary->n_tokens, sizeof(*tokenizer->ranks));
        if (!tokenizer->ranks)
                return -ENOMEM;
        for (size_t i = 0; i < vocabulary->n_tokens; i++)
                tokenizer->ranks[i] = rank_of_score(vocabulary->scores[i]);
        return 0;
}

static void choose_additions(struct qvf_tokenizer *tokenizer, const struct qvf_vocabulary *vocabulary)
{
        const bool is_llama = tokenizer->kind == QVF_TOKENIZER_LLAMA;

        tokenizer->add_bos =
                        vocabulary->add_bos >= 0 ? vocabulary->add_bos : is_llama || tokenizer->pre->add_bos;
        tokenizer->add_eos = vocabulary->add_eos > 0;
        tokenizer->add_space_prefix = is_llama && vocabulary->add_space_prefix != 0;
}

int qvf_tokenizer_new(
                const struct qvf_vocabulary *vocabulary, struct qvf_tokenizer **ret, struct qvf_error *error)
{
        _cleanup_(qvf_tokenizer_freep) struct qvf_tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
        int r;

        if (!tokenizer)
                return qvf_error_set(error, -ENOMEM, "no memory for a tokenizer");
        r = choose_kind(tokenizer, vocabulary, error);
        if (r < 0)
                return r;
        r = add_tokens(tokenizer, vocabulary, error);
        if (r == 0)
                r = choose_pre(tokenizer, vocabulary);
        if (r == 0)
                r = qvf_literals_init(&tokenizer->literals, &tokenizer->tokens);
        if (r == 0)
                r = tokenizer->kind == QVF_TOKENIZER_LLAMA ? add_scores(tokenizer, vocabulary)
                                                           : add_merges(tokenizer, vocabulary);
        if (r == -ENOMEM)
                return qvf_error_set(
                                error, r, "no memory for a tokenizer of %zu tokens", vocabulary->n_tokens);
        if (r < 0)
                return r;
        find_bytes(tokenizer);
        find_ends(tokenizer);
        choose_additions(tokenizer, vocabulary);
        *ret = QVF_TAKE(tokenizer);
        return 0;
}

struct qvf_tokenizer *qvf_tokenizer_free(struct qvf_tokenizer *tokenizer)
{
        if (!tokenizer)
                return NULL;
        qvf_merge_table_exit(&tokenizer->merges);
        qvf_literals_exit(&tokenizer->literals);
        qvf_token_table_exit(&tokenizer->tokens);
        qvf_text_exit(&tokenizer->assumed);
        free(tokenizer->ranks);
        free(tokenizer);
        return NULL;
}
