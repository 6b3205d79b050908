/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "qvf.glsl"
#include "math.glsl"

/* ADD or GATE, RMSNORM and QUANTIZE of rows, whichever of them follow each other: a workgroup keeps its row in registers,
 * four numbers in each. What they write by themselves is written unless nobody else reads it.
 * n: 0 columns, 1 columns of q, 2 activation of GATE. f: 0 and 1 as in ADD, 2 epsilon. */
#include "row.glsl"

layout(constant_id = 1) const uint first = 0; /* 0 neither, 1 ADD, 2 GATE */
layout(constant_id = 2) const uint normalised = 0;
layout(constant_id = 3) const uint quantised = 0;
layout(constant_id = 4) const uint pieces = 1; /* fours of an invocation */
layout(constant_id = 5) const uint first_written = 0;
layout(constant_id = 6) const uint norm_written = 0;

layout(set = 0, binding = 1, std430) buffer result_first { vec4 s[]; };
layout(set = 0, binding = 2, std430) buffer input_a { vec4 a[]; };
layout(set = 0, binding = 3, std430) buffer input_b { vec4 b[]; };
layout(set = 0, binding = 4, std430) buffer result_norm { vec4 y[]; };
layout(set = 0, binding = 5, std430) readonly buffer weight_ { vec4 w[]; };
layout(set = 0, binding = 6, std430) writeonly buffer result_codes { uint q[]; };
layout(set = 0, binding = 7, std430) writeonly buffer result_scale { float scale[]; };

vec4 first_of(uint at)
{
        vec4 l = a[at], r;

        if (first == 0)
                return l;
        r = b[at];
        return first == 1 ? qvf_weighted_sum(push.f[0], l, push.f[1], r) : qvf_gate(push.n[2] == 0, l, r);
}

uint codes_of(vec4 numbers, float factor)
{
        precise vec4 scaled = numbers * factor;
        ivec4 code = ivec4(clamp(roundEven(scaled), -128.0, 127.0)) & 255;

        return uint(code.x | code.y << 8 | code.z << 16 | code.w << 24);
}

void main()
{
        uint row = qvf_group(), fours = push.n[0] / 4, at = row * fours, own = gl_LocalInvocationID.x;
        vec4 v[pieces];
        float largest = 1e-5;
        norm_sum sum = norm_begin();

        if (row >= qvf_rows())
                return;
        [[unroll]] for (uint k = 0; k < pieces; k++) {
                uint i = k * gl_WorkGroupSize.x + own;

                v[k] = vec4(0.0);
                if (i < fours) {
                        v[k] = first_of(at + i);
                        if (first_written != 0)
                                s[at + i] = v[k];
                }
                if (normalised != 0)
                        norm_add(sum, v[k]);
        }
        if (normalised != 0) {
                vec2 factor = norm_factor(row_sum_pair(norm_end(sum)), float(push.n[0]), 1.0 / float(push.n[0]), push.f[2]);

                [[unroll]] for (uint k = 0; k < pieces; k++) {
                        uint i = k * gl_WorkGroupSize.x + own;

                        if (i < fours) {
                                v[k] = norm_scale(v[k], factor, w[push.rest[4] / 4 + i]);
                                if (norm_written != 0)
                                        y[at + i] = v[k];
                        }
                }
        }
        if (quantised == 0)
                return;
        [[unroll]] for (uint k = 0; k < pieces; k++) {
                vec4 size = abs(v[k]);

                largest = max(largest, max(max(size.x, size.y), max(size.z, size.w)));
        }
        largest = row_max(largest);

        float factor = qvf_divide(127.0, largest);
        uint words = push.n[1] / 4;

        [[unroll]] for (uint k = 0; k < pieces; k++) {
                uint i = k * gl_WorkGroupSize.x + own;

                if (i < words)
                        q[row * words + i] = codes_of(v[k], factor);
        }
        if (own == 0)
                scale[row] = qvf_divide(largest, 127.0);
}
