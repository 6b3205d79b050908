/* SPDX-License-Identifier: Apache-2.0 */
/* qvfd: the service. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"
#include "daemon/adapter.h"
#include "daemon/cgroup.h"
#include "daemon/connection.h"
#include "daemon/device.h"
#include "daemon/discovery.h"
#include "daemon/introspect.h"
#include "daemon/job.h"
#include "daemon/journal.h"
#include "daemon/model.h"
#include "daemon/pass.h"
#include "daemon/policy/simulate.h"
#include "daemon/qvfd.h"
#include "daemon/reload.h"
#include "daemon/system_bus.h"
#include "daemon/worker.h"

static int say(const struct qvf_error *error)
{
        fprintf(stderr, "qvfd: %s\n", error->text);
        return 1;
}

static int check_config(const struct qvfd_options *options)
{
        struct qvf_error error = { 0 };
        struct qvf_config config;
        _cleanup_text_ struct qvf_text text = { 0 };

        if (qvfd_config_read(options, &config, &error) < 0 || qvf_config_print(&config, &text) < 0)
                return say(&error);
        fputs(qvf_text_string(&text), stdout);
        return 0;
}

static int simulate(const struct qvfd_options *options)
{
        struct qvf_simulate_options how = { .json = options->json, .all = options->verbose };
        bool from_stdin = strcmp(options->simulate, "-") == 0;
        _cleanup_fclose_ FILE *file = from_stdin ? NULL : fopen(options->simulate, "re");
        struct qvf_error error = { 0 };
        struct qvf_config config;

        if (!file && !from_stdin) {
                fprintf(stderr, "qvfd: %s: %s\n", options->simulate, strerror(errno));
                return 1;
        }
        if (qvfd_config_read(options, &config, &error) < 0)
                return say(&error);
        how.sample_every_s = config.sample_every_s;
        if (qvf_simulate(&config.policy, from_stdin ? stdin : file, from_stdin ? "stdin" : options->simulate,
                            &how, stdout, &error) < 0)
                return say(&error);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct qvfd *service = userdata;
        struct qvf_error error = { 0 };

        (void)source;
        if (info->ssi_signo == SIGHUP) {
                qvfd_reload(service, &error);
                return 0;
        }
        sd_notify(0, "STOPPING=1");
        if (service->stopping) /* asked twice: now */
                return sd_event_exit(service->event, 0);
        qvf_log(QVF_LOG_INFO, "the service ends");
        qvfd_stop(service);
        return 0;
}

static int open_loop(struct qvfd *service)
{
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
        sigset_t mask;
        int r;

        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&mask);
        for (size_t i = 0; i < 3; i++)
                sigaddset(&mask, signals[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_default(&service->event);
        for (size_t i = 0; r >= 0 && i < 3; i++)
                r = sd_event_add_signal(service->event, NULL, signals[i], on_signal, service);
        if (r >= 0)
                r = sd_event_set_watchdog(service->event, true);
        if (r >= 0)
                r = qvfd_pass_open(service);
        return r;
}

static int open_store(struct qvfd *service, struct qvf_error *error)
{
        _cleanup_free_ char *path = service->options.state
                                                    ? strdup(service->options.state)
                                                    : qvfd_store_default_path(service->mode != QVFD_SYSTEM);

        return path ? qvfd_store_open(path, &service->store, error)
                    : qvf_error_set(error, -ENOMEM, "no memory");
}

static int start(struct qvfd *service, struct qvf_error *error)
{
        int r = open_store(service, error);

        if (r < 0)
                return r;
        qvfd_devices_load(service);
        service->ready = service->objects[QVFD_DEVICE] != NULL;
        qvfd_models_load(service);
        qvfd_adapters_load(service);
        r = qvfd_watch_start(service, error);
        if (r < 0)
                return r;
        qvfd_jobs_load(service);
        for (int kind = 0; kind < QVFD_KINDS; kind++)
                for (struct qvfd_object *object = service->objects[kind]; object; object = object->next)
                        object->announced = true;
        qvfd_cgroup_open();
        r = service->mode == QVFD_PRIVATE
                            ? qvfd_private_socket_open(service, service->options.address, error)
                            : qvfd_connection_open_bus(service, error);
        if (r < 0)
                return r;
        qvfd_system_bus_start(service);
        qvfd_hotplug_start(service);
        qvfd_discovery_start(service, NULL, NULL);
        return 0;
}

static void stop(struct qvfd *service)
{
        qvfd_discovery_free(service);
        qvfd_hotplug_stop(service);
        while (service->connections)
                qvfd_connection_close(service->connections);
        qvfd_private_socket_close(service);
        qvfd_watch_stop(service);
        qvfd_system_bus_stop(service);
        while (service->workers)
                qvfd_worker_free(service->workers);
        qvfd_pass_close(service);
        qvfd_jobs_free(service);
        qvfd_adapters_free(service);
        qvfd_models_free(service);
        qvfd_devices_free(service);
        qvfd_store_close(&service->store);
        qvfd_object_exit(&service->object);
        free(service->config_error);
        sd_event_unref(service->event);
}

static int serve(struct qvfd *service)
{
        struct qvf_error error = { 0 };
        int r = start(service, &error);

        if (r < 0) {
                qvf_log(QVF_LOG_ERROR, "%s", error.text);
                return 1;
        }
        sd_notify(0, "READY=1");
        qvf_log(QVF_LOG_INFO, "qvfd " QVF_VERSION " is ready after %.1f ms: %u models, %u adapters, %u jobs",
                        (double)(qvfd_now_us() - service->statistics.started_us) / 1000,
                        qvfd_object_count(service, QVFD_MODEL), qvfd_object_count(service, QVFD_ADAPTER),
                        qvfd_object_count(service, QVFD_JOB));
        qvfd_pass_soon(service);
        r = sd_event_loop(service->event);
        return r < 0 ? 1 : r;
}

int main(int n, char **arguments)
{
        static struct qvfd service; /* large: the policy's verdicts are texts */
        struct qvf_error error = { 0 };
        int r = qvfd_options_parse(n, arguments, &service.options);

        if (r < 0)
                return 2;
        if (service.options.help)
                return qvfd_options_print_help(), 0;
        if (service.options.version)
                return puts("qvfd " QVF_VERSION), 0;
        if (service.options.check_config)
                return check_config(&service.options);
        if (service.options.simulate)
                return simulate(&service.options);
        service.statistics.started_us = qvfd_now_us();
        service.mode = service.options.address ? QVFD_PRIVATE
                       : service.options.user  ? QVFD_USER
                                               : QVFD_SYSTEM;
        qvfd_journal_open(service.options.verbose);
        umask(0077);
        if (!service.options.introspect && qvfd_config_read(&service.options, &service.config, &error) < 0)
                return say(&error);
        r = qvfd_object_init(&service.object, &service, QVFD_MANAGER, "manager");
        if (r >= 0)
                r = open_loop(&service);
        if (r < 0) {
                fprintf(stderr, "qvfd: %s\n", strerror(-r));
                return 1;
        }
        service.object.announced = true;
        if (service.options.introspect)
                return qvfd_introspect(&service, service.options.introspect);
        r = serve(&service);
        stop(&service);
        return r;
}
