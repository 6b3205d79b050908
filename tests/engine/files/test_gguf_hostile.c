/* SPDX-License-Identifier: Apache-2.0 */
/* Files made to break a reader. Each fault that other readers had has a test of its name; all must end in an
 * error that says where and what was expected, and nothing may be allocated for what the file only claims.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/dtype.h"
#include "engine/files/gguf.h"
#include "tests/support/gguf_builder.h"

static void expect_bytes(const void *bytes, size_t length, int code, const char *words)
{
        struct qvf_gguf *gguf = NULL;
        struct qvf_error error = { 0 };
        int r = gguf_bytes_open(bytes, length, &gguf, &error);

        ck_assert_msg(r == code, "%d instead of %d: %s", r, code, error.text);
        ck_assert_ptr_null(gguf);
        ck_assert_msg(strstr(error.text, words) != NULL, "'%s' lacks '%s'", error.text, words);
        ck_assert_msg(strncmp(error.text, "test.gguf: ", 11) == 0, "'%s' does not name the file",
                        error.text);
}

static void expect(const struct gguf_builder *builder, int code, const char *words)
{
        _cleanup_text_ struct qvf_text file = gguf_finish(builder);

        expect_bytes(file.bytes, file.length, code, words);
}

static void expect_good(const struct gguf_builder *builder)
{
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(gguf_builder_open(builder, &gguf, &error) == 0, "%s", error.text);
}

/* --- what is no GGUF file, or none of ours --- */

START_TEST(not_a_gguf_file)
{
        static const uint8_t zeros[64];

        expect_bytes("", 0, -EINVAL, "the file ends inside the magic bytes: 4 bytes expected, 0 are left");
        expect_bytes("GG", 2, -EINVAL, "4 bytes expected, 2 are left");
        expect_bytes("GGUF", 4, -EINVAL, "at byte 4: the file ends inside the version");
        expect_bytes("GGUF\3\0\0\0", 8, -EINVAL, "the number of tensors");
        expect_bytes("GGUF\3\0\0\0\0\0\0\0\0\0\0\0", 16, -EINVAL, "the number of keys");
        expect_bytes("PK\3\4", 4, -EINVAL, "it begins with 50 4b 03 04, expected \"GGUF\"");
        expect_bytes("\x1b[2J", 4, -EINVAL, "it begins with 1b 5b 32 4a");
        expect_bytes(zeros, sizeof(zeros), -EINVAL, "expected \"GGUF\"");
}
END_TEST

START_TEST(other_versions)
{
        expect_bytes("GGUF\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, -EOPNOTSUPP, "GGUF version 1");
        expect_bytes("GGUF\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, -EOPNOTSUPP,
                        "a big-endian GGUF file");
        expect_bytes("GGUF\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, -EOPNOTSUPP, "GGUF version 4");
        expect_bytes("GGUF\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, -EOPNOTSUPP, "GGUF version 0");
}
END_TEST

START_TEST(nothing_but_a_header_is_a_file)
{
        struct gguf_builder builder = { 0 };

        expect_good(&builder);
}
END_TEST

/* --- counts --- */

START_TEST(cve_2024_23605_n_kv)
{
        struct gguf_builder builder = { .claim_counts = true };

        builder.claimed_keys = (uint64_t)1 << 60;
        expect(&builder, -E2BIG, "1152921504606846976 keys, expected at most 65536");
        builder.claimed_keys = UINT64_MAX;
        expect(&builder, -E2BIG, "keys, expected at most 65536");
        /* Such a product of count and size of an entry (40) wraps to a small number. */
        builder.claimed_keys = UINT64_MAX / 40 + 2;
        expect(&builder, -E2BIG, "keys, expected at most 65536");
        builder.claimed_keys = 65536;
        expect(&builder, -EINVAL, "65536 keys cannot stand in the 8 bytes that are left");
}
END_TEST

START_TEST(cve_2024_21836_n_tensors)
{
        struct gguf_builder builder = { .claim_counts = true };

        builder.claimed_tensors = (uint64_t)1 << 60;
        expect(&builder, -E2BIG, "tensors, expected at most 65536");
        builder.claimed_tensors = UINT64_MAX / sizeof(struct qvf_gguf_tensor) + 2;
        expect(&builder, -E2BIG, "tensors, expected at most 65536");
        builder.claimed_tensors = 65536;
        expect(&builder, -EINVAL, "65536 tensors cannot stand in the 8 bytes that are left");
}
END_TEST

START_TEST(counts_beyond_what_follows)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { .claim_counts = true };

        for (unsigned i = 0; i < 8; i++) {
                char key[8];

                snprintf(key, sizeof(key), "k%u", i);
                gguf_add_u32(&builder, key, i);
        }
        builder.claimed_keys = 9;
        expect(&builder, -EINVAL, "empty name"); /* of the padding */
        builder.claimed_keys = 8;
        builder.claimed_tensors = 1;
        expect(&builder, -EINVAL, "tensor '': an empty name");
        builder.claimed_tensors = 0;
        expect_good(&builder);
}
END_TEST

/* --- strings --- */

static void add_key_bytes(struct gguf_builder *builder, uint64_t claimed, const void *bytes, size_t length)
{
        gguf_put_u64(&builder->keys, claimed);
        ck_assert_int_eq(qvf_text_append(&builder->keys, bytes, length), 0);
        gguf_put_u32(&builder->keys, QVF_GGUF_U8);
        ck_assert_int_eq(qvf_text_append_char(&builder->keys, 1), 0);
        builder->n_keys++;
}

/* CVE-2024-23496: a key's length of 2^64 - 1, to which one byte for a NUL was added */
START_TEST(cve_2024_23496_string_lengths)
{
        static const uint64_t lengths[] = { UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, (uint64_t)1 << 32,
                65536 };

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                _cleanup_gguf_builder_ struct gguf_builder key = { 0 }, value = { 0 };
                uint64_t bytes[2] = { lengths[i], 0 };

                add_key_bytes(&key, lengths[i], "key", 3);
                expect(&key, -E2BIG, "a key's name is");
                gguf_add_raw(&value, "text", QVF_GGUF_STRING, bytes, sizeof(bytes));
                expect(&value, lengths[i] > QVF_GGUF_STRING_BYTES_MOST ? -E2BIG : -EINVAL, "key 'text': ");
        }
}
END_TEST

START_TEST(strings_past_the_end)
{
        _cleanup_gguf_builder_ struct gguf_builder key = { 0 }, value = { 0 };

        add_key_bytes(&key, 60, "key", 3);
        expect(&key, -EINVAL, "the file ends inside a key's name: 60 bytes expected, ");
        gguf_add_raw(&value, "text", QVF_GGUF_STRING, "\xff\0\0\0\0\0\0\0abc", 11);
        expect(&value, -EINVAL, "key 'text': the file ends inside a string: 255 bytes expected, ");
}
END_TEST

START_TEST(names_with_nul_or_nothing)
{
        _cleanup_gguf_builder_ struct gguf_builder nul = { 0 }, empty = { 0 }, control = { 0 },
                                                   twice = { 0 };

        add_key_bytes(&nul, 5, "a\0b\0c", 5);
        expect(&nul, -EINVAL, "key 'a?b?c': a NUL byte in the name");
        add_key_bytes(&empty, 0, "", 0);
        expect(&empty, -EINVAL, "key '': empty name");
        /* Strange bytes are allowed, but a message never carries them on. */
        add_key_bytes(&control, 5, "\x1b[2J\xff", 5);
        expect_good(&control);
        add_key_bytes(&twice, 3, "\x1b[J", 3);
        add_key_bytes(&twice, 3, "\x1b[J", 3);
        expect(&twice, -EINVAL, "key '?[J': stands twice");
}
END_TEST

START_TEST(long_names_are_cut_in_messages)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        char key[60001];

        memset(key, 'k', 60000);
        key[60000] = 0;
        gguf_add_raw(&builder, key, 77, "", 0);
        expect(&builder, -EINVAL, "kkk...': value of type 77, expected 0 to 12");
}
END_TEST

START_TEST(duplicate_keys)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        gguf_add_u32(&builder, "b", 1);
        gguf_add_u32(&builder, "a", 1);
        gguf_add_u32(&builder, "b", 2);
        expect(&builder, -EINVAL, "key 'b': stands twice, expected once");
}
END_TEST

/* --- values and arrays --- */

START_TEST(unknown_value_types)
{
        static const uint32_t types[] = { 13, 255, 0x80000000u, UINT32_MAX };

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                _cleanup_gguf_builder_ struct gguf_builder value = { 0 }, array = { 0 };

                gguf_add_raw(&value, "k", types[i], "\0\0\0\0\0\0\0\0", 8);
                expect(&value, -EINVAL, "key 'k': value of type ");
                gguf_add_array(&array, "k", types[i], 1, "\0\0\0\0\0\0\0\0", 8);
                expect(&array, -EINVAL, "key 'k': an array of type ");
        }
}
END_TEST

/* CVE-2024-21825: count times element size wraps */
START_TEST(cve_2024_21825_array_lengths)
{
        static const uint64_t lengths[] = { UINT64_MAX, (uint64_t)1 << 61, (uint64_t)1 << 62,
                UINT64_MAX / 8 + 1, 1000 };

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
                for (uint32_t type = 0; type <= QVF_GGUF_F64; type++) {
                        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

                        if (type == QVF_GGUF_ARRAY)
                                continue;
                        gguf_add_array(&builder, "list", type, lengths[i], "\0\0\0\0\0\0\0\0", 8);
                        expect(&builder, -EINVAL, "key 'list': an array of ");
                }
}
END_TEST

START_TEST(nested_arrays)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        gguf_add_array(&builder, "deep", QVF_GGUF_ARRAY, 1, "\4\0\0\0\0\0\0\0\0\0\0\0", 12);
        expect(&builder, -EOPNOTSUPP, "key 'deep': an array of arrays; expected numbers or strings");
}
END_TEST

START_TEST(strings_of_arrays)
{
        _cleanup_gguf_builder_ struct gguf_builder cut = { 0 }, huge = { 0 };
        static const uint64_t bad[2] = { 0, UINT64_MAX };
        static const uint64_t past[2] = { 0, 1000 };

        gguf_add_array(&huge, "list", QVF_GGUF_STRING, 2, bad, sizeof(bad));
        expect(&huge, -E2BIG, "key 'list': a string of an array is 18446744073709551615 bytes long");
        gguf_add_array(&cut, "list", QVF_GGUF_STRING, 2, past, sizeof(past));
        expect(&cut, -EINVAL, "key 'list': the file ends inside a string of an array");
}
END_TEST

START_TEST(bools_are_0_or_1)
{
        _cleanup_gguf_builder_ struct gguf_builder value = { 0 }, array = { 0 };

        gguf_add_bool(&value, "flag", 2);
        expect(&value, -EINVAL, "key 'flag': a bool of 2, expected 0 or 1");
        gguf_add_array(&array, "flags", QVF_GGUF_BOOL, 3, "\0\1\xff", 3);
        expect(&array, -EINVAL, "key 'flags': a bool of 255, expected 0 or 1");
}
END_TEST

/* CVE-2024-41130: a key of another type than the reader took for granted became a null pointer */
START_TEST(cve_2024_41130_keys_of_another_type)
{
        _cleanup_gguf_builder_ struct gguf_builder architecture = { 0 }, alignment = { 0 }, count = { 0 },
                                                   nul = { 0 };

        gguf_add_u32(&architecture, "general.architecture", 1);
        expect(&architecture, -EINVAL, "key 'general.architecture' is of type u32, expected string");
        gguf_add_string(&alignment, "general.alignment", "32");
        expect(&alignment, -EINVAL, "key 'general.alignment': is of type string, expected an integer");
        gguf_add_array(&count, "split.count", QVF_GGUF_U16, 1, "\1\0", 2);
        expect(&count, -EINVAL, "key 'split.count': is of type array, expected an integer");
        gguf_add_raw(&nul, "general.architecture", QVF_GGUF_STRING, "\3\0\0\0\0\0\0\0a\0b", 11);
        expect(&nul, -EINVAL, "without a NUL byte");
}
END_TEST

START_TEST(alignment)
{
        static const uint32_t bad[] = { 0, 1, 4, 24, 33, 131072, 1u << 31, UINT32_MAX };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

                gguf_add_u32(&builder, "general.alignment", bad[i]);
                expect(&builder, -EINVAL, "expected a power of two from 8 to 65536");
        }
        {
                _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
                int32_t negative = -32;

                gguf_add_raw(&builder, "general.alignment", QVF_GGUF_I32, &negative, 4);
                expect(&builder, -EINVAL, "key 'general.alignment': out of range");
        }
}
END_TEST

/* --- tensors --- */

static void expect_tensor(uint32_t n_dims, const uint64_t *ne, uint32_t type, uint64_t offset, int code,
                const char *words)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        gguf_add_tensor_raw(&builder, "w", n_dims, ne, type, offset);
        for (unsigned i = 0; i < 256; i++)
                gguf_put_u32(&builder.data, 0);
        expect(&builder, code, words);
}

/* CVE-2024-21802: more dimensions than there is room for */
START_TEST(cve_2024_21802_dimensions)
{
        static const uint64_t ne[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        expect_tensor(0, ne, 0, 0, -EINVAL, "tensor 'w': 0 dimensions, expected 1 to 4");
        expect_tensor(5, ne, 0, 0, -EINVAL, "tensor 'w': 5 dimensions, expected 1 to 4");
        expect_tensor(8, ne, 0, 0, -EINVAL, "tensor 'w': 8 dimensions, expected 1 to 4");
        gguf_put_string(&builder.tensors, "w");
        gguf_put_u32(&builder.tensors, UINT32_MAX);
        gguf_put_u64(&builder.tensors, 1);
        gguf_put_u64(&builder.tensors, 1);
        builder.n_tensors = 1;
        expect(&builder, -EINVAL, "tensor 'w': 4294967295 dimensions, expected 1 to 4");
}
END_TEST

START_TEST(dimensions_of_zero)
{
        for (unsigned i = 0; i < 4; i++) {
                uint64_t ne[4] = { 32, 1, 1, 1 };
                char words[64];

                ne[i] = 0;
                snprintf(words, sizeof(words), "tensor 'w': dimension %u is 0", i);
                expect_tensor(4, ne, 0, 0, -EINVAL, words);
        }
}
END_TEST

/* CVE-2025-53630, CVE-2026-27940: the size in bytes, or size and offset, or their padding, wrap */
START_TEST(cve_2025_53630_sizes_that_overflow)
{
        static const struct {
                uint64_t ne[4];
                uint32_t type;
                const char *words;
        } cases[] = {
                { { UINT64_MAX, 1, 1, 1 }, 0, "too large" },
                { { (uint64_t)1 << 62, 4, 1, 1 }, 0, "too large" },
                { { (uint64_t)1 << 32, (uint64_t)1 << 32, 1, 1 }, 0,
                                "too large: dimension 1 is 4294967296" },
                { { (uint64_t)1 << 62, 1, 1, 1 }, 0, "its size in bytes overflows" },
                { { (uint64_t)1 << 31, (uint64_t)1 << 31, 1, 1 }, 0, "its size in bytes overflows" },
                { { 65536, 65536, 65536, 65536 }, 1, "too large" },
                { { (uint64_t)1 << 61, 2, 1, 1 }, 36, "goes past the end of the file" },
                { { (uint64_t)1 << 20, (uint64_t)1 << 20, 1, 1 }, 35, "goes past the end of the file" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                expect_tensor(4, cases[i].ne, cases[i].type, 0,
                                strstr(cases[i].words, "past") ? -EINVAL : -EOVERFLOW, cases[i].words);
}
END_TEST

START_TEST(cve_2026_27940_offsets_that_overflow)
{
        static const uint64_t ne[1] = { 8 };

        expect_tensor(1, ne, 0, UINT64_MAX - 31, -EOVERFLOW, "overflow");
        expect_tensor(1, ne, 0, UINT64_MAX - 127, -EINVAL, "goes past the end of the file");
        expect_tensor(1, ne, 0, (uint64_t)1 << 63, -EINVAL, "goes past the end of the file");
        expect_tensor(1, ne, 0, UINT64_MAX, -EINVAL, "expected a multiple of the alignment, 32");
        expect_tensor(1, ne, 0, 4, -EINVAL, "offset 4, expected a multiple of the alignment, 32");
}
END_TEST

/* CVE-2026-7482: a tensor past the end of the file gave away what lay there in memory */
START_TEST(cve_2026_7482_tensor_past_the_end)
{
        static const uint64_t fits[1] = { 256 }, over[1] = { 257 };
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };

        expect_tensor(1, over, 0, 0, -EINVAL, "goes past the end of the file");
        expect_tensor(1, fits, 0, 32, -EINVAL, "goes past the end of the file");
        expect_tensor(1, fits, 0, 1024, -EINVAL, "goes past the end of the file");
        gguf_add_tensor_raw(&builder, "w", 1, fits, 0, 0);
        for (unsigned i = 0; i < 256; i++)
                gguf_put_u32(&builder.data, 0);
        expect_good(&builder);
}
END_TEST

/* CVE-2024-39720: a file of a few bytes that ends right after its header; here, at every byte */
START_TEST(cve_2024_39720_short_files)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_text_ struct qvf_text file = { 0 };

        gguf_add_string(&builder, "general.architecture", "bitnet");
        gguf_add_strings(&builder, "list", (const char *const[]){ "a", "bc" }, 2);
        gguf_add_tensor(&builder, "one", QVF_F32, 8, 2, NULL);
        gguf_add_tensor(&builder, "two", QVF_F16, 8, 2, NULL);
        file = gguf_finish(&builder);
        for (size_t length = 0; length < file.length; length++) {
                struct qvf_gguf *gguf = NULL;
                struct qvf_error error = { 0 };

                ck_assert_int_eq(gguf_bytes_open(file.bytes, length, &gguf, &error), -EINVAL);
                ck_assert_ptr_null(gguf);
                ck_assert_uint_gt(strlen(error.text), 20);
        }
        expect_good(&builder);
}
END_TEST

START_TEST(unknown_tensor_types)
{
        static const uint64_t ne[1] = { 256 };

        expect_tensor(1, ne, 13, 0, -EOPNOTSUPP,
                        "tensor 'w': of type Q5_K (13), which is not read; expected F32,");
        expect_tensor(1, ne, 4, 0, -EOPNOTSUPP, "tensor 'w': of unknown type 4");
        expect_tensor(1, ne, 99, 0, -EOPNOTSUPP, "tensor 'w': of unknown type 99");
        expect_tensor(1, ne, 1036, 0, -EOPNOTSUPP, "tensor 'w': of unknown type 1036");
        expect_tensor(1, ne, UINT32_MAX, 0, -EOPNOTSUPP, "tensor 'w': of unknown type 4294967295");
}
END_TEST

START_TEST(rows_of_no_whole_blocks)
{
        static const uint64_t ne[2] = { 100, 2 };

        expect_tensor(2, ne, 35, 0, -EINVAL,
                        "tensor 'w': 100 columns, expected a multiple of 256 for type TQ2_0");
        expect_tensor(2, ne, 8, 0, -EINVAL,
                        "tensor 'w': 100 columns, expected a multiple of 32 for type Q8_0");
        expect_tensor(2, ne, 36, 0, -EINVAL, "expected a multiple of 64 for type I2_S");
}
END_TEST

START_TEST(tensor_names)
{
        static const uint64_t ne[1] = { 1 };
        _cleanup_gguf_builder_ struct gguf_builder twice = { 0 }, empty = { 0 }, nul = { 0 }, full = { 0 },
                                                   over = { 0 };
        char name[67];

        gguf_add_tensor(&twice, "x", QVF_F32, 1, 1, NULL);
        gguf_add_tensor(&twice, "w", QVF_F32, 1, 1, NULL);
        gguf_add_tensor(&twice, "x", QVF_F32, 1, 1, NULL);
        expect(&twice, -EINVAL, "tensor 'x' stands twice, expected once");
        gguf_add_tensor(&empty, "", QVF_F32, 1, 1, NULL);
        gguf_put_u64(&empty.data, 0);
        expect(&empty, -EINVAL, "an empty name");
        gguf_put_u64(&nul.tensors, 3);
        ck_assert_int_eq(qvf_text_append(&nul.tensors, "a\0b", 3), 0);
        gguf_put_u32(&nul.tensors, 1);
        gguf_put_u64(&nul.tensors, 1);
        gguf_put_u32(&nul.tensors, 0);
        gguf_put_u64(&nul.tensors, 0);
        gguf_put_u64(&nul.data, 0);
        nul.n_tensors = 1;
        expect(&nul, -EINVAL, "tensor 'a?b': an empty name, or one with a NUL byte");
        memset(name, 'n', 64);
        name[64] = 0;
        gguf_add_tensor(&full, name, QVF_F32, 1, 1, NULL);
        expect_good(&full);
        strcat(name, "n");
        gguf_add_tensor_raw(&over, name, 1, ne, 0, 0);
        expect(&over, -E2BIG, "a tensor's name is 65 bytes long, expected at most 64");
}
END_TEST

START_TEST(overlapping_tensors)
{
        static const uint64_t ne[1] = { 16 };
        _cleanup_gguf_builder_ struct gguf_builder same = { 0 }, partly = { 0 }, backwards = { 0 };

        for (unsigned i = 0; i < 64; i++) {
                gguf_put_u32(&same.data, 0);
                gguf_put_u32(&partly.data, 0);
                gguf_put_u32(&backwards.data, 0);
        }
        gguf_add_tensor_raw(&same, "a", 1, ne, 0, 0);
        gguf_add_tensor_raw(&same, "b", 1, ne, 0, 0);
        expect(&same, -EINVAL, "overlap");
        gguf_add_tensor_raw(&partly, "a", 1, ne, 0, 32);
        gguf_add_tensor_raw(&partly, "b", 1, ne, 0, 0);
        expect(&partly, -EINVAL, "tensors 'b' (64 bytes at byte ");
        gguf_add_tensor_raw(&backwards, "a", 1, ne, 0, 64);
        gguf_add_tensor_raw(&backwards, "b", 1, ne, 0, 0);
        expect_good(&backwards);
}
END_TEST

/* --- cost --- */

/* As many keys and tensors as the limits let in, names made to be alike: still quick. */
START_TEST(many_alike_names_are_quick)
{
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        static const uint64_t ne[1] = { 1 };
        char name[64];

        memset(name, 'a', sizeof(name));
        for (unsigned i = 0; i < QVF_GGUF_KEYS_MOST; i++) {
                snprintf(name + 50, 14, "%u", i * 2654435761u);
                gguf_add_u32(&builder, name, i);
                if (i < QVF_GGUF_TENSORS_MOST)
                        gguf_add_tensor_raw(&builder, name, 1, ne, 0, 32 * (uint64_t)i);
        }
        for (unsigned i = 0; i < QVF_GGUF_TENSORS_MOST * 8; i++)
                gguf_put_u32(&builder.data, 0);
        expect_good(&builder);
        gguf_add_u32(&builder, "one more", 1);
        expect(&builder, -E2BIG, "65537 keys, expected at most 65536");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("gguf_hostile");
        TCase *tcase = tcase_create("gguf_hostile");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 20);
        tcase_add_test(tcase, not_a_gguf_file);
        tcase_add_test(tcase, other_versions);
        tcase_add_test(tcase, nothing_but_a_header_is_a_file);
        tcase_add_test(tcase, cve_2024_23605_n_kv);
        tcase_add_test(tcase, cve_2024_21836_n_tensors);
        tcase_add_test(tcase, counts_beyond_what_follows);
        tcase_add_test(tcase, cve_2024_23496_string_lengths);
        tcase_add_test(tcase, strings_past_the_end);
        tcase_add_test(tcase, names_with_nul_or_nothing);
        tcase_add_test(tcase, long_names_are_cut_in_messages);
        tcase_add_test(tcase, duplicate_keys);
        tcase_add_test(tcase, unknown_value_types);
        tcase_add_test(tcase, cve_2024_21825_array_lengths);
        tcase_add_test(tcase, nested_arrays);
        tcase_add_test(tcase, strings_of_arrays);
        tcase_add_test(tcase, bools_are_0_or_1);
        tcase_add_test(tcase, cve_2024_41130_keys_of_another_type);
        tcase_add_test(tcase, alignment);
        tcase_add_test(tcase, cve_2024_21802_dimensions);
        tcase_add_test(tcase, dimensions_of_zero);
        tcase_add_test(tcase, cve_2025_53630_sizes_that_overflow);
        tcase_add_test(tcase, cve_2026_27940_offsets_that_overflow);
        tcase_add_test(tcase, cve_2026_7482_tensor_past_the_end);
        tcase_add_test(tcase, cve_2024_39720_short_files);
        tcase_add_test(tcase, unknown_tensor_types);
        tcase_add_test(tcase, rows_of_no_whole_blocks);
        tcase_add_test(tcase, tensor_names);
        tcase_add_test(tcase, overlapping_tensors);
        tcase_add_test(tcase, many_alike_names_are_quick);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
