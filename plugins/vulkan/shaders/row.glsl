/* SPDX-License-Identifier: Apache-2.0 */
/* One workgroup works on one row: sums and maxima over its invocations, a power of two up to 1024, in one fixed order;
 * with SUBGROUP over those of subgroups first. */
#ifndef QVF_ROW_GLSL
#define QVF_ROW_GLSL

#include "norm.glsl"

layout(local_size_x_id = 0) in;

#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_shuffle : require
shared float row_shared[128];

/* Each subgroup adds up what all of them left, in the same order. */
float row_sum(float own)
{
        float part = subgroupAdd(own), rest = 0.0;

        barrier();
        if (gl_SubgroupInvocationID == 0)
                row_shared[gl_SubgroupID] = part;
        barrier();
        for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
                rest += row_shared[i];
        return subgroupAdd(rest);
}

/* Every invocation is there. */
vec2 row_subgroup_sum_pair(vec2 own)
{
        for (uint step_ = 1; step_ < gl_SubgroupSize; step_ *= 2)
                own = norm_join(own, subgroupShuffleXor(own, step_));
        return own;
}

shared vec2 row_shared_pairs[128];

/* Of pairs of floats. */
vec2 row_sum_pair(vec2 own)
{
        vec2 part = row_subgroup_sum_pair(own), rest = vec2(0.0);

        barrier();
        if (gl_SubgroupInvocationID == 0)
                row_shared_pairs[gl_SubgroupID] = part;
        barrier();
        for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
                rest = norm_join(rest, row_shared_pairs[i]);
        return row_subgroup_sum_pair(rest);
}

float row_max(float own)
{
        float largest = subgroupMax(own), rest = 0.0;

        barrier();
        if (gl_SubgroupInvocationID == 0)
                row_shared[gl_SubgroupID] = largest;
        barrier();
        for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
                rest = max(rest, row_shared[i]);
        return subgroupMax(rest);
}
#else
shared float row_shared[1024];

float row_sum(float own)
{
        uint i = gl_LocalInvocationID.x;

        barrier();
        row_shared[i] = own;
        barrier();
        for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {
                if (i < half_)
                        row_shared[i] += row_shared[i + half_];
                barrier();
        }
        return row_shared[0];
}

shared float row_shared_low[1024];

/* Of pairs of floats. */
vec2 row_sum_pair(vec2 own)
{
        uint i = gl_LocalInvocationID.x;

        barrier();
        row_shared[i] = own.x;
        row_shared_low[i] = own.y;
        barrier();
        for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {
                if (i < half_) {
                        vec2 sum = norm_join(vec2(row_shared[i], row_shared_low[i]),
                                vec2(row_shared[i + half_], row_shared_low[i + half_]));

                        row_shared[i] = sum.x;
                        row_shared_low[i] = sum.y;
                }
                barrier();
        }
        return vec2(row_shared[0], row_shared_low[0]);
}

float row_max(float own)
{
        uint i = gl_LocalInvocationID.x;

        barrier();
        row_shared[i] = own;
        barrier();
        for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {
                if (i < half_)
                        row_shared[i] = max(row_shared[i], row_shared[i + half_]);
                barrier();
        }
        return row_shared[0];
}
#endif

/* 1 / sqrt(x), refined. */
float row_inverse_root(float x)
{
        float t = inversesqrt(x);

        return t * fma(-0.5 * x * t, t, 1.5);
}

#endif
