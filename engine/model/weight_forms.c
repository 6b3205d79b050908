/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/weight_forms.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"
#include "engine/files/dtype.h"
#include "engine/model/content_hash.h"
#include "engine/model/model_private.h"
#include "engine/model/weight_cache.h"

struct made { /* a form that was made in this load */
        const char *name;
        struct qvf_value *value;
        uint64_t length;
};

struct qvf_weight_forms {
        struct qvf_model *model;
        int folder;
        struct qvf_weight_cache_key key;
        struct qvf_weight_cache *cache; /* NULL: there is none, or the model has it now */
        struct qvf_buffer *mapping;     /* of the cache; NULL: the device can't read host memory */
        struct qvf_weight_cache_writer *writer;
        struct made *made;
        uint32_t n_made, capacity;
};

/* pack_size() looks at no data: here there may be none yet. */
static int packed_size(const struct qvf_compute *compute, const struct qvf_value *value, uint64_t *ret_bytes)
{
        const struct qvf_weight weight = {
                .size = sizeof(weight),
                .dtype = value->dtype,
                .rows = value->rows,
                .columns = value->columns,
                .scale = value->scale,
                .block_scales = value->block_scales,
        };

        return compute->backend->pack_size(compute->device, &weight, ret_bytes);
}

static bool is_packed(const struct qvf_model *model, const struct qvf_gguf_tensor *tensor)
{
        const struct qvf_value value = {
                .dtype = tensor->dtype,
                .rows = (uint32_t)tensor->ne[1],
                .columns = (uint32_t)tensor->ne[0],
                .scale = 1,
        };
        uint64_t bytes;

        return packed_size(&model->compute, &value, &bytes) == 0 && bytes > 0;
}

/* Whether any weight is likely to need another form: if not, the content need not be hashed. */
static bool wants_forms(const struct qvf_model *model)
{
        const struct qvf_model_info *info = model->info;

        if (is_packed(model, info->token_embd) || (!info->tied && is_packed(model, info->output.tensor)))
                return true;
        for (uint32_t i = 0; i < info->n_layers; i++) {
                struct qvf_linear_source sources[QVF_MODULES];

                qvf_linear_sources(&info->layers[i], sources);
                for (size_t k = 0; k < QVF_MODULES; k++) {
                        const struct qvf_gguf_tensor *tensor = sources[k].weight->tensor;

                        if ((tensor->dtype != QVF_TQ1_0 && tensor->dtype != QVF_TQ2_0) ||
                                        is_packed(model, tensor))
                                return true;
                }
        }
        return false;
}

static void fill_value(const struct qvf_weight_cache_entry *entry, struct qvf_value *value)
{
        *value = (struct qvf_value){
                .rows = entry->rows,
                .columns = entry->columns,
                .dtype = entry->dtype,
                .packed = entry->packed,
                .block_scales = entry->block_scales,
                .scale = entry->scale,
        };
}

/* The file is sound in itself: does what it says suit this model and backend? */
static bool entry_fits(const struct qvf_model *model, const struct qvf_weight_cache_entry *entry)
{
        const struct qvf_gguf_tensor *tensor = qvf_gguf_find_tensor(model->gguf, entry->name);
        bool ternary = entry->dtype == QVF_TQ1_0 || entry->dtype == QVF_TQ2_0;
        uint64_t bytes, columns;
        struct qvf_value value;

        if (!tensor || entry->rows != tensor->ne[1] || (!ternary && entry->dtype != tensor->dtype))
                return false;
        columns = tensor->ne[0];
        if (ternary)
                columns = (columns + QVF_TERNARY_BLOCK_LENGTH - 1) / QVF_TERNARY_BLOCK_LENGTH *
                          QVF_TERNARY_BLOCK_LENGTH;
        if (entry->columns != columns)
                return false;
        if (!entry->packed)
                return ternary && qvf_dtype_tensor_bytes(entry->dtype, entry->rows, columns, &bytes) == 0 &&
                       bytes == entry->length;
        fill_value(entry, &value);
        return model->compute.layout_version != 0 && packed_size(&model->compute, &value, &bytes) == 0 &&
               bytes == entry->length;
}

static int open_cache(struct qvf_weight_forms *forms, struct qvf_error *error)
{
        int r = qvf_weight_cache_open(forms->folder, &forms->key, &forms->cache, error);

        if (r < 0)
                return r;
        for (uint32_t i = 0; i < qvf_weight_cache_count(forms->cache); i++) {
                const struct qvf_weight_cache_entry *entry = qvf_weight_cache_entry(forms->cache, i);

                if (entry_fits(forms->model, entry))
                        continue;
                r = qvf_error_set(error, -EBADMSG, "cached weights: %s is not what the model has",
                                entry->name);
                forms->cache = qvf_weight_cache_free(forms->cache);
                return r;
        }
        return 0;
}

/* Weights are read from the mapping itself where the device can. */
static int import_cache(struct qvf_weight_forms *forms, struct qvf_error *error)
{
        const struct qvf_compute *compute = &forms->model->compute;
        struct qvf_buffer *buffer;
        const void *memory;
        uint64_t bytes;
        int r;

        memory = qvf_weight_cache_mapping(forms->cache, &bytes);
        r = compute->backend->buffer_import(compute->device, memory, bytes, &buffer);
        if (r == -ENOTSUP)
                return 0;
        if (r < 0)
                return qvf_error_set(error, r, "the cached weights can't be brought to the %s device: %s",
                                compute->backend->name, strerror(-r));
        r = qvf_model_keep_buffer(forms->model, buffer);
        if (r < 0)
                return r;
        forms->mapping = buffer;
        return 0;
}

static int find_cache(struct qvf_weight_forms *forms)
{
        struct qvf_model *model = forms->model;
        struct qvf_error error = { 0 };
        int r;

        forms->key = (struct qvf_weight_cache_key){
                .backend = model->compute.backend->name,
                .layout_version = model->compute.layout_version,
                .i2s_order = model->i2s_order,
        };
        r = qvf_content_hash(model->gguf, forms->folder, forms->key.content, &error);
        if (r == 0)
                r = open_cache(forms, &error);
        if (r == 0 || r == -ENOMEM)
                return r;
        if (r == -EBADMSG)
                qvf_log(QVF_LOG_WARNING, "%s; it is made anew", error.text);
        if (r == -EBADMSG || r == -ENOENT)
                r = qvf_weight_cache_writer_new(forms->folder, &forms->key, &forms->writer, &error);
        if (r < 0 && r != -ENOMEM)
                qvf_log(QVF_LOG_WARNING, "weights are not cached: %s", error.text);
        return r == -ENOMEM ? r : 0;
}

int qvf_weight_forms_new(struct qvf_model *model, int folder, struct qvf_weight_forms **ret_forms,
                struct qvf_error *error)
{
        _cleanup_(qvf_weight_forms_freep) struct qvf_weight_forms *forms = calloc(1, sizeof(*forms));
        int r = 0;

        if (!forms)
                return -ENOMEM;
        forms->model = model;
        forms->folder = folder;
        if (folder >= 0 && wants_forms(model))
                r = find_cache(forms);
        if (r == 0 && forms->cache)
                r = import_cache(forms, error);
        if (r < 0)
                return r;
        if (forms->mapping) /* read as long as the model lives */
                model->weight_cache = forms->cache;
        *ret_forms = QVF_TAKE(forms);
        return 0;
}

struct qvf_weight_forms *qvf_weight_forms_free(struct qvf_weight_forms *forms)
{
        if (!forms)
                return NULL;
        qvf_weight_cache_writer_free(forms->writer);
        if (forms->cache != forms->model->weight_cache)
                qvf_weight_cache_free(forms->cache);
        free(forms->made);
        free(forms);
        return NULL;
}

int qvf_weight_forms_take(struct qvf_weight_forms *forms, const struct qvf_gguf_tensor *tensor,
                struct qvf_value *value, struct qvf_error *error)
{
        const struct qvf_weight_cache_entry *entry = qvf_weight_cache_find(forms->cache, tensor->name);
        const uint8_t *bytes;
        uint64_t length;
        int r;

        if (!entry)
                return 0;
        fill_value(entry, value);
        if (forms->mapping) {
                value->buffer = forms->mapping;
                value->offset = entry->offset;
                forms->model->mapped_bytes += entry->length;
                return 1;
        }
        bytes = qvf_weight_cache_mapping(forms->cache, &length);
        r = qvf_model_place_copy(
                        forms->model, tensor->name, bytes + entry->offset, entry->length, value, error);
        return r < 0 ? r : 1;
}

static int note_made(
                struct qvf_weight_forms *forms, const char *name, uint64_t length, struct qvf_value *value)
{
        if (forms->n_made == forms->capacity) {
                uint32_t capacity = forms->capacity ? 2 * forms->capacity : 64;
                struct made *made = reallocarray(forms->made, capacity, sizeof(*made));

                if (!made)
                        return -ENOMEM;
                forms->made = made;
                forms->capacity = capacity;
        }
        forms->made[forms->n_made++] = (struct made){ name, value, length };
        return 0;
}

static int write_form(struct qvf_weight_forms *forms, const char *name, const void *bytes, uint64_t length,
                struct qvf_value *value)
{
        const struct qvf_weight_cache_entry entry = {
                .name = name,
                .dtype = value->dtype,
                .rows = value->rows,
                .columns = value->columns,
                .scale = value->scale,
                .block_scales = value->block_scales,
                .packed = value->packed,
                .length = length,
        };
        int r = qvf_weight_cache_writer_add(forms->writer, &entry, bytes);

        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                qvf_log(QVF_LOG_WARNING, "weights are not cached: %s", strerror(-r));
                forms->writer = qvf_weight_cache_writer_free(forms->writer);
                return 0;
        }
        return note_made(forms, name, length, value);
}

int qvf_weight_forms_add(struct qvf_weight_forms *forms, const struct qvf_gguf_tensor *tensor,
                const void *bytes, uint64_t length, struct qvf_value *value, struct qvf_error *error)
{
        int r = qvf_model_place_copy(forms->model, tensor->name, bytes, length, value, error);

        qvf_model_leave_pages(tensor);
        if (r < 0 || !forms->writer || (value->packed && forms->model->compute.layout_version == 0))
                return r;
        return write_form(forms, tensor->name, bytes, length, value);
}

/* The copies on the device go, and the values read the file that was made of them. */
static void exchange(struct qvf_weight_forms *forms)
{
        struct qvf_model *model = forms->model;

        for (uint32_t i = 0; i < forms->n_made; i++) {
                const struct made *made = &forms->made[i];
                const struct qvf_weight_cache_entry *entry = qvf_weight_cache_find(forms->cache, made->name);

                if (!entry || entry->length != made->length)
                        continue;
                qvf_model_drop_buffer(model, made->value->buffer);
                model->device_bytes -= made->length;
                model->mapped_bytes += made->length;
                made->value->buffer = forms->mapping;
                made->value->offset = entry->offset;
        }
}

int qvf_weight_forms_finish(struct qvf_weight_forms *forms, struct qvf_error *error)
{
        struct qvf_error problem = { 0 };
        int r;

        if (!forms->writer || forms->n_made == 0)
                return 0;
        r = qvf_weight_cache_writer_commit(forms->writer, &problem);
        if (r == 0)
                r = open_cache(forms, &problem);
        if (r < 0) {
                qvf_log(QVF_LOG_WARNING, "weights are not cached: %s", problem.text);
                return r == -ENOMEM ? r : 0;
        }
        r = import_cache(forms, error);
        if (r < 0 || !forms->mapping)
                return r;
        forms->model->weight_cache = forms->cache;
        exchange(forms);
        return 0;
}
