/* SPDX-License-Identifier: Apache-2.0 */
/* A file of training data as documents of tokens.
 *
 * Four kinds of file: plain text, and JSONL with one document a line: {"text": …}, {"messages": [{"role": …,
 * "content": …}, …]}, {"prompt": …, "completion": …}. More members are no error. All are UTF-8; a byte order mark at
 * the start and CR before LF are passed over, also in plain text. Each token knows whether the loss looks at it (see
 * chat_tokens.h for how text becomes tokens):
 *  - text: all of them.
 *  - messages: the answers of the assistant with what ends a turn; "weight": 0 in a message leaves it out. What the
 *    template writes, system, user and tool turns do not count.
 *  - prompt and completion: the completion and the end token. Both are one text with a token boundary between them.
 * The file is tokenised once, into a cache file where there is a folder for it, and mapped from there. */
#ifndef QVF_ENGINE_DATA_DATASET_H
#define QVF_ENGINE_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "engine/template/chat_template.h"
#include "engine/tokenizer/tokenizer.h"

#define QVF_DATA_FILE_LIMIT ((uint64_t)64 << 30)
#define QVF_DATA_TOKENS_LIMIT ((uint64_t)1 << 31) /* of all documents together */

enum qvf_data_kind {
        QVF_DATA_AUTO,       /* by the file's name and its first line */
        QVF_DATA_TEXT,       /* no JSON at all */
        QVF_DATA_JSON_TEXT,  /* {"text": …} */
        QVF_DATA_MESSAGES,   /* {"messages": [{"role": …, "content": …}, …]} */
        QVF_DATA_COMPLETION, /* {"prompt": …, "completion": …} */
        QVF_DATA_KINDS
};
/* "auto", "text", "jsonl-text", "jsonl-messages", "jsonl-completion" */
const char *qvf_data_kind_name(enum qvf_data_kind kind);
/* -EINVAL where no kind is called so. */
int qvf_data_kind_find(const char *name, enum qvf_data_kind *ret_kind);

enum qvf_data_choice { QVF_DATA_DEFAULT, QVF_DATA_OFF, QVF_DATA_ON };

struct qvf_data_options { /* all zeros is the default */
        enum qvf_data_kind kind;
        /* Plain text: NULL: the file is one document; "": blank lines part documents; else: lines that are just this.
         */
        const char *separator;
        bool all_count; /* the loss looks at all tokens, whatever the kind */
        /* The begin token before, the end token behind each document. By default text, prompts and completions get
         * what the tokenizer asks for, and a completion its end token always; a chat gets the begin token where the
         * tokenizer asks for it and the template did not write it, and never an end token. */
        enum qvf_data_choice add_bos, add_eos;
        bool parse_special;  /* text, prompt and completion: "<|eot_id|>" in it is the token */
        bool skip_bad_lines; /* count them instead of failing; the first few are named in the log */
        int64_t now; /* what a template takes for today, in seconds since 1970; 0: a fixed day of 2025 */
};

struct qvf_data_source {
        const char *name; /* for messages; its ending tells the kind */
        int fd; /* a regular file, open for reading; stays the caller's. Below 0: `name` is its path */
        const struct qvf_tokenizer *tokenizer;
        const struct qvf_chat_template *chat_template; /* NULL: the built-in plain one */
        int cache_folder;                              /* below 0: no cache, tokens stay in memory */
        const char *cache_name;                        /* of the file in it */
        /* Called now and then; what it returns below 0 ends the work with that code. */
        int (*progress)(void *context, uint64_t bytes_done, uint64_t bytes);
        void *context;
};

struct qvf_data_counts {
        uint64_t lines, blank_lines, bad_lines;
        uint64_t empty_documents; /* without any text: they are left out */
        uint64_t tokens;          /* of all documents */
        uint64_t counting_tokens; /* that the loss looks at */
};

struct qvf_dataset {
        enum qvf_data_kind kind; /* never AUTO */
        struct qvf_data_counts counts;
        uint64_t n_documents;   /* never 0 */
        const uint32_t *tokens; /* of all documents; see QVF_DATA_ID and QVF_DATA_COUNTS */
        const uint64_t *starts; /* n_documents + 1 of them, into `tokens` */
        uint8_t key[32];        /* of the content, the vocabulary, the template and the options */
        bool from_cache;
        struct qvf_mapped_file *file;
};

/* -EBADMSG: a line is bad, and named; -EMEDIUMTYPE: a line is of another kind than the first; -ENODATA: there is no
 * document. A cache that is damaged or made from something else is made anew, and said so in the log. */
int qvf_dataset_open(const struct qvf_data_source *source, const struct qvf_data_options *options,
                struct qvf_dataset **ret_dataset, struct qvf_error *error);
struct qvf_dataset *qvf_dataset_free(struct qvf_dataset *dataset);
QVF_DEFINE_CLEANUP(struct qvf_dataset *, qvf_dataset_free)

/* The tokens of one document, at least one. */
static inline const uint32_t *qvf_dataset_document(
                const struct qvf_dataset *dataset, uint64_t index, uint64_t *ret_count)
{
        *ret_count = dataset->starts[index + 1] - dataset->starts[index];
        return dataset->tokens + dataset->starts[index];
}

#endif
