/* SPDX-License-Identifier: Apache-2.0 */
/* What docs/arithmetic.md defines to the bit, and how many numbers a device has otherwise. */
#include <math.h>
#include <string.h>

#include "common/half.h"
#include "engine/conformance/internal.h"
#include "plugins/cpu/plain/plain.h"

/* RMSNORM and ROPE are defined as if in double and rounded once: two ways of finding the same number may end on two sides of a
 * tie, once in a million or less. */
#define SELDOM 100000u /* of so many numbers one may be another */

enum { OPEN, TO_THE_BIT, ALL_BUT_ALWAYS };

static int defined(uint16_t kind)
{
        switch (kind) {
        case QVF_OP_QUANTIZE:
        case QVF_OP_MATMUL_TERNARY:
        case QVF_OP_ADD:
        case QVF_OP_GATE:
        case QVF_OP_KV_STORE:
        case QVF_OP_ATTENTION:
        case QVF_OP_DRAW: return TO_THE_BIT;
        case QVF_OP_RMSNORM:
        case QVF_OP_ROPE:
        case QVF_OP_KV_ROTATE: return ALL_BUT_ALWAYS;
        default: return OPEN;
        }
}

/* Below the normal numbers all are 0. */
static float normal(float number)
{
        return fabsf(number) < 0x1p-126f ? 0 : number;
}

static void count_floats(struct conformance_run *run, const float *plain, const float *device, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                float a = normal(plain[i]), b = normal(device[i]);

                run->bits.differing += a != b && qvf_f32_bits(a) != qvf_f32_bits(b);
        }
        run->bits.numbers += count;
}

static void count_bytes(struct conformance_run *run, const char *plain, const char *device, size_t count)
{
        for (size_t i = 0; i < count; i++)
                run->bits.differing += plain[i] != device[i];
        run->bits.numbers += count;
}

void qvf_conformance_count_bits(struct conformance_run *run, unsigned operand)
{
        const struct cpu_operand *plain = &run->plain[operand], *device = &run->device[operand];
        size_t bytes = qvf_conformance_bytes(plain);

        if (!defined(run->test->op.kind) || !memcmp(run->before[operand].data, plain->data, bytes))
                return;
        if (run->test->op.kind == QVF_OP_MATMUL_TERNARY && run->test->operand[3].block_scales)
                return;
        if (plain->dtype == QVF_F32)
                count_floats(run, plain->data, device->data, bytes / sizeof(float));
        else
                count_bytes(run, plain->data, device->data, bytes);
}

bool qvf_conformance_bits_are_right(uint16_t kind, const struct qvf_conformance_bits *bits)
{
        uint64_t most = defined(kind) == ALL_BUT_ALWAYS ? 2 + bits->numbers / SELDOM : 0;

        return bits->differing <= most;
}
