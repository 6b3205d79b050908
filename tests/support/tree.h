/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of files that stands for a machine: the root prefix of sensors. */
#ifndef QVF_TESTS_SUPPORT_TREE_H
#define QVF_TESTS_SUPPORT_TREE_H

#include <stdint.h>

/* An empty one, gone when the process ends; lives as long as the process. */
const char *test_tree(void);
/* Writes ROOT/PATH with the folders that it needs; NULL removes it. */
void test_tree_put(const char *root, const char *path, const char *text);
/* Sets the time of the last reading. */
void test_tree_used(const char *root, const char *path, int64_t seconds);

#endif
