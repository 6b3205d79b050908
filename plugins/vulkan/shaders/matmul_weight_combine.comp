#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* dW (+)= f0 · Σ_p parts[p], n[0] numbers of dW, n[1] parts; n[2] its columns, if only the
 * rows in use are wanted. */
#extension GL_EXT_control_flow_attributes : require

#include "qvf.glsl"

#define AT_ONCE 8u /* parts on their way to an invocation */

layout(local_size_x = 64) in;

layout(set = 0, binding = 1, std430) buffer combine_dw
{
        float dw[];
};
layout(set = 0, binding = 2, std430) readonly buffer combine_parts
{
        float parts[];
};

void main()
{
        uint i = qvf_group() * 64 + gl_LocalInvocationIndex;
        float sum = 0.0;

        if (i >= push.n[0] || push.n[2] != 0 && i / push.n[2] + push.row0 >= qvf_rows())
                return;
        for (uint p = 0; p < push.n[1]; p += AT_ONCE) {
                float some[AT_ONCE];

                [[unroll]] for (uint j = 0; j < AT_ONCE; j++)
                        some[j] = p + j < push.n[1] ? parts[(p + j) * push.n[0] + i] : 0.0;
                [[unroll]] for (uint j = 0; j < AT_ONCE; j++)
                        sum += some[j];
        }
        sum *= push.f[0];
        dw[i] = (push.flags & QVF_ACCUMULATE) != 0 ? dw[i] + sum : sum;
}
