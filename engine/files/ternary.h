/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary matrices as files store them, and ways to bring each to rows of TQ2_0: whole blocks of 256 codes
 * (0, 1, 2 for -1, 0, +1), the last one of a row padded with zeros, and one scale in f32 apart. */
#ifndef QVF_ENGINE_FILES_TERNARY_H
#define QVF_ENGINE_FILES_TERNARY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "qvf/dtype.h"

#define QVF_TERNARY_BLOCK_LENGTH 256
#define QVF_TQ1_BLOCK_BYTES 54
#define QVF_TQ2_BLOCK_BYTES 66

/* Bytes of rows x columns as TQ2_0 with padded rows. -EOVERFLOW. */
int qvf_ternary_tq2_bytes(uint64_t rows, uint64_t columns, uint64_t *ret_bytes);

struct qvf_ternary_facts {
        bool uniform; /* all blocks that have a scale have the same */
        float scale;  /* that one (0: all blocks are zero); 1 where not uniform */
        /* Blocks of scale 0 count as zero whatever their codes say. Where such codes are not all zero, a
         * kernel that looks at the codes and the one scale alone would be wrong: see
         * qvf_ternary_clear_dead(). */
        uint64_t dead_blocks;
        uint64_t dead_blocks_with_codes;
};

/* Looks at every block of a TQ1_0 or TQ2_0 matrix. -EINVAL with words: a scale that is no finite number, or
 * a code that means nothing (3 in TQ2_0). `name` is for the message. */
int qvf_ternary_inspect(enum qvf_dtype dtype, const void *data, uint64_t rows, uint64_t columns,
                const char *name, struct qvf_ternary_facts *ret_facts, struct qvf_error *error);
/* Sets the codes of blocks of scale 0 to zero. */
int qvf_ternary_clear_dead(enum qvf_dtype dtype, void *data, uint64_t n_blocks);

struct qvf_ternary_recovered {
        float scale;       /* of the whole matrix; 1 where block_scales */
        bool block_scales; /* the scale differs from block to block, and stands in the blocks (exactly, in
                              f16) */
};

/* A ternary matrix out of dense storage: F32, F16, BF16 and Q8_0 whose every value is -s, 0 or +s, and Q4_0
 * as converters make it of such rows (+-s and, cut, +-7/8 s). `ret_rows` takes qvf_ternary_tq2_bytes().
 * -ERANGE: the matrix is not ternary (and ret_rows is scribbled on); -EOPNOTSUPP: no such source format.
 * With ret_rows NULL only looks. */
int qvf_ternary_recover(enum qvf_dtype dtype, const void *data, uint64_t rows, uint64_t columns,
                uint8_t *ret_rows, struct qvf_ternary_recovered *ret_recovered);

/* How the machine that wrote an I2_S matrix laid out its codes. The file does not say. */
enum qvf_i2s_order {
        QVF_I2S_AUTO,
        QVF_I2S_X86, /* 128 weights in 32 bytes */
        QVF_I2S_ARM, /* 64 weights in 16 bytes */
};

const char *qvf_i2s_order_name(enum qvf_i2s_order order);

struct qvf_i2s_guess {
        enum qvf_i2s_order order; /* never QVF_I2S_AUTO */
        /* false: nothing spoke for either order, and x86 was assumed, because the files that are published
         * were written there. Say so to the user. */
        bool sure;
        /* How far the share of zeros in a column follows the hint, under each order (correlation, -1 to 1).
         */
        float correlation_x86, correlation_arm;
};

/* Both orders are permutations of the same codes, so that the codes alone tell nothing. What does: a count
 * of weights that only ARM can write (an odd multiple of 64), or the columns' shares of zeros being aligned
 * with something that was not permuted and goes with them: `hint` (or NULL) has one number for each column,
 * the weight of the norm before this matrix. */
int qvf_i2s_guess_order(const void *data, uint64_t rows, uint64_t columns, const float *hint,
                struct qvf_i2s_guess *ret_guess);
/* I2_S, its scale after the data, to TQ2_0 rows. `order` must not be QVF_I2S_AUTO. -EINVAL with words: a
 * code of 3, a scale that is no finite number, or a size that the order cannot have. */
int qvf_i2s_unpack(const void *data, uint64_t rows, uint64_t columns, enum qvf_i2s_order order,
                const char *name, uint8_t *ret_rows, float *ret_scale, struct qvf_error *error);
/* The way back, for tests and export. `ret_data` takes qvf_dtype_tensor_bytes(QVF_I2_S). */
int qvf_i2s_pack(const uint8_t *tq2_rows, uint64_t rows, uint64_t columns, enum qvf_i2s_order order,
                float scale, uint8_t *ret_data);

/* Block by block and without loss. Codes of 3 have no form in TQ1_0: -EINVAL. */
void qvf_tq1_to_tq2(const void *tq1, void *ret_tq2, uint64_t n_blocks);
int qvf_tq2_to_tq1(const void *tq2, void *ret_tq1, uint64_t n_blocks);

/* The 256 codes of one block. */
void qvf_tq1_codes(const uint8_t block[QVF_TQ1_BLOCK_BYTES], uint8_t ret_codes[QVF_TERNARY_BLOCK_LENGTH]);
void qvf_tq2_codes(const uint8_t block[QVF_TQ2_BLOCK_BYTES], uint8_t ret_codes[QVF_TERNARY_BLOCK_LENGTH]);

/* The bits of the f16 nearest to a scale, but never 0 nor infinite for a scale that is neither. */
uint16_t qvf_ternary_block_scale(float scale);

#endif
