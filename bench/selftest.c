/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of a device against the plain kernels. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/session.h"
#include "bench/verbs.h"
#include "engine/backend/loader.h"
#include "engine/conformance/conformance.h"
#include "engine/program/builder.h"

struct selftest_options {
        struct bench_device_options device;
        struct bench_seed seed;
        const char *op;
        bool quick, all, bits, json, tune;
        uint32_t budget_ms;
};

static const struct bench_option options[] = {
        { "quick", 0, BENCH_FLAG, offsetof(struct selftest_options, quick), NULL,
                        "fewer shapes: a few seconds", 0, 0 },
        { "op", 0, BENCH_STRING, offsetof(struct selftest_options, op), "NAME", "only this operation", 0,
                        0 },
        { "seed", 0, BENCH_SEED, offsetof(struct selftest_options, seed), "N",
                        "of the arbitrary numbers (default: 1)", 0, 0 },
        { "all", 'a', BENCH_FLAG, offsetof(struct selftest_options, all), NULL, "print what passed too", 0,
                        0 },
        { "bits", 0, BENCH_FLAG, offsetof(struct selftest_options, bits), NULL,
                        "fail where inference is not the reference's to the bit, too", 0, 0 },
        { "tune", 0, BENCH_FLAG, offsetof(struct selftest_options, tune), NULL,
                        "if all passed, measure which ways of doing things are fastest on this device, "
                        "print them and "
                        "keep them in the folder of --shader-cache",
                        0, 0 },
        { "budget", 0, BENCH_COUNT, offsetof(struct selftest_options, budget_ms), "MS",
                        "of --tune: the device works for it about so long (default: 2000), and compiling "
                        "comes on top",
                        1, 600000 },
        { "json", 0, BENCH_FLAG, offsetof(struct selftest_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

struct reporter {
        const struct selftest_options *options;
        struct json_object *cases;
};

static void report_case(void *reporter_, const struct qvf_conformance_case *result)
{
        const struct reporter *reporter = reporter_;
        bool differs = reporter->options->bits && result->bits.differing > 0;
        struct json_object *item;

        if (result->passed && !differs && !reporter->options->all)
                return;
        item = bench_report_item(reporter->cases);
        bench_report_string(item, "op", result->op);
        bench_report_string(item, "what", result->what);
        bench_report_string(item, "result", result->passed ? "passed" : "failed");
        bench_report_number(item, "error_in_parts_of_allowed", result->worst);
        bench_report_string(item, "text", result->text);
        bench_report_count(item, "differing", result->bits.differing);
        if (reporter->cases)
                return;
        printf("%-6s %-24s %-40s %8.3f%s%s", result->passed ? "ok" : "FAIL", result->op, result->what,
                        result->worst, result->text[0] ? "  " : "", result->text);
        if (differs)
                printf("  %" PRIu64 " of %" PRIu64 " numbers differ", result->bits.differing,
                                result->bits.numbers);
        putchar('\n');
        fflush(stdout); /* a device may hang or take the machine down at the next case */
}

/* The operations that are not the reference's to the bit; returns how many. */
static unsigned report_bits(const struct qvf_conformance_summary *summary, struct json_object *report)
{
        struct json_object *all = bench_report_array(report, "bits");
        unsigned wrong = 0;

        for (unsigned kind = 0; kind < QVF_OP_COUNT; kind++) {
                const struct qvf_conformance_bits *bits = &summary->bits[kind];
                bool right = qvf_conformance_bits_are_right((uint16_t)kind, bits);
                struct json_object *item = bits->numbers ? bench_report_item(all) : NULL;

                wrong += !right;
                bench_report_string(item, "op", qvf_op_name((enum qvf_op_kind)kind));
                bench_report_count(item, "numbers", bits->numbers);
                bench_report_count(item, "differing", bits->differing);
                if (!report && bits->numbers)
                        printf("%-6s %-24s %" PRIu64 " of %" PRIu64 " numbers differ from the reference\n",
                                        right ? "ok" : "FAIL", qvf_op_name((enum qvf_op_kind)kind),
                                        bits->differing, bits->numbers);
        }
        return wrong;
}

static void report_way(void *ways, const struct qvf_tuning_row *row)
{
        struct json_object *item = bench_report_item(ways);

        bench_report_string(item, "what", row->what);
        bench_report_string(item, "way", row->way);
        bench_report_number(item, "ms", row->ms);
        bench_report_count(item, "chosen", row->chosen);
        bench_report_string(item, "note", row->note);
        if (ways)
                return;
        if (row->ms > 0)
                printf("%-20s %8s %10.3f ms  %-6s %s\n", row->what, row->way, row->ms,
                                row->chosen ? "chosen" : "", row->note);
        else
                printf("%-20s %8s %10s     %-6s %s\n", row->what, row->way, "-", row->chosen ? "chosen" : "",
                                row->note);
        fflush(stdout);
}

static int tune(const struct bench_session *session, const struct selftest_options *chosen,
                struct json_object *report, struct qvf_error *error)
{
        const struct qvf_backend *backend = session->compute.backend;
        const struct qvf_tuning_options wanted = { .size = sizeof(wanted),
                .budget_ms = chosen->budget_ms,
                .context = bench_report_array(report, "tuning"),
                .tell = report_way };
        char text[QVF_TUNING_BYTES];
        int r;

        if (!qvf_backend_can_tune(backend))
                return qvf_error_set(error, BENCH_USAGE,
                                "--tune: there is nothing to tune in the %s backend", backend->name);
        r = backend->tune(session->compute.device, &wanted, text);
        if (r < 0)
                return qvf_error_set(error, r, "tuning the device: %s", strerror(-r));
        bench_report_string(report, "tuning_text", text);
        if (!report && chosen->device.cache)
                printf("kept in %s: verbs with --shader-cache %s use it\n", chosen->device.cache,
                                chosen->device.cache);
        else if (!report)
                printf("kept nowhere, as no --shader-cache FOLDER was named\n");
        return 0;
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct selftest_options *chosen = options_;
        _cleanup_report_ struct json_object *report = chosen->json ? bench_report_new("selftest") : NULL;
        _cleanup_session_ struct bench_session session = { 0 };
        const struct qvf_conformance_options wanted = {
                .seed = chosen->seed.given ? chosen->seed.value : 1,
                .quick = chosen->quick,
                .op = chosen->op,
        };
        struct reporter reporter = { .options = chosen };
        struct qvf_conformance_summary summary;
        unsigned differing = 0;
        char digest[17];
        int r;

        r = bench_session_open_device(&session, &chosen->device, error);
        if (r < 0)
                return r;
        bench_session_describe(&session, report);
        bench_report_string(report, "driver", session.device.driver);
        reporter.cases = bench_report_array(report, "cases");
        r = qvf_conformance_run(session.compute.backend, session.compute.device, &wanted, report_case,
                        &reporter, &summary, error);
        if (r < 0)
                return r;
        if (summary.cases == 0)
                return qvf_error_set(error, BENCH_USAGE, "--op %s: there is no such operation",
                                chosen->op ? chosen->op : "");
        snprintf(digest, sizeof(digest), "%016" PRIx64, summary.digest);
        bench_report_count(report, "tested", summary.cases);
        bench_report_count(report, "failed", summary.failures);
        bench_report_string(report, "digest", digest);
        if (chosen->bits)
                differing = report_bits(&summary, report);
        if (!report)
                printf("%s (%s), %s: %u of %u cases passed, digest %s\n", session.device.name,
                                session.compute.backend->name, session.device.driver,
                                summary.cases - summary.failures, summary.cases, digest);
        if (chosen->tune && summary.failures == 0)
                r = tune(&session, chosen, report, error);
        bench_report_print(report);
        if (r != 0)
                return r;
        if (summary.failures)
                return qvf_error_set(error, -EBADMSG, "%u of %u cases failed: this device must not be used",
                                summary.failures, summary.cases);
        if (differing)
                return qvf_error_set(error, -EBADMSG,
                                "%u operations of inference are not the reference's to the bit", differing);
        return 0;
}

const struct bench_verb bench_selftest = {
        .name = "selftest",
        .summary = "every operation of a backend's device against the reference",
        .description = "Runs every operation on the device over odd shapes and arbitrary numbers, and "
                       "compares the\n"
                       "results with those of the plain reference.",
        .groups =
                        (const struct bench_option_group[]){
                                        { bench_device_option_table,
                                                        offsetof(struct selftest_options, device) },
                                        { options, 0 },
                                        { 0 },
                        },
        .defaults = &(const struct selftest_options){ .quick = false },
        .options_size = sizeof(struct selftest_options),
        .run = run,
};
