/* SPDX-License-Identifier: Apache-2.0 */
/* One workgroup works on one row: sums and maxima over its invocations, in one fixed order. */
#ifndef QVF_ROW_GLSL
#define QVF_ROW_GLSL

layout(local_size_x_id = 0) in;

shared float row_shared[256];

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

/* 1 / sqrt(x), refined. */
float row_inverse_root(float x)
{
        float t = inversesqrt(x);

        return t * fma(-0.5 * x * t, t, 1.5);
}

#endif
