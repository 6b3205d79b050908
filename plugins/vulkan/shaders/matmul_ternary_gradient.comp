/* SPDX-License-Identifier: Apache-2.0 */
/* A row of dy as f16 for the cooperative matrices: times a power of two that brings its largest number to 2¹³ … 2¹⁴,
 * which is undone by factor[row]. A number that is not finite stays so. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

layout(local_size_x = 256) in;

layout(set = 0, binding = 1, std430) readonly buffer output_gradient { float dy[]; };
layout(set = 0, binding = 2, std430) writeonly buffer halves { uint half_dy[]; };
layout(set = 0, binding = 3, std430) writeonly buffer factors { float factor[]; };

/* push.n: columns of dy, words of a row of halves (what is over is 0) */
#define HIGHEST 267u /* 127 + 127 + 13: the sum of the exponents, as they stand in floats */

shared uint largest[256];

void main()
{
        uint rows = qvf_rows(), row = qvf_group(), lane = gl_LocalInvocationID.x, bits = 0u;

        rows -= min(rows, push.row0);
        if (row >= rows)
                return;
        for (uint i = lane; i < push.n[0]; i += 256u)
                bits = max(bits, floatBitsToUint(dy[push.rest[0] + row * push.n[0] + i]) & 0x7fffffffu);
        largest[lane] = bits;
        barrier();
        for (uint step = 128u; step > 0u; step /= 2u) {
                if (lane < step)
                        largest[lane] = max(largest[lane], largest[lane + step]);
                barrier();
        }
        uint exponent = clamp(HIGHEST - (largest[0] >> 23), 7u, 247u); /* its inverse is a normal number, too */
        float up = uintBitsToFloat(exponent << 23);

        for (uint i = lane; i < push.n[1]; i += 256u) {
                uint at = push.rest[0] + row * push.n[0] + 2u * i;
                vec2 pair = vec2(2u * i < push.n[0] ? dy[at] : 0.0, 2u * i + 1u < push.n[0] ? dy[at + 1u] : 0.0);

                half_dy[push.rest[1] + row * push.n[1] + i] = packHalf2x16(pair * up);
        }
        if (lane == 0u)
                factor[push.rest[2] + row] = uintBitsToFloat((254u - exponent) << 23);
}
