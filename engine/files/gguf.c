/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: one file or all its parts, put in order, and one list of tensors. The getters are in gguf_get.c.
 */
#include "engine/files/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "engine/files/gguf_read.h"

static void part_exit(struct qvf_gguf_part *part)
{
        qvf_mapped_file_free(part->file);
        free(part->values);
        free(part->values_by_key);
        free(part->names);
}

struct qvf_gguf *qvf_gguf_free(struct qvf_gguf *gguf)
{
        if (!gguf)
                return NULL;
        for (unsigned i = 0; i < gguf->n_parts; i++)
                part_exit(&gguf->parts[i]);
        free(gguf->parts);
        free(gguf->tensors);
        free(gguf->tensors_by_name);
        free(gguf);
        return NULL;
}

static int order_parts(const void *a, const void *b)
{
        const struct qvf_gguf_part *one = a, *other = b;

        return (one->split_no > other->split_no) - (one->split_no < other->split_no);
}

/* Each part once, and all of them. */
static int arrange_parts(struct qvf_gguf *gguf, struct qvf_error *error)
{
        qsort(gguf->parts, gguf->n_parts, sizeof(*gguf->parts), order_parts);
        for (unsigned i = 0; i < gguf->n_parts; i++) {
                const struct qvf_gguf_part *part = &gguf->parts[i];

                if (part->split_count != gguf->parts[0].split_count)
                        return qvf_error_set(error, -EINVAL,
                                        "%s is of %u parts and %s of %u: not of one model",
                                        gguf->parts[0].file->name, gguf->parts[0].split_count,
                                        part->file->name, part->split_count);
                if (i > 0 && part->split_no == part[-1].split_no)
                        return qvf_error_set(error, -EINVAL, "%s and %s are both part %u of %u",
                                        part[-1].file->name, part->file->name, part->split_no + 1,
                                        part->split_count);
        }
        for (unsigned i = 0; i < gguf->parts[0].split_count; i++)
                if (i >= gguf->n_parts || gguf->parts[i].split_no != i)
                        return qvf_error_set(error, -ENOENT, "%s: part %u of %u is missing",
                                        gguf->parts[0].file->name, i + 1, gguf->parts[0].split_count);
        return 0;
}

static int order_tensors(const void *a, const void *b, void *context)
{
        const struct qvf_gguf_tensor *tensors = context;

        return strcmp(tensors[*(const uint32_t *)a].name, tensors[*(const uint32_t *)b].name);
}

static int index_tensors(struct qvf_gguf *gguf, struct qvf_error *error)
{
        uint32_t *order;

        order = calloc(gguf->n_tensors ? gguf->n_tensors : 1, sizeof(*order));
        if (!order)
                return -ENOMEM;
        gguf->tensors_by_name = order;
        for (uint32_t i = 0; i < gguf->n_tensors; i++)
                order[i] = i;
        qsort_r(order, gguf->n_tensors, sizeof(*order), order_tensors, gguf->tensors);
        for (uint32_t i = 1; i < gguf->n_tensors; i++) {
                const struct qvf_gguf_tensor *tensor = &gguf->tensors[order[i]];

                if (strcmp(gguf->tensors[order[i - 1]].name, tensor->name) == 0)
                        return qvf_error_set(error, -EINVAL, "%s: tensor '%s' stands twice, expected once",
                                        qvf_gguf_part_name(gguf, tensor->file_index), tensor->name);
        }
        return 0;
}

static int read_tensors(struct qvf_gguf *gguf, struct qvf_error *error)
{
        uint64_t total = 0, promised = gguf->parts[0].split_n_tensors;
        int r;

        for (unsigned i = 0; i < gguf->n_parts; i++)
                total += gguf->parts[i].n_tensors;
        if (total > QVF_GGUF_TENSORS_MOST)
                return qvf_error_set(error, -E2BIG,
                                "%s: %" PRIu64 " tensors in all parts, expected at most %d",
                                qvf_gguf_name(gguf), total, QVF_GGUF_TENSORS_MOST);
        if (promised && promised != total)
                return qvf_error_set(error, -EINVAL,
                                "%s: key 'split.tensors.count' is %" PRIu64 " and the parts hold %" PRIu64
                                " tensors",
                                qvf_gguf_name(gguf), promised, total);
        gguf->tensors = calloc(total ? (size_t)total : 1, sizeof(*gguf->tensors));
        if (!gguf->tensors)
                return -ENOMEM;
        for (unsigned i = 0; i < gguf->n_parts; i++) {
                r = qvf_gguf_parse_tensors(&gguf->parts[i], i, gguf->tensors + gguf->n_tensors, error);
                if (r < 0)
                        return r;
                gguf->n_tensors += (uint32_t)gguf->parts[i].n_tensors;
        }
        return index_tensors(gguf, error);
}

int qvf_gguf_open_fds(const int *fds, const char *const *names, unsigned n_fds, struct qvf_gguf **ret_gguf,
                struct qvf_error *error)
{
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        int r;

        if (n_fds < 1 || n_fds > QVF_GGUF_PARTS_MOST)
                return qvf_error_set(error, -EINVAL, "a model of %u files, expected 1 to %d", n_fds,
                                QVF_GGUF_PARTS_MOST);
        gguf = calloc(1, sizeof(*gguf));
        if (!gguf)
                return -ENOMEM;
        gguf->parts = calloc(n_fds, sizeof(*gguf->parts));
        if (!gguf->parts)
                return -ENOMEM;
        for (unsigned i = 0; i < n_fds; i++) {
                struct qvf_gguf_part *part = &gguf->parts[i];

                r = qvf_mapped_file_open_fd(fds[i], names ? names[i] : "model file", 0, &part->file, error);
                if (r < 0)
                        return r;
                gguf->n_parts++;
                r = qvf_gguf_parse_header(part, error);
                if (r < 0)
                        return r;
                r = qvf_gguf_parse_keys(part, error);
                if (r < 0)
                        return r;
        }
        r = arrange_parts(gguf, error);
        if (r < 0)
                return r;
        r = read_tensors(gguf, error);
        if (r < 0)
                return r;
        r = qvf_gguf_get_string(gguf, "general.architecture", &gguf->architecture, error);
        if (r < 0 && r != -ENOENT)
                return r;
        *ret_gguf = QVF_TAKE(gguf);
        return 0;
}

/* NAME-00002-of-00003.gguf: where its numbers begin, and how many parts there are; false for other names. */
static bool is_split_name(const char *path, size_t *ret_prefix, unsigned *ret_count)
{
        static const char pattern[] = "-00000-of-00000.gguf";
        size_t length = strlen(path), pattern_length = sizeof(pattern) - 1;
        const char *end;
        unsigned count;

        if (length < pattern_length)
                return false;
        end = path + length - pattern_length;
        for (size_t i = 0; i < pattern_length; i++)
                if (pattern[i] == '0' ? end[i] < '0' || end[i] > '9' : end[i] != pattern[i])
                        return false;
        count = (unsigned)strtoul(end + 10, NULL, 10);
        if (count < 1 || count > QVF_GGUF_PARTS_MOST)
                return false;
        *ret_prefix = length - pattern_length;
        *ret_count = count;
        return true;
}

struct opened_parts {
        int fds[QVF_GGUF_PARTS_MOST];
        char *names[QVF_GGUF_PARTS_MOST];
        unsigned n;
};

static void opened_parts_exit(struct opened_parts *parts)
{
        for (unsigned i = 0; i < parts->n; i++) {
                if (parts->fds[i] >= 0)
                        close(parts->fds[i]);
                free(parts->names[i]);
        }
}

int qvf_gguf_open(const char *path, struct qvf_gguf **ret_gguf, struct qvf_error *error)
{
        _cleanup_(opened_parts_exit) struct opened_parts parts = { .n = 0 };
        size_t prefix = strlen(path);
        unsigned count = 1;
        bool split = is_split_name(path, &prefix, &count);

        for (unsigned i = 0; i < count; i++) {
                int r = split ? asprintf(&parts.names[i], "%.*s-%05u-of-%05u.gguf", (int)prefix, path, i + 1,
                                                count)
                              : asprintf(&parts.names[i], "%s", path);

                if (r < 0)
                        return -ENOMEM;
                /* O_NONBLOCK: opening a pipe that nobody writes would wait for ever. */
                parts.fds[i] = open(parts.names[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
                parts.n++;
                if (parts.fds[i] < 0)
                        return qvf_error_set(error, -errno, "%s: %s", parts.names[i], strerror(errno));
        }
        return qvf_gguf_open_fds(parts.fds, (const char *const *)parts.names, count, ret_gguf, error);
}

int qvf_gguf_check(const struct qvf_gguf *gguf, struct qvf_error *error)
{
        for (unsigned i = 0; i < gguf->n_parts; i++) {
                int r = qvf_mapped_file_check(gguf->parts[i].file, error);

                if (r < 0)
                        return r;
        }
        return 0;
}

const char *qvf_gguf_name(const struct qvf_gguf *gguf)
{
        return gguf->parts[0].file->name;
}

const char *qvf_gguf_part_name(const struct qvf_gguf *gguf, unsigned part)
{
        return part < gguf->n_parts ? gguf->parts[part].file->name : NULL;
}

int qvf_gguf_part_fd(const struct qvf_gguf *gguf, unsigned part)
{
        return part < gguf->n_parts ? gguf->parts[part].file->fd : -1;
}

unsigned qvf_gguf_parts(const struct qvf_gguf *gguf)
{
        return gguf->n_parts;
}

uint32_t qvf_gguf_version(const struct qvf_gguf *gguf)
{
        return gguf->parts[0].version;
}

uint64_t qvf_gguf_size_bytes(const struct qvf_gguf *gguf)
{
        uint64_t bytes = 0;

        for (unsigned i = 0; i < gguf->n_parts; i++)
                bytes += gguf->parts[i].file->size;
        return bytes;
}

uint32_t qvf_gguf_tensors(const struct qvf_gguf *gguf)
{
        return gguf->n_tensors;
}

const struct qvf_gguf_tensor *qvf_gguf_tensor(const struct qvf_gguf *gguf, uint32_t index)
{
        return index < gguf->n_tensors ? &gguf->tensors[index] : NULL;
}

uint32_t qvf_gguf_tensor_index(const struct qvf_gguf *gguf, const struct qvf_gguf_tensor *tensor)
{
        return (uint32_t)(tensor - gguf->tensors);
}

const struct qvf_gguf_tensor *qvf_gguf_find_tensor(const struct qvf_gguf *gguf, const char *name)
{
        uint32_t low = 0, high = gguf->n_tensors;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                const struct qvf_gguf_tensor *tensor = &gguf->tensors[gguf->tensors_by_name[middle]];
                int order = strcmp(name, tensor->name);

                if (order == 0)
                        return tensor;
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}
