/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of weights in other forms: made once, mapped afterwards, and never worse than none. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/log.h"
#include "engine/files/dtype.h"
#include "engine/model/content_hash.h"
#include "engine/model/weight_cache.h"
#include "engine/model/weight_cache_file.h"
#include "tests/support/compute.h"
#include "tests/support/folder.h"
#include "tests/support/forward.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/suite.h"

static const int32_t tokens[] = { 3, 141, 59, 26, 5, 35, 89, 79 };
#define N_TOKENS (sizeof(tokens) / sizeof(tokens[0]))

/* A backend that packs: the CPU's, but a weight stands behind a front of 0xa5. */
#define FRONT_BYTES 256u
static const struct qvf_backend *cpu;
static unsigned n_packs, n_warnings;
static bool no_import, packs;
static char last_warning[512];

static int packing_size(struct qvf_device *device, const struct qvf_weight *weight, uint64_t *ret_bytes)
{
        (void)device;
        *ret_bytes = 0;
        if (!packs)
                return 0;
        ck_assert_int_eq(qvf_dtype_tensor_bytes(weight->dtype, weight->rows, weight->columns, ret_bytes), 0);
        *ret_bytes += FRONT_BYTES;
        return 0;
}

static int packing_pack(struct qvf_device *device, const struct qvf_weight *weight, void *packed)
{
        (void)device;
        n_packs++;
        memset(packed, 0xa5, FRONT_BYTES);
        memcpy((char *)packed + FRONT_BYTES, weight->data, weight->bytes);
        return 0;
}

static int packing_import(struct qvf_device *device, const void *memory, uint64_t bytes,
                struct qvf_buffer **ret_buffer)
{
        return no_import ? -ENOTSUP : cpu->buffer_import(device, memory, bytes, ret_buffer);
}

/* The same program, in which packed weights are plain ones behind their fronts. */
static struct qvf_value *unpacked(const struct qvf_program_desc *desc)
{
        struct qvf_value *values = calloc(desc->n_values, sizeof(*values));

        ck_assert_ptr_nonnull(values);
        for (uint32_t i = 0; i < desc->n_values; i++) {
                values[i] = desc->values[i];
                if (!values[i].packed)
                        continue;
                values[i].packed = 0;
                values[i].offset += FRONT_BYTES;
        }
        return values;
}

static int packing_program_size(
                struct qvf_device *device, const struct qvf_program_desc *desc, uint64_t *ret_bytes)
{
        struct qvf_program_desc plain = *desc;
        struct qvf_value *values = unpacked(desc);
        int r;

        plain.values = values;
        r = cpu->program_size(device, &plain, ret_bytes);
        free(values);
        return r;
}

static int packing_program_new(struct qvf_device *device, const struct qvf_program_desc *desc,
                struct qvf_program **ret_program)
{
        struct qvf_program_desc plain = *desc;
        struct qvf_value *values = unpacked(desc);
        int r;

        plain.values = values;
        r = cpu->program_new(device, &plain, ret_program);
        free(values);
        return r;
}

static struct qvf_compute packing_compute(void)
{
        static struct qvf_backend backend;
        struct qvf_compute compute = test_compute(NULL, 1);

        cpu = compute.backend;
        backend = *cpu;
        strcpy(backend.name, "packing");
        backend.buffer_import = packing_import;
        backend.pack_size = packing_size;
        backend.pack = packing_pack;
        backend.program_size = packing_program_size;
        backend.program_new = packing_program_new;
        compute.backend = &backend;
        compute.layout_version = 3;
        packs = true;
        return compute;
}

static void note_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        if (level > QVF_LOG_WARNING)
                return;
        n_warnings++;
        snprintf(last_warning, sizeof(last_warning), "%s", line);
}

struct loaded {
        float logits[N_TOKENS * 512];
        size_t n_logits;
        uint64_t mapped_bytes, device_bytes;
        unsigned packs, warnings; /* of this load */
        bool from_file;           /* weights are read from a mapped cache */
};

static struct loaded load(const struct qvf_compute *compute, struct qvf_gguf *gguf, int folder)
{
        const struct qvf_model_options options = { .cache_folder = folder };
        unsigned packs_before = n_packs, warnings_before = n_warnings;
        struct qvf_error error = { 0 };
        struct qvf_model *model;
        struct loaded loaded;
        float *logits;

        qvf_log_set(note_line, NULL, QVF_LOG_INFO);
        ck_assert_msg(qvf_model_new(gguf, compute, &options, &model, &error) == 0, "%s", error.text);
        qvf_log_set(NULL, NULL, QVF_LOG_INFO);
        loaded = (struct loaded){
                .n_logits = N_TOKENS * model->info->vocabulary_size,
                .mapped_bytes = model->mapped_bytes,
                .device_bytes = model->device_bytes,
                .packs = n_packs - packs_before,
                .warnings = n_warnings - warnings_before,
                .from_file = model->weight_cache != NULL,
        };
        ck_assert_uint_le(loaded.n_logits, sizeof(loaded.logits) / sizeof(float));
        logits = test_forward(model, NULL, tokens, N_TOKENS);
        memcpy(loaded.logits, logits, loaded.n_logits * sizeof(float));
        free(logits);
        qvf_model_free(model);
        return loaded;
}

static struct qvf_gguf *tiny(void)
{
        struct qvf_error error = { 0 };
        struct qvf_gguf *gguf;

        ck_assert_msg(qvf_gguf_open(test_path("models/tiny-silu.TQ2_0.gguf"), &gguf, &error) == 0, "%s",
                        error.text);
        return gguf;
}

/* One whose weights are brought to TQ2_0. */
static struct qvf_gguf *recovered(enum qvf_dtype dtype)
{
        const struct gguf_model_shape shape = {
                .architecture = "llama",
                .n_layers = 2,
                .dim = 256,
                .ffn_dim = 340,
                .n_heads = 4,
                .vocabulary = 270,
                .untied = true,
                .scales = true,
                .linear = dtype,
                .embedding = QVF_F16,
        };
        _cleanup_gguf_builder_ struct gguf_builder builder = { 0 };
        struct qvf_error error = { 0 };
        struct qvf_gguf *gguf;

        gguf_add_tokenizer(&builder, shape.vocabulary);
        gguf_add_model(&builder, &shape, 11);
        ck_assert_msg(gguf_builder_open(&builder, &gguf, &error) == 0, "%s", error.text);
        return gguf;
}

static void check_logits(const struct loaded *one, const struct loaded *other)
{
        ck_assert_uint_eq(one->n_logits, other->n_logits);
        ck_assert(memcmp(one->logits, other->logits, one->n_logits * sizeof(float)) == 0);
}

START_TEST(nothing_is_packed_twice)
{
        struct qvf_compute compute = packing_compute();
        int folder = test_folder();
        struct loaded without = load(&compute, tiny(), -1), first = load(&compute, tiny(), folder);
        struct loaded second = load(&compute, tiny(), folder);
        char name[256];

        ck_assert_uint_gt(without.packs, 0);
        ck_assert_uint_eq(first.packs, without.packs);
        ck_assert_uint_eq(second.packs, 0);
        ck_assert(!without.from_file && first.from_file && second.from_file);
        check_logits(&without, &first);
        check_logits(&without, &second);
        /* All that was made stands in the file now, but for the rope's frequencies. */
        ck_assert_uint_eq(first.mapped_bytes, second.mapped_bytes);
        ck_assert_uint_eq(first.device_bytes, second.device_bytes);
        ck_assert_uint_lt(second.device_bytes, 4096);
        ck_assert_uint_eq(without.mapped_bytes + without.device_bytes,
                        second.mapped_bytes + second.device_bytes);
        ck_assert_uint_eq(first.warnings + second.warnings, 0);
        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 1);
        ck_assert_int_eq(test_folder_find(folder, ".tmp", name), 0);
        compute.backend->device_close(compute.device);
}
END_TEST

START_TEST(a_device_without_import_takes_copies_from_the_file)
{
        struct qvf_compute compute = packing_compute();
        int folder = test_folder();
        struct loaded without, first, second;

        no_import = true;
        without = load(&compute, tiny(), -1);
        first = load(&compute, tiny(), folder);
        second = load(&compute, tiny(), folder);
        ck_assert_uint_eq(second.packs, 0);
        ck_assert(!first.from_file && !second.from_file);
        ck_assert_uint_eq(second.mapped_bytes, 0);
        ck_assert_uint_eq(second.device_bytes, without.device_bytes);
        ck_assert_uint_eq(first.device_bytes, without.device_bytes);
        check_logits(&without, &first);
        check_logits(&without, &second);
        compute.backend->device_close(compute.device);
}
END_TEST

START_TEST(recovered_weights_are_kept_too)
{
        static const enum qvf_dtype dtypes[] = { QVF_F16, QVF_I2_S };

        for (int packed = 0; packed < 2; packed++)
                for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
                        struct qvf_compute compute = packing_compute();
                        int folder = test_folder();
                        struct loaded without, first, second;

                        packs = packed;
                        without = load(&compute, recovered(dtypes[i]), -1);
                        first = load(&compute, recovered(dtypes[i]), folder);
                        second = load(&compute, recovered(dtypes[i]), folder);
                        ck_assert(first.from_file && second.from_file);
                        ck_assert_uint_eq(second.packs, 0);
                        ck_assert_uint_gt(without.device_bytes, 100000);
                        ck_assert_uint_lt(second.device_bytes, 4096);
                        check_logits(&without, &first);
                        check_logits(&without, &second);
                        cpu->device_close(compute.device);
                }
}
END_TEST

START_TEST(weights_that_are_used_as_they_are_need_no_cache)
{
        struct qvf_compute compute = test_compute(NULL, 1);
        int folder = test_folder();
        struct loaded loaded = load(&compute, tiny(), folder);
        char name[256];

        ck_assert(!loaded.from_file);
        ck_assert_int_eq(test_folder_find(folder, "", name), 0);
        compute.backend->device_close(compute.device);
}
END_TEST

START_TEST(each_layout_and_model_has_its_own)
{
        struct qvf_compute compute = packing_compute();
        int folder = test_folder();
        char name[256];

        load(&compute, tiny(), folder);
        compute.layout_version = 4;
        ck_assert_uint_gt(load(&compute, tiny(), folder).packs, 0);
        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 2);
        ck_assert_uint_gt(load(&compute, recovered(QVF_F16), folder).packs, 0);
        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 3);
        /* A caller that does not know the version: nothing packed may be kept. */
        compute.layout_version = 0;
        ck_assert_uint_gt(load(&compute, tiny(), folder).packs, 0);
        ck_assert_uint_gt(load(&compute, tiny(), folder).packs, 0);
        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 3);
        compute.backend->device_close(compute.device);
}
END_TEST

static char *read_file(int folder, const char *name, size_t *ret_length)
{
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        struct stat st;
        char *bytes;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        bytes = malloc((size_t)st.st_size);
        ck_assert(bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size);
        close(fd);
        *ret_length = (size_t)st.st_size;
        return bytes;
}

static void write_file(int folder, const char *name, const void *bytes, size_t length)
{
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
        close(fd);
}

START_TEST(a_damaged_file_is_made_anew)
{
        struct qvf_compute compute = packing_compute();
        int folder = test_folder();
        struct loaded good = load(&compute, tiny(), folder), again;
        size_t length, now_length;
        char name[256], *bytes, *damaged, *now;

        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 1);
        bytes = read_file(folder, name, &length);
        damaged = malloc(length + 1);
        ck_assert_ptr_nonnull(damaged);
        for (int way = 0; way < 9; way++) {
                static const size_t flips[] = { 0, 9, 40, 64, 80, 4096 };
                size_t new_length = length;

                memcpy(damaged, bytes, length);
                damaged[length] = 0;
                if (way < 6)
                        damaged[flips[way]] ^= 0x10; /* magic, version, offset, key, header, a weight */
                else if (way == 6)
                        damaged[length - 20] ^= 1; /* the table */
                else
                        new_length = way == 7 ? length / 2 : 0;
                write_file(folder, name, damaged, new_length);
                again = load(&compute, tiny(), folder);
                ck_assert_msg(again.packs > 0, "%d", way);
                ck_assert_msg(again.warnings == 1, "%d: %u lines, last: %s", way, again.warnings,
                                last_warning);
                ck_assert_ptr_nonnull(strstr(last_warning, "made anew"));
                check_logits(&good, &again);
                now = read_file(folder, name, &now_length);
                ck_assert(now_length == length && memcmp(now, bytes, length) == 0);
                free(now);
        }
        free(damaged);
        free(bytes);
        compute.backend->device_close(compute.device);
}
END_TEST

/* Files whose checksums are right and whose numbers are not. */
START_TEST(no_number_of_the_file_is_believed)
{
        struct qvf_compute compute = packing_compute();
        int folder = test_folder();
        struct loaded good = load(&compute, tiny(), folder), again;
        struct qvf_weight_file_header *header;
        struct qvf_weight_file_entry *table;
        size_t length;
        char name[256], *bytes, *damaged;

        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 1);
        bytes = read_file(folder, name, &length);
        damaged = malloc(length);
        ck_assert_ptr_nonnull(damaged);
        header = (void *)damaged;
        for (int way = 0; way < 19; way++) {
                memcpy(damaged, bytes, length);
                table = (void *)(damaged + header->table_offset);
                switch (way) {
                case 0: table[1].offset = header->table_offset + 256; break;
                case 1: table[1].offset = UINT64_MAX - 255; break;
                case 2: table[1].length = UINT64_MAX; break;
                case 3: table[1].length -= 8; break;
                case 4: table[1].offset += 1; break;
                case 5: table[1].rows += 1; break;
                case 6: table[1].columns = 0; break;
                case 7: table[1].columns += 256; break;
                case 8: table[1].dtype = QVF_F32; break;
                case 9: table[1].scale = __builtin_inff(); break;
                case 10: table[1].packed = 2; break;
                case 11: table[1].packed = 0; break;
                case 12: table[1].name[0] = 'z'; break;
                case 13: memset(table[1].name, 'b', sizeof(table[1].name)); break;
                case 14: header->n_entries = UINT32_MAX; break;
                case 15: header->n_entries -= 1; break;
                case 16: header->table_offset = UINT64_MAX - 255; break;
                case 17: header->table_offset = 0; break;
                case 18: table[1].offset = 0; break;
                }
                if (way < 14 || way == 18) {
                        table[1].check =
                                        table[1].offset <= length && table[1].length <= length - table[1].offset
                                                        ? qvf_weight_file_check(damaged + table[1].offset,
                                                                          table[1].length)
                                                        : 0;
                        header->table_check =
                                        qvf_weight_file_check(table, header->n_entries * sizeof(*table));
                }
                header->header_check = qvf_weight_file_check(
                                header, offsetof(struct qvf_weight_file_header, header_check));
                write_file(folder, name, damaged, length);
                again = load(&compute, tiny(), folder);
                ck_assert_msg(again.packs > 0 && again.warnings == 1, "way %d", way);
                check_logits(&good, &again);
        }
        free(damaged);
        free(bytes);
        compute.backend->device_close(compute.device);
}
END_TEST

START_TEST(random_bytes_with_right_checksums)
{
        const struct qvf_weight_cache_key key = { .backend = "packing", .layout_version = 1 };
        const struct qvf_weight_cache_entry entry = {
                .name = "b", .dtype = QVF_TQ2_0, .rows = 2, .columns = 256, .scale = 1, .length = 132
        };
        struct qvf_weight_cache_entry first = entry;
        struct qvf_weight_cache_writer *writer;
        struct qvf_weight_cache *cache;
        struct qvf_weight_file_header *header;
        struct qvf_error error = { 0 };
        int folder = test_folder();
        char weight[132] = "weight", name[256], *bytes, *damaged;
        unsigned seed = 5, opened = 0;
        size_t length;

        first.name = "a";
        ck_assert_int_eq(qvf_weight_cache_open(folder, &key, &cache, &error), -ENOENT);
        ck_assert_int_eq(qvf_weight_cache_writer_new(folder, &key, &writer, &error), 0);
        ck_assert_int_eq(qvf_weight_cache_writer_add(writer, &entry, weight), 0);
        ck_assert_int_eq(qvf_weight_cache_writer_add(writer, &first, weight), 0);
        ck_assert_int_eq(qvf_weight_cache_writer_commit(writer, &error), 0);
        qvf_weight_cache_writer_free(writer);
        ck_assert_int_eq(qvf_weight_cache_open(folder, &key, &cache, &error), 0);
        ck_assert_uint_eq(qvf_weight_cache_count(cache), 2);
        ck_assert_str_eq(qvf_weight_cache_entry(cache, 0)->name, "a");
        ck_assert_ptr_nonnull(qvf_weight_cache_find(cache, "b"));
        ck_assert_ptr_null(qvf_weight_cache_find(cache, "c"));
        ck_assert_ptr_null(qvf_weight_cache_entry(cache, 2));
        qvf_weight_cache_free(cache);
        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 1);
        bytes = read_file(folder, name, &length);
        damaged = malloc(length);
        ck_assert_ptr_nonnull(damaged);
        header = (void *)damaged;
        for (int round = 0; round < 3000; round++) {
                size_t new_length = length;
                int r;

                memcpy(damaged, bytes, length);
                for (int i = 0; i <= round % 3; i++) {
                        /* Header and table: weights are covered by their own checksums. */
                        size_t at = rand_r(&seed) % 400, from = at < 100 ? 0 : length - 400;

                        damaged[from + at] = (char)rand_r(&seed);
                }
                if (round % 8 == 0)
                        new_length = rand_r(&seed) % length;
                if (header->table_offset < length &&
                                (uint64_t)header->n_entries * sizeof(struct qvf_weight_file_entry) <=
                                                length - header->table_offset)
                        header->table_check = qvf_weight_file_check(damaged + header->table_offset,
                                        header->n_entries * sizeof(struct qvf_weight_file_entry));
                header->header_check = qvf_weight_file_check(
                                header, offsetof(struct qvf_weight_file_header, header_check));
                write_file(folder, name, damaged, new_length);
                r = qvf_weight_cache_open(folder, &key, &cache, &error);
                ck_assert(r == 0 || r == -EBADMSG);
                if (r < 0)
                        continue;
                opened++;
                for (uint32_t i = 0; i < qvf_weight_cache_count(cache); i++) {
                        const struct qvf_weight_cache_entry *e = qvf_weight_cache_entry(cache, i);

                        ck_assert(e->offset <= new_length && e->length <= new_length - e->offset);
                }
                qvf_weight_cache_free(cache);
        }
        printf("%u of 3000 damaged files were still sound\n", opened);
        free(damaged);
        free(bytes);
}
END_TEST

START_TEST(a_folder_that_takes_no_file_costs_only_the_cache)
{
        struct qvf_compute compute = packing_compute();
        struct loaded without = load(&compute, tiny(), -1), loaded;
        int folder = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        ck_assert_int_ge(folder, 0);
        loaded = load(&compute, tiny(), folder);
        ck_assert_uint_eq(loaded.warnings, 1);
        ck_assert_ptr_nonnull(strstr(last_warning, "weights are not cached"));
        check_logits(&without, &loaded);
        loaded = load(&compute, tiny(), open("/dev/null", O_RDONLY | O_CLOEXEC));
        ck_assert_uint_eq(loaded.warnings, 1);
        check_logits(&without, &loaded);
        compute.backend->device_close(compute.device);
}
END_TEST

/* A limit on the size of files stands in for a full disk: writes fail in the middle. */
START_TEST(a_full_disk_costs_only_the_cache)
{
        struct qvf_compute compute = packing_compute();
        struct loaded without = load(&compute, tiny(), -1), loaded;
        int folder = test_folder();
        char name[256];

        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 100000, 100000 }), 0);
        loaded = load(&compute, tiny(), folder);
        ck_assert_uint_eq(loaded.warnings, 1);
        ck_assert_uint_eq(loaded.packs, without.packs);
        check_logits(&without, &loaded);
        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 0);
        ck_assert_int_eq(test_folder_find(folder, ".tmp", name), 0);
        compute.backend->device_close(compute.device);
}
END_TEST

static void hash_of(struct qvf_gguf *gguf, int folder, uint8_t ret_digest[QVF_SHA256_BYTES])
{
        struct qvf_error error = { 0 };

        ck_assert_msg(qvf_content_hash(gguf, folder, ret_digest, &error) == 0, "%s", error.text);
        qvf_gguf_free(gguf);
}

START_TEST(the_content_hash_is_remembered)
{
        uint8_t plain[QVF_SHA256_BYTES], digest[QVF_SHA256_BYTES];
        int folder = test_folder();
        size_t length;
        char name[256], *bytes;

        hash_of(tiny(), folder, plain);
        if (test_folder_find(folder, ".hash", name) == 0) { /* a checkout of just now is too young for it */
                sleep(4);
                hash_of(tiny(), folder, plain);
        }
        ck_assert_int_eq(test_folder_find(folder, ".hash", name), 1);
        hash_of(tiny(), folder, digest);
        ck_assert(memcmp(plain, digest, sizeof(plain)) == 0);
        /* Damage is seen, and mended. */
        bytes = read_file(folder, name, &length);
        bytes[50] ^= 1;
        write_file(folder, name, bytes, length);
        hash_of(tiny(), folder, digest);
        ck_assert(memcmp(plain, digest, sizeof(plain)) == 0);
        write_file(folder, name, bytes, 20);
        hash_of(tiny(), folder, digest);
        ck_assert(memcmp(plain, digest, sizeof(plain)) == 0);
        free(bytes);
        /* The memory is believed: this is what saves the reading. */
        bytes = read_file(folder, name, &length);
        bytes[44] ^= 1;
        qvf_sha256(bytes, length - QVF_SHA256_BYTES, (uint8_t *)bytes + length - QVF_SHA256_BYTES);
        write_file(folder, name, bytes, length);
        hash_of(tiny(), folder, digest);
        ck_assert(memcmp(plain, digest, sizeof(plain)) != 0);
        free(bytes);
}
END_TEST

START_TEST(a_young_file_is_hashed_each_time)
{
        uint8_t one[QVF_SHA256_BYTES], other[QVF_SHA256_BYTES];
        int folder = test_folder();
        char name[256];

        hash_of(recovered(QVF_F16), folder, one);
        hash_of(recovered(QVF_F16), folder, other);
        ck_assert(memcmp(one, other, sizeof(one)) == 0);
        hash_of(recovered(QVF_F32), folder, other);
        ck_assert(memcmp(one, other, sizeof(one)) != 0);
        ck_assert_int_eq(test_folder_find(folder, ".hash", name), 0);
}
END_TEST

START_TEST(what_a_killed_process_left_is_removed)
{
        struct qvf_compute compute = packing_compute();
        const struct timespec old[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = 1000000000 } };
        int folder = test_folder();
        char name[256], left[600], young[600], found[256];

        load(&compute, tiny(), folder);
        ck_assert_int_eq(test_folder_find(folder, ".weights", name), 1);
        snprintf(left, sizeof(left), ".%s.0123456789abcdef.tmp", name);
        snprintf(young, sizeof(young), ".%s.fedcba9876543210.tmp", name);
        write_file(folder, left, "x", 1);
        write_file(folder, young, "x", 1);
        ck_assert_int_eq(utimensat(folder, left, old, 0), 0);
        ck_assert_int_eq(unlinkat(folder, name, 0), 0);
        load(&compute, tiny(), folder);
        ck_assert_int_eq(test_folder_find(folder, ".tmp", found), 1);
        ck_assert_str_eq(found, young);
}
END_TEST

QVF_SUITE("weight cache", 120, nothing_is_packed_twice, a_device_without_import_takes_copies_from_the_file,
                recovered_weights_are_kept_too, weights_that_are_used_as_they_are_need_no_cache,
                each_layout_and_model_has_its_own, a_damaged_file_is_made_anew,
                no_number_of_the_file_is_believed, random_bytes_with_right_checksums,
                a_folder_that_takes_no_file_costs_only_the_cache, a_full_disk_costs_only_the_cache,
                the_content_hash_is_remembered, a_young_file_is_hashed_each_time,
                what_a_killed_process_left_is_removed)
