/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU as a device: there is always exactly one. */
#include "plugins/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

void cpu_log(const struct qvf_host *host, int level, const char *format, ...)
{
        char line[1280];
        va_list arguments;

        if (!host->log)
                return;
        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        host->log(host->context, level, line);
}

/* The text behind "KEY :" in a file of such lines; false where there is none. */
static bool find_line(const char *path, const char *key, char *text, size_t size)
{
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        char line[512];

        while (file && fgets(line, sizeof(line), file)) {
                const char *colon = strchr(line, ':');

                if (!colon || strncmp(line, key, strlen(key)) != 0)
                        continue;
                colon += 1 + strspn(colon + 1, " \t");
                snprintf(text, size, "%.*s", (int)strcspn(colon, "\n"), colon);
                return true;
        }
        return false;
}

static void read_first_line(const char *path, char *text, size_t size)
{
        _cleanup_fclose_ FILE *file = fopen(path, "re");

        if (file && fgets(text, (int)size, file))
                text[strcspn(text, "\n")] = 0;
}

static int probe(const struct qvf_host *host, struct qvf_device_info *infos, uint32_t capacity,
                uint32_t *ret_count)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), pages = (uint64_t)sysconf(_SC_PHYS_PAGES);
        unsigned levels = cpu_level_allowed(host);
        char text[64];
        struct qvf_device_info info = {
                .size = sizeof(info),
                .kind = QVF_DEVICE_CPU,
                .id = "cpu",
                .name = "CPU",
                .memory_bytes = page * pages,
                .largest_buffer_bytes = page * pages,
                .import_alignment = 4,
                .layout_version = 1,
                .unified_memory = 1,
        };

        if (!find_line("/proc/cpuinfo", "model name", info.name, sizeof(info.name)))
                read_first_line("/proc/device-tree/model", info.name, sizeof(info.name));
        snprintf(info.driver, sizeof(info.driver), "qvf " QVF_VERSION);
        for (unsigned i = cpu_level_count(); i-- > 0;) {
                size_t length = strlen(info.driver);

                if (!(levels & 1u << i))
                        continue;
                snprintf(info.driver + length, sizeof(info.driver) - length, " %s", cpu_levels[i]->name);
        }
        if (find_line("/proc/meminfo", "MemAvailable", text, sizeof(text)))
                info.memory_free_bytes = strtoull(text, NULL, 10) * 1024; /* of kB */
        if (capacity > 0)
                infos[0] = info;
        *ret_count = capacity > 0;
        return 0;
}

static int pack_size(struct qvf_device *device, const struct qvf_weight *weight, uint64_t *ret_bytes)
{
        (void)device;
        (void)weight;
        *ret_bytes = 0;
        return 0;
}

static int pack(struct qvf_device *device, const struct qvf_weight *weight, void *packed)
{
        (void)device;
        (void)weight;
        (void)packed;
        return 0;
}

extern const struct qvf_backend qvf_backend;

__attribute__((visibility("default"))) const struct qvf_backend qvf_backend = {
        .magic = QVF_BACKEND_MAGIC,
        .abi = QVF_BACKEND_ABI,
        .size = sizeof(qvf_backend),
        .name = "cpu",
        .version = QVF_VERSION,
        .probe = probe,
        .device_open = cpu_device_open,
        .device_close = cpu_device_close,
        .event_fd = cpu_device_event_fd,
        .buffer_new = cpu_buffer_new,
        .buffer_import = cpu_buffer_import,
        .buffer_free = cpu_buffer_free,
        .buffer_upload = cpu_buffer_upload,
        .buffer_download = cpu_buffer_download,
        .buffer_map = cpu_buffer_map,
        .pack_size = pack_size,
        .pack = pack,
        .program_size = cpu_program_size,
        .program_new = cpu_program_new,
        .program_free = cpu_program_free,
        .submit = cpu_submit,
        .wait = cpu_wait,
        .pause = cpu_pause,
};
