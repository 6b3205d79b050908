/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "daemon/config/keys.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

static struct qvf_config config;
static struct qvf_error error;

static int merge(const char *yaml)
{
        error = (struct qvf_error){ 0 };
        return qvf_config_merge(&config, "test.yaml", yaml, strlen(yaml), &error);
}

START_TEST(every_default_is_one_that_the_file_could_hold)
{
        for (size_t s = 0; s < qvf_n_sections; s++)
                for (size_t k = 0; k < qvf_sections[s].n_keys; k++) {
                        const struct qvf_key *key = &qvf_sections[s].keys[k];
                        const char *initial = key->initial[qvf_sections[s].column];
                        char yaml[256];

                        ck_assert_ptr_nonnull(initial);
                        ck_assert_ptr_nonnull(key->text);
                        snprintf(yaml, sizeof(yaml), "%s:\n  %s: %s%s%s\n", qvf_sections[s].name, key->name,
                                        strchr(initial, ',') ? "[" : "", initial,
                                        strchr(initial, ',') ? "]" : "");
                        qvf_config_defaults(&config);
                        ck_assert_msg(merge(yaml) == 0, "%s", error.text);
                        {
                                struct qvf_config defaults;

                                qvf_config_defaults(&defaults);
                                ck_assert_mem_eq(&defaults, &config, sizeof(config));
                        }
                }
}
END_TEST

START_TEST(the_printed_configuration_reads_back)
{
        static const char odd[] =
                        "training: {idle_for: 7min, hours: [22:00-07:00, 12:00-13:30], days: [mon, sun],\n"
                        " temperature_zones: ['cpu*', \"x \\\" y\"], energy_per_day: 12.5Wh, threads: 3}\n"
                        "inference: {power_source: charging}\ndevices: {exclude: ['*llvmpipe*']}\n";
        _cleanup_text_ struct qvf_text printed = { 0 };
        struct qvf_config before;

        qvf_config_defaults(&config);
        ck_assert_msg(merge(odd) == 0, "%s", error.text);
        ck_assert_uint_eq(config.policy.activity[QVF_TRAINING].hours.n, 2);
        ck_assert_uint_eq(config.policy.activity[QVF_TRAINING].hours.span[0].from_minute, 22 * 60);
        ck_assert_uint_eq(config.policy.activity[QVF_TRAINING].days, 1 | 64);
        ck_assert_str_eq(config.policy.activity[QVF_TRAINING].temperature_zones.name[1], "x \" y");
        ck_assert_double_eq(config.policy.activity[QVF_TRAINING].energy_per_day_j, 45000);
        ck_assert_int_eq(config.policy.activity[QVF_INFERENCE].power_source, QVF_POWER_CHARGING);
        before = config;
        ck_assert_int_eq(qvf_config_print(&config, &printed), 0);
        qvf_config_defaults(&config);
        ck_assert_msg(merge(qvf_text_string(&printed)) == 0, "%s", error.text);
        ck_assert_mem_eq(&before, &config, sizeof(config));
}
END_TEST

START_TEST(errors_name_the_place_and_the_key)
{
        static const struct {
                const char *yaml, *words;
        } cases[] = {
                { "training:\n  idle_fro: 5min\n",
                                "test.yaml:2:3: training: unknown key \"idle_fro\", did you mean "
                                "\"idle_for\"?" },
                { "trainig:\n", "test.yaml:1:1: unknown key \"trainig\", did you mean \"training\"?" },
                { "idle_unload: 5min", "test.yaml:1:1: unknown key \"idle_unload\"; it belongs below "
                                       "\"workers:\"" },
                { "training: {idle_unload: 5min}", "it belongs below \"workers:\"" },
                { "training:\n  idle_for: 5\n",
                                "test.yaml:2:13: training.idle_for: expected a duration, as 30s" },
                { "training:\n  idle_for: 8d\n", "from 0s to 7d, not \"8d\"" },
                { "training:\n  battery_at_least: 101%\n", "from 0% to 100%, not \"101%\"" },
                { "training:\n  battery_at_least: 40\n", "a share, as 40%" },
                { "training:\n  temperature_max: 75W\n", "a temperature, as 75°C" },
                { "training:\n  allowed: maybe\n", "expected yes or no, not \"maybe\"" },
                { "training:\n  allowed: \"yes\"\n", "not a text in quotes" },
                { "training:\n  idle_for: [5min]\n", "not a list" },
                { "training:\n  idle_for: {a: b}\n", "not keys below it" },
                { "training:\n  idle_for:\n", "not nothing" },
                { "training:\n  idle_for: none\n", "not \"none\"" },
                { "training:\n  power_source: wind\n", "one of any mains charging, not \"wind\"" },
                { "training:\n  hours: 25:00-26:00\n", "hours, as 22:00-07:00, or all" },
                { "training:\n  hours: 9:00-9:00\n", "hours, as" },
                { "training:\n  days: [mon, tux]\n", "test.yaml:2:9: training.days: expected days" },
                { "training:\n  days: []\n", "an empty list: say \"all\"" },
                { "training:\n  hours: [[22:00-07:00]]\n", "a list holds plain words only" },
                { "training:\n  threads: 1.5\n", "a whole number" },
                { "training:\n  threads: 0\n", "from 1 to 1024, or auto, not \"0\"" },
                { "training:\n  idle_for: 1s\n  idle_for: 2s\n",
                                "test.yaml:3:3: training.idle_for: given twice, first in line 2" },
                { "training:\n  idle_for: 1s\ntraining:\n", "test.yaml:3:1: training: given twice" },
                { "- training\n", "expected keys" },
                { "training: 5\n", "expected keys below it" },
                { "hello", "test.yaml:1:1: expected keys" },
                { "training:\n\tidle_for: 5min\n", "test.yaml:2:1: training: not YAML: " },
                { "training: {idle_for: 5min\n", "not YAML: " },
                { "training:\n  temperature_zones: [*]\n", "not YAML: " },
                { "a: &x 1\n", "unknown key" },
                { "training: &x {allowed: yes}\n", "anchors have no use here" },
                { "training:\n  temperature_zones: *all\n", "between quotes" },
                { "training:\n  idle_for: !!str 5min\n", "tags have no use here" },
                { "training:\n  allowed: yes\n---\ntraining:\n", "a second document" },
                { "training:\n  power_profiles: [\"a\\0b\"]\n", "plain words" },
                { "? [a]\n: b\n", "a key must be a word" },
                { "training:\n  allowed: \xff\n", "not YAML: " },
        };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(cases); i++) {
                struct qvf_config before;

                qvf_config_defaults(&config);
                before = config;
                ck_assert_msg(merge(cases[i].yaml) < 0, "was taken: %s", cases[i].yaml);
                ck_assert_msg(strstr(error.text, cases[i].words) != NULL, "%s\ngave: %s\nnot: %s",
                                cases[i].yaml, error.text, cases[i].words);
                ck_assert_msg(strncmp(error.text, "test.yaml:", 10) == 0, "%s", error.text);
                ck_assert_mem_eq(&before, &config, sizeof(config));
        }
}
END_TEST

START_TEST(empty_files_and_sections_are_none_at_all)
{
        static const char *const texts[] = { "", "\n", "# only words\n", "---\n", "training:\n",
                "training: ~\n", "training:\n  # idle_for: 5min\ninference:\n" };
        struct qvf_config defaults;

        qvf_config_defaults(&defaults);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(texts); i++) {
                config = defaults;
                ck_assert_msg(merge(texts[i]) == 0, "%s: %s", texts[i], error.text);
                ck_assert_mem_eq(&defaults, &config, sizeof(config));
        }
}
END_TEST

/* Each ends at the first event that no configuration has: neither time nor memory grows with what is written. */
START_TEST(hostile_yaml_ends_early)
{
        enum { LENGTH = 200 << 10 };
        char *text = malloc(LENGTH + 1);
        size_t at = 0;

        ck_assert_ptr_nonnull(text);
        qvf_config_defaults(&config);
        ck_assert_int_lt(merge("a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\ntraining: *c\n"), 0);
        for (const char *c = "[{\"'&*!|>%@`?:-#\n\t ~"; *c; c++) {
                memset(text, *c, LENGTH);
                text[LENGTH] = 0;
                merge(text);
        }
        memset(text, 0, LENGTH);
        ck_assert_int_lt(qvf_config_merge(&config, "zeros", text, LENGTH, &error), 0);
        strcpy(text, "training:\n  hours: [");
        at = strlen(text);
        while (at + 16 < LENGTH)
                at += (size_t)sprintf(text + at, "01:00-02:00,");
        strcpy(text + at, "]\n");
        ck_assert_int_lt(merge(text), 0);
        ck_assert_ptr_nonnull(strstr(error.text, "too long a list"));
        at = (size_t)sprintf(text, "training:\n  idle_for: \"");
        memset(text + at, 'x', LENGTH - at);
        strcpy(text + LENGTH - 3, "\"\n");
        ck_assert_int_lt(merge(text), 0);
        for (at = 0; at + 8 < LENGTH; at += 2)
                memcpy(text + at, "? ", 2);
        text[at] = 0;
        ck_assert_int_lt(merge(text), 0);
        free(text);
}
END_TEST

static void put(int folder, const char *name, const char *text)
{
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static void path_of(int folder, char path[256])
{
        char link[64];
        ssize_t length;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
        length = readlink(link, path, 255);
        ck_assert_int_gt(length, 0);
        path[length] = 0;
}

START_TEST(files_are_merged_in_the_order_of_their_names)
{
        int folder = test_folder(), drop_ins;
        char path[256];

        path_of(folder, path);
        ck_assert_msg(qvf_config_load_folder(path, &config, &error) == 0, "%s", error.text);
        put(folder, "qvfd.yaml", "training: {idle_for: 1min, battery_at_least: 11%}\n");
        ck_assert_int_eq(mkdirat(folder, "qvfd.d", 0755), 0);
        drop_ins = openat(folder, "qvfd.d", O_RDONLY | O_DIRECTORY);
        put(drop_ins, "20-b.yaml", "training: {idle_for: 3min}\n");
        put(drop_ins, "10-a.yaml", "training: {idle_for: 2min, battery_at_least: 22%}\n");
        put(drop_ins, "30-c.yaml.bak", "nonsense: [\n");
        put(drop_ins, ".hidden.yaml", "nonsense: [\n");
        ck_assert_msg(qvf_config_load_folder(path, &config, &error) == 0, "%s", error.text);
        ck_assert_double_eq(config.policy.activity[QVF_TRAINING].idle_for_s, 180);
        ck_assert_double_eq(config.policy.activity[QVF_TRAINING].battery_at_least_percent, 22);
        /* A bad one leaves what was, and says where. */
        put(drop_ins, "30-bad.yaml", "training:\n  idle_for: soon\n");
        ck_assert_int_lt(qvf_config_load_folder(path, &config, &error), 0);
        ck_assert_ptr_nonnull(strstr(error.text, "/qvfd.d/30-bad.yaml:2:13: training.idle_for: expected"));
        ck_assert_double_eq(config.policy.activity[QVF_TRAINING].idle_for_s, 180);
        unlinkat(drop_ins, "30-bad.yaml", 0);
        ck_assert_int_eq(mkfifoat(drop_ins, "40-fifo.yaml", 0644), 0);
        ck_assert_int_lt(qvf_config_load_folder(path, &config, &error), 0);
        ck_assert_ptr_nonnull(strstr(error.text, "not a regular file"));
        unlinkat(drop_ins, "40-fifo.yaml", 0);
        unlinkat(drop_ins, "20-b.yaml", 0);
        unlinkat(drop_ins, "10-a.yaml", 0);
        unlinkat(drop_ins, "30-c.yaml.bak", 0);
        unlinkat(drop_ins, ".hidden.yaml", 0);
        unlinkat(folder, "qvfd.d", AT_REMOVEDIR);
        close(drop_ins);
}
END_TEST

START_TEST(one_file_must_be_there_and_not_too_large)
{
        int folder = test_folder();
        char path[256], file[300];

        path_of(folder, path);
        snprintf(file, sizeof(file), "%s/one.yaml", path);
        ck_assert_int_eq(qvf_config_load_file(file, &config, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error.text, "no such file"));
        put(folder, "one.yaml", "sensors: {sample_every: 2s}\n");
        ck_assert_int_eq(qvf_config_load_file(file, &config, &error), 0);
        ck_assert_double_eq(config.sample_every_s, 2);
        ck_assert_int_eq(truncate(file, 300 << 10), 0);
        ck_assert_int_eq(qvf_config_load_file(file, &config, &error), -EFBIG);
}
END_TEST

START_TEST(keys_are_found_by_their_dotted_names)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        char nearest[64];

        qvf_config_defaults(&config);
        ck_assert_int_eq(qvf_config_get(&config, "training.idle_for", &text), 0);
        ck_assert_str_eq(qvf_text_string(&text), "5min");
        ck_assert_int_eq(qvf_config_get(&config, "training.idle", &text), -ENOENT);
        ck_assert_int_eq(qvf_config_get(&config, "x.y", &text), -ENOENT);
        ck_assert_int_eq(qvf_config_get(&config, "training", &text), -ENOENT);
        ck_assert_ptr_nonnull(qvf_config_key_text("workers.idle_unload"));
        ck_assert_ptr_null(qvf_config_key_text("workers."));
        ck_assert_str_eq(qvf_config_nearest_key("trainig.idle_for", nearest, sizeof(nearest)),
                        "training.idle_for");
        ck_assert_ptr_null(qvf_config_nearest_key("x", nearest, sizeof(nearest)));
}
END_TEST

QVF_SUITE("config", 60, every_default_is_one_that_the_file_could_hold, the_printed_configuration_reads_back,
                errors_name_the_place_and_the_key, empty_files_and_sections_are_none_at_all,
                hostile_yaml_ends_early, files_are_merged_in_the_order_of_their_names,
                one_file_must_be_there_and_not_too_large, keys_are_found_by_their_dotted_names)
