/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/gguf_exercise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/dtype.h"
#include "engine/files/gguf.h"
#include "engine/files/model_info.h"
#include "engine/files/ternary.h"

/* Where sums go, so that no read is optimised away. */
static volatile uint64_t sink;

static void need_words(int r, const struct qvf_error *error)
{
        if (r < 0 && r != -ENOMEM && (error->code != r || !error->text[0]))
                abort();
}

static void read_all_keys(const struct qvf_gguf *gguf)
{
        for (uint32_t i = 0; i < qvf_gguf_keys(gguf); i++) {
                const struct qvf_gguf_value *value = qvf_gguf_key(gguf, i);
                struct qvf_gguf_string string;
                struct qvf_gguf_array array;

                for (uint64_t k = 0; k < value->size_bytes; k++)
                        sink += value->data[k];
                if (qvf_gguf_value_array(value, &array) && array.type == QVF_GGUF_STRING)
                        while (qvf_gguf_array_next_string(&array, &string))
                                sink += string.length +
                                        (string.length ? (uint8_t)string.bytes[string.length - 1] : 0);
        }
}

static void ask_for_keys(const struct qvf_gguf *gguf)
{
        static const char *const keys[] = { "general.architecture", "A.block_count", "A.rope.freq_base",
                "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.add_bos_token" };

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                struct qvf_gguf_string *strings = NULL, string;
                struct qvf_gguf_array array;
                struct qvf_error error = { 0 };
                uint64_t number;
                float real;
                bool flag;

                need_words(qvf_gguf_get_u64(gguf, keys[i], &number, &error), &error);
                need_words(qvf_gguf_get_f32(gguf, keys[i], &real, &error), &error);
                need_words(qvf_gguf_get_bool(gguf, keys[i], &flag, &error), &error);
                need_words(qvf_gguf_get_string(gguf, keys[i], &string, &error), &error);
                need_words(qvf_gguf_get_array(gguf, keys[i], QVF_GGUF_F32, &array, &error), &error);
                need_words(qvf_gguf_get_strings(gguf, keys[i], &strings, &number, &error), &error);
                free(strings);
        }
}

static void read_ends_of_tensors(const struct qvf_gguf *gguf)
{
        for (uint32_t i = 0; i < qvf_gguf_tensors(gguf); i++) {
                const struct qvf_gguf_tensor *tensor = qvf_gguf_tensor(gguf, i);

                if (qvf_gguf_find_tensor(gguf, tensor->name) != tensor || tensor->size_bytes == 0)
                        abort();
                sink += ((const uint8_t *)tensor->data)[0];
                sink += ((const uint8_t *)tensor->data)[tensor->size_bytes - 1];
        }
}

static void read_weight(const struct qvf_gguf_tensor *tensor)
{
        struct qvf_ternary_recovered recovered;
        struct qvf_ternary_facts facts;
        struct qvf_i2s_guess guess;

        qvf_ternary_inspect(tensor->dtype, tensor->data, tensor->ne[1], tensor->ne[0], tensor->name, &facts,
                        NULL);
        qvf_ternary_recover(tensor->dtype, tensor->data, tensor->ne[1], tensor->ne[0], NULL, &recovered);
        if (tensor->dtype == QVF_I2_S)
                qvf_i2s_guess_order(tensor->data, tensor->ne[1], tensor->ne[0], NULL, &guess);
}

static void use_model(const struct qvf_model_info *info)
{
        float inverse[QVF_MODEL_HEAD_DIM_MOST / 2], magnitude;

        if (qvf_rope_frequencies(info, inverse, &magnitude) < 0)
                abort();
        for (uint32_t i = 0; i < info->n_layers; i++) {
                read_weight(info->layers[i].attn_q.tensor);
                read_weight(info->layers[i].ffn_down.tensor);
        }
}

enum gguf_exercised gguf_exercise(int fd)
{
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        _cleanup_(qvf_model_info_freep) struct qvf_model_info *info = NULL;
        struct qvf_error error = { 0 };
        int r;

        r = qvf_gguf_open_fds(&fd, NULL, 1, &gguf, &error);
        need_words(r, &error);
        if (r < 0)
                return GGUF_REFUSED;
        read_all_keys(gguf);
        ask_for_keys(gguf);
        read_ends_of_tensors(gguf);
        r = qvf_model_info_new(gguf, &info, &error);
        need_words(r, &error);
        if (r < 0)
                return GGUF_OPENED;
        use_model(info);
        return GGUF_IS_A_MODEL;
}
