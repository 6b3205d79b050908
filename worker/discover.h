/* SPDX-License-Identifier: Apache-2.0 */
/* Finds devices and tests them, each in a process of its own that may crash, hang or lie, and prints what it found as
 * JSON; config/org.qvf.Worker1.xml describes it. */
#ifndef QVF_WORKER_DISCOVER_H
#define QVF_WORKER_DISCOVER_H

/* The arguments behind --discover. Returns the status of the process. */
int worker_discover(int argc, char **argv);

#endif
