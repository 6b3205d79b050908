/* SPDX-License-Identifier: Apache-2.0 */
/* A program that tests the engine and the CPU plugin on another architecture. It needs the C library alone and is
 * linked statically, so that a cross compiler and an emulator are all that has to be there. */
#ifndef QVF_TESTS_CROSS_H
#define QVF_TESTS_CROSS_H

#include <stdbool.h>

#include "engine/model/compute.h"

/* The plugin, which is a part of this program. */
extern const struct qvf_backend qvf_backend;

/* Prints "ok NAME" or "FAIL NAME: what", as tests/run-tests counts them. Returns `holds`. */
bool cross_check(bool holds, const char *name, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
/* Ends the program where `r` is an error: what comes after would test nothing. */
void cross_need(int r, const char *what, const char *text);

/* The CPU with kernels up to `level`. */
struct qvf_compute cross_open(const char *level, uint32_t threads);

/* golden.c: a model's logits, gradients and losses against the independent reference. */
void cross_golden_logits(const char *level);
void cross_golden_training(const char *level);

#endif
