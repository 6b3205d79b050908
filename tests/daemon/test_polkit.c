/* SPDX-License-Identifier: Apache-2.0 */
/* The service on a system bus of the test's own, with a polkit that says what the test wants, when it wants. CVE-2020-1712:
 * what the caller named may be gone when the answer comes. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/daemon/service.h"
#include "tests/support/suite.h"

#define MODEL "models/tiny-silu.TQ2_0.gguf"
#define NOBODY 65534

#define BUS_CONFIG                                                                                          \
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\"\n"              \
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"                               \
        "<busconfig><type>system</type><listen>unix:path=%s/system</listen><auth>EXTERNAL</auth>\n"         \
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/>"  \
        "<allow receive_sender=\"*\"/></policy></busconfig>\n"

struct world {
        struct service *service; /* its folder, and the root client on the bus */
        pid_t bus_pid, service_pid;
        sd_bus *polkit;
        sd_bus_message *question; /* that has not been answered */
        char subject[64], action[64];
};

static int on_question(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct world *world = userdata;
        const char *kind, *key, *name, *action;

        (void)error;
        if (sd_bus_message_is_method_call(
                            message, "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization") <= 0)
                return 0;
        ck_assert_int_gt(sd_bus_message_enter_container(message, 'r', "sa{sv}"), 0);
        ck_assert_int_gt(sd_bus_message_read(message, "s", &kind), 0);
        ck_assert_str_eq(kind, "system-bus-name");
        ck_assert_int_gt(sd_bus_message_enter_container(message, 'a', "{sv}"), 0);
        ck_assert_int_gt(sd_bus_message_read(message, "{sv}", &key, "s", &name), 0);
        sd_bus_message_exit_container(message);
        sd_bus_message_exit_container(message);
        ck_assert_int_gt(sd_bus_message_read(message, "s", &action), 0);
        snprintf(world->subject, sizeof(world->subject), "%s", name);
        snprintf(world->action, sizeof(world->action), "%s", action);
        world->question = sd_bus_message_ref(message);
        return 1;
}

static void answer(struct world *world, bool yes)
{
        ck_assert(world->question != NULL);
        ck_assert_int_ge(sd_bus_reply_method_return(world->question, "(bba{ss})", (int)yes, 0, 0), 0);
        sd_bus_flush(world->polkit);
        world->question = sd_bus_message_unref(world->question);
}

static bool wait_question(struct world *world)
{
        for (unsigned i = 0; i < 200 && !world->question; i++)
                if (sd_bus_process(world->polkit, NULL) == 0)
                        sd_bus_wait(world->polkit, 50000);
        return world->question != NULL;
}

static pid_t spawn(struct world *world, const char *const *arguments)
{
        char log[128];
        pid_t pid = fork();
        int fd;

        if (pid != 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(log, sizeof(log), "%s/log", world->service->folder);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execvp(arguments[0], (char *const *)arguments);
        _exit(127);
}

static sd_bus *connect_to(const char *address)
{
        sd_bus *bus = NULL;

        for (unsigned i = 0; i < 200; i++) {
                if (sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, address) >= 0 &&
                                sd_bus_set_bus_client(bus, 1) >= 0 && sd_bus_negotiate_fds(bus, 1) >= 0 &&
                                sd_bus_start(bus) >= 0 &&
                                sd_bus_call_method(bus, "org.freedesktop.DBus", "/",
                                                "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, "") >= 0)
                        return bus;
                bus = sd_bus_close_unref(bus);
                usleep(20000);
        }
        return NULL;
}

/* A call to the service over the bus. */
static int call(sd_bus *bus, const char *path, const char *interface, const char *member,
                sd_bus_error *error, const char *types, ...)
{
        sd_bus_message *message = NULL;
        char full[128], name[96];
        va_list arguments;
        int r;

        snprintf(full, sizeof(full), SERVICE_ROOT "%s", path);
        snprintf(name, sizeof(name), "org.qvf.Fabric1.%s", interface);
        r = sd_bus_message_new_method_call(bus, &message, "org.qvf.Fabric1", full, name, member);
        va_start(arguments, types);
        if (r >= 0)
                r = sd_bus_message_appendv(message, types, arguments);
        va_end(arguments);
        if (r >= 0)
                r = sd_bus_call(bus, message, UINT64_C(60000000), error, NULL);
        sd_bus_message_unref(message);
        return r;
}

/* Another user calls; what comes back is written into a pipe as "ok" or the error's name. */
static int call_as_nobody(const char *address, const char *path, const char *interface, const char *member)
{
        int ends[2];
        pid_t pid;

        ck_assert_int_eq(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus *bus;
                int r;

                if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                        _exit(1);
                bus = connect_to(address);
                r = bus ? call(bus, path, interface, member, &error, "") : -1;
                dprintf(ends[1], "%s", r >= 0 ? "ok" : error.name ? error.name : "nothing");
                _exit(0);
        }
        close(ends[1]);
        return ends[0];
}

static void assert_result(int fd, const char *wanted)
{
        char text[128] = "";
        ssize_t n, length = 0;

        while ((n = read(fd, text + length, sizeof(text) - 1 - (size_t)length)) > 0)
                length += n;
        close(fd);
        ck_assert_str_eq(text, wanted);
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
}

static bool begin(struct world *world, char address[128])
{
        const char *build = getenv("QVF_BUILD");
        char config[160], program[PATH_MAX], state[128], yaml[128], text[1024];

        memset(world, 0, sizeof(*world));
        if (geteuid() != 0 || system("command -v dbus-daemon >/dev/null") != 0) {
                printf("SKIP polkit: needs root, to call as another user, and dbus-daemon\n");
                return false;
        }
        world->service = service_new(NULL);
        chmod(world->service->folder, 0755);
        snprintf(address, 128, "unix:path=%s/system", world->service->folder);
        snprintf(text, sizeof(text), BUS_CONFIG, world->service->folder);
        close(service_open(world->service, "bus.conf", text));
        snprintf(config, sizeof(config), "--config-file=%s/bus.conf", world->service->folder);
        world->bus_pid = spawn(world,
                        (const char *const[]){ "dbus-daemon", config, "--nofork", "--nopidfile", NULL });
        world->polkit = connect_to(address);
        ck_assert(world->polkit != NULL);
        ck_assert_int_ge(sd_bus_request_name(world->polkit, "org.freedesktop.PolicyKit1", 0), 0);
        ck_assert_int_ge(sd_bus_add_filter(world->polkit, NULL, on_question, world), 0);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
        snprintf(program, sizeof(program), "%s/qvfd", build ? build : "build");
        snprintf(state, sizeof(state), "%s/state", world->service->folder);
        snprintf(yaml, sizeof(yaml), "%s/qvfd.yaml", world->service->folder);
        world->service_pid = spawn(
                        world, (const char *const[]){ program, "--state", state, "--config", yaml, NULL });
        world->service->bus = connect_to(address);
        for (unsigned i = 0; i < 200; i++) {
                if (call(world->service->bus, "", "Manager", "GetStatistics", NULL, "") >= 0)
                        return true;
                usleep(20000);
        }
        ck_abort_msg("qvfd does not answer: see %s/log", world->service->folder);
        return false;
}

static void finish(struct world *world)
{
        int status;

        sd_bus_close_unref(world->polkit);
        kill(world->service_pid, SIGTERM);
        ck_assert_int_eq(waitpid(world->service_pid, &status, 0), world->service_pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "qvfd ended with the status %x",
                        (unsigned)status);
        kill(world->bus_pid, SIGKILL);
        waitpid(world->bus_pid, NULL, 0);
        service_free(world->service);
}

START_TEST(allowed_and_denied_per_action)
{
        static const struct {
                const char *path, *interface, *member, *action;
        } calls[] = { { "", "Manager", "Reload", "manage-policy" },
                { "", "Manager", "Discover", "manage-policy" } };
        struct world world;
        char address[128];

        if (!begin(&world, address))
                return;
        for (size_t i = 0; i < 2; i++)
                for (int yes = 0; yes < 2; yes++) {
                        char action[96];
                        int result = call_as_nobody(
                                        address, calls[i].path, calls[i].interface, calls[i].member);

                        ck_assert(wait_question(&world));
                        snprintf(action, sizeof(action), "org.qvf.Fabric1.%s", calls[i].action);
                        ck_assert_str_eq(world.action, action);
                        ck_assert_int_eq(world.subject[0], ':');
                        /* While polkit thinks, others are answered. */
                        ck_assert_int_ge(call(world.service->bus, "", "Manager", "ExplainPolicy", NULL, ""),
                                        0);
                        answer(&world, yes);
                        if (!yes)
                                assert_result(result, "org.qvf.Fabric1.Error.AccessDenied");
                        else if (i == 0)
                                assert_result(result, "ok");
                        else
                                close(result);
                }
        assert_result(call_as_nobody(address, "", "Manager", "GetStatistics"), "ok");
        ck_assert_ptr_null(world.question);
        finish(&world);
}
END_TEST

START_TEST(cve_2020_1712_the_object_goes_while_polkit_thinks)
{
        struct world world;
        char address[128];
        _cleanup_close_ int model = open(MODEL, O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int data = -1;
        int result;

        if (!begin(&world, address))
                return;
        data = service_open(world.service, "d.jsonl", "{\"text\":\"one two\"}\n");
        ck_assert_int_ge(call(world.service->bus, "", "Manager", "AddModel", NULL, "sha{sv}", "tiny", model,
                                         0),
                        0);
        ck_assert_int_ge(call(world.service->bus, "", "Manager", "Train", NULL, "sha{sv}", "tiny", data, 1,
                                         "paused", "b", 1),
                        0);
        result = call_as_nobody(address, "/jobs/_31", "Job", "Resume");
        ck_assert(wait_question(&world));
        /* Somebody else's job: another action than one's own. */
        ck_assert_str_eq(world.action, "org.qvf.Fabric1.manage-jobs");
        ck_assert_int_ge(call(world.service->bus, "/jobs/_31", "Job", "Cancel", NULL, "b", 0), 0);
        ck_assert_int_ge(call(world.service->bus, "/jobs/_31", "Job", "Remove", NULL, ""), 0);
        answer(&world, true);
        assert_result(result, "org.qvf.Fabric1.Error.NotFound");
        /* And the same with a model, removed by force. */
        result = call_as_nobody(address, "/models/tiny", "Model", "Load");
        ck_assert(wait_question(&world));
        ck_assert_int_ge(call(world.service->bus, "/models/tiny", "Model", "Remove", NULL, "a{sv}", 1,
                                         "force", "b", 1),
                        0);
        answer(&world, true);
        assert_result(result, "org.qvf.Fabric1.Error.NotFound");
        finish(&world);
}
END_TEST

QVF_SUITE("polkit", 120, allowed_and_denied_per_action, cve_2020_1712_the_object_goes_while_polkit_thinks)
