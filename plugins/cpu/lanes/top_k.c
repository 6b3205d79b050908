/* SPDX-License-Identifier: Apache-2.0 */
/* The K largest of each row, largest first, the smaller index first among equals; NaN counts as -infinity. */
#include <math.h>

#include "plugins/cpu/lanes/lanes.h"

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
        while (c < columns) {
                uint32_t end = columns - c < LANES ? columns : c + LANES;

                if (end - c < LANES || any(load(x + c) > all(list->value[list->most - 1])))
                        for (uint32_t i = c; i < end; i++)
                                if (x[i] > list->value[list->most - 1])
                                        insert(list, x[i], i);
                c = end;
        }
}

void LEVEL(top_k)(const struct cpu_call *call)
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
