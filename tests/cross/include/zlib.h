/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine needs of zlib, for builds without it: see ../crc32.c. */
#ifndef QVF_TESTS_CROSS_ZLIB_H
#define QVF_TESTS_CROSS_ZLIB_H

#include <stddef.h>

typedef unsigned uInt;

unsigned long crc32(unsigned long sum, const unsigned char *bytes, unsigned count);
unsigned long crc32_z(unsigned long sum, const unsigned char *bytes, size_t count);

#endif
