/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adapters/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "common/checked.h"
#include "engine/adapters/adapter_file.h"
#include "engine/adapters/json.h"

#define LENGTH_BYTES 8
#define DEPTH_MOST 4 /* header, tensor, shape; one to spare */

static const struct {
        const char *name;
        enum qvf_dtype dtype;
        unsigned bytes;
} dtypes[] = {
        { "F32", QVF_F32, 4 },
        { "F16", QVF_F16, 2 },
        { "BF16", QVF_BF16, 2 },
};

const char *qvf_safetensors_dtype_name(enum qvf_dtype dtype)
{
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(dtypes); i++)
                if (dtypes[i].dtype == dtype)
                        return dtypes[i].name;
        return NULL;
}

struct qvf_safetensors *qvf_safetensors_free(struct qvf_safetensors *tensors)
{
        if (!tensors)
                return NULL;
        for (uint32_t i = 0; i < tensors->n_tensors; i++)
                free(tensors->tensors[i].name);
        free(tensors->tensors);
        free(tensors->name);
        qvf_mapped_file_free(tensors->file);
        free(tensors);
        return NULL;
}

/* A whole number of 0 or more; numbers past 2^63 come back as the largest, which no file has. */
static bool whole(struct json_object *number, uint64_t *ret_value)
{
        int64_t value;

        if (!json_object_is_type(number, json_type_int))
                return false;
        value = json_object_get_int64(number);
        if (value < 0)
                return false;
        *ret_value = (uint64_t)value;
        return true;
}

static int read_dtype(const char *name, struct json_object *entry, struct qvf_safetensor *tensor,
                unsigned *ret_bytes, struct qvf_error *error)
{
        struct json_object *dtype = NULL;
        const char *text;

        json_object_object_get_ex(entry, "dtype", &dtype);
        if (!json_object_is_type(dtype, json_type_string))
                return qvf_error_set(error, -EINVAL, "tensor %.100s: no dtype", name);
        text = json_object_get_string(dtype);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(dtypes); i++)
                if (strcmp(text, dtypes[i].name) == 0) {
                        tensor->dtype = dtypes[i].dtype;
                        *ret_bytes = dtypes[i].bytes;
                        return 0;
                }
        return qvf_error_set(error, -EOPNOTSUPP, "tensor %.100s: dtype %.20s, expected F32, F16 or BF16",
                        name, text);
}

static int read_shape(const char *name, struct json_object *entry, struct qvf_safetensor *tensor,
                uint64_t *ret_elements, struct qvf_error *error)
{
        struct json_object *shape = NULL;
        uint64_t elements = 1;

        json_object_object_get_ex(entry, "shape", &shape);
        if (!json_object_is_type(shape, json_type_array) ||
                        json_object_array_length(shape) > QVF_SAFETENSORS_DIMS_MOST)
                return qvf_error_set(error, -EINVAL, "tensor %.100s: expected a shape of at most %u numbers",
                                name, QVF_SAFETENSORS_DIMS_MOST);
        tensor->n_dims = (uint32_t)json_object_array_length(shape);
        for (uint32_t i = 0; i < tensor->n_dims; i++)
                if (!whole(json_object_array_get_idx(shape, i), &tensor->shape[i]) ||
                                tensor->shape[i] == 0 || !qvf_mul_u64(elements, tensor->shape[i], &elements))
                        return qvf_error_set(error, -EINVAL,
                                        "tensor %.100s: dimension %u of its shape is no whole number of 1 "
                                        "or "
                                        "more, or the shape is too large",
                                        name, i);
        *ret_elements = elements;
        return 0;
}

static int read_offsets(const char *name, struct json_object *entry, uint64_t data_bytes,
                uint64_t *ret_begin, uint64_t *ret_end, struct qvf_error *error)
{
        struct json_object *offsets = NULL;

        json_object_object_get_ex(entry, "data_offsets", &offsets);
        if (!json_object_is_type(offsets, json_type_array) || json_object_array_length(offsets) != 2 ||
                        !whole(json_object_array_get_idx(offsets, 0), ret_begin) ||
                        !whole(json_object_array_get_idx(offsets, 1), ret_end))
                return qvf_error_set(error, -EINVAL,
                                "tensor %.100s: expected data_offsets of two whole numbers of 0 or more",
                                name);
        if (*ret_begin > *ret_end || *ret_end > data_bytes)
                return qvf_error_set(error, -EINVAL,
                                "tensor %.100s: data_offsets %" PRIu64 " to %" PRIu64
                                ", and the file has %" PRIu64 " bytes of data",
                                name, *ret_begin, *ret_end, data_bytes);
        return 0;
}

static int read_tensor(const char *name, struct json_object *entry, const uint8_t *data, uint64_t data_bytes,
                struct qvf_safetensors *tensors, struct qvf_error *error)
{
        struct qvf_safetensor tensor = { 0 };
        uint64_t elements, begin, end, wanted;
        unsigned element_bytes;
        int r;

        if (name[0] == 0 || strlen(name) > QVF_SAFETENSORS_NAME_BYTES_MOST)
                return qvf_error_set(error, -EINVAL, "a tensor's name of %zu bytes, expected 1 to %u",
                                strlen(name), QVF_SAFETENSORS_NAME_BYTES_MOST);
        if (!json_object_is_type(entry, json_type_object))
                return qvf_error_set(error, -EINVAL, "tensor %.100s: expected an object", name);
        r = read_dtype(name, entry, &tensor, &element_bytes, error);
        r = r < 0 ? r : read_shape(name, entry, &tensor, &elements, error);
        r = r < 0 ? r : read_offsets(name, entry, data_bytes, &begin, &end, error);
        if (r < 0)
                return r;
        if (!qvf_mul_u64(elements, element_bytes, &wanted) || wanted != end - begin)
                return qvf_error_set(error, -EINVAL,
                                "tensor %.100s: data_offsets of %" PRIu64 " bytes for %" PRIu64
                                " elements of %u bytes",
                                name, end - begin, elements, element_bytes);
        tensor.name = strdup(name);
        if (!tensor.name)
                return -ENOMEM;
        tensor.data = data + begin;
        tensor.bytes = wanted;
        tensors->tensors[tensors->n_tensors++] = tensor;
        return 0;
}

static int read_metadata(
                struct json_object *metadata, struct qvf_safetensors *tensors, struct qvf_error *error)
{
        struct json_object *name = NULL;

        if (!json_object_is_type(metadata, json_type_object))
                return qvf_error_set(error, -EINVAL, "__metadata__: expected an object");
        if (!json_object_object_get_ex(metadata, "name", &name) ||
                        !json_object_is_type(name, json_type_string) ||
                        json_object_get_string_len(name) > 1024)
                return 0;
        free(tensors->name);
        tensors->name = strdup(json_object_get_string(name));
        return tensors->name ? 0 : -ENOMEM;
}

static int order_data(const void *a, const void *b)
{
        const struct qvf_safetensor *one = a, *other = b;

        return one->data < other->data ? -1 : one->data > other->data;
}

/* From end to end and without overlaps, as the format demands: what no tensor covers could hide anything. */
static int check_cover(struct qvf_safetensors *tensors, const uint8_t *data, uint64_t data_bytes,
                struct qvf_error *error)
{
        uint64_t covered = 0;

        qsort(tensors->tensors, tensors->n_tensors, sizeof(*tensors->tensors), order_data);
        for (uint32_t i = 0; i < tensors->n_tensors; i++) {
                const struct qvf_safetensor *tensor = &tensors->tensors[i];
                uint64_t begin = (uint64_t)((const uint8_t *)tensor->data - data);

                if (begin != covered)
                        return qvf_error_set(error, -EINVAL,
                                        "tensor %.100s begins at byte %" PRIu64
                                        " of the data, expected %" PRIu64 ", where the one before it ends%s",
                                        tensor->name, begin, covered,
                                        begin < covered ? " (they overlap)" : "");
                covered += tensor->bytes;
        }
        if (covered != data_bytes)
                return qvf_error_set(error, -EINVAL,
                                "the tensors end at byte %" PRIu64 " of the data, expected %" PRIu64,
                                covered, data_bytes);
        return 0;
}

int qvf_safetensors_parse(const char *header, uint64_t header_bytes, const uint8_t *data,
                uint64_t data_bytes, struct qvf_safetensors *tensors, struct qvf_error *error)
{
        _cleanup_json_ struct json_object *root = NULL;
        struct json_object_iterator at, end;
        int r;

        if (header_bytes == 0 || header[0] != '{')
                return qvf_error_set(error, -EINVAL, "the header is no JSON object");
        r = qvf_json_parse(header, header_bytes, DEPTH_MOST, "the header", &root, error);
        if (r < 0)
                return r;
        if (json_object_object_length(root) > (int)QVF_SAFETENSORS_TENSORS_MOST)
                return qvf_error_set(error, -E2BIG, "%d tensors, expected at most %u",
                                json_object_object_length(root), QVF_SAFETENSORS_TENSORS_MOST);
        tensors->tensors = calloc((size_t)json_object_object_length(root) + 1, sizeof(*tensors->tensors));
        if (!tensors->tensors)
                return -ENOMEM;
        at = json_object_iter_begin(root);
        end = json_object_iter_end(root);
        for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
                const char *name = json_object_iter_peek_name(&at);
                struct json_object *value = json_object_iter_peek_value(&at);

                r = strcmp(name, "__metadata__") == 0
                                    ? read_metadata(value, tensors, error)
                                    : read_tensor(name, value, data, data_bytes, tensors, error);
                if (r < 0)
                        return r;
        }
        return check_cover(tensors, data, data_bytes, error);
}

static int parse_file(struct qvf_safetensors *tensors, struct qvf_error *error)
{
        const struct qvf_mapped_file *file = tensors->file;
        uint64_t header_bytes;

        if (file->size < LENGTH_BYTES)
                return qvf_error_set(
                                error, -EINVAL, "%" PRIu64 " bytes are no safetensors file", file->size);
        memcpy(&header_bytes, file->data, sizeof(header_bytes));
        if (header_bytes > QVF_SAFETENSORS_HEADER_BYTES_MOST)
                return qvf_error_set(error, -E2BIG,
                                "a header of %" PRIu64 " bytes, expected at most %" PRIu64, header_bytes,
                                QVF_SAFETENSORS_HEADER_BYTES_MOST);
        if (header_bytes > file->size - LENGTH_BYTES)
                return qvf_error_set(error, -EINVAL,
                                "a header of %" PRIu64 " bytes cannot stand in the %" PRIu64
                                " bytes that are left",
                                header_bytes, file->size - LENGTH_BYTES);
        return qvf_safetensors_parse((const char *)file->data + LENGTH_BYTES, header_bytes,
                        file->data + LENGTH_BYTES + header_bytes, file->size - LENGTH_BYTES - header_bytes,
                        tensors, error);
}

int qvf_safetensors_open_fd(
                int fd, const char *name, struct qvf_safetensors **ret_tensors, struct qvf_error *error)
{
        _cleanup_(qvf_safetensors_freep) struct qvf_safetensors *tensors = calloc(1, sizeof(*tensors));
        int r;

        if (!tensors)
                return -ENOMEM;
        r = qvf_mapped_file_open_fd(fd, name, QVF_ADAPTER_FILE_BYTES_MOST, &tensors->file, error);
        if (r < 0)
                return r;
        r = parse_file(tensors, error);
        if (r == -ENOMEM)
                qvf_error_set(error, r, "no memory to read it");
        if (r < 0) {
                qvf_error_prefix(error, "%s", name);
                return r;
        }
        *ret_tensors = QVF_TAKE(tensors);
        return 0;
}
