/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read and write them. */
#ifndef QVF_CTL_UNITS_H
#define QVF_CTL_UNITS_H

#include <stddef.h>
#include <stdint.h>

struct ctl_text { /* of one number */
        char text[40];
};

struct ctl_text ctl_bytes(uint64_t bytes);       /* "14.5 MiB" */
struct ctl_text ctl_count(double count);         /* "25.3 M" */
struct ctl_text ctl_duration(double seconds);    /* "1 h 12 min", "7 s" */
struct ctl_text ctl_energy(double joules);       /* "12 J", "3.4 Wh", "unmetered" below 0 */
struct ctl_text ctl_loss(double loss);           /* "0.412"; "-" for NaN */
struct ctl_text ctl_time(uint64_t microseconds); /* "2026-01-02 03:04" of this place; "-" for 0 */
struct ctl_text ctl_ago(uint64_t microseconds, uint64_t now); /* "5 min ago"; "never" for 0 */

/* "90", "90s", "5min", "2h", "1d": 0, or -EINVAL. */
int ctl_parse_duration(const char *text, uint64_t *ret_seconds);
/* "512MiB", "1.5G": 0, or -EINVAL. */
int ctl_parse_bytes(const char *text, uint64_t *ret_bytes);

#endif
