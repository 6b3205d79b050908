/* SPDX-License-Identifier: Apache-2.0 */
/* Which shader does a product with a dense weight, and the pieces that no binding is too small for. */
#include "plugins/vulkan/ops/dense.h"

#include "plugins/vulkan/ops/ternary.h"
#include "plugins/vulkan/pack.h"

#define NARROW 32u         /* results of up to so many columns have too few tiles */
#define FEW_ROWS 8u        /* likewise rows */
#define DEPTH_MOST 64u     /* products that an invocation keeps the weights of */
#define OUTER_SHARED 1024u /* numbers of x in shared memory */

#define MATRIX_TILE 128u
#define MATRIX_ROWS_LEAST 16u    /* that are worth it */
#define MATRIX_LEAST 64u         /* likewise columns */
#define MATRIX_WORDS 1024u       /* a vocabulary of less (the self-test has such) is done in f32 */
#define MATRIX_TILES_ENOUGH 256u /* workgroups */
#define MATRIX_DEPTH_LEAST 512u  /* of K in a part */
#define MATRIX_PARTS_BYTES (8u << 20)
#define OUTER_WIDE_MOST 32u /* as DEPTH_MOST, with four columns */
#define LANES_INVOCATIONS 128u
#define VECTOR_INVOCATIONS 256u
#define VECTOR_DEPTH 2u
#define TASKS_ENOUGH 4096u  /* with fewer, all subgroups of a workgroup do one together */
#define TOGETHER_LEAST 512u /* of K, for that */
#define GROUPS_IN_A_ROW 32768u
#define PARTS_SLOT 2u          /* of scratch memory */
#define GRADIENT_SCALE 0x1p14f /* a probability is at most 1: what f16 holds of it then goes down to 4e-12 */

struct piece { /* of a product: what one dispatch does */
        const struct vk_dense *product;
        uint32_t row, rows;   /* from product->row on */
        uint32_t word, words; /* from product->word on */
        uint32_t m, n, k;
};

/* Rows of so many bytes in a binding, sixteens if there are any. */
static uint32_t rows_in(const struct vk_limits *limits, uint64_t row_bytes)
{
        uint64_t rows = (limits->range - limits->alignment) / row_bytes;

        rows = rows > UINT32_MAX ? UINT32_MAX : rows;
        return (uint32_t)(rows < 1 ? 1 : rows < 16 ? rows : rows / 16 * 16);
}

static uint64_t weight_row_bytes(const struct vk_operand *weight)
{
        return weight->value->packed ? 4ull * vk_packed_row_words(weight->dtype, weight->columns)
                                     : vk_operand_row_bytes(weight);
}

/* The numbers of dense_weight.glsl. */
static uint32_t weight_dtype(const struct vk_operand *weight)
{
        return weight->dtype | (weight->value->block_scales ? 4096u : 0) |
               (weight->value->packed ? 8192u : 0);
}

/* The shader's row 0 is row push.rest[6] of what is bound: an odd row may begin within a word. */
static void bind_weight(struct vk_dispatch *d, const struct vk_dense *p, uint32_t row, uint32_t rows)
{
        const struct vk_operand *w = p->weight;
        uint32_t before = vk_operand_row_bytes(w) % 4 && !w->value->packed ? row % 2 : 0;

        d->push.rest[6] = before;
        d->bind[2] = w->value->packed ? vk_ternary_rows(w->value, row, rows)
                                      : vk_bind_rows(w->value, vk_operand_row_bytes(w), row - before,
                                                        rows + before, false);
        d->bind[4] = vk_ternary_scales(w->value, row, rows);
}

/* Shaders of cooperative matrices find the scales of blocks in the binding that has all rows. */
static void bind_weight_whole(struct vk_dispatch *d, const struct vk_dense *p, uint32_t row)
{
        const struct vk_operand *w = p->weight;

        if (!w->value->packed || !w->value->block_scales)
                return;
        d->push.rest[6] = row;
        d->push.rest[7] = (uint32_t)(vk_packed_scales(w->dtype, w->rows, w->columns) / 4);
        d->bind[2] = (struct vk_binding){ .value = w->value };
}

static struct vk_dispatch dispatch_of(const struct vk_call *call, const struct piece *piece)
{
        const struct vk_dense *p = piece->product;
        struct vk_dispatch d = {
                .push = { .rows_from = call->op->rows,
                                .rows = call->rows,
                                .row0 = p->row + piece->row,
                                .flags = p->flags },
                .n_bind = 5,
                .cost = (uint64_t)piece->m * piece->n * piece->k + 1,
        };
        const uint32_t n[8] = { piece->rows, piece->n, piece->k, p->y_columns, p->x_columns,
                p->s ? p->s->columns : 0, piece->word, p->s_column };

        for (int i = 0; i < 8; i++)
                d.push.n[i] = n[i];
        if (p->transposed && piece->word > 0)
                d.push.flags |= QVF_ACCUMULATE;
        d.push.f[0] = p->factor;
        d.push.f[1] = p->weight->value->scale;
        d.bind[0] = vk_bind_rows(p->y, 4ull * p->y_columns, p->y_row + piece->row, piece->rows, true);
        d.bind[1] = vk_bind_rows(p->x, 4ull * p->x_columns, p->x_row + piece->row, piece->rows, false);
        bind_weight(&d, p, p->word + piece->word, piece->words);
        if (p->s)
                d.bind[3] = vk_bind_rows(
                                p->s, 4ull * p->s->columns, p->row + piece->row, piece->rows, false);
        d.constant[0] = weight_dtype(p->weight);
        return d;
}

/* K is shared out among invocations. */
static void emit_dot(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        struct vk_dispatch d = dispatch_of(call, piece);
        uint32_t rows = piece->m >= 512 ? 4 : piece->m <= 4 && piece->n > NARROW ? piece->m : 1;
        uint32_t columns = piece->n >= 8 && rows * piece->m > 1 ? 8 : 4;

        d.shader = piece->product->transposed ? VK_SHADER_MATMUL_BACKWARD_DOT : VK_SHADER_MATMUL_DOT;
        d.constant[1] = rows == 1 ? 128 : 64;
        d.constant[2] = rows;
        d.constant[3] = columns;
        d.n_constants = 4;
        d.groups[0] = vk_div_up(piece->n, columns);
        d.groups[1] = vk_div_up(piece->m, rows);
        vk_emit(build, &d);
}

/* An invocation keeps the K weights of its column. */
static void emit_outer(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        struct vk_dispatch d = dispatch_of(call, piece);
        uint32_t depth = piece->k <= 8 ? 8 : piece->k <= 16 ? 16 : piece->k <= 32 ? 32 : DEPTH_MOST;
        uint32_t rows = piece->m <= 8 ? 1 : piece->m <= 512 ? 4 : OUTER_SHARED / DEPTH_MOST;

        d.shader = piece->product->transposed ? VK_SHADER_MATMUL_BACKWARD_OUTER : VK_SHADER_MATMUL_OUTER;
        d.constant[1] = 64;
        d.constant[2] = rows;
        d.constant[3] = depth;
        d.n_constants = 4;
        d.groups[0] = vk_div_up(piece->n, 64);
        d.groups[1] = vk_div_up(piece->m, rows);
        vk_emit(build, &d);
}

static void emit_tiles(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        struct vk_dispatch d = dispatch_of(call, piece);
        uint32_t rows = piece->m <= 16 ? 1 : piece->m <= 32 ? 2 : 4;
        uint32_t columns = piece->n <= 16 ? 1 : piece->n <= 32 ? 2 : 4;

        d.shader = piece->product->transposed ? VK_SHADER_MATMUL_BACKWARD : VK_SHADER_MATMUL;
        d.constant[1] = rows;
        d.constant[2] = columns;
        d.n_constants = 3;
        d.groups[0] = vk_div_up(piece->n, 16 * columns);
        d.groups[1] = vk_div_up(piece->m, 16 * rows);
        vk_emit(build, &d);
}

/* Parts of K where the result alone has too few tiles to fill a device with. */
static uint32_t matrix_parts(const struct piece *piece)
{
        uint32_t tiles = vk_div_up(piece->m, MATRIX_TILE) * vk_div_up(piece->n, MATRIX_TILE);
        uint32_t parts = tiles < MATRIX_TILES_ENOUGH ? vk_div_up(MATRIX_TILES_ENOUGH, tiles) : 1;
        uint64_t fit = MATRIX_PARTS_BYTES / (4ull * piece->m * piece->n);
        uint64_t most = vk_div_up(piece->k, MATRIX_DEPTH_LEAST);

        most = fit < most ? fit : most;
        return parts < most ? parts : most > 1 ? (uint32_t)most : 1;
}

static void emit_combine(struct vk_build *build, const struct vk_call *call, const struct piece *piece,
                const struct vk_dispatch *parts)
{
        struct vk_dispatch d = dispatch_of(call, piece);

        d.shader = VK_SHADER_MATMUL_WEIGHT_COMBINE;
        d.bind[1] = parts->bind[0];
        d.bind[1].written = false;
        d.n_bind = 2;
        d.push.n[0] = piece->m * piece->n;
        d.push.n[1] = parts->push.n[7];
        d.push.n[2] = piece->n;
        d.groups[0] = piece->n;
        d.groups[1] = vk_div_up(piece->m, 64);
        d.cost = (uint64_t)d.push.n[0] * d.push.n[1];
        vk_emit(build, &d);
}

static void emit_matrix(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        const struct vk_dense *p = piece->product;
        struct vk_dispatch d = dispatch_of(call, piece);
        bool whole = p->y_columns == piece->n && d.bind[0].offset % call->limits->alignment == 0;
        uint32_t parts = whole ? matrix_parts(piece) : 1;
        uint64_t bytes = 4ull * piece->m * piece->n * parts;

        bind_weight_whole(&d, p, p->word + piece->word);
        d.shader = p->transposed ? VK_SHADER_MATMUL_BACKWARD_MATRIX : VK_SHADER_MATMUL_MATRIX;
        d.constant[1] = p->weight->dtype == QVF_F16 && p->weight->columns % 8 == 0 &&
                        p->weight->value->offset % 16 == 0;
        d.constant[2] = p->loss_scaled;
        d.n_constants = 3;
        d.push.n[7] = parts;
        d.push.f[2] = p->loss_scaled ? GRADIENT_SCALE : 1;
        d.groups[0] = vk_div_up(piece->n, MATRIX_TILE);
        d.groups[1] = vk_div_up(piece->m, MATRIX_TILE);
        d.groups[2] = parts;
        if (parts > 1)
                d.bind[0] = (struct vk_binding){
                        .value = vk_scratch(build, PARTS_SLOT, bytes), .bytes = bytes, .written = true
                };
        vk_emit(build, &d);
        if (parts > 1)
                emit_combine(build, call, piece, &d);
}

bool vk_dense_matrix(const struct vk_call *call, const struct vk_dense *p)
{
        const struct qvf_value *w = p->weight->value;

        if (rows_in(call->limits, weight_row_bytes(p->weight)) < 16 ||
                        (w->packed && w->block_scales &&
                                        vk_packed_bytes(w) > call->limits->range - call->limits->alignment))
                return false;
        return p->coarse && call->features->matrix_float16 && call->features->subgroup &&
               call->features->subgroup_size == 32 && !p->s && p->rows >= MATRIX_ROWS_LEAST &&
               p->words >= MATRIX_WORDS && p->weight->columns >= MATRIX_LEAST &&
               p->weight->columns % 4 == 0 && p->x_columns % 4 == 0 && p->y_columns % 4 == 0 &&
               p->x->offset % 16 == 0 && p->y->offset % 16 == 0;
}

/* One workgroup for each of `tasks`, in two dimensions. */
static void share_out(struct vk_dispatch *d, uint32_t tasks)
{
        d->groups[1] = vk_div_up(tasks, GROUPS_IN_A_ROW);
        d->groups[0] = vk_div_up(tasks, d->groups[1]);
}

/* K is shared out among the lanes of a subgroup. False: the shapes don't allow it. */
static bool emit_lanes(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        const struct vk_dense *p = piece->product;
        uint32_t lanes = call->features->subgroup_size, m = piece->m, rows = 1, columns = 4;
        uint32_t tasks, each = call->tuning->value[VK_TUNE_THIN_ROWS];
        bool aligned = p->weight->value->offset % 16 == 0, together;
        struct vk_dispatch d;

        if (!call->features->subgroup || lanes > LANES_INVOCATIONS || LANES_INVOCATIONS % lanes)
                return false;
        if (p->transposed ? p->weight->dtype != QVF_F32 || piece->n % 8 || piece->n > DEPTH_MOST || !aligned
                          : piece->k % 8 || p->x_columns % 4 || p->x->offset % 16)
                return false;
        d = dispatch_of(call, piece);
        if (piece->n <= NARROW || p->transposed) {
                rows = m >= 2048 ? 4 : m >= 1024 ? 2 : 1;
                columns = m * piece->n <= 64 ? 1 : 8;
        } else {
                rows = m <= 2 ? m : m <= 4 ? 4 : 8;
        }
        if (p->transposed)
                columns = 8;
        tasks = vk_div_up(piece->n, columns) * vk_div_up(m, rows);
        together = tasks < TASKS_ENOUGH &&
                   piece->k >= TOGETHER_LEAST; /* which makes other sums: not tuned */
        if (piece->n <= NARROW || p->transposed) {
                rows = m >= 4 * each ? 4 : m >= 2 * each ? 2 : 1;
                tasks = vk_div_up(piece->n, columns) * vk_div_up(m, rows);
        }
        d.constant[1] = rows;
        if (p->transposed) {
                d.shader = VK_SHADER_MATMUL_BACKWARD_LANES;
                d.constant[2] = together;
                d.constant[3] = lanes;
                d.n_constants = 4;
        } else {
                d.shader = VK_SHADER_MATMUL_LANES;
                d.constant[2] = columns;
                d.constant[3] = aligned && (p->weight->dtype == QVF_F32 || p->weight->dtype == QVF_F16);
                d.constant[4] = together;
                d.constant[5] = lanes;
                d.n_constants = 6;
        }
        share_out(&d, together ? tasks : vk_div_up(tasks, LANES_INVOCATIONS / lanes));
        vk_emit(build, &d);
        return true;
}

/* One row by a matrix of F16: bound by memory alone. */
static bool emit_vector(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        const struct vk_dense *p = piece->product;
        uint32_t lanes = call->features->subgroup_size;
        uint32_t threads = call->limits->invocations < VECTOR_INVOCATIONS ? LANES_INVOCATIONS
                                                                          : VECTOR_INVOCATIONS;
        uint32_t numbers = call->tuning->value[VK_TUNE_HEAD_NUMBERS];
        const uint32_t constants[] = { numbers, VECTOR_DEPTH, threads, lanes };
        struct vk_dispatch d;

        if (piece->m != 1 || p->transposed || !call->features->subgroup || lanes > LANES_INVOCATIONS ||
                        LANES_INVOCATIONS % lanes || p->weight->dtype != QVF_F16 || piece->k % 8 ||
                        p->weight->value->offset % 16 || p->x->offset % 16)
                return false;
        d = dispatch_of(call, piece);
        d.shader = VK_SHADER_MATMUL_VECTOR;
        for (unsigned i = 0; i < 4; i++)
                d.constant[1 + i] = constants[i];
        d.n_constants = 5;
        share_out(&d, vk_div_up(piece->n, numbers * (threads / lanes)));
        vk_emit(build, &d);
        return true;
}

/* Of a workgroup, four at a time. */
static uint32_t outer_rows(const struct vk_call *call, uint32_t m)
{
        uint32_t rows = (m <= 512                   ? 4u
                                        : m <= 1024 ? 8u
                                                    : 16u) *
                        call->tuning->value[VK_TUNE_OUTER_PERCENT] / 100;

        return rows < 4 ? 4 : rows;
}

/* As emit_outer(), four columns at a time. */
static bool emit_outer_wide(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        const struct vk_dense *p = piece->product;
        struct vk_dispatch d;

        if (piece->k > OUTER_WIDE_MOST || p->weight->dtype != QVF_F32 || piece->n % 4 || p->y_columns % 4 ||
                        p->y->offset % 16)
                return false;
        d = dispatch_of(call, piece);
        d.shader = p->transposed ? VK_SHADER_MATMUL_BACKWARD_OUTER_WIDE : VK_SHADER_MATMUL_OUTER_WIDE;
        d.constant[1] = outer_rows(call, piece->m);
        d.constant[2] = piece->k <= 8 ? 8 : piece->k <= 16 ? 16 : OUTER_WIDE_MOST;
        d.n_constants = 3;
        d.groups[0] = vk_div_up(piece->n, 4 * 64);
        d.groups[1] = vk_div_up(piece->m, d.constant[1]);
        vk_emit(build, &d);
        return true;
}

static void emit_piece(struct vk_build *build, const struct vk_call *call, const struct piece *piece)
{
        if (vk_dense_matrix(call, piece->product)) {
                emit_matrix(build, call, piece);
        } else if (piece->k <= DEPTH_MOST) {
                if (!emit_outer_wide(build, call, piece))
                        emit_outer(build, call, piece);
        } else if (piece->m <= FEW_ROWS || piece->n <= NARROW) {
                if (!emit_vector(build, call, piece) && !emit_lanes(build, call, piece))
                        emit_dot(build, call, piece);
        } else {
                emit_tiles(build, call, piece);
        }
}

void vk_dense_emit(struct vk_build *build, const struct vk_call *call, const struct vk_dense *product)
{
        const struct vk_limits *limits = call->limits;
        uint32_t widest = product->y_columns > product->x_columns ? product->y_columns : product->x_columns;
        uint32_t rows_most = rows_in(limits, 4ull * widest);
        uint32_t words_most = rows_in(limits, weight_row_bytes(product->weight));

        if (product->word % 2 && words_most > 1 && words_most < product->words)
                words_most--; /* bind_weight() may want the row before */
        if (rows_most > limits->groups[1])
                rows_most = limits->groups[1];
        if (words_most > limits->groups[0])
                words_most = limits->groups[0] / 16 * 16;
        for (uint32_t word = 0; word < product->words; word += words_most)
                for (uint32_t row = 0; row < product->rows; row += rows_most) {
                        struct piece piece = { .product = product, .row = row, .word = word };

                        piece.rows = product->rows - row < rows_most ? product->rows - row : rows_most;
                        piece.words = product->words - word < words_most ? product->words - word
                                                                         : words_most;
                        piece.m = piece.rows;
                        piece.n = product->transposed ? product->weight->columns : piece.words;
                        piece.k = product->transposed ? piece.words : product->weight->columns;
                        emit_piece(build, call, &piece);
                }
}
