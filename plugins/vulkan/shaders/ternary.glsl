/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary weights in any layout, four codes at a time: code (weight plus 1) of column 4k + b of a row in byte b. The
 * includer says where they are bound: TERNARY_BINDING; pack.h has the packed layouts. */
#ifndef TERNARY_GLSL
#define TERNARY_GLSL

#define LAYOUT_P2 0u
#define LAYOUT_P1 1u
#define LAYOUT_TQ2_0 2u
#define LAYOUT_TQ1_0 3u

layout(set = 0, binding = TERNARY_BINDING, std430) readonly buffer ternary_weights
{
        uint words[];
} ternary;

#define TERNARY_REST push.rest[TERNARY_BINDING - 1]

/* The digits that come first in each of four bytes, which are fractions of 256. */
uint ternary_first_digits(uint even, uint odd)
{
        return ((even * 3u >> 8) & 0x00030003u) | ((odd * 3u) & 0x03000300u);
}

/* Digit n of each of four bytes. */
uint ternary_digits(uint bytes, uint n)
{
        const uint power = n == 0u ? 1u : n == 1u ? 3u : n == 2u ? 9u : n == 3u ? 27u : 81u;
        uint even = ((bytes & 0x00ff00ffu) * power) & 0x00ff00ffu;
        uint odd = ((bytes >> 8 & 0x00ff00ffu) * power) & 0x00ff00ffu;

        return ternary_first_digits(even, odd);
}

/* Four bytes from an even place. */
uint ternary_bytes(uint place)
{
        uint at = TERNARY_REST + place / 4u, word = ternary.words[at];

        return (place & 2u) == 0u ? word : word >> 16 | ternary.words[at + 1u] << 16;
}

uint ternary_codes_tq2(uint block, uint k)
{
        uint element = 4u * k;

        return ternary_bytes(block * 66u + element / 128u * 32u + element % 32u) >> (element / 32u % 4u * 2u) & 0x03030303u;
}

uint ternary_codes_tq1(uint block, uint k)
{
        uint element = 4u * k, at = block * 54u;

        if (element < 160u)
                return ternary_digits(ternary_bytes(at + element % 32u), element / 32u);
        element -= 160u;
        if (element < 80u)
                return ternary_digits(ternary_bytes(at + 32u + element % 16u), element / 16u);
        return ternary_digits(ternary_bytes(at + 48u), (element - 80u) / 4u);
}

/* Words of a row in a packed layout. */
uint ternary_row_words(uint layout_of, uint columns)
{
        return layout_of == LAYOUT_P2 ? columns / 16u : (columns + 79u) / 80u * 4u;
}

uint ternary_codes(uint layout_of, uint row, uint columns, uint k)
{
        if (layout_of == LAYOUT_P2)
                return ternary.words[TERNARY_REST + row * (columns / 16u) + k / 4u] >> (k % 4u * 2u) & 0x03030303u;
        if (layout_of == LAYOUT_P1)
                return ternary_digits(ternary.words[TERNARY_REST + row * ternary_row_words(LAYOUT_P1, columns) + k / 5u], k % 5u);
        if (layout_of == LAYOUT_TQ2_0)
                return ternary_codes_tq2(row * (columns / 256u) + k / 64u, k % 64u);
        return ternary_codes_tq1(row * (columns / 256u) + k / 64u, k % 64u);
}

/* The scale of a block that stands in the block itself. */
float ternary_block_scale(uint layout_of, uint block)
{
        uint place = layout_of == LAYOUT_TQ2_0 ? block * 66u + 64u : block * 54u + 52u;

        return qvf_f16(ternary.words[TERNARY_REST + place / 4u] >> (place % 4u * 8u) & 0xffffu);
}

/* Codes to weights, in each byte: 0, 1, 2 to -1, 0, 1. */
uint ternary_signed(uint codes)
{
        return ((codes | 0x80808080u) - 0x01010101u) ^ 0x80808080u;
}

/* The sum of the products of four signed bytes. */
int ternary_dot(uint a, uint b)
{
#ifdef DOT
        return dotPacked4x8EXT(int(a), int(b));
#else
        ivec4 x = bitfieldExtract(ivec4(int(a)) << ivec4(24, 16, 8, 0), 24, 8);
        ivec4 y = bitfieldExtract(ivec4(int(b)) << ivec4(24, 16, 8, 0), 24, 8);

        return x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
#endif
}

#endif
