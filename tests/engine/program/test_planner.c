/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/program/planner.h"

#include <errno.h>
#include <time.h>

#include "engine/sampling/random.h"
#include "tests/support/suite.h"

static bool meet(const struct qvf_lifetime *a, const struct qvf_lifetime *b)
{
        return a->first <= b->last && b->first <= a->last;
}

START_TEST(neighbours_reuse_memory)
{
        struct qvf_lifetime values[] = {
                { .bytes = 1000, .first = 0, .last = 1 },
                { .bytes = 1000, .first = 2, .last = 3 },
                { .bytes = 10, .first = 0, .last = 3 },
        };
        uint64_t arena;

        ck_assert_int_eq(qvf_plan(values, 3, &arena), 0);
        ck_assert_uint_eq(arena, 1024 + 256);
        ck_assert_uint_eq(values[0].offset, values[1].offset);
}
END_TEST

START_TEST(places_rest_where_there_is_room)
{
        struct qvf_lifetime values[] = {
                { .bytes = 1024, .first = 0, .last = 9 }, /* all of these are there at once: 1536 bytes */
                { .bytes = 512, .first = 9, .last = 9 },
                { .bytes = 256, .first = 0, .last = 0 },
                { .bytes = 256, .first = 1, .last = 1 },
        };
        uint64_t arena;

        ck_assert_int_eq(qvf_plan(values, 4, &arena), 0);
        ck_assert_uint_eq(arena, 1024 + 512);
        ck_assert_uint_ne(values[2].offset, values[3].offset);
        values[1].bytes = 256; /* no room now */
        ck_assert_int_eq(qvf_plan(values, 4, &arena), 0);
        ck_assert_uint_eq(arena, 1024 + 256);
        ck_assert_uint_eq(values[2].offset, values[3].offset);
}
END_TEST

START_TEST(values_that_meet_never_overlap)
{
        struct qvf_random random;
        uint64_t seed = qvf_random_fresh_seed();

        printf("seed %llu\n", (unsigned long long)seed);
        qvf_random_seed(&random, seed);
        for (int round = 0; round < 200; round++) {
                struct qvf_lifetime values[60];
                uint64_t arena, floor = 0;

                for (int i = 0; i < 60; i++) {
                        uint32_t first = (uint32_t)(qvf_random_next(&random) % 50);

                        values[i] = (struct qvf_lifetime){
                                .bytes = qvf_random_next(&random) % 5000,
                                .first = first,
                                .last = first + (uint32_t)(qvf_random_next(&random) % 20),
                        };
                }
                ck_assert_int_eq(qvf_plan(values, 60, &arena), 0);
                for (int i = 0; i < 60; i++) {
                        uint64_t at_once = 0;

                        if (values[i].bytes == 0)
                                continue;
                        ck_assert_uint_eq(values[i].offset % QVF_ARENA_ALIGNMENT, 0);
                        ck_assert_uint_le(values[i].offset + values[i].bytes, arena);
                        for (int j = 0; j < 60; j++) {
                                if (values[j].first <= values[i].first && values[i].first <= values[j].last)
                                        at_once += values[j].bytes;
                                if (j == i || values[j].bytes == 0 || !meet(&values[i], &values[j]))
                                        continue;
                                ck_assert(values[i].offset + values[i].bytes <= values[j].offset ||
                                                values[j].offset + values[j].bytes <= values[i].offset);
                        }
                        floor = at_once > floor ? at_once : floor;
                }
                ck_assert_uint_le(floor, arena);
                ck_assert_uint_le(arena, 2 * floor);
        }
}
END_TEST

START_TEST(sizes_that_overflow_are_refused)
{
        struct qvf_lifetime values[] = {
                { .bytes = UINT64_MAX - 600, .first = 0, .last = 1 },
                { .bytes = UINT64_MAX - 600, .first = 1, .last = 1 },
        };
        uint64_t arena;

        ck_assert_int_eq(qvf_plan(values, 2, &arena), -EOVERFLOW);
        values[0].bytes = UINT64_MAX;
        ck_assert_int_eq(qvf_plan(values, 1, &arena), -EOVERFLOW);
}
END_TEST

QVF_SUITE("planner", 20, neighbours_reuse_memory, places_rest_where_there_is_room,
                values_that_meet_never_overlap, sizes_that_overflow_are_refused)
