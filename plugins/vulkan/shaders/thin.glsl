/* SPDX-License-Identifier: Apache-2.0 */
/* An adapter's part of four numbers of a row: t[row] times four columns of the thick matrix, which are fetched first. */
layout(constant_id = 8) const uint RANK = 0; /* a multiple of 4; 0: no adapter */

layout(set = 0, binding = 5, std430) readonly buffer thin_ { vec4 thin[]; };
layout(set = 0, binding = 6, std430) readonly buffer thick_ { vec4 thick[]; };

vec4 thin_by[RANK > 0u ? RANK : 1u];

vec4 thin_sum(uint row)
{
        vec4 sum = vec4(0.0);

        [[unroll]] for (uint j = 0u; j < RANK / 4u; j++) {
                vec4 four = thin[push.rest[4] / 4u + row * (RANK / 4u) + j];

                [[unroll]] for (uint k = 0u; k < 4u; k++)
                        sum += four[k] * thin_by[4u * j + k];
        }
        return sum;
}
