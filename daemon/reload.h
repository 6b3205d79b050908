/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: read at the start, and again when asked. */
#ifndef QVF_DAEMON_RELOAD_H
#define QVF_DAEMON_RELOAD_H

#include <systemd/sd-bus.h>

#include "daemon/config/config.h"

struct qvfd;
struct qvfd_options;

/* A folder of qvfd.yaml and qvfd.d, or one file, as the options say. */
int qvfd_config_read(
                const struct qvfd_options *options, struct qvf_config *ret_config, struct qvf_error *error);
/* Tells systemd, reads, and on failure keeps what was, with the words in ConfigError. */
int qvfd_reload(struct qvfd *service, struct qvf_error *error);
int qvfd_append_config_files(struct qvfd *service, sd_bus_message *message); /* as */

#endif
