/* SPDX-License-Identifier: Apache-2.0 */
/* Measures the ways that tuning.h names. Each knob is turned by itself, on small programs whose time hangs on it: the way
 * of the rules and the others run in turn, as the host's clock sees them, and medians are compared. Another way is taken
 * only where it wrote the same bits and is clearly faster, in a second contest too. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "plugins/vulkan/kept.h"
#include "plugins/vulkan/tune_cases.h"
#include "common/sha256.h"

#define CASES_MOST 4u
#define CLEARLY 0.97        /* of the rule's time, on average over the cases, */
#define NOWHERE_SLOWER 1.05 /* and in none of them more */
#define ROUNDS_LEAST 5u
#define ROUNDS_MOST 21u
#define CASE_MS 15.0     /* for the rounds of a case, where ROUNDS_LEAST take less */
#define PROGRAM_MS 8.0   /* of a case, about */
#define DISPATCH_MS 5.0  /* no submission is to be longer than 100 */
#define TOO_SLOW_MS 40.0 /* a program that takes so long after all is left out */
#define WARM_MS 100.0    /* clocks rise, and the device's speed is learned */
#define BUDGET_MS 2000u
#define COMPILING 4.0 /* times the budget, at most, for the driver's compiling beside the device's work */

struct trial {
        enum vk_knob knob;
        struct vk_case cases[CASES_MOST]; /* times 0: no more */
        bool standing;                    /* without a walk, which would hide it */
};

/* What people wait for most comes first: the time may be over before the end. */
static const struct trial trials[] = {
        { VK_TUNE_DECODE_GROUPS,
                        { { VK_CASE_TOKEN, 1, 768, 2048, 4, 0 }, { VK_CASE_TOKEN, 1, 2048, 5632, 3, 0 } },
                        true },
        { VK_TUNE_WALK_PERCENT,
                        { { VK_CASE_TOKEN, 1, 768, 2048, 4, 0 }, { VK_CASE_TOKEN, 1, 2048, 5632, 3, 0 } },
                        false },
        { VK_TUNE_ATTENTION_LANES,
                        { { VK_CASE_ATTENTION, 1, 1024, 1024, 16, 0 },
                                        { VK_CASE_ATTENTION, 4, 2048, 1024, 8, 0 } },
                        false },
        { VK_TUNE_PROMPT_STEP,
                        { { VK_CASE_ATTENTION, 512, 1024, 1024, 2, 0 },
                                        { VK_CASE_ATTENTION, 64, 1024, 1024, 4, 0 } },
                        false },
        { VK_TUNE_PROMPT_ROWS,
                        { { VK_CASE_ATTENTION, 12, 1024, 1024, 8, 0 },
                                        { VK_CASE_ATTENTION, 48, 1024, 1024, 8, 0 },
                                        { VK_CASE_ATTENTION, 96, 1024, 1024, 4, 0 },
                                        { VK_CASE_ATTENTION, 192, 1024, 1024, 4, 0 } },
                        false },
        { VK_TUNE_HEAD_NUMBERS,
                        { { VK_CASE_HEAD, 1, 768, 8192, 3, 0 }, { VK_CASE_HEAD, 1, 2048, 8192, 2, 0 } },
                        false },
        { VK_TUNE_THIN_ROWS,
                        { { VK_CASE_THIN, 128, 2048, 0, 16, 0 }, { VK_CASE_THIN, 512, 2048, 0, 8, 0 },
                                        { VK_CASE_THIN, 1024, 2048, 0, 8, 0 } },
                        false },
        { VK_TUNE_OUTER_PERCENT,
                        { { VK_CASE_THICK, 128, 2048, 0, 16, 0 }, { VK_CASE_THICK, 1024, 2048, 0, 4, 0 } },
                        false },
        { VK_TUNE_FORWARD_PERCENT,
                        { { VK_CASE_FORWARD, 32, 2048, 2048, 8, 0 },
                                        { VK_CASE_FORWARD, 128, 2048, 2048, 8, 1 },
                                        { VK_CASE_FORWARD, 512, 2048, 5632, 4, 0 },
                                        { VK_CASE_FORWARD, 512, 768, 2048, 8, 1 } },
                        false },
        { VK_TUNE_BACKWARD_TILES,
                        { { VK_CASE_BACKWARD, 128, 2048, 2048, 8, 1 },
                                        { VK_CASE_BACKWARD, 128, 2048, 5632, 4, 1 },
                                        { VK_CASE_BACKWARD, 512, 5632, 2048, 4, 1 },
                                        { VK_CASE_BACKWARD, 128, 768, 2048, 8, 1 } },
                        false },
        { VK_TUNE_VECTOR_GROUPS,
                        { { VK_CASE_FORWARD, 1, 2048, 2048, 16, 0 },
                                        { VK_CASE_FORWARD, 4, 2048, 5632, 8, 0 } },
                        false },
        { VK_TUNE_VECTOR_LANES,
                        { { VK_CASE_FORWARD, 1, 2048, 2048, 16, 0 },
                                        { VK_CASE_FORWARD, 4, 5632, 2048, 8, 0 } },
                        false },
        { VK_TUNE_VECTOR_ROWS,
                        { { VK_CASE_FORWARD, 3, 2048, 2048, 16, 0 },
                                        { VK_CASE_FORWARD, 4, 2048, 5632, 8, 0 },
                                        { VK_CASE_FORWARD, 7, 2048, 2048, 16, 0 } },
                        false },
        { VK_TUNE_FORWARD_LARGEST,
                        { { VK_CASE_FORWARD, 512, 2048, 2048, 8, 1 },
                                        { VK_CASE_FORWARD, 512, 2048, 5632, 4, 0 } },
                        false },
};

struct way {                         /* one value of a knob, in one case */
        struct qvf_program *program; /* NULL: it is one of the others, or was refused */
        uint64_t hash;
        uint32_t same_as; /* the way that does the very same; itself: none */
        double median_ms;
};

struct found { /* of a value, over the cases */
        uint16_t value;
        double log_ratio, worst, ms;
        uint32_t cases;      /* where it is another way than the rule's */
        const char *refused; /* NULL: it may be taken */
};

struct tune {
        struct qvf_device *device;
        const struct qvf_tuning_options *options;
        struct vk_sketch *sketch;
        void *before, *after;                    /* results */
        double device_ms, device_end_ms, end_ms; /* the device worked so long, and may; when all must end */
};

static double now_ms(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static bool time_is_over(const struct tune *tune)
{
        return tune->device_ms >= tune->device_end_ms || now_ms() >= tune->end_ms;
}

static struct qvf_program_desc describe(const struct vk_sketch *sketch)
{
        return (struct qvf_program_desc){ .size = sizeof(struct qvf_program_desc),
                .n_values = sketch->n_values,
                .n_ops = sketch->n_ops,
                .values = sketch->values,
                .ops = sketch->ops,
                .name = "tuning" };
}

static int run(struct tune *tune, struct qvf_program *program, double *ret_ms)
{
        const struct qvf_args args = {
                .size = sizeof(args), .rows = tune->sketch->rows, .output_rows = tune->sketch->rows
        };
        double begun = now_ms();
        int r = vk_submit(program, &args);

        r = r < 0 ? r : vk_wait(program, -1);
        *ret_ms = now_ms() - begun;
        tune->device_ms += *ret_ms;
        return r < 0                        ? r
               : r == QVF_RUN_DONE          ? 0
               : r == QVF_RUN_OUT_OF_MEMORY ? -ENOMEM
               : r == QVF_RUN_HUNG          ? -ETIME
                                            : -ENODEV;
}

/* As large as it may be on a device of this speed. False: no size is small enough. */
static int size_case(const struct tune *tune, const struct vk_case *wanted, bool *ret_fits)
{
        double per_ms = tune->device->cost_per_ms;
        struct vk_trace trace;

        *ret_fits = false;
        for (uint32_t shift = 0; shift <= VK_SKETCH_SHIFT_MOST; shift++)
                for (uint32_t times = wanted->times; times > 0; times /= 2) {
                        struct qvf_program_desc desc;
                        int r;

                        vk_sketch(tune->sketch, wanted, times, shift);
                        if (tune->sketch->failed)
                                continue;
                        desc = describe(tune->sketch);
                        r = vk_program_trace(tune->device, &desc, &trace);
                        if (r < 0)
                                return r;
                        *ret_fits = (double)trace.dearest <= DISPATCH_MS * per_ms &&
                                    (double)trace.cost <= PROGRAM_MS * per_ms;
                        if (*ret_fits)
                                return 0;
                        if ((double)trace.dearest > DISPATCH_MS * per_ms)
                                break;
                }
        return 0;
}

static int take_results(const struct tune *tune, uint8_t *bytes)
{
        const struct vk_sketch *s = tune->sketch;
        size_t at = 0;
        int r = 0;

        for (uint32_t i = 0; i < s->n_results && r == 0; i++) {
                const struct qvf_value *value = &s->values[s->results[i]];
                uint64_t length = 4ull * value->rows * value->columns;

                r = vk_buffer_download(value->buffer, value->offset, bytes + at, length);
                at += length;
        }
        return r;
}

static size_t result_bytes(const struct vk_sketch *s)
{
        size_t bytes = 0;

        for (uint32_t i = 0; i < s->n_results; i++)
                bytes += 4ull * s->values[s->results[i]].rows * s->values[s->results[i]].columns;
        return bytes;
}

static void set(struct tune *tune, enum vk_knob knob, uint16_t value, bool standing)
{
        tune->device->tuning.value[knob] = value;
        vk_tuned_apply(tune->device);
        if (standing)
                tune->device->walk_groups = 0;
}

/* Its program, and one run to see whether it gives the bits that the rule's way gives. 1: it does not. */
static int prepare(
                struct tune *tune, const struct trial *trial, uint16_t value, uint32_t at, struct way *ways)
{
        struct qvf_program_desc desc = describe(tune->sketch);
        struct way *way = &ways[at];
        size_t bytes = result_bytes(tune->sketch);
        struct vk_trace trace;
        double ms;
        int r;

        set(tune, trial->knob, value, trial->standing);
        r = vk_program_trace(tune->device, &desc, &trace);
        if (r < 0)
                return r;
        way->hash = trace.hash;
        for (way->same_as = 0; way->same_as < at; way->same_as++)
                if (ways[way->same_as].hash == way->hash)
                        return 0;
        r = vk_program_new(tune->device, &desc, &way->program);
        r = r < 0 ? r : vk_sketch_refill(tune->sketch);
        r = r < 0 ? r : run(tune, way->program, &ms);
        r = r < 0 ? r : take_results(tune, at == 0 ? tune->before : tune->after);
        return r < 0 ? r : at > 0 && memcmp(tune->before, tune->after, bytes) != 0;
}

static int compare_numbers(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

/* In turn, so that whatever slows the machine down slows all of them. */
static int contest(struct tune *tune, struct way *ways, uint32_t count)
{
        double times[VK_WAYS_MOST][ROUNDS_MOST], begun = now_ms();
        uint32_t rounds = 0;

        for (; rounds < ROUNDS_MOST && (rounds < ROUNDS_LEAST || now_ms() - begun < CASE_MS); rounds++)
                for (uint32_t i = 0; i < count; i++) {
                        uint32_t at = (i + rounds) % count;
                        int r = ways[at].program ? run(tune, ways[at].program, &times[at][rounds]) : 0;

                        if (r < 0)
                                return r;
                }
        for (uint32_t i = 0; i < count; i++) {
                if (!ways[i].program)
                        continue;
                qsort(times[i], rounds, sizeof(double), compare_numbers);
                ways[i].median_ms = times[i][rounds / 2];
        }
        return 0;
}

/* What a case says of the ways is added to what others said. */
static void weigh(const struct way *ways, struct found *found, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++) {
                const struct way *way = &ways[ways[i].same_as];
                double ratio = way->median_ms / ways[0].median_ms;

                if (found[i].refused || !way->program)
                        continue;
                found[i].cases += ways[i].same_as != 0;
                found[i].ms += way->median_ms;
                found[i].log_ratio += log(ratio);
                found[i].worst = fmax(found[i].worst, ratio);
        }
}

/* One case. `found` has one entry for each way, the rule's first. */
static int try_case(struct tune *tune, const struct trial *trial, const struct vk_case *wanted,
                struct found *found, uint32_t count, bool *ret_measured)
{
        struct way ways[VK_WAYS_MOST] = { 0 };
        bool fits = false;
        int r;

        set(tune, trial->knob, found[0].value, trial->standing);
        r = size_case(tune, wanted, &fits);
        for (uint32_t i = 0; i < count && r == 0 && fits; i++) {
                ways[i].same_as = i;
                if (found[i].refused)
                        continue;
                if (time_is_over(tune)) {
                        r = -ETIME;
                        break;
                }
                r = prepare(tune, trial, found[i].value, i, ways);
                if (r == 1) {
                        found[i].refused = "it gives other bits";
                        vk_program_free(ways[i].program);
                        ways[i].program = NULL;
                        r = 0;
                }
                if (r == 0 && ways[i].same_as != i)
                        found[i].refused = found[ways[i].same_as].refused;
        }
        if (r == 0 && fits) {
                double ms;

                r = run(tune, ways[0].program, &ms);
                if (r == 0 && ms < TOO_SLOW_MS) {
                        r = contest(tune, ways, count);
                        weigh(ways, found, count);
                        *ret_measured = r == 0;
                }
        }
        for (uint32_t i = 0; i < count; i++)
                vk_program_free(ways[i].program);
        set(tune, trial->knob, found[0].value, false);
        return r;
}

/* -ETIME: there was no time for it. */
static int try_all(struct tune *tune, const struct trial *trial, struct found *found, uint32_t count,
                uint32_t *ret_cases)
{
        int r = 0;

        *ret_cases = 0;
        for (uint32_t i = 0; i < CASES_MOST && trial->cases[i].times > 0 && r == 0; i++) {
                bool measured = false;

                r = try_case(tune, trial, &trial->cases[i], found, count, &measured);
                *ret_cases += measured;
        }
        return r;
}

static bool is_better(const struct found *found, uint32_t cases)
{
        return !found->refused && found->cases > 0 && exp(found->log_ratio / cases) < CLEARLY &&
               found->worst < NOWHERE_SLOWER;
}

static void tell(const struct tune *tune, const struct trial *trial, const struct found *found, bool chosen,
                const char *note)
{
        struct qvf_tuning_row row = {
                .size = sizeof(row), .chosen = chosen, .what = vk_knob_name(trial->knob)
        };
        char way[32];

        if (!tune->options->tell)
                return;
        snprintf(way, sizeof(way), "%u", found->value);
        row.way = way;
        row.note = found->refused ? found->refused : note;
        row.ms = found->refused ? 0 : found->ms;
        tune->options->tell(tune->options->context, &row);
}

/* The best of them, once it won a second time, against the rule's alone. */
static int choose(struct tune *tune, const struct trial *trial, struct found *found, uint32_t count,
                uint32_t cases, uint32_t *ret_chosen)
{
        struct found last[2];
        uint32_t best = 0, again = 0;
        int r;

        *ret_chosen = 0;
        for (uint32_t i = 1; i < count; i++)
                if (is_better(&found[i], cases) && (best == 0 || found[i].log_ratio < found[best].log_ratio))
                        best = i;
        if (best == 0)
                return 0;
        last[0] = (struct found){ .value = found[0].value };
        last[1] = (struct found){ .value = found[best].value };
        r = try_all(tune, trial, last, 2, &again);
        if (r == 0 && again > 0 && is_better(&last[1], again))
                *ret_chosen = best;
        return r == -ETIME ? 0 : r;
}

/* `ret_measured`: whether what stands in the tuning now was measured. */
static int try_knob(struct tune *tune, const struct trial *trial, bool *ret_measured)
{
        struct found found[VK_WAYS_MOST] = { 0 };
        uint16_t values[VK_WAYS_MOST];
        uint32_t count = vk_knob_ways(trial->knob, values), cases = 0, others = 0, chosen = 0;
        int r;

        *ret_measured = false;
        for (uint32_t i = 0; i < count; i++)
                found[i].value = values[i];
        r = try_all(tune, trial, found, count, &cases);
        if (r == -ETIME) {
                found[0].ms = 0;
                tell(tune, trial, &found[0], true, "the time was over");
                return 0;
        }
        for (uint32_t i = 1; i < count; i++)
                others += found[i].cases > 0 || found[i].refused;
        if (r < 0 || others == 0)
                return r;
        r = choose(tune, trial, found, count, cases, &chosen);
        for (uint32_t i = 0; i < count && r == 0; i++)
                if (i == 0 || found[i].cases > 0 || found[i].refused)
                        tell(tune, trial, &found[i], i == chosen, i == 0 ? "the rule's" : "");
        set(tune, trial->knob, found[chosen].value, false);
        *ret_measured = r == 0;
        return r;
}

static int warm_up(struct tune *tune)
{
        static const struct vk_case work = { VK_CASE_FORWARD, 16, 1024, 1024, 4, false };
        struct qvf_program *program = NULL;
        struct qvf_program_desc desc;
        double begun, ms = 0;
        int r;

        vk_sketch(tune->sketch, &work, work.times,
                        tune->device->features.software ? VK_SKETCH_SHIFT_MOST : 0);
        desc = describe(tune->sketch);
        r = vk_program_new(tune->device, &desc, &program);
        begun = now_ms();
        for (unsigned i = 0; r == 0 && (i < 3 || now_ms() - begun < WARM_MS); i++)
                r = run(tune, program, &ms);
        vk_program_free(program);
        return r;
}

static int keep(struct tune *tune, uint32_t measured, char text[QVF_TUNING_BYTES])
{
        uint8_t file[QVF_SHA256_BYTES + QVF_TUNING_BYTES];
        struct qvf_device_info info;
        struct vk_tuning_key key;
        int r;

        vk_describe(tune->device->physical, &info);
        key = (struct vk_tuning_key){ QVF_VERSION, info.id, info.driver };
        r = vk_tuning_write(&tune->device->tuning, measured, &key, text, QVF_TUNING_BYTES);
        if (r < 0)
                return r;
        memcpy(file + QVF_SHA256_BYTES, text, strlen(text));
        return vk_kept_write(tune->device, VK_KEPT_TUNING, file, strlen(text));
}

static int measure(struct tune *tune, char text[QVF_TUNING_BYTES])
{
        uint32_t measured = 0;
        int r = warm_up(tune);

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(trials) && r == 0; i++) {
                bool was_measured = false;

                r = try_knob(tune, &trials[i], &was_measured);
                if (was_measured)
                        measured |= 1u << trials[i].knob;
        }
        return r < 0 ? r : keep(tune, measured, text);
}

int vk_tune(struct qvf_device *device, const struct qvf_tuning_options *options,
                char ret_text[QVF_TUNING_BYTES])
{
        _cleanup_free_ struct vk_sketch *sketch = calloc(1, sizeof(*sketch));
        _cleanup_free_ void *before = malloc(VK_SKETCH_FLOAT_BYTES), *after = malloc(VK_SKETCH_FLOAT_BYTES);
        struct tune tune = { .device = device,
                .options = options,
                .sketch = sketch,
                .before = before,
                .after = after,
                .end_ms = now_ms() };
        const struct vk_tuning was = device->tuning;
        int r;

        if (!options || options->size < sizeof(*options))
                return -EINVAL;
        if (!sketch || !before || !after)
                return -ENOMEM;
        tune.device_end_ms = options->budget_ms ? options->budget_ms : BUDGET_MS;
        tune.end_ms += tune.device_end_ms * (1 + COMPILING);
        device->tuning = vk_tuning_rules;
        r = vk_sketch_buffers(device, &sketch->arena, &sketch->indexes);
        r = r < 0 ? r : measure(&tune, ret_text);
        vk_buffer_free(sketch->arena);
        vk_buffer_free(sketch->indexes);
        if (r < 0) {
                device->tuning = was;
                vk_tuned_apply(device);
        }
        return r;
}
