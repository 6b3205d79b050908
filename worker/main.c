/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/bus.h"
#include "worker/discover.h"
#include "worker/sandbox.h"

#define BUS_FD 3 /* where whoever started us has put our end of the connection */

int main(int argc, char **argv)
{
        enum worker_status status = WORKER_PROTOCOL;
        struct qvf_error error = { 0 };

        if (argc > 1 && strcmp(argv[1], "--discover") == 0)
                return worker_discover(argc - 2, argv + 2);
        if (argc > 1 && strcmp(argv[1], "--version") == 0) {
                puts("qvf-worker " QVF_VERSION);
                return 0;
        }
        if (argc > 1) {
                fputs("qvf-worker is started by qvfd, with a connection as descriptor 3; or:\n"
                      "qvf-worker --discover [--limit SECONDS] [--no-self-test] [--skip BACKEND:ID:DRIVER] "
                      "[BACKEND]\n",
                                stderr);
                return WORKER_USAGE;
        }
        if (worker_sandbox_process(&error) < 0)
                status = WORKER_SANDBOX;
        else if (worker_serve(BUS_FD, &status, &error) < 0)
                status = WORKER_PROTOCOL;
        if (error.code < 0)
                fprintf(stderr, "<3>%s\n", error.text);
        _exit((int)status); /* without the destructors of drivers */
}
