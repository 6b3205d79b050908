/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "cells.glsl"
#include "math.glsl"

/* A workgroup turns one cell (a row of the cache), which it takes apart into shared memory piece by piece: n[0] columns,
 * n[1] head size, n[2] pairs, n[3] interleaved, n[4] blocks from block n[6] on, n[5] heads of a piece. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint dtype = 0;

layout(set = 0, binding = 1, std430) buffer cache_ { uint cache[]; };
layout(set = 0, binding = 2, std430) readonly buffer turn_ { int turn[]; };
layout(set = 0, binding = 3, std430) readonly buffer frequency_ { float frequency[]; };

shared float numbers[2048];

uint byte_at(uint at)
{
        return cache[at / 4] >> (at & 3u) * 8 & 255u;
}

float half_at(uint at)
{
        return unpackHalf2x16(cache[at / 4] >> (at & 2u) * 8 & 0xffffu).x;
}

float read_number(uint cell, uint c)
{
        uint columns = push.n[0];

        if (dtype == TYPE_F32)
                return uintBitsToFloat(cache[cell * columns + c]);
        if (dtype == TYPE_F16)
                return half_at((cell * columns + c) * 2);
        uint at = (cell * (columns / 32) + c / 32) * 34;

        return half_at(at) * float(bitfieldExtract(int(byte_at(at + 2 + c % 32)), 0, 8));
}

void put_shared(uint byte_, uint half_)
{
        atomicAnd(cache[byte_ / 4], (byte_ & 2u) != 0 ? 0xffffu : 0xffff0000u);
        atomicOr(cache[byte_ / 4], (byte_ & 2u) != 0 ? half_ << 16 : half_);
}

uint quantized(float v, float factor)
{
        precise float scaled = v * factor;

        return uint(int(roundEven(scaled))) & 255u;
}

void store_q8_0(uint cell, uint c, uint from)
{
        uint at = (cell * (push.n[0] / 32) + c / 32) * 34;
        float largest = 0.0, factor = 0.0, scale = 0.0;

        for (uint i = 0; i < 32; i++)
                largest = max(largest, abs(numbers[from + i]));
        if (largest > 0.0) {
                scale = qvf_divide(largest, 127.0);
                factor = qvf_divide(127.0, largest);
        }
        put_shared(at, cells_half(scale));
        for (uint i = 0; i < 32; i += 2)
                put_shared(at + 2 + i, quantized(numbers[from + i], factor) | quantized(numbers[from + i + 1], factor) << 8);
}

void store_piece(uint cell, uint first, uint count)
{
        for (uint i = gl_LocalInvocationID.x; i < count; i += gl_WorkGroupSize.x) {
                uint c = first + i;

                if (dtype == TYPE_F32)
                        cache[cell * push.n[0] + c] = floatBitsToUint(numbers[i]);
                else if (dtype == TYPE_F16)
                        put_shared((cell * push.n[0] + c) * 2, cells_half(numbers[i]));
                else if (i % 32 == 0)
                        store_q8_0(cell, c, i);
        }
}

void turn_piece(uint count, float positions)
{
        uint half_ = push.n[1] / 2;

        for (uint i = gl_LocalInvocationID.x; i < count / push.n[1] * half_; i += gl_WorkGroupSize.x) {
                uint pair = i % half_, head = i / half_ * push.n[1];
                uint a = head + (push.n[3] != 0 ? 2 * pair : pair), b = push.n[3] != 0 ? a + 1 : a + push.n[2];

                if (pair < push.n[2]) {
                        vec2 turned = qvf_turn(vec2(numbers[a], numbers[b]),
                                qvf_sine_cosine(positions, frequency[push.rest[2] + pair]));

                        numbers[a] = turned.x;
                        numbers[b] = turned.y;
                }
        }
}

void main()
{
        uint row = gl_WorkGroupID.y, cell, piece = push.n[5] * push.n[1];
        int block, positions;

        if (row >= qvf_rows())
                return;
        block = turn[2 * row];
        positions = turn[2 * row + 1];
        if (block < 0 || uint(block) - push.n[6] >= push.n[4])
                return;
        cell = (uint(block) - push.n[6]) * QVF_KV_BLOCK + gl_WorkGroupID.x;
        for (uint first = 0; first < push.n[0]; first += piece) {
                uint count = min(piece, push.n[0] - first);

                barrier();
                for (uint i = gl_LocalInvocationID.x; i < count; i += gl_WorkGroupSize.x)
                        numbers[i] = read_number(cell, first + i);
                barrier();
                turn_piece(count, float(positions));
                barrier();
                store_piece(cell, first, count);
        }
}
