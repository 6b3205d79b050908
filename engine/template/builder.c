/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/template/builder.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "engine/template/machine.h"

/* Doubles an array until it holds `needed` items, within the machine's budget. */
static int grow(struct jinja_machine *machine, void *array, uint32_t *capacity, uint64_t needed, size_t size)
{
        uint64_t larger = *capacity ? *capacity : 16;
        void *memory;

        if (needed <= *capacity)
                return 0;
        if (needed > UINT32_MAX)
                return qvf_jinja_out_of_memory(machine);
        while (larger < needed)
                larger *= 2;
        if (!qvf_jinja_memory_take(&machine->memory, (larger - *capacity) * size)) {
                /* Half of what is left: exact steps would copy everything again and again. */
                larger = *capacity + (machine->memory.limit - machine->memory.used) / (2 * size);
                larger = larger < needed ? needed : larger;
                if (larger > UINT32_MAX ||
                                !qvf_jinja_memory_take(&machine->memory, (larger - *capacity) * size))
                        return qvf_jinja_out_of_memory(machine);
        }
        memory = realloc(*(void **)array, larger * size);
        if (!memory) {
                qvf_jinja_memory_give(&machine->memory, (larger - *capacity) * size);
                return qvf_jinja_fail(machine, -ENOMEM, "out of memory");
        }
        *(void **)array = memory;
        *capacity = (uint32_t)larger;
        return 0;
}

static int add_run(struct jinja_builder *builder, uint32_t length, struct jinja_run run)
{
        struct jinja_run *last = builder->run_count ? &builder->runs[builder->run_count - 1] : NULL;
        int r;

        if (builder->is_output && !run.turn)
                run.turn = builder->machine->turn;
        if (builder->is_output && !run.generation)
                run.generation = builder->machine->generation;
        run.end = builder->length + length;
        if (last && last->origin == run.origin && last->turn == run.turn &&
                        last->generation == run.generation) {
                last->end = run.end;
                return 0;
        }
        r = grow(builder->machine, &builder->runs, &builder->run_capacity, (uint64_t)builder->run_count + 1,
                        sizeof(run));
        if (r >= 0)
                builder->runs[builder->run_count++] = run; /* NOLINT: grow() made them */
        return r;
}

static int reserve(struct jinja_builder *builder, size_t length)
{
        int r = qvf_jinja_charge_bytes(builder->machine, length);

        if (r < 0)
                return r;
        if (builder->limit && (length > builder->limit || builder->length > builder->limit - length))
                return qvf_jinja_fail(builder->machine, -E2BIG, "the rendered text is longer than %u bytes",
                                builder->limit);
        if (length > UINT32_MAX)
                return qvf_jinja_out_of_memory(builder->machine);
        return grow(builder->machine, &builder->bytes, &builder->capacity,
                        (uint64_t)builder->length + length, 1);
}

int qvf_jinja_build(struct jinja_builder *builder, const char *bytes, size_t length, uint32_t origin)
{
        int r;

        if (length == 0)
                return 0;
        r = reserve(builder, length);
        if (r >= 0)
                r = add_run(builder, (uint32_t)length, (struct jinja_run){ .origin = origin });
        if (r < 0)
                return r;
        memcpy(builder->bytes + builder->length, bytes, length);
        builder->length += (uint32_t)length;
        return 0;
}

int qvf_jinja_build_literal(struct jinja_builder *builder, const char *literal)
{
        return qvf_jinja_build(builder, literal, strlen(literal), 0);
}

int qvf_jinja_build_codepoint(struct jinja_builder *builder, uint32_t codepoint, uint32_t origin)
{
        char bytes[4];

        return qvf_jinja_build(builder, bytes, qvf_utf8_encode(codepoint, bytes), origin);
}

int qvf_jinja_build_repeat(struct jinja_builder *builder, char byte, size_t count)
{
        int r;

        if (count == 0)
                return 0;
        r = reserve(builder, count);
        if (r >= 0)
                r = add_run(builder, (uint32_t)count, (struct jinja_run){ 0 });
        if (r < 0)
                return r;
        memset(builder->bytes + builder->length, byte, count);
        builder->length += (uint32_t)count;
        return 0;
}

int qvf_jinja_build_slice(
                struct jinja_builder *builder, const struct jinja_string *string, uint32_t from, uint32_t to)
{
        uint32_t start = from;
        int r;

        if (from >= to)
                return 0;
        if (!string->runs)
                return qvf_jinja_build(builder, string->bytes + from, to - from, string->tag);
        r = reserve(builder, to - from);
        if (r >= 0)
                r = qvf_jinja_charge(builder->machine, string->tag / 16);
        for (uint32_t i = 0; r >= 0 && i < string->tag && start < to; i++) {
                uint32_t end = string->runs[i].end < to ? string->runs[i].end : to;

                if (end <= start)
                        continue;
                r = add_run(builder, end - start, string->runs[i]);
                if (r < 0)
                        return r;
                memcpy(builder->bytes + builder->length, string->bytes + start, end - start);
                builder->length += end - start;
                start = end;
        }
        return r;
}

int qvf_jinja_build_string(struct jinja_builder *builder, const struct jinja_string *string)
{
        return qvf_jinja_build_slice(builder, string, 0, string->length);
}

int qvf_jinja_build_finish(struct jinja_builder *builder, struct jinja_value *ret_value)
{
        struct jinja_machine *machine = builder->machine;
        bool is_uniform = builder->run_count <= 1 &&
                          (builder->run_count == 0 ||
                                          (!builder->runs[0].turn && !builder->runs[0].generation));
        char *bytes = qvf_jinja_arena_allocate(&machine->bytes, builder->length, 1);
        struct jinja_run *runs = NULL;

        if (!is_uniform)
                runs = qvf_jinja_arena_allocate(&machine->runs, builder->run_count * sizeof(*runs), 8);
        if (!bytes || (!is_uniform && !runs))
                return qvf_jinja_out_of_memory(machine);
        if (builder->length > 0)
                memcpy(bytes, builder->bytes, builder->length);
        *ret_value = qvf_jinja_string(
                        bytes, builder->length, builder->run_count == 1 ? builder->runs[0].origin : 0);
        if (runs) {
                memcpy(runs, builder->runs, builder->run_count * sizeof(*runs));
                ret_value->string.runs = runs;
                ret_value->string.tag = builder->run_count;
        }
        builder->length = builder->run_count = 0;
        return 0;
}

void qvf_jinja_builder_exit(struct jinja_builder *builder)
{
        if (!builder->machine)
                return;
        qvf_jinja_memory_give(&builder->machine->memory, builder->capacity);
        qvf_jinja_memory_give(&builder->machine->memory, builder->run_capacity * sizeof(*builder->runs));
        free(builder->bytes);
        free(builder->runs);
        *builder = (struct jinja_builder){ .machine = builder->machine };
}
