/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "elements.glsl"

layout(set = 0, binding = 1, std430) buffer result { float y[]; };
layout(set = 0, binding = 2, std430) buffer input_ { float x[]; };

uint hash(uint index)
{
        uint h = args.seed_low ^ push.n[1] * 0x9e3779b9u;

        for (int round_ = 0; round_ < 2; round_++) {
                h ^= round_ != 0 ? index : args.seed_high;
                h = (h ^ h >> 16) * 0x85ebca6bu;
                h = (h ^ h >> 13) * 0xc2b2ae35u;
                h ^= h >> 16;
        }
        return h;
}

void main()
{
        /* n[2]: the threshold, as the host rounded it up. */
        FOR_ELEMENTS(i)
                y[i] = hash(push.row0 * push.n[0] + i) >= push.n[2] ? x[i] / (1.0 - push.f[0]) : 0.0;
}
