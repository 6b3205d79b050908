/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/compute.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/backend/host.h"
#include "engine/backend/loader.h"

const char *test_path(const char *name)
{
        static char paths[4][4096];
        static unsigned next;
        char *path = paths[next++ % 4];
        const char *source = getenv(
                        "QVF_SOURCE"); /* tests are run in the folder of the sources, or say where it is */

        snprintf(path, sizeof(paths[0]), "%s/%s", source ? source : ".", name);
        return path;
}

static const char *backend_name(void)
{
        const char *name = getenv("QVF_TEST_BACKEND");

        return name && *name ? name : "cpu";
}

/* The AMX level with its matrix unit in plain C, which not every build has. */
static bool is_model(const char *level)
{
        return level && strcmp(level, "amx-model") == 0;
}

static const char *plugin_folder(const char *level)
{
        static char folder[4096];
        const char *build = getenv("QVF_BUILD");

        snprintf(folder, sizeof(folder), "%s/%s", build ? build : "build",
                        is_model(level) ? "tests/amx-model" : "plugins");
        return folder;
}

/* The levels that a CPU plugin can use here stand in the words of its device's driver. */
static bool has_level(const char *level)
{
        const struct qvf_backend *backend;
        struct qvf_error error = { 0 };
        struct qvf_device_info info = { 0 };
        uint32_t count;
        char word[32];

        unsetenv("QVF_CPU_LEVEL");
        ck_assert_msg(qvf_backend_open(plugin_folder(level), backend_name(), &backend, &error) == 0, "%s",
                        error.text);
        ck_assert_int_eq(backend->probe(&qvf_host_default, &info, 1, &count), 0);
        snprintf(word, sizeof(word), " %s", is_model(level) ? "amx" : level);
        return strstr(info.driver, word) != NULL;
}

bool test_on_cpu(void)
{
        return strcmp(backend_name(), "cpu") == 0;
}

bool test_level_applies(const char *level)
{
        const char *reason = NULL;

        if (!level)
                return true;
        if (!test_on_cpu())
                reason = "another backend is tested";
        else if (is_model(level) && access(plugin_folder(level), F_OK) != 0)
                reason = "not in this build";
        else if (!has_level(level))
                reason = "not on this CPU or not in this build";
        if (reason)
                printf("SKIP level %s: %s\n", level, reason);
        return !reason;
}

struct qvf_compute test_compute(const char *level, unsigned threads)
{
        const struct qvf_device_options options = { .size = sizeof(options), .threads = threads };
        struct qvf_compute compute = { 0 };
        struct qvf_error error = { 0 };

        if (level)
                setenv("QVF_CPU_LEVEL", is_model(level) ? "amx" : level, 1);
        else
                unsetenv("QVF_CPU_LEVEL");
        ck_assert_msg(qvf_backend_open(plugin_folder(level), backend_name(), &compute.backend, &error) == 0,
                        "%s", error.text);
        ck_assert_int_eq(compute.backend->device_open(&qvf_host_default, 0, &options, &compute.device), 0);
        return compute;
}

struct qvf_model *test_model(const struct qvf_compute *compute, const char *name)
{
        struct qvf_error error = { 0 };
        struct qvf_model *model = NULL;
        char path[256];

        snprintf(path, sizeof(path), "models/%s.gguf", name);
        ck_assert_msg(qvf_model_open(test_path(path), compute, NULL, &model, &error) == 0, "%s", error.text);
        return model;
}

double test_distance(const float *a, const float *b, size_t count)
{
        double difference = 0, size = 0;

        for (size_t i = 0; i < count; i++) {
                difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
                size += (double)b[i] * b[i];
        }
        return sqrt(difference / (size > 0 ? size : 1));
}
