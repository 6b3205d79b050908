/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 damaged model files. None may crash, take a second, or make the reader allocate more than four times the
 * file's size, all allocations of one file added up. QVF_SEED chooses other files, QVF_MUTATIONS how many. */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/gguf_builder.h"
#include "tests/support/gguf_exercise.h"

/* What every file costs, however small: structs, the name, the words of an error. */
#define ALLOWANCE_BYTES 4096
#define SLOWEST_MS 1000

static size_t allocated_bytes;

/* Counting needs no help from the linker: the sanitizer has a hook, and glibc lets a program define malloc. */
#if defined(__has_feature) /* clang's way to say it */
#if __has_feature(address_sanitizer)
#define HAVE_SANITIZER_HOOK
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAVE_SANITIZER_HOOK
#endif

#ifdef HAVE_SANITIZER_HOOK
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                void (*free_hook)(const volatile void *));

static void count_malloc(const volatile void *pointer, size_t bytes)
{
        (void)pointer;
        allocated_bytes += bytes;
}

static void count_free(const volatile void *pointer)
{
        (void)pointer;
}

static void start_counting(void)
{
        ck_assert_int_ne(__sanitizer_install_malloc_and_free_hooks(count_malloc, count_free), 0);
}
#elif defined(__GLIBC__)
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *pointer, size_t bytes);

void *malloc(size_t bytes)
{
        allocated_bytes += bytes;
        return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
        allocated_bytes += count * bytes;
        return __libc_calloc(count, bytes);
}

void *realloc(void *pointer, size_t bytes)
{
        allocated_bytes += bytes;
        return __libc_realloc(pointer, bytes);
}

static void start_counting(void)
{
}
#else
static void start_counting(void)
{
        printf("SKIP counting of allocations: neither glibc nor AddressSanitizer\n");
}
#endif

static uint64_t random_state;

static uint64_t next_random(void)
{
        /* xorshift64*, Vigna */
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return random_state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(uint64_t limit)
{
        return limit ? next_random() % limit : 0;
}

struct file {
        uint8_t *bytes;
        size_t length, capacity;
        size_t header; /* mutations fall mostly before this byte */
};

/* Numbers that lengths, counts and offsets go wrong at. */
static uint64_t nasty_number(const struct file *file)
{
        static const uint64_t numbers[] = { 0, 1, 2, 7, 8, 31, 32, 255, 256, 65535, 65536, 0x7fffffff,
                0x80000000, 0xffffffff, (uint64_t)1 << 32, (uint64_t)1 << 60, (uint64_t)1 << 61,
                (uint64_t)1 << 62, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 31, UINT64_MAX - 7,
                UINT64_MAX };

        switch (below(4)) {
        case 0: return file->length - below(64);
        case 1: return below(file->length);
        case 2: return UINT64_MAX / (1 + below(64)) + below(3);
        default: return numbers[below(sizeof(numbers) / sizeof(numbers[0]))];
        }
}

static size_t place(const struct file *file)
{
        size_t limit = below(8) ? file->header : file->length;

        return (size_t)below(limit < file->length ? limit : file->length);
}

static void overwrite(struct file *file, size_t at, const void *bytes, size_t length)
{
        if (at + length <= file->length)
                memmove(file->bytes + at, bytes, length);
}

static void insert(struct file *file, size_t at, size_t from, size_t length)
{
        uint8_t piece[64];

        if (file->length + length > file->capacity || from + length > file->length)
                return;
        memcpy(piece, file->bytes + from, length);
        memmove(file->bytes + at + length, file->bytes + at, file->length - at);
        memcpy(file->bytes + at, piece, length);
        file->length += length;
}

static void cut(struct file *file, size_t at, size_t length)
{
        if (at + length > file->length)
                return;
        memmove(file->bytes + at, file->bytes + at + length, file->length - at - length);
        file->length -= length;
}

static void mutate(struct file *file)
{
        size_t at = place(file);
        uint64_t number = nasty_number(file);

        if (file->length < 2)
                return;
        switch (below(16)) {
        case 0: file->bytes[at] ^= (uint8_t)(1u << below(8)); break;
        case 1: file->bytes[at] = (uint8_t)next_random(); break;
        case 2: file->bytes[at] = (uint8_t)number; break;
        case 3: overwrite(file, at, &number, 4); break;
        case 4: overwrite(file, at, &number, 8); break;
        case 5: overwrite(file, 8 + 8 * below(2), &number, 8); break; /* the counts */
        case 6: insert(file, at, place(file), 1 + below(64)); break;
        case 7: cut(file, at, 1 + below(64)); break;
        case 8:
                overwrite(file, at, file->bytes + place(file) % (file->length / 2),
                                1 + below(64) % (file->length / 2));
                break;
        case 9: /* every other time where a page ends: what is read past the end is not mapped then */
                file->length = 1 + below(file->length);
                if (file->length > 4096 && below(2))
                        file->length -= file->length % 4096;
                break;
        default: file->bytes[at] = (uint8_t)(file->bytes[at] + below(3) - 1); break; /* mildly: many pass */
        }
}

static double now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Where the tensors' data begins: the last thing of the header is found by its alignment. */
static struct file make_base(unsigned which)
{
        static const struct gguf_model_shape shapes[] = {
                { .architecture = "llama",
                                .n_layers = 1,
                                .dim = 256,
                                .ffn_dim = 256,
                                .n_heads = 2,
                                .n_kv_heads = 1,
                                .head_dim = 128,
                                .vocabulary = 8,
                                .rope_base = 1e6f,
                                .untied = true,
                                .scales = true,
                                .linear = QVF_I2_S,
                                .embedding = QVF_Q8_0 },
                { .architecture = "bitnet-25",
                                .n_layers = 2,
                                .dim = 32,
                                .ffn_dim = 64,
                                .n_heads = 2,
                                .vocabulary = 8,
                                .sub_norms = true,
                                .linear = QVF_Q4_0,
                                .embedding = QVF_F16 },
        };
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        _cleanup_text_ struct qvf_text text = { 0 };
        struct file file = { 0 };
        char key[64];

        if (which == 0) {
                _cleanup_fclose_ FILE *stream = fopen("models/tiny-silu.TQ2_0.gguf", "rb");

                ck_assert_ptr_nonnull(stream);
                file.capacity = 1 << 20;
                file.bytes = malloc(file.capacity);
                ck_assert_ptr_nonnull(file.bytes);
                file.length = fread(file.bytes, 1, file.capacity, stream);
                file.header = 13312;
                ck_assert_uint_gt(file.length, file.header);
                return file;
        }
        gguf_add_model(&builder, &shapes[which - 1], 3);
        gguf_add_strings(&builder, "tokenizer.ggml.tokens", (const char *const[]){ "a", "b", "<c>" }, 3);
        snprintf(key, sizeof(key), "%s.rope.scaling.type", shapes[which - 1].architecture);
        gguf_add_string(&builder, key, "yarn");
        gguf_add_bool(&builder, "tokenizer.ggml.add_bos_token", 1);
        text = gguf_finish(&builder);
        file.capacity = text.length + 4096;
        file.bytes = malloc(file.capacity);
        ck_assert_ptr_nonnull(file.bytes);
        memcpy(file.bytes, text.bytes, text.length);
        file.length = text.length;
        file.header = text.length - builder.data.length;
        return file;
}

struct totals {
        unsigned by_result[3];
        double slowest_ms, largest_share;
};

static void try_file(const struct file *file, int fd, struct totals *totals)
{
        double start, took;
        size_t before;

        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_int_eq((int)pwrite(fd, file->bytes, file->length, 0), (int)file->length);
        start = now_ms();
        before = allocated_bytes;
        totals->by_result[gguf_exercise(fd)]++;
        before = allocated_bytes - before;
        took = now_ms() - start;
        ck_assert_msg(took < SLOWEST_MS, "%.0f ms", took);
        ck_assert_msg(before <= 4 * file->length + ALLOWANCE_BYTES, "%zu bytes allocated for a file of %zu",
                        before, file->length);
        if (took > totals->slowest_ms)
                totals->slowest_ms = took;
        if (before > ALLOWANCE_BYTES &&
                        (double)(before - ALLOWANCE_BYTES) / (double)file->length > totals->largest_share)
                totals->largest_share = (double)(before - ALLOWANCE_BYTES) / (double)file->length;
}

START_TEST(ten_thousand_mutated_files)
{
        const char *seed = getenv("QVF_SEED"), *count = getenv("QVF_MUTATIONS");
        unsigned n = count ? (unsigned)strtoul(count, NULL, 10) : 10000;
        struct totals totals = { 0 };
        struct file bases[3], file;
        _cleanup_close_ int fd = gguf_memory_file("", 0);

        random_state = seed ? strtoull(seed, NULL, 0) : 20240917;
        printf("QVF_SEED=%" PRIu64 "\n", random_state);
        start_counting();
        for (unsigned i = 0; i < 3; i++) {
                bases[i] = make_base(i);
                try_file(&bases[i], fd, &totals);
        }
        ck_assert_uint_eq(totals.by_result[GGUF_IS_A_MODEL], 3);
        file.bytes = malloc((1 << 20) + 4096);
        ck_assert_ptr_nonnull(file.bytes);
        for (unsigned i = 0; i < n; i++) {
                const struct file *base = &bases[i % 4 < 2 ? 0 : i % 4 - 1];

                file.capacity = base->capacity;
                file.length = base->length;
                file.header = base->header;
                memcpy(file.bytes, base->bytes, base->length);
                for (uint64_t k = 1 + below(8) / 4 * below(4); k > 0; k--)
                        mutate(&file);
                try_file(&file, fd, &totals);
        }
        printf("%u refused, %u opened, %u even models; slowest %.1f ms, most allocated %.2f x the file\n",
                        totals.by_result[GGUF_REFUSED], totals.by_result[GGUF_OPENED],
                        totals.by_result[GGUF_IS_A_MODEL], totals.slowest_ms, totals.largest_share);
        ck_assert_uint_eq(totals.by_result[0] + totals.by_result[1] + totals.by_result[2], n + 3);
        for (unsigned i = 0; i < 3; i++)
                free(bases[i].bytes);
        free(file.bytes);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("gguf_mutations");
        TCase *tcase = tcase_create("gguf_mutations");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, ten_thousand_mutated_files);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
