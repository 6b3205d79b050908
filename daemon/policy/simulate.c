/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policy/simulate.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/units.h"
#include "daemon/policy/trace.h"

/* A line holds what one machine says in one moment; a longer step than this is a mistake in the times. */
enum { LINE_MOST = 64 << 10 };
#define GAP_MOST_S (31 * 86400)
/* The policy's clock does not begin at 0, which it takes for "never". */
#define CLOCK_START_S 1000

struct activity_account {
        bool allowed;
        enum qvf_constraint constraint;
        unsigned starts;
        double ran_s, blocked_s[QVF_CONSTRAINTS + 1];
};

struct simulation {
        const struct qvf_policy_config *config;
        const struct qvf_simulate_options *options;
        struct qvf_policy_state state;
        struct qvf_verdict verdict;
        struct activity_account account[QVF_ACTIVITIES];
        int64_t start_s, now_s;
        double meter_j;
        bool decided;
        FILE *out;
};

static void print_time(char text[32], int64_t time_s)
{
        int64_t days = time_s / 86400 + 719468, second = time_s % 86400;
        int64_t era = days / 146097, of_era = days % 146097;
        int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
        int64_t day = of_year - (153 * month + 2) / 5 + 1;

        year += era * 400 + (month >= 10);
        month = month < 10 ? month + 3 : month - 9;
        snprintf(text, 32, "%04d-%02d-%02d %02d:%02d:%02d", (int)year, (int)month, (int)day,
                        (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

static void print_json(const struct simulation *simulation, enum qvf_activity activity, const char *when)
{
        const struct qvf_activity_verdict *verdict = &simulation->verdict.activity[activity];
        struct json_object *object = json_object_new_object(), *list = json_object_new_array();

        json_object_object_add(object, "time", json_object_new_string(when));
        json_object_object_add(object, "activity", json_object_new_string(qvf_activity_names[activity]));
        json_object_object_add(object, "allowed", json_object_new_boolean(verdict->allowed));
        json_object_object_add(object, "reason", json_object_new_string(verdict->reason));
        for (int c = 0; c < QVF_CONSTRAINTS; c++)
                if (!verdict->constraint[c].ok)
                        json_object_array_add(list, json_object_new_string(verdict->constraint[c].name));
        json_object_object_add(object, "broken", list);
        fprintf(simulation->out, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
        json_object_put(object);
}

static void print_decision(const struct simulation *simulation, enum qvf_activity activity, const char *word)
{
        const struct qvf_activity_verdict *verdict = &simulation->verdict.activity[activity];
        char when[32];

        print_time(when, simulation->now_s);
        if (simulation->options->json) {
                print_json(simulation, activity, when);
                return;
        }
        fprintf(simulation->out, "%s  %-9s  %-6s  ", when, qvf_activity_names[activity], word);
        if (verdict->first_broken < QVF_CONSTRAINTS)
                fprintf(simulation->out, "%s: ", verdict->constraint[verdict->first_broken].name);
        fprintf(simulation->out, "%s\n", verdict->reason);
}

/* Prints what is new: a start, a stop, or another reason for standing still. */
static void tell(struct simulation *simulation, enum qvf_activity activity)
{
        const struct qvf_activity_verdict *verdict = &simulation->verdict.activity[activity];
        struct activity_account *account = &simulation->account[activity];
        bool switched = !simulation->decided || verdict->allowed != account->allowed;

        if (simulation->options->all || switched || verdict->first_broken != account->constraint)
                print_decision(simulation, activity,
                                !switched             ? (verdict->allowed ? "runs" : "waits")
                                : verdict->allowed    ? "starts"
                                : simulation->decided ? "pauses"
                                                      : "waits");
        if (switched && verdict->allowed)
                account->starts++;
        account->allowed = verdict->allowed;
        account->constraint = verdict->first_broken;
}

static void decide(struct simulation *simulation, struct qvf_trace *trace)
{
        struct qvf_snapshot snapshot;

        qvf_trace_clock(trace, simulation->now_s);
        snapshot = trace->snapshot;
        for (int a = 0; a < QVF_ACTIVITIES; a++)
                snapshot.running[a] =
                                simulation->decided && simulation->account[a].allowed && trace->work[a];
        if (!snapshot.energy_j.known && trace->power_w.known)
                snapshot.energy_j = (struct qvf_reading){ true, simulation->meter_j };
        qvf_policy_decide(simulation->config, &snapshot, &simulation->state,
                        (uint64_t)(simulation->now_s - simulation->start_s + CLOCK_START_S) * 1000000,
                        &simulation->verdict);
        tell(simulation, QVF_TRAINING);
        tell(simulation, QVF_INFERENCE);
        simulation->decided = true;
}

/* Lets the time go on, with what runs drawing its power. */
static void pass(struct simulation *simulation, const struct qvf_trace *trace, int64_t until_s)
{
        double seconds = (double)(until_s - simulation->now_s);

        simulation->meter_j += trace->power_w.value * seconds;
        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                struct activity_account *account = &simulation->account[a];
                bool runs = account->allowed && trace->work[a];

                if (runs) {
                        simulation->meter_j += trace->work_w[a] * seconds;
                        account->ran_s += seconds;
                } else if (!account->allowed) {
                        account->blocked_s[account->constraint] += seconds;
                }
        }
        simulation->now_s = until_s;
}

static void run_until(struct simulation *simulation, struct qvf_trace *trace, int64_t end_s)
{
        double step = simulation->options->sample_every_s > 0 ? simulation->options->sample_every_s : 5;
        int64_t step_s = step < 1 ? 1 : (int64_t)step;

        while (simulation->now_s + step_s < end_s) {
                pass(simulation, trace, simulation->now_s + step_s);
                decide(simulation, trace);
        }
        pass(simulation, trace, end_s);
}

static void summarise(const struct simulation *simulation)
{
        char total[QVF_UNIT_TEXT], ran[QVF_UNIT_TEXT], energy[QVF_UNIT_TEXT];

        if (simulation->options->json || !simulation->decided)
                return;
        qvf_unit_show(QVF_UNIT_DURATION, (double)(simulation->now_s - simulation->start_s), total);
        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                const struct activity_account *account = &simulation->account[a];

                qvf_unit_show(QVF_UNIT_DURATION, account->ran_s, ran);
                qvf_unit_show(QVF_UNIT_ENERGY, simulation->state.activity[a].energy_total_j, energy);
                fprintf(simulation->out, "%s ran %s of %s in %u start%s and was charged with %s\n",
                                qvf_activity_names[a], ran, total, account->starts,
                                account->starts == 1 ? "" : "s", energy);
                for (int c = 0; c < QVF_CONSTRAINTS; c++)
                        if (account->blocked_s[c] > 0) {
                                qvf_unit_show(QVF_UNIT_DURATION, account->blocked_s[c], ran);
                                fprintf(simulation->out, "  waited %s for %s\n", ran,
                                                qvf_constraint_name((enum qvf_constraint)c));
                        }
        }
}

static int take_line(struct simulation *simulation, struct qvf_trace *trace, const char *line, size_t length,
                struct qvf_error *error)
{
        struct qvf_trace next = *trace;
        int r = qvf_trace_read(&next, line, length, error);

        if (r < 0)
                return r;
        if (!trace->begun)
                simulation->start_s = simulation->now_s = next.time_s;
        else if (next.time_s - simulation->now_s > GAP_MOST_S)
                return qvf_error_set(error, -ERANGE, "time: more than 31 days after the line before");
        else
                run_until(simulation, trace, next.time_s);
        *trace = next;
        decide(simulation, trace);
        return 0;
}

int qvf_simulate(const struct qvf_policy_config *config, FILE *trace_file, const char *trace_name,
                const struct qvf_simulate_options *options, FILE *out, struct qvf_error *error)
{
        struct simulation simulation = { .config = config, .options = options, .out = out };
        struct qvf_trace trace = { 0 };
        _cleanup_free_ char *line = malloc(LINE_MOST);

        if (!line)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        for (unsigned number = 1; fgets(line, LINE_MOST, trace_file); number++) {
                size_t length = strlen(line), blank = strspn(line, " \t\r\n");
                int r = 0;

                if (length + 1 == LINE_MOST && line[length - 1] != '\n')
                        r = qvf_error_set(error, -E2BIG, "longer than %d KiB", LINE_MOST >> 10);
                else if (line[blank] && line[blank] != '#')
                        r = take_line(&simulation, &trace, line, strcspn(line, "\r\n"), error);
                if (r < 0)
                        return qvf_error_prefix(error, "%s:%u", trace_name, number);
        }
        if (ferror(trace_file))
                return qvf_error_set(error, -EIO, "%s can't be read", trace_name);
        if (!trace.begun)
                return qvf_error_set(error, -EINVAL, "%s: no line with a \"time\"", trace_name);
        summarise(&simulation);
        return 0;
}
