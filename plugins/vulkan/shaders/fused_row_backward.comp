/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "qvf.glsl"
#include "math.glsl"
#include "row.glsl"

/* RMSNORM_BACKWARD, and GATE_BACKWARD of what comes out: a workgroup keeps its row in registers, four numbers in each.
 * n: 0 columns, 1 activation. f: 0 epsilon. */
layout(constant_id = 1) const uint gated = 0;
layout(constant_id = 2) const uint pieces = 1; /* fours of an invocation */

layout(set = 0, binding = 1, std430) buffer result { vec4 dx[]; };
layout(set = 0, binding = 2, std430) buffer input_ { vec4 x[]; };
layout(set = 0, binding = 3, std430) readonly buffer weight_ { vec4 w[]; };
layout(set = 0, binding = 4, std430) buffer gradient { vec4 dy[]; };
layout(set = 0, binding = 5, std430) buffer result_g { vec4 dg[]; };
layout(set = 0, binding = 6, std430) buffer result_u { vec4 du[]; };
layout(set = 0, binding = 7, std430) buffer input_g { vec4 g[]; };
layout(set = 0, binding = 8, std430) buffer input_u { vec4 u[]; };

/* act'(g), act(g) */
vec2 slope_and_act(float v)
{
        if (push.n[1] == 0) {
                float s = qvf_sigmoid(v), rest = qvf_sigmoid(-v);

                return vec2(s * fma(v, rest, 1.0), v * s);
        }
        return vec2(2.0, max(v, 0.0)) * max(v, 0.0);
}

void gate_backward(uint at, vec4 d)
{
        vec4 v = g[at], up = u[at];
        vec2 a = slope_and_act(v.x), b = slope_and_act(v.y), c = slope_and_act(v.z), e = slope_and_act(v.w);

        dg[at] = d * up * vec4(a.x, b.x, c.x, e.x);
        du[at] = d * vec4(a.y, b.y, c.y, e.y);
}

void main()
{
        uint row = qvf_group(), fours = push.n[0] / 4, at = row * fours;
        vec4 of_x[pieces], of_dy[pieces]; /* x, w dy */
        float sum = 0.0, along = 0.0, t;

        if (row >= qvf_rows())
                return;
        [[unroll]] for (uint k = 0; k < pieces; k++) {
                uint i = k * gl_WorkGroupSize.x + gl_LocalInvocationID.x;

                of_x[k] = of_dy[k] = vec4(0.0);
                if (i < fours) {
                        of_x[k] = x[at + i];
                        of_dy[k] = w[push.rest[2] / 4 + i] * dy[at + i];
                }
                sum += dot(of_x[k], of_x[k]);
                along += dot(of_x[k], of_dy[k]);
        }
        t = row_inverse_root(row_sum(sum) / float(push.n[0]) + push.f[0]);
        along = row_sum(along) / float(push.n[0]) * t * t * t;
        [[unroll]] for (uint k = 0; k < pieces; k++) {
                uint i = k * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
                vec4 d = t * of_dy[k] - of_x[k] * along;

                if (i >= fours)
                        continue;
                if ((push.flags & QVF_ACCUMULATE) != 0)
                        d += dx[at + i];
                dx[at + i] = d;
                if (gated != 0)
                        gate_backward(at + i, d);
        }
}
