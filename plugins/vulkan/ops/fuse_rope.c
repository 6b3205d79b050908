/* SPDX-License-Identifier: Apache-2.0 */
/* ROPE of queries, ROPE of keys, KV_STORE of keys, KV_STORE of values in one dispatch. */
#include <string.h>

#include "common/checked.h"
#include "plugins/vulkan/ops/fuse.h"
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 64u
#define MOST_ROWS 32768u

enum { Q, K, STORE_K, STORE_V, PATTERN };

static bool same_turn(const struct vk_call *a, const struct vk_call *b)
{
        for (uint32_t n = 0; n < QVF_ARRAY_LENGTH(a->op->f); n++)
                if (!vk_same_float(a->op->f[n], b->op->f[n]))
                        return false;
        return memcmp(a->op->i, b->op->i, sizeof(a->op->i)) == 0 &&
               vk_is_value(&a->operand[2], &b->operand[2]) && vk_is_value(&a->operand[3], &b->operand[3]);
}

bool vk_is_rope_and_store(const struct vk_call *c)
{
        uint32_t head_size = (uint32_t)c[Q].op->i[0];
        uint32_t dtype = c[STORE_K].operand[0].dtype;

        for (int i = 0; i < PATTERN; i++)
                if (c[i].op->kind != (i < STORE_K ? QVF_OP_ROPE : QVF_OP_KV_STORE) ||
                                c[i].op->rows != c[0].op->rows)
                        return false;
        if (!same_turn(&c[Q], &c[K]) || head_size % 4 != 0 || c[Q].operand[3].columns * 2 != head_size ||
                        (dtype != QVF_F32 && dtype != QVF_F16) || c[STORE_V].operand[0].dtype != dtype)
                return false;
        for (int i = 2; i <= 4; i++)
                if (!vk_is_value(&c[STORE_K].operand[i], &c[STORE_V].operand[i]))
                        return false;
        return vk_is_value(&c[Q].operand[0], &c[Q].operand[1]) &&
               vk_is_value(&c[K].operand[0], &c[K].operand[1]) &&
               vk_is_value(&c[K].operand[0], &c[STORE_K].operand[1]) &&
               vk_is_value(&c[K].operand[2], &c[STORE_K].operand[2]) &&
               c[STORE_K].operand[0].columns == c[STORE_V].operand[0].columns &&
               c[STORE_K].operand[0].rows == c[STORE_V].operand[0].rows;
}

static bool in_range(const struct vk_call *c)
{
        return c[Q].rows <= MOST_ROWS && vk_in_range(&c[Q], &c[Q].operand[0]) &&
               vk_in_range(&c[K], &c[K].operand[0]) && vk_in_range(&c[STORE_V], &c[STORE_V].operand[1]) &&
               vk_in_range(&c[STORE_K], &c[STORE_K].operand[0]);
}

uint32_t vk_fuse_rope(struct vk_build *build, const struct vk_call *c, uint32_t count)
{
        struct vk_dispatch d;

        if (count < PATTERN || !vk_is_rope_and_store(c) || !in_range(c))
                return 0;
        d = vk_dispatch(&c[Q], VK_SHADER_FUSED_ROPE);
        d.bind[0] = (struct vk_binding){ c[Q].operand[0].value, 0, 0, true };
        d.bind[1] = (struct vk_binding){ c[K].operand[0].value, 0, 0, true };
        d.bind[2] = (struct vk_binding){ c[STORE_V].operand[1].value, 0, 0, false };
        d.bind[3] = (struct vk_binding){ c[STORE_K].operand[0].value, 0, 0, true };
        d.bind[4] = (struct vk_binding){ c[STORE_V].operand[0].value, 0, 0, true };
        d.bind[5] = (struct vk_binding){ c[Q].operand[2].value, 0, 0, false };
        d.bind[6] = (struct vk_binding){ c[STORE_K].operand[3].value, 0, 0, false };
        /* rest[7] belongs to binding 8: the frequencies may stand anywhere, the table in an arena. */
        d.bind[7] = (struct vk_binding){ c[Q].operand[3].value, 0, 0, false };
        d.bind[8] = (struct vk_binding){ c[STORE_K].operand[4].value, 0, 0, false };
        d.n_bind = 9;
        d.constant[0] = INVOCATIONS;
        d.constant[1] = c[STORE_K].operand[0].dtype;
        d.n_constants = 2;
        d.push.n[0] = c[Q].operand[0].columns;
        d.push.n[1] = c[K].operand[0].columns;
        d.push.n[2] = (uint32_t)c[Q].op->i[0];
        d.push.n[3] = (uint32_t)c[Q].op->i[1];
        d.push.n[4] = c[STORE_K].operand[4].rows;
        d.push.n[5] = c[STORE_K].operand[4].columns;
        d.push.n[6] = c[STORE_K].operand[0].rows / QVF_KV_BLOCK;
        d.groups[0] = vk_div_up(d.push.n[0] / 4 + d.push.n[1] / 4 + d.push.n[1] / 2, INVOCATIONS);
        d.groups[1] = c[Q].rows;
        d.cost = 16 * (uint64_t)c[Q].rows * d.push.n[0];
        vk_emit(build, &d);
        return PATTERN;
}
