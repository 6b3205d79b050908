/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads the CPU plugin takes on machines that are folders of files. */
#include <stdio.h>

#include "plugins/cpu/cpu.h"
#include "tests/support/suite.h"
#include "tests/support/tree.h"

static cpu_set_t first(unsigned count)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        for (unsigned i = 0; i < count; i++)
                CPU_SET(i, &set);
        return set;
}

/* As many CPUs as there are words, each with a file of that number. */
static void put_cpus(const char *root, const char *file, const unsigned *numbers, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                char path[128], text[16];

                snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/%s", i, file);
                snprintf(text, sizeof(text), "%u\n", numbers[i]);
                test_tree_put(root, path, text);
        }
}

static void check(
                const char *root, const cpu_set_t *cpus, unsigned threads, unsigned all, unsigned long fast)
{
        struct cpu_choice choice = cpu_choose_below(root, cpus);

        ck_assert_uint_eq(choice.threads, threads);
        ck_assert_uint_eq(choice.cpus, all);
        for (unsigned i = 0; i < 16; i++)
                ck_assert_int_eq(!!CPU_ISSET(i, &choice.fast), (int)(fast >> i & 1));
}

START_TEST(nothing_known)
{
        cpu_set_t four = first(4);

        check(test_tree(), &four, 4, 4, 0xf);
}
END_TEST

START_TEST(big_and_little)
{
        static const unsigned pixel[] = { 160, 160, 160, 160, 498, 498, 1024, 1024 };
        static const unsigned rockchip[] = { 485, 485, 485, 485, 1024, 1024 };
        static const unsigned snapdragon[] = { 326, 326, 326, 326, 766, 766, 766, 1024 };
        cpu_set_t eight = first(8), six = first(6), little = first(4);
        const char *root = test_tree();

        put_cpus(root, "cpu_capacity", pixel, 8);
        check(root, &eight, 2, 8, 0xc0);
        check(root, &little, 4, 4, 0x0f); /* the mask leaves no big one */
        root = test_tree();
        put_cpus(root, "cpu_capacity", rockchip, 6);
        check(root, &six, 2, 6, 0x30);
        root = test_tree();
        put_cpus(root, "cpu_capacity", snapdragon, 8);
        check(root, &eight, 4, 8, 0xf0);
}
END_TEST

START_TEST(clocks)
{
        static const unsigned khz[] = { 900000, 900000, 2400000, 2400000 };
        static const unsigned turbo[] = { 5200000, 5200000, 5000000, 3800000 };
        static const unsigned same[] = { 1024, 1024, 1024, 1024 };
        cpu_set_t four = first(4);
        const char *root = test_tree();

        put_cpus(root, "cpufreq/cpuinfo_max_freq", khz, 4);
        check(root, &four, 2, 4, 0xc);
        test_tree_put(root, "/sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq", NULL);
        check(root, &four, 4, 4, 0xf); /* not known of each */
        root = test_tree();
        put_cpus(root, "cpu_capacity", same, 4);
        put_cpus(root, "cpufreq/cpuinfo_max_freq", turbo, 4);
        check(root, &four, 4, 4, 0xf);
}
END_TEST

START_TEST(quotas)
{
        static const unsigned capacity[] = { 400, 400, 1024, 1024, 1024 };
        cpu_set_t five = first(5);
        const char *root = test_tree();

        put_cpus(root, "cpu_capacity", capacity, 5);
        test_tree_put(root, "/proc/self/cgroup", "0::/a.slice/b.service\n");
        test_tree_put(root, "/sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
        check(root, &five, 3, 5, 0x1c);
        test_tree_put(root, "/sys/fs/cgroup/a.slice/cpu.max", "350000 100000\n");
        check(root, &five, 3, 4, 0x1c); /* a parent's, rounded up */
        test_tree_put(root, "/sys/fs/cgroup/a.slice/b.service/cpu.max", "150000 100000\n");
        check(root, &five, 2, 2, 0x1c);
        test_tree_put(root, "/proc/self/cgroup", "0::/\n");
        check(root, &five, 3, 5, 0x1c);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("count");
        TCase *tcase = tcase_create("count");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, nothing_known);
        tcase_add_test(tcase, big_and_little);
        tcase_add_test(tcase, clocks);
        tcase_add_test(tcase, quotas);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
