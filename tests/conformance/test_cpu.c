/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU plugin against the plain kernels: every level that this CPU has, with one, two and three threads, whose
 * results must be the same to the last bit. */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/backend/host.h"
#include "engine/conformance/conformance.h"
#include "engine/program/builder.h"
#include "tests/support/suite.h"

#define CPU_PLUGIN "plugins/cpu.so"

static const struct {
        const char *name, *plugin;
} levels[] = {
        { "plain", CPU_PLUGIN },
        { "sse", CPU_PLUGIN },
        { "avx2", CPU_PLUGIN },
        { "avxvnni", CPU_PLUGIN },
        { "avx512", CPU_PLUGIN },
        { "amx", CPU_PLUGIN },
        { "amx", "tests/amx-model/cpu.so" }, /* the matrix unit in plain C */
        { "neon", CPU_PLUGIN },
        { "dotprod", CPU_PLUGIN },
        { "i8mm", CPU_PLUGIN },
        { "bf16", CPU_PLUGIN },
};

/* NULL where this build has no such plugin. */
static const struct qvf_backend *load(const char *plugin)
{
        const char *build = getenv("QVF_BUILD");
        const struct qvf_backend *backend;
        char path[512];
        void *handle;

        snprintf(path, sizeof(path), "%s/%s", build ? build : "build", plugin);
        if (access(path, F_OK) != 0)
                return NULL;
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        ck_assert_msg(handle != NULL, "%s", dlerror());
        backend = dlsym(handle, QVF_BACKEND_SYMBOL);
        ck_assert_ptr_nonnull(backend);
        return backend;
}

static void report(void *context, const struct qvf_conformance_case *result)
{
        double *worst = context;

        if (!result->passed)
                printf("FAIL %s, %s: %s\n", result->op, result->what, result->text);
        else if (result->worst > *worst)
                *worst = result->worst;
}

static uint64_t fresh_seed(void)
{
        const char *given = getenv("QVF_TEST_SEED");
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
}

/* False where this CPU or this build has no such level. */
static bool has_level(const struct qvf_backend *backend, const char *level)
{
        struct qvf_device_info info;
        uint32_t count;
        char word[16];

        ck_assert_int_eq(unsetenv("QVF_CPU_LEVEL"), 0);
        ck_assert_int_eq(backend->probe(&qvf_host_default, &info, 1, &count), 0);
        snprintf(word, sizeof(word), " %s", level);
        return strstr(info.driver, word) != NULL;
}

/* What docs/arithmetic.md defines to the bit; the level sse has no fused product, and keeps to the bounds only. */
static void check_bits(const char *level, const struct qvf_conformance_summary *summary)
{
        for (uint16_t kind = 0; kind < QVF_OP_COUNT && strcmp(level, "sse") != 0; kind++)
                ck_assert_msg(qvf_conformance_bits_are_right(kind, &summary->bits[kind]),
                                "%s: %llu of %llu numbers are not plain's to the bit",
                                qvf_op_name((enum qvf_op_kind)kind),
                                (unsigned long long)summary->bits[kind].differing,
                                (unsigned long long)summary->bits[kind].numbers);
}

static void check_level(const struct qvf_backend *backend, const char *level)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        bool quick = true; /* or it would take minutes */
#else
        bool quick = getenv("QVF_TEST_QUICK") != NULL; /* set where lines are counted */
#endif
        struct qvf_conformance_options options = { fresh_seed(), quick, getenv("QVF_TEST_OP") };
        struct qvf_conformance_summary first = { 0 };

        ck_assert_int_eq(setenv("QVF_CPU_LEVEL", level, 1), 0);
        printf("%s: seed %llu (QVF_TEST_SEED)\n", level, (unsigned long long)options.seed);
        for (unsigned threads = 1; threads <= 3; threads++) {
                struct qvf_device_options device_options = { .size = sizeof(device_options),
                        .threads = threads };
                struct qvf_conformance_summary summary;
                struct qvf_error error = { 0 };
                struct qvf_device *device;
                double worst = 0;

                ck_assert_int_eq(backend->device_open(&qvf_host_default, 0, &device_options, &device), 0);
                ck_assert_msg(qvf_conformance_run(backend, device, &options, report, &worst, &summary,
                                              &error) == 0,
                                "%s", error.text);
                printf("%s, %u threads: %u cases, %u failed, largest error %.2f of what is allowed\n", level,
                                threads, summary.cases, summary.failures, worst);
                ck_assert_uint_eq(summary.failures, 0);
                check_bits(level, &summary);
                if (threads == 1)
                        first = summary;
                ck_assert_msg(summary.digest == first.digest, "other bits with %u threads than with one",
                                threads);
                backend->device_close(device);
        }
}

START_TEST(conformance)
{
        const struct qvf_backend *backend = load(levels[_i].plugin);

        if (backend && has_level(backend, levels[_i].name))
                check_level(backend, levels[_i].name);
        else
                printf("SKIP conformance of level %s of %s: not on this CPU or not in this build\n",
                                levels[_i].name, levels[_i].plugin);
}
END_TEST

static void silent(void *context, const struct qvf_conformance_case *result)
{
        unsigned *failures = context;

        *failures += !result->passed;
}

/* A device that computes wrongly must not pass: this one adds 1/4096 to the scale of every ternary product. */
static struct qvf_op broken_op;
static int (*real_program_new)(struct qvf_device *, const struct qvf_program_desc *, struct qvf_program **);

static int broken_program_new(struct qvf_device *device, const struct qvf_program_desc *desc,
                struct qvf_program **ret_program)
{
        struct qvf_program_desc copy = *desc;

        broken_op = desc->ops[0];
        broken_op.f[0] *= 1 + 1.0f / 1024;
        copy.ops = &broken_op;
        return real_program_new(device, &copy, ret_program);
}

START_TEST(notices_errors)
{
        static const char *const ops[] = { "MATMUL", "FILL", "ADD", "ATTENTION", "MATMUL_WEIGHT_BACKWARD" };
        struct qvf_backend broken = *load(CPU_PLUGIN);
        struct qvf_device_options device_options = { .size = sizeof(device_options), .threads = 1 };
        struct qvf_device *device;

        real_program_new = broken.program_new;
        broken.program_new = broken_program_new;
        ck_assert_int_eq(broken.device_open(&qvf_host_default, 0, &device_options, &device), 0);
        for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
                struct qvf_conformance_options options = {
                        .seed = fresh_seed(), .quick = true, .op = ops[i]
                };
                struct qvf_conformance_summary summary;
                unsigned failures = 0;

                ck_assert_int_eq(qvf_conformance_run(&broken, device, &options, silent, &failures, &summary,
                                                 NULL),
                                0);
                ck_assert_uint_eq(failures, summary.failures);
                ck_assert_msg(summary.failures * 2 > summary.cases, "%s: only %u of %u cases failed", ops[i],
                                summary.failures, summary.cases);
        }
        ck_assert_int_eq(qvf_conformance_run(&broken, device,
                                         &(struct qvf_conformance_options){ .op = "NOTHING" }, silent, NULL,
                                         &(struct qvf_conformance_summary){ 0 }, NULL),
                        -22);
        broken.device_close(device);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("conformance");
        TCase *tcase = tcase_create("conformance");
        SRunner *runner = srunner_create(suite);
        int failed;

        /* A test that fails leaves without flushing what it has printed. */
        setvbuf(stdout, NULL, _IOLBF, 0);
        tcase_set_timeout(tcase, 280);
        tcase_add_loop_test(tcase, conformance, 0, (int)(sizeof(levels) / sizeof(levels[0])));
        tcase_add_test(tcase, notices_errors);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
