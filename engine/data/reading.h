/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through a data file, document by document. */
#ifndef QVF_ENGINE_DATA_READING_H
#define QVF_ENGINE_DATA_READING_H

#include "engine/data/document.h"
#include "engine/data/token_store.h"
#include "engine/files/mapped_file.h"

struct qvf_data_reading {
        const struct qvf_data_source *source;
        const struct qvf_data_options *options;
        struct qvf_data_encoder encoder;
        struct qvf_line_reader lines;
        struct qvf_token_writer *writer;
        struct qvf_data_tokens tokens; /* of the document that is read now */
        struct qvf_data_counts counts;
        enum qvf_data_kind kind;
        uint64_t kind_line; /* the line that decided about it */
        uint64_t next_progress;
        struct qvf_error *error;
};

/* What the options and the name say; AUTO where only the content can tell. JSONL of whatever sort is AUTO too. */
enum qvf_data_kind qvf_data_kind_by_name(const char *name, enum qvf_data_kind wanted);

/* Writes all documents; sets kind and counts of `dataset`. */
int qvf_data_read(const struct qvf_data_source *source, const struct qvf_data_options *options,
                const struct qvf_mapped_file *file, struct qvf_token_writer *writer,
                struct qvf_dataset *dataset, struct qvf_error *error);

/* One for each sort of file. */
int qvf_data_read_text(struct qvf_data_reading *reading);
int qvf_data_read_jsonl(struct qvf_data_reading *reading);

/* What they share. Before a document: room for it, the caller's say. */
int qvf_data_begin_document(struct qvf_data_reading *reading);
/* After it, with what encoding it returned: keeps it, counts it as empty or bad, or fails. */
int qvf_data_end_document(struct qvf_data_reading *reading, int result, const struct qvf_error *error);

#endif
