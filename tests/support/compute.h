/* SPDX-License-Identifier: Apache-2.0 */
/* The backend of this build that QVF_TEST_BACKEND names (cpu if it is not set), opened for a test. */
#ifndef QVF_TESTS_SUPPORT_COMPUTE_H
#define QVF_TESTS_SUPPORT_COMPUTE_H

#include "engine/model/model.h"

/* Whether the CPU backend is tested. */
bool test_on_cpu(void);
/* False, with the reason printed, for a level that this CPU or this build lacks, and while another backend is tested. */
bool test_level_applies(const char *level);
/* `level` as in QVF_CPU_LEVEL, or "amx-model"; NULL: the best that this machine has. Fails the test where it can't. */
struct qvf_compute test_compute(const char *level, unsigned threads);
/* A model of the folder models/. */
struct qvf_model *test_model(const struct qvf_compute *compute, const char *name);
/* NAME below the folder of the sources: tests run from anywhere. */
const char *test_path(const char *name);
/* The relative distance ‖a - b‖ / ‖b‖. */
double test_distance(const float *a, const float *b, size_t count);

#endif
