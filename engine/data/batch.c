/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/data/batch.h"

#include <errno.h>
#include <string.h>

#include "engine/data/chat_tokens.h"

int qvf_batch_init(struct qvf_batch *batch, uint32_t rows_most, struct qvf_error *error)
{
        int32_t *numbers = calloc((size_t)rows_most * 5 + 1, sizeof(*numbers));

        if (!numbers)
                return qvf_error_set(error, -ENOMEM, "no memory for batches of %u rows", rows_most);
        *batch = (struct qvf_batch){ .rows_most = rows_most,
                .ids = numbers,
                .position = numbers + rows_most,
                .first = numbers + 2 * (size_t)rows_most,
                .output_index = numbers + 3 * (size_t)rows_most,
                .target = numbers + 4 * (size_t)rows_most };
        return 0;
}

void qvf_batch_exit(struct qvf_batch *batch)
{
        free(batch->ids);
        *batch = (struct qvf_batch){ 0 };
}

static void add_window(struct qvf_batch *batch, const uint32_t *tokens, const struct qvf_window *window)
{
        int32_t begin = (int32_t)batch->n_rows;

        for (uint32_t i = 0; i < window->rows; i++) {
                uint32_t row = batch->n_rows++;

                batch->ids[row] = QVF_DATA_ID(tokens[i]);
                batch->position[row] = (int32_t)i;
                batch->first[row] = begin;
                if (i < window->loss_from || !(tokens[i + 1] & QVF_DATA_COUNTS))
                        continue;
                batch->output_index[batch->n_outputs] = (int32_t)row;
                batch->target[batch->n_outputs++] = QVF_DATA_ID(tokens[i + 1]);
        }
}

int qvf_batch_fill(
                struct qvf_batch *batch, const struct qvf_packing *packing, uint32_t first, uint32_t count)
{
        const struct qvf_windows *windows = packing->windows;
        uint32_t end;

        batch->n_rows = batch->n_outputs = 0;
        if (qvf_packing_measure(packing, first, count).rows > batch->rows_most)
                return -E2BIG;
        if (first >= packing->n_sequences)
                return 0;
        end = count > packing->n_sequences - first ? packing->n_sequences : first + count;
        for (uint32_t i = packing->starts[first]; i < packing->starts[end]; i++) {
                const struct qvf_window *window = &windows->items[packing->order[i]];

                add_window(batch, windows->dataset->tokens + window->start, window);
        }
        return 0;
}
