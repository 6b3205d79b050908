/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: the bytes are a GGUF adapter for models/tiny-silu. Run it in the folder of the sources, with QVF_BUILD set
 * to the folder that has plugins/cpu.so. Seeds: tests/data/golden/tiny-silu.adapter-init.gguf */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/log.h"
#include "engine/backend/host.h"
#include "engine/backend/loader.h"
#include "engine/model/adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_line(void *context, enum qvf_log_level level, const char *line)
{
        (void)context;
        (void)level;
        (void)line;
}

static struct qvf_model *open_model(void)
{
        static struct qvf_compute compute;
        const char *build = getenv("QVF_BUILD");
        struct qvf_model *model = NULL;
        struct qvf_error error = { 0 };
        char folder[4096];

        snprintf(folder, sizeof(folder), "%s/plugins", build ? build : "build-fuzz");
        if (qvf_backend_open(folder, "cpu", &compute.backend, &error) < 0 ||
                        compute.backend->device_open(&qvf_host_default, 0, NULL, &compute.device) < 0 ||
                        qvf_model_open("models/tiny-silu.TQ2_0.gguf", &compute, NULL, &model, &error) < 0) {
                fprintf(stderr, "%s\n", error.text);
                exit(1);
        }
        qvf_log_set(no_line, NULL, QVF_LOG_ERROR);
        return model;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct qvf_model *model;
        _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
        _cleanup_(qvf_adapter_freep) struct qvf_adapter *adapter = NULL;
        _cleanup_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);
        struct qvf_error error = { 0 };
        int r;

        if (!model)
                model = open_model();
        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                return 0;
        r = qvf_gguf_open_fds(&fd, NULL, 1, &gguf, &error);
        if (r == 0)
                r = qvf_adapter_new(model, gguf, &adapter, &error);
        if (r < 0 && !error.text[0])
                abort();
        return 0;
}
