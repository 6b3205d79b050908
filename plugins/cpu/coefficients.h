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

/* In double: sin(r) = r + r z (S0 + S1 z + …), cos(r) = 1 − z/2 + z² (C0 + C1 z + …), z = r², |r| ≤ π / 4; off by
 * 2e-17 and 1e-18 before rounding */
#define SIN_S0 (-0.16666666666666666)
#define SIN_S1 0.008333333333330936
#define SIN_S2 (-0.00019841269836740527)
#define SIN_S3 2.7557316093196066e-06
#define SIN_S4 (-2.5051129895962807e-08)
#define SIN_S5 1.5917988944318716e-10
#define COS_C0 0.041666666666666664
#define COS_C1 (-0.0013888888888887389)
#define COS_C2 2.48015872987544e-05
#define COS_C3 (-2.7557317265876615e-07)
#define COS_C4 2.087614504910828e-09
#define COS_C5 (-1.1382544623404291e-11)
#define TWO_OVER_PI 0.63661977236758134308
/* π / 2 in three parts; the last bits of the first two are 0, so that their products with numbers below 2²⁰ are exact */
#define HALF_PI_1 1.5707963267341256
#define HALF_PI_2 6.077100506303966e-11
#define HALF_PI_3 2.0222662487959506e-21

#endif
