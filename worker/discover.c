/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/discover.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "engine/backend/loader.h"
#include "engine/backend/probe.h"
#include "worker/command.h"
#include "worker/plugins.h"
#include "worker/self_test.h"
#include "worker/status.h"
#include "worker/tuning.h"

#define BACKENDS_MOST 32u
#define LIMIT_S 20u /* drivers may compile for a while when they are asked for the first time */

struct discovery {
        const char *folder;
        int64_t limit_ms;
        bool no_self_test, no_tuning;
        const char *skips[64]; /* "BACKEND:ID:DRIVER" */
        unsigned n_skips;
        const char *wanted[BACKENDS_MOST]; /* none: all */
        unsigned n_wanted;
};

static void add_string(struct json_object *object, const char *key, const char *text)
{
        json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *key, uint64_t number)
{
        json_object_object_add(object, key, json_object_new_uint64(number));
}

static bool skips(const struct discovery *discovery, const char *backend, const struct qvf_device_info *info)
{
        char name[512];

        snprintf(name, sizeof(name), "%s:%s:%s", backend, info->id, info->driver);
        for (unsigned i = 0; i < discovery->n_skips; i++)
                if (strcmp(discovery->skips[i], name) == 0)
                        return true;
        return discovery->no_self_test;
}

static void test(const struct discovery *discovery, const char *backend, uint32_t index,
                const struct qvf_device_info *info, struct json_object *device)
{
        struct self_test_result result = { .outcome = SELF_TEST_SKIPPED };
        uint64_t start = worker_now_us();
        char digest[17] = "", tuning[QVF_TUNING_BYTES] = "";

        if (!skips(discovery, backend, info))
                self_test_run(discovery->folder, backend, index, discovery->limit_ms, &result);
        if (result.outcome == SELF_TEST_PASSED)
                snprintf(digest, sizeof(digest), "%016" PRIx64, result.digest);
        add_string(device, "self_test", self_test_outcome_name(result.outcome));
        add_number(device, "self_test_cases", result.cases);
        add_number(device, "self_test_failures", result.failures);
        add_string(device, "digest", digest);
        add_string(device, "message", result.message);
        /* Who falls back to a driver in software has no time to spend on it. */
        if (result.outcome == SELF_TEST_PASSED && !discovery->no_tuning && info->kind != QVF_DEVICE_SOFTWARE)
                tuning_run(discovery->folder, backend, index, discovery->limit_ms, tuning);
        add_string(device, "tuning", tuning);
        json_object_object_add(device, "score", json_object_new_double(result.score));
        json_object_object_add(
                        device, "seconds", json_object_new_double((double)(worker_now_us() - start) * 1e-6));
}

static struct json_object *look(const struct discovery *discovery, const char *backend)
{
        static const char *const kinds[] = { "cpu", "integrated", "discrete", "software" };
        struct qvf_device_info infos[QVF_PROBE_DEVICES];
        struct json_object *object = json_object_new_object(), *devices = json_object_new_array();
        struct qvf_error error = { 0 };
        uint32_t count = 0;

        qvf_backend_probe(discovery->folder, backend, (unsigned)discovery->limit_ms, infos,
                        QVF_PROBE_DEVICES, &count, &error);
        add_string(object, "name", backend);
        add_string(object, "error", error.code ? error.text : "");
        for (uint32_t i = 0; i < count; i++) {
                struct json_object *device = json_object_new_object();

                add_string(device, "id", infos[i].id);
                add_string(device, "name", infos[i].name);
                add_string(device, "driver", infos[i].driver);
                add_string(device, "kind", kinds[infos[i].kind]);
                add_number(device, "memory_bytes", infos[i].memory_bytes);
                add_number(device, "largest_buffer_bytes", infos[i].largest_buffer_bytes);
                json_object_object_add(device, "unified_memory",
                                json_object_new_boolean(infos[i].unified_memory != 0));
                test(discovery, backend, i, &infos[i], device);
                json_object_array_add(devices, device);
        }
        json_object_object_add(object, "devices", devices);
        return object;
}

static bool is_wanted(const struct discovery *discovery, const char *name)
{
        for (unsigned i = 0; i < discovery->n_wanted; i++)
                if (strcmp(discovery->wanted[i], name) == 0)
                        return true;
        return discovery->n_wanted == 0;
}

static int parse(int argc, char **argv, struct discovery *discovery)
{
        for (int i = 0; i < argc; i++) {
                if (strcmp(argv[i], "--no-self-test") == 0) {
                        discovery->no_self_test = true;
                } else if (strcmp(argv[i], "--no-tuning") == 0) {
                        discovery->no_tuning = true;
                } else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc) {
                        long seconds = strtol(argv[++i], NULL, 10);

                        if (seconds < 1 || seconds > 3600)
                                return -EINVAL;
                        discovery->limit_ms = seconds * 1000;
                } else if (strcmp(argv[i], "--skip") == 0 && i + 1 < argc) {
                        if (discovery->n_skips >= sizeof(discovery->skips) / sizeof(discovery->skips[0]))
                                return -EINVAL;
                        discovery->skips[discovery->n_skips++] = argv[++i];
                } else if (argv[i][0] == '-' || discovery->n_wanted >= BACKENDS_MOST) {
                        return -EINVAL;
                } else {
                        discovery->wanted[discovery->n_wanted++] = argv[i];
                }
        }
        return 0;
}

int worker_discover(int argc, char **argv)
{
        struct discovery discovery = { .limit_ms = LIMIT_S * 1000 };
        char names[BACKENDS_MOST][QVF_BACKEND_NAME_SIZE], folder[PATH_MAX];
        struct json_object *all, *backends;
        struct qvf_error error = { 0 };
        uint32_t count = 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* children have the same: nothing outlives who asked */
        if (parse(argc, argv, &discovery) < 0) {
                fputs("<3>--discover: an option is not known or its value is out of range\n", stderr);
                return WORKER_USAGE;
        }
        discovery.folder = worker_plugin_folder(folder);
        if (qvf_backend_list(discovery.folder, names, BACKENDS_MOST, &count, &error) < 0)
                fprintf(stderr, "<3>%s\n", error.text);
        all = json_object_new_object();
        backends = json_object_new_array();
        add_string(all, "version", QVF_VERSION);
        for (uint32_t i = 0; i < count; i++)
                if (is_wanted(&discovery, names[i]))
                        json_object_array_add(backends, look(&discovery, names[i]));
        json_object_object_add(all, "backends", backends);
        puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(all);
        return fflush(stdout) == 0 ? 0 : 1;
}
