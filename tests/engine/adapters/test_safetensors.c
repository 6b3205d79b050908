/* SPDX-License-Identifier: Apache-2.0 */
/* Safetensors files made to break a reader: each fault has a test of its name, and then there are 5,000 damaged ones
 * (QVF_SEED chooses others, QVF_MUTATIONS how many). */
#include <errno.h>
#include <inttypes.h>

#include "engine/adapters/safetensors.h"
#include "tests/engine/adapters/adapter_helper.h"

static struct qvf_text file_of(const char *header, uint64_t claimed_bytes, size_t data_bytes)
{
        struct qvf_text text = { 0 };

        ck_assert_int_eq(qvf_text_append(&text, &claimed_bytes, 8), 0);
        ck_assert_int_eq(qvf_text_append_string(&text, header), 0);
        for (size_t i = 0; i < data_bytes; i++)
                ck_assert_int_eq(qvf_text_append_char(&text, (char)i), 0);
        return text;
}

static int open_bytes(const void *bytes, size_t length, struct qvf_safetensors **ret_tensors,
                struct qvf_error *error)
{
        _cleanup_close_ int fd = gguf_memory_file(bytes, length);

        return qvf_safetensors_open_fd(fd, "w.safetensors", ret_tensors, error);
}

static void expect_bytes(const void *bytes, size_t length, int code, const char *words)
{
        struct qvf_safetensors *tensors = NULL;
        struct qvf_error error = { 0 };
        int r = open_bytes(bytes, length, &tensors, &error);

        ck_assert_msg(r == code, "%d instead of %d: %s", r, code, error.text);
        ck_assert_msg(strncmp(error.text, "w.safetensors: ", 15) == 0 && strstr(error.text, words),
                        "'%s' lacks '%s'", error.text, words);
        ck_assert_ptr_null(tensors);
}

static void expect(const char *header, size_t data_bytes, int code, const char *words)
{
        _cleanup_text_ struct qvf_text text = file_of(header, strlen(header), data_bytes);

        expect_bytes(text.bytes, text.length, code, words);
}

/* One tensor "t" of these members. */
static void expect_tensor(const char *members, size_t data_bytes, int code, const char *words)
{
        char header[1024];

        snprintf(header, sizeof(header), "{\"t\":{%s}}", members);
        expect(header, data_bytes, code, words);
}

START_TEST(good_file)
{
        static const char header[] = "{\"b\":{\"data_offsets\":[8,24],\"shape\":[2,2],\"dtype\":\"F32\"},"
                                     "\"__metadata__\":{\"format\":\"pt\",\"name\":\"mine\"},"
                                     "\"a\":{\"dtype\":\"BF16\",\"shape\":[1,4],\"data_offsets\":[0,8]}}   ";
        _cleanup_text_ struct qvf_text text = file_of(header, strlen(header), 24);
        _cleanup_(qvf_safetensors_freep) struct qvf_safetensors *tensors = NULL;
        struct qvf_error error = { 0 };

        ck_assert_msg(open_bytes(text.bytes, text.length, &tensors, &error) == 0, "%s", error.text);
        ck_assert_uint_eq(tensors->n_tensors, 2);
        ck_assert_str_eq(tensors->tensors[0].name, "a");
        ck_assert_uint_eq(tensors->tensors[0].dtype, QVF_BF16);
        ck_assert_uint_eq(tensors->tensors[0].bytes, 8);
        ck_assert_str_eq(tensors->tensors[1].name, "b");
        ck_assert_uint_eq(tensors->tensors[1].n_dims, 2);
        ck_assert_uint_eq(tensors->tensors[1].shape[1], 2);
        ck_assert_uint_eq(*(const uint8_t *)tensors->tensors[1].data, 8);
        ck_assert_str_eq(tensors->name, "mine");
}
END_TEST

START_TEST(header_length)
{
        _cleanup_text_ struct qvf_text more = file_of("{}", 3, 0);
        _cleanup_text_ struct qvf_text huge = file_of("{}", UINT64_MAX, 0);
        _cleanup_text_ struct qvf_text wraps = file_of("{}", UINT64_MAX - 7, 0);
        _cleanup_text_ struct qvf_text large = file_of("{}", ((uint64_t)2 << 20) + 1, 0);
        _cleanup_text_ struct qvf_text none = file_of("{}", 0, 0);

        expect_bytes("", 0, -EINVAL, "0 bytes are no safetensors file");
        expect_bytes("\2\0\0\0\0\0\0", 7, -EINVAL, "7 bytes are no safetensors file");
        expect_bytes("\2\0\0\0\0\0\0\0", 8, -EINVAL, "a header of 2 bytes cannot stand in the 0 bytes");
        expect_bytes(more.bytes, more.length, -EINVAL, "a header of 3 bytes cannot stand in the 2 bytes");
        expect_bytes(huge.bytes, huge.length, -E2BIG, "expected at most 2097152");
        expect_bytes(wraps.bytes, wraps.length, -E2BIG, "expected at most 2097152");
        expect_bytes(large.bytes, large.length, -E2BIG, "a header of 2097153 bytes");
        expect_bytes(none.bytes, none.length, -EINVAL, "the header is no JSON object");
}
END_TEST

START_TEST(header_is_no_object)
{
        expect(" {}", 0, -EINVAL, "the header is no JSON object");
        expect("[]", 0, -EINVAL, "the header is no JSON object");
        expect("null", 0, -EINVAL, "the header is no JSON object");
        expect("{", 0, -EINVAL, "the text ends within a value");
        expect("{}}", 0, -EINVAL, "the header: at byte 2");
        expect("{} {}", 0, -EINVAL, "the header: at byte 3");
        expect("{\"t\":}", 0, -EINVAL, "the header: at byte 5");
        expect("{t:1}", 0, -EINVAL, "the header: at byte 1");
        expect("{\"t\":{\"a\":[[[[[[[[[[1]]]]]]]]]]}}", 0, -EINVAL, "nesting too deep");
        expect("{\"\xff\":1}", 0, -EINVAL, "no UTF-8 text at byte 2");
        expect_bytes("\4\0\0\0\0\0\0\0{\"\0}", 12, -EINVAL, "no UTF-8 text at byte 2");
}
END_TEST

START_TEST(tensor_is_no_object)
{
        expect("{\"t\":1}", 0, -EINVAL, "tensor t: expected an object");
        expect("{\"t\":null}", 0, -EINVAL, "tensor t: expected an object");
        expect("{\"\":{}}", 0, -EINVAL, "a tensor's name of 0 bytes");
        expect("{\"__metadata__\":[]}", 0, -EINVAL, "__metadata__: expected an object");
}
END_TEST

START_TEST(long_name)
{
        char header[700] = "{\"";

        memset(header + 2, 'n', 513);
        strcat(header, "\":{}}");
        expect(header, 0, -EINVAL, "a tensor's name of 513 bytes, expected 1 to 512");
}
END_TEST

START_TEST(dtypes)
{
        expect_tensor("\"shape\":[1],\"data_offsets\":[0,4]", 4, -EINVAL, "tensor t: no dtype");
        expect_tensor("\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]", 4, -EINVAL, "tensor t: no dtype");
        expect_tensor("\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]", 8, -EOPNOTSUPP,
                        "dtype I64, expected F32, F16 or BF16");
        expect_tensor("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]", 4, -EOPNOTSUPP, "dtype f32");
}
END_TEST

START_TEST(shapes)
{
        expect_tensor("\"dtype\":\"F32\",\"data_offsets\":[0,4]", 4, -EINVAL,
                        "a shape of at most 8 numbers");
        expect_tensor("\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]", 4, -EINVAL, "a shape");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]", 4, -EINVAL,
                        "at most 8");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]", 0, -EINVAL, "dimension 0");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1,-1],\"data_offsets\":[0,4]", 4, -EINVAL,
                        "dimension 1");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]", 4, -EINVAL, "dimension 0");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]", 4, -EINVAL,
                        "dimension 0");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[null],\"data_offsets\":[0,4]", 4, -EINVAL,
                        "dimension 0");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,4]", 4, -EINVAL,
                        "dimension 0");
}
END_TEST

/* Products of sizes that wrap to the bytes that are there. */
START_TEST(shapes_that_wrap)
{
        expect_tensor("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]", 0,
                        -EINVAL, "or the shape is too large");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]", 4, -EINVAL,
                        "elements of 4 bytes");
        expect_tensor("\"dtype\":\"F16\",\"shape\":[9223372036854775807,3],\"data_offsets\":[0,4]", 4,
                        -EINVAL, "too large");
        expect_tensor("\"dtype\":\"F16\",\"shape\":[99999999999999999999999],\"data_offsets\":[0,4]", 4,
                        -EINVAL, "tensor t");
}
END_TEST

START_TEST(offsets)
{
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1]", 4, -EINVAL, "expected data_offsets of two");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4", 4, -EINVAL, "two whole numbers");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]", 4, -EINVAL,
                        "two whole numbers");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]", 8, -EINVAL, "two whole");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]", 4, -EINVAL, "two whole");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]", 4, -EINVAL,
                        "data_offsets 4 to 0, and the file has 4 bytes of data");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]", 4, -EINVAL,
                        "has 4 bytes of data");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[18446744073709551612,"
                      "18446744073709551616]",
                        4, -EINVAL, "tensor t");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]", 8, -EINVAL,
                        "data_offsets of 8 bytes for 1 elements of 4 bytes");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]", 4, -EINVAL,
                        "for 2 elements");
}
END_TEST

START_TEST(data_that_no_tensor_has)
{
        expect("{}", 1, -EINVAL, "the tensors end at byte 0 of the data, expected 1");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]", 5, -EINVAL,
                        "end at byte 4 of the data, expected 5");
        expect_tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]", 8, -EINVAL,
                        "tensor t begins at byte 4 of the data, expected 0");
        expect("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
               "\"b\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[6,8]}}",
                        8, -EINVAL, "tensor b begins at byte 6 of the data, expected 4");
}
END_TEST

START_TEST(tensors_that_overlap)
{
        expect("{\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
               "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]}}",
                        8, -EINVAL,
                        "tensor b begins at byte 4 of the data, expected 8, where the one before it "
                        "ends (they overlap)");
        expect("{\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
               "\"b\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}}",
                        8, -EINVAL, "(they overlap)");
        /* A name that stands twice hides the bytes of the first. */
        expect("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
               "\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]}}",
                        8, -EINVAL, "tensor a begins at byte 4");
}
END_TEST

/* --- mutations --- */

static uint64_t state;

static uint64_t below(uint64_t limit)
{
        /* xorshift64*, Vigna */
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return limit ? state * 0x2545f4914f6cdd1dull % limit : 0;
}

/* Changes a byte, a number, a name, or the length. */
static void mutate(struct qvf_text *text, uint64_t header)
{
        static const char *const pieces[] = { "-1", "0", "9223372036854775807", "18446744073709551615",
                "null", "[", "]", "{", "}", "\"", "\\u0000", "F64", "1e9", ",", ":", "true", "BF16",
                "lora_A", "" };
        char rest[8192];
        uint64_t at = 8 + below(header);
        size_t length, cut;

        switch (below(6)) {
        case 0: text->bytes[at] = (char)below(256); break;
        case 1: text->bytes[at] ^= (char)(1u << below(8)); break;
        case 2: text->bytes[below(8)] = (char)below(256); break;
        case 3: text->length = below(text->length + 1); break;
        default: /* a piece in the place of a few bytes */
                cut = below(8);
                at = at + cut > text->length ? text->length - cut : at;
                length = text->length - at - cut;
                ck_assert_uint_le(length, sizeof(rest));
                memcpy(rest, text->bytes + at + cut, length);
                text->length = at;
                ck_assert_int_eq(qvf_text_append_string(
                                                 text, pieces[below(sizeof(pieces) / sizeof(pieces[0]))]),
                                0);
                ck_assert_int_eq(qvf_text_append(text, rest, length), 0);
                if (below(2) && text->length > 8) { /* the length made right, so that the header is read */
                        uint64_t right = header + (text->length - at - length) - cut;

                        memcpy(text->bytes, &right, 8);
                }
        }
}

static unsigned try_file(const struct qvf_text *text)
{
        static const char config[] = "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":4}";
        static const struct qvf_peft_base base = {
                .architecture = "llama", .permuted = true, .n_heads = HEADS, .n_kv_heads = KEY_HEADS
        };
        _cleanup_close_ int fd = gguf_memory_file(text->bytes, text->length);
        _cleanup_close_ int config_fd = gguf_memory_file(config, sizeof(config) - 1);
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        struct qvf_error error = { 0 };
        int r = qvf_peft_open_fds(fd, config_fd, &base, &file, &error);

        if (r == 0) {
                double product[DIM * DIM] = { 0 };

                for (uint32_t i = 0; i < file->n_layers * QVF_MODULES; i++)
                        if (file->matrices[i].rank > 0 && file->matrices[i].a.columns <= DIM &&
                                        file->matrices[i].b.rows <= DIM)
                                add_product(file, i, 1, product);
                return 1;
        }
        ck_assert_msg(error.text[0] != 0, "refused without words: %d", r);
        return 0;
}

START_TEST(five_thousand_mutated_files)
{
        static const uint32_t ranks[QVF_MODULES] = { 2, 2, 0, 0, 0, 0, 2 };
        const char *seed = getenv("QVF_SEED"), *count = getenv("QVF_MUTATIONS");
        unsigned n = count ? (unsigned)strtoul(count, NULL, 10) : 5000, opened = 0;
        struct qvf_peft_base base = {
                .architecture = "llama", .permuted = true, .n_heads = HEADS, .n_kv_heads = 2
        };
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file =
                        random_adapter("llama", 2, ranks, 4, QVF_F32, 3);
        _cleanup_close_ int fd = gguf_memory_file("", 0);
        _cleanup_text_ struct qvf_text original = { 0 };
        struct qvf_error error = { 0 };
        uint64_t header;

        state = seed ? strtoull(seed, NULL, 0) : 20250311;
        printf("QVF_SEED=%" PRIu64 "\n", state);
        ck_assert_msg(qvf_peft_write_weights(file, &base, fd, &error) == 0, "%s", error.text);
        original = read_all(fd);
        ck_assert_ptr_nonnull(original.bytes);
        memcpy(&header, original.bytes, 8);
        ck_assert_uint_eq(try_file(&original), 1);
        for (unsigned i = 0; i < n; i++) {
                _cleanup_text_ struct qvf_text text = { 0 };

                ck_assert_int_eq(qvf_text_append(&text, original.bytes, original.length), 0);
                mutate(&text, header);
                if (below(4) == 0 && text.length > header + 8)
                        mutate(&text, header);
                opened += try_file(&text);
        }
        printf("%u opened, %u refused\n", opened, n - opened);
}
END_TEST

QVF_SUITE("safetensors", 120, good_file, header_length, header_is_no_object, tensor_is_no_object, long_name,
                dtypes, shapes, shapes_that_wrap, offsets, data_that_no_tensor_has, tensors_that_overlap,
                five_thousand_mutated_files)
