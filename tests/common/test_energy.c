/* SPDX-License-Identifier: Apache-2.0 */
/* Meters of energy as folders of files that play /sys. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/energy.h"

static char root[] = "/tmp/qvf-energy-XXXXXX";

/* The file ROOT/sys/class/PATH with this one line, and the folders above it. */
static void put(const char *path, const char *line)
{
        char name[512];
        FILE *file;
        int length = snprintf(name, sizeof(name), "%s/sys/class/%s", root, path);

        ck_assert(length > 0 && (size_t)length < sizeof(name));
        for (char *slash = strchr(name + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                ck_assert(mkdir(name, 0700) == 0 || errno == EEXIST);
                *slash = '/';
        }
        file = fopen(name, "w");
        ck_assert_ptr_nonnull(file);
        ck_assert(fprintf(file, "%s\n", line) > 0);
        ck_assert_int_eq(fclose(file), 0);
}

static void set_up(void)
{
        ck_assert_ptr_nonnull(mkdtemp(root));
}

static void tear_down(void)
{
        char command[64];

        snprintf(command, sizeof(command), "rm -rf %s", root);
        ck_assert_int_eq(system(command), 0);
}

static struct qvf_energy *open_meter(enum qvf_energy_kind kind, const char *meters)
{
        struct qvf_energy *energy;

        ck_assert_int_eq(qvf_energy_new(root, &energy), 0);
        ck_assert_str_eq(qvf_energy_kind_name(qvf_energy_kind(energy)), qvf_energy_kind_name(kind));
        ck_assert_str_eq(qvf_energy_meters(energy), meters);
        return energy;
}

static void expect(struct qvf_energy *energy, double now_seconds, double joules, double seconds)
{
        struct qvf_energy_reading reading = { -1, -1 };

        qvf_energy_sample(energy, now_seconds, &reading);
        ck_assert_double_eq_tol(reading.joules, joules, 1e-6);
        ck_assert_double_eq_tol(reading.seconds, seconds, 1e-6);
}

START_TEST(unmetered)
{
        _cleanup_(qvf_energy_freep) struct qvf_energy *energy = open_meter(QVF_ENERGY_UNMETERED, "");

        expect(energy, 1, 0, 0);
        expect(energy, 2, 0, 0);
}
END_TEST

START_TEST(packages)
{
        struct qvf_energy *energy;

        put("powercap/intel-rapl/enabled", "1");
        put("powercap/intel-rapl:0/name", "package-0");
        put("powercap/intel-rapl:0/energy_uj", "5000000");
        put("powercap/intel-rapl:0/max_energy_range_uj", "9000000");
        put("powercap/intel-rapl:0:0/name", "core");
        put("powercap/intel-rapl:0:0/energy_uj", "77");
        put("powercap/intel-rapl-mmio:0/name", "package-0");
        put("powercap/intel-rapl-mmio:0/energy_uj", "1");
        put("hwmon/hwmon0/name", "other");
        put("hwmon/hwmon0/energy1_input", "1");
        energy = open_meter(QVF_ENERGY_RAPL, "package-0");
        expect(energy, 10, 0, 0);
        put("powercap/intel-rapl:0/energy_uj", "7500000");
        expect(energy, 12, 2.5, 2);
        put("powercap/intel-rapl:0/energy_uj", "1000000"); /* over 9 J, back to 0 */
        expect(energy, 13, 5, 3);
        put("powercap/intel-rapl:0/energy_uj", "no number");
        expect(energy, 20, 5, 3);
        put("powercap/intel-rapl:0/energy_uj", "3000000");
        expect(energy, 21, 5, 3); /* what was used in between is not known */
        put("powercap/intel-rapl:0/energy_uj", "4000000");
        expect(energy, 22, 6, 4);
        qvf_energy_free(energy);
        put("powercap/intel-rapl:1/name", "psys");
        put("powercap/intel-rapl:1/energy_uj", "1");
        qvf_energy_free(open_meter(QVF_ENERGY_RAPL, "psys"));
}
END_TEST

START_TEST(memory_counts)
{
        struct qvf_energy *energy;

        put("powercap/intel-rapl:0:2/name", "dram");
        put("powercap/intel-rapl:0:2/energy_uj", "1000000");
        energy = open_meter(QVF_ENERGY_RAPL, "dram");
        expect(energy, 0, 0, 0);
        put("powercap/intel-rapl:0:2/energy_uj", "500000"); /* set back, and no range is known */
        expect(energy, 1, 0, 0);
        put("powercap/intel-rapl:0:2/energy_uj", "600000");
        expect(energy, 2, 0.1, 1);
        qvf_energy_free(energy);
}
END_TEST

START_TEST(hwmon_counters)
{
        struct qvf_energy *energy;

        put("hwmon/hwmon3/name", "amd_energy");
        put("hwmon/hwmon3/energy1_label", "Ecore000");
        put("hwmon/hwmon3/energy1_input", "1000");
        put("hwmon/hwmon3/energy2_label", "Esocket0");
        put("hwmon/hwmon3/energy2_input", "2000000");
        put("hwmon/hwmon3/power1_input", "99");
        energy = open_meter(QVF_ENERGY_HWMON, "amd_energy Esocket0");
        expect(energy, 0, 0, 0);
        put("hwmon/hwmon3/energy2_input", "2250000");
        expect(energy, 100, 0.25, 100);
        qvf_energy_free(energy);
}
END_TEST

START_TEST(hwmon_power)
{
        struct qvf_energy *energy;

        put("hwmon/hwmon0/name", "ina226");
        put("hwmon/hwmon0/power1_input", "4000000");
        put("hwmon/hwmon1/name", "BAT0");
        put("hwmon/hwmon1/power1_input", "70000000");
        put("hwmon/hwmon1/device/type", "Battery");
        energy = open_meter(QVF_ENERGY_HWMON, "ina226");
        expect(energy, 5, 0, 0);
        put("hwmon/hwmon0/power1_input", "6000000");
        expect(energy, 7, 10, 2);
        expect(energy, 200, 10, 2); /* too long ago to know the power in between */
        expect(energy, 201, 16, 3);
        qvf_energy_free(energy);
}
END_TEST

START_TEST(batteries)
{
        struct qvf_energy *energy;

        put("power_supply/mouse/type", "Battery");
        put("power_supply/mouse/scope", "Device");
        put("power_supply/mouse/power_now", "1");
        put("power_supply/AC/type", "Mains");
        put("power_supply/AC/online", "0");
        put("power_supply/BAT0/type", "Battery");
        put("power_supply/BAT0/status", "Discharging");
        put("power_supply/BAT0/current_now", "-500000");
        put("power_supply/BAT0/voltage_now", "12000000");
        energy = open_meter(QVF_ENERGY_BATTERY, "BAT0");
        expect(energy, 0, 0, 0);
        expect(energy, 10, 60, 10);
        put("power_supply/BAT0/status", "Charging");
        expect(energy, 20, 60, 10);
        expect(energy, 30, 60, 10);
        put("power_supply/BAT0/status", "Discharging");
        expect(energy, 40, 60, 10);
        put("power_supply/BAT0/power_now", "8000000"); /* goes before current and voltage */
        expect(energy, 42, 74, 12);
        qvf_energy_free(energy);
}
END_TEST

int main(void)
{
        static const TTest *const *const tests[] = { &unmetered, &packages, &memory_counts, &hwmon_counters,
                &hwmon_power, &batteries };
        Suite *suite = suite_create("energy");
        TCase *tcase = tcase_create("energy");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_checked_fixture(tcase, set_up, tear_down);
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
                tcase_add_test(tcase, *tests[i]);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
