#version 450
/* SPDX-License-Identifier: Apache-2.0 */
#define TRANSPOSED
#include "dense_matrix.glsl"
