/* SPDX-License-Identifier: Apache-2.0 */
/* Trains an adapter on a file, and shows how it goes: train data.jsonl my-adapter
 * cc train.c $(pkg-config --cflags --libs qvf) */
#include <fcntl.h>
#include <qvf/qvf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int on_change(void *context, const struct qvf_value *job)
{
        (void)context;
        fprintf(stderr, "%s %s: step %.0f of %.0f, loss %.3f\n",
                        qvf_value_string(qvf_value_get(job, "State")),
                        qvf_value_string(qvf_value_get(job, "Reason")), /* why it waits, when it does */
                        qvf_value_number(qvf_value_get(job, "Step")),
                        qvf_value_number(qvf_value_get(job, "TotalSteps")),
                        qvf_value_number(qvf_value_get(job, "Loss")));
        return 0; /* anything else: stop watching; the job goes on */
}

int main(int argc, char **argv)
{
        struct qvf_client *client = NULL;
        struct qvf_options *options = qvf_options_new();
        struct qvf_value *manager = NULL, *job = NULL;
        struct qvf_failure failure = { 0 };
        int data = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
        char *id = NULL;
        int r = -1;

        if (data < 0) {
                fprintf(stderr, "usage: train DATA ADAPTER\n");
                return 2;
        }
        qvf_options_set_string(options, "adapter", argv[2]);
        qvf_options_set_integer(options, "epochs", 2);
        qvf_options_set_integer(options, "context", 128);
        if (qvf_connect(NULL, &client, &failure) == 0 &&
                        qvf_get(client, "manager", "", &manager, &failure) == 0 &&
                        qvf_train(client, qvf_value_string(qvf_value_get(manager, "DefaultModel")), data,
                                        options, &id, &failure) == 0)
                r = qvf_job_wait(client, id, -1, on_change, NULL, &job, &failure);
        if (r == 0)
                printf("job %s: %s\n", id, qvf_value_string(qvf_value_get(job, "State")));
        else
                fprintf(stderr, "%s\n", failure.message);
        qvf_value_free(job);
        qvf_value_free(manager);
        qvf_options_free(options);
        qvf_disconnect(client);
        close(data);
        free(id);
        return r == 0 ? 0 : 1;
}
