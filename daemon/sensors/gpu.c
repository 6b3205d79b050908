/* SPDX-License-Identifier: Apache-2.0 */
/* How busy the busiest GPU is, less what our own workers keep it busy with. The kernel tells each process what its own
 * file descriptors of GPUs have cost (fdinfo, drm-engine-*). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sensors/parts.h"
#include "daemon/sensors/root.h"

enum { CLIENTS_MOST = 64 };

static bool busiest(const char *root, double *ret_percent)
{
        _cleanup_closedir_ DIR *cards = qvf_root_folder(root, "/sys/class/drm");
        bool found = qvf_root_number(root, ret_percent, "/sys/class/kgsl/kgsl-3d0/gpu_busy_percentage");
        const char *card;

        while (cards && (card = qvf_next_entry(cards, "card"))) {
                double percent;

                /* "card0-HDMI-A-1" is a socket, and its "device" the card again. */
                if (strchr(card, '-') ||
                                !qvf_root_number(root, &percent, "/sys/class/drm/%s/device/gpu_busy_percent",
                                                card) ||
                                (found && percent <= *ret_percent))
                        continue;
                *ret_percent = percent;
                found = true;
        }
        return found && *ret_percent >= 0 && *ret_percent <= 100;
}

/* The nanoseconds of one descriptor's client, unless it was counted through another descriptor. */
static double client_ns(const char *fdinfo, unsigned long long *clients, unsigned *n_clients)
{
        const char *id = strstr(fdinfo, "drm-client-id:");
        unsigned long long client, ns;
        double sum = 0;

        if (!id || sscanf(id, "drm-client-id: %llu", &client) != 1 || *n_clients == CLIENTS_MOST)
                return 0;
        for (unsigned i = 0; i < *n_clients; i++)
                if (clients[i] == client)
                        return 0;
        clients[(*n_clients)++] = client;
        for (const char *at = fdinfo; (at = strstr(at, "\ndrm-engine-")); at++)
                if (sscanf(at, "\ndrm-engine-%*[^:]: %llu ns", &ns) == 1)
                        sum += (double)ns;
        return sum;
}

static double process_ns(const char *root, pid_t pid)
{
        _cleanup_closedir_ DIR *folder = qvf_root_folder(root, "/proc/%d/fdinfo", (int)pid);
        unsigned long long clients[CLIENTS_MOST];
        unsigned n_clients = 0;
        double sum = 0;
        const char *fd;

        while (folder && (fd = qvf_next_entry(folder, ""))) {
                char bytes[2048];

                if (qvf_root_read(root, bytes, sizeof(bytes), "/proc/%d/fdinfo/%s", (int)pid, fd))
                        sum += client_ns(bytes, clients, &n_clients);
        }
        return sum;
}

void qvf_read_gpu(const char *root, struct qvf_gpu_use *use, const pid_t *own, unsigned n_own,
                uint64_t now_us, struct qvf_snapshot *snapshot)
{
        struct qvf_gpu_use now = { .seen = true, .us = now_us };
        double percent, own_percent = 0;

        snapshot->gpu_busy_by_others_percent = (struct qvf_reading){ 0 };
        if (!busiest(root, &percent))
                return;
        for (unsigned i = 0; i < n_own; i++)
                now.own_ns += process_ns(root, own[i]);
        if (use->seen && now_us > use->us && now.own_ns > use->own_ns)
                own_percent = (now.own_ns - use->own_ns) / ((double)(now_us - use->us) * 1e3) * 100;
        snapshot->gpu_busy_by_others_percent =
                        qvf_reading_of(percent > own_percent ? percent - own_percent : 0);
        *use = now;
}
