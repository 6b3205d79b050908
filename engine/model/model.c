/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/model.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "engine/model/model_private.h"
#include "engine/model/weight_cache.h"

const char *qvf_module_name(enum qvf_module module)
{
        static const char *const names[QVF_MODULES] = {
                [QVF_ATTN_Q] = "attn_q",
                [QVF_ATTN_K] = "attn_k",
                [QVF_ATTN_V] = "attn_v",
                [QVF_ATTN_OUTPUT] = "attn_output",
                [QVF_FFN_GATE] = "ffn_gate",
                [QVF_FFN_UP] = "ffn_up",
                [QVF_FFN_DOWN] = "ffn_down",
        };

        return module < QVF_MODULES ? names[module] : "?";
}

/* A template that can't be read is no reason to refuse the model: completions need none. */
static int load_chat_template(struct qvf_model *model)
{
        struct qvf_gguf_string source;
        struct qvf_error error = { 0 };
        int r = qvf_gguf_get_string(model->gguf, "tokenizer.chat_template", &source, &error);

        if (r == 0)
                r = qvf_chat_template_new(source.bytes, source.length, &model->chat_template, &error);
        else if (r == -ENOENT)
                return 0;
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                qvf_log(QVF_LOG_WARNING, "the model's chat template is not used: %s", error.text);
        return 0;
}

int qvf_model_new(struct qvf_gguf *gguf, const struct qvf_compute *compute,
                const struct qvf_model_options *options, struct qvf_model **ret_model,
                struct qvf_error *error)
{
        static const struct qvf_model_options defaults = QVF_MODEL_OPTIONS_DEFAULT;
        _cleanup_(qvf_model_freep) struct qvf_model *model = calloc(1, sizeof(*model));
        int r;

        if (!model) {
                qvf_gguf_free(gguf);
                return -ENOMEM;
        }
        options = options ? options : &defaults;
        model->gguf = gguf;
        model->compute = *compute;
        model->i2s_order = options->i2s_order;
        r = qvf_model_info_new(gguf, &model->info, error);
        if (r == 0)
                r = qvf_model_load_tokenizer(model, error);
        if (r == 0)
                r = load_chat_template(model);
        if (r == 0)
                r = qvf_model_load_weights(model, options->cache_folder, error);
        if (r < 0)
                return r;
        *ret_model = QVF_TAKE(model);
        return 0;
}

int qvf_model_open(const char *path, const struct qvf_compute *compute,
                const struct qvf_model_options *options, struct qvf_model **ret_model,
                struct qvf_error *error)
{
        struct qvf_gguf *gguf;
        int r = qvf_gguf_open(path, &gguf, error);

        return r < 0 ? r : qvf_model_new(gguf, compute, options, ret_model, error);
}

struct qvf_model *qvf_model_free(struct qvf_model *model)
{
        if (!model)
                return NULL;
        for (uint32_t i = 0; i < model->n_buffers; i++)
                qvf_compute_buffer_free(&model->compute, model->buffers[i]);
        free(model->buffers);
        qvf_weight_cache_free(model->weight_cache);
        free(model->layers);
        qvf_chat_template_free(model->chat_template);
        qvf_tokenizer_free(model->tokenizer);
        qvf_model_info_free(model->info);
        qvf_gguf_free(model->gguf);
        free(model);
        return NULL;
}
