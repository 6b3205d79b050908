/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

/* A workgroup finds one after another: the largest number behind the last one in the order of falling numbers, and of
 * rising places among equal ones. n[0] columns, n[1] how many, n[2] the place
 * of the first column. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint PLACED = 0; /* the numbers come with their places */

layout(set = 0, binding = 1, std430) writeonly buffer result_value { float value[]; };
layout(set = 0, binding = 2, std430) writeonly buffer result_id { int id[]; };
layout(set = 0, binding = 3, std430) readonly buffer input_ { float x[]; };
layout(set = 0, binding = 4, std430) readonly buffer input_place { uint place[]; };

shared float best_value[256];
shared uint best_at[256];

bool before(float a, uint at_a, float b, uint at_b)
{
        return a > b || a == b && at_a < at_b;
}

void main()
{
        const float lowest = uintBitsToFloat(0xff800000u);
        uint row = qvf_group(), i = gl_LocalInvocationID.x, last_at = 0xffffffffu;
        float last = 0.0;

        if (row >= push.n[7] || push.row0 + row >= qvf_rows())
                return;
        for (uint k = 0; k < push.n[1]; k++) {
                float own = lowest;
                uint own_at = 0xffffffffu;

                for (uint c = i; c < push.n[0]; c += gl_WorkGroupSize.x) {
                        float v = x[push.rest[2] + row * push.n[0] + c];
                        uint at = PLACED != 0 ? place[row * push.n[0] + c] : push.n[2] + c;

                        v = isnan(v) ? lowest : v;
                        if ((k == 0 || before(last, last_at, v, at)) && before(v, at, own, own_at)) {
                                own = v;
                                own_at = at;
                        }
                }
                best_value[i] = own;
                best_at[i] = own_at;
                barrier();
                for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {
                        if (i < half_ && before(best_value[i + half_], best_at[i + half_], best_value[i], best_at[i])) {
                                best_value[i] = best_value[i + half_];
                                best_at[i] = best_at[i + half_];
                        }
                        barrier();
                }
                last = best_value[0];
                last_at = best_at[0];
                barrier();
                if (i == 0) {
                        value[push.rest[0] + row * push.n[1] + k] = last;
                        id[push.rest[1] + row * push.n[1] + k] = int(last_at);
                }
        }
}
