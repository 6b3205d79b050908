/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once, or back to a mark. Several arenas share one budget, so that a
 * template cannot take more memory than its limit however it spreads it. */
#ifndef QVF_ENGINE_TEMPLATE_ARENA_H
#define QVF_ENGINE_TEMPLATE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct jinja_memory {
        size_t used;
        size_t limit;
};

bool qvf_jinja_memory_take(struct jinja_memory *memory, size_t bytes);
void qvf_jinja_memory_give(struct jinja_memory *memory, size_t bytes);

struct jinja_arena_block;

struct jinja_arena {
        struct jinja_arena_block *newest;
        struct jinja_memory *memory;
};

struct jinja_arena_mark {
        struct jinja_arena_block *block;
        size_t used;
};

/* NULL when the budget or the machine's memory is spent. `alignment` is 1 or 8. */
void *qvf_jinja_arena_allocate(struct jinja_arena *arena, size_t size, size_t alignment);
/* Grows in place the allocation that ends at `end`, if it is the newest one and there is room. */
bool qvf_jinja_arena_extend(struct jinja_arena *arena, const void *end, size_t more);
/* Shortens the newest allocation, so that it ends at `end`; what is behind it can be extended into. */
void qvf_jinja_arena_shorten(struct jinja_arena *arena, const void *end);
struct jinja_arena_mark qvf_jinja_arena_mark(const struct jinja_arena *arena);
void qvf_jinja_arena_reset(struct jinja_arena *arena, struct jinja_arena_mark mark);
void qvf_jinja_arena_exit(struct jinja_arena *arena);

#endif
