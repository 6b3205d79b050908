/* SPDX-License-Identifier: Apache-2.0 */
/* One number of a weight of any dtype. QVF_WEIGHT_WORDS is the array of words, QVF_WEIGHT_BASE where the matrix begins in
 * it. Blocks have even lengths: what has 16 bits never crosses a word. */
#ifndef DENSE_WEIGHT_GLSL
#define DENSE_WEIGHT_GLSL

#define DTYPE_F32 0u
#define DTYPE_F16 1u
#define DTYPE_Q4_0 2u
#define DTYPE_Q8_0 8u
#define DTYPE_Q4_K 12u
#define DTYPE_Q6_K 14u
#define DTYPE_BF16 30u
#define DTYPE_TQ1_0 34u
#define DTYPE_TQ2_0 35u
#define DTYPE_BLOCK_SCALES 4096u /* added to a ternary dtype */
#define DTYPE_PACKED 8192u       /* likewise: in the layout of pack.h */

uint weight_byte(uint at)
{
        return QVF_WEIGHT_WORDS[QVF_WEIGHT_BASE + at / 4] >> (at % 4 * 8) & 255u;
}

uint weight_half(uint at)
{
        return QVF_WEIGHT_WORDS[QVF_WEIGHT_BASE + at / 4] >> (at % 4 * 8) & 0xffffu;
}

int weight_signed(uint at)
{
        return bitfieldExtract(int(weight_byte(at)), 0, 8);
}

float weight_scale(uint at)
{
        return unpackHalf2x16(weight_half(at)).x;
}

float weight_q4_0(uint at, uint i)
{
        return weight_scale(at) * float(int(weight_byte(at + 2 + i % 16) >> (i / 16 * 4) & 15u) - 8);
}

float weight_q4_k(uint at, uint i)
{
        uint group = i / 32, scale, least;

        if (group < 4) {
                scale = weight_byte(at + 4 + group) & 63u;
                least = weight_byte(at + 8 + group) & 63u;
        } else {
                uint six = weight_byte(at + 8 + group);

                scale = six & 15u | weight_byte(at + group) >> 6 << 4;
                least = six >> 4 | weight_byte(at + 4 + group) >> 6 << 4;
        }
        return weight_scale(at) * float(scale) * float(weight_byte(at + 16 + group / 2 * 32 + i % 32) >> (group % 2 * 4) & 15u) -
               weight_scale(at + 2) * float(least);
}

float weight_q6_k(uint at, uint i)
{
        uint part = i / 128, k = i % 128;
        uint four = weight_byte(at + part * 64 + k % 64) >> (k / 64 * 4) & 15u;
        uint two = weight_byte(at + 128 + part * 32 + k % 32) >> (k / 32 * 2) & 3u;

        return weight_scale(at + 208) * float(weight_signed(at + 192 + i / 16)) * float(int(four | two << 4) - 32);
}

/* Digit n of a byte, the first one most significant, as in fractions of 256. */
int weight_digit(uint fraction, uint n)
{
        for (uint i = 0; i < n; i++)
                fraction = fraction * 3 & 255u;
        return int(fraction * 3 >> 8) - 1;
}

int weight_tq1_0(uint at, uint i)
{
        if (i < 160)
                return weight_digit(weight_byte(at + i % 32), i / 32);
        if (i < 240)
                return weight_digit(weight_byte(at + 32 + (i - 160) % 16), (i - 160) / 16);
        return weight_digit(weight_byte(at + 48 + (i - 240) % 4), (i - 240) / 4);
}

int weight_tq2_0(uint at, uint i)
{
        return int(weight_byte(at + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3u) - 1;
}

/* Of blocks of 256; `scale` is the whole tensor's. */
float weight_ternary(uint dtype, uint row, uint column, uint columns, float scale)
{
        bool first = (dtype & ~DTYPE_BLOCK_SCALES) == DTYPE_TQ1_0;
        uint at = (row * (columns / 256) + column / 256) * (first ? 54 : 66), i = column % 256;

        if ((dtype & DTYPE_BLOCK_SCALES) != 0)
                scale *= weight_scale(at + (first ? 52 : 64));
        return scale * float(first ? weight_tq1_0(at, i) : weight_tq2_0(at, i));
}

/* As pack.h says; QVF_WEIGHT_SCALE(block) is the scale of a block of 256 columns. */
float weight_packed(uint dtype, uint row, uint column, uint columns, float scale)
{
        bool first = (dtype & 0xffu) == DTYPE_TQ1_0;
        uint each = first ? 20 : 16, words = first ? (columns + 79) / 80 * 4 : columns / 16, i = column % each;
        uint word;
        int code;

        word = QVF_WEIGHT_WORDS[QVF_WEIGHT_BASE + row * words + column / each] >> (i % 4 * 8);
        code = first ? weight_digit(word & 255u, i / 4) : int(word >> (i / 4 * 2) & 3u) - 1;
        if ((dtype & DTYPE_BLOCK_SCALES) != 0)
                scale *= QVF_WEIGHT_SCALE(row * (columns / 256) + column / 256);
        return scale * float(code);
}

/* Row 0 is row push.rest[6] of what is bound. */
float qvf_weight(uint dtype, uint row, uint column, uint columns, float scale)
{
        uint at;

        row += push.rest[6];
        at = row * columns + column;
        switch (dtype) {
        case DTYPE_F32: return uintBitsToFloat(QVF_WEIGHT_WORDS[QVF_WEIGHT_BASE + at]);
        case DTYPE_F16: return weight_scale(at * 2);
        case DTYPE_BF16: return uintBitsToFloat(weight_half(at * 2) << 16);
        case DTYPE_Q8_0: return weight_scale(at / 32 * 34) * float(weight_signed(at / 32 * 34 + 2 + at % 32));
        case DTYPE_Q4_0: return weight_q4_0(at / 32 * 18, at % 32);
        case DTYPE_Q4_K: return weight_q4_k(at / 256 * 144, at % 256);
        case DTYPE_Q6_K: return weight_q6_k(at / 256 * 210, at % 256);
        }
        if ((dtype & DTYPE_PACKED) != 0)
                return weight_packed(dtype, row, column, columns, scale);
        return weight_ternary(dtype, row, column, columns, scale);
}

/* Eight bytes from an even place on. */
uvec2 weight_bytes(uint at)
{
        uint word = QVF_WEIGHT_BASE + at / 4;
        uvec3 three = uvec3(QVF_WEIGHT_WORDS[word], QVF_WEIGHT_WORDS[word + 1], 0u);

        if (at % 4 == 0)
                return three.xy;
        three.z = QVF_WEIGHT_WORDS[word + 2];
        return three.xy >> 16 | three.yz << 16;
}

/* Byte i of eight. */
uint weight_pick(uvec2 bytes, uint i)
{
        return (i < 4 ? bytes.x : bytes.y) >> (i % 4 * 8) & 255u;
}

/* Numbers `column` to `column + 7` of a row; columns and `column` are multiples of 8. */
void weight_eight(uint dtype, uint row, uint column, uint columns, float scale, out float numbers[8])
{
        uint at = (push.rest[6] + row) * columns + column;

        if (dtype == DTYPE_Q8_0) {
                uint block = at / 32 * 34;
                uvec2 bytes = weight_bytes(block + 2 + at % 32);
                float factor = weight_scale(block);

                for (uint i = 0; i < 8; i++)
                        numbers[i] = factor * float(bitfieldExtract(int(weight_pick(bytes, i)), 0, 8));
        } else if (dtype == DTYPE_Q6_K) {
                uint block = at / 256 * 210, i0 = at % 256, part = i0 / 128, k = i0 % 128;
                uvec2 low = weight_bytes(block + part * 64 + k % 64), high = weight_bytes(block + 128 + part * 32 + k % 32);
                float factor = weight_scale(block + 208) * float(weight_signed(block + 192 + i0 / 16));

                for (uint i = 0; i < 8; i++) {
                        uint four = weight_pick(low, i) >> (k / 64 * 4) & 15u, two = weight_pick(high, i) >> (k / 32 * 2) & 3u;

                        numbers[i] = factor * float(int(four | two << 4) - 32);
                }
        } else {
                for (uint i = 0; i < 8; i++)
                        numbers[i] = qvf_weight(dtype, row, column + i, columns, scale);
        }
}

#endif
