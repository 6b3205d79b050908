/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: looks at everything that a working service needs, and says what to do about what is not right. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ctl/daemon.h"
#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/terminal.h"
#include "ctl/units.h"
#include "ctl/verbs.h"

struct doctor_options {
        struct ctl_common common;
};

static const struct doctor_options defaults = { .common = CTL_COMMON_DEFAULTS };
static const struct bench_option_group groups[] = { { ctl_common_options, 0 }, { 0 } };

enum finding { FINE, NOTE, PROBLEM };

struct doctor {
        struct ctl *ctl;
        struct json_object *findings; /* NULL: printed */
        unsigned problems;
};

static void tell(struct doctor *doctor, enum finding finding, const char *what, const char *advice,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* `what` was looked at, the format says what was found, `advice` what to do about it. */
static void tell(struct doctor *doctor, enum finding finding, const char *what, const char *advice,
                const char *format, ...)
{
        static const char *const words[] = { "ok", "note", "problem" };
        static const enum ctl_colour colours[] = { CTL_GREEN, CTL_YELLOW, CTL_RED };
        bool colour = doctor->ctl->colour;
        struct qvf_error text; /* printable whatever comes */
        char line[900];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        qvf_error_set(&text, 0, "%s", line);
        doctor->problems += finding == PROBLEM;
        if (doctor->findings) {
                struct json_object *object = json_object_new_object();

                json_object_object_add(object, "what", json_object_new_string(what));
                json_object_object_add(object, "verdict", json_object_new_string(words[finding]));
                json_object_object_add(object, "found", json_object_new_string(text.text));
                json_object_object_add(
                                object, "advice", json_object_new_string(finding == FINE ? "" : advice));
                json_object_array_add(doctor->findings, object);
                return;
        }
        printf("%s%-7s%s  %-9s  %s\n", ctl_colour(colour, colours[finding]), words[finding],
                        ctl_colour(colour, CTL_PLAIN), what, text.text);
        if (finding != FINE && *advice)
                printf("%20s → %s\n", "", advice);
}

static void look_at_drivers(struct doctor *doctor)
{
        struct dirent *entry;
        unsigned nodes = 0, closed = 0;
        DIR *folder = opendir("/dev/dri");
        char path[300];

        while (folder && (entry = readdir(folder))) {
                if (strncmp(entry->d_name, "renderD", 7) != 0)
                        continue;
                nodes++;
                snprintf(path, sizeof(path), "/dev/dri/%s", entry->d_name);
                closed += access(path, R_OK | W_OK) < 0;
        }
        if (folder)
                closedir(folder);
        if (nodes == 0)
                tell(doctor, NOTE, "drivers", "the CPU is used; for a GPU its kernel driver must be loaded",
                                "no GPU is there (/dev/dri has no render node)");
        else if (closed > 0)
                tell(doctor, NOTE, "drivers",
                                "join the group of /dev/dri/renderD* (render or video) for a private qvfd",
                                "%u of %u render nodes are closed to this user", closed, nodes);
        else
                tell(doctor, FINE, "drivers", "", "%u render nodes are open to this user", nodes);
}

static void look_at_groups(struct doctor *doctor)
{
        gid_t groups_of_user[256];
        int count = getgroups(256, groups_of_user);
        struct group *group = getgrnam("qvf");
        bool member = false;

        for (int i = 0; group && i < count; i++)
                member |= groups_of_user[i] == group->gr_gid;
        if (getuid() == 0)
                tell(doctor, FINE, "groups", "", "this is root, who may everything");
        else if (!group)
                tell(doctor, NOTE, "groups",
                                "make install and systemd-sysusers bring it; a qvfd of one's own needs none",
                                "there is no group qvf");
        else
                tell(doctor, member ? FINE : NOTE, "groups", "where no polkit runs: usermod -aG qvf USER",
                                "this user is %sin the group qvf", member ? "" : "not ");
}

static void look_at_limits(struct doctor *doctor)
{
        struct rlimit files = { 0 }, memory = { 0 };

        getrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_AS, &memory);
        tell(doctor, files.rlim_cur >= 256 ? FINE : PROBLEM, "limits", "raise it: ulimit -n 1024",
                        "%llu open files are allowed", (unsigned long long)files.rlim_cur);
        if (memory.rlim_cur != RLIM_INFINITY)
                tell(doctor, NOTE, "limits", "a worker needs room for the model: ulimit -v unlimited",
                                "a process may have %s of address space", ctl_bytes(memory.rlim_cur).text);
}

static void look_at_polkit(struct doctor *doctor, const char *mode)
{
        bool running = access("/run/polkit", F_OK) == 0 || access("/usr/lib/polkit-1/polkitd", X_OK) == 0 ||
                       access("/usr/libexec/polkitd", X_OK) == 0;

        if (strcmp(mode, "system") != 0)
                tell(doctor, FINE, "polkit", "", "not needed: a %s qvfd serves its own user alone", mode);
        else if (running)
                tell(doctor, FINE, "polkit", "", "is installed");
        else
                tell(doctor, NOTE, "polkit", "install polkitd, or join the group qvf",
                                "is not installed: only root and the group qvf may use the service");
}

static void look_at_devices(struct doctor *doctor)
{
        _cleanup_value_ struct qvf_value *devices = NULL;
        unsigned ready = 0;

        if (qvf_list(doctor->ctl->client, "devices", &devices, NULL) < 0)
                return;
        for (size_t i = 0; i < qvf_value_count(devices); i++) {
                const struct qvf_value *device = qvf_value_at(devices, i);
                const char *state = ctl_string(device, "State");
                bool fine = strcmp(state, "ready") == 0;
                bool bad = strcmp(state, "failed") == 0 || strcmp(state, "fallen-back") == 0;

                ready += fine;
                tell(doctor,
                                fine  ? FINE
                                : bad ? PROBLEM
                                      : NOTE,
                                "device",
                                bad ? "after an update of the driver, or to try again: qvfctl devices reset "
                                      "NAME"
                                    : "",
                                "%s (%s) is %s%s%s", ctl_string(device, "Name"),
                                ctl_string(device, "Description"), state,
                                *ctl_string(device, "Reason") ? ": " : "", ctl_string(device, "Reason"));
                if (ctl_unsigned(device, "Crashes") > 0)
                        tell(doctor, NOTE, "crash",
                                        "an update of the driver clears the count, and so does devices "
                                        "reset",
                                        "%s crashed %.0f times, last %s: %s", ctl_string(device, "Name"),
                                        ctl_number(device, "Crashes"),
                                        ctl_ago(ctl_unsigned(device, "LastCrash"), ctl_now_us()).text,
                                        ctl_string(device, "LastCrashReason"));
        }
        if (ready == 0)
                tell(doctor, PROBLEM, "devices",
                                "the plugins must be installed: lib/qvf/plugins; qvfctl devices discover",
                                "no device is ready");
}

static void look_at_store(struct doctor *doctor)
{
        _cleanup_value_ struct qvf_value *models = NULL, *jobs = NULL;

        if (qvf_list(doctor->ctl->client, "models", &models, NULL) == 0)
                tell(doctor, qvf_value_count(models) ? FINE : NOTE, "models",
                                "qvfctl models add FILE brings one", "%zu stored", qvf_value_count(models));
        if (qvf_list(doctor->ctl->client, "jobs", &jobs, NULL) < 0)
                return;
        for (size_t i = 0; i < qvf_value_count(jobs); i++) {
                const struct qvf_value *job = qvf_value_at(jobs, i);

                if (*ctl_string(job, "LastError"))
                        tell(doctor, NOTE, "job",
                                        "qvfctl job logs ID says more; qvfctl job retry ID tries again",
                                        "job %s (%s): %s", ctl_string(job, "Id"), ctl_string(job, "State"),
                                        ctl_string(job, "LastError"));
        }
}

/* What the policy can see is what the sensors gave it. */
static void look_at_policy(struct doctor *doctor, const struct qvf_value *manager)
{
        _cleanup_value_ struct qvf_value *reply = NULL;
        const struct qvf_value *constraints;

        if (*ctl_string(manager, "ConfigError"))
                tell(doctor, PROBLEM, "config", "mend the file, then qvfctl policy reload", "%s",
                                ctl_string(manager, "ConfigError"));
        else
                tell(doctor, FINE, "config", "", "%zu files in force",
                                qvf_value_count(qvf_value_get(manager, "ConfigFiles")));
        if (qvf_call(doctor->ctl->client, "manager", "", "ExplainPolicy", &reply, NULL, "") < 0)
                return;
        constraints = qvf_value_at(reply, 1);
        for (size_t i = 0; i < qvf_value_count(constraints); i++) {
                const struct qvf_value *item = qvf_value_at(constraints, i);

                if (strncmp(qvf_value_string(qvf_value_at(item, 0)), "train", 5) == 0)
                        tell(doctor, qvf_value_boolean(qvf_value_at(item, 4)) ? FINE : NOTE, "sensor",
                                        qvf_value_string(qvf_value_at(item, 5)), "%s: %s, limit %s",
                                        qvf_value_string(qvf_value_at(item, 1)),
                                        qvf_value_string(qvf_value_at(item, 2)),
                                        qvf_value_string(qvf_value_at(item, 3)));
        }
}

static void look_at_service(struct doctor *doctor, const struct ctl_common *common)
{
        _cleanup_value_ struct qvf_value *manager = NULL;
        struct qvf_failure failure;
        struct qvf_error error = { 0 };

        if (ctl_connect(doctor->ctl, common, &error) != 0) {
                _cleanup_free_ char *program = ctl_find_program("qvfd");

                tell(doctor, PROBLEM, "qvfd",
                                program ? "systemctl start qvfd (systemctl --user for your own), or qvfctl "
                                          "--private"
                                        : "qvfd is not installed beside qvfctl",
                                "%s", error.text);
                return;
        }
        if (qvf_get(doctor->ctl->client, "manager", "", &manager, &failure) < 0) {
                tell(doctor, PROBLEM, "qvfd", "journalctl -u qvfd says more", "%s", failure.message);
                return;
        }
        tell(doctor, strcmp(ctl_string(manager, "Version"), QVF_VERSION) == 0 ? FINE : NOTE, "qvfd",
                        "it is not of the same release as qvfctl: restart it", "version %s answers (%s)",
                        ctl_string(manager, "Version"), ctl_string(manager, "Mode"));
        look_at_polkit(doctor, ctl_string(manager, "Mode"));
        look_at_policy(doctor, manager);
        look_at_devices(doctor);
        look_at_store(doctor);
}

static void look_at_bus(struct doctor *doctor)
{
        const char *session = getenv("DBUS_SESSION_BUS_ADDRESS");
        bool system = access("/run/dbus/system_bus_socket", F_OK) == 0 ||
                      access("/var/run/dbus/system_bus_socket", F_OK) == 0;

        tell(doctor, system || session ? FINE : NOTE, "bus", "without one, qvfctl --private works",
                        "%s system bus, %s session bus", system ? "a" : "no",
                        session && *session ? "a" : "no");
}

static int run(const void *given, struct qvf_error *error)
{
        const struct doctor_options *options = given;
        struct doctor doctor = { .ctl = ctl_context() };

        (void)error;
        doctor.ctl->colour = ctl_terminal_wants_colour(STDOUT_FILENO, options->common.no_colour);
        if (options->common.json)
                doctor.findings = json_object_new_array();
        look_at_bus(&doctor);
        look_at_service(&doctor, &options->common);
        look_at_drivers(&doctor);
        look_at_groups(&doctor);
        look_at_limits(&doctor);
        if (doctor.findings) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "problems", json_object_new_int((int)doctor.problems));
                json_object_object_add(document, "findings", doctor.findings);
                ctl_json_print(document, false);
        }
        return doctor.problems ? CTL_FAILED : 0;
}

CTL_VERB(ctl_doctor, "doctor", "look for what is wrong, and say what to do",
                "Looks at bus, service, policy and its sensors, devices, models, jobs, drivers, groups and "
                "limits, and says what\nto do about each thing that is not right. Fails when there is a "
                "problem.",
                groups, run);
