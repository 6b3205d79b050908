/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/arena.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

/* Under AddressSanitizer what was given back may not be read, as if it had been freed. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(start, size) ASAN_POISON_MEMORY_REGION(start, size)
#define UNPOISON(start, size) ASAN_UNPOISON_MEMORY_REGION(start, size)
#else
#define POISON(start, size) ((void)(start), (void)(size))
#define UNPOISON(start, size) ((void)(start), (void)(size))
#endif

/* Small first, so that a small template costs little; then doubling, so that a large one costs few calls. */
#define FIRST_BLOCK_BYTES ((size_t)2048)
#define LARGEST_BLOCK_BYTES ((size_t)1 << 20)

struct jinja_arena_block {
        struct jinja_arena_block *older;
        size_t used;
        size_t size;
        _Alignas(16) char bytes[];
};

bool qvf_jinja_memory_take(struct jinja_memory *memory, size_t bytes)
{
        if (bytes > memory->limit || memory->used > memory->limit - bytes)
                return false;
        memory->used += bytes;
        return true;
}

void qvf_jinja_memory_give(struct jinja_memory *memory, size_t bytes)
{
        memory->used -= bytes;
}

static bool add_block(struct jinja_arena *arena, size_t needed)
{
        size_t size = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK_BYTES;
        struct jinja_arena_block *block;

        if (needed > SIZE_MAX / 2)
                return false;
        if (size > LARGEST_BLOCK_BYTES)
                size = LARGEST_BLOCK_BYTES;
        if (size < needed)
                size = needed;
        if (!qvf_jinja_memory_take(arena->memory, sizeof(*block) + size)) {
                size = needed;
                if (!qvf_jinja_memory_take(arena->memory, sizeof(*block) + size))
                        return false;
        }
        block = malloc(sizeof(*block) + size);
        if (!block) {
                qvf_jinja_memory_give(arena->memory, sizeof(*block) + size);
                return false;
        }
        block->older = arena->newest;
        block->used = 0;
        block->size = size;
        POISON(block->bytes, size);
        arena->newest = block;
        return true;
}

static void drop_block(struct jinja_arena *arena)
{
        struct jinja_arena_block *block = arena->newest;

        arena->newest = block->older;
        qvf_jinja_memory_give(arena->memory, sizeof(*block) + block->size);
        UNPOISON(block->bytes, block->size);
        free(block);
}

void *qvf_jinja_arena_allocate(struct jinja_arena *arena, size_t size, size_t alignment)
{
        struct jinja_arena_block *block = arena->newest;
        size_t at = block ? (block->used + alignment - 1) & ~(alignment - 1) : 0;

        if (!block || at > block->size || size > block->size - at) {
                if (!add_block(arena, size))
                        return NULL;
                block = arena->newest;
                at = 0;
        }
        block->used = at + size;
        UNPOISON(block->bytes + at, size);
        return block->bytes + at;
}

bool qvf_jinja_arena_extend(struct jinja_arena *arena, const void *end, size_t more)
{
        struct jinja_arena_block *block = arena->newest;

        if (!block || block->used == 0 || end != block->bytes + block->used ||
                        more > block->size - block->used)
                return false;
        UNPOISON(block->bytes + block->used, more);
        block->used += more;
        return true;
}

void qvf_jinja_arena_shorten(struct jinja_arena *arena, const void *end)
{
        struct jinja_arena_block *block = arena->newest;
        size_t used = (size_t)((const char *)end - block->bytes);

        POISON(end, block->used - used);
        block->used = used;
}

struct jinja_arena_mark qvf_jinja_arena_mark(const struct jinja_arena *arena)
{
        return (struct jinja_arena_mark){ .block = arena->newest,
                .used = arena->newest ? arena->newest->used : 0 };
}

void qvf_jinja_arena_reset(struct jinja_arena *arena, struct jinja_arena_mark mark)
{
        while (arena->newest != mark.block)
                drop_block(arena);
        if (!mark.block)
                return;
        POISON(mark.block->bytes + mark.used, mark.block->used - mark.used);
        mark.block->used = mark.used;
}

void qvf_jinja_arena_exit(struct jinja_arena *arena)
{
        while (arena->newest)
                drop_block(arena);
}
