/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/daemon/service.h"

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

enum { WAIT_MS = 20, WAIT_TRIES = 10000 };

#define ALWAYS                                                                                              \
        "training:\n  idle_for: 0s\n  load_by_others_max: 100%\n  settle_for: 0s\n  minimum_run: 0s\n"      \
        "  memory_pressure_max: 100%\n  disk_leave_free: 0B\n  memory_leave_free: 0B\n"                     \
        "inference:\n  memory_leave_free: 0B\n  memory_pressure_max: 100%\n"

static void sleep_ms(unsigned milliseconds)
{
        nanosleep(&(struct timespec){ milliseconds / 1000, (long)(milliseconds % 1000) * 1000000 }, NULL);
}

static void write_file(const struct service *service, const char *name, const char *text)
{
        char path[160];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", service->folder, name);
        file = fopen(path, "w");
        ck_assert(file != NULL);
        fputs(text, file);
        fclose(file);
}

static const char *build_folder(void)
{
        const char *build = getenv("QVF_BUILD");

        return build ? build : "build";
}

/* Only the CPU: looking at other drivers takes a while, and is tested elsewhere. */
static void choose_plugins(const struct service *service)
{
        char command[512], folder[96];

        snprintf(folder, sizeof(folder), "%s/plugins", service->folder);
        snprintf(command, sizeof(command), "mkdir '%s' && cp '%s/plugins/cpu.so' '%s/'", folder,
                        build_folder(), folder);
        ck_assert_int_eq(system(command), 0);
        setenv("QVF_PLUGIN_DIR", folder, 1);
}

struct service *service_new(const char *yaml)
{
        struct service *service = calloc(1, sizeof(*service));
        char text[2048];

        ck_assert(service != NULL);
        strcpy(service->folder, "/tmp/qvf-test-XXXXXX");
        ck_assert(mkdtemp(service->folder) != NULL);
        snprintf(text, sizeof(text), "%s%s", ALWAYS, yaml ? yaml : "");
        write_file(service, "qvfd.yaml", text);
        choose_plugins(service);
        return service;
}

static void run(const struct service *service)
{
        char program[PATH_MAX], address[128], state[96], config[96], log[96];
        int fd;

        snprintf(program, sizeof(program), "%s/qvfd", build_folder());
        snprintf(address, sizeof(address), "unix:path=%s/bus", service->folder);
        snprintf(state, sizeof(state), "%s/state", service->folder);
        snprintf(config, sizeof(config), "%s/qvfd.yaml", service->folder);
        snprintf(log, sizeof(log), "%s/log", service->folder);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(program, "qvfd", "--address", address, "--state", state, "--config", config, "-v", NULL);
        _exit(127);
}

sd_bus *service_connect(const struct service *service)
{
        char address[128];
        sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);

        snprintf(address, sizeof(address), "unix:path=%s/bus", service->folder);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, 1);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_call_method(bus, NULL, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, "");
        return r < 0 ? sd_bus_close_unref(bus) : bus;
}

void service_start(struct service *service)
{
        char path[96];

        /* What a killed one left; the new one would see that nobody listens there, but a test must not connect to it. */
        snprintf(path, sizeof(path), "%s/bus", service->folder);
        unlink(path);
        service->pid = fork();
        ck_assert_int_ge(service->pid, 0);
        if (service->pid == 0)
                run(service);
        for (unsigned i = 0; i < 3000 && !service->bus; i++) {
                int status;

                service->bus = service_connect(service);
                if (!service->bus)
                        sleep_ms(10);
                ck_assert_msg(waitpid(service->pid, &status, WNOHANG) == 0,
                                "qvfd ended at its start: see %s/log", service->folder);
        }
        ck_assert_msg(service->bus != NULL, "qvfd does not answer: see %s/log", service->folder);
}

static int end(struct service *service, int number)
{
        int status = 0;

        service->bus = sd_bus_close_unref(service->bus);
        if (service->pid > 0) {
                kill(service->pid, number);
                waitpid(service->pid, &status, 0);
        }
        service->pid = 0;
        return status;
}

void service_kill(struct service *service)
{
        end(service, SIGKILL);
}

void service_stop(struct service *service)
{
        int status = end(service, SIGTERM);

        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "qvfd ended with the status %x",
                        (unsigned)status);
}

void service_free(struct service *service)
{
        char command[96];

        end(service, SIGKILL);
        snprintf(command, sizeof(command), "rm -rf '%s'", service->folder);
        if (system(command) != 0)
                printf("%s is left\n", service->folder);
        sd_bus_error_free(&service->error);
        free(service);
}

static void full_path(char path[256], const char *tail)
{
        snprintf(path, 256, SERVICE_ROOT "%s%s", tail[0] ? "/" : "", tail);
}

int service_call(struct service *service, sd_bus *bus, const char *path, const char *interface,
                const char *member, sd_bus_message **ret_reply, const char *types, ...)
{
        sd_bus_message *message = NULL, *reply = NULL;
        char full[256], name[96];
        va_list arguments;
        int r;

        full_path(full, path);
        snprintf(name, sizeof(name), "%s%s", strchr(interface, '.') ? "" : "org.qvf.Fabric1.", interface);
        sd_bus_error_free(&service->error);
        r = sd_bus_message_new_method_call(bus, &message, NULL, full, name, member);
        va_start(arguments, types);
        if (r >= 0)
                r = sd_bus_message_appendv(message, types, arguments);
        va_end(arguments);
        if (r >= 0)
                r = sd_bus_call(bus, message, 120 * UINT64_C(1000000), &service->error, &reply);
        sd_bus_message_unref(message);
        if (ret_reply)
                *ret_reply = reply;
        else
                sd_bus_message_unref(reply);
        return r;
}

const char *service_error(const struct service *service)
{
        const char *dot = service->error.name ? strrchr(service->error.name, '.') : NULL;

        return dot ? dot + 1 : "";
}

int service_open(const struct service *service, const char *name, const char *text)
{
        char path[160];
        int fd;

        write_file(service, name, text);
        snprintf(path, sizeof(path), "%s/%s", service->folder, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        return fd;
}

void service_add_model(struct service *service, const char *name, const char *file)
{
        _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
        int r;

        ck_assert_int_ge(fd, 0);
        r = service_call(service, service->bus, "", "Manager", "AddModel", NULL, "sha{sv}", name, fd, 0);
        ck_assert_msg(r >= 0, "AddModel: %s", service->error.message);
}

char *service_train(struct service *service, const char *model, const char *adapter, uint32_t steps)
{
        char text[8192] = "";
        _cleanup_close_ int fd = -1;
        sd_bus_message *reply = NULL;
        const char *path;
        char *tail;
        int r;

        for (unsigned i = 0; i < 40; i++)
                sprintf(text + strlen(text),
                                "{\"text\":\"the quick brown fox number %u jumps over the lazy dog\"}\n", i);
        fd = service_open(service, "data.jsonl", text);
        r = service_call(service, service->bus, "", "Manager", "Train", &reply, "sha{sv}", model, fd, 5,
                        "adapter", "s", adapter, "steps", "u", steps, "epochs", "u", 1000u, "context", "u",
                        32u, "checkpoint_every", "u", 5u);
        ck_assert_msg(r >= 0, "Train: %s", service->error.message);
        ck_assert_int_gt(sd_bus_message_read(reply, "o", &path), 0);
        tail = strdup(path + strlen(SERVICE_ROOT) + 1);
        sd_bus_message_unref(reply);
        return tail;
}

static sd_bus_message *get(
                struct service *service, const char *path, const char *interface, const char *property)
{
        sd_bus_message *reply = NULL;
        char name[96];

        snprintf(name, sizeof(name), "org.qvf.Fabric1.%s", interface);
        if (service_call(service, service->bus, path, "org.freedesktop.DBus.Properties", "Get", &reply, "ss",
                            name, property) < 0)
                return NULL;
        return reply;
}

char *service_text(struct service *service, const char *path, const char *interface, const char *property)
{
        sd_bus_message *reply = get(service, path, interface, property);
        const char *text;
        char *copy = NULL;

        if (reply && sd_bus_message_read(reply, "v", "s", &text) > 0)
                copy = strdup(text);
        sd_bus_message_unref(reply);
        return copy;
}

uint64_t service_count(
                struct service *service, const char *path, const char *interface, const char *property)
{
        sd_bus_message *reply = get(service, path, interface, property);
        const char *type = "";
        uint64_t value = 0;
        uint32_t narrow = 0;

        if (reply && sd_bus_message_peek_type(reply, NULL, &type) > 0 && type[0] == 'u') {
                sd_bus_message_read(reply, "v", "u", &narrow);
                value = narrow;
        } else if (reply) {
                sd_bus_message_read(reply, "v", "t", &value);
        }
        sd_bus_message_unref(reply);
        return value;
}

static bool one_of(const char *words, const char *word)
{
        size_t length = strlen(word);

        for (const char *at = words; length > 0 && (at = strstr(at, word)) != NULL; at++)
                if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
                        return true;
        return false;
}

bool service_wait(struct service *service, const char *path, const char *interface, const char *property,
                const char *words)
{
        for (unsigned i = 0; i < WAIT_TRIES; i++) {
                _cleanup_free_ char *now = service_text(service, path, interface, property);

                if (now && one_of(words, now))
                        return true;
                sleep_ms(WAIT_MS);
        }
        return false;
}
