/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: the bytes are a model file. Seeds: models/tiny-*.gguf */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/gguf_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        int fd = memfd_create("fuzz", MFD_CLOEXEC);

        if (fd < 0)
                return 0;
        if (write(fd, data, size) == (ssize_t)size)
                gguf_exercise(fd);
        close(fd);
        return 0;
}
