/* SPDX-License-Identifier: Apache-2.0 */
/* One answer in one call: complete "What is grep?"
 * cc complete.c $(pkg-config --cflags --libs qvf) */
#include <qvf/qvf.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
        struct qvf_failure failure;
        struct qvf_client *client;
        struct qvf_options *options;
        struct qvf_value *stats;
        char *answer;
        int r;

        if (argc != 2) {
                fprintf(stderr, "usage: complete PROMPT\n");
                return 2;
        }
        /* NULL: wherever qvfd is: $QVF_ADDRESS, the system bus, the user's bus. */
        if (qvf_connect(NULL, &client, &failure) < 0) {
                fprintf(stderr, "%s\n", failure.message);
                return 1;
        }
        options = qvf_options_new();
        qvf_options_set_integer(options, "max_tokens", 64);
        qvf_options_set_number(options, "temperature", 0);
        /* An empty name is the service's default model. */
        r = qvf_complete(client, "", argv[1], options, &answer, &stats, &failure);
        if (r == 0) {
                printf("%s\n", answer);
                fprintf(stderr, "%.0f tokens\n", qvf_value_number(qvf_value_get(stats, "generated_tokens")));
                free(answer);
                qvf_value_free(stats);
        } else {
                fprintf(stderr, "%s: %s\n", failure.name, failure.message);
        }
        qvf_options_free(options);
        qvf_disconnect(client);
        return r == 0 ? 0 : 1;
}
