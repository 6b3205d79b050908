/* SPDX-License-Identifier: Apache-2.0 */
/* The K largest of each row, largest first, the smaller index first among equals; NaN counts as -infinity. */
#include <math.h>

#include "plugins/cpu/avx512/kernels.h"
#include "plugins/cpu/avx512/vector.h"

struct list { /* of the largest so far */
        float *value;
        int32_t *id;
        uint32_t held, most;
};

static void insert(struct list *list, float v, uint32_t column)
{
        uint32_t place = 0, end = list->held, moved;

        while (place < end) { /* the first place whose number is smaller */
                uint32_t middle = (place + end) / 2;

                if (list->value[middle] < v)
                        end = middle;
                else
                        place = middle + 1;
        }
        if (place == list->most)
                return;
        if (list->held < list->most)
                list->held++;
        moved = list->held - place - 1;
        memmove(list->value + place + 1, list->value + place, moved * sizeof(*list->value));
        memmove(list->id + place + 1, list->id + place, moved * sizeof(*list->id));
        list->value[place] = v;
        list->id[place] = (int32_t)column;
}

static void pick(const float *x, uint32_t columns, struct list *list)
{
        uint32_t c = 0;

        for (; c < columns && list->held < list->most; c++)
                insert(list, isnan(x[c]) ? -INFINITY : x[c], c);
        for (; c < columns; c += LANES) {
                __m512 v = _mm512_maskz_loadu_ps(lanes_left(columns - c), x + c);
                __mmask16 larger = _mm512_mask_cmp_ps_mask(lanes_left(columns - c), v,
                                _mm512_set1_ps(list->value[list->most - 1]), _CMP_GT_OQ);

                for (unsigned left = larger; left; left &= left - 1) {
                        uint32_t i = c + (uint32_t)__builtin_ctz(left);

                        insert(list, x[i], i);
                }
        }
}

void cpu_avx512_top_k(const struct cpu_call *call)
{
        const struct cpu_operand *value = &call->operand[0], *id = &call->operand[1], *x = &call->operand[2];
        uint32_t begin, end;

        cpu_share(call, call->rows, 1, &begin, &end);
        for (uint32_t r = begin; r < end; r++) {
                struct list list = {
                        .value = (float *)value->data + (size_t)r * value->columns,
                        .id = (int32_t *)id->data + (size_t)r * value->columns,
                        .most = value->columns,
                };

                pick((const float *)x->data + (size_t)r * x->columns, x->columns, &list);
        }
}
