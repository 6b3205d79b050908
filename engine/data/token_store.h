/* SPDX-License-Identifier: Apache-2.0 */
/* The file of tokens that a dataset is mapped from: header, tokens, where each document starts.
 *
 * Written once, whole or not at all, or kept in unnamed memory. It is for the machine that wrote it: numbers stand in
 * its byte order. Every byte is covered by a checksum, and all numbers are checked once more when it is opened. */
#ifndef QVF_ENGINE_DATA_TOKEN_STORE_H
#define QVF_ENGINE_DATA_TOKEN_STORE_H

#include "common/atomic_file.h"
#include "common/sha256.h"
#include "engine/data/dataset.h"

struct qvf_token_writer {
        struct qvf_atomic_file file; /* unused in memory */
        int fd;                      /* the file's, or the memory's own */
        bool in_memory;
        struct qvf_sha256 body;
        uint64_t n_tokens, n_counting, n_documents, capacity;
        uint64_t document_start; /* the first token of the document that is being written */
        uint64_t *starts;
        uint32_t *buffer; /* tokens that are not written yet */
        size_t n_buffered;
        int failure; /* of the first write; it sticks */
};

/* `folder` below 0: in memory. */
int qvf_token_writer_init(
                struct qvf_token_writer *writer, int folder, const char *name, struct qvf_error *error);
/* Tokens of the document that is being written; the flag of its first one is taken off: nothing predicts it. */
int qvf_token_writer_add(struct qvf_token_writer *writer, const uint32_t *tokens, size_t count);
/* Ends the document, which may not be empty. */
int qvf_token_writer_end_document(struct qvf_token_writer *writer);
/* Forgets nothing and keeps nothing: whatever was not committed is gone. */
void qvf_token_writer_exit(struct qvf_token_writer *writer);
/* Puts the file in place. `dataset` gives key, kind and counts; its fields that point into the file are filled. */
int qvf_token_writer_commit(struct qvf_token_writer *writer, int folder, const char *name,
                size_t n_vocabulary, struct qvf_dataset *dataset, struct qvf_error *error);

/* Fills all of `dataset` but the key, which it checks. -ENOENT: no such file; -ESTALE: made from something else, or
 * by another version; -EBADMSG: damaged. */
int qvf_token_store_open(int folder, const char *name, size_t n_vocabulary, struct qvf_dataset *dataset,
                struct qvf_error *error);

#endif
