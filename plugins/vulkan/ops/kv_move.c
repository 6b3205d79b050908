/* SPDX-License-Identifier: Apache-2.0 */
/* KV_COPY, KV_ROTATE: whole blocks of a cache. One that no binding holds is gone through window by window. */
#include "common/checked.h"
#include "plugins/vulkan/ops/ops.h"

#define INVOCATIONS 256u
#define SHARED_NUMBERS 2048u      /* as in kv_rotate.comp */
#define APART_BYTES (16ull << 20) /* of blocks between their old and their new place, unless one is more */

/* `blocks` of the cache from `block` on. */
static void bind_blocks(
                struct vk_dispatch *d, const struct vk_operand *cache, uint32_t block, uint32_t blocks)
{
        d->bind[0].offset = (uint64_t)block * QVF_KV_BLOCK * vk_operand_row_bytes(cache);
        d->bind[0].bytes = (uint64_t)blocks * QVF_KV_BLOCK * vk_operand_row_bytes(cache);
}

static uint32_t blocks_of_window(const struct vk_call *call)
{
        return vk_rows_of_piece(call, 1 << 0, call->operand[0].rows, QVF_KV_BLOCK, UINT32_MAX) /
               QVF_KV_BLOCK;
}

/* Pairs `first` to first + count - 1, first out of all windows, then into all of them. */
static void emit_apart(struct vk_build *build, const struct vk_call *call, uint32_t first, uint32_t count)
{
        const struct vk_operand *cache = &call->operand[0];
        uint32_t step = blocks_of_window(call), blocks = cache->rows / QVF_KV_BLOCK;
        uint64_t block_bytes = QVF_KV_BLOCK * vk_operand_row_bytes(cache);
        const struct qvf_value *apart = vk_scratch(build, 0, count * block_bytes);

        for (uint32_t into = 0; into < 2; into++)
                for (uint32_t block = 0; block < blocks; block += step) {
                        uint32_t here = (uint32_t)qvf_min_u64(step, blocks - block);
                        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_KV_COPY_APART);
                        const uint32_t n[] = { (uint32_t)block_bytes, blocks, block, here, first, count };

                        for (unsigned i = 0; i < 6; i++)
                                d.push.n[i] = n[i];
                        bind_blocks(&d, cache, block, here);
                        d.bind[0].written = into;
                        d.bind[2] = (struct vk_binding){
                                .value = apart, .bytes = count * block_bytes, .written = !into
                        };
                        d.n_bind = 3;
                        d.constant[0] = INVOCATIONS;
                        d.constant[1] = into;
                        d.n_constants = 2;
                        d.groups[0] = vk_div_up(d.push.n[0], 4 * INVOCATIONS);
                        d.groups[1] = count;
                        d.cost = count * block_bytes;
                        vk_emit(build, &d);
                }
}

void vk_op_kv_copy(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *cache = &call->operand[0];
        struct vk_dispatch d = vk_dispatch(call, VK_SHADER_KV_COPY);
        uint64_t bytes = QVF_KV_BLOCK * vk_operand_row_bytes(cache);
        uint64_t apart = qvf_max_u64(qvf_min_u64(APART_BYTES, call->limits->range) / bytes, 1);

        if (!vk_in_range(call, cache)) {
                for (uint32_t pair = 0; pair < call->rows; pair += (uint32_t)apart)
                        emit_apart(build, call, pair, (uint32_t)qvf_min_u64(apart, call->rows - pair));
                return;
        }
        d.constant[0] = INVOCATIONS;
        d.n_constants = 1;
        d.push.n[0] = (uint32_t)bytes;
        d.push.n[1] = cache->rows / QVF_KV_BLOCK;
        d.groups[0] = vk_div_up(d.push.n[0], 4 * INVOCATIONS);
        d.cost = (uint64_t)call->rows * d.push.n[0];
        vk_emit(build, &d);
}

void vk_op_kv_rotate(struct vk_build *build, const struct vk_call *call)
{
        const struct vk_operand *cache = &call->operand[0];
        uint32_t head_size = (uint32_t)call->op->i[0], step = blocks_of_window(call);

        for (uint32_t block = 0; block < cache->rows / QVF_KV_BLOCK; block += step) {
                uint32_t blocks = (uint32_t)qvf_min_u64(step, cache->rows / QVF_KV_BLOCK - block);
                struct vk_dispatch d = vk_dispatch(call, VK_SHADER_KV_ROTATE);

                bind_blocks(&d, cache, block, blocks);
                d.constant[0] = INVOCATIONS;
                d.constant[1] = cache->dtype;
                d.n_constants = 2;
                d.push.n[0] = cache->columns;
                d.push.n[1] = head_size;
                d.push.n[2] = call->operand[2].columns;
                d.push.n[3] = (uint32_t)call->op->i[1];
                d.push.n[4] = blocks;
                d.push.n[5] = SHARED_NUMBERS / head_size;
                d.push.n[6] = block;
                d.groups[0] = QVF_KV_BLOCK;
                d.groups[1] = call->rows;
                d.cost = 8 * (uint64_t)call->rows * QVF_KV_BLOCK * cache->columns;
                vk_emit(build, &d);
        }
}
