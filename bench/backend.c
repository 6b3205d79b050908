/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "engine/backend/host.h"
#include "engine/backend/loader.h"
#include "engine/backend/probe.h"

/* Drivers may compile for a while when they are asked for the first time. */
#define PROBE_LIMIT_MS 20000u

/* A program that runs from its build folder finds the plugins that were built with it; an installed one has no such
 * folder beside it. */
static const char *plugin_folder(const char *wanted, char buffer[PATH_MAX])
{
        ssize_t length;
        char *slash;

        if (wanted)
                return wanted;
        length = readlink("/proc/self/exe", buffer, PATH_MAX - sizeof("/plugins"));
        if (length <= 0)
                return NULL;
        buffer[length] = 0;
        slash = strrchr(buffer, '/');
        if (!slash)
                return NULL;
        strcpy(slash, "/plugins");
        return access(buffer, F_OK) == 0 ? buffer : NULL;
}

static int choose_device(const char *folder, const char *name, const char *wanted, uint32_t *ret_index,
                struct qvf_device_info *ret_info, struct qvf_error *error)
{
        struct qvf_device_info infos[QVF_PROBE_DEVICES];
        _cleanup_text_ struct qvf_text known = { 0 };
        uint32_t count;
        int r;

        r = qvf_backend_probe(folder, name, PROBE_LIMIT_MS, infos, QVF_PROBE_DEVICES, &count, error);
        if (r < 0)
                return r;
        if (count == 0)
                return qvf_error_set(error, -ENODEV, "the %s backend finds no device", name);
        for (uint32_t i = 0; i < count; i++) {
                if (!wanted || strcmp(infos[i].id, wanted) == 0) {
                        *ret_index = i;
                        *ret_info = infos[i];
                        return 0;
                }
                qvf_text_appendf(&known, "%s%s", i ? ", " : "", infos[i].id);
        }
        return qvf_error_set(error, -ENODEV, "the %s backend has no device '%s'; it has %s", name, wanted,
                        qvf_text_string(&known));
}

int bench_backend_open(const struct bench_device_options *options, struct qvf_compute *ret_compute,
                struct qvf_device_info *ret_info, struct qvf_error *error)
{
        struct qvf_device_options wanted = { .size = sizeof(wanted), .threads = options->threads };
        _cleanup_close_ int cache = -1;
        const char *name = options->backend ? options->backend : "cpu", *folder;
        const struct qvf_backend *backend;
        struct qvf_device_info info;
        struct qvf_device *device;
        char buffer[PATH_MAX];
        uint32_t index;
        int r;

        folder = plugin_folder(options->plugins, buffer);
        r = choose_device(folder, name, options->device, &index, &info, error);
        if (r < 0)
                return r;
        r = qvf_backend_open(folder, name, &backend, error);
        if (r < 0)
                return r;
        if (options->cache) {
                cache = open(options->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (cache < 0)
                        return qvf_error_set(error, -errno, "%s: %s", options->cache, strerror(errno));
                wanted.cache_folder = cache;
        }
        r = backend->device_open(&qvf_host_default, index, &wanted, &device);
        if (r < 0)
                return qvf_error_set(error, r, "device '%s' can't be opened: %s", info.id, strerror(-r));
        *ret_compute = (struct qvf_compute){
                .backend = backend,
                .device = device,
                .separate = info.kind != QVF_DEVICE_CPU,
                .discrete = info.kind == QVF_DEVICE_DISCRETE,
        };
        *ret_info = info;
        return 0;
}

void bench_backend_close(struct qvf_compute *compute)
{
        if (compute->device)
                compute->backend->device_close(compute->device);
}
