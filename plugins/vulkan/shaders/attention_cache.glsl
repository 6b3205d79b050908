/* SPDX-License-Identifier: Apache-2.0 */
/* Where ATTENTION looks: positions of sequences in paged caches of F32, F16 and Q8_0.
 * n: 0 columns of q, 1 columns of the caches, 2 blocks of a sequence, 3 blocks of the caches, 4 sequences, 5 sliding
 * window. */
#define KV_BLOCK 32u
#define CACHE_F32 0u
#define CACHE_F16 1u
#define CACHE_Q8_0 8u
#define CELL_NONE 0xffffffffu

layout(set = 0, binding = 2, std430) readonly buffer attention_q
{
        float q[];
};
layout(set = 0, binding = 3, std430) readonly buffer attention_keys
{
        uint keys[];
};
layout(set = 0, binding = 4, std430) readonly buffer attention_values
{
        uint values[];
};
layout(set = 0, binding = 5, std430) readonly buffer attention_place
{
        ivec2 place[];
};
layout(set = 0, binding = 6, std430) readonly buffer attention_table
{
        int table[];
};

uint cache_cell(int sequence, int position)
{
        uint column = uint(position) / KV_BLOCK;
        int block;

        if (sequence < 0 || uint(sequence) >= push.n[4] || position < 0 || column >= push.n[2])
                return CELL_NONE;
        block = table[uint(sequence) * push.n[2] + column];
        return block < 0 || uint(block) >= push.n[3] ? CELL_NONE : uint(block) * KV_BLOCK + uint(position) % KV_BLOCK;
}

#define CACHE_BYTE(words, at) (words[(at) / 4] >> ((at) % 4 * 8))

#define CACHE_NUMBER(type, words, at) \
        (type == CACHE_F32 ? uintBitsToFloat(words[at]) \
         : type == CACHE_F16 \
                         ? unpackHalf2x16(CACHE_BYTE(words, (at) * 2) & 0xffffu).x \
                         : unpackHalf2x16(CACHE_BYTE(words, (at) / 32 * 34) & 0xffffu).x * \
                                           float(bitfieldExtract(int(CACHE_BYTE(words, (at) / 32 * 34 + 2 + (at) % 32)), 0, 8)))

/* The first and the last position that a row at `last` looks at. */
ivec2 cache_span(int last)
{
        int window = int(push.n[5]), end = min(last, int(push.n[2] * KV_BLOCK) - 1);

        return ivec2(window > 0 && last >= window ? last - window + 1 : 0, end);
}
