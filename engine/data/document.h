/* SPDX-License-Identifier: Apache-2.0 */
/* What one document becomes: its tokens, and which of them count. */
#ifndef QVF_ENGINE_DATA_DOCUMENT_H
#define QVF_ENGINE_DATA_DOCUMENT_H

#include "engine/data/chat_tokens.h"
#include "engine/data/record.h"

struct qvf_data_encoder {
        const struct qvf_tokenizer *tokenizer;
        const struct qvf_data_options *options;
        struct qvf_data_chat chat;
        struct qvf_chat_template *plain; /* where the model has none */
        struct qvf_chat_context context; /* the special tokens as the template calls them */
        struct qvf_text names[4];        /* what context points into */
};

int qvf_data_encoder_init(struct qvf_data_encoder *encoder, const struct qvf_data_source *source,
                const struct qvf_data_options *options, struct qvf_error *error);
void qvf_data_encoder_exit(struct qvf_data_encoder *encoder);

/* Appends one line's document; nothing for one without text. `error` gets no place. -EBADMSG: this line is to blame. */
int qvf_data_encode_record(const struct qvf_data_encoder *encoder, const struct qvf_data_record *record,
                struct qvf_data_tokens *tokens, struct qvf_error *error);

/* The same for plain text of any length. */
int qvf_data_encode_text(const struct qvf_data_encoder *encoder, const char *bytes, size_t length,
                struct qvf_data_tokens *tokens, struct qvf_error *error);

#endif
