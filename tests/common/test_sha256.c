/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sha256.h"

#include <string.h>

#include "tests/support/suite.h"

static void expect(const uint8_t digest[QVF_SHA256_BYTES], const char *hex)
{
        char text[2 * QVF_SHA256_BYTES + 1];

        for (unsigned i = 0; i < QVF_SHA256_BYTES; i++)
                snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
        ck_assert_str_eq(text, hex);
}

START_TEST(vectors_of_the_standard)
{
        static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        uint8_t digest[QVF_SHA256_BYTES];
        struct qvf_sha256 hash;

        qvf_sha256("", 0, digest);
        expect(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        qvf_sha256("abc", 3, digest);
        expect(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        qvf_sha256(two_blocks, strlen(two_blocks), digest);
        expect(digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        qvf_sha256_init(&hash);
        for (unsigned i = 0; i < 1000000; i++)
                qvf_sha256_update(&hash, "a", 1);
        qvf_sha256_finish(&hash, digest);
        expect(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

/* The digests of all prefixes of 1000 bytes, hashed together; the number is Python's hashlib's. */
START_TEST(every_length_in_any_pieces)
{
        uint8_t bytes[1000], digest[QVF_SHA256_BYTES], again[QVF_SHA256_BYTES];
        struct qvf_sha256 all, pieces;

        for (unsigned i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(i * 7 + 3);
        qvf_sha256_init(&all);
        for (size_t length = 0; length <= sizeof(bytes); length++) {
                size_t cut = length * 5 / 8;

                qvf_sha256(bytes, length, digest);
                qvf_sha256_init(&pieces);
                qvf_sha256_update(&pieces, bytes, cut);
                qvf_sha256_update(&pieces, bytes + cut, 0);
                qvf_sha256_update(&pieces, bytes + cut, length - cut);
                qvf_sha256_finish(&pieces, again);
                if (memcmp(digest, again, sizeof(digest)) != 0)
                        ck_abort_msg("%zu bytes in two pieces give another digest", length);
                qvf_sha256_update(&all, digest, sizeof(digest));
        }
        qvf_sha256_finish(&all, digest);
        expect(digest, "cda434928e5df689ee9ffa39182b1cf3e75b1160fdfb2f96aeb2df864ed3c88b");
}
END_TEST

START_TEST(parts_do_not_run_together)
{
        uint8_t one[QVF_SHA256_BYTES], other[QVF_SHA256_BYTES];
        struct qvf_sha256 hash;

        qvf_sha256_init(&hash);
        qvf_sha256_update_sized(&hash, "ab", 2);
        qvf_sha256_update_sized(&hash, "c", 1);
        qvf_sha256_finish(&hash, one);
        qvf_sha256_init(&hash);
        qvf_sha256_update_sized(&hash, "a", 1);
        qvf_sha256_update_sized(&hash, "bc", 2);
        qvf_sha256_finish(&hash, other);
        ck_assert_mem_ne(one, other, sizeof(one));
}
END_TEST

QVF_SUITE("sha256", 60, vectors_of_the_standard, every_length_in_any_pieces, parts_do_not_run_together)
