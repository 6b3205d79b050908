/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/bar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/terminal.h"
#include "ctl/units.h"

void ctl_bar_init(struct ctl_bar *bar, int fd, bool no_colour)
{
        *bar = (struct ctl_bar){
                .live = isatty(fd),
                .colour = ctl_terminal_wants_colour(fd, no_colour),
                .width = ctl_terminal_width(fd),
                .last_tenth = UINT64_MAX,
        };
}

static void remember(struct ctl_bar *bar, const struct qvf_value *job)
{
        uint64_t step = ctl_unsigned(job, "Step");
        double loss = ctl_number(job, "Loss");

        if (step == bar->last_step || !isfinite(loss))
                return;
        if (step < bar->last_step) /* another run of a repeated job */
                bar->loss_count = 0;
        bar->last_step = step;
        bar->losses[bar->loss_count++ % CTL_BAR_HISTORY] = loss;
}

const char *ctl_bar_trend(const struct ctl_bar *bar)
{
        uint64_t count = bar->loss_count < CTL_BAR_HISTORY ? bar->loss_count : CTL_BAR_HISTORY,
                 recent = count / 4;
        double before = 0, now = 0;

        if (count < 8)
                return NULL;
        for (uint64_t i = 0; i < count; i++) {
                double loss = bar->losses[(bar->loss_count - 1 - i) % CTL_BAR_HISTORY];

                if (i < recent)
                        now += loss / (double)recent;
                else
                        before += loss / (double)(count - recent);
        }
        /* A hundredth is less than the noise of one step. */
        return now < before * 0.99 ? "falling" : now > before * 1.01 ? "rising" : "steady";
}

static void draw_bar(struct qvf_text *text, double done, unsigned cells)
{
        static const char *const parts[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
        unsigned eighths = (unsigned)(done * cells * 8 + 0.5), used = 0;

        qvf_text_append_string(text, "▕");
        for (; used < eighths / 8; used++)
                qvf_text_append_string(text, "█");
        if (eighths % 8) {
                qvf_text_append_string(text, parts[eighths % 8]);
                used++;
        }
        for (; used < cells; used++)
                qvf_text_append_char(text, ' ');
        qvf_text_append_string(text, "▏");
}

/* Parts are added as long as the line has room for them: the most important ones first. */
static void add_part(struct qvf_text *text, unsigned width, const char *part)
{
        if (*part && ctl_columns(qvf_text_string(text)) + 2 + ctl_columns(part) <= width)
                qvf_text_appendf(text, "  %s", part);
}

static void add_progress(struct ctl_bar *bar, const struct qvf_value *job, struct qvf_text *text)
{
        double total = ctl_number(job, "TotalSteps"), step = ctl_number(job, "Step");
        double evaluation = ctl_number(job, "EvaluationLoss"), left = ctl_number(job, "SecondsLeft");
        double speed = ctl_number(job, "TokensPerSecond");
        const char *trend = ctl_bar_trend(bar);
        char part[96];

        if (bar->width >= 60)
                draw_bar(text, total > 0 ? fmin(step / total, 1) : 0, bar->width >= 110 ? 24 : 12);
        snprintf(part, sizeof(part), "%.0f/%.0f", step, total);
        add_part(text, bar->width, part);
        snprintf(part, sizeof(part), "loss %s%s", ctl_loss(ctl_number(job, "Loss")).text,
                        !trend                          ? ""
                        : strcmp(trend, "falling") == 0 ? " ↓"
                        : strcmp(trend, "rising") == 0  ? " ↑"
                                                        : " →");
        add_part(text, bar->width, part);
        snprintf(part, sizeof(part), "%s left", ctl_duration(left).text);
        add_part(text, bar->width, left >= 0 ? part : "");
        snprintf(part, sizeof(part), "%s tok/s", ctl_count(speed).text);
        add_part(text, bar->width, speed > 0 ? part : "");
        snprintf(part, sizeof(part), "eval %s", ctl_loss(evaluation).text);
        add_part(text, bar->width, isfinite(evaluation) ? part : "");
        add_part(text, bar->width, ctl_energy(ctl_number(job, "EnergyJoules")).text);
        snprintf(part, sizeof(part), "%s", ctl_bytes(ctl_unsigned(job, "MemoryPeak")).text);
        add_part(text, bar->width, ctl_unsigned(job, "MemoryPeak") ? part : "");
}

void ctl_bar_text(struct ctl_bar *bar, const struct qvf_value *job, struct qvf_text *text)
{
        const char *state = ctl_string(job, "State"), *reason = ctl_string(job, "Reason");
        _cleanup_free_ char *printable = ctl_printable(reason, false);
        bool running = strcmp(state, "running") == 0;

        remember(bar, job);
        qvf_text_appendf(text, "job %s ", ctl_string(job, "Id"));
        if (running || (ctl_unsigned(job, "Step") > 0 && strcmp(state, "finished") == 0)) {
                add_progress(bar, job, text);
                return;
        }
        if (ctl_unsigned(job, "Step") > 0)
                qvf_text_appendf(
                                text, "%.0f/%.0f  ", ctl_number(job, "Step"), ctl_number(job, "TotalSteps"));
        qvf_text_appendf(text, "%s%s%s", state, *reason ? ": " : "", printable ? printable : "");
}

/* Without a terminal: a line for each tenth and each change of state. */
static bool is_news(struct ctl_bar *bar, const struct qvf_value *job)
{
        uint64_t total = ctl_unsigned(job, "TotalSteps"), step = ctl_unsigned(job, "Step");
        uint64_t tenth = total ? step * 10 / total : 0;
        char state[sizeof(bar->last_state)];
        bool news;

        snprintf(state, sizeof(state), "%s %s", ctl_string(job, "State"), ctl_string(job, "ReasonCode"));
        news = tenth != bar->last_tenth || strcmp(state, bar->last_state) != 0;
        bar->last_tenth = tenth;
        memcpy(bar->last_state, state, sizeof(state));
        return news;
}

static size_t cut(const char *text, unsigned width)
{
        size_t length = strlen(text);

        while (length > 0) {
                char shorter[1024];

                snprintf(shorter, sizeof(shorter), "%.*s", (int)length, text);
                if (length < sizeof(shorter) && ctl_columns(shorter) <= width)
                        break;
                do
                        length--;
                while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80);
        }
        return length;
}

void ctl_bar_show(struct ctl_bar *bar, const struct qvf_value *job)
{
        _cleanup_text_ struct qvf_text text = { 0 };
        bool news = is_news(bar, job);
        bool running = strcmp(ctl_string(job, "State"), "running") == 0;

        if (!bar->live)
                bar->width = 110;
        ctl_bar_text(bar, job, &text);
        if (bar->live) {
                fprintf(stderr, "\r%s%.*s%s\033[K",
                                ctl_colour(bar->colour, running ? CTL_PLAIN : CTL_YELLOW),
                                (int)cut(qvf_text_string(&text), bar->width - 1), qvf_text_string(&text),
                                ctl_colour(bar->colour, CTL_PLAIN));
                bar->drawn = true;
        } else if (news) {
                fprintf(stderr, "%s\n", qvf_text_string(&text));
        }
        fflush(stderr);
}

void ctl_bar_end(struct ctl_bar *bar)
{
        if (bar->drawn)
                fputc('\n', stderr);
        bar->drawn = false;
}
