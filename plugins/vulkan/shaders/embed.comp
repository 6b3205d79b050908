/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "elements.glsl"

layout(constant_id = 1) const uint dtype = 0;
layout(set = 0, binding = 1, std430) writeonly buffer result { float y[]; };
layout(set = 0, binding = 2, std430) readonly buffer index_ { int ids[]; };
layout(set = 0, binding = 3, std430) readonly buffer table_ { uint table[]; };
layout(set = 0, binding = 4, std430) readonly buffer scales_ { float block_scales[]; };

#define QVF_WEIGHT_WORDS table
#define QVF_WEIGHT_BASE push.rest[2]
#define QVF_WEIGHT_SCALE(block) block_scales[push.rest[3] + (block)]
#include "dense_weight.glsl"

/* As in gather.comp; f[3]: the table's scale. */
void main()
{
        FOR_ELEMENTS(i) {
                int from = ids[push.row0 + i / push.n[0]];
                uint row = uint(from) - push.n[2];

                if (from >= 0 && uint(from) >= push.n[2] && row < push.n[1])
                        y[i] = qvf_weight(dtype, row, i % push.n[0], push.n[5], push.f[3]);
                else if (push.n[3] != 0 && (from < 0 || uint(from) >= push.n[4]))
                        y[i] = 0.0;
        }
}
