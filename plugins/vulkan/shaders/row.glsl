/* SPDX-License-Identifier: Apache-2.0 */
/* One workgroup works on one row: sums and maxima over its invocations, a power of two up to 1024, in one fixed order;
 * with SUBGROUP over those of subgroups first. */
#ifndef QVF_ROW_GLSL
#define QVF_ROW_GLSL

layout(local_size_x_id = 0) in;

#ifdef SUBGROUP
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
