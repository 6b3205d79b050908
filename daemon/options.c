/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#define HELP                                                                                                \
        "usage: qvfd [OPTION…]\n"                                                                         \
        "Trains and runs language models on this device while nobody needs it. Without options: on the "    \
        "system bus.\n"                                                                                     \
        "  --user               on the session bus of this user\n"                                          \
        "  --address ADDRESS    on no bus: direct connections at unix:path=FILE\n"                          \
        "  --state FOLDER       the store (default: $STATE_DIRECTORY, /var/lib/qvf or "                     \
        "~/.local/state/qvf)\n"                                                                             \
        "  --config PATH        a folder with qvfd.yaml and qvfd.d/, or one file (default: /etc/qvf, "      \
        "~/.config/qvf)\n"                                                                                  \
        "  --dry-run            decide and say so, but run nothing\n"                                       \
        "  --check-config       read the configuration, say what is wrong with it or print it, and end\n"   \
        "  --simulate TRACE     run the policy over a trace of sensors (- reads stdin), print decisions, "  \
        "and end\n"                                                                                         \
        "  --json               with --simulate: JSON lines\n"                                              \
        "  --bus-introspect=PATH  print the interfaces of an object (\"list\" lists the paths), and end\n"  \
        "  --root FOLDER        read sysfs and procfs below this folder\n"                                  \
        "  --worker PROGRAM     qvf-worker\n"                                                               \
        "  -v, --verbose        also what only matters to who looks for a fault\n"                          \
        "  -h, --help   --version\n"

enum {
        USER = 256,
        ADDRESS,
        STATE,
        CONFIG,
        DRY_RUN,
        CHECK,
        SIMULATE,
        JSON,
        INTROSPECT,
        ROOT,
        WORKER,
        VERSION
};

static const struct option table[] = {
        { "user", no_argument, NULL, USER },
        { "address", required_argument, NULL, ADDRESS },
        { "state", required_argument, NULL, STATE },
        { "config", required_argument, NULL, CONFIG },
        { "dry-run", no_argument, NULL, DRY_RUN },
        { "check-config", no_argument, NULL, CHECK },
        { "simulate", required_argument, NULL, SIMULATE },
        { "json", no_argument, NULL, JSON },
        { "bus-introspect", required_argument, NULL, INTROSPECT },
        { "root", required_argument, NULL, ROOT },
        { "worker", required_argument, NULL, WORKER },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, VERSION },
        { 0 },
};

void qvfd_options_print_help(void)
{
        fputs(HELP, stdout);
}

static int refuse(const char *words, const char *what)
{
        fprintf(stderr, "qvfd: %s%s\n", words, what);
        return -EINVAL;
}

int qvfd_options_parse(int n, char **arguments, struct qvfd_options *ret_options)
{
        struct qvfd_options options = { 0 };
        int c;

        while ((c = getopt_long(n, arguments, "vh", table, NULL)) != -1) {
                switch (c) {
                case USER: options.user = true; break;
                case ADDRESS: options.address = optarg; break;
                case STATE: options.state = optarg; break;
                case CONFIG: options.config = optarg; break;
                case DRY_RUN: options.dry_run = true; break;
                case CHECK: options.check_config = true; break;
                case SIMULATE: options.simulate = optarg; break;
                case JSON: options.json = true; break;
                case INTROSPECT: options.introspect = optarg; break;
                case ROOT: options.root = optarg; break;
                case WORKER: options.worker = optarg; break;
                case 'v': options.verbose = true; break;
                case 'h': options.help = true; break;
                case VERSION: options.version = true; break;
                default: return -EINVAL;
                }
        }
        if (options.check_config && optind == n - 1)
                options.config = arguments[optind++];
        if (optind < n)
                return refuse("unexpected argument: ", arguments[optind]);
        if (options.user && options.address)
                return refuse("--user and --address exclude each other", "");
        *ret_options = options;
        return 0;
}
