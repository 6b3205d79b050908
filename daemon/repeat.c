/* SPDX-License-Identifier: Apache-2.0 */
/* "nightly", "6h": when is a repeated job due again? */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "daemon/job.h"

#define SECOND UINT64_C(1000000)
#define LEAST (UINT64_C(600) * SECOND)
#define MOST (UINT64_C(366) * 86400 * SECOND)
enum { NIGHT_HOUR = 22 };

static const struct {
        const char *name;
        uint64_t seconds;
} units[] = { { "min", 60 }, { "h", 3600 }, { "d", 86400 }, { "hourly", 3600 }, { "daily", 86400 },
        { "weekly", 7 * 86400 } };

/* The next 22:00 of the local clock. */
static uint64_t next_night(uint64_t now_us)
{
        time_t now = (time_t)(now_us / SECOND);
        struct tm local;

        localtime_r(&now, &local);
        if (local.tm_hour >= NIGHT_HOUR)
                local.tm_mday++;
        local.tm_hour = NIGHT_HOUR;
        local.tm_min = local.tm_sec = 0;
        local.tm_isdst = -1;
        return (uint64_t)mktime(&local) * SECOND;
}

uint64_t qvfd_repeat_next(const char *repeat, uint64_t now_us)
{
        uint64_t interval = 0;
        char *end;
        unsigned long count;

        if (strcmp(repeat, "nightly") == 0)
                return next_night(now_us);
        if (repeat[0] == '-' || strlen(repeat) > 12)
                return 0;
        count = strtoul(repeat, &end, 10);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(units); i++)
                if (strcmp(end, units[i].name) == 0 && (end == repeat) == (i >= 3) &&
                                !qvf_mul_u64(end == repeat ? 1 : count, units[i].seconds * SECOND,
                                                &interval))
                        return 0;
        return interval < LEAST || interval > MOST ? 0 : now_us + interval;
}
