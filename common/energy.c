/* SPDX-License-Identifier: Apache-2.0 */
#include "common/energy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define METERS_MOST 16u
#define PATH_BYTES 512u
#define WORD_BYTES 64u
/* Power is taken to change in a line from sample to sample: over more than this that is a guess and not a measure. */
#define GAP_SECONDS_MOST 60.0

enum meter_type {
        COUNTER, /* of microjoules */
        POWER,   /* in microwatts */
        BATTERY, /* a folder of power_supply */
};

struct meter {
        enum meter_type type;
        char path[PATH_BYTES];
        double range;    /* microjoules at which a counter goes back to 0; NaN: not known */
        double previous; /* microjoules or microwatts; NaN: not read */
};

struct qvf_energy {
        const char *root;
        enum qvf_energy_kind kind;
        struct meter meters[METERS_MOST];
        unsigned n_meters;
        char names[256];
        double previous_seconds; /* NaN before the first sample */
        struct qvf_energy_reading total;
};

/* -ENAMETOOLONG: no file of sysfs has such a path. */
static int format_path(char path[PATH_BYTES], const char *format, ...) __attribute__((format(printf, 2, 3)));
static int format_path(char path[PATH_BYTES], const char *format, ...)
{
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(path, PATH_BYTES, format, arguments);
        va_end(arguments);
        return length < 0 || (unsigned)length >= PATH_BYTES ? -ENAMETOOLONG : 0;
}

/* The first word of the file FOLDER/NAME. */
static int read_word(const char *folder, const char *name, char word[WORD_BYTES])
{
        char path[PATH_BYTES], bytes[WORD_BYTES];
        int r = format_path(path, "%s%s%s", folder, *name ? "/" : "", name);
        _cleanup_close_ int fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        ssize_t length = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes) - 1);

        if (length < 0)
                return r < 0 ? r : -errno;
        bytes[length] = 0;
        bytes[strcspn(bytes, "\n")] = 0;
        memcpy(word, bytes, sizeof(bytes));
        return 0;
}

/* NaN where there is no number: drivers report an error instead while they have none. */
static double read_number(const char *folder, const char *name)
{
        char word[WORD_BYTES], *end;
        long long value;

        if (read_word(folder, name, word) < 0)
                return NAN;
        errno = 0;
        value = strtoll(word, &end, 10);
        return errno != 0 || end == word || *end != 0 ? NAN : (double)value;
}

static bool has_word(const char *folder, const char *name, const char *word)
{
        char found[WORD_BYTES];

        return read_word(folder, name, found) == 0 && strcmp(found, word) == 0;
}

static void add_name(struct qvf_energy *energy, const char *name)
{
        size_t length = strlen(energy->names);

        snprintf(energy->names + length, sizeof(energy->names) - length, "%s%s", length ? ", " : "", name);
}

static void add_meter(struct qvf_energy *energy, enum meter_type type, const char *name, const char *folder,
                const char *file)
{
        struct meter *meter = &energy->meters[energy->n_meters];

        if (energy->n_meters == METERS_MOST ||
                        format_path(meter->path, "%s%s%s", folder, *file ? "/" : "", file) < 0)
                return;
        meter->type = type;
        meter->range = meter->previous = NAN;
        energy->n_meters++;
        add_name(energy, name);
}

/* Calls visit() for each entry of ROOT/sys/class/CLASS, in any order. */
static void visit_class(struct qvf_energy *energy, const char *class,
                void (*visit)(struct qvf_energy *energy, const char *folder, const char *entry))
{
        char path[PATH_BYTES], folder[PATH_BYTES];
        struct dirent *entry;
        DIR *directory;

        if (format_path(path, "%s/sys/class/%s", energy->root, class) < 0)
                return;
        directory = opendir(path);
        while (directory && (entry = readdir(directory)))
                if (entry->d_name[0] != '.' && format_path(folder, "%s/%s", path, entry->d_name) == 0)
                        visit(energy, folder, entry->d_name);
        if (directory)
                closedir(directory);
}

static void add_counter(struct qvf_energy *energy, const char *folder)
{
        unsigned count = energy->n_meters;
        char name[WORD_BYTES];

        if (read_word(folder, "name", name) < 0 || isnan(read_number(folder, "energy_uj")))
                return;
        add_meter(energy, COUNTER, name, folder, "energy_uj");
        if (energy->n_meters > count)
                energy->meters[count].range = read_number(folder, "max_energy_range_uj");
}

/* Zones are called intel-rapl:0, those inside of them intel-rapl:0:1, on processors of AMD as well. The same packages
 * stand there a second time as intel-rapl-mmio. */
static void visit_board(struct qvf_energy *energy, const char *folder, const char *entry)
{
        if (strncmp(entry, "intel-rapl:", 11) == 0 && has_word(folder, "name", "psys"))
                add_counter(energy, folder);
}

static void visit_package(struct qvf_energy *energy, const char *folder, const char *entry)
{
        if (strncmp(entry, "intel-rapl:", 11) != 0)
                return;
        if (!strchr(entry + 11, ':') || has_word(folder, "name", "dram"))
                add_counter(energy, folder);
}

/* Chargers and batteries show what flows through them as sensors too: that is not what the machine uses. */
static bool is_power_supply(const char *folder)
{
        return has_word(folder, "device/type", "Battery") || has_word(folder, "device/type", "Mains") ||
               has_word(folder, "device/type", "USB");
}

/* PREFIX1_SUFFIX, PREFIX2_SUFFIX… of one device. Counters of single cores are in their socket's too. */
static void add_inputs(struct qvf_energy *energy, const char *folder, enum meter_type type,
                const char *prefix, const char *suffix)
{
        char device[WORD_BYTES];

        if (read_word(folder, "name", device) < 0 || is_power_supply(folder))
                return;
        for (unsigned i = 1; i <= 256; i++) {
                char file[WORD_BYTES], label_file[WORD_BYTES], name[2 * WORD_BYTES + 2];
                char label[WORD_BYTES] = "";

                snprintf(file, sizeof(file), "%s%u_%s", prefix, i, suffix);
                snprintf(label_file, sizeof(label_file), "%s%u_label", prefix, i);
                if (isnan(read_number(folder, file)))
                        continue;
                if (read_word(folder, label_file, label) == 0 && strncmp(label, "Ecore", 5) == 0)
                        continue;
                snprintf(name, sizeof(name), "%s%s%s", device, label[0] ? " " : "", label);
                add_meter(energy, type, name, folder, file);
        }
}

static void visit_hwmon_energy(struct qvf_energy *energy, const char *folder, const char *entry)
{
        (void)entry;
        add_inputs(energy, folder, COUNTER, "energy", "input");
}

static void visit_hwmon_power(struct qvf_energy *energy, const char *folder, const char *entry)
{
        unsigned count = energy->n_meters;

        (void)entry;
        add_inputs(energy, folder, POWER, "power", "input");
        if (energy->n_meters == count)
                add_inputs(energy, folder, POWER, "power", "average");
}

/* Microwatts that a battery gives at this moment; NaN: it gives none, or does not say. */
static double battery_power(const char *folder)
{
        double power;

        if (!has_word(folder, "status", "Discharging"))
                return NAN;
        power = read_number(folder, "power_now");
        if (isnan(power)) /* microamperes by microvolts */
                power = read_number(folder, "current_now") * read_number(folder, "voltage_now") * 1e-6;
        return fabs(power); /* some drivers count what flows out as negative */
}

static void visit_battery(struct qvf_energy *energy, const char *folder, const char *entry)
{
        bool tells_power = !isnan(read_number(folder, "power_now")) ||
                           !isnan(read_number(folder, "current_now") * read_number(folder, "voltage_now"));

        /* Of scope "Device" are the batteries of mice and headsets. */
        if (has_word(folder, "type", "Battery") && !has_word(folder, "scope", "Device") && tells_power)
                add_meter(energy, BATTERY, entry, folder, "");
}

static const struct {
        enum qvf_energy_kind kind;
        const char *class;
        void (*visit)(struct qvf_energy *energy, const char *folder, const char *entry);
} searches[] = {
        /* best first */
        { QVF_ENERGY_RAPL, "powercap", visit_board },
        { QVF_ENERGY_RAPL, "powercap", visit_package },
        { QVF_ENERGY_HWMON, "hwmon", visit_hwmon_energy },
        { QVF_ENERGY_HWMON, "hwmon", visit_hwmon_power },
        { QVF_ENERGY_BATTERY, "power_supply", visit_battery },
};

int qvf_energy_new(const char *root, struct qvf_energy **ret_energy)
{
        struct qvf_energy *energy = calloc(1, sizeof(*energy));

        if (!energy)
                return -ENOMEM;
        energy->root = root;
        energy->previous_seconds = NAN;
        for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]) && energy->n_meters == 0; i++) {
                visit_class(energy, searches[i].class, searches[i].visit);
                if (energy->n_meters > 0)
                        energy->kind = searches[i].kind;
        }
        energy->root = NULL; /* the caller's, and needed no more */
        *ret_energy = energy;
        return 0;
}

struct qvf_energy *qvf_energy_free(struct qvf_energy *energy)
{
        free(energy);
        return NULL;
}

enum qvf_energy_kind qvf_energy_kind(const struct qvf_energy *energy)
{
        return energy->kind;
}

const char *qvf_energy_kind_name(enum qvf_energy_kind kind)
{
        static const char *const names[] = { "unmetered", "rapl", "hwmon", "battery" };

        return names[kind];
}

const char *qvf_energy_meters(const struct qvf_energy *energy)
{
        return energy->names;
}

/* Microjoules since the sample before; NaN: not known. */
static double interval_of(struct meter *meter, double seconds)
{
        double now = meter->type == BATTERY ? battery_power(meter->path) : read_number(meter->path, "");
        double previous = meter->previous, used;

        meter->previous = now;
        if (meter->type != COUNTER)
                return seconds <= GAP_SECONDS_MOST ? (previous + now) / 2 * seconds : NAN;
        used = now - previous;
        if (used < 0) /* a counter that was set back is not known to have wrapped around */
                used = previous <= meter->range ? used + meter->range : NAN;
        return used;
}

/* Of two batteries a laptop empties one after the other: the one that rests gives nothing, which is known. */
static double known(const struct qvf_energy *energy, double used)
{
        return isnan(used) && energy->kind == QVF_ENERGY_BATTERY ? 0 : used;
}

void qvf_energy_sample(struct qvf_energy *energy, double now_seconds, struct qvf_energy_reading *ret_reading)
{
        double seconds = now_seconds - energy->previous_seconds, sum = 0;
        bool any = false;

        energy->previous_seconds = now_seconds;
        for (unsigned i = 0; i < energy->n_meters; i++) {
                double used = interval_of(&energy->meters[i], seconds);

                any = any || !isnan(used);
                sum += known(energy, used);
        }
        if (any && isfinite(sum) && seconds > 0) {
                energy->total.joules += sum * 1e-6;
                energy->total.seconds += seconds;
        }
        *ret_reading = energy->total;
}
