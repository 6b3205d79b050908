/* SPDX-License-Identifier: Apache-2.0 */
/* Fresh data for operands, all of it from one seed. */
#include <math.h>
#include <string.h>

#include "common/half.h"
#include "engine/conformance/internal.h"
#include "engine/files/dtype.h"
#include "plugins/cpu/plain/plain.h"

/* SplitMix64 */
uint64_t qvf_conformance_random(uint64_t *state)
{
        uint64_t x = *state += 0x9e3779b97f4a7c15u;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        return x ^ x >> 31;
}

int32_t qvf_conformance_between(uint64_t *state, int32_t low, int32_t high)
{
        uint64_t count = (uint64_t)((int64_t)high - low + 1);

        return (int32_t)(low + (int64_t)(qvf_conformance_random(state) % count));
}

static float between_floats(uint64_t *state, float low, float high)
{
        return low + (high - low) * (float)(qvf_conformance_random(state) >> 40) * 0x1p-24f;
}

/* Four even numbers added come close to a bell curve of deviation 1. */
static float normal(uint64_t *state)
{
        float sum = 0;

        for (int i = 0; i < 4; i++)
                sum += between_floats(state, -1, 1);
        return sum * 0.8660254f;
}

size_t qvf_conformance_bytes(const struct cpu_operand *matrix)
{
        return plain_row_bytes(matrix->dtype, matrix->columns) * matrix->rows;
}

static void fill_falling(uint64_t *state, const struct conformance_operand *o, float *numbers)
{
        for (uint32_t r = 0; r < o->rows; r++) {
                uint32_t end = qvf_conformance_random(state) % 4 ? o->columns : o->columns / 2;
                float value = normal(state) * o->amount;

                for (uint32_t c = 0; c < o->columns; c++) {
                        numbers[(size_t)r * o->columns + c] = c < end ? value : -INFINITY;
                        value -= between_floats(state, 0, o->amount) / 8;
                }
        }
}

static void fill_how(uint64_t *state, const struct conformance_operand *o, float *numbers)
{
        for (uint32_t r = 0; r < o->rows; r++, numbers += o->columns) {
                numbers[0] = 1 / between_floats(state, 0.2f, 2);
                numbers[1] = qvf_conformance_random(state) % 2 ? 2 : between_floats(state, 0, 1);
                numbers[2] = qvf_conformance_random(state) % 2 ? -INFINITY : between_floats(state, -8, 0);
                numbers[3] = between_floats(state, 0, 1);
        }
}

static void fill_floats(uint64_t *state, const struct conformance_operand *o, uint8_t *bytes)
{
        size_t count = (size_t)o->rows * o->columns;

        for (size_t i = 0; i < count; i++) {
                float value = 0;

                switch (o->data) {
                case DATA_POSITIVE: value = between_floats(state, 0, o->amount); break;
                case DATA_SQUARES: value = o->amount * powf(10, between_floats(state, -4, 0)); break;
                case DATA_FREQUENCY: value = powf(10000, -(float)i / (float)count); break;
                default: value = normal(state) * o->amount; break;
                }
                if (o->dtype == QVF_F16)
                        qvf_store_u16(bytes + 2 * i, qvf_f32_to_f16(value));
                else if (o->dtype == QVF_BF16)
                        qvf_store_u16(bytes + 2 * i, qvf_f32_to_bf16(value));
                else
                        memcpy(bytes + 4 * i, &value, sizeof(value));
        }
}

/* Random bytes are as good as any codes; only the scales must be sane, and the ternary codes real ones. */
static void fill_blocks(uint64_t *state, const struct conformance_operand *o, uint8_t *bytes)
{
        static const struct {
                uint32_t dtype, bytes, scale, second_scale;
        } formats[] = {
                { QVF_Q4_0, 18, 0, 0 },
                { QVF_Q8_0, 34, 0, 0 },
                { QVF_Q4_K, 144, 0, 2 },
                { QVF_Q6_K, 210, 208, 208 },
                { QVF_TQ1_0, 54, 52, 52 },
                { QVF_TQ2_0, 66, 64, 64 },
        };
        struct cpu_operand matrix = { .rows = o->rows, .columns = o->columns, .dtype = o->dtype };
        size_t total = qvf_conformance_bytes(&matrix), f = 0;

        for (size_t i = 0; i < total; i++)
                bytes[i] = (uint8_t)qvf_conformance_random(state);
        while (f < sizeof(formats) / sizeof(formats[0]) && formats[f].dtype != o->dtype)
                f++;
        if (f == sizeof(formats) / sizeof(formats[0]))
                return; /* I8 */
        for (uint8_t *block = bytes; block < bytes + total; block += formats[f].bytes) {
                uint16_t scale =
                                qvf_f32_to_f16(o->block_scales ? between_floats(state, 0.01f, 0.1f) : 0.05f);
                uint8_t codes[256];

                for (int i = 0; i < 256; i++)
                        codes[i] = (uint8_t)(qvf_conformance_random(state) % 3);
                if (o->dtype == QVF_TQ1_0)
                        qvf_tq1_pack(codes, scale, block);
                else if (o->dtype == QVF_TQ2_0)
                        qvf_tq2_pack(codes, scale, block);
                if (formats[f].second_scale != formats[f].scale)
                        qvf_store_u16(block + formats[f].second_scale,
                                        qvf_f32_to_f16(between_floats(state, 0.001f, 0.01f)));
                if (o->dtype != QVF_TQ1_0 && o->dtype != QVF_TQ2_0)
                        qvf_store_u16(block + formats[f].scale,
                                        qvf_f32_to_f16(between_floats(state, 0.001f, 0.01f)));
        }
}

/* The first `count` of a shuffled run of numbers. */
static void fill_distinct(
                uint64_t *state, int32_t *to, size_t count, size_t stride, int32_t low, int32_t high)
{
        for (size_t i = 0; i < count; i++) {
                bool taken = true;

                while (taken) {
                        taken = false;
                        to[i * stride] = qvf_conformance_between(state, low, high);
                        for (size_t j = 0; j < i && !taken; j++)
                                taken = to[j * stride] == to[i * stride];
                }
        }
}

/* Rows go to sequences in turn and to the positions behind each other, so that no two are in one place. `low` 0: both,
 * 1: positions only, 2: sequences only. `high`: the number of sequences. Some rows are nowhere. */
static void fill_places(const struct conformance_operand *o, int32_t *to)
{
        for (uint32_t r = 0; r < o->rows; r++) {
                bool nowhere = r % 13 == 12;
                int32_t position = nowhere ? -1 : (int32_t)(r / (uint32_t)o->high) + (int32_t)o->amount;
                int32_t sequence = (int32_t)(r % (uint32_t)o->high);

                if (o->low != 2)
                        *to++ = position;
                if (o->low != 1)
                        *to++ = sequence;
        }
}

static void fill_integers(uint64_t *state, const struct conformance_operand *o, int32_t *to)
{
        size_t count = (size_t)o->rows * o->columns;
        int32_t half = o->high / 2;

        switch (o->data) {
        case DATA_INTEGERS:
                for (size_t i = 0; i < count; i++)
                        to[i] = qvf_conformance_between(state, o->low, o->high);
                break;
        case DATA_DISTINCT: fill_distinct(state, to, count, 1, o->low, o->high); break;
        case DATA_FIRST:
                for (size_t i = 0; i < count; i++)
                        to[i] = i > 0 && qvf_conformance_random(state) % 8 ? to[i - 1] : (int32_t)i;
                break;
        case DATA_PLACE: fill_places(o, to); break;
        case DATA_PAIRS:
                for (uint32_t r = 0; r < o->rows; r++)
                        to[2 * r] = qvf_conformance_between(state, 0, half - 1);
                fill_distinct(state, to + 1, o->rows, 2, half, o->high - 1);
                break;
        case DATA_TURN:
                fill_distinct(state, to, o->rows, 2, 0, o->high - 1);
                for (uint32_t r = 0; r < o->rows; r++)
                        to[2 * r + 1] = qvf_conformance_between(state, -300, 300);
                break;
        default: break;
        }
}

void qvf_conformance_fill(uint64_t *state, const struct conformance_operand *o, void *bytes)
{
        struct cpu_operand matrix = { .rows = o->rows, .columns = o->columns, .dtype = o->dtype };

        switch (o->data) {
        case DATA_RESULT: memset(bytes, 0xff, qvf_conformance_bytes(&matrix)); break;
        case DATA_NORMAL:
        case DATA_POSITIVE:
        case DATA_SQUARES:
        case DATA_FREQUENCY: fill_floats(state, o, bytes); break;
        case DATA_FALLING: fill_falling(state, o, bytes); break;
        case DATA_HOW: fill_how(state, o, bytes); break;
        case DATA_BLOCKS: fill_blocks(state, o, bytes); break;
        case DATA_STATE:
                for (size_t i = 0; i < qvf_conformance_bytes(&matrix); i++)
                        ((uint8_t *)bytes)[i] = (uint8_t)qvf_conformance_random(state);
                break;
        default: fill_integers(state, o, bytes); break;
        }
}
