/* SPDX-License-Identifier: Apache-2.0 */
/* A row of dy as f16 for the cooperative matrices: times a power of two that brings its largest number to 2¹³ … 2¹⁴,
 * which is undone by factor[row]. A number that is not finite stays so. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

layout(local_size_x = 256) in;

layout(set = 0, binding = 1, std430) readonly buffer output_gradient { float dy[]; };
layout(set = 0, binding = 1, std430) readonly buffer output_gradient4 { vec4 dy4[]; };
layout(set = 0, binding = 2, std430) writeonly buffer halves { uvec4 half_dy[]; };
layout(set = 0, binding = 3, std430) writeonly buffer factors { float factor[]; };

/* push.n: columns of dy, uvec4s of a row of halves (what is over is 0) */
#define HIGHEST 267u /* 127 + 127 + 13: the sum of the exponents, as they stand in floats */

shared uint largest[256];

/* Eight numbers of a row. */
void eight(uint row, uint i, out vec4 a, out vec4 b)
{
        uint at = push.rest[0] + row * push.n[0] + 8u * i;

        if ((push.n[0] | push.rest[0]) % 8u == 0u) {
                a = dy4[at / 4u];
                b = dy4[at / 4u + 1u];
                return;
        }
        for (uint j = 0u; j < 4u; j++) {
                a[j] = 8u * i + j < push.n[0] ? dy[at + j] : 0.0;
                b[j] = 8u * i + 4u + j < push.n[0] ? dy[at + 4u + j] : 0.0;
        }
}

void main()
{
        uint rows = qvf_rows(), row = qvf_group(), lane = gl_LocalInvocationID.x;
        uvec4 bits = uvec4(0u);
        vec4 a, b;

        rows -= min(rows, push.row0);
        if (row >= rows)
                return;
        for (uint i = lane; i < push.n[1]; i += 256u) {
                eight(row, i, a, b);
                bits = max(bits, max(floatBitsToUint(a) & 0x7fffffffu, floatBitsToUint(b) & 0x7fffffffu));
        }
        largest[lane] = max(max(bits.x, bits.y), max(bits.z, bits.w));
        barrier();
        for (uint step = 128u; step > 0u; step /= 2u) {
                if (lane < step)
                        largest[lane] = max(largest[lane], largest[lane + step]);
                barrier();
        }
        uint exponent = clamp(HIGHEST - (largest[0] >> 23), 7u, 247u); /* its inverse is a normal number, too */
        float up = uintBitsToFloat(exponent << 23);

        for (uint i = lane; i < push.n[1]; i += 256u) {
                eight(row, i, a, b);
                a *= up;
                b *= up;
                half_dy[push.rest[1] / 4u + row * push.n[1] + i] = uvec4(packHalf2x16(a.xy), packHalf2x16(a.zw), packHalf2x16(b.xy), packHalf2x16(b.zw));
        }
        if (lane == 0u)
                factor[push.rest[2] + row] = uintBitsToFloat((254u - exponent) << 23);
}
