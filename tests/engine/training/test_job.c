/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/job.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/data/dataset.h"
#include "engine/training/train_plan.h"
#include "tests/support/compute.h"
#include "tests/support/suite.h"

struct bench {
        struct qvf_compute compute;
        struct qvf_model *model;
        struct qvf_dataset *dataset;
        struct qvf_windows *windows, *held_out;
        struct qvf_lora_options lora;
        struct qvf_train_options options;
        struct qvf_train_choice choice;
};

/* Thirty short documents, so that several fit into a sequence. */
static void write_data(char path[64])
{
        FILE *file;
        int fd;

        strcpy(path, "/tmp/qvf-test-XXXXXX.jsonl");
        fd = mkstemps(path, 6);
        ck_assert_int_ge(fd, 0);
        file = fdopen(fd, "w");
        for (int i = 0; i < 30; i++)
                fprintf(file, "{\"text\": \"The command number %d lists the files of folder %d%s.\"}\n", i,
                                i * 7 % 11, i % 3 ? "" : ", and then it tells how large each of them is");
        fclose(file);
}

static void set_up(struct bench *b, float dropout, enum qvf_optimizer_state state)
{
        struct qvf_error error = { 0 };
        struct qvf_data_source source = { .fd = -1, .cache_folder = -1 };
        const struct qvf_data_options data = { .add_bos = QVF_DATA_ON, .add_eos = QVF_DATA_ON };
        const struct qvf_window_options window = { .context = 64 };
        struct qvf_train_wish wish = { .context_length = 64, .batch_sequences = 4 };
        char path[64];

        write_data(path);
        b->compute = test_compute(NULL, 2);
        b->model = test_model(&b->compute, "tiny-silu.TQ2_0");
        source.name = path;
        source.tokenizer = b->model->tokenizer;
        ck_assert_msg(qvf_dataset_open(&source, &data, &b->dataset, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_windows_new(b->dataset, &window, &b->windows, &error) == 0, "%s", error.text);
        ck_assert_msg(qvf_windows_hold_out(b->windows, 0.2, 5, &b->held_out, &error) == 0, "%s", error.text);
        unlink(path);
        for (int i = 0; i < QVF_MODULES; i++)
                b->lora.rank[i] = i == QVF_ATTN_K ? 0 : 4;
        b->lora.alpha = 8;
        b->lora.dropout = dropout;
        b->lora.seed = 3;
        b->lora.state = state;
        ck_assert_msg(qvf_train_plan(b->model, &b->lora, &wish, &b->choice, &error) == 0, "%s", error.text);
        b->options = (struct qvf_train_options){
                .adamw = { 0.9f, 0.999f, 1e-8f, 0.01f },
                .schedule = { .kind = QVF_SCHEDULE_COSINE, .rate = 3e-3f },
                .warmup_ratio = 0.1f,
                .clip = 1,
                .epochs = 10,
                .batch_sequences = 4,
                .micro_sequences = b->choice.micro_sequences,
                .packing = { .rows = 64, .seed = 9 },
                .checkpoint_every = 3,
                .seed = 11,
                .fingerprint = 1234,
        };
}

static void tear_down(struct bench *b)
{
        qvf_text_exit(&b->choice.reason);
        qvf_windows_free(b->windows);
        qvf_windows_free(b->held_out);
        qvf_dataset_free(b->dataset);
        qvf_model_free(b->model);
        b->compute.backend->device_close(b->compute.device);
}

/* Runs until the end, or until a step is done, and leaves as a crash would. */
static struct qvf_train_metrics run(struct bench *b, int folder, uint64_t until)
{
        struct qvf_lora *lora;
        struct qvf_train_job *job;
        struct qvf_error error = { 0 };
        struct qvf_train_metrics metrics = { 0 };
        enum qvf_train_event event;

        ck_assert_msg(qvf_lora_new(b->model, &b->lora, &lora, &error) == 0, "%s", error.text);
        ck_assert_int_eq(qvf_lora_init(lora, &error), 0);
        ck_assert_msg(qvf_train_job_new(lora, &b->choice.plan, &b->options, b->windows, b->held_out, folder,
                                      &job, &error) == 0,
                        "%s", error.text);
        do {
                ck_assert_msg(qvf_train_job_run(job, &event, &error) == 0, "%s", error.text);
                metrics = *qvf_train_job_metrics(job);
        } while (event != QVF_TRAIN_FINISHED && (until == 0 || metrics.step < until));
        qvf_train_job_free(job);
        qvf_lora_free(lora);
        return metrics;
}

static int new_folder(char path[64])
{
        strcpy(path, "/tmp/qvf-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(path));
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static size_t read_file(int folder, const char *name, char *bytes, size_t most)
{
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        ssize_t length;

        ck_assert_msg(fd >= 0, "%s is missing", name);
        length = read(fd, bytes, most);
        ck_assert_int_ge(length, 0);
        ck_assert_uint_lt((size_t)length, most);
        close(fd);
        return (size_t)length;
}

static void remove_folder(int folder, const char *path)
{
        unlinkat(folder, "best.gguf", 0);
        unlinkat(folder, "last.gguf", 0);
        unlinkat(folder, "metrics.jsonl", 0);
        close(folder);
        ck_assert_msg(rmdir(path) == 0, "something is left over in %s", path);
}

static unsigned count_lines(const char *bytes, size_t length)
{
        unsigned lines = 0;

        for (size_t i = 0; i < length; i++)
                lines += bytes[i] == '\n';
        return lines;
}

/* The held-out loss of the first epoch's end: a run that learns nothing would keep it. */
static double first_evaluation(int folder)
{
        static char lines[1 << 16];
        const char *at;

        lines[read_file(folder, "metrics.jsonl", lines, sizeof(lines) - 1)] = 0;
        at = strstr(lines, "\"evaluation_loss\":");
        ck_assert_ptr_nonnull(at);
        return strtod(at + strlen("\"evaluation_loss\":"), NULL);
}

/* Straight, and with an end after every other number of steps: the same bytes. */
START_TEST(resumed_is_as_straight)
{
        static char straight[2][1 << 20], resumed[2][1 << 20];
        static char lines[2][1 << 16];
        struct bench b = { 0 };
        struct qvf_train_metrics metrics;
        char path[64];
        size_t length[2], line_bytes[2];
        int folder;

        set_up(&b, _i & 1 ? 0.1f : 0, _i & 2 ? QVF_STATE_8BIT : QVF_STATE_F32);
        folder = new_folder(path);
        metrics = run(&b, folder, 0);
        printf("%llu steps, loss %.3f, held out %.3f\n", (unsigned long long)metrics.step, metrics.loss,
                        metrics.evaluation_loss);
        ck_assert_double_lt(metrics.evaluation_loss, first_evaluation(folder) - 0.5);
        length[0] = read_file(folder, "last.gguf", straight[0], sizeof(straight[0]));
        length[1] = read_file(folder, "best.gguf", straight[1], sizeof(straight[1]));
        line_bytes[0] = read_file(folder, "metrics.jsonl", lines[0], sizeof(lines[0]));
        remove_folder(folder, path);
        folder = new_folder(path);
        for (uint64_t until = 2; until < metrics.step; until += until % 5 + 2)
                run(&b, folder, until);
        run(&b, folder, 0);
        ck_assert_uint_eq(read_file(folder, "last.gguf", resumed[0], sizeof(resumed[0])), length[0]);
        ck_assert_uint_eq(read_file(folder, "best.gguf", resumed[1], sizeof(resumed[1])), length[1]);
        line_bytes[1] = read_file(folder, "metrics.jsonl", lines[1], sizeof(lines[1]));
        ck_assert(memcmp(straight[0], resumed[0], length[0]) == 0);
        ck_assert(memcmp(straight[1], resumed[1], length[1]) == 0);
        ck_assert_uint_eq(count_lines(lines[0], line_bytes[0]), count_lines(lines[1], line_bytes[1]));
        remove_folder(folder, path);
        tear_down(&b);
}
END_TEST

START_TEST(other_options_are_no_continuation)
{
        struct bench b = { 0 };
        struct qvf_lora *lora;
        struct qvf_train_job *job;
        struct qvf_error error = { 0 };
        char path[64];
        int folder = new_folder(path);

        set_up(&b, 0, QVF_STATE_F32);
        run(&b, folder, 4);
        b.options.fingerprint++;
        ck_assert_int_eq(qvf_lora_new(b.model, &b.lora, &lora, &error), 0);
        ck_assert_int_eq(qvf_train_job_new(lora, &b.choice.plan, &b.options, b.windows, NULL, folder, &job,
                                         &error),
                        -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "step 3"));
        qvf_lora_free(lora);
        unlinkat(folder, "checkpoint-3", 0);
        remove_folder(folder, path);
        tear_down(&b);
}
END_TEST

/* A rate that blows the adapter up: steps are skipped and counted, then the run ends with words. */
START_TEST(numbers_that_are_not_finite_end_the_run)
{
        struct bench b = { 0 };
        struct qvf_lora *lora;
        struct qvf_train_job *job;
        struct qvf_error error = { 0 };
        enum qvf_train_event event = QVF_TRAIN_STEPPED;
        float *numbers;
        char path[64];
        int folder = new_folder(path), r = 0;

        set_up(&b, 0, QVF_STATE_F32);
        ck_assert_int_eq(qvf_lora_new(b.model, &b.lora, &lora, &error), 0);
        numbers = calloc(lora->n_parameters, sizeof(*numbers));
        for (uint64_t i = 0; i < lora->n_parameters; i++)
                numbers[i] = NAN;
        ck_assert_int_eq(b.compute.backend->buffer_upload(lora->parameters.buffer, 0, numbers,
                                         lora->n_parameters * sizeof(*numbers)),
                        0);
        ck_assert_int_eq(qvf_train_job_new(lora, &b.choice.plan, &b.options, b.windows, NULL, folder, &job,
                                         &error),
                        0);
        while (r == 0 && event != QVF_TRAIN_FINISHED)
                r = qvf_train_job_run(job, &event, &error);
        ck_assert_int_eq(r, -ERANGE);
        ck_assert_uint_eq(qvf_train_job_metrics(job)->n_skipped, 5);
        ck_assert_ptr_nonnull(strstr(error.text, "learning rate"));
        qvf_train_job_free(job);
        qvf_lora_free(lora);
        free(numbers);
        unlinkat(folder, "checkpoint-3", 0);
        remove_folder(folder, path);
        tear_down(&b);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("job");
        TCase *tcase = tcase_create("job");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 240);
        tcase_add_loop_test(tcase, resumed_is_as_straight, 0, 4);
        tcase_add_test(tcase, other_options_are_no_continuation);
        tcase_add_test(tcase, numbers_that_are_not_finite_end_the_run);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
