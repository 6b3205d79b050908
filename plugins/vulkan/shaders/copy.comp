/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "cells.glsl"
#include "elements.glsl"

layout(constant_id = 1) const uint to = 0;
layout(constant_id = 2) const uint from = 0;
layout(set = 0, binding = 1, std430) buffer result { uint y[]; };
layout(set = 0, binding = 2, std430) buffer input_ { uint x[]; };

float number(uint i)
{
        if (from == TYPE_F32)
                return uintBitsToFloat(x[push.rest[1] + i]);
        uint half_ = x[push.rest[1] + i / 2] >> (i & 1u) * 16 & 0xffffu;

        return from == TYPE_F16 ? unpackHalf2x16(half_).x : uintBitsToFloat(half_ << 16);
}

uint narrow(float v)
{
        return to == TYPE_F16 ? cells_half(v) : cells_bf16(v);
}

/* n[0] here: two numbers for each invocation where the result is of 16 bits; n[1] columns. */
void main()
{
        uint end = (min(qvf_rows(), push.row0 + push.n[7]) - min(qvf_rows(), push.row0)) * push.n[1];

        if (to == TYPE_F32 || to == from && to == TYPE_F32) {
                FOR_ELEMENTS(i)
                        y[i] = floatBitsToUint(number(i));
                return;
        }
        for (uint pair = qvf_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x; pair * 2 < end;
                pair += gl_WorkGroupSize.x * gl_NumWorkGroups.x * gl_NumWorkGroups.y) {
                uint i = pair * 2, low, high = y[pair] >> 16;

                if (to == from) { /* bits, NaNs and all */
                        low = x[push.rest[1] + pair] & 0xffffu;
                        high = i + 1 < end ? x[push.rest[1] + pair] >> 16 : high;
                } else {
                        low = narrow(number(i));
                        high = i + 1 < end ? narrow(number(i + 1)) : high;
                }
                y[pair] = low | high << 16;
        }
}
