#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* y = Σ_p softmax_p(f0 q·k_p) v_p, for one row and head by a workgroup, or for one of several parts of its positions
 * (attention_combine adds these up). An invocation has one position's score, then one column of the values.
 * n[6]: parts; n[7]: positions that are too few to be cut. */
#include "qvf.glsl"
#include "math.glsl"
#include "attention_cache.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128;
layout(constant_id = 1) const uint SIZE = 64;
layout(constant_id = 2) const uint KEY_TYPE = 0;
layout(constant_id = 3) const uint VALUE_TYPE = 0;

layout(set = 0, binding = 1, std430) writeonly buffer attention_y
{
        float y[]; /* parts: [row][head][part]: largest score, Σ weights, SIZE sums */
};

const uint SLICES = SIZE < THREADS ? THREADS / SIZE : 1; /* of the positions, when values are summed */
const uint COLUMNS = (SIZE + THREADS - 1) / THREADS;     /* that an invocation sums */
const float SCORE_NONE = -3.0e38;

shared float query[SIZE];
shared float weights[THREADS];
shared uint cells[THREADS];
shared float pool[THREADS * COLUMNS];

float find_score(uint cell, uint key_column)
{
        uint at = cell * push.n[1] + key_column;
        float sum = 0.0;

        if (KEY_TYPE == CACHE_F16 && SIZE % 2 == 0) {
                for (uint d = 0; d < SIZE / 2; d++) {
                        vec2 two = unpackHalf2x16(keys[at / 2 + d]);

                        sum += two.x * query[2 * d] + two.y * query[2 * d + 1];
                }
                return push.f[0] * sum;
        }
        for (uint d = 0; d < SIZE; d++)
                sum += CACHE_NUMBER(KEY_TYPE, keys, at + d) * query[d];
        return push.f[0] * sum;
}

/* Over the invocations, for all of them. */
float reduce(float mine, bool largest)
{
        uint t = gl_LocalInvocationIndex;

        barrier();
        pool[t] = mine;
        for (uint half_of = THREADS / 2; half_of > 0; half_of /= 2) {
                barrier();
                if (t < half_of)
                        pool[t] = largest ? max(pool[t], pool[t + half_of]) : pool[t] + pool[t + half_of];
        }
        barrier();
        return pool[0];
}

void store(uint row, uint head, uint part, float largest, float total, float sums[COLUMNS])
{
        uint t = gl_LocalInvocationIndex, heads = push.n[0] / SIZE;
        uint at = push.n[6] > 1 ? ((row * heads + head) * push.n[6] + part) * (SIZE + 2) : row * push.n[0] + head * SIZE;

        barrier();
        for (uint c = 0; c < COLUMNS; c++)
                pool[c * THREADS + t] = sums[c];
        barrier();
        for (uint c = 0; c < COLUMNS; c++) {
                uint d = c * THREADS + t;
                float sum = 0.0;

                if (d >= SIZE)
                        continue;
                for (uint s = 0; s < SLICES; s++)
                        sum += pool[s * SIZE + d];
                if (push.n[6] > 1)
                        y[at + 2 + d] = sum;
                else
                        y[at + d] = total > 0.0 ? sum / total : 0.0;
        }
        if (push.n[6] > 1 && t == 0) {
                y[at] = largest;
                y[at + 1] = total;
        }
}

void main()
{
        uint t = gl_LocalInvocationIndex, head = gl_WorkGroupID.x, row = push.row0 + gl_WorkGroupID.y, part = gl_WorkGroupID.z;
        uint key_column = head / (push.n[0] / push.n[1]) * SIZE, slice = t / SIZE;
        float largest = SCORE_NONE, total = 0.0, sums[COLUMNS];
        ivec2 span;
        int each;

        if (row >= qvf_rows())
                return;
        span = cache_span(place[row].x);
        each = max((span.y - span.x + int(push.n[6])) / int(push.n[6]), int(push.n[7]));
        span.x += int(part) * each;
        span.y = min(span.y, span.x + each - 1);
        for (uint d = t; d < SIZE; d += THREADS)
                query[d] = q[row * push.n[0] + head * SIZE + d];
        for (uint c = 0; c < COLUMNS; c++)
                sums[c] = 0.0;
        barrier();
        for (int p0 = span.x; p0 <= span.y; p0 += int(THREADS)) {
                uint cell = p0 + int(t) <= span.y ? cache_cell(place[row].y, p0 + int(t)) : CELL_NONE;
                float score = cell == CELL_NONE ? SCORE_NONE : find_score(cell, key_column), before = largest, shrink;
                uint count = min(THREADS, uint(span.y - p0) + 1);

                largest = max(largest, reduce(score, true));
                shrink = before == SCORE_NONE ? 0.0 : qvf_exp(before - largest);
                weights[t] = cell == CELL_NONE ? 0.0 : qvf_exp(score - largest);
                cells[t] = cell;
                total = total * shrink + reduce(weights[t], false);
                for (uint c = 0; c < COLUMNS; c++) {
                        uint d = SIZE < THREADS ? t % SIZE : c * THREADS + t;

                        sums[c] *= shrink;
                        if (d < SIZE && slice < SLICES || SIZE >= THREADS && d < SIZE)
                                for (uint i = SIZE < THREADS ? slice : 0; i < count; i += SLICES)
                                        if (cells[i] != CELL_NONE)
                                                sums[c] += weights[i] * CACHE_NUMBER(VALUE_TYPE, values,
                                                                                        cells[i] * push.n[1] + key_column + d);
                }
        }
        store(row, head, part, largest, total, sums);
}
