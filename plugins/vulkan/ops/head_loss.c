/* SPDX-License-Identifier: Apache-2.0 */
/* The loss of some rows at a time: their logits, the rows' states, and once these are whole the logits' gradient and
 * dx. With fewer than all words at a time logits are computed twice. */
#include "plugins/vulkan/ops/dense.h"
#include "plugins/vulkan/ops/ops.h"

enum { LOSS, DX, BEST, SCRATCH, X, W, TARGET };
enum { REDUCE = 1, STORE = 2, DIFFERENTIATE = 4, WANTS_BEST = 8 }; /* as in head_loss.comp */

#define STATE_BYTES 16u /* of a row */
#define ROWS_ENOUGH 64u /* of the scratch that the operation brings; with less there is memory of our own */
#define OWN_ROWS 128u
#define ALIGNED 32u /* numbers of a row of logits */

struct part { /* of the work: these rows, these words, and where their logits stand */
        uint32_t row, rows, word, words;
        const struct qvf_value *logits;
        uint32_t stride;
        const struct qvf_value *states;
};

static struct vk_dense logits_of(const struct vk_call *call, const struct part *part)
{
        return (struct vk_dense){
                .weight = &call->operand[W],
                .word = part->word,
                .words = part->words,
                .y = part->logits,
                .x = call->operand[X].value,
                .y_columns = part->stride,
                .x_columns = call->operand[X].columns,
                .x_row = part->row,
                .row = part->row,
                .rows = part->rows,
                .factor = 1,
                .coarse = true,
        };
}

static struct vk_dense gradient_of(const struct vk_call *call, const struct part *part)
{
        return (struct vk_dense){
                .transposed = true,
                .weight = &call->operand[W],
                .word = part->word,
                .words = part->words,
                .y = call->operand[DX].value,
                .x = part->logits,
                .y_columns = call->operand[DX].columns,
                .x_columns = part->stride,
                .y_row = part->row,
                .row = part->row,
                .rows = part->rows,
                .flags = part->word > 0 ? QVF_ACCUMULATE : 0,
                .factor = 1,
                .coarse = true,
                .loss_scaled = true,
        };
}

/* What head_loss.comp does with the logits, by pieces that a binding can hold. */
static void emit_rows(
                struct vk_build *build, const struct vk_call *call, const struct part *part, uint32_t what)
{
        uint64_t row_bytes = 4ull * part->stride;
        uint64_t most = (call->limits->range - call->limits->alignment) / row_bytes;

        if (most > call->limits->groups[0])
                most = call->limits->groups[0];
        if (most == 0)
                most = 1; /* which is refused with words */
        for (uint32_t row = 0; row < part->rows; row += (uint32_t)most) {
                uint32_t rows = part->rows - row < most ? part->rows - row : (uint32_t)most;
                struct vk_dispatch d = vk_dispatch(call, VK_SHADER_HEAD_LOSS);
                const uint32_t n[] = { part->words, part->stride, part->word, what, call->operand[W].rows,
                        rows };

                for (unsigned i = 0; i < 6; i++)
                        d.push.n[i] = n[i];
                d.push.row0 = part->row + row;
                d.bind[0] = vk_bind_rows(part->logits, row_bytes, row, rows, true);
                d.bind[1] = vk_bind_rows(part->states, STATE_BYTES, part->row + row, rows, true);
                d.bind[2] = vk_bind_rows(call->operand[LOSS].value, 4, part->row + row, rows, true);
                d.bind[3] = vk_bind_rows(call->operand[BEST].value, 4, part->row + row, rows, true);
                d.bind[4] = vk_bind_rows(call->operand[TARGET].value, 4, part->row + row, rows, false);
                d.n_bind = 5;
                d.groups[0] = rows;
                d.cost = (uint64_t)rows * part->words * 4;
                vk_emit(build, &d);
        }
}

static void emit_part(struct vk_build *build, const struct vk_call *call, struct part *part, uint32_t chunk)
{
        uint32_t words = call->operand[W].rows, best = call->operand[BEST].value ? WANTS_BEST : 0;
        struct vk_dense product;
        bool whole = chunk >= words, backward = call->operand[DX].value;

        for (part->word = 0; part->word < words; part->word += chunk) {
                bool last = words - part->word <= chunk;

                part->words = last ? words - part->word : chunk;
                product = logits_of(call, part);
                vk_dense_emit(build, call, &product);
                emit_rows(build, call, part,
                                REDUCE | best | (last ? STORE : 0) |
                                                (whole && backward ? DIFFERENTIATE : 0));
        }
        for (part->word = 0; backward && part->word < words; part->word += chunk) {
                part->words = words - part->word < chunk ? words - part->word : chunk;
                if (!whole) {
                        product = logits_of(call, part);
                        vk_dense_emit(build, call, &product);
                        emit_rows(build, call, part, DIFFERENTIATE);
                }
                product = gradient_of(call, part);
                vk_dense_emit(build, call, &product);
        }
}

/* Large tiles want whole vectors in a row of logits, and more rows at once than a CPU wants. */
static void place_logits(
                struct vk_build *build, const struct vk_call *call, struct part *part, uint32_t *rows)
{
        const struct vk_operand *scratch = &call->operand[SCRATCH];
        uint64_t there = (uint64_t)scratch->rows * scratch->columns / part->stride;

        if (there >= ROWS_ENOUGH || there >= call->rows) {
                *rows = (uint32_t)(there < call->rows ? there : call->rows);
                return;
        }
        *rows = OWN_ROWS;
        part->logits = vk_scratch(build, 1, (uint64_t)*rows * part->stride * 4);
}

void vk_op_head_loss(struct vk_build *build, const struct vk_call *call)
{
        uint32_t rows = (uint32_t)call->op->i[0], chunk = (uint32_t)call->op->i[1];
        uint32_t words = call->operand[W].rows;
        struct vk_dense product;
        struct part part = { .logits = call->operand[SCRATCH].value };

        if (chunk > words)
                chunk = words;
        part.stride = vk_div_up(chunk, ALIGNED) * ALIGNED;
        part.rows = call->rows;
        part.words = chunk;
        product = logits_of(call, &part);
        if (vk_dense_matrix(call, &product))
                place_logits(build, call, &part, &rows);
        else
                part.stride = (uint32_t)call->op->i[1];
        part.states = vk_scratch(build, 0, (uint64_t)call->rows * STATE_BYTES);
        for (part.row = 0; part.row < call->rows; part.row += rows) {
                part.rows = call->rows - part.row < rows ? call->rows - part.row : rows;
                emit_part(build, call, &part, chunk);
        }
}
