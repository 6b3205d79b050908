/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"

/* A workgroup of QVF_STATE_BLOCK invocations does blocks of as many numbers. */
layout(local_size_x = 256) in;
layout(constant_id = 1) const uint bytes = 0;

layout(set = 0, binding = 1, std430) buffer parameters { float p[]; };
layout(set = 0, binding = 2, std430) readonly buffer gradients { float g[]; };
layout(set = 0, binding = 3, std430) buffer first { uint m[]; };
layout(set = 0, binding = 4, std430) buffer second { uint v[]; };
layout(set = 0, binding = 5, std430) readonly buffer norm { float norm2[]; };
layout(set = 0, binding = 6, std430) buffer first_scale { float m_scale[]; };
layout(set = 0, binding = 7, std430) buffer second_scale { float v_scale[]; };

shared float largest_m[256], largest_v[256];
shared uint codes_m[256], codes_v[256];

/* 1 - beta^n without cancellation: from c(n) = 1 - beta^n follow c(2n) = c (2 - c) and c(n + 1) = c + (1 - c)(1 - beta). */
float correction(float beta, uint n)
{
        float c = 0.0;

        for (int bit = 31; bit >= 0; bit--) {
                c = c * (2.0 - c);
                if ((n >> bit & 1u) != 0)
                        c += (1.0 - c) * (1.0 - beta);
        }
        return c;
}

float root(float x)
{
        float r = sqrt(x);

        return r > 0.0 ? r + 0.5 * fma(-r, r, x) / r : 0.0;
}

float code_of(uint word, uint i)
{
        return float(bitfieldExtract(int(word), int(i & 3u) * 8, 8));
}

void largest_of_block(uint i, float m_i, float v_i)
{
        barrier();
        largest_m[i] = abs(m_i);
        largest_v[i] = v_i;
        barrier();
        for (uint half_ = 128; half_ > 0; half_ /= 2) {
                if (i < half_) {
                        largest_m[i] = max(largest_m[i], largest_m[i + half_]);
                        largest_v[i] = max(largest_v[i], largest_v[i + half_]);
                }
                barrier();
        }
}

/* The codes of four numbers are put together by the first of them. */
void store_codes(uint block, uint i, bool inside, float m_i, float v_i)
{
        float m_most, v_most;

        largest_of_block(i, inside ? m_i : 0.0, inside ? v_i : 0.0);
        m_most = largest_m[0];
        v_most = largest_v[0];
        float m_code = m_most > 0.0 ? roundEven(127.0 * root(abs(m_i) / m_most)) : 0.0;
        float v_code = v_most > 0.0 ? roundEven(255.0 * root(root(v_i / v_most))) : 0.0;

        codes_m[i] = uint(int(m_i < 0.0 ? -m_code : m_code)) & 255u;
        codes_v[i] = uint(v_i > 0.0 ? max(v_code, 1.0) : v_code);
        barrier();
        if (i % 4 == 0 && inside) {
                uint at = (block * 256 + i) / 4, left = push.n[0] - (block * 256 + i), keep = left >= 4 ? 0u : 0xffffffffu << 8 * left;

                m[at] = m[at] & keep | (codes_m[i] | codes_m[i + 1] << 8 | codes_m[i + 2] << 16 | codes_m[i + 3] << 24) & ~keep;
                v[at] = v[at] & keep | (codes_v[i] | codes_v[i + 1] << 8 | codes_v[i + 2] << 16 | codes_v[i + 3] << 24) & ~keep;
        }
        if (i == 0) {
                m_scale[push.rest[5] + block] = m_most;
                v_scale[push.rest[6] + block] = v_most;
        }
}

void main()
{
        float n = root(norm2[0]), factor = args.clip > 0.0 && n > args.clip ? args.clip / n : 1.0;
        float correction1 = correction(push.f[0], args.step), correction2 = correction(push.f[1], args.step);
        uint blocks = (push.n[0] + 255) / 256, i = gl_LocalInvocationID.x;

        if (isinf(norm2[0]) || isnan(norm2[0]))
                return;
        for (uint block = gl_WorkGroupID.x; block < blocks; block += gl_NumWorkGroups.x) {
                uint at = block * 256 + i;
                bool inside = at < push.n[0];
                float m_i = 0.0, v_i = 0.0;

                if (inside) {
                        float gradient = g[at] * factor;

                        if (bytes != 0) {
                                float a = code_of(m[at / 4], at) / 127.0, b = float(v[at / 4] >> (at & 3u) * 8 & 255u) / 255.0;

                                m_i = a * abs(a) * m_scale[push.rest[5] + block];
                                v_i = b * b * b * b * v_scale[push.rest[6] + block];
                        } else {
                                m_i = uintBitsToFloat(m[at]);
                                v_i = uintBitsToFloat(v[at]);
                        }
                        m_i += (1.0 - push.f[0]) * (gradient - m_i);
                        v_i += (1.0 - push.f[1]) * (gradient * gradient - v_i);
                        p[at] -= args.learning_rate *
                                (m_i / correction1 / (root(v_i / correction2) + push.f[2]) + push.f[3] * p[at]);
                        if (bytes == 0) {
                                m[at] = floatBitsToUint(m_i);
                                v[at] = floatBitsToUint(v_i);
                        }
                }
                if (bytes != 0)
                        store_codes(block, i, inside, m_i, v_i);
        }
}
