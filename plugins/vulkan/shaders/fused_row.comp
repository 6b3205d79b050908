/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "math.glsl"
#include "row.glsl"

/* Up to three operations on a row, each of which writes its result: ADD or GATE, RMSNORM, QUANTIZE. An invocation reads
 * again only what it wrote itself. n[0] columns, n[1] padded columns of q. f[0] of the norm; f[1], f[2] of the sum. */
layout(constant_id = 1) const uint prologue = 0; /* 0 none, 1 ADD, 2 GATE with SiLU, 3 GATE with ReLU squared */
layout(constant_id = 2) const bool quantizes = true;

layout(set = 0, binding = 1, std430) buffer result_sum { float s[]; };
layout(set = 0, binding = 2, std430) buffer input_a { float a[]; };
layout(set = 0, binding = 3, std430) buffer input_b { float b[]; };
layout(set = 0, binding = 4, std430) readonly buffer weight_ { float w[]; };
layout(set = 0, binding = 5, std430) buffer result_norm { float y[]; };
layout(set = 0, binding = 6, std430) writeonly buffer result_q { uint q[]; };
layout(set = 0, binding = 7, std430) writeonly buffer result_scale { float scale[]; };

float first(uint at)
{
        float v = a[at];

        if (prologue == 1)
                return fma(push.f[1], v, push.f[2] * b[at]);
        if (prologue == 2)
                return v * qvf_sigmoid(v) * b[at];
        return max(v, 0.0) * max(v, 0.0) * b[at];
}

/* Four numbers of the norm: those of one word of q, which one invocation has from the beginning to the end. */
uint quantized(float v, float factor)
{
        precise float scaled = v * factor;

        return uint(int(clamp(roundEven(scaled), -128.0, 127.0))) & 255u;
}

void main()
{
        uint row = qvf_group(), columns = push.n[0], at = row * columns, words = push.n[1] / 4;
        float sum = 0.0, largest = 1e-5, factor;

        if (row >= qvf_rows())
                return;
        for (uint i = gl_LocalInvocationID.x; i * 4 < columns; i += gl_WorkGroupSize.x)
                for (uint c = i * 4; c < min(i * 4 + 4, columns); c++) {
                        float v = prologue != 0 ? first(at + c) : a[at + c];

                        if (prologue != 0)
                                s[at + c] = v;
                        sum = fma(v, v, sum);
                }
        factor = row_inverse_root(row_sum(sum) / float(columns) + push.f[0]);
        for (uint i = gl_LocalInvocationID.x; i * 4 < columns; i += gl_WorkGroupSize.x)
                for (uint c = i * 4; c < min(i * 4 + 4, columns); c++) {
                        precise float v = (prologue != 0 ? s[at + c] : a[at + c]) * factor * w[push.rest[3] + c];

                        y[at + c] = v;
                        largest = max(largest, abs(v));
                }
        if (!quantizes)
                return;
        largest = row_max(largest);
        factor = qvf_divide(127.0, largest);
        for (uint i = gl_LocalInvocationID.x; i < words; i += gl_WorkGroupSize.x) {
                uint word = 0;

                for (uint c = i * 4; c < min(i * 4 + 4, columns); c++)
                        word |= quantized(y[at + c], factor) << 8 * (c - i * 4);
                q[row * words + i] = word;
        }
        if (gl_LocalInvocationID.x == 0)
                scale[row] = qvf_divide(largest, 127.0);
}
