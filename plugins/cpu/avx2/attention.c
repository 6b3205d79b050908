/* SPDX-License-Identifier: Apache-2.0 */
/* y = Σ_p softmax_p(f0 q·k_p) v_p over the positions that a row looks at, a block of QVF_KV_BLOCK cells at a time:
 * whenever a larger score comes, what was summed before shrinks. A task has one row and one head. */
#include <math.h>

#include "plugins/cpu/avx2/dense.h"
#include "plugins/cpu/lanes/kernels.h"
#include "plugins/cpu/avx2/math.h"

#define CELLS QVF_KV_BLOCK
#define HEAD_MOST 256u /* largest head size */

struct attention {
        const struct cpu_operand *keys, *values, *table;
        uint32_t size;
        size_t cell_bytes;
        float factor;
};

struct head { /* of one row */
        const float *q;
        int32_t sequence;
        int64_t first, last; /* positions */
        size_t offset;       /* of its key head in a cell */
        float largest, total;
        float sums[HEAD_MOST];
};

/* The block of cells that holds a position; -1 where the table or the cache has none. */
static int64_t cell_block(const struct attention *a, int32_t sequence, int64_t position)
{
        int64_t column = position / CELLS;
        int32_t block;

        if (sequence < 0 || (uint32_t)sequence >= a->table->rows || column >= a->table->columns)
                return -1;
        block = ((const int32_t *)a->table->data)[(size_t)(uint32_t)sequence * a->table->columns +
                                                  (size_t)column];
        return block < 0 || (uint32_t)block >= a->keys->rows / CELLS ? -1 : block;
}

static ALWAYS_INLINE float score(
                const struct attention *a, const float *q, const uint8_t *key, const uint32_t dtype)
{
        __m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };

        for (uint32_t c = 0; c < a->size; c += 2 * LANES) {
                sum[0] = _mm256_fmadd_ps(_mm256_loadu_ps(q + c), load_weights(dtype, key, c), sum[0]);
                sum[1] = _mm256_fmadd_ps(
                                _mm256_loadu_ps(q + c + LANES), load_weights(dtype, key, c + LANES), sum[1]);
        }
        return a->factor * sum_floats(_mm256_add_ps(sum[0], sum[1]));
}

/* Scores become weights; the head's sums so far shrink. */
static void weigh(const struct attention *a, struct head *head, float weights[CELLS])
{
        __m256 most = _mm256_loadu_ps(weights), sum = _mm256_setzero_ps(), shrink;
        float lanes[LANES], largest = head->largest;

        for (uint32_t i = LANES; i < CELLS; i += LANES)
                most = _mm256_max_ps(most, _mm256_loadu_ps(weights + i));
        _mm256_storeu_ps(lanes, most);
        for (uint32_t i = 0; i < LANES; i++)
                largest = lanes[i] > largest ? lanes[i] : largest;
        if (largest == -INFINITY) {
                memset(weights, 0, CELLS * sizeof(*weights));
                return;
        }
        shrink = vector_exp(_mm256_set1_ps(head->largest - largest));
        for (uint32_t i = 0; i < CELLS; i += LANES) {
                __m256 weight = vector_exp(
                                _mm256_sub_ps(_mm256_loadu_ps(weights + i), _mm256_set1_ps(largest)));

                _mm256_storeu_ps(weights + i, weight);
                sum = _mm256_add_ps(sum, weight);
        }
        head->total = head->total * _mm256_cvtss_f32(shrink) + sum_floats(sum);
        head->largest = largest;
        for (uint32_t c = 0; c < a->size; c += LANES)
                _mm256_storeu_ps(head->sums + c, _mm256_mul_ps(_mm256_loadu_ps(head->sums + c), shrink));
}

/* Cells [begin, end) of a block whose first cell is at byte `cell` of the caches. */
static ALWAYS_INLINE void attend_cells(const struct attention *a, struct head *head, size_t cell,
                uint32_t begin, uint32_t end, const uint32_t dtype)
{
        const uint8_t *keys = (const uint8_t *)a->keys->data + cell,
                      *values = (const uint8_t *)a->values->data + cell;
        float weights[CELLS];
        uint32_t c = 0;

        for (uint32_t i = 0; i < CELLS; i++)
                weights[i] = i >= begin && i < end ? score(a, head->q, keys + i * a->cell_bytes, dtype)
                                                   : -INFINITY;
        weigh(a, head, weights);
        for (; c < a->size; c += 2 * LANES) {
                __m256 low = _mm256_loadu_ps(head->sums + c), high = _mm256_loadu_ps(head->sums + c + LANES);

                for (uint32_t i = begin; i < end; i++) {
                        const uint8_t *value = values + i * a->cell_bytes;
                        __m256 weight = _mm256_set1_ps(weights[i]);

                        low = _mm256_fmadd_ps(weight, load_weights(dtype, value, c), low);
                        high = _mm256_fmadd_ps(weight, load_weights(dtype, value, c + LANES), high);
                }
                _mm256_storeu_ps(head->sums + c, low);
                _mm256_storeu_ps(head->sums + c + LANES, high);
        }
}

static void attend(const struct attention *a, struct head *head)
{
        for (int64_t position = head->first / CELLS * CELLS; position <= head->last; position += CELLS) {
                int64_t block = cell_block(a, head->sequence, position), left = head->last - position + 1;
                uint32_t begin = head->first > position ? (uint32_t)(head->first - position) : 0;
                uint32_t end = left < CELLS ? (uint32_t)left : CELLS;
                size_t cell = (size_t)block * CELLS * a->cell_bytes + head->offset;

                if (block < 0)
                        continue;
                switch (a->keys->dtype) {
                case QVF_F16: attend_cells(a, head, cell, begin, end, QVF_F16); break;
                case QVF_Q8_0: attend_cells(a, head, cell, begin, end, QVF_Q8_0); break;
                default: attend_cells(a, head, cell, begin, end, QVF_F32); break;
                }
        }
}

void cpu_avx2_attention(const struct cpu_call *call)
{
        const struct cpu_operand *o = call->operand;
        const int32_t *place = o[4].data;
        uint32_t size = (uint32_t)call->op->i[0], heads = o[1].columns / size,
                 group = o[1].columns / o[2].columns;
        int64_t window = call->op->i[1], most = (int64_t)o[5].columns * CELLS - 1;
        struct attention a = {
                .keys = &o[2],
                .values = &o[3],
                .table = &o[5],
                .size = size,
                .cell_bytes = dense_row_bytes(o[2].dtype, o[2].columns),
                .factor = call->op->f[0],
        };

        for (uint32_t task = cpu_next(call); task < call->rows * heads; task = cpu_next(call)) {
                uint32_t row = task / heads, at = task % heads;
                size_t column = (size_t)row * o[1].columns + (size_t)at * size;
                int64_t last = place[2 * (size_t)row];
                struct head head = {
                        .q = (const float *)o[1].data + column,
                        .sequence = place[2 * (size_t)row + 1],
                        .first = window > 0 && last >= window ? last - window + 1 : 0,
                        .last = last < most ? last : most,
                        .offset = dense_row_bytes(o[2].dtype, (size_t)(at / group) * size),
                        .largest = -INFINITY,
                };

                attend(&a, &head);
                for (uint32_t c = 0; c < size; c++)
                        ((float *)o[0].data)[column + c] = head.total > 0 ? head.sums[c] / head.total : 0;
                cpu_pause_point(call);
        }
}

bool cpu_avx2_attention_supports(const struct qvf_op *op, const struct cpu_operand *operands)
{
        uint32_t dtype = operands[2].dtype, size = (uint32_t)op->i[0];

        if (size == 0 || size > HEAD_MOST || size % 16 != 0 || operands[3].dtype != dtype ||
                        operands[3].columns != operands[2].columns)
                return false;
        return dtype == QVF_F32 || dtype == QVF_F16 || (dtype == QVF_Q8_0 && size % 32 == 0);
}
