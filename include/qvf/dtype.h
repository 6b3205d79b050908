/* SPDX-License-Identifier: Apache-2.0 */
/* The number formats of values and weights. Those that GGUF knows have GGUF's numbers. */
#ifndef QVF_DTYPE_H
#define QVF_DTYPE_H

enum qvf_dtype {
        QVF_F32 = 0,
        QVF_F16 = 1,
        QVF_Q4_0 = 2,  /* 32 weights in 18 bytes */
        QVF_Q8_0 = 8,  /* 32 weights in 34 bytes */
        QVF_Q4_K = 12, /* 256 weights in 144 bytes */
        QVF_Q6_K = 14, /* 256 weights in 210 bytes */
        QVF_I8 = 24,
        QVF_I32 = 26,
        QVF_BF16 = 30,
        QVF_TQ1_0 = 34,  /* 256 ternary weights in 54 bytes */
        QVF_TQ2_0 = 35,  /* 256 ternary weights in 66 bytes */
        QVF_I2_S = 1036, /* bitnet.cpp's; in its files the number is 36 */
        QVF_U8 = 1000,   /* bytes that only the backend reads, or 8-bit optimizer state */
};

#endif
