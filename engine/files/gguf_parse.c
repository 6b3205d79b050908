/* SPDX-License-Identifier: Apache-2.0 */
/* One file: header, keys, tensors' entries. Nothing is allocated by a count that the file's length cannot
 * bear. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/dtype.h"
#include "engine/files/gguf_read.h"

static int check_version(struct qvf_gguf_reader *reader, uint32_t version)
{
        if (version == 2 || version == 3)
                return 0;
        if (version == 1)
                return qvf_gguf_fail(reader, -EOPNOTSUPP,
                                "GGUF version 1, which is no longer written; expected 2 or 3: convert it "
                                "anew");
        if ((version & 0xffff) == 0 && version != 0)
                return qvf_gguf_fail(reader, -EOPNOTSUPP,
                                "a big-endian GGUF file (version bytes %08" PRIx32
                                "); expected little-endian",
                                version);
        return qvf_gguf_fail(reader, -EOPNOTSUPP, "GGUF version %" PRIu32 ", expected 2 or 3", version);
}

static int check_count(struct qvf_gguf_reader *reader, uint64_t count, uint64_t most, uint64_t least_bytes,
                const char *what)
{
        if (count > most)
                return qvf_gguf_fail(reader, -E2BIG, "%" PRIu64 " %s, expected at most %" PRIu64, count,
                                what, most);
        if (count > qvf_gguf_bytes_left(reader) / least_bytes)
                return qvf_gguf_fail(reader, -EINVAL,
                                "%" PRIu64 " %s cannot stand in the %" PRIu64 " bytes that are left", count,
                                what, qvf_gguf_bytes_left(reader));
        return 0;
}

int qvf_gguf_parse_header(struct qvf_gguf_part *part, struct qvf_error *error)
{
        struct qvf_gguf_reader reader = { .file = part->file, .error = error };
        uint32_t magic;
        int r;

        r = qvf_gguf_read_u32(&reader, &magic, "the magic bytes");
        if (r < 0)
                return r;
        if (memcmp(part->file->data, "GGUF", 4) != 0) {
                reader.offset = 0;
                return qvf_gguf_fail(&reader, -EINVAL,
                                "no GGUF file: it begins with %02x %02x %02x %02x, expected \"GGUF\"",
                                part->file->data[0], part->file->data[1], part->file->data[2],
                                part->file->data[3]);
        }
        r = qvf_gguf_read_u32(&reader, &part->version, "the version");
        if (r < 0)
                return r;
        r = check_version(&reader, part->version);
        if (r < 0)
                return r;
        r = qvf_gguf_read_u64(&reader, &part->n_tensors, "the number of tensors");
        if (r < 0)
                return r;
        r = qvf_gguf_read_u64(&reader, &part->n_keys, "the number of keys");
        if (r < 0)
                return r;
        r = check_count(&reader, part->n_tensors, QVF_GGUF_TENSORS_MOST, QVF_GGUF_TENSOR_LEAST_BYTES,
                        "tensors");
        if (r < 0)
                return r;
        return check_count(&reader, part->n_keys, QVF_GGUF_KEYS_MOST, QVF_GGUF_KEY_LEAST_BYTES, "keys");
}

static int check_bools(struct qvf_gguf_reader *reader, const uint8_t *bytes, uint64_t length)
{
        for (uint64_t i = 0; i < length; i++)
                if (bytes[i] > 1)
                        return qvf_gguf_fail(reader, -EINVAL, "a bool of %u, expected 0 or 1", bytes[i]);
        return 0;
}

static int parse_array(struct qvf_gguf_reader *reader, struct qvf_gguf_value *value)
{
        struct qvf_gguf_string string;
        uint32_t element_type;
        unsigned element_bytes;
        uint64_t start;
        int r;

        r = qvf_gguf_read_u32(reader, &element_type, "the type of an array");
        if (r < 0)
                return r;
        if (element_type == QVF_GGUF_ARRAY)
                return qvf_gguf_fail(reader, -EOPNOTSUPP, "an array of arrays; expected numbers or strings");
        element_bytes = qvf_gguf_type_bytes(element_type);
        if (element_bytes == 0 && element_type != QVF_GGUF_STRING)
                return qvf_gguf_fail(reader, -EINVAL, "an array of type %" PRIu32 ", expected 0 to 12",
                                element_type);
        r = qvf_gguf_read_u64(reader, &value->length, "the length of an array");
        if (r < 0)
                return r;
        /* A string takes at least the 8 bytes of its length. */
        if (value->length > qvf_gguf_bytes_left(reader) / (element_bytes ? element_bytes : 8))
                return qvf_gguf_fail(reader, -EINVAL,
                                "an array of %" PRIu64 " elements (%s) cannot stand in the %" PRIu64
                                " bytes that are left",
                                value->length, qvf_gguf_type_name(element_type),
                                qvf_gguf_bytes_left(reader));
        value->element_type = (uint8_t)element_type;
        start = reader->offset;
        value->data = reader->file->data + start;
        if (element_bytes)
                reader->offset += value->length * element_bytes;
        else
                for (uint64_t i = 0; i < value->length; i++) {
                        r = qvf_gguf_read_string(
                                        reader, QVF_GGUF_STRING_BYTES_MOST, &string, "a string of an array");
                        if (r < 0)
                                return r;
                }
        value->size_bytes = reader->offset - start;
        return element_type == QVF_GGUF_BOOL ? check_bools(reader, value->data, value->length) : 0;
}

static int parse_value(struct qvf_gguf_reader *reader, struct qvf_gguf_value *value)
{
        struct qvf_gguf_string string;
        uint32_t type;
        int r;

        r = qvf_gguf_read_u32(reader, &type, "the type of a value");
        if (r < 0)
                return r;
        if (type > QVF_GGUF_F64)
                return qvf_gguf_fail(reader, -EINVAL, "value of type %" PRIu32 ", expected 0 to 12", type);
        value->type = value->element_type = (uint8_t)type;
        if (type == QVF_GGUF_ARRAY)
                return parse_array(reader, value);
        value->length = 1;
        if (type == QVF_GGUF_STRING) {
                r = qvf_gguf_read_string(reader, QVF_GGUF_STRING_BYTES_MOST, &string, "a string");
                if (r < 0)
                        return r;
                value->data = (const uint8_t *)string.bytes;
                value->size_bytes = string.length;
                return 0;
        }
        value->data = reader->file->data + reader->offset;
        value->size_bytes = qvf_gguf_type_bytes(type);
        r = qvf_gguf_skip(reader, value->size_bytes, "a value");
        if (r < 0)
                return r;
        return type == QVF_GGUF_BOOL ? check_bools(reader, value->data, 1) : 0;
}

static int parse_key(struct qvf_gguf_reader *reader, struct qvf_gguf_value *value)
{
        struct qvf_gguf_string key;
        int r;

        reader->subject = NULL;
        r = qvf_gguf_read_string(reader, QVF_GGUF_KEY_BYTES_MOST, &key, "a key's name");
        if (r < 0)
                return r;
        reader->subject = "key";
        reader->name = key;
        if (key.length == 0)
                return qvf_gguf_fail(reader, -EINVAL, "empty name");
        if (memchr(key.bytes, 0, key.length))
                return qvf_gguf_fail(reader, -EINVAL, "a NUL byte in the name");
        value->key = key.bytes;
        value->key_length = (uint32_t)key.length;
        return parse_value(reader, value);
}

static struct qvf_gguf_string key_of(const struct qvf_gguf_value *value)
{
        return (struct qvf_gguf_string){ value->key, value->key_length };
}

static int order_keys(const void *a, const void *b, void *context)
{
        const struct qvf_gguf_value *values = context;

        return qvf_gguf_compare(
                        key_of(&values[*(const uint32_t *)a]), key_of(&values[*(const uint32_t *)b]));
}

/* Sorted, not hashed: no choice of names makes it slow. */
static int index_keys(struct qvf_gguf_part *part, struct qvf_error *error)
{
        struct qvf_gguf_reader reader = { .file = part->file, .error = error, .subject = "key" };
        uint32_t *order;

        order = calloc(part->n_keys ? (size_t)part->n_keys : 1, sizeof(*order));
        if (!order)
                return -ENOMEM;
        part->values_by_key = order;
        for (uint32_t i = 0; i < part->n_keys; i++)
                order[i] = i;
        qsort_r(order, (size_t)part->n_keys, sizeof(*order), order_keys, part->values);
        for (uint32_t i = 1; i < part->n_keys; i++) {
                const struct qvf_gguf_value *one = &part->values[order[i - 1]],
                                            *other = &part->values[order[i]];

                if (qvf_gguf_compare(key_of(one), key_of(other)) != 0)
                        continue;
                reader.name = key_of(other);
                reader.offset = (uint64_t)((const uint8_t *)(one > other ? one : other)->key -
                                           part->file->data);
                return qvf_gguf_fail(&reader, -EINVAL, "stands twice, expected once");
        }
        return 0;
}

const struct qvf_gguf_value *qvf_gguf_part_find_key(
                const struct qvf_gguf_part *part, struct qvf_gguf_string key)
{
        uint64_t low = 0, high = part->n_keys;

        while (low < high) {
                uint64_t middle = low + (high - low) / 2;
                const struct qvf_gguf_value *value = &part->values[part->values_by_key[middle]];
                int order = qvf_gguf_compare(key, key_of(value));

                if (order == 0)
                        return value;
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

static int find_number(const struct qvf_gguf_part *part, const char *key, uint64_t *ret_number,
                struct qvf_error *error)
{
        struct qvf_gguf_reader reader = { .file = part->file, .error = error, .subject = "key" };
        const struct qvf_gguf_value *value;
        struct qvf_gguf_array array;
        int64_t number;

        reader.name = (struct qvf_gguf_string){ key, strlen(key) };
        value = qvf_gguf_part_find_key(part, reader.name);
        if (!value)
                return -ENOENT;
        reader.offset = (uint64_t)(value->data - part->file->data);
        array = (struct qvf_gguf_array){ value->type, 1, value->data, value->size_bytes };
        switch (value->type) {
        case QVF_GGUF_U8:
        case QVF_GGUF_I8:
        case QVF_GGUF_U16:
        case QVF_GGUF_I16:
        case QVF_GGUF_U32:
        case QVF_GGUF_I32:
        case QVF_GGUF_U64:
        case QVF_GGUF_I64:
                number = qvf_gguf_array_i64(&array, 0);
                if (number >= 0) {
                        *ret_number = (uint64_t)number;
                        return 0;
                }
                return qvf_gguf_fail(&reader, -EINVAL, "out of range");
        default:
                return qvf_gguf_fail(&reader, -EINVAL, "is of type %s, expected an integer",
                                qvf_gguf_type_name(value->type));
        }
}

/* The keys that this layer itself needs: alignment, and the place in a split file. */
static int read_layout_keys(struct qvf_gguf_part *part, struct qvf_error *error)
{
        uint64_t alignment = 32, count = 1, no = 0, total = 0;
        int r;

        r = find_number(part, "general.alignment", &alignment, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (alignment < QVF_GGUF_ALIGNMENT_LEAST || alignment > QVF_GGUF_ALIGNMENT_MOST ||
                        (alignment & (alignment - 1)) != 0)
                return qvf_error_set(error, -EINVAL,
                                "%s: key 'general.alignment' is %" PRIu64
                                ", expected a power of two from %d to %d",
                                part->file->name, alignment, QVF_GGUF_ALIGNMENT_LEAST,
                                QVF_GGUF_ALIGNMENT_MOST);
        part->alignment = (uint32_t)alignment;

        r = find_number(part, "split.count", &count, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (count == 0) /* some writers put it so in whole files */
                count = 1;
        r = find_number(part, "split.no", &no, error);
        if (r < 0 && r != -ENOENT)
                return r;
        r = find_number(part, "split.tensors.count", &total, error);
        if (r < 0 && r != -ENOENT)
                return r;
        if (count > QVF_GGUF_PARTS_MOST)
                return qvf_error_set(error, -E2BIG,
                                "%s: key 'split.count' is %" PRIu64 ", expected at most %d",
                                part->file->name, count, QVF_GGUF_PARTS_MOST);
        if (no >= count)
                return qvf_error_set(error, -EINVAL,
                                "%s: key 'split.no' is %" PRIu64
                                ", expected less than 'split.count', %" PRIu64,
                                part->file->name, no, count);
        part->split_count = (uint32_t)count;
        part->split_no = (uint32_t)no;
        part->split_n_tensors = total;
        return 0;
}

int qvf_gguf_parse_keys(struct qvf_gguf_part *part, struct qvf_error *error)
{
        struct qvf_gguf_reader reader = { .file = part->file, .error = error, .offset = 24 };
        int r;

        part->values = calloc(part->n_keys ? (size_t)part->n_keys : 1, sizeof(*part->values));
        if (!part->values)
                return -ENOMEM;
        for (uint64_t i = 0; i < part->n_keys; i++) {
                r = parse_key(&reader, &part->values[i]);
                if (r < 0)
                        return r;
        }
        part->tensors_offset = reader.offset;
        r = index_keys(part, error);
        if (r < 0)
                return r;
        return read_layout_keys(part, error);
}

/* Walks over the tensors' entries: how many bytes their names take, each with a NUL. */
static int measure_names(struct qvf_gguf_part *part, struct qvf_error *error, uint64_t *ret_names_bytes)
{
        struct qvf_gguf_reader reader = {
                .file = part->file, .error = error, .offset = part->tensors_offset
        };
        struct qvf_gguf_string name;
        uint64_t bytes = 0;
        uint32_t n_dims;
        int r;

        for (uint64_t i = 0; i < part->n_tensors; i++) {
                reader.subject = NULL;
                r = qvf_gguf_read_string(&reader, QVF_GGUF_NAME_BYTES_MOST, &name, "a tensor's name");
                if (r < 0)
                        return r;
                reader.subject = "tensor";
                reader.name = name;
                if (name.length == 0 || memchr(name.bytes, 0, name.length))
                        return qvf_gguf_fail(&reader, -EINVAL, "an empty name, or one with a NUL byte");
                r = qvf_gguf_read_u32(&reader, &n_dims, "the number of dimensions");
                if (r < 0)
                        return r;
                if (n_dims < 1 || n_dims > QVF_GGUF_DIMS_MOST)
                        return qvf_gguf_fail(&reader, -EINVAL, "%" PRIu32 " dimensions, expected 1 to %d",
                                        n_dims, QVF_GGUF_DIMS_MOST);
                r = qvf_gguf_skip(&reader, n_dims * 8 + 4 + 8, "a tensor's dimensions, type and offset");
                if (r < 0)
                        return r;
                bytes += name.length + 1; /* at most the file's size */
        }
        if (!qvf_align_u64(reader.offset, part->alignment, &part->data_offset))
                return qvf_gguf_fail(&reader, -EINVAL, "no room for the tensors' data");
        *ret_names_bytes = bytes;
        return 0;
}

static int read_dims(struct qvf_gguf_reader *reader, struct qvf_gguf_tensor *tensor)
{
        uint64_t elements = 1;
        int r;

        for (uint32_t i = 0; i < QVF_GGUF_DIMS_MOST; i++) {
                tensor->ne[i] = 1;
                if (i >= tensor->n_dims)
                        continue;
                r = qvf_gguf_read_u64(reader, &tensor->ne[i], "a dimension");
                if (r < 0)
                        return r;
                if (tensor->ne[i] == 0)
                        return qvf_gguf_fail(reader, -EINVAL, "dimension %" PRIu32 " is 0", i);
                if (!qvf_mul_u64(elements, tensor->ne[i], &elements) || elements > INT64_MAX)
                        return qvf_gguf_fail(reader, -EOVERFLOW,
                                        "too large: dimension %" PRIu32 " is %" PRIu64, i, tensor->ne[i]);
        }
        return 0;
}

static int read_type(struct qvf_gguf_reader *reader, struct qvf_gguf_tensor *tensor)
{
        const char *name;
        int r;

        r = qvf_gguf_read_u32(reader, &tensor->file_type_id, "the type of a tensor");
        if (r < 0)
                return r;
        r = qvf_dtype_from_file(tensor->file_type_id, &tensor->dtype, &name);
        if (r < 0 && name)
                return qvf_gguf_fail(reader, r,
                                "of type %s (%" PRIu32
                                "), which is not read; expected F32, F16, BF16, Q8_0, Q6_K, "
                                "Q4_0, Q4_K, TQ1_0, TQ2_0 or I2_S",
                                name, tensor->file_type_id);
        if (r < 0)
                return qvf_gguf_fail(reader, r, "of unknown type %" PRIu32, tensor->file_type_id);
        r = qvf_dtype_tensor_bytes(tensor->dtype, tensor->ne[1] * tensor->ne[2] * tensor->ne[3],
                        tensor->ne[0], &tensor->size_bytes);
        if (r == -EINVAL)
                return qvf_gguf_fail(reader, r,
                                "%" PRIu64 " columns, expected a multiple of %" PRIu32 " for type %s",
                                tensor->ne[0], qvf_dtype_info(tensor->dtype)->block_length,
                                qvf_dtype_name(tensor->dtype));
        if (r < 0)
                return qvf_gguf_fail(reader, r, "too large: its size in bytes overflows");
        return 0;
}

/* Where the data lies: aligned, and wholly inside the file; the padding after it may be missing. */
static int read_place(struct qvf_gguf_reader *reader, const struct qvf_gguf_part *part,
                struct qvf_gguf_tensor *tensor)
{
        uint64_t offset, end;
        int r;

        r = qvf_gguf_read_u64(reader, &offset, "the offset of a tensor");
        if (r < 0)
                return r;
        if (offset % part->alignment != 0)
                return qvf_gguf_fail(reader, -EINVAL,
                                "offset %" PRIu64 ", expected a multiple of the alignment, %" PRIu32, offset,
                                part->alignment);
        if (!qvf_add_u64(part->data_offset, offset, &tensor->file_offset) ||
                        !qvf_add_u64(tensor->file_offset, tensor->size_bytes, &end))
                return qvf_gguf_fail(reader, -EOVERFLOW, "offset %" PRIu64 " and size %" PRIu64 " overflow",
                                offset, tensor->size_bytes);
        if (end > part->file->size)
                return qvf_gguf_fail(reader, -EINVAL,
                                "its data, bytes %" PRIu64 " to %" PRIu64
                                ", goes past the end of the file at %" PRIu64
                                ": the file was cut short, or its header is wrong",
                                tensor->file_offset, end, part->file->size);
        tensor->data = part->file->data + tensor->file_offset;
        return 0;
}

static int order_by_offset(const void *a, const void *b, void *context)
{
        const struct qvf_gguf_tensor *tensors = context;
        uint64_t one = tensors[*(const uint32_t *)a].file_offset,
                 other = tensors[*(const uint32_t *)b].file_offset;

        return (one > other) - (one < other);
}

static int check_overlap(
                const struct qvf_gguf_part *part, struct qvf_gguf_tensor *tensors, struct qvf_error *error)
{
        _cleanup_free_ uint32_t *order = NULL;

        order = calloc(part->n_tensors ? (size_t)part->n_tensors : 1, sizeof(*order));
        if (!order)
                return -ENOMEM;
        for (uint32_t i = 0; i < part->n_tensors; i++)
                order[i] = i;
        qsort_r(order, (size_t)part->n_tensors, sizeof(*order), order_by_offset, tensors);
        for (uint32_t i = 1; i < part->n_tensors; i++) {
                const struct qvf_gguf_tensor *before = &tensors[order[i - 1]], *after = &tensors[order[i]];

                if (before->file_offset + before->size_bytes > after->file_offset)
                        return qvf_error_set(error, -EINVAL,
                                        "%s: tensors '%s' (%" PRIu64 " bytes at byte %" PRIu64
                                        ") and '%s' (at byte %" PRIu64 ") overlap",
                                        part->file->name, before->name, before->size_bytes,
                                        before->file_offset, after->name, after->file_offset);
        }
        return 0;
}

int qvf_gguf_parse_tensors(struct qvf_gguf_part *part, uint32_t file_index, struct qvf_gguf_tensor *tensors,
                struct qvf_error *error)
{
        struct qvf_gguf_reader reader = {
                .file = part->file, .error = error, .offset = part->tensors_offset
        };
        uint64_t names_bytes = 0, used = 0;
        int r;

        r = measure_names(part, error, &names_bytes);
        if (r < 0)
                return r;
        part->names = qvf_malloc(names_bytes ? names_bytes : 1);
        if (!part->names)
                return -ENOMEM;
        for (uint64_t i = 0; i < part->n_tensors; i++) {
                struct qvf_gguf_tensor *tensor = &tensors[i];

                reader.subject = NULL;
                r = qvf_gguf_read_string(&reader, QVF_GGUF_NAME_BYTES_MOST, &reader.name, "a tensor's name");
                if (r < 0)
                        return r;
                reader.subject = "tensor";
                /* Somebody may write to the file between the two walks: nothing of the first is trusted
                 * here. */
                if (reader.name.length >= names_bytes - used)
                        return qvf_gguf_fail(&reader, -ESTALE, "the file changes while it is read");
                memcpy(part->names + used, reader.name.bytes, reader.name.length);
                part->names[used + reader.name.length] = 0;
                tensor->name = part->names + used;
                used += reader.name.length + 1;
                tensor->file_index = file_index;
                r = qvf_gguf_read_u32(&reader, &tensor->n_dims, "the number of dimensions");
                if (r < 0)
                        return r;
                if (tensor->n_dims > QVF_GGUF_DIMS_MOST)
                        return qvf_gguf_fail(&reader, -ESTALE, "the file changes while it is read");
                r = read_dims(&reader, tensor);
                if (r < 0)
                        return r;
                r = read_type(&reader, tensor);
                if (r < 0)
                        return r;
                r = read_place(&reader, part, tensor);
                if (r < 0)
                        return r;
        }
        return check_overlap(part, tensors, error);
}
