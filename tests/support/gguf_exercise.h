/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a file and uses all that it gives: for mutated files and the fuzzer. */
#ifndef QVF_TESTS_SUPPORT_GGUF_EXERCISE_H
#define QVF_TESTS_SUPPORT_GGUF_EXERCISE_H

enum gguf_exercised { GGUF_REFUSED, GGUF_OPENED, GGUF_IS_A_MODEL };

/* How far the file came. Aborts where a refusal has no words. */
enum gguf_exercised gguf_exercise(int fd);

#endif
