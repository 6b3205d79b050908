/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "daemon/device.h"
#include "daemon/qvfd.h"

/* To be freed. */
static char *folder_of(const struct qvfd_options *options)
{
        return options->config ? strdup(options->config)
                               : qvf_config_folder(options->user || options->address);
}

/* The default place may be missing; one that somebody named must be there. */
static bool is_folder(const struct qvfd_options *options, const char *path)
{
        struct stat status;

        return stat(path, &status) < 0 ? !options->config : S_ISDIR(status.st_mode);
}

int qvfd_config_read(
                const struct qvfd_options *options, struct qvf_config *ret_config, struct qvf_error *error)
{
        _cleanup_free_ char *path = folder_of(options);

        if (!path)
                return qvf_error_set(error, -ENOMEM, "no memory");
        return is_folder(options, path) ? qvf_config_load_folder(path, ret_config, error)
                                        : qvf_config_load_file(path, ret_config, error);
}

static void set_error(struct qvfd *service, const char *text)
{
        if (strcmp(service->config_error ? service->config_error : "", text) == 0)
                return;
        free(service->config_error);
        service->config_error = strdup(text);
        QVFD_CHANGED(&service->object, "ConfigError");
}

int qvfd_reload(struct qvfd *service, struct qvf_error *error)
{
        struct qvf_config config;
        struct timespec now;
        int r;

        clock_gettime(CLOCK_MONOTONIC, &now);
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                        (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
        r = qvfd_config_read(&service->options, &config, error);
        if (r < 0) {
                qvf_log(QVF_LOG_ERROR, "the configuration is not taken, the old one stays: %s", error->text);
                set_error(service, error->text);
        } else {
                service->config = config;
                set_error(service, "");
                qvf_log(QVF_LOG_INFO, "the configuration was read");
                qvfd_devices_judge(service);
                qvfd_watch_decide(service, true);
                qvfd_watch_arm(service);
                qvfd_pass_soon(service);
                QVFD_CHANGED(&service->object, "ConfigFiles");
        }
        sd_notify(0, "READY=1");
        return r;
}

static int append_if_there(sd_bus_message *message, const char *folder, const char *name)
{
        _cleanup_free_ char *path = NULL;
        struct stat status;

        if (asprintf(&path, "%s/%s", folder, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return stat(path, &status) == 0 ? sd_bus_message_append(message, "s", path) : 0;
}

static int is_yaml(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        return length > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

int qvfd_append_config_files(struct qvfd *service, sd_bus_message *message)
{
        _cleanup_free_ char *path = folder_of(&service->options);
        struct dirent **entries;
        char drop_in[512];
        int n, r = sd_bus_message_open_container(message, 'a', "s");

        if (r < 0 || !path)
                return r < 0 ? r : -ENOMEM;
        if (!is_folder(&service->options, path)) {
                r = sd_bus_message_append(message, "s", path);
                return r < 0 ? r : sd_bus_message_close_container(message);
        }
        r = append_if_there(message, path, "qvfd.yaml");
        snprintf(drop_in, sizeof(drop_in), "%.480s/qvfd.d", path);
        n = scandir(drop_in, &entries, is_yaml, alphasort);
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = append_if_there(message, drop_in, entries[i]->d_name);
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
        return r < 0 ? r : sd_bus_message_close_container(message);
}
