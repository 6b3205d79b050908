/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic_file.h"
#include "engine/adapters/json.h"
#include "engine/adapters/peft.h"
#include "engine/adapters/peft_config.h"
#include "engine/adapters/safetensors.h"

/* The numbers of 4 bytes first, so that all of them lie on multiples of their size. */
static const unsigned element_bytes[] = { 4, 2 };

/* The matrices in the order of the file: all of one size, layer by layer. */
struct walk {
        const struct qvf_adapter_file *file;
        unsigned pass;
        uint32_t next; /* twice the index of the matrix, and 1 for b */
};

static const struct qvf_adapter_numbers *walk_next(struct walk *walk, uint32_t *ret_index, bool *ret_is_b)
{
        uint32_t count = 2 * walk->file->n_layers * QVF_MODULES;

        for (; walk->pass < sizeof(element_bytes) / sizeof(element_bytes[0]); walk->pass++, walk->next = 0)
                while (walk->next < count) {
                        uint32_t at = walk->next++;
                        const struct qvf_adapter_matrix *matrix = &walk->file->matrices[at / 2];
                        const struct qvf_adapter_numbers *numbers = at % 2 ? &matrix->b : &matrix->a;

                        if (matrix->rank == 0 ||
                                        (numbers->dtype == QVF_F32 ? 4u : 2u) != element_bytes[walk->pass])
                                continue;
                        *ret_index = at / 2;
                        *ret_is_b = at % 2;
                        return numbers;
                }
        return NULL;
}

static int append_name(struct qvf_text *header, const char *name)
{
        _cleanup_json_ struct json_object *value = NULL;

        if (!name)
                return 0;
        value = json_object_new_string(name);
        if (!value)
                return -ENOMEM;
        return qvf_text_appendf(header, ",\"name\":%s",
                        json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE));
}

static int make_header(const struct qvf_adapter_file *file, struct qvf_text *header)
{
        struct walk walk = { .file = file };
        const struct qvf_adapter_numbers *numbers;
        uint32_t index;
        uint64_t at = 0;
        bool is_b;
        int r = qvf_text_append_string(header, "{\"__metadata__\":{\"format\":\"pt\"");

        r = r < 0 ? r : append_name(header, file->name);
        r = r < 0 ? r : qvf_text_append_char(header, '}');
        while (r == 0 && (numbers = walk_next(&walk, &index, &is_b))) {
                char name[QVF_PEFT_NAME_BYTES];
                uint64_t bytes = qvf_adapter_numbers_bytes(numbers);

                qvf_peft_module_name(index / QVF_MODULES, index % QVF_MODULES, name);
                r = qvf_text_appendf(header,
                                ",\"base_model.model.%s.lora_%c.weight\":{\"dtype\":\"%s\",\"shape\":[%u,%u]"
                                ","
                                "\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                                name, is_b ? 'B' : 'A', qvf_safetensors_dtype_name(numbers->dtype),
                                numbers->rows, numbers->columns, at, at + bytes);
                at += bytes;
        }
        r = r < 0 ? r : qvf_text_append_char(header, '}');
        while (r == 0 && header->length % 8 != 0) /* the data begins at a multiple of 8 */
                r = qvf_text_append_char(header, ' ');
        return r;
}

static int write_all(int fd, const void *bytes, uint64_t length)
{
        const uint8_t *at = bytes;

        while (length > 0) {
                ssize_t n = write(fd, at, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                at += n;
                length -= (uint64_t)n;
        }
        return 0;
}

static int write_numbers(const struct qvf_adapter_numbers *numbers, const struct qvf_peft_base *base,
                enum qvf_module module, bool is_b, int fd)
{
        struct qvf_adapter_numbers turned = { 0 };
        int r;

        if (!base->permuted || !is_b || module > QVF_ATTN_K)
                return write_all(fd, numbers->data, qvf_adapter_numbers_bytes(numbers));
        r = qvf_adapter_numbers_copy(numbers, &turned);
        if (r == 0)
                r = qvf_peft_permute(
                                &turned, module == QVF_ATTN_Q ? base->n_heads : base->n_kv_heads, false);
        if (r == 0)
                r = write_all(fd, turned.data, qvf_adapter_numbers_bytes(&turned));
        free(turned.owned);
        return r;
}

int qvf_peft_write_weights(const struct qvf_adapter_file *file, const struct qvf_peft_base *base, int fd,
                struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text header = { 0 };
        struct walk walk = { .file = file };
        const struct qvf_adapter_numbers *numbers;
        uint64_t header_bytes;
        uint32_t index;
        bool is_b;
        int r = make_header(file, &header);

        if (strcmp(file->architecture, base->architecture) != 0)
                return qvf_error_set(error, -EINVAL,
                                "the adapter is for architecture \"%s\", the model is \"%s\"",
                                file->architecture, base->architecture);
        header_bytes = header.length;
        r = r < 0 ? r : write_all(fd, &header_bytes, sizeof(header_bytes));
        r = r < 0 ? r : write_all(fd, header.bytes, header.length);
        while (r == 0 && (numbers = walk_next(&walk, &index, &is_b)))
                r = write_numbers(numbers, base, index % QVF_MODULES, is_b, fd);
        if (r == -EINVAL)
                return qvf_error_set(error, r,
                                "the rows of q or k can't be put in order for %u and %u heads",
                                base->n_heads, base->n_kv_heads);
        return r < 0 ? qvf_error_set(error, r, "%s can't be written: %s", QVF_PEFT_WEIGHTS, strerror(-r))
                     : 0;
}

int qvf_peft_save(const struct qvf_adapter_file *file, const struct qvf_peft_base *base, const char *folder,
                struct qvf_error *error)
{
        _cleanup_atomic_file_ struct qvf_atomic_file weights = QVF_ATOMIC_FILE_INIT;
        _cleanup_text_ struct qvf_text config = { 0 };
        _cleanup_close_ int folder_fd = -1;
        int r = qvf_peft_config_write(file, base->n_layers, base->name, &config);

        if (r < 0)
                return qvf_error_set(error, r, "no memory for %s", QVF_PEFT_CONFIG);
        if (mkdir(folder, 0755) < 0 && errno != EEXIST)
                return qvf_error_set(error, -errno, "%s: %s", folder, strerror(errno));
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder_fd < 0)
                return qvf_error_set(error, -errno, "%s: %s", folder, strerror(errno));
        r = qvf_atomic_file_open(folder_fd, QVF_PEFT_WEIGHTS, 0644, &weights, error);
        r = r < 0 ? r : qvf_peft_write_weights(file, base, weights.fd, error);
        r = r < 0 ? r : qvf_atomic_file_commit(&weights);
        r = r < 0 ? r
                  : qvf_atomic_file_put(
                                    folder_fd, QVF_PEFT_CONFIG, 0644, config.bytes, config.length, error);
        if (r < 0)
                qvf_error_prefix(error, "%s", folder);
        return r;
}
