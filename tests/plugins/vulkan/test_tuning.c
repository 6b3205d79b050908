/* SPDX-License-Identifier: Apache-2.0 */
/* Records of what the Vulkan plugin measured: written, read again, and refused where they are not as they were. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugins/vulkan/tuning.c"
#include "tests/support/suite.h"

#define SIZE 2048u
#define ALL ((1u << VK_KNOBS) - 1)

static const struct vk_tuning_key key = { "1.2.3", "vulkan-0123", "A driver 7.1 (0x7)" };

static unsigned seed(void)
{
        const char *given = getenv("QVF_TEST_SEED");
        unsigned number = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

        printf("QVF_TEST_SEED=%u\n", number);
        return number;
}

static struct vk_tuning any_tuning(void)
{
        struct vk_tuning tuning;

        for (unsigned i = 0; i < VK_KNOBS; i++)
                tuning.value[i] = knobs[i].ways[(unsigned)rand() % knobs[i].n_ways];
        return tuning;
}

static void refused(const char *text, const struct vk_tuning_key *of, int code, const char *words_wanted)
{
        const struct vk_tuning before = { { 77 } };
        struct vk_tuning tuning = before;
        char words[160] = "";

        ck_assert_int_eq(vk_tuning_read(text, of, &tuning, words), code);
        ck_assert_mem_eq(&tuning, &before, sizeof(tuning));
        ck_assert_msg(strstr(words, words_wanted) != NULL, "'%s' does not say '%s'", words, words_wanted);
}

START_TEST(rules_are_the_first_ways)
{
        uint16_t ways[VK_WAYS_MOST];

        for (unsigned i = 0; i < VK_KNOBS; i++) {
                ck_assert_uint_ge(vk_knob_ways((enum vk_knob)i, ways), 2);
                ck_assert_uint_eq(ways[0], vk_tuning_rules.value[i]);
        }
}
END_TEST

START_TEST(read_as_written)
{
        srand(seed());
        for (int round = 0; round < 200; round++) {
                struct vk_tuning tuning = any_tuning(), found;
                uint32_t measured = (uint32_t)rand() & ALL;
                char text[SIZE], words[160];

                ck_assert_int_eq(vk_tuning_write(&tuning, measured, &key, text, sizeof(text)), 0);
                ck_assert_int_eq(vk_tuning_read(text, &key, &found, words), 0);
                for (unsigned i = 0; i < VK_KNOBS; i++)
                        ck_assert_uint_eq(found.value[i],
                                        measured >> i & 1 ? tuning.value[i] : vk_tuning_rules.value[i]);
        }
}
END_TEST

START_TEST(no_room)
{
        char text[SIZE];
        size_t length;

        ck_assert_int_eq(vk_tuning_write(&vk_tuning_rules, ALL, &key, text, sizeof(text)), 0);
        length = strlen(text);
        for (size_t size = 1; size <= length; size++)
                ck_assert_int_eq(vk_tuning_write(&vk_tuning_rules, ALL, &key, text, size), -ENOSPC);
        ck_assert_int_eq(vk_tuning_write(&vk_tuning_rules, ALL, &key, text, length + 1), 0);
}
END_TEST

START_TEST(of_something_else)
{
        const struct vk_tuning_key others[] = { { "1.2.4", key.device, key.driver },
                { key.version, "vulkan-0124", key.driver },
                { key.version, key.device, "A driver 7.2 (0x7)" } };
        const char *const words[] = { "another version", "another device", "another driver" };
        char text[SIZE];

        ck_assert_int_eq(vk_tuning_write(&vk_tuning_rules, ALL, &key, text, sizeof(text)), 0);
        for (unsigned i = 0; i < 3; i++)
                refused(text, &others[i], -ESTALE, words[i]);
}
END_TEST

/* Any one byte that is another, any end that is missing, anything behind the end. */
START_TEST(damaged)
{
        char text[SIZE], bad[SIZE], words[160];
        struct vk_tuning tuning;
        size_t length;

        ck_assert_int_eq(vk_tuning_write(&vk_tuning_rules, ALL, &key, text, sizeof(text)), 0);
        length = strlen(text);
        for (size_t i = 0; i < length; i++) {
                memcpy(bad, text, length + 1);
                bad[i] = (char)(bad[i] ^ (1 + rand() % 255));
                ck_assert_int_lt(vk_tuning_read(bad, &key, &tuning, words), 0);
                memcpy(bad, text, length + 1);
                bad[i] = 0;
                ck_assert_int_lt(vk_tuning_read(bad, &key, &tuning, words), 0);
        }
        memcpy(bad, text, length + 1);
        strcat(bad, "\n");
        refused(bad, &key, -EINVAL, "sum");
        refused("", &key, -EINVAL, "begin");
        refused("qvf vulkan tuning 1\n", &key, -EINVAL, "missing");
}
END_TEST

/* With a sum that is right. */
static void forge(char text[SIZE], const char *line)
{
        char digits[SUM_DIGITS + 1];

        snprintf(text, SIZE, FIRST_LINE "\nversion %s\ndevice %s\ndriver %s\n%s", key.version, key.device,
                        key.driver, line);
        sum_of(text, strlen(text), digits);
        snprintf(text + strlen(text), SIZE - strlen(text), "sum %s\n", digits);
}

START_TEST(forged)
{
        static const char *const lines[] = { "decode_groups 4294967560\n", "decode_groups 0\n",
                "decode_groups -264\n", "decode_groups 264x\n", "decode_groups  264\n", "decode_groups\n",
                "decode_group 264\n", "\n", " \n", "decode_groups 0x108\n", "walk_percent 101\n", "sum\n",
                "prompt_step 48\n" };
        struct vk_tuning tuning;
        char text[SIZE], words[160], line[600];

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                forge(text, lines[i]);
                refused(text, &key, -EINVAL, "nothing that can be chosen");
        }
        memset(line, 'x', sizeof(line));
        line[sizeof(line) - 1] = 0;
        forge(text, line);
        refused(text, &key, -EINVAL, "ends");
        forge(text, "walk_percent 0\n");
        ck_assert_int_eq(vk_tuning_read(text, &key, &tuning, words), 0);
        ck_assert_uint_eq(tuning.value[VK_TUNE_WALK_PERCENT], 0);
}
END_TEST

START_TEST(noise)
{
        char text[SIZE], words[160];
        struct vk_tuning tuning;

        srand(seed());
        for (int round = 0; round < 2000; round++) {
                size_t length = (size_t)rand() % (SIZE - 1), kept = (size_t)rand() % 60;

                forge(text, "");
                for (size_t i = kept; i < length; i++)
                        text[i] = (char)("\n ax0\377"[rand() % 6]);
                text[length] = 0;
                ck_assert_int_lt(vk_tuning_read(text, &key, &tuning, words), 0);
        }
}
END_TEST

START_TEST(wishes)
{
        struct vk_tuning tuning = vk_tuning_rules;
        char words[160], told[256];

        ck_assert_int_eq(vk_tuning_force(" prompt_rows=64  walk_percent=0 ", &tuning, words), 0);
        ck_assert_uint_eq(tuning.value[VK_TUNE_PROMPT_ROWS], 64);
        vk_tuning_tell(&tuning, told, sizeof(told));
        ck_assert_str_eq(told, "walk_percent 0, prompt_rows 64");
        ck_assert_int_lt(vk_tuning_force("prompt_rows=16 head_numbers=3", &tuning, words), 0);
        ck_assert_uint_eq(tuning.value[VK_TUNE_PROMPT_ROWS], 64);
        ck_assert_int_lt(vk_tuning_force("prompt_rows", &tuning, words), 0);
        ck_assert_int_lt(vk_tuning_force("prompt_rows 16=", &tuning, words), 0);
        vk_tuning_tell(&vk_tuning_rules, told, sizeof(told));
        ck_assert_str_eq(told, "");
}
END_TEST

QVF_SUITE("vulkan: what was tuned", 30, rules_are_the_first_ways, read_as_written, no_room,
                of_something_else, damaged, forged, noise, wishes)
