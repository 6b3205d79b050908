/* SPDX-License-Identifier: Apache-2.0 */
/* Small vocabularies, data files from strings, and documents as strings that a person can check. */
#ifndef QVF_TESTS_ENGINE_DATA_DATA_SUPPORT_H
#define QVF_TESTS_ENGINE_DATA_DATA_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/data/chat_tokens.h"
#include "engine/data/dataset.h"
#include "tests/engine/tokenizer/vocabulary_file.h"
#include "tests/support/suite.h"

#define TEMPLATE_HELPER                                                                                     \
        "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{{ message['role'] | "   \
        "capitalize + ': ' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if "                 \
        "add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
#define TEMPLATE_CHATML                                                                                     \
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "  \
        "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' "   \
        "}}{% endif %}"
#define TEMPLATE_GENERATION                                                                                 \
        "{% for message in messages %}{% if message.role == 'assistant' %}<|im_start|>assistant\n"          \
        "{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}\n"                              \
        "{% else %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endif %}{% endfor "  \
        "%}"
#define TEMPLATE_MISTRAL                                                                                    \
        "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + "     \
        "message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + "              \
        "message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant') "         \
        "}}{% endif %}{% endfor %}"

/* Tests are processes of their own and end soon: what they made is remembered here, so that it is no leak. */
static inline void *keep(void *thing)
{
        static void *volatile kept[256];
        static size_t count;

        ck_assert_uint_lt(count, 256);
        kept[count] = thing;
        return kept[count++];
}

/* The byte-level vocabulary of the tokenizer's tests, with an end token and ChatML's two tokens. */
static inline struct qvf_tokenizer *bpe_tokenizer(bool with_chatml)
{
        json_object *root = read_tokens_file("bpe.json");
        struct qvf_vocabulary vocabulary = vocabulary_of(root);
        struct qvf_token_string *tokens = (void *)vocabulary.tokens;
        int32_t *types = (void *)vocabulary.types;
        struct qvf_tokenizer *tokenizer = NULL;
        struct qvf_error error = { 0 };
        size_t n = vocabulary.n_tokens, more = with_chatml ? 3 : 1;

        tokens = realloc(tokens, (n + more) * sizeof(*tokens));
        types = realloc(types, (n + more) * sizeof(*types));
        ck_assert(tokens && types);
        tokens[n] = (struct qvf_token_string){ "<|end_of_text|>", 15 };
        if (with_chatml) {
                tokens[n + 1] = (struct qvf_token_string){ "<|im_start|>", 12 };
                tokens[n + 2] = (struct qvf_token_string){ "<|im_end|>", 10 };
        }
        for (size_t i = 0; i < more; i++)
                types[n + i] = QVF_TOKEN_TYPE_CONTROL;
        vocabulary.tokens = tokens;
        vocabulary.types = types;
        vocabulary.n_tokens = n + more;
        vocabulary.pre = "llama-bpe";
        vocabulary.named[QVF_NAMED_EOS] = (int32_t)n;
        ck_assert_msg(qvf_tokenizer_new(&vocabulary, &tokenizer, &error) == 0, "%s", error.text);
        free_vocabulary(&vocabulary);
        json_object_put(root);
        return keep(tokenizer);
}

static inline struct qvf_tokenizer *spm_tokenizer(void)
{
        return keep(tokenizer_of_file("spm.json", NULL));
}

static inline struct qvf_chat_template *template_of(const char *source)
{
        struct qvf_chat_template *chat_template = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_chat_template_new(source, strlen(source), &chat_template, &error) == 0, "%s",
                        error.text);
        return keep(chat_template);
}

static inline int memory_file(const void *bytes, size_t length)
{
        int fd = memfd_create("data", MFD_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
        return fd;
}

struct opening {
        const struct qvf_tokenizer *tokenizer;
        const struct qvf_chat_template *chat_template;
        const char *name; /* NULL: "data" */
        struct qvf_data_options options;
};

static inline int open_bytes(const struct opening *opening, const void *bytes, size_t length,
                struct qvf_dataset **ret_dataset, struct qvf_error *error)
{
        int fd = memory_file(bytes, length), r;
        const struct qvf_data_source source = { .name = opening->name ? opening->name : "data",
                .fd = fd,
                .tokenizer = opening->tokenizer,
                .chat_template = opening->chat_template,
                .cache_folder = -1 };

        r = qvf_dataset_open(&source, &opening->options, ret_dataset, error);
        close(fd);
        return r;
}

static inline struct qvf_dataset *opened(const struct opening *opening, const char *text)
{
        struct qvf_dataset *dataset = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(open_bytes(opening, text, strlen(text), &dataset, &error) == 0, "%s", error.text);
        return dataset;
}

/* The text is refused with this code, and the words hold those given. */
static inline void refused(
                const struct opening *opening, const void *bytes, size_t length, int code, const char *words)
{
        struct qvf_dataset *dataset = NULL;
        struct qvf_error error = { 0 };
        int r = open_bytes(opening, bytes, length, &dataset, &error);

        ck_assert_ptr_null(dataset);
        ck_assert_msg(strstr(error.text, words) != NULL, "\"%s\" has no \"%s\"", error.text, words);
        ck_assert_int_eq(r, code);
        ck_assert_int_eq(error.code, code);
}

/* A document's tokens, those that count in [ ], special ones with ^ before them; `marks` puts | between tokens. */
static inline char *shown(const struct qvf_dataset *dataset, uint64_t index,
                const struct qvf_tokenizer *tokenizer, bool marks)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        bool counted = false;
        uint64_t count;
        const uint32_t *tokens = qvf_dataset_document(dataset, index, &count);

        for (uint64_t i = 0; i < count; i++) {
                int32_t id = QVF_DATA_ID(tokens[i]);
                bool counts = tokens[i] & QVF_DATA_COUNTS;
                struct qvf_token_string piece = qvf_tokenizer_piece(tokenizer, id);

                if (counted && !counts)
                        qvf_text_append_string(&text, "]");
                if (marks && i > 0)
                        qvf_text_append_string(&text, "|");
                if (counts && !counted)
                        qvf_text_append_string(&text, "[");
                if (qvf_tokenizer_is_special(tokenizer, id))
                        qvf_text_append_string(&text, "^");
                qvf_text_append(&text, piece.bytes, piece.length);
                counted = counts;
        }
        if (counted)
                qvf_text_append_string(&text, "]");
        return strdup(qvf_text_string(&text));
}

static inline void expect_document(const struct qvf_dataset *dataset, uint64_t index,
                const struct qvf_tokenizer *tokenizer, const char *wanted)
{
        char *found = shown(dataset, index, tokenizer, false);

        ck_assert_str_eq(found, wanted);
        free(found);
}

/* The only document of the text. */
static inline void expect(const struct opening *opening, const char *text, const char *wanted)
{
        struct qvf_dataset *dataset = opened(opening, text);

        ck_assert_uint_eq(dataset->n_documents, 1);
        expect_document(dataset, 0, opening->tokenizer, wanted);
        qvf_dataset_free(dataset);
}

#endif
