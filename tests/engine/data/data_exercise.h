/* SPDX-License-Identifier: Apache-2.0 */
/* Reads bytes as training data and goes all the way to batches: for mutated files and the fuzzer. */
#ifndef QVF_TESTS_ENGINE_DATA_DATA_EXERCISE_H
#define QVF_TESTS_ENGINE_DATA_DATA_EXERCISE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/data/batch.h"
#include "engine/data/chat_tokens.h"

/* Ends the process where something is wrong; the sanitizers and the time limit see the rest. */
static inline void data_exercise_assert(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "%s\n", what);
        abort();
}

static inline void exercise_batches(const struct qvf_dataset *dataset, uint32_t context, bool truncate)
{
        const struct qvf_window_options options = { .context = context,
                .overlap = truncate ? 0 : context / 4,
                .too_long = truncate ? QVF_DATA_TRUNCATE : QVF_DATA_SPLIT };
        struct qvf_windows *windows = NULL;
        struct qvf_packing *packing = NULL;
        struct qvf_batch batch = { 0 };
        uint64_t outputs = 0;

        if (qvf_windows_new(dataset, &options, &windows, NULL) < 0)
                return;
        data_exercise_assert(truncate || windows->counts.counting == dataset->counts.counting_tokens,
                        "a token that counts got lost");
        data_exercise_assert(qvf_packing_new(windows, &(struct qvf_packing_options){ .seed = 1 }, 0,
                                             &packing, NULL) == 0 &&
                                             qvf_batch_init(&batch, context, NULL) == 0,
                        "no memory");
        for (uint32_t i = 0; i < packing->n_sequences; i++) {
                data_exercise_assert(qvf_batch_fill(&batch, packing, i, 1) == 0, "a sequence is too long");
                outputs += batch.n_outputs;
        }
        data_exercise_assert(outputs == windows->counts.counting, "an output got lost");
        qvf_batch_exit(&batch);
        qvf_packing_free(packing);
        qvf_windows_free(windows);
}

/* Whether the bytes were taken; the low bits of `way` choose the options. */
static inline bool data_exercise(const struct qvf_tokenizer *tokenizer,
                const struct qvf_chat_template *chat_template, const void *bytes, size_t length,
                unsigned way)
{
        const struct qvf_data_options options = { .skip_bad_lines = way & 1,
                .kind = way & 2 ? QVF_DATA_AUTO : QVF_DATA_JSON_TEXT,
                .all_count = way & 4,
                .parse_special = way & 8,
                .separator = way & 16 ? "---" : NULL };
        struct qvf_data_source source = {
                .name = "data", .tokenizer = tokenizer, .chat_template = chat_template, .cache_folder = -1
        };
        struct qvf_dataset *dataset = NULL;
        struct qvf_error error = { 0 };
        int r;

        source.fd = memfd_create("data", MFD_CLOEXEC);
        data_exercise_assert(
                        source.fd >= 0 && write(source.fd, bytes, length) == (ssize_t)length, "memory file");
        r = qvf_dataset_open(&source, &options, &dataset, &error);
        close(source.fd);
        if (r < 0 && (error.code != r || !error.text[0]))
                fprintf(stderr, "%d and %d: %s\n", r, error.code, error.text);
        data_exercise_assert(r >= 0 || (error.code == r && error.text[0]), "refused without words");
        if (r < 0)
                return false;
        for (uint64_t i = 0; i < dataset->counts.tokens; i++)
                data_exercise_assert(
                                (size_t)QVF_DATA_ID(dataset->tokens[i]) < qvf_tokenizer_n_tokens(tokenizer),
                                "a token that is none");
        exercise_batches(dataset, 7, false);
        exercise_batches(dataset, 64, true);
        qvf_dataset_free(dataset);
        return true;
}

#endif
