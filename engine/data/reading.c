/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/reading.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"

/* So many bad lines are named in the log; the rest is only counted. */
#define BAD_LINES_NAMED 5
#define PROGRESS_BYTES ((uint64_t)1 << 20)

static bool ends_in(const char *name, const char *const *endings, size_t count)
{
        const char *dot = name ? strrchr(name, '.') : NULL;

        for (size_t i = 0; dot && i < count; i++)
                if (strcasecmp(dot, endings[i]) == 0)
                        return true;
        return false;
}

enum qvf_data_kind qvf_data_kind_by_name(const char *name, enum qvf_data_kind wanted)
{
        static const char *const endings[] = { ".txt", ".text", ".md" };

        if (wanted != QVF_DATA_AUTO)
                return wanted;
        return ends_in(name, endings, 3) ? QVF_DATA_TEXT : QVF_DATA_AUTO;
}

/* Whether the first line that is not blank begins an object, or the name promises one. */
static bool is_jsonl(const struct qvf_data_source *source, struct qvf_line_reader lines)
{
        static const char *const endings[] = { ".jsonl", ".ndjson", ".json" };
        struct qvf_line line;

        if (ends_in(source->name, endings, 3))
                return true;
        while (qvf_line_reader_next(&lines, &line)) {
                if (qvf_line_is_blank(&line))
                        continue;
                for (size_t i = 0; i < line.length; i++)
                        if (!memchr(" \t", line.bytes[i], 2))
                                return line.bytes[i] == '{';
        }
        return false;
}

static int spill(void *context, const uint32_t *tokens, size_t count)
{
        struct qvf_data_reading *reading = context;

        return qvf_token_writer_add(reading->writer, tokens, count);
}

int qvf_data_begin_document(struct qvf_data_reading *reading)
{
        const struct qvf_data_source *source = reading->source;

        /* One more than there may be: so the encoder fails and not the writer. */
        reading->tokens.count = 0;
        reading->tokens.spilled = 0;
        reading->tokens.limit = QVF_DATA_TOKENS_LIMIT - reading->writer->n_tokens;
        if (reading->tokens.limit == 0)
                return qvf_error_set(reading->error, -E2BIG, "%s: more than %llu tokens",
                                reading->lines.name, (unsigned long long)QVF_DATA_TOKENS_LIMIT);
        if (!source->progress || reading->lines.at < reading->next_progress)
                return 0;
        reading->next_progress = reading->lines.at + PROGRESS_BYTES;
        return source->progress(source->context, reading->lines.at, reading->lines.size);
}

static int fail(struct qvf_data_reading *reading, int result, const struct qvf_error *error)
{
        if (result == -E2BIG && reading->tokens.spilled + reading->tokens.count == reading->tokens.limit)
                return qvf_error_set(reading->error, result, "%s:%llu: more than %llu tokens in all",
                                reading->lines.name, (unsigned long long)reading->lines.line,
                                (unsigned long long)QVF_DATA_TOKENS_LIMIT);
        if (reading->error && error->code) {
                *reading->error = *error;
                return result;
        }
        return qvf_error_set(reading->error, result, "%s:%llu: %s", reading->lines.name,
                        (unsigned long long)reading->lines.line, strerror(-result));
}

int qvf_data_end_document(struct qvf_data_reading *reading, int result, const struct qvf_error *error)
{
        struct qvf_data_tokens *tokens = &reading->tokens;
        int r = 0;

        if (result == -EBADMSG && reading->options->skip_bad_lines) {
                reading->counts.bad_lines++;
                if (reading->counts.bad_lines <= BAD_LINES_NAMED)
                        qvf_log(QVF_LOG_WARNING, "%s; left out", error->text);
                return 0;
        }
        if (result < 0)
                return fail(reading, result, error);
        if (tokens->spilled + tokens->count == 0) {
                reading->counts.empty_documents++;
                return 0;
        }
        r = qvf_token_writer_add(reading->writer, tokens->tokens, tokens->count);
        if (r >= 0)
                r = qvf_token_writer_end_document(reading->writer);
        return r < 0 ? qvf_error_set(reading->error, r, "writing the tokens: %s", strerror(-r)) : 0;
}

static void tell(const struct qvf_data_reading *reading)
{
        const struct qvf_data_counts *counts = &reading->counts;

        if (counts->bad_lines > BAD_LINES_NAMED)
                qvf_log(QVF_LOG_WARNING, "%s: %llu bad lines were left out in all", reading->lines.name,
                                (unsigned long long)counts->bad_lines);
        if (counts->empty_documents > 0)
                qvf_log(QVF_LOG_INFO, "%s: %llu documents without text were left out", reading->lines.name,
                                (unsigned long long)counts->empty_documents);
}

static int read_all(struct qvf_data_reading *reading)
{
        int r;

        if (reading->kind == QVF_DATA_AUTO && !is_jsonl(reading->source, reading->lines))
                reading->kind = QVF_DATA_TEXT;
        r = reading->kind == QVF_DATA_TEXT ? qvf_data_read_text(reading) : qvf_data_read_jsonl(reading);
        if (r < 0)
                return r;
        tell(reading);
        if (reading->writer->n_documents == 0)
                return qvf_error_set(reading->error, -ENODATA,
                                "%s holds no document: %llu lines, %llu of them blank, %llu bad, %llu "
                                "documents without text",
                                reading->lines.name, (unsigned long long)reading->counts.lines,
                                (unsigned long long)reading->counts.blank_lines,
                                (unsigned long long)reading->counts.bad_lines,
                                (unsigned long long)reading->counts.empty_documents);
        return 0;
}

int qvf_data_read(const struct qvf_data_source *source, const struct qvf_data_options *options,
                const struct qvf_mapped_file *file, struct qvf_token_writer *writer,
                struct qvf_dataset *dataset, struct qvf_error *error)
{
        struct qvf_data_reading reading = { .source = source,
                .options = options,
                .writer = writer,
                .kind = qvf_data_kind_by_name(source->name, options->kind),
                .error = error };
        int r = qvf_data_encoder_init(&reading.encoder, source, options, error);

        if (r < 0)
                return r;
        reading.tokens.spill = spill;
        reading.tokens.context = &reading;
        qvf_line_reader_init(&reading.lines, file->name, file->data, (size_t)file->size);
        r = read_all(&reading);
        if (r >= 0) {
                dataset->kind = reading.kind;
                dataset->counts = reading.counts;
        }
        qvf_data_tokens_exit(&reading.tokens);
        qvf_data_encoder_exit(&reading.encoder);
        return r;
}
