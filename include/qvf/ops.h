/* SPDX-License-Identifier: Apache-2.0 */
/* The closed set of operations. A program is a flat list of them; a backend does all of them.
 *
 * Every value is a row-major matrix [rows, columns]; unless said otherwise it is F32. R is the number of rows in
 * use at run time (qvf_op.rows says which argument gives it), C a number of columns. Operands stand in the order
 * of the list below, results first; an operand in brackets may be QVF_NONE. An element-wise result may be
 * the same value as an input; a matrix product's may not. f0… and i0… are qvf_op.f and qvf_op.i. "flat" means that
 * the matrix is taken as one run of rows × columns numbers. ACC: with QVF_ACCUMULATE the result is added to y.
 *
 * Of a matrix W "of any dtype" (F32, F16, BF16, Q8_0, Q6_K, Q4_0, Q4_K, TQ1_0, TQ2_0) the ternary ones are the codes
 * times W.scale (and times the block's scale with block_scales); of the others W.scale means nothing.
 * An index that its table lacks (a word, a row, a sequence, a position, a block; negative ones too) is passed over:
 * nothing is stored, a row that was to be read is zeros, ATTENTION does not look there (nowhere to look: zeros).
 * A number becomes Q8_0 so: m = max|x| of 32, scale = f16(m / 127), q = rint(x * (127 / m)), half to even. */
#ifndef QVF_OPS_H
#define QVF_OPS_H

#include <stdint.h>

/* clang-format off */
#define QVF_OPS(X) \
 /* Movement */ \
 X(FILL,            1) /* y: y = f0, all of it */ \
 X(COPY,            2) /* y, x: y = x; the two may be of F32, F16 and BF16 */ \
 X(EMBED,           3) /* y[R,C], ids[R] I32, table[V,C] of any dtype: y[r] = table[ids[r]] */ \
 X(GATHER,          3) /* y[R,C], x[N,C], index[R] I32: y[r] = x[index[r]] */ \
 X(SCATTER_ADD,     3) /* y[N,C], x[R,C], index[R] I32, all different: y[index[r]] += x[r] */ \
 X(KV_STORE,        5) /* cache[cells,C] F32/F16/Q8_0, x[R,C], position[R], sequence[R], table[S,B] I32:
                          cache[cell] = x[r], cell = table[sequence[r]][p / QVF_KV_BLOCK] * QVF_KV_BLOCK + p % QVF_KV_BLOCK */ \
 X(KV_COPY,         2) /* cache[cells,C], pairs[R,2] I32: block pairs[r][1] of QVF_KV_BLOCK cells = block pairs[r][0] */ \
 X(KV_ROTATE,       3) /* cache[cells,C] of keys, turn[R,2] I32, frequency[1,D/2]: the keys of block turn[r][0] turn as in
                          ROPE (f1 = 1) by turn[r][1] positions, which may be negative; i0 head size, i1 pairing */ \
 /* Forward */ \
 X(ADD,             3) /* y, a, b: y = f0 a + f1 b, R rows */ \
 X(RMSNORM,         3) /* y[R,C], x[R,C], w[1,C]: y = x / sqrt(mean(x²) + f0) * w */ \
 X(QUANTIZE,        3) /* q[R,C'] I8, scale[R,1], x[R,C]: m = max(max|x|, 1e-5); q = clamp(rint(x * (127 / m)), -128, 127),
                          half to even; scale = m / 127; columns C to C' are 0 */ \
 X(MATMUL_TERNARY,  4) /* y[R,N], q[R,C'] I8, scale[R,1], W[N,C'] ternary: y = W.scale * scale[r] * (W q), exact in int32 */ \
 X(MATMUL,          4) /* y[R,N], x[R,C], W[N,C] of any dtype, [s[R,S]]: y = f0 * s[r][i0] * (W x); ACC */ \
 X(ROPE,            4) /* y[R,C], x[R,C], position[R] I32, frequency[1,D/2]: of each head of i0 numbers the first D turn by
                          position * frequency[i]; i1: 0 pairs i with i + D/2, 1 pairs 2i with 2i + 1; f0 (1 or -1) turns
                          the other way, f1 multiplies sine and cosine */ \
 X(ATTENTION,       6) /* y[R,C], q[R,C], keys, values: caches[cells,K], place[R,2] I32 (position, sequence), table[S,B] I32:
                          row r looks at the cells of positions 0 to p of its sequence; i0 head size, i1 sliding window
                          (0: none), f0 multiplies the scores; heads share K / head size key heads */ \
 X(GATE,            3) /* y, g, u: y = act(g) u, R rows; i0: 0 SiLU, 1 ReLU squared */ \
 X(TOP_K,           3) /* value[R,K], id[R,K] I32, x[R,C]: the K largest of each row, largest first, smaller index first */ \
 /* Training: forward */ \
 X(DROPOUT,         2) /* y, x: y = keep ? x / (1 - f0) : 0, R rows; keep = qvf_dropout_hash(args.seed,
                          i0, index in the matrix) >= f0 · 2³² */ \
 X(ATTENTION_TRAIN, 6) /* y[R,C], lse[R,H], q[R,C], k[R,K], v[R,K], first[R] I32: row r looks at rows first[r] to r;
                          i0 head size, f0 scale; lse = log of the sum of exp(score) */ \
 X(HEAD_LOSS,       7) /* loss[R,1], [dx[R,C]], [best[R,1] I32], scratch flat, x[R,C], W[V,C] of any dtype, target[R] I32:
                          loss = -log softmax(W x)[target]; dx = args.loss_scale * dloss/dx; best = argmax(W x);
                          target -1: loss 0, dx 0; the scratch holds i0 rows of i1 logits at a time */ \
 /* Training: backward */ \
 X(RMSNORM_BACKWARD,4) /* dx[R,C], x[R,C], w[1,C], dy[R,C]; ACC */ \
 X(MATMUL_TERNARY_BACKWARD, 3) /* dx[R,C], dy[R,N], W[N,C'] ternary: dx = W.scale * (Wᵀ dy); ACC */ \
 X(MATMUL_BACKWARD, 3) /* dx[R,C], dy[R,N], W[N,C] of any dtype: dx = f0 * (Wᵀ dy); ACC */ \
 X(MATMUL_WEIGHT_BACKWARD, 3) /* dW[N,C], dy[R,N], x[R,C]: dW = f0 * Σ dy[r] x[r]ᵀ; ACC */ \
 X(ATTENTION_TRAIN_BACKWARD, 10) /* dq, dk, dv, y, lse, q, k, v, first, dy, as in ATTENTION_TRAIN */ \
 X(GATE_BACKWARD,   5) /* dg, du, g, u, dy, R rows; dg may be g, du may be u or dy */ \
 /* Training: step */ \
 X(SQUARE_SUM,      2) /* y[1,1], x flat: y = Σ x²; ACC */ \
 X(ADAMW,           7) /* p, g, m, v flat, norm2[1,1], [m_scale], [v_scale]: with n = sqrt(norm2), nothing if n is not finite;
                          g' = g * min(1, args.clip / n) (args.clip 0: g); m += (1-f0)(g'-m); v += (1-f1)(g'²-v);
                          p -= args.learning_rate * (m/(1-f0^step) / (sqrt(v/(1-f1^step)) + f2) + f3 p); step = args.step.
                          m, v of U8: block-wise 8 bit with a scale for each QVF_STATE_BLOCK numbers, the largest |m|
                          or v among them: m = sign(k) (k/127)² scale, k an int8; v = (k/255)⁴ scale, k at least 1 where
                          v > 0 */ \
 /* Choosing (behind the others, whose numbers stay) */ \
 X(DRAW,            4) /* id[R,1] I32, value[R,K], candidate[R,K] I32, how[R,4] = (1 / temperature, top_p, log(min_p), point):
                          one of the candidates, which stand as TOP_K leaves them: docs/arithmetic.md; -1 where the best is
                          not above -infinity */

enum qvf_op_kind {
#define QVF_OP_ENUM(name, operands) QVF_OP_##name,
        QVF_OPS(QVF_OP_ENUM)
#undef QVF_OP_ENUM
        QVF_OP_COUNT
};
/* clang-format on */

#define QVF_OP_OPERANDS 10          /* most operands of one operation */
#define QVF_NONE ((uint16_t)0xffff) /* an operand that is not there */
#define QVF_KV_BLOCK 32u            /* cells in a block of the key and value caches */
#define QVF_STATE_BLOCK 256u        /* numbers that share a scale in 8-bit optimizer state */
#define QVF_DRAW_COLUMNS 4u         /* of what DRAW is told of a row */
#define QVF_DRAW_MOST 64u           /* candidates that DRAW takes */
#define QVF_TERNARY_BLOCK 256u      /* columns of ternary weights and quantised rows are padded to this */

enum qvf_op_flags { QVF_ACCUMULATE = 1 };

/* Where R comes from. */
enum qvf_rows {
        QVF_ROWS_ALL,    /* the declared rows of the first operand that has R rows in the list above */
        QVF_ROWS_INPUT,  /* args.rows */
        QVF_ROWS_OUTPUT, /* args.output_rows */
};

/* DROPOUT keeps element `index` of stream `stream` when this hash of them is at least f0 · 2³². */
static inline uint32_t qvf_dropout_hash(uint64_t seed, uint32_t stream, uint32_t index)
{
        uint32_t h = (uint32_t)seed ^ (stream * 0x9e3779b9u);

        for (int round = 0; round < 2; round++) { /* the finaliser of MurmurHash3, keyed */
                h ^= round ? index : (uint32_t)(seed >> 32);
                h = (h ^ h >> 16) * 0x85ebca6bu;
                h = (h ^ h >> 13) * 0xc2b2ae35u;
                h ^= h >> 16;
        }
        return h;
}

#endif
