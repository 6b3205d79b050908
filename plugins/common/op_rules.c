/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/common/op_rules.h"

#define WRITTEN QVF_OPERAND_WRITTEN
#define OPTIONAL QVF_OPERAND_OPTIONAL
#define LIKE(operand) (1u << (operand)) /* may be the same value as that operand */

/* clang-format off */
const struct qvf_op_rule qvf_op_rules[QVF_OP_COUNT] = {
        [QVF_OP_FILL] = { "FILL", {
                { "y", "**", QVF_TYPE_F32, WRITTEN, 0 },
        } },
        [QVF_OP_COPY] = { "COPY", {
                { "y", "RC", QVF_TYPE_FLOAT, WRITTEN, LIKE(1) },
                { "x", "RC", QVF_TYPE_FLOAT, 0, 0 },
        } },
        [QVF_OP_EMBED] = { "EMBED", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, 0 },
                { "ids", "R1", QVF_TYPE_I32, 0, 0 },
                { "table", "VC", QVF_TYPE_WEIGHT, 0, 0 },
        } },
        [QVF_OP_GATHER] = { "GATHER", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, 0 },
                { "x", "NC", QVF_TYPE_F32, 0, 0 },
                { "index", "R1", QVF_TYPE_I32, 0, 0 },
        } },
        [QVF_OP_SCATTER_ADD] = { "SCATTER_ADD", {
                { "y", "NC", QVF_TYPE_F32, WRITTEN, 0 },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
                { "index", "R1", QVF_TYPE_I32, 0, 0 },
        } },
        [QVF_OP_KV_STORE] = { "KV_STORE", {
                { "cache", "LC", QVF_TYPE_CACHE, WRITTEN, 0 },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
                { "position", "R1", QVF_TYPE_I32, 0, 0 },
                { "sequence", "R1", QVF_TYPE_I32, 0, 0 },
                { "table", "TB", QVF_TYPE_I32, 0, 0 },
        } },
        [QVF_OP_KV_COPY] = { "KV_COPY", {
                { "cache", "LC", QVF_TYPE_CACHE, WRITTEN, 0 },
                { "pairs", "R2", QVF_TYPE_I32, 0, 0 },
        } },
        [QVF_OP_KV_ROTATE] = { "KV_ROTATE", {
                { "cache", "LC", QVF_TYPE_CACHE, WRITTEN, 0 },
                { "turn", "R2", QVF_TYPE_I32, 0, 0 },
                { "frequency", "1D", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_ADD] = { "ADD", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, LIKE(1) | LIKE(2) },
                { "a", "RC", QVF_TYPE_F32, 0, 0 },
                { "b", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_RMSNORM] = { "RMSNORM", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, LIKE(1) },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
                { "w", "1C", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_QUANTIZE] = { "QUANTIZE", {
                { "q", "RP", QVF_TYPE_I8, WRITTEN, 0 },
                { "scale", "R1", QVF_TYPE_F32, WRITTEN, 0 },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_MATMUL_TERNARY] = { "MATMUL_TERNARY", {
                { "y", "RN", QVF_TYPE_F32, WRITTEN, 0 },
                { "q", "RP", QVF_TYPE_I8, 0, 0 },
                { "scale", "R1", QVF_TYPE_F32, 0, 0 },
                { "W", "NP", QVF_TYPE_TERNARY, 0, 0 },
        } },
        [QVF_OP_MATMUL] = { "MATMUL", {
                { "y", "RN", QVF_TYPE_F32, WRITTEN, 0 },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
                { "W", "NC", QVF_TYPE_WEIGHT, 0, 0 },
                { "s", "RA", QVF_TYPE_F32, OPTIONAL, 0 },
        } },
        [QVF_OP_ROPE] = { "ROPE", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, LIKE(1) },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
                { "position", "R1", QVF_TYPE_I32, 0, 0 },
                { "frequency", "1D", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_ATTENTION] = { "ATTENTION", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, 0 },
                { "q", "RC", QVF_TYPE_F32, 0, 0 },
                { "keys", "LK", QVF_TYPE_CACHE, 0, 0 },
                { "values", "LK", QVF_TYPE_CACHE, 0, 0 },
                { "place", "R2", QVF_TYPE_I32, 0, 0 },
                { "table", "TB", QVF_TYPE_I32, 0, 0 },
        } },
        [QVF_OP_GATE] = { "GATE", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, LIKE(1) | LIKE(2) },
                { "g", "RC", QVF_TYPE_F32, 0, 0 },
                { "u", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_TOP_K] = { "TOP_K", {
                { "value", "RK", QVF_TYPE_F32, WRITTEN, 0 },
                { "id", "RK", QVF_TYPE_I32, WRITTEN, 0 },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_DROPOUT] = { "DROPOUT", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, LIKE(1) },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_ATTENTION_TRAIN] = { "ATTENTION_TRAIN", {
                { "y", "RC", QVF_TYPE_F32, WRITTEN, 0 },
                { "lse", "RH", QVF_TYPE_F32, WRITTEN, 0 },
                { "q", "RC", QVF_TYPE_F32, 0, 0 },
                { "k", "RK", QVF_TYPE_F32, 0, 0 },
                { "v", "RK", QVF_TYPE_F32, 0, 0 },
                { "first", "R1", QVF_TYPE_I32, 0, 0 },
        } },
        [QVF_OP_HEAD_LOSS] = { "HEAD_LOSS", {
                { "loss", "R1", QVF_TYPE_F32, WRITTEN, 0 },
                { "dx", "RC", QVF_TYPE_F32, WRITTEN | OPTIONAL, 0 },
                { "best", "R1", QVF_TYPE_I32, WRITTEN | OPTIONAL, 0 },
                { "scratch", "**", QVF_TYPE_F32, WRITTEN, 0 },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
                { "W", "VC", QVF_TYPE_WEIGHT, 0, 0 },
                { "target", "R1", QVF_TYPE_I32, 0, 0 },
        } },
        [QVF_OP_RMSNORM_BACKWARD] = { "RMSNORM_BACKWARD", {
                { "dx", "RC", QVF_TYPE_F32, WRITTEN, LIKE(1) | LIKE(3) },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
                { "w", "1C", QVF_TYPE_F32, 0, 0 },
                { "dy", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_MATMUL_TERNARY_BACKWARD] = { "MATMUL_TERNARY_BACKWARD", {
                { "dx", "RC", QVF_TYPE_F32, WRITTEN, 0 },
                { "dy", "RN", QVF_TYPE_F32, 0, 0 },
                { "W", "NP", QVF_TYPE_TERNARY, 0, 0 },
        } },
        [QVF_OP_MATMUL_BACKWARD] = { "MATMUL_BACKWARD", {
                { "dx", "RC", QVF_TYPE_F32, WRITTEN, 0 },
                { "dy", "RN", QVF_TYPE_F32, 0, 0 },
                { "W", "NC", QVF_TYPE_WEIGHT, 0, 0 },
        } },
        [QVF_OP_MATMUL_WEIGHT_BACKWARD] = { "MATMUL_WEIGHT_BACKWARD", {
                { "dW", "NC", QVF_TYPE_F32, WRITTEN, 0 },
                { "dy", "RN", QVF_TYPE_F32, 0, 0 },
                { "x", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_ATTENTION_TRAIN_BACKWARD] = { "ATTENTION_TRAIN_BACKWARD", {
                { "dq", "RC", QVF_TYPE_F32, WRITTEN, 0 },
                { "dk", "RK", QVF_TYPE_F32, WRITTEN, 0 },
                { "dv", "RK", QVF_TYPE_F32, WRITTEN, 0 },
                { "y", "RC", QVF_TYPE_F32, 0, 0 },
                { "lse", "RH", QVF_TYPE_F32, 0, 0 },
                { "q", "RC", QVF_TYPE_F32, 0, 0 },
                { "k", "RK", QVF_TYPE_F32, 0, 0 },
                { "v", "RK", QVF_TYPE_F32, 0, 0 },
                { "first", "R1", QVF_TYPE_I32, 0, 0 },
                { "dy", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_GATE_BACKWARD] = { "GATE_BACKWARD", {
                { "dg", "RC", QVF_TYPE_F32, WRITTEN, LIKE(2) },
                { "du", "RC", QVF_TYPE_F32, WRITTEN, LIKE(3) | LIKE(4) },
                { "g", "RC", QVF_TYPE_F32, 0, 0 },
                { "u", "RC", QVF_TYPE_F32, 0, 0 },
                { "dy", "RC", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_SQUARE_SUM] = { "SQUARE_SUM", {
                { "y", "11", QVF_TYPE_F32, WRITTEN, 0 },
                { "x", "F", QVF_TYPE_F32, 0, 0 },
        } },
        [QVF_OP_ADAMW] = { "ADAMW", {
                { "p", "F", QVF_TYPE_F32, WRITTEN, 0 },
                { "g", "F", QVF_TYPE_F32, 0, 0 },
                { "m", "F", QVF_TYPE_STATE, WRITTEN, 0 },
                { "v", "F", QVF_TYPE_STATE, WRITTEN, 0 },
                { "norm2", "11", QVF_TYPE_F32, 0, 0 },
                { "m_scale", "S", QVF_TYPE_F32, WRITTEN | OPTIONAL, 0 },
                { "v_scale", "S", QVF_TYPE_F32, WRITTEN | OPTIONAL, 0 },
        } },
        [QVF_OP_DRAW] = { "DRAW", {
                { "id", "R1", QVF_TYPE_I32, WRITTEN, 0 },
                { "value", "RK", QVF_TYPE_F32, 0, 0 },
                { "candidate", "RK", QVF_TYPE_I32, 0, 0 },
                { "how", "R4", QVF_TYPE_F32, 0, 0 },
        } },
};
