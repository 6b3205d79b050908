/* SPDX-License-Identifier: Apache-2.0 */
/* When was the device last touched? Answered without opening an input device, which would need the right to listen to
 * what people type:
 *  - the interrupts of keyboard controllers, touch screens and keys (/proc/interrupts);
 *  - the transfers of USB keyboards and mice (urbnum in sysfs);
 *  - the times at which terminals were last read from (what `w` shows as idle). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "daemon/sensors/parts.h"
#include "daemon/sensors/root.h"

enum { INTERRUPTS_SIZE = 256 << 10, TOUCH_NAMES_MOST = 8 };

/* Parts of the names that drivers give to the interrupts of what people touch. */
static const char *const interrupt_words[] = { "i8042", "i2c_hid", "touch", "keypad", "keyboard",
        "gpio_keys", "gpio-keys", "goodix", "edt-ft5", "ft5x06", "himax", "rmi4", "atmel_mxt", "elan",
        "synaptics", "wacom", "pwrkey", "powerkey", "resin", "volume" };

/* Controllers that report without being touched, as those with gyroscopes do. */
static const char *const restless_vendors[] = { "28de" };

struct touch_names {
        char name[TOUCH_NAMES_MOST][QVF_WORD_SIZE];
        unsigned n;
};

/* i2c-hid names its interrupt after the device: "ELAN0672:00". */
static void find_touch_names(const char *root, struct touch_names *names)
{
        static const char *const drivers[] = { "i2c_hid", "i2c_hid_acpi", "i2c_hid_of" };

        for (size_t d = 0; d < QVF_ARRAY_LENGTH(drivers); d++) {
                _cleanup_closedir_ DIR *folder =
                                qvf_root_folder(root, "/sys/bus/i2c/drivers/%s", drivers[d]);
                const char *device;

                while (folder && names->n < TOUCH_NAMES_MOST && (device = qvf_next_entry(folder, "i2c-")))
                        snprintf(names->name[names->n++], QVF_WORD_SIZE, "%.60s", device + 4);
        }
}

static bool is_input_line(const char *line, const struct touch_names *names)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(interrupt_words); i++)
                if (strcasestr(line, interrupt_words[i]))
                        return true;
        for (unsigned i = 0; i < names->n; i++)
                if (strstr(line, names->name[i]))
                        return true;
        return false;
}

/* " 1:  9  0  IO-APIC  1-edge  i8042": the numbers behind the colon, one for each processor. */
static uint64_t line_sum(const char *line)
{
        const char *at = strchr(line, ':');
        uint64_t sum = 0;
        char *end;

        while (at && (at += 1 + strspn(at + 1, " ")) && isdigit((unsigned char)*at)) {
                sum += strtoull(at, &end, 10);
                /* A number that runs into a word, as "1-edge", is none of the counts. */
                if (*end != ' ')
                        break;
                at = end;
        }
        return sum;
}

static bool count_interrupts(const char *root, uint64_t *sum)
{
        _cleanup_free_ char *bytes = malloc(INTERRUPTS_SIZE);
        struct touch_names names = { 0 };
        bool found = false;
        char *rest = NULL;

        if (!bytes || !qvf_root_read(root, bytes, INTERRUPTS_SIZE, "/proc/interrupts"))
                return false;
        find_touch_names(root, &names);
        for (char *line = strtok_r(bytes, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                if (is_input_line(line, &names)) {
                        *sum += line_sum(line);
                        found = true;
                }
        return found;
}

static bool count_usb(const char *root, uint64_t *sum)
{
        _cleanup_closedir_ DIR *folder = qvf_root_folder(root, "/sys/bus/usb/devices");
        bool found = false;
        const char *interface;

        /* "1-2:1.0" is an interface of "1-2". One with both a keyboard and a mouse is counted twice: no harm. */
        while (folder && (interface = qvf_next_entry(folder, ""))) {
                int device = (int)strcspn(interface, ":");
                char class[QVF_WORD_SIZE], protocol[QVF_WORD_SIZE], vendor[QVF_WORD_SIZE];
                bool restless = false;
                double transfers;

                if (!interface[device] ||
                                !qvf_root_word(root, class, "/sys/bus/usb/devices/%s/bInterfaceClass",
                                                interface) ||
                                strcmp(class, "03") != 0 ||
                                !qvf_root_word(root, protocol, "/sys/bus/usb/devices/%s/bInterfaceProtocol",
                                                interface) ||
                                strcmp(protocol, "00") == 0)
                        continue;
                if (qvf_root_word(root, vendor, "/sys/bus/usb/devices/%.*s/idVendor", device, interface))
                        for (size_t i = 0; i < QVF_ARRAY_LENGTH(restless_vendors); i++)
                                restless = restless || strcmp(vendor, restless_vendors[i]) == 0;
                if (!restless && qvf_root_number(root, &transfers, "/sys/bus/usb/devices/%.*s/urbnum",
                                                 device, interface)) {
                        *sum += (uint64_t)transfers;
                        found = true;
                }
        }
        return found;
}

static bool newest_of(const char *root, const char *folder_name, const char *begin, int64_t *newest_s)
{
        _cleanup_closedir_ DIR *folder = qvf_root_folder(root, "%s", folder_name);
        bool found = false;
        const char *name;

        while (folder && (name = qvf_next_entry(folder, begin))) {
                const char *number = name + strlen(begin);
                char path[QVF_PATH_SIZE];
                struct stat status;

                if (!*number || number[strspn(number, "0123456789")] ||
                                !qvf_root_path(root, path, "%s/%s", folder_name, name) ||
                                stat(path, &status) < 0)
                        continue;
                if (!found || status.st_atim.tv_sec > *newest_s)
                        *newest_s = status.st_atim.tv_sec;
                found = true;
        }
        return found;
}

static bool newest_terminal(const char *root, int64_t *ret_s)
{
        int64_t terminal_s = 0, pseudo_s = 0;
        bool terminals = newest_of(root, "/dev", "tty", &terminal_s);
        bool pseudo = newest_of(root, "/dev/pts", "", &pseudo_s);

        *ret_s = !pseudo || (terminals && terminal_s > pseudo_s) ? terminal_s : pseudo_s;
        return terminals || pseudo;
}

void qvf_read_input(const char *root, struct qvf_input *input, uint64_t now_us, int64_t wall_s)
{
        int64_t now = (int64_t)now_us, terminal_s = 0;
        uint64_t counters = 0;
        bool interrupts = count_interrupts(root, &counters), usb = count_usb(root, &counters);
        bool has_terminals = newest_terminal(root, &terminal_s);

        /* Counters tell nothing about the time before they were first read: it may have been just now. */
        if (!input->seen || counters != input->counters)
                input->counter_use_us = now;
        input->counters = counters;
        input->has_counters = interrupts || usb;
        /* The terminals' times are of the wall clock, which may be set: they are compared with it once, and later
         * only with each other. */
        if (has_terminals && !(input->seen && input->has_terminals))
                input->terminal_use_us = terminal_s < wall_s ? now - (wall_s - terminal_s) * 1000000 : now;
        else if (has_terminals && terminal_s > input->terminal_s)
                input->terminal_use_us = now;
        input->terminal_s = terminal_s;
        input->has_terminals = has_terminals;
        input->seen = true;
}
