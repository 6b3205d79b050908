/* SPDX-License-Identifier: Apache-2.0 */
/* usage: cross-test [LEVEL]…
 * Tests these levels, or all that this CPU has; and the parts of the engine in which an architecture can make a
 * difference. Runs in the folder of the sources. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "engine/backend/host.h"
#include "engine/conformance/conformance.h"
#include "engine/files/mapped_file.h"
#include "engine/model/model.h"
#include "engine/program/builder.h"
#include "tests/cross/cross.h"

static unsigned failed;

bool cross_check(bool holds, const char *name, const char *format, ...)
{
        va_list arguments;

        printf("%s %s", holds ? "ok" : "FAIL", name);
        failed += !holds;
        if (!holds && *format) {
                va_start(arguments, format);
                printf(": ");
                vprintf(format, arguments);
                va_end(arguments);
        }
        printf("\n");
        return holds;
}

void cross_need(int r, const char *what, const char *text)
{
        if (r >= 0)
                return;
        printf("FAIL %s: %s\n", what, text && *text ? text : strerror(-r));
        exit(1);
}

struct qvf_compute cross_open(const char *level, uint32_t threads)
{
        const struct qvf_device_options options = { .size = sizeof(options), .threads = threads };
        struct qvf_compute compute = { .backend = &qvf_backend };

        setenv("QVF_CPU_LEVEL", level, 1);
        cross_need(qvf_backend.device_open(&qvf_host_default, 0, &options, &compute.device), level, NULL);
        return compute;
}

static void report(void *context, const struct qvf_conformance_case *result)
{
        (void)context;
        if (!result->passed)
                printf("%s, %s: %s\n", result->op, result->what, result->text);
}

static struct qvf_conformance_summary conformance_with(
                const char *level, uint32_t threads, const struct qvf_conformance_options *options)
{
        struct qvf_compute compute = cross_open(level, threads);
        struct qvf_conformance_summary summary = { 0 };
        struct qvf_error error = { 0 };

        cross_need(qvf_conformance_run(
                                   compute.backend, compute.device, options, report, NULL, &summary, &error),
                        "conformance", error.text);
        compute.backend->device_close(compute.device);
        return summary;
}

/* QVF_TEST_FULL: all shapes, and again with one and three threads, which must give the same bits. */
static void conformance(const char *level)
{
        const char *given = getenv("QVF_TEST_SEED");
        bool full = getenv("QVF_TEST_FULL") != NULL;
        struct qvf_conformance_options options = { .seed = given ? strtoull(given, NULL, 0)
                                                                 : (uint64_t)time(NULL),
                .quick = !full,
                .op = getenv("QVF_TEST_OP") };
        struct qvf_conformance_summary summary = conformance_with(level, 2, &options);
        char name[64];

        snprintf(name, sizeof(name), "%s: conformance, %u cases", level, summary.cases);
        cross_check(summary.cases > 0 && summary.failures == 0, name, "%u cases, QVF_TEST_SEED=%llu",
                        summary.failures, (unsigned long long)options.seed);
        for (uint16_t kind = 0; kind < QVF_OP_COUNT; kind++) {
                if (qvf_conformance_bits_are_right(kind, &summary.bits[kind]))
                        continue;
                snprintf(name, sizeof(name), "%s: %s to the bit", level,
                                qvf_op_name((enum qvf_op_kind)kind));
                cross_check(false, name, "%llu of %llu numbers are not, QVF_TEST_SEED=%llu",
                                (unsigned long long)summary.bits[kind].differing,
                                (unsigned long long)summary.bits[kind].numbers,
                                (unsigned long long)options.seed);
        }
        for (uint32_t threads = 1; full && threads <= 3; threads += 2) {
                snprintf(name, sizeof(name), "%s: the same bits with %u threads", level, threads);
                cross_check(conformance_with(level, threads, &options).digest == summary.digest, name,
                                "QVF_TEST_SEED=%llu", (unsigned long long)options.seed);
        }
}

/* The shipped model's file, vocabulary and pre-tokenizer; ids of tests/data/tokens/helper-29m-ids.json. */
static void tokenizer(void)
{
        static const char text[] = "Hello, world!", hard[] = "naïve café 东京 🚀 1,234.56\n\n\tit's \xff";
        static const int32_t wanted[] = { 4649, 11, 905, 0 };
        struct qvf_compute compute = cross_open("plain", 2);
        struct qvf_model *model = NULL;
        struct qvf_text back = { 0 };
        struct qvf_error error = { 0 };
        int32_t *ids = NULL;
        size_t count = 0;

        cross_need(qvf_model_open("models/helper-29m.TQ2_0.gguf", &compute, NULL, &model, &error),
                        "helper-29m", error.text);
        cross_need(qvf_tokenizer_encode(model->tokenizer, text, strlen(text), 0, &ids, &count, &error),
                        "encode", error.text);
        cross_check(count == 4 && memcmp(ids, wanted, sizeof(wanted)) == 0, "tokenizer: ids", "%zu ids",
                        count);
        free(ids);
        ids = NULL;
        cross_need(qvf_tokenizer_encode(model->tokenizer, hard, strlen(hard), 0, &ids, &count, &error),
                        "encode", error.text);
        cross_need(qvf_tokenizer_decode(model->tokenizer, ids, count, 0, &back, &error), "decode",
                        error.text);
        cross_check(strcmp(qvf_text_string(&back), hard) == 0, "tokenizer: text comes back", "'%s'",
                        qvf_text_string(&back));
        free(ids);
        qvf_text_exit(&back);
        qvf_model_free(model);
        compute.backend->device_close(compute.device);
}

/* A file of 3 GiB, of which nothing is there: mapped where there is room for it, or refused with words. */
static void large_file(void)
{
        int fd = memfd_create("large", MFD_CLOEXEC);
        struct qvf_mapped_file *file = NULL;
        struct qvf_error error = { 0 };
        int r = fd < 0 ? -errno : ftruncate(fd, (off_t)3 << 30) < 0 ? -errno : 0;

        cross_need(r, "large file", NULL);
        r = qvf_mapped_file_open_fd(fd, "large", 0, &file, &error);
        if (sizeof(void *) > 4)
                cross_check(r == 0 && file->size == (uint64_t)3 << 30, "large file: mapped", "%s",
                                error.text);
        else
                cross_check(r == -EFBIG && strstr(error.text, "address space"), "large file: refused",
                                "%d, '%s'", r, error.text);
        if (sizeof(void *) == 4)
                cross_check(!qvf_malloc((1ull << 32) + 16), "large memory: refused", "it is there");
        qvf_mapped_file_free(file);
        close(fd);
}

static void test_level(const char *level)
{
        conformance(level);
        cross_golden_logits(level);
        cross_golden_training(level);
}

/* Whether `word` is among the words of `text`. */
static bool has_word(const char *text, const char *word)
{
        size_t length = strlen(word);
        const char *at = text;

        while ((at = strstr(at, word))) {
                if ((at == text || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
                        return true;
                at += length;
        }
        return false;
}

int main(int argc, char **argv)
{
        struct qvf_device_info info;
        uint32_t count;
        char *levels, *level, *rest;

        setvbuf(stdout, NULL, _IOLBF, 0);
        unsetenv("QVF_CPU_LEVEL");
        cross_need(qvf_backend.probe(&qvf_host_default, &info, 1, &count), "probe", NULL);
        levels = info.driver + strlen("qvf " QVF_VERSION); /* the highest first */
        for (int i = 1; i < argc; i++) {
                if (has_word(levels, argv[i]))
                        test_level(argv[i]);
                else
                        cross_check(false, argv[i], "this CPU or this build has%s", levels);
        }
        for (level = strtok_r(levels, " ", &rest); level && argc == 1; level = strtok_r(NULL, " ", &rest))
                test_level(level);
        tokenizer();
        large_file();
        return failed > 0;
}
