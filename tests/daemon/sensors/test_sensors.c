/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/text.h"
#include "daemon/sensors/sensors.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include "tests/support/tree.h"

#define SECOND 1000000ull
#define POWER "sys/class/power_supply/"

static const char *root;
static struct qvf_sensors *sensors;
static struct qvf_snapshot snapshot;

static void setup_machine(void)
{
        root = test_tree();
        ck_assert_int_eq(qvf_sensors_new(root, -1, &sensors, NULL), 0);
}

static void sample(uint64_t now_us)
{
        qvf_sensors_read(sensors, now_us, &snapshot);
}

/* A file for each word: "BAT0/type=Battery". */
static void put_all(const char *begin, const char *const *files)
{
        for (; *files; files++) {
                const char *equals = strchr(*files, '=');
                char path[256], value[256];

                snprintf(path, sizeof(path), "%s%.*s", begin, (int)(equals - *files), *files);
                snprintf(value, sizeof(value), "%s\n", equals + 1);
                test_tree_put(root, path, value);
        }
}

START_TEST(an_empty_machine_is_on_mains_and_knows_nothing)
{
        setup_machine();
        sample(SECOND);
        ck_assert(snapshot.mains.known && snapshot.mains.value == 1);
        ck_assert(snapshot.charging.known && snapshot.charging.value == 1);
        ck_assert(!snapshot.battery_percent.known && !snapshot.idle_s.known && !snapshot.energy_j.known);
        ck_assert(!snapshot.memory_available_bytes.known && !snapshot.memory_pressure_percent.known);
        ck_assert(!snapshot.load_by_others_percent.known && !snapshot.gpu_busy_by_others_percent.known);
        ck_assert(!snapshot.disk_free_bytes.known && !snapshot.metered.known);
        ck_assert_uint_eq(snapshot.n_zones, 0);
        ck_assert_str_eq(snapshot.power_profile, "");
        ck_assert_str_eq(snapshot.energy_source, "unmetered");
        qvf_sensors_free(sensors);
}
END_TEST

/* systemd's rule, with the machines that it was made for. */
static const struct {
        const char *what;
        const char *files[16];
        bool mains, charging;
        double percent; /* below 0: no battery */
} supplies[] = {
        { "a laptop on its charger",
                        { "AC/type=Mains", "AC/online=1", "BAT0/type=Battery", "BAT0/status=Charging",
                                        "BAT0/capacity=63" },
                        true, true, 63 },
        { "a laptop without",
                        { "AC/type=Mains", "AC/online=0", "BAT0/type=Battery", "BAT0/status=Discharging",
                                        "BAT0/capacity=63" },
                        false, false, 63 },
        { "full on its charger",
                        { "AC/type=Mains", "AC/online=1", "BAT0/type=Battery", "BAT0/status=Full",
                                        "BAT0/capacity=100" },
                        true, true, 100 },
        { "not charging is not discharging",
                        { "AC/type=Mains", "AC/online=0", "BAT0/type=Battery", "BAT0/status=Not charging",
                                        "BAT0/capacity=80" },
                        true, false, 80 },
        { "held at the owner's threshold",
                        { "AC/type=Mains", "AC/online=1", "BAT0/type=Battery", "BAT0/status=Not charging",
                                        "BAT0/capacity=79", "BAT0/charge_control_end_threshold=80" },
                        true, true, 79 },
        { "a desktop with a mouse's battery",
                        { "hidpp_battery_0/type=Battery", "hidpp_battery_0/scope=Device",
                                        "hidpp_battery_0/status=Discharging", "hidpp_battery_0/capacity=5" },
                        true, true, -1 },
        { "a phone that gives power away",
                        { "USBC/type=USB", "USBC/online=1",
                                        "USBC/device/typec/port0/power_role=[source] sink",
                                        "BAT/type=Battery", "BAT/status=Discharging", "BAT/capacity=50" },
                        false, false, 50 },
        { "a phone that is charged",
                        { "USBC/type=USB", "USBC/online=1",
                                        "USBC/device/typec/port0/power_role=source [sink]",
                                        "BAT/type=Battery", "BAT/status=Charging", "BAT/capacity=50" },
                        true, true, 50 },
        { "a charger too weak",
                        { "USB/type=USB", "USB/online=1", "BAT/type=Battery", "BAT/status=Discharging",
                                        "BAT/capacity=50" },
                        true, false, 50 },
        { "a battery that is not there",
                        { "BAT/type=Battery", "BAT/present=0", "BAT/status=Discharging", "BAT/capacity=0" },
                        true, true, -1 },
        { "two batteries",
                        { "AC/type=Mains", "AC/online=0", "BAT0/type=Battery", "BAT0/status=Discharging",
                                        "BAT0/capacity=100", "BAT0/energy_now=10000",
                                        "BAT0/energy_full=10000", "BAT1/type=Battery", "BAT1/status=Unknown",
                                        "BAT1/capacity=20", "BAT1/energy_now=6000",
                                        "BAT1/energy_full=30000" },
                        false, false, 40 },
        { "a supply that cannot be interrupted", { "ups/type=UPS", "ups/online=1" }, true, true, -1 },
        { "nonsense",
                        { "BAT/type=Battery", "BAT/status=\x01\xff", "BAT/capacity=999999999999999999999",
                                        "AC/type=Mains", "AC/online=maybe", "X/type=" },
                        true, false, -1 },
};

START_TEST(mains_by_systemds_rule)
{
        setup_machine();
        put_all(POWER, supplies[_i].files);
        sample(SECOND);
        ck_assert_msg((snapshot.mains.value > 0) == supplies[_i].mains, "%s", supplies[_i].what);
        ck_assert_msg((snapshot.charging.value > 0) == supplies[_i].charging, "%s", supplies[_i].what);
        ck_assert_msg(snapshot.battery_percent.known == (supplies[_i].percent >= 0), "%s",
                        supplies[_i].what);
        if (supplies[_i].percent >= 0)
                ck_assert_double_eq(snapshot.battery_percent.value, supplies[_i].percent);
        qvf_sensors_free(sensors);
}
END_TEST

START_TEST(zones_by_type_and_what_has_none)
{
        static const char *const files[] = { "thermal/thermal_zone0/type=cpu-thermal",
                "thermal/thermal_zone0/temp=61500", "thermal/thermal_zone1/type=acpitz",
                "thermal/thermal_zone1/temp=-274000", "thermal/thermal_zone2/type=no-temp",
                "thermal/cooling_device0/type=fan", "hwmon/hwmon0/name=k10temp",
                "hwmon/hwmon0/temp1_input=40000", "hwmon/hwmon0/temp3_input=72250",
                "hwmon/hwmon1/name=nct6775", "hwmon/hwmon1/temp1_input=120000",
                "hwmon/hwmon2/name=cpu-thermal", "hwmon/hwmon2/temp1_input=61500", NULL };

        setup_machine();
        put_all("sys/class/", files);
        sample(SECOND);
        sample(2 * SECOND);
        ck_assert_uint_eq(snapshot.n_zones, 2);
        for (unsigned i = 0; i < 2; i++) {
                bool zone = strcmp(snapshot.zone[i].type, "cpu-thermal") == 0;

                ck_assert(zone || strcmp(snapshot.zone[i].type, "k10temp") == 0);
                ck_assert_double_eq(snapshot.zone[i].celsius, zone ? 61.5 : 72.25);
        }
        qvf_sensors_free(sensors);
}
END_TEST

START_TEST(memory_and_pressure)
{
        setup_machine();
        test_tree_put(root, "proc/meminfo",
                        "MemTotal:        2048000 kB\nMemFree:  5 kB\nMemAvailable:    1024000 kB\n");
        test_tree_put(root, "proc/pressure/memory",
                        "some avg10=1.25 avg60=0.10 avg300=0.00 total=5\nfull avg10=9.00 avg60=0.00\n");
        test_tree_put(root, "proc/pressure/cpu", "some avg10=101.00 avg60=0.10 avg300=0.00 total=5\n");
        sample(SECOND);
        ck_assert_double_eq(snapshot.memory_total_bytes.value, 2048000.0 * 1024);
        ck_assert_double_eq(snapshot.memory_available_bytes.value, 1024000.0 * 1024);
        ck_assert_double_eq(snapshot.memory_pressure_percent.value, 1.25);
        ck_assert(!snapshot.cpu_pressure_percent.known);
        test_tree_put(root, "proc/meminfo", "MemTotal: lots\n");
        test_tree_put(root, "proc/pressure/memory", NULL);
        sample(2 * SECOND);
        ck_assert(!snapshot.memory_total_bytes.known && !snapshot.memory_available_bytes.known);
        ck_assert(!snapshot.memory_pressure_percent.known);
        qvf_sensors_free(sensors);
}
END_TEST

static void put_stat(unsigned user, unsigned idle, unsigned own)
{
        char text[256];

        snprintf(text, sizeof(text), "cpu  %u 0 0 %u 0 0 0 0 0 0\ncpu0 1 2 3\n", user, idle);
        test_tree_put(root, "proc/stat", text);
        snprintf(text, sizeof(text), "4711 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 %u %u 9 9 20 0 1 0 5\n",
                        own / 2, own - own / 2);
        test_tree_put(root, "proc/4711/stat", text);
}

START_TEST(load_is_what_others_use)
{
        const pid_t own = 4711;

        setup_machine();
        qvf_sensors_set_own(sensors, &own, 1);
        put_stat(1000, 1000, 500);
        sample(SECOND);
        ck_assert(!snapshot.load_by_others_percent.known);
        put_stat(1150, 1050, 600);
        sample(2 * SECOND);
        ck_assert_double_eq(snapshot.load_by_others_percent.value, 25);
        /* The worker is gone: its past is no negative load. */
        qvf_sensors_set_own(sensors, NULL, 0);
        put_stat(1200, 1100, 700);
        sample(3 * SECOND);
        ck_assert_double_eq(snapshot.load_by_others_percent.value, 50);
        test_tree_put(root, "proc/stat", "cpu x\n");
        sample(4 * SECOND);
        ck_assert(!snapshot.load_by_others_percent.known);
        qvf_sensors_free(sensors);
}
END_TEST

static void put_gpu(const char *percent, unsigned long long own_ns)
{
        char text[256];

        test_tree_put(root, "sys/class/drm/card1/device/gpu_busy_percent", percent);
        snprintf(text, sizeof(text),
                        "pos:\t0\ndrm-driver:\tamdgpu\ndrm-client-id:\t7\ndrm-engine-gfx:\t%llu ns\n"
                        "drm-engine-compute:\t%llu ns\n",
                        own_ns / 4, own_ns - own_ns / 4);
        /* The same client through two descriptors counts once. */
        test_tree_put(root, "proc/4711/fdinfo/5", text);
        test_tree_put(root, "proc/4711/fdinfo/6", text);
        test_tree_put(root, "proc/4711/fdinfo/7", "pos:\t0\nflags:\t02\n");
}

START_TEST(the_gpu_is_busy_by_others_less_our_own)
{
        const pid_t own = 4711;

        setup_machine();
        qvf_sensors_set_own(sensors, &own, 1);
        put_gpu("90\n", 1000000000);
        test_tree_put(root, "sys/class/drm/card1-HDMI-A-1/device/gpu_busy_percent", "99\n");
        test_tree_put(root, "sys/class/drm/card0/device/gpu_busy_percent", "15\n");
        sample(10 * SECOND);
        ck_assert_double_eq(snapshot.gpu_busy_by_others_percent.value, 90);
        put_gpu("90\n", 1600000000);
        sample(11 * SECOND);
        ck_assert_double_eq(snapshot.gpu_busy_by_others_percent.value, 30);
        put_gpu("50\n", 2600000000);
        sample(12 * SECOND);
        ck_assert_double_eq(snapshot.gpu_busy_by_others_percent.value, 0);
        put_gpu("busy\n", 2600000000);
        sample(13 * SECOND);
        ck_assert_double_eq(snapshot.gpu_busy_by_others_percent.value, 15);
        qvf_sensors_free(sensors);
}
END_TEST

START_TEST(terminals_tell_the_last_use)
{
        int64_t now_s = time(NULL);

        setup_machine();
        test_tree_put(root, "dev/tty1", "");
        test_tree_used(root, "dev/tty1", now_s - 4000);
        test_tree_put(root, "dev/pts/0", "");
        test_tree_used(root, "dev/pts/0", now_s - 1000);
        /* A receiver of positions is read all the time, and ptmx is no terminal. */
        test_tree_put(root, "dev/ttyUSB0", "");
        test_tree_put(root, "dev/pts/ptmx", "");
        sample(10 * SECOND);
        ck_assert_double_eq_tol(snapshot.idle_s.value, 1000, 5);
        ck_assert_str_eq(snapshot.idle_source, "terminal");
        sample(70 * SECOND);
        ck_assert_double_eq_tol(snapshot.idle_s.value, 1060, 5);
        test_tree_used(root, "dev/tty1", now_s);
        sample(80 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        /* A wall clock that was set is no use, and one that went back hides none. */
        test_tree_used(root, "dev/tty1", now_s - 100000);
        test_tree_used(root, "dev/pts/0", now_s - 100000);
        sample(90 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 10);
        test_tree_used(root, "dev/pts/0", now_s - 99000);
        sample(100 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        qvf_sensors_free(sensors);
}
END_TEST

static void put_interrupts(unsigned keyboard, unsigned touch, unsigned disk)
{
        char text[512];

        snprintf(text, sizeof(text),
                        "           CPU0       CPU1\n  1:    %u     9   IO-APIC   1-edge      i8042\n"
                        " 42:    %u     0   intel-gpio   17  ELAN0672:00\n 16:  %u  0  IO-APIC  nvme0q1\n"
                        "NMI:          0          0   Non-maskable interrupts\n",
                        keyboard, touch, disk);
        test_tree_put(root, "proc/interrupts", text);
}

START_TEST(interrupts_and_usb_transfers_tell_the_last_use)
{
        setup_machine();
        test_tree_put(root, "sys/bus/i2c/drivers/i2c_hid_acpi/i2c-ELAN0672:00/name", "");
        put_interrupts(5, 5, 5);
        sample(100 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        put_interrupts(5, 5, 500);
        sample(160 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 60);
        ck_assert_str_eq(snapshot.idle_source, "input");
        put_interrupts(6, 5, 500);
        sample(170 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        put_interrupts(6, 7, 500);
        sample(180 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        sample(190 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 10);
        {
                static const char *const files[] = { "1-2:1.0/bInterfaceClass=03",
                        "1-2:1.0/bInterfaceProtocol=02", "1-2/urbnum=5", "1-3:1.0/bInterfaceClass=08",
                        "1-3:1.0/bInterfaceProtocol=50", "1-3/urbnum=7", "1-4:1.0/bInterfaceClass=03",
                        "1-4:1.0/bInterfaceProtocol=01", "1-4/idVendor=28de", "1-4/urbnum=9", NULL };

                put_all("sys/bus/usb/devices/", files);
        }
        sample(200 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0); /* a mouse was plugged in */
        test_tree_put(root, "sys/bus/usb/devices/1-3/urbnum", "70\n");
        test_tree_put(root, "sys/bus/usb/devices/1-4/urbnum", "90\n");
        sample(210 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 10);
        test_tree_put(root, "sys/bus/usb/devices/1-2/urbnum", "6\n");
        sample(220 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        qvf_sensors_free(sensors);
}
END_TEST

START_TEST(one_signal_is_never_enough_for_idle)
{
        setup_machine();
        /* Alone, logind is believed either way. */
        qvf_sensors_set_logind(sensors, true, false, 0);
        sample(100 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        ck_assert_str_eq(snapshot.idle_source, "logind");
        qvf_sensors_free(sensors);

        setup_machine();
        put_interrupts(5, 5, 5);
        sample(100 * SECOND);
        /* Nobody sets the hint here: the input speaks. */
        qvf_sensors_set_logind(sensors, true, false, 0);
        sample(160 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 60);
        /* "Idle for long" does not outvote the input. */
        qvf_sensors_set_logind(sensors, true, true, 1 * SECOND);
        sample(170 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 70);
        /* The hint is set here: "not idle" counts from now on (a keyboard over radio, a film). */
        qvf_sensors_set_logind(sensors, true, false, 0);
        sample(180 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 0);
        qvf_sensors_set_logind(sensors, true, true, 175 * SECOND);
        sample(190 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 15);
        qvf_sensors_set_logind(sensors, false, false, 0);
        sample(200 * SECOND);
        ck_assert_double_eq(snapshot.idle_s.value, 100);
        qvf_sensors_free(sensors);
}
END_TEST

START_TEST(profiles_and_metered_networks)
{
        static const struct {
                unsigned metered;
                bool known, value;
        } networks[] = { { 0, false, false }, { 1, true, true }, { 2, true, false }, { 3, true, true },
                { 4, true, false }, { 5, false, false } };

        setup_machine();
        test_tree_put(root, "sys/firmware/acpi/platform_profile", "low-power\n");
        sample(SECOND);
        ck_assert_str_eq(snapshot.power_profile, "power-saver");
        qvf_sensors_set_power_profile(sensors, "balanced");
        sample(2 * SECOND);
        ck_assert_str_eq(snapshot.power_profile, "balanced");
        qvf_sensors_set_power_profile(sensors, NULL);
        test_tree_put(root, "sys/firmware/acpi/platform_profile", "custom\n");
        sample(3 * SECOND);
        ck_assert_str_eq(snapshot.power_profile, "");
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(networks); i++) {
                qvf_sensors_set_metered(sensors, networks[i].metered);
                sample(4 * SECOND);
                ck_assert(snapshot.metered.known == networks[i].known);
                ck_assert(!networks[i].known || (snapshot.metered.value > 0) == networks[i].value);
        }
        qvf_sensors_free(sensors);
}
END_TEST

/* The first samples are taken when the sensors are made, by the real clock. */
static uint64_t later_us(double seconds)
{
        struct timespec now;

        clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * SECOND + (uint64_t)(seconds * 1e6);
}

START_TEST(energy_of_a_meter_or_of_a_battery)
{
        root = test_tree();
        test_tree_put(root, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
        test_tree_put(root, "sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n");
        test_tree_put(root, "sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
        ck_assert_int_eq(qvf_sensors_new(root, -1, &sensors, NULL), 0);
        test_tree_put(root, "sys/class/powercap/intel-rapl:0/energy_uj", "6000000\n");
        sample(later_us(10));
        ck_assert(snapshot.energy_j.known);
        ck_assert_double_eq(snapshot.energy_j.value, 5);
        ck_assert_str_eq(snapshot.energy_source, "rapl");
        /* Asked twice in one moment: still metered. */
        sample(later_us(10));
        ck_assert(snapshot.energy_j.known);
        qvf_sensors_free(sensors);

        root = test_tree();
        {
                static const char *const files[] = { "BAT0/type=Battery", "BAT0/status=Discharging",
                        "BAT0/power_now=6000000", NULL };

                put_all(POWER, files);
        }
        ck_assert_int_eq(qvf_sensors_new(root, -1, &sensors, NULL), 0);
        sample(later_us(10));
        ck_assert(snapshot.energy_j.known);
        ck_assert_double_eq_tol(snapshot.energy_j.value, 60, 7);
        ck_assert_str_eq(snapshot.energy_source, "battery");
        /* On mains it says nothing of what the device draws. */
        test_tree_put(root, POWER "BAT0/status", "Charging\n");
        sample(later_us(20));
        sample(later_us(30));
        ck_assert(!snapshot.energy_j.known);
        qvf_sensors_free(sensors);
}
END_TEST

START_TEST(the_machine_itself_can_be_read)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        int folder = test_folder();

        ck_assert_int_eq(qvf_sensors_new("/", folder, &sensors, NULL), 0);
        sample(later_us(0));
        sample(later_us(1));
        ck_assert(snapshot.memory_total_bytes.known && snapshot.memory_available_bytes.known);
        ck_assert(snapshot.disk_total_bytes.value >= snapshot.disk_free_bytes.value);
        ck_assert(snapshot.disk_total_bytes.value > 0);
        {
                time_t now = time(NULL);
                struct tm local;

                localtime_r(&now, &local);
                ck_assert_int_eq((local.tm_wday + 6) % 7, (int)snapshot.weekday);
                /* 1970-01-01 was a Thursday. */
                ck_assert_int_eq((int)((snapshot.local_day + 3) % 7), (int)snapshot.weekday);
        }
        ck_assert_int_eq(qvf_sensors_describe(sensors, &text), 0);
        ck_assert_ptr_nonnull(strstr(qvf_text_string(&text), "memory available: "));
        qvf_sensors_free(sensors);
        ck_assert_ptr_null(qvf_sensors_free(NULL));
}
END_TEST

START_TEST(hostile_files_are_only_unknown)
{
        static const char *const paths[] = { "proc/stat", "proc/meminfo", "proc/interrupts",
                "proc/pressure/memory", POWER "A/type", POWER "A/capacity",
                "sys/class/thermal/thermal_zone0/type", "sys/class/thermal/thermal_zone0/temp",
                "sys/class/drm/card0/device/gpu_busy_percent", "sys/firmware/acpi/platform_profile",
                "sys/bus/usb/devices/1-1:1.0/bInterfaceClass" };
        char *text = malloc(1 << 20);

        setup_machine();
        ck_assert_ptr_nonnull(text);
        for (const char *c = "9 \nA:%-"; *c; c++) {
                memset(text, *c, (1 << 20) - 1);
                text[(1 << 20) - 1] = 0;
                for (size_t i = 0; i < QVF_ARRAY_LENGTH(paths); i++)
                        test_tree_put(root, paths[i], text);
                sample(SECOND * (uint64_t)(unsigned char)*c);
                ck_assert(!snapshot.memory_available_bytes.known && !snapshot.load_by_others_percent.known);
                ck_assert(!snapshot.gpu_busy_by_others_percent.known && snapshot.n_zones == 0);
        }
        free(text);
        qvf_sensors_free(sensors);
}
END_TEST

/* For test_umockdev.sh: the sensors of this machine, as qvfctl doctor would show them. */
static int describe(void)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_error error = { 0 };

        if (qvf_sensors_new(NULL, -1, &sensors, &error) < 0 || qvf_sensors_describe(sensors, &text) < 0)
                return EXIT_FAILURE;
        fputs(qvf_text_string(&text), stdout);
        qvf_sensors_free(sensors);
        return EXIT_SUCCESS;
}

int main(int n, char **arguments)
{
        Suite *suite = suite_create("sensors");
        TCase *tcase = tcase_create("sensors");
        SRunner *runner = srunner_create(suite);
        const TTest *const tests[] = { an_empty_machine_is_on_mains_and_knows_nothing,
                zones_by_type_and_what_has_none, memory_and_pressure, load_is_what_others_use,
                the_gpu_is_busy_by_others_less_our_own, terminals_tell_the_last_use,
                interrupts_and_usb_transfers_tell_the_last_use, one_signal_is_never_enough_for_idle,
                profiles_and_metered_networks, energy_of_a_meter_or_of_a_battery,
                the_machine_itself_can_be_read, hostile_files_are_only_unknown };
        int failed;

        if (n == 2 && strcmp(arguments[1], "describe") == 0)
                return describe();
        tcase_add_loop_test(tcase, mains_by_systemds_rule, 0, (int)QVF_ARRAY_LENGTH(supplies));
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(tests); i++)
                tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
