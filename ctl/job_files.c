/* SPDX-License-Identifier: Apache-2.0 */
/* job logs and job plot: the files of a job. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "ctl/json.h"
#include "ctl/lists.h"
#include "ctl/plot.h"
#include "ctl/send.h"
#include "ctl/terminal.h"
#include "ctl/verbs.h"

/* A long run has some 200 bytes for each step. */
enum { METRICS_LIMIT = 256 << 20 };

struct file_options {
        struct ctl_common common;
        struct bench_words words;
        const char *svg, *png;
        uint32_t height;
        bool follow;
};

static const struct file_options defaults = { .common = CTL_COMMON_DEFAULTS, .height = 14 };

#define AT(field) offsetof(struct file_options, field)

static const struct bench_option log_options[] = {
        { "follow", 'f', BENCH_FLAG, AT(follow), NULL, "go on with what is added, until the job ends", 0,
                        0 },
        { 0 },
};
static const struct bench_option plot_options[] = {
        { "svg", 0, BENCH_STRING, AT(svg), "FILE", "write a picture that scales", 0, 0 },
        { "png", 0, BENCH_STRING, AT(png), "FILE", "write a picture of 800 x 480 points", 0, 0 },
        { "height", 0, BENCH_COUNT, AT(height), "LINES", "of the plot in the terminal (default: 14)", 4,
                        100 },
        { 0 },
};
static const struct bench_option_group log_groups[] = { { log_options, 0 }, { ctl_common_options, 0 },
        { 0 } };
static const struct bench_option_group plot_groups[] = { { plot_options, 0 }, { ctl_common_options, 0 },
        { 0 } };

static int open_file(
                struct ctl *ctl, const char *job, const char *method, int *ret_fd, struct qvf_error *error)
{
        _cleanup_value_ struct qvf_value *reply = NULL;
        struct qvf_failure failure;

        if (qvf_call(ctl->client, "jobs", job, method, &reply, &failure, "") < 0)
                return ctl_failed(error, &failure);
        *ret_fd = qvf_value_take_fd(reply, 0);
        if (*ret_fd < 0)
                return qvf_error_set(error, CTL_FAILED, "qvfd answered with no file");
        lseek(*ret_fd, 0, SEEK_SET);
        return 0;
}

static int print_rest(int fd, bool json, struct qvf_error *error)
{
        _cleanup_free_ char *text = NULL, *printable = NULL;
        size_t length;
        int r = ctl_read_all(fd, METRICS_LIMIT, &text, &length, error);

        if (r != 0)
                return r;
        printable = ctl_printable(text, true);
        if (!printable)
                return qvf_error_set(error, CTL_FAILED, "not enough memory");
        if (json) {
                for (char *line = strtok(printable, "\n"); line; line = strtok(NULL, "\n")) {
                        _cleanup_json_ struct json_object *object = json_object_new_object();

                        json_object_object_add(object, "line", json_object_new_string(line));
                        ctl_json_print(object, true);
                }
        } else {
                fputs(printable, stdout);
        }
        fflush(stdout);
        return 0;
}

struct following {
        int fd;
        bool json;
        struct qvf_error *error;
};

static int on_change(void *context, const struct qvf_value *job)
{
        struct following *following = context;
        int r = print_rest(following->fd, following->json, following->error);

        (void)job;
        return r != 0 ? r : ctl_interrupted ? CTL_FAILED : 0;
}

static int run_logs(const void *given, struct qvf_error *error)
{
        const struct file_options *options = given;
        const char *job = options->words.items[0];
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        struct following following = { .json = options->common.json, .error = error };
        _cleanup_close_ int fd = -1;
        int r = ctl_connect(ctl, &options->common, error);

        if (r == 0)
                r = open_file(ctl, job, "OpenLog", &fd, error);
        if (r == 0)
                r = print_rest(fd, options->common.json, error);
        if (r != 0 || !options->follow)
                return r;
        following.fd = fd;
        ctl_catch_interrupt(true);
        r = qvf_job_wait(ctl->client, job, -1, on_change, &following, NULL, &failure);
        if (r < 0)
                return ctl_failed(error, &failure);
        return error->text[0] ? r : 0;
}

static struct json_object *series_json(const struct ctl_series *series)
{
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < series->count; i++) {
                struct json_object *point = json_object_new_array();

                json_object_array_add(point, ctl_json_number(series->x[i]));
                json_object_array_add(point, ctl_json_number(series->y[i]));
                json_object_array_add(array, point);
        }
        return array;
}

static int write_picture(const char *path, const struct ctl_plot *plot,
                int (*draw)(const struct ctl_plot *plot, struct qvf_text *out), struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text picture = { 0 };
        int r;

        if (!path)
                return 0;
        r = draw(plot, &picture);
        if (r < 0)
                return qvf_error_set(error, CTL_FAILED, "not enough memory for the picture");
        r = qvf_atomic_file_put(AT_FDCWD, path, 0644, picture.bytes, picture.length, error);
        return r < 0 ? CTL_FAILED : 0;
}

static int show_plot(const struct file_options *options, const struct ctl *ctl, struct ctl_plot *plot,
                struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text drawing = { 0 };
        struct ctl_axis x_axis, y_axis;
        int r;

        if (!ctl_plot_axes(plot, &x_axis, &y_axis))
                return qvf_error_set(
                                error, CTL_NOTHING, "job %s has made no step yet", options->words.items[0]);
        r = write_picture(options->svg, plot, ctl_plot_svg, error);
        if (r == 0)
                r = write_picture(options->png, plot, ctl_plot_png, error);
        if (r != 0)
                return r;
        if (options->common.json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "job", json_object_new_string(options->words.items[0]));
                json_object_object_add(document, "loss", series_json(&plot->series[CTL_LOSS]));
                json_object_object_add(document, "evaluation", series_json(&plot->series[CTL_EVALUATION]));
                ctl_json_print(document, false);
                return 0;
        }
        if (options->svg || options->png)
                return 0;
        r = ctl_plot_terminal(
                        plot, ctl_terminal_width(STDOUT_FILENO), options->height, ctl->colour, &drawing);
        if (r < 0)
                return qvf_error_set(error, CTL_FAILED, "not enough memory for the plot");
        fputs(qvf_text_string(&drawing), stdout);
        return 0;
}

static int run_plot(const void *given, struct qvf_error *error)
{
        const struct file_options *options = given;
        const char *id = options->words.items[0];
        _cleanup_value_ struct qvf_value *job = NULL;
        _cleanup_plot_ struct ctl_plot plot = { 0 };
        _cleanup_free_ char *metrics = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        _cleanup_close_ int fd = -1;
        size_t length, bad;
        int r = ctl_connect(ctl, &options->common, error);

        if (r != 0)
                return r;
        if (qvf_get(ctl->client, "jobs", id, &job, &failure) < 0)
                return ctl_failed(error, &failure);
        snprintf(plot.title, sizeof(plot.title), "job %s: %s on %s", id, ctl_string(job, "Adapter"),
                        ctl_string(job, "Model"));
        r = open_file(ctl, id, "OpenMetrics", &fd, error);
        if (r == CTL_NOT_FOUND) /* the job is there, as was just seen */
                return qvf_error_set(error, CTL_NOTHING, "job %s has made no step yet", id);
        if (r == 0)
                r = ctl_read_all(fd, METRICS_LIMIT, &metrics, &length, error);
        if (r == 0)
                r = ctl_plot_read(&plot, metrics, length, &bad, error);
        if (r != 0)
                return r < 0 ? CTL_FAILED : r;
        if (bad > 0)
                fprintf(stderr, "qvfctl: %zu lines of the metrics can't be read\n", bad);
        return show_plot(options, ctl, &plot, error);
}

CTL_VERB_TAKING(ctl_job_logs, "job logs", "what happened to a job", "Prints the log of a job.", log_groups,
                "ID", 1, 1, run_logs);
CTL_VERB_TAKING(ctl_job_plot, "job plot", "loss and evaluation of a job as a plot",
                "Draws the loss and the evaluation of a job, in the terminal or into files.", plot_groups,
                "ID", 1, 1, run_plot);
