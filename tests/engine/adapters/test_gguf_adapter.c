/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters as GGUF: what is written comes back to the bit, scales of all kinds keep their product, and files that are
 * no adapters for a model are refused with words. */
#include <errno.h>

#include "common/log.h"
#include "tests/engine/adapters/adapter_helper.h"
#include "tests/support/compute.h"

static const uint32_t all_four[QVF_MODULES] = { 4, 4, 4, 4, 4, 4, 4 };
static const uint32_t mixed[QVF_MODULES] = { 4, 0, 3, 4, 1, 0, 8 };

static void written_and_read(enum qvf_dtype dtype, enum qvf_adapter_dtype as, double distance)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 3, mixed, 16, dtype, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = NULL;
        _cleanup_text_ struct qvf_text first = { 0 };
        _cleanup_text_ struct qvf_text second = { 0 };

        file->name = strdup("an \"adapter\"");
        first = gguf_of(file, as);
        back = from_gguf(&first);
        ck_assert_str_eq(back->architecture, "bitnet");
        ck_assert_str_eq(back->name, "an \"adapter\"");
        ck_assert_double_le(product_distance(file, back), distance);
        second = gguf_of(back, as);
        ck_assert_uint_eq(first.length, second.length);
        ck_assert_mem_eq(first.bytes, second.bytes, first.length);
}

START_TEST(round_trip)
{
        written_and_read(QVF_F32, QVF_ADAPTER_AS_IT_IS, 0);
        written_and_read(QVF_F16, QVF_ADAPTER_AS_IT_IS, 0);
        written_and_read(QVF_BF16, QVF_ADAPTER_AS_IT_IS, 0);
        written_and_read(QVF_F16, QVF_ADAPTER_F32, 0);
        written_and_read(QVF_F32, QVF_ADAPTER_F16, 1e-3);
}
END_TEST

START_TEST(reads_the_golden_adapter)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = NULL;
        _cleanup_text_ struct qvf_text text = { 0 };
        struct qvf_error error = { 0 };
        int r = qvf_adapter_file_open_gguf(
                        test_path("tests/data/golden/tiny-silu.adapter-init.gguf"), &file, &error);

        ck_assert_msg(r == 0, "%s", error.text);
        ck_assert_uint_eq(file->n_layers, 2);
        text = gguf_of(file, QVF_ADAPTER_AS_IT_IS);
        back = from_gguf(&text);
        for (uint32_t i = 0; i < 2 * QVF_MODULES; i++) {
                const struct qvf_adapter_matrix *one = &file->matrices[i], *other = &back->matrices[i];

                ck_assert_uint_gt(one->rank, 0);
                ck_assert_float_eq(one->alpha, other->alpha);
                ck_assert_mem_eq(one->a.data, other->a.data, qvf_adapter_numbers_bytes(&one->a));
                ck_assert_mem_eq(one->b.data, other->b.data, qvf_adapter_numbers_bytes(&one->b));
        }
}
END_TEST

START_TEST(saved_file_is_whole_or_absent)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 2, all_four, 16, QVF_F32, 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = NULL;
        char folder[] = "/tmp/qvf-adapter-XXXXXX", path[64];
        struct qvf_error error = { 0 };
        float *numbers = file->matrices[0].b.owned;

        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/a.gguf", folder);
        numbers[0] = 1e6f; /* too large for F16 */
        ck_assert_int_eq(qvf_adapter_file_save_gguf(file, QVF_ADAPTER_F16, path, NULL, &error), -ERANGE);
        ck_assert_ptr_nonnull(strstr(error.text, "blk.0.attn_q.weight.lora_b: 1e+06 is too large for F16"));
        ck_assert_int_eq(qvf_adapter_file_save_gguf(file, QVF_ADAPTER_F32, path, NULL, &error), 0);
        ck_assert_msg(qvf_adapter_file_open_gguf(path, &back, &error) == 0, "%s", error.text);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left behind */
        ck_assert_int_lt(qvf_adapter_file_save_gguf(file, QVF_ADAPTER_F32, path, NULL, &error), 0);
}
END_TEST

/* --- scales --- */

static void check_folding(const struct qvf_adapter_file *file, uint32_t wanted_folded, float wanted_alpha)
{
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *back = NULL;
        struct qvf_error error = { 0 };
        uint32_t folded = 99;

        ck_assert_msg(qvf_adapter_file_write_gguf(file, QVF_ADAPTER_AS_IT_IS, fd, &folded, &error) == 0,
                        "%s", error.text);
        ck_assert_uint_eq(folded, wanted_folded);
        ck_assert_int_eq(qvf_adapter_file_open_gguf_fd(fd, "a.gguf", &back, &error), 0);
        ck_assert_float_eq_tol(back->matrices[0].alpha, wanted_alpha, 1e-6f);
        ck_assert_double_le(product_distance(file, back), 1e-7);
}

START_TEST(one_alpha_needs_no_folding)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 3, mixed, 16, QVF_F32, 2);

        check_folding(file, 0, 16);
}
END_TEST

START_TEST(other_alphas_are_folded_into_b)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 3, all_four, 16, QVF_F16, 2);

        file->matrices[0].alpha = 3;
        file->matrices[9].alpha = 0; /* scale 1 */
        file->matrices[20].alpha = 1;
        check_folding(file, 3, 16);
}
END_TEST

START_TEST(rank_stabilisation_is_folded)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *same =
                        random_adapter("bitnet", 3, all_four, 16, QVF_F32, 2);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *ranks =
                        random_adapter("bitnet", 3, mixed, 16, QVF_F32, 2);

        same->rank_stabilised = ranks->rank_stabilised = true;
        check_folding(same, 0, 32); /* 16 / √4 = 32 / 4 */
        check_folding(ranks, 9, 32);
}
END_TEST

START_TEST(no_alpha_stays_no_alpha)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("bitnet", 3, mixed, 0, QVF_F32, 2);

        check_folding(file, 0, 0);
}
END_TEST

/* --- what other programs write --- */

static unsigned warnings;

static void count_warnings(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        warnings += level == QVF_LOG_WARNING && strstr(line, "output_norm.weight.lora_a") != NULL;
}

static void add_kind(struct gguf_builder *builder, float alpha)
{
        gguf_add_string(builder, "general.type", "adapter");
        gguf_add_string(builder, "general.architecture", "bitnet");
        gguf_add_string(builder, "adapter.type", "lora");
        gguf_add_f32(builder, "adapter.lora.alpha", alpha);
}

/* QVAC's "--lora-modules all" writes this pair, whose B has one dimension. */
START_TEST(qvac_pair_for_the_output_norm)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        _cleanup_text_ struct qvf_text text = { 0 };

        qvf_log_set(count_warnings, NULL, QVF_LOG_DEBUG);
        add_kind(&builder, 16);
        gguf_add_tensor(&builder, "blk.1.attn_q.weight.lora_b", QVF_F32, 8, 24, NULL);
        gguf_add_tensor(&builder, "output_norm.weight.lora_a", QVF_F32, 512, 8, NULL);
        gguf_add_tensor(&builder, "output_norm.weight.lora_b", QVF_F32, 8, 1, NULL);
        gguf_add_tensor(&builder, "blk.1.attn_q.weight.lora_a", QVF_F32, 24, 8, NULL);
        gguf_add_tensor(&builder, "blk.0.attn_norm.weight", QVF_F32, 24, 1, NULL);
        text = gguf_finish(&builder);
        file = from_gguf(&text);
        ck_assert_uint_eq(file->n_layers, 2);
        ck_assert_uint_eq(file->matrices[QVF_MODULES + QVF_ATTN_Q].rank, 8);
        ck_assert_uint_eq(warnings, 1);
}
END_TEST

static void expect(struct gguf_builder *builder, int code, const char *words)
{
        _cleanup_text_ struct qvf_text text = gguf_finish(builder);
        _cleanup_close_ int fd = gguf_memory_file(text.bytes, text.length);
        struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };
        int r = qvf_adapter_file_open_gguf_fd(fd, "a.gguf", &file, &error);

        ck_assert_msg(r == code, "%d instead of %d: %s", r, code, error.text);
        ck_assert_msg(strncmp(error.text, "a.gguf: ", 8) == 0 && strstr(error.text, words),
                        "'%s' lacks '%s'", error.text, words);
        ck_assert_ptr_null(file);
        gguf_builder_exit(builder);
        *builder = (struct gguf_builder){ 0 };
}

static void expect_name(const char *name)
{
        struct gguf_builder builder = { 0 };

        add_kind(&builder, 16);
        gguf_add_tensor(&builder, name, QVF_F32, 24, 8, NULL);
        expect(&builder, -EINVAL, "is for no matrix that can be adapted");
}

START_TEST(names_of_no_matrix)
{
        expect_name("blk.0.attn_q.weight");
        expect_name("blk.0.attn_q.weight.lora_c");
        expect_name("blk.0.attn_q.weight.lora_a.more");
        expect_name("blk.00.attn_q.weight.lora_a");
        expect_name("blk.-1.attn_q.weight.lora_a");
        expect_name("blk..attn_q.weight.lora_a");
        expect_name("blk.512.attn_q.weight.lora_a");
        expect_name("blk.99999999999999999999.attn_q.weight.lora_a");
        expect_name("blk.0.ffn_gate_inp.weight.lora_a");
        expect_name("token_embd.weight.lora_a");
        expect_name("output.weight.lora_b");
        expect_name("x");
}
END_TEST

START_TEST(no_adapter)
{
        struct gguf_builder builder = { 0 };

        gguf_add_string(&builder, "general.type", "model");
        expect(&builder, -EINVAL, "key general.type is \"model\", not \"adapter\": this is no LoRA adapter");
        gguf_add_string(&builder, "general.type", "adapter");
        gguf_add_string(&builder, "adapter.type", "control_vector");
        expect(&builder, -EINVAL, "not \"lora\"");
        gguf_add_string(&builder, "general.type", "adapter");
        gguf_add_string(&builder, "adapter.type", "lora");
        expect(&builder, -ENOENT, "'general.architecture' is absent");
        add_kind(&builder, 16);
        expect(&builder, -EINVAL, "the adapter holds no matrices");
        add_kind(&builder, -1);
        expect(&builder, -EINVAL, "key adapter.lora.alpha is -1, expected 0 to 1e+06");
        add_kind(&builder, NAN);
        expect(&builder, -EINVAL, "'adapter.lora.alpha' is no finite number");
        add_kind(&builder, 16);
        gguf_add_array(&builder, "adapter.alora.invocation_tokens", QVF_GGUF_U32, 0, "", 0);
        expect(&builder, -EOPNOTSUPP, "works only behind certain tokens");
}
END_TEST

START_TEST(pairs_that_do_not_fit)
{
        static const float bad[8] = { 0, 0, INFINITY };
        static const uint64_t three[3] = { 24, 8, 2 };
        struct gguf_builder builder = { 0 };

        add_kind(&builder, 16);
        gguf_add_tensor(&builder, "blk.0.attn_q.weight.lora_a", QVF_F32, 24, 8, NULL);
        expect(&builder, -EINVAL, "layer 0, attn_q: lora_a has rank 8 and lora_b 0");
        add_kind(&builder, 16);
        gguf_add_tensor(&builder, "blk.3.ffn_up.weight.lora_b", QVF_F32, 8, 24, NULL);
        expect(&builder, -EINVAL, "layer 3, ffn_up: lora_a has rank 0 and lora_b 8");
        add_kind(&builder, 16);
        gguf_add_tensor(&builder, "blk.0.attn_q.weight.lora_a", QVF_F32, 24, 8, NULL);
        gguf_add_tensor(&builder, "blk.0.attn_q.weight.lora_b", QVF_F32, 7, 24, NULL);
        expect(&builder, -EINVAL, "lora_a has rank 8 and lora_b 7");
        add_kind(&builder, 16);
        gguf_add_tensor(&builder, "blk.0.attn_q.weight.lora_a", QVF_F32, 1, 4097, NULL);
        expect(&builder, -EINVAL, "with rank 1 to 4096");
        add_kind(&builder, 16);
        gguf_add_tensor(&builder, "blk.0.attn_q.weight.lora_a", QVF_Q8_0, 32, 8, NULL);
        expect(&builder, -EINVAL, "is of type 8, not F32, F16 or BF16");
        add_kind(&builder, 16);
        gguf_add_tensor(&builder, "blk.0.attn_q.weight.lora_a", QVF_F32, 4, 2, bad);
        gguf_add_tensor(&builder, "blk.0.attn_q.weight.lora_b", QVF_F32, 2, 4, NULL);
        expect(&builder, -EINVAL, "layer 0, attn_q, lora_a: element 2 is inf");
        add_kind(&builder, 16);
        gguf_add_tensor_raw(&builder, "blk.0.attn_q.weight.lora_a", 3, three, QVF_F32, 0);
        for (unsigned i = 0; i < 24 * 8 * 2 * 4; i++)
                ck_assert_int_eq(qvf_text_append_char(&builder.data, 0), 0);
        expect(&builder, -EINVAL, "in 3 dimensions, expected 2");
}
END_TEST

QVF_SUITE("gguf_adapter", 60, round_trip, reads_the_golden_adapter, saved_file_is_whole_or_absent,
                one_alpha_needs_no_folding, other_alphas_are_folded_into_b, rank_stabilisation_is_folded,
                no_alpha_stays_no_alpha, qvac_pair_for_the_output_norm, names_of_no_matrix, no_adapter,
                pairs_that_do_not_fit)
