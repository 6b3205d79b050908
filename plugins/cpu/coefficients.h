/* SPDX-License-Identifier: Apache-2.0 */
/* Polynomials that the vector levels share, fitted for the least largest relative error in float arithmetic. */
#ifndef QVF_PLUGINS_CPU_COEFFICIENTS_H
#define QVF_PLUGINS_CPU_COEFFICIENTS_H

/* exp(r) = 1 + r + r² (E0 + E1 r + …), |r| ≤ log(2) / 2; off by 3e-9 before rounding */
#define EXP_E0 0.4999999403953552f
#define EXP_E1 0.1666652113199234f
#define EXP_E2 0.04166838899254799f
#define EXP_E3 0.00836874544620514f
#define EXP_E4 0.0013814539415761828f
#define EXP_LOG2E 1.44269504088896341f
#define EXP_LN2_HIGH 0.693145751953125f /* its last bits are 0: a product with a small integer is exact */
#define EXP_LN2_LOW 1.42860682030941723e-6f
#define EXP_LEAST (-104.0f) /* exp of less is 0 */
#define EXP_MOST 89.0f      /* exp of more is infinite */

/* sin(r) = r + r³ (S0 + S1 r² + …), cos(r) = 1 − r²/2 + r⁴ (C0 + C1 r² + …), |r| ≤ π / 4; off by 4e-9 and 1e-10 */
#define SIN_S0 -0.16666655242443085f
#define SIN_S1 0.00833215843886137f
#define SIN_S2 -0.00019514956511557102f
#define COS_C0 0.04166664555668831f
#define COS_C1 -0.0013887312961742282f
#define COS_C2 2.4432783902739175e-05f
#define TWO_OVER_PI 0.63661977236758134308
#define HALF_PI_HIGH 1.57079632679489655800
#define HALF_PI_LOW 6.12323399573676603587e-17

#endif
