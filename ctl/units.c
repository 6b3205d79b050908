/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ctl_text ctl_bytes(uint64_t bytes)
{
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        double value = (double)bytes;
        struct ctl_text out;
        size_t unit = 0;

        while (value >= 1023.95 && unit < 6) { /* what would print as 1024.0 */
                value /= 1024;
                unit++;
        }
        snprintf(out.text, sizeof(out.text), unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value,
                        units[unit]);
        return out;
}

struct ctl_text ctl_count(double count)
{
        static const char *const units[] = { "", " k", " M", " G", " T" };
        struct ctl_text out;
        size_t unit = 0;

        while (fabs(count) >= 999.5 && unit < 4) {
                count /= 1000;
                unit++;
        }
        snprintf(out.text, sizeof(out.text), unit == 0 || fabs(count) >= 99.95 ? "%.0f%s" : "%.1f%s", count,
                        units[unit]);
        return out;
}

struct ctl_text ctl_duration(double seconds)
{
        struct ctl_text out;
        uint64_t whole;

        if (!(seconds >= 0) || seconds > 1e12) {
                snprintf(out.text, sizeof(out.text), "-");
                return out;
        }
        if (seconds < 0.9995) {
                snprintf(out.text, sizeof(out.text), "%.0f ms", seconds * 1000);
                return out;
        }
        if (seconds < 9.95) {
                snprintf(out.text, sizeof(out.text), "%.1f s", seconds);
                return out;
        }
        whole = (uint64_t)(seconds + 0.5);
        if (whole < 60)
                snprintf(out.text, sizeof(out.text), "%u s", (unsigned)whole);
        else if (whole < 3600)
                snprintf(out.text, sizeof(out.text), "%u min %u s", (unsigned)(whole / 60),
                                (unsigned)(whole % 60));
        else if (whole < 86400)
                snprintf(out.text, sizeof(out.text), "%u h %u min", (unsigned)(whole / 3600),
                                (unsigned)(whole % 3600 / 60));
        else
                snprintf(out.text, sizeof(out.text), "%.0f d %u h", (double)(whole / 86400),
                                (unsigned)(whole % 86400 / 3600));
        return out;
}

struct ctl_text ctl_energy(double joules)
{
        struct ctl_text out;

        if (!(joules >= 0))
                snprintf(out.text, sizeof(out.text), "unmetered");
        else if (joules < 3600)
                snprintf(out.text, sizeof(out.text), joules < 10 ? "%.1f J" : "%.0f J", joules);
        else
                snprintf(out.text, sizeof(out.text), joules < 36000 ? "%.2f Wh" : "%.1f Wh", joules / 3600);
        return out;
}

struct ctl_text ctl_loss(double loss)
{
        struct ctl_text out;

        if (isfinite(loss))
                snprintf(out.text, sizeof(out.text), "%.*f", loss < 10 ? 3 : 1, loss);
        else
                snprintf(out.text, sizeof(out.text), "-");
        return out;
}

struct ctl_text ctl_time(uint64_t microseconds)
{
        time_t seconds = (time_t)(microseconds / 1000000);
        struct ctl_text out = { "-" };
        struct tm parts;

        if (microseconds != 0 && localtime_r(&seconds, &parts))
                strftime(out.text, sizeof(out.text), "%Y-%m-%d %H:%M", &parts);
        return out;
}

struct ctl_text ctl_ago(uint64_t microseconds, uint64_t now)
{
        struct ctl_text out = { "never" };

        if (microseconds == 0)
                return out;
        if (microseconds / 1000000 == now / 1000000)
                snprintf(out.text, sizeof(out.text), "just now");
        else if (microseconds > now)
                snprintf(out.text, sizeof(out.text), "in %.30s",
                                ctl_duration((double)((microseconds - now) / 1000000)).text);
        else
                snprintf(out.text, sizeof(out.text), "%.30s ago",
                                ctl_duration((double)((now - microseconds) / 1000000)).text);
        return out;
}

struct unit {
        const char *name;
        double factor;
};

static int parse(const char *text, const struct unit *units, uint64_t *ret_value)
{
        char *end;
        double value;

        if ((*text < '0' || *text > '9') && *text != '.')
                return -EINVAL;
        value = strtod(text, &end);
        while (*end == ' ')
                end++;
        for (; units->name; units++)
                if (strcasecmp(end, units->name) == 0) {
                        value *= units->factor;
                        if (!(value >= 0 && value < 0x1p63))
                                return -EINVAL;
                        *ret_value = (uint64_t)(value + 0.5);
                        return 0;
                }
        return -EINVAL;
}

int ctl_parse_duration(const char *text, uint64_t *ret_seconds)
{
        static const struct unit units[] = { { "", 1 }, { "s", 1 }, { "sec", 1 }, { "m", 60 }, { "min", 60 },
                { "h", 3600 }, { "d", 86400 }, { NULL, 0 } };

        return parse(text, units, ret_seconds);
}

int ctl_parse_bytes(const char *text, uint64_t *ret_bytes)
{
        static const struct unit units[] = { { "", 1 }, { "B", 1 }, { "k", 1e3 }, { "kB", 1e3 },
                { "M", 1e6 }, { "MB", 1e6 }, { "G", 1e9 }, { "GB", 1e9 }, { "Ki", 1024 }, { "KiB", 1024 },
                { "Mi", 1048576 }, { "MiB", 1048576 }, { "Gi", 1073741824 }, { "GiB", 1073741824 },
                { NULL, 0 } };

        return parse(text, units, ret_bytes);
}
