/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters as files: what they hold, from GGUF to PEFT and back, several into one, into a base model. Needs no
 * backend. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/report.h"
#include "bench/verbs.h"
#include "engine/adapters/gguf_adapter.h"
#include "engine/adapters/into_base.h"
#include "engine/adapters/merge.h"
#include "engine/adapters/peft.h"

enum { DO_INFO, DO_CONVERT, DO_MERGE, DO_INTO_BASE };
enum { TO_GGUF, TO_PEFT };

struct adapter_options {
        uint32_t what, to, type, rank;
        struct bench_strings adapters;
        const char *model, *architecture, *output, *base_name;
        bool json;
};

/* The ternary ones are there to say why they cannot be. */
static const struct {
        const char *name;
        enum qvf_dtype dtype;
} types[] = { { "as-is", QVF_F16 }, { "f32", QVF_F32 }, { "f16", QVF_F16 }, { "q8_0", QVF_Q8_0 },
        { "tq1_0", QVF_TQ1_0 }, { "tq2_0", QVF_TQ2_0 } };
#define TYPE_CHOICES "as-is|f32|f16|q8_0|tq1_0|tq2_0"

static const struct bench_option options[] = {
        { "do", 0, BENCH_CHOICE, offsetof(struct adapter_options, what), "info|convert|merge|into-base",
                        "what to do (default: info)", 0, 0 },
        { "adapter", 'a', BENCH_STRINGS, offsetof(struct adapter_options, adapters), "PATH[:WEIGHT]",
                        "a GGUF file or a PEFT folder; several to merge", 0, 0 },
        { "model", 'm', BENCH_STRING, offsetof(struct adapter_options, model), "FILE", "the base model", 0,
                        0 },
        { "architecture", 0, BENCH_STRING, offsetof(struct adapter_options, architecture), "NAME",
                        "of the base of a PEFT folder, where no model is given (default: bitnet)", 0, 0 },
        { "output", 'o', BENCH_STRING, offsetof(struct adapter_options, output), "PATH", "what is written",
                        0, 0 },
        { "to", 0, BENCH_CHOICE, offsetof(struct adapter_options, to), "gguf|peft",
                        "as a GGUF file or a PEFT folder (default: gguf)", 0, 0 },
        { "type", 0, BENCH_CHOICE, offsetof(struct adapter_options, type), TYPE_CHOICES,
                        "of the numbers written: as-is, f32, f16 to gguf; f16, q8_0, f32 into a base", 0,
                        0 },
        { "rank", 'r', BENCH_COUNT, offsetof(struct adapter_options, rank), "N",
                        "of a merged adapter (default: as large as it must be)", 1, QVF_ADAPTER_RANK_MOST },
        { "base-name", 0, BENCH_STRING, offsetof(struct adapter_options, base_name), "NAME",
                        "what a PEFT folder names as its base", 0, 0 },
        { "json", 0, BENCH_FLAG, offsetof(struct adapter_options, json), NULL, "print JSON", 0, 0 },
        { 0 },
};

struct work {
        const struct adapter_options *options;
        struct qvf_gguf *gguf;       /* of the model, or NULL */
        struct qvf_model_info *info; /* likewise */
        struct qvf_adapter_file *files[BENCH_LIST_MAX];
        struct qvf_merge_part parts[BENCH_LIST_MAX];
        struct json_object *report;
        struct qvf_error *error;
};

static void work_exit(struct work *work)
{
        for (uint32_t i = 0; i < BENCH_LIST_MAX; i++)
                qvf_adapter_file_free(work->files[i]);
        qvf_model_info_free(work->info);
        qvf_gguf_free(work->gguf);
        json_object_put(work->report);
}

static int find_base(const struct work *work, const char *architecture, struct qvf_peft_base *ret_base)
{
        int r = 0;

        if (work->info)
                qvf_peft_base_from_model(work->info, ret_base);
        else
                r = qvf_peft_base_from_name(architecture, ret_base, work->error);
        ret_base->name = work->options->base_name;
        return r;
}

/* "PATH:WEIGHT", unless what follows the last colon is no number: then all of it is the path. */
static int open_adapter(struct work *work, uint32_t index)
{
        _cleanup_free_ char *path = strdup(work->options->adapters.items[index]);
        const char *architecture = work->options->architecture ? work->options->architecture : "bitnet";
        float weight = 1;
        struct qvf_peft_base base;
        struct stat st;
        char *colon, *end;
        int r;

        if (!path)
                return qvf_error_set(work->error, -ENOMEM, "out of memory");
        colon = strrchr(path, ':');
        if (colon && colon[1]) {
                float number = strtof(colon + 1, &end);

                if (!*end) {
                        weight = number;
                        *colon = 0;
                }
        }
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
                r = find_base(work, architecture, &base);
                r = r < 0 ? r : qvf_peft_open(path, &base, &work->files[index], work->error);
        } else {
                r = qvf_adapter_file_open_gguf(path, &work->files[index], work->error);
        }
        if (r == 0 && work->info)
                r = qvf_adapter_file_check_model(work->files[index], work->info, work->error);
        work->parts[index] = (struct qvf_merge_part){ work->files[index], weight };
        return r;
}

static int open_all(struct work *work)
{
        int r = 0;

        if (work->options->model) {
                r = qvf_gguf_open(work->options->model, &work->gguf, work->error);
                r = r < 0 ? r : qvf_model_info_new(work->gguf, &work->info, work->error);
        }
        for (uint32_t i = 0; r == 0 && i < work->options->adapters.count; i++)
                r = open_adapter(work, i);
        return r;
}

static void report_count(struct json_object *report, const char *key, const char *words, uint64_t value)
{
        bench_report_count(report, key, value);
        if (!report)
                printf("%-24s %" PRIu64 "\n", words, value);
}

static void report_module(const struct qvf_adapter_file *file, unsigned module, struct json_object *report)
{
        uint32_t layers = 0, least = UINT32_MAX, most = 0;
        double least_scale = HUGE_VAL, most_scale = 0;

        for (uint32_t layer = 0; layer < file->n_layers; layer++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[layer * QVF_MODULES + module];
                double scale = qvf_adapter_file_scale(file, matrix);

                if (matrix->rank == 0)
                        continue;
                layers++;
                least = matrix->rank < least ? matrix->rank : least;
                most = matrix->rank > most ? matrix->rank : most;
                least_scale = scale < least_scale ? scale : least_scale;
                most_scale = scale > most_scale ? scale : most_scale;
        }
        if (layers == 0)
                return;
        report = bench_report_object(report, qvf_module_name(module));
        bench_report_count(report, "layers", layers);
        bench_report_count(report, "least_rank", least);
        bench_report_count(report, "most_rank", most);
        bench_report_number(report, "least_scale", least_scale);
        bench_report_number(report, "most_scale", most_scale);
        if (!report)
                printf("%-24s %" PRIu32 " layers, rank %" PRIu32 " to %" PRIu32 ", scale %g to %g\n",
                                qvf_module_name(module), layers, least, most, least_scale, most_scale);
}

static void report_adapter(const struct qvf_adapter_file *file, struct json_object *report)
{
        uint64_t n_parameters = 0;

        bench_report_string(report, "architecture", file->architecture);
        bench_report_string(report, "name", file->name);
        if (!report) {
                struct qvf_error printable = { 0 }; /* names come from files */

                qvf_error_set(&printable, 0, "%s", file->name ? file->name : "-");
                printf("%-24s %s\n%-24s %s\n", "architecture", file->architecture, "name", printable.text);
        }
        for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++) {
                const struct qvf_adapter_matrix *matrix = &file->matrices[i];

                n_parameters += (uint64_t)matrix->rank * ((uint64_t)matrix->a.columns + matrix->b.rows);
        }
        report_count(report, "layers", "layers", file->n_layers);
        report_count(report, "parameters", "parameters", n_parameters);
        for (unsigned module = 0; module < QVF_MODULES; module++)
                report_module(file, module, report);
}

static int save(struct work *work, const struct qvf_adapter_file *file)
{
        const struct adapter_options *chosen = work->options;
        struct qvf_peft_base base;
        uint32_t folded = 0;
        int r;

        if (chosen->to == TO_PEFT) {
                r = find_base(work, file->architecture, &base);
                return r < 0 ? r : qvf_peft_save(file, &base, chosen->output, work->error);
        }
        if (chosen->type > 2)
                return qvf_error_set(work->error, BENCH_USAGE, "--type %s: adapters are as-is, f32 or f16",
                                types[chosen->type].name);
        r = qvf_adapter_file_save_gguf(
                        file, (enum qvf_adapter_dtype)chosen->type, chosen->output, &folded, work->error);
        if (r == 0)
                report_count(work->report, "folded", "scales folded into B", folded);
        return r;
}

static int merge(struct work *work, uint32_t rank, struct qvf_adapter_file **ret_file)
{
        struct qvf_merge_report merged;
        int r = qvf_adapter_merge(
                        work->parts, work->options->adapters.count, rank, ret_file, &merged, work->error);

        if (r < 0)
                return r;
        report_count(work->report, "matrices", "matrices", merged.n_matrices);
        report_count(work->report, "reduced", "brought to a lower rank", merged.n_reduced);
        bench_report_number(work->report, "discarded", merged.discarded);
        bench_report_number(work->report, "worst_discarded", merged.worst_discarded);
        if (!work->report && merged.n_reduced > 0)
                printf("%-24s %.3g of |ΔW|², %.3g of the worst matrix (layer %" PRIu32 ", %s)\n",
                                "discarded", merged.discarded, merged.worst_discarded, merged.worst_layer,
                                qvf_module_name(merged.worst_module));
        return 0;
}

static int into_base(struct work *work)
{
        const struct qvf_into_base_options wanted = {
                .dtype = types[work->options->type].dtype,
                .scale = work->parts[0].weight,
                .i2s_order = QVF_I2S_AUTO,
        };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *merged = NULL;
        struct qvf_into_base_options exact = wanted;
        struct qvf_into_base_report done;
        int r = 0;

        if (!work->info)
                return qvf_error_set(work->error, BENCH_USAGE, "into which base? give --model FILE");
        if (work->options->adapters.count > 1) {
                r = merge(work, 0, &merged);
                exact.scale = 1; /* the weights are in the numbers now */
        }
        r = r < 0 ? r
                  : qvf_into_base_save(work->info, merged ? merged : work->files[0], &exact,
                                    work->options->output, &done, work->error);
        if (r < 0)
                return r;
        report_count(work->report, "adapted", "matrices adapted", done.n_adapted);
        report_count(work->report, "unadapted", "matrices only made dense", done.n_unadapted);
        report_count(work->report, "as_f16", "f16 in place of q8_0", done.n_as_f16);
        return 0;
}

static int check_usage(const struct adapter_options *chosen, struct qvf_error *error)
{
        if (chosen->adapters.count == 0)
                return qvf_error_set(error, BENCH_USAGE, "which adapter? give --adapter PATH");
        if (chosen->what != DO_INFO && !chosen->output)
                return qvf_error_set(error, BENCH_USAGE, "write to where? give --output PATH");
        if ((chosen->what == DO_INFO || chosen->what == DO_CONVERT) && chosen->adapters.count > 1)
                return qvf_error_set(
                                error, BENCH_USAGE, "one adapter at a time; several are for --do merge");
        return 0;
}

static int run(const void *options_, struct qvf_error *error)
{
        const struct adapter_options *chosen = options_;
        _cleanup_(work_exit) struct work work = { .options = chosen, .error = error };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *merged = NULL;
        int r = check_usage(chosen, error);

        if (r != 0)
                return r;
        work.report = chosen->json ? bench_report_new("adapter") : NULL;
        r = open_all(&work);
        if (r != 0)
                return r;
        switch (chosen->what) {
        case DO_INFO: report_adapter(work.files[0], work.report); break;
        case DO_INTO_BASE: r = into_base(&work); break;
        case DO_CONVERT:
                if (work.parts[0].weight != 1)
                        r = qvf_error_set(error, BENCH_USAGE, "a weight is for --do merge, or into-base");
                r = r != 0 ? r : save(&work, work.files[0]);
                break;
        case DO_MERGE:
                r = merge(&work, chosen->rank, &merged);
                r = r != 0 ? r : save(&work, merged);
                break;
        default: r = -EINVAL; break;
        }
        if (r == 0)
                bench_report_print(work.report);
        return r;
}

const struct bench_verb bench_adapter = {
        .name = "adapter",
        .summary = "adapters as files: look, convert, merge",
        .description = "Says what an adapter holds; turns GGUF into PEFT and back; makes one adapter of "
                       "several, side by\n"
                       "side or, with --rank, by SVD; or makes a dense model of a base and an adapter.",
        .groups = (const struct bench_option_group[]){ { options, 0 }, { 0 } },
        .defaults = &(const struct adapter_options){ 0 },
        .options_size = sizeof(struct adapter_options),
        .run = run,
};
