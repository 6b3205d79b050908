/* SPDX-License-Identifier: Apache-2.0 */
/* [GATE] [RMSNORM] QUANTIZE MATMUL_TERNARY… [ADD] of a single row: what a token's way through a layer is made of. */
#ifndef QVF_PLUGINS_VULKAN_OPS_CHAIN_H
#define QVF_PLUGINS_VULKAN_OPS_CHAIN_H

#include "plugins/vulkan/emit.h"

#define VK_CHAIN_PARTS 3u

struct vk_chain {
        const struct vk_call *gate, *norm, *quantize, *product[VK_CHAIN_PARTS], *add; /* NULL: not there */
        uint32_t parts, count;
        const struct vk_operand *input; /* what the row is made from */
};

/* The chain that the next operations are; false: none that one workgroup can make the row of. */
bool vk_chain_find(const struct vk_call *calls, uint32_t count, struct vk_chain *ret_chain);

#endif
