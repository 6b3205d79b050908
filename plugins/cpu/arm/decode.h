/* SPDX-License-Identifier: Apache-2.0 */
/* The ternary product for few rows: each weight is read once, and multiplied as it stands in the file. */
#ifndef QVF_PLUGINS_CPU_ARM_DECODE_H
#define QVF_PLUGINS_CPU_ARM_DECODE_H

#include "plugins/cpu/arm/ternary.h"

#define AHEAD 1024u /* bytes that are fetched ahead */

static ALWAYS_INLINE float32x4_t scaled(struct ternary_factor factor, int32x4_t sum)
{
        float32x4_t number = vcvtq_f32_s32(sum);

        return vfmaq_n_f32(vmulq_n_f32(number, factor.low), number, factor.high);
}

static ALWAYS_INLINE int8x16_t signed_of(uint8x16_t v)
{
        return vreinterpretq_s8_u8(v);
}

#if defined(__ARM_FEATURE_DOTPROD)

/* Σ code · q of W weight rows and R rows of q. Codes 1 and 2 of a byte are left where they stand, 4 and 16 times too
 * large, and their sums are shifted at the end. */
static ALWAYS_INLINE void tq2_dots(const struct ternary_product *p, const uint8_t *next, const int8_t *q,
                const unsigned W, const unsigned R, int32x4_t sums[])
{
        size_t columns = p->columns, row_bytes = p->row_bytes;
        int32x4_t acc[3][4];

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                acc[0][i] = acc[1][i] = acc[2][i] = vdupq_n_s32(0);
        for (uint32_t b = p->blocks; b > 0; b--, next += TQ2_BLOCK, q += QVF_TERNARY_BLOCK) {
                const uint8_t *codes[4];

                UNROLL
                for (unsigned w = 0; w < W; w++) {
                        codes[w] = codes_of(QVF_TQ2_0, next + w * row_bytes);
                        __builtin_prefetch(next + w * row_bytes + AHEAD);
                }
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        uint8x16_t v[4];

                        UNROLL
                        for (unsigned w = 0; w < W; w++)
                                v[w] = code_bytes(codes[w], j);
                        UNROLL
                        for (unsigned i = 0; i < W * R; i++) {
                                const int8_t *at = q + i % R * columns + j / 2 * 128 + j % 2 * 16;
                                uint8x16_t four = v[i / R];

                                acc[0][i] = vdotq_s32(acc[0][i], signed_of(vandq_u8(four, vdupq_n_u8(3))),
                                                vld1q_s8(at));
                                acc[1][i] = vdotq_s32(acc[1][i],
                                                signed_of(vandq_u8(four, vdupq_n_u8(3 << 2))),
                                                vld1q_s8(at + 32));
                                acc[2][i] = vdotq_s32(acc[2][i],
                                                signed_of(vandq_u8(four, vdupq_n_u8(3 << 4))),
                                                vld1q_s8(at + 64));
                                acc[0][i] = vdotq_s32(acc[0][i], signed_of(vshrq_n_u8(four, 6)),
                                                vld1q_s8(at + 96));
                        }
                }
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                sums[i] = vaddq_s32(
                                vaddq_s32(acc[0][i], vshrq_n_s32(acc[1][i], 2)), vshrq_n_s32(acc[2][i], 4));
}

/* acc += Σ s q, following += Σ 3s q; s becomes 3s. Of W weight rows, with the same columns of R rows of q. */
static ALWAYS_INLINE void tq1_step(int32x4_t acc[], int32x4_t following[], int8x16_t s[], const int8_t *q,
                size_t columns, const unsigned W, const unsigned R)
{
        int8x16_t row[4], three = vdupq_n_s8(3);

        __asm__("" : "+w"(three)); /* or a compiler makes a shift and a sum of the product */
        UNROLL
        for (unsigned r = 0; r < R; r++)
                row[r] = vld1q_s8(q + r * columns);
        UNROLL
        for (unsigned w = 0; w < W; w++) {
                int8x16_t next = vmulq_s8(s[w], three);

                UNROLL
                for (unsigned r = 0; r < R; r++) {
                        acc[w * R + r] = vdotq_s32(acc[w * R + r], s[w], row[r]);
                        following[w * R + r] = vdotq_s32(following[w * R + r], next, row[r]);
                }
                s[w] = next;
        }
}

/* Σ weight · q. With t[0] the stored byte and t[n+1] = 3 t[n] in 8 bits, digit n is (3 t[n] − t[n+1]) / 256. Of signed
 * bytes s[n] = t[n] − 128, which are tripled in the same way, it is (3 s[n] − s[n+1]) / 256 + 1: without the 1 that is
 * the weight, and no digit is ever taken out. */
static ALWAYS_INLINE void tq1_dots(const struct ternary_product *p, const uint8_t *next, const int8_t *q,
                const unsigned W, const unsigned R, int32x4_t sums[])
{
        size_t columns = p->columns, row_bytes = p->row_bytes;
        const uint8x16_t middle = vdupq_n_u8(128);
        int32x4_t acc[4], following[4];

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                acc[i] = following[i] = vdupq_n_s32(0);
        for (uint32_t b = p->blocks; b > 0; b--, next += TQ1_BLOCK, q += QVF_TERNARY_BLOCK) {
                int8x16_t s[4];
                const uint8_t *codes[4];

                UNROLL
                for (unsigned w = 0; w < W; w++) {
                        codes[w] = codes_of(QVF_TQ1_0, next + w * row_bytes);
                        __builtin_prefetch(next + w * row_bytes + AHEAD);
                        s[w] = signed_of(veorq_u8(tq1_last(codes[w]), middle));
                }
                tq1_step(acc, following, s, q + 240, columns, W, R);
                UNROLL
                for (unsigned j = 0; j < 3; j++) {
                        UNROLL
                        for (unsigned w = 0; w < W; w++)
                                s[w] = signed_of(veorq_u8(code_bytes(codes[w], j), middle));
                        UNROLL
                        for (unsigned n = 0; n < TQ1_DIGITS; n++)
                                tq1_step(acc, following, s, q + tq1_column(j, n), columns, W, R);
                }
        }
        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                sums[i] = vshrq_n_s32(vsubq_s32(vmulq_n_s32(acc[i], 3), following[i]), 8);
}

#else

/* 32 products of a code (3 at most) and a byte stay in 16 bits: a block's. */
static ALWAYS_INLINE int16x8_t add_words(int16x8_t sum, int8x16_t codes, int8x16_t q)
{
        return vmlal_high_s8(vmlal_s8(sum, vget_low_s8(codes), vget_low_s8(q)), codes, q);
}

static ALWAYS_INLINE void tq2_dots(const struct ternary_product *p, const uint8_t *next, const int8_t *q,
                const unsigned W, const unsigned R, int32x4_t sums[])
{
        size_t columns = p->columns, row_bytes = p->row_bytes;

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                sums[i] = vdupq_n_s32(0);
        for (uint32_t b = p->blocks; b > 0; b--, next += TQ2_BLOCK, q += QVF_TERNARY_BLOCK) {
                int16x8_t words[4];
                const uint8_t *codes[4];

                UNROLL
                for (unsigned w = 0; w < W; w++) {
                        codes[w] = codes_of(QVF_TQ2_0, next + w * row_bytes);
                        __builtin_prefetch(next + w * row_bytes + AHEAD);
                }
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        words[i] = vdupq_n_s16(0);
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        uint8x16_t v[4];

                        UNROLL
                        for (unsigned w = 0; w < W; w++)
                                v[w] = code_bytes(codes[w], j);
                        UNROLL
                        for (unsigned n = 0; n < 4; n++) {
                                UNROLL
                                for (unsigned i = 0; i < W * R; i++)
                                        words[i] = add_words(words[i],
                                                        signed_of(vandq_u8(v[i / R], vdupq_n_u8(3))),
                                                        vld1q_s8(q + i % R * columns + j / 2 * 128 +
                                                                        j % 2 * 16 + 32 * n));
                                UNROLL
                                for (unsigned w = 0; w < W; w++)
                                        v[w] = vshrq_n_u8(v[w], 2);
                        }
                }
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        sums[i] = vpadalq_s16(sums[i], words[i]);
        }
}

/* words += weight · q of the digits that t shows; t goes on to the next. */
static ALWAYS_INLINE void tq1_step(int16x8_t words[], uint8x16_t t[], const int8_t *q, size_t columns,
                const unsigned W, const unsigned R)
{
        int8x16_t row[4];

        UNROLL
        for (unsigned r = 0; r < R; r++)
                row[r] = vld1q_s8(q + r * columns);
        UNROLL
        for (unsigned w = 0; w < W; w++) {
                int8x16_t weights = tq1_weights(t[w]);

                UNROLL
                for (unsigned r = 0; r < R; r++)
                        words[w * R + r] = add_words(words[w * R + r], weights, row[r]);
                t[w] = tripled(t[w]);
        }
}

/* Σ weight · q */
static ALWAYS_INLINE void tq1_dots(const struct ternary_product *p, const uint8_t *next, const int8_t *q,
                const unsigned W, const unsigned R, int32x4_t sums[])
{
        size_t columns = p->columns, row_bytes = p->row_bytes;

        UNROLL
        for (unsigned i = 0; i < W * R; i++)
                sums[i] = vdupq_n_s32(0);
        for (uint32_t b = p->blocks; b > 0; b--, next += TQ1_BLOCK, q += QVF_TERNARY_BLOCK) {
                int16x8_t words[4];
                uint8x16_t t[4];
                const uint8_t *codes[4];

                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        words[i] = vdupq_n_s16(0);
                UNROLL
                for (unsigned w = 0; w < W; w++) {
                        codes[w] = codes_of(QVF_TQ1_0, next + w * row_bytes);
                        __builtin_prefetch(next + w * row_bytes + AHEAD);
                        t[w] = tq1_last(codes[w]);
                }
                tq1_step(words, t, q + 240, columns, W, R);
                UNROLL
                for (unsigned j = 0; j < 3; j++) {
                        UNROLL
                        for (unsigned w = 0; w < W; w++)
                                t[w] = code_bytes(codes[w], j);
                        UNROLL
                        for (unsigned n = 0; n < TQ1_DIGITS; n++)
                                tq1_step(words, t, q + tq1_column(j, n), columns, W, R);
                }
                UNROLL
                for (unsigned i = 0; i < W * R; i++)
                        sums[i] = vpadalq_s16(sums[i], words[i]);
        }
}

#endif

/* Outputs [begin, end) of all rows, W at a time; W · R is at most 4. Says where it ended: less than W are left. */
static ALWAYS_INLINE uint32_t decode_outputs(const struct ternary_product *p, const int32_t *q_sums,
                uint32_t begin, uint32_t end, const uint32_t dtype, const unsigned W, const unsigned R)
{
        uint32_t n = begin;

        for (; n + W <= end; n += W) {
                int32x4_t sums[4];

                if (dtype == QVF_TQ2_0)
                        tq2_dots(p, p->weights + n * p->row_bytes, p->q, W, R, sums);
                else
                        tq1_dots(p, p->weights + n * p->row_bytes, p->q, W, R, sums);
                UNROLL
                for (unsigned i = 0; i < W * R; i++) {
                        int32_t sum = vaddvq_s32(sums[i]) - (dtype == QVF_TQ2_0 ? q_sums[i % R] : 0);

                        p->y[(size_t)(i % R) * p->outputs + n + i / R] = vgetq_lane_f32(
                                        scaled(ternary_factor(p, i % R), vdupq_n_s32(sum)), 0);
                }
        }
        return n;
}

static ALWAYS_INLINE void decode_range(const struct ternary_product *p, const int32_t *q_sums,
                uint32_t begin, uint32_t end, const uint32_t dtype)
{
        switch (p->rows) {
        case 1:
                begin = decode_outputs(p, q_sums, begin, end, dtype, 4, 1);
                decode_outputs(p, q_sums, begin, end, dtype, 1, 1);
                break;
        case 2:
                begin = decode_outputs(p, q_sums, begin, end, dtype, 2, 2);
                decode_outputs(p, q_sums, begin, end, dtype, 1, 2);
                break;
        case 3: decode_outputs(p, q_sums, begin, end, dtype, 1, 3); break;
        default: decode_outputs(p, q_sums, begin, end, dtype, 1, 4); break;
        }
}

static int32_t sum_bytes(const int8_t *q, uint32_t columns)
{
        int32x4_t sum = vdupq_n_s32(0);

        for (uint32_t c = 0; c < columns; c += BYTES)
                sum = vpadalq_s16(sum, vpaddlq_s8(vld1q_s8(q + c)));
        return vaddvq_s32(sum);
}

static void decode(const struct cpu_call *call, const struct ternary_product *p)
{
        int32_t q_sums[DECODE_ROWS];
        uint32_t begin, end;

        cpu_share(call, p->outputs, 4, &begin, &end);
        if (begin == end)
                return;
        for (uint32_t r = 0; r < p->rows; r++)
                q_sums[r] = sum_bytes(p->q + (size_t)r * p->columns, p->columns);
        if (p->dtype == QVF_TQ2_0)
                decode_range(p, q_sums, begin, end, QVF_TQ2_0);
        else
                decode_range(p, q_sums, begin, end, QVF_TQ1_0);
}

#endif
