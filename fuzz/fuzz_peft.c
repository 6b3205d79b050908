/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: a PEFT adapter: adapter_config.json up to the first NUL, then adapter_model.safetensors. What is read must
 * also be written. Seeds: fuzz/seeds/peft/ */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "engine/adapters/peft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        (void)level;
        (void)line;
}

static int file_of(const uint8_t *bytes, size_t length)
{
        int fd = memfd_create("fuzz", MFD_CLOEXEC);

        if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
                abort();
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(qvf_adapter_file_freep) struct qvf_adapter_file *file = NULL;
        const uint8_t *end = memchr(data, 0, size);
        size_t length = end ? (size_t)(end - data) : size;
        const struct qvf_peft_base base = {
                .architecture = "llama",
                .permuted = true,
                .n_heads = 4,
                .n_kv_heads = 2,
                .head_dim = 4,
        };
        struct qvf_error error = { 0 };

        qvf_log_set(no_line, NULL, QVF_LOG_ERROR);
        _cleanup_close_ int config = file_of(data, length);
        _cleanup_close_ int weights = file_of(data + length + (end != NULL), size - length - (end != NULL));
        _cleanup_close_ int out = file_of(NULL, 0);

        if (qvf_peft_open_fds(weights, config, &base, &file, &error) < 0)
                return error.text[0] ? 0 : (abort(), 0);
        if (qvf_peft_write_weights(file, &base, out, &error) < 0)
                abort();
        return 0;
}
