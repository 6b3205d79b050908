/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/inference/kv_blocks.h"

#include <errno.h>
#include <string.h>

#include "engine/sampling/random.h"
#include "tests/support/suite.h"

#define B QVF_KV_BLOCK

static void fill(int32_t *tokens, uint32_t n, int32_t from)
{
        for (uint32_t i = 0; i < n; i++)
                tokens[i] = from + (int32_t)i;
}

static void write_all(struct qvf_kv_blocks *blocks, uint32_t sequence, const int32_t *tokens, uint32_t n)
{
        ck_assert_int_eq(qvf_kv_reserve(blocks, sequence, qvf_kv_length(blocks, sequence) + n), 0);
        qvf_kv_append(blocks, sequence, tokens, n);
}

START_TEST(prefixes_are_shared_and_found_again)
{
        _cleanup_(qvf_kv_blocks_freep) struct qvf_kv_blocks *blocks = NULL;
        int32_t tokens[4 * B];
        const int32_t *table;
        uint32_t a, b, other;

        fill(tokens, 4 * B, 0);
        ck_assert_int_eq(qvf_kv_blocks_new(16, 3, 8, &blocks), 0);
        table = qvf_kv_table(blocks);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, a, tokens, 4 * B), 0);
        write_all(blocks, a, tokens, 3 * B + 5);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &b), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, b, tokens, 4 * B), 3 * B);
        ck_assert(memcmp(table + a * 8, table + b * 8, 3 * sizeof(*table)) == 0);
        /* Never all of the tokens. */
        qvf_kv_close(blocks, b);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &b), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, b, tokens, 3 * B), 2 * B);
        /* Other adapters: other keys and values. */
        ck_assert_int_eq(qvf_kv_open(blocks, 2, &other), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, other, tokens, 4 * B), 0);
        qvf_kv_close(blocks, a);
        qvf_kv_close(blocks, b);
        qvf_kv_close(blocks, other);
        ck_assert_uint_eq(qvf_kv_free_blocks(blocks), 16);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, a, tokens, 4 * B), 3 * B);
        /* A prefix ends where the tokens differ. */
        qvf_kv_close(blocks, a);
        tokens[B + 3] = -1;
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, a, tokens, 4 * B), B);
}
END_TEST

START_TEST(memory_of_old_prefixes_is_taken)
{
        _cleanup_(qvf_kv_blocks_freep) struct qvf_kv_blocks *blocks = NULL;
        int32_t tokens[4 * B];
        uint32_t a;

        ck_assert_int_eq(qvf_kv_blocks_new(4, 1, 4, &blocks), 0);
        for (int32_t round = 0; round < 5; round++) {
                fill(tokens, 4 * B, 1000 * round);
                ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
                ck_assert_uint_eq(qvf_kv_reuse(blocks, a, tokens, 4 * B), 0);
                write_all(blocks, a, tokens, 4 * B);
                ck_assert_int_eq(qvf_kv_reserve(blocks, a, 4 * B + 1), -E2BIG);
                qvf_kv_close(blocks, a);
        }
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, a, tokens, 4 * B), 3 * B);
}
END_TEST

START_TEST(no_free_block_is_said)
{
        _cleanup_(qvf_kv_blocks_freep) struct qvf_kv_blocks *blocks = NULL;
        int32_t tokens[2 * B];
        uint32_t a, b, c;

        fill(tokens, 2 * B, 0);
        ck_assert_int_eq(qvf_kv_blocks_new(2, 2, 4, &blocks), 0);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &b), 0);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &c), -EAGAIN);
        write_all(blocks, a, tokens, 2 * B);
        ck_assert_int_eq(qvf_kv_reserve(blocks, b, 1), -EAGAIN);
        qvf_kv_close(blocks, a);
        ck_assert_int_eq(qvf_kv_reserve(blocks, b, 1), 0);
}
END_TEST

START_TEST(a_cut_block_is_not_found_any_more)
{
        _cleanup_(qvf_kv_blocks_freep) struct qvf_kv_blocks *blocks = NULL;
        int32_t tokens[3 * B];
        uint32_t a, b;

        fill(tokens, 3 * B, 0);
        ck_assert_int_eq(qvf_kv_blocks_new(8, 2, 4, &blocks), 0);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        write_all(blocks, a, tokens, 2 * B);
        ck_assert_uint_eq(qvf_kv_truncate(blocks, a, B + 7), B + 7);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &b), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, b, tokens, 3 * B), B);
        /* One that others share is given up as a whole. */
        write_all(blocks, b, tokens + B, B);
        qvf_kv_close(blocks, a);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, a, tokens, 3 * B), 2 * B);
        ck_assert_uint_eq(qvf_kv_truncate(blocks, a, B + 7), B);
}
END_TEST

START_TEST(dropping_copies_what_others_share)
{
        _cleanup_(qvf_kv_blocks_freep) struct qvf_kv_blocks *blocks = NULL;
        struct qvf_kv_pair turn[6], copy[6];
        int32_t tokens[5 * B], before[6];
        uint32_t a, b, n_turn, n_copy;
        const int32_t *table;

        fill(tokens, 5 * B, 0);
        ck_assert_int_eq(qvf_kv_blocks_new(12, 2, 6, &blocks), 0);
        table = qvf_kv_table(blocks);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &a), 0);
        write_all(blocks, a, tokens, 4 * B + 1);
        ck_assert_int_eq(qvf_kv_open(blocks, 1, &b), 0);
        ck_assert_uint_eq(qvf_kv_reuse(blocks, b, tokens, 4 * B), 3 * B);
        memcpy(before, table + a * 6, sizeof(before));
        ck_assert_int_eq(qvf_kv_drop(blocks, a, 1, 1, turn, &n_turn, copy, &n_copy), 0);
        ck_assert_uint_eq(n_turn, 3);
        ck_assert_uint_eq(n_copy, 1);
        ck_assert_int_eq(copy[0].block, before[2]);
        ck_assert_int_eq(copy[0].other, table[a * 6 + 1]);
        ck_assert_int_ne(copy[0].other, before[2]);
        ck_assert_int_eq(table[a * 6], before[0]);
        ck_assert_int_eq(table[a * 6 + 2], before[3]);
        ck_assert_int_eq(turn[0].other, -(int32_t)B);
        ck_assert_uint_eq(qvf_kv_length(blocks, a), 3 * B + 1);
        ck_assert(memcmp(table + b * 6, before, 3 * sizeof(*table)) == 0);
        ck_assert_int_eq(qvf_kv_drop(blocks, a, 3, 1, turn, &n_turn, copy, &n_copy), -EINVAL);
}
END_TEST

/* Random use, with a model of who must hold what. */
START_TEST(blocks_are_never_lost_nor_given_twice)
{
        _cleanup_(qvf_kv_blocks_freep) struct qvf_kv_blocks *blocks = NULL;
        struct qvf_kv_pair turn[8], copy[8];
        struct qvf_random random;
        uint64_t seed = qvf_random_fresh_seed();
        bool open[4] = { 0 };

        printf("seed %llu\n", (unsigned long long)seed);
        qvf_random_seed(&random, seed);
        ck_assert_int_eq(qvf_kv_blocks_new(20, 4, 8, &blocks), 0);
        for (int step = 0; step < 20000; step++) {
                uint32_t at = (uint32_t)(qvf_random_next(&random) % 4), n_turn, n_copy;
                uint32_t n = 1 + (uint32_t)(qvf_random_next(&random) % (2 * B));
                int32_t tokens[8 * B];
                bool used[20] = { 0 };
                uint32_t n_used = 0;

                fill(tokens, 8 * B, (int32_t)(qvf_random_next(&random) % 3));
                switch (qvf_random_next(&random) % 5) {
                case 0:
                        if (open[at]) {
                                qvf_kv_close(blocks, at);
                                open[at] = false;
                        } else if (qvf_kv_open(blocks, 7, &at) == 0) {
                                open[at] = true;
                                qvf_kv_reuse(blocks, at, tokens, 8 * B);
                        }
                        break;
                case 1:
                        if (open[at])
                                qvf_kv_truncate(blocks, at, n);
                        break;
                case 2:
                        if (open[at])
                                qvf_kv_drop(blocks, at, n % 3, 1 + n % 2, turn, &n_turn, copy, &n_copy);
                        break;
                default:
                        if (open[at] && qvf_kv_reserve(blocks, at, qvf_kv_length(blocks, at) + n) == 0)
                                qvf_kv_append(blocks, at, tokens, n);
                }
                /* Blocks that sequences hold and free ones are all there are. */
                for (uint32_t s = 0; s < 4; s++)
                        for (uint32_t i = 0; open[s] && i < (qvf_kv_length(blocks, s) + B - 1) / B; i++)
                                used[qvf_kv_table(blocks)[s * 8 + i]] = true;
                for (int i = 0; i < 20; i++)
                        n_used += used[i];
                ck_assert_uint_le(n_used + qvf_kv_free_blocks(blocks), 20);
        }
        for (uint32_t s = 0; s < 4; s++)
                if (open[s])
                        qvf_kv_close(blocks, s);
        ck_assert_uint_eq(qvf_kv_free_blocks(blocks), 20);
}
END_TEST

QVF_SUITE("kv_blocks", 60, prefixes_are_shared_and_found_again, memory_of_old_prefixes_is_taken,
                no_free_block_is_said, a_cut_block_is_not_found_any_more, dropping_copies_what_others_share,
                blocks_are_never_lost_nor_given_twice)
