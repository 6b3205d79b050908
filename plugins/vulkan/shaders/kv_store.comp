/* SPDX-License-Identifier: Apache-2.0 */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "qvf.glsl"
#include "cells.glsl"

/* One invocation stores one word of F32 or F16 caches, one block of 32 numbers of Q8_0. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint dtype = 0;

layout(set = 0, binding = 1, std430) buffer cache_ { uint cache[]; };
layout(set = 0, binding = 2, std430) readonly buffer input_ { float x[]; };
layout(set = 0, binding = 3, std430) readonly buffer position_ { int position[]; };
layout(set = 0, binding = 4, std430) readonly buffer sequence_ { int sequence[]; };
layout(set = 0, binding = 5, std430) readonly buffer table_ { int table[]; };

/* n[1] cells of the cache from cell n[2] on; n[3] rows and n[4] columns of the table. x is bound from row push.row0 on. */
uint cell_of(uint row)
{
        int s = sequence[row], p = position[row], block;

        if (s < 0 || uint(s) >= push.n[3] || p < 0 || uint(p) / QVF_KV_BLOCK >= push.n[4])
                return CELL_NONE;
        block = table[uint(s) * push.n[4] + uint(p) / QVF_KV_BLOCK];
        if (block < 0 || uint(block) >= push.n[5])
                return CELL_NONE;
        return uint(block) * QVF_KV_BLOCK + uint(p) % QVF_KV_BLOCK - push.n[2];
}


/* 34 bytes that begin at an even byte: the neighbour that shares a word is another invocation's, so that words at the
 * two ends are put together by atomics on halves. */
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

void store_q8_0(uint cell, uint from, uint block)
{
        uint at = cell * (push.n[0] / 32) * 34 + block * 34;
        float largest = 0.0, factor = 0.0, scale = 0.0;

        for (uint i = 0; i < 32; i++)
                largest = max(largest, abs(x[from + i]));
        if (largest > 0.0) {
                scale = qvf_divide(largest, 127.0);
                factor = qvf_divide(127.0, largest);
        }
        put_shared(at, cells_half(scale));
        for (uint i = 0; i < 32; i += 2)
                put_shared(at + 2 + i, quantized(x[from + i], factor) | quantized(x[from + i + 1], factor) << 8);
}

void main()
{
        uint columns = push.n[0], row = gl_WorkGroupID.y, cell;
        uint i = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;

        if (row + push.row0 >= qvf_rows())
                return;
        cell = cell_of(row + push.row0);
        if (cell >= push.n[1])
                return;
        if (dtype == TYPE_F32) {
                if (i < columns)
                        cache[cell * columns + i] = floatBitsToUint(x[row * columns + i]);
        } else if (dtype == TYPE_Q8_0) {
                if (i < columns / 32)
                        store_q8_0(cell, row * columns + i * 32, i);
        } else if ((columns & 1u) != 0) { /* rows share words: one invocation does a row */
                if (i == 0)
                        for (uint c = 0; c < columns; c++) {
                                uint at = (cell * columns + c) * 2;

                                put_shared(at, cells_half(x[row * columns + c]));
                        }
        } else if (i < columns / 2) {
                uint at = row * columns + 2 * i;

                cache[cell * (columns / 2) + i] = cells_half(x[at]) | cells_half(x[at + 1]) << 16;
        }
}
