/* SPDX-License-Identifier: Apache-2.0 */
/* As attention_gradient.glsl, by cooperative matrices. dy may be as small as it likes: it is multiplied by a power of 2
 * that brings the largest number of the rows at hand (most[r][h] has each row's) to about 32. */
#include "qvf.glsl"
#include "attention_matrix.glsl"

layout(set = 0, binding = 1, std430) writeonly buffer gradient_1 { vec4 out_1[]; }; /* dq or dk */
layout(set = 0, binding = 2, std430) writeonly buffer gradient_2 { vec4 out_2[]; }; /* dv */
layout(set = 0, binding = 3, std430) readonly buffer gradient_delta { vec2 delta[]; };
layout(set = 0, binding = 4, std430) readonly buffer gradient_lse { float lse[]; };
layout(set = 0, binding = 5, std430) readonly buffer gradient_q { vec4 q[]; };
layout(set = 0, binding = 6, std430) readonly buffer gradient_k { vec4 k[]; };
layout(set = 0, binding = 7, std430) readonly buffer gradient_v { vec4 v[]; };
layout(set = 0, binding = 8, std430) readonly buffer gradient_first { int first[]; };
layout(set = 0, binding = 9, std430) readonly buffer gradient_dy { vec4 dy[]; };

shared uvec4 stage_1[TILE * PITCH4], stage_2[TILE * PITCH4];
shared int bound;
shared uint greatest; /* bits of the largest |dy| */

/* For what bits of a positive float say. */
float scale_for(uint bits)
{
        int exponent = int(bits >> 23) - 127;

        return bits == 0u ? 1.0 : ldexp(1.0, clamp(5 - exponent, -100, 100));
}
