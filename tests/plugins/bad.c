/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins that must be refused, or that fail while they look for devices: built once for each of the cases. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "qvf/backend.h"

#if defined(BAD_no_symbol)

int some_other_symbol(void);

__attribute__((visibility("default"))) int some_other_symbol(void)
{
        return 0;
}

#elif defined(BAD_tiny)

extern const char qvf_backend[4];

__attribute__((visibility("default"))) const char qvf_backend[4] = "QVF";

#else

static int probe(const struct qvf_host *host, struct qvf_device_info *infos, uint32_t capacity,
                uint32_t *ret_count)
{
        (void)host;
        (void)capacity;
        *ret_count = 1;
#if defined(BAD_crash)
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        raise(SIGSEGV);
#elif defined(BAD_hang)
        for (;;)
                pause();
#elif defined(BAD_garbage)
        memset(infos, 'x', sizeof(*infos));
#elif defined(BAD_many)
        *ret_count = 1000000;
#elif defined(BAD_failing)
        return -ENODEV;
#elif defined(BAD_quitting)
        _exit(0);
#endif
        (void)infos;
        return 0;
}

/* None of these is ever called: they only have to be there. */
static int never(void)
{
        return -ENOSYS;
}
#define NEVER (void *)never

extern const struct qvf_backend qvf_backend;

__attribute__((visibility("default"))) const struct qvf_backend qvf_backend = {
#if defined(BAD_magic)
        .magic = "ELSEWHR",
#else
        .magic = QVF_BACKEND_MAGIC,
#endif
#if defined(BAD_abi)
        .abi = QVF_BACKEND_ABI + 1,
#else
        .abi = QVF_BACKEND_ABI,
#endif
#if defined(BAD_short)
        .size = offsetof(struct qvf_backend, tune) - sizeof(void *),
#elif defined(BAD_old) /* and good: made before there was tune() */
        .size = offsetof(struct qvf_backend, tune),
#elif defined(BAD_long)
        .size = 2 * sizeof(qvf_backend),
#else
        .size = sizeof(qvf_backend),
#endif
#if defined(BAD_other_name)
        .name = "somebody",
#else
        .name = BAD_NAME, /* as the file is called */
#endif
        .version = "1",
        .probe = probe,
        .device_open = NEVER,
        .device_close = NEVER,
        .event_fd = NEVER,
        .buffer_new = NEVER,
        .buffer_import = NEVER,
        .buffer_free = NEVER,
        .buffer_upload = NEVER,
        .buffer_download = NEVER,
        .buffer_map = NEVER,
        .pack_size = NEVER,
        .pack = NEVER,
        .program_size = NEVER,
        .program_new = NEVER,
        .program_free = NEVER,
        .submit = NEVER,
        .wait = NEVER,
#if !defined(BAD_no_function)
        .pause = NEVER,
#endif
};
#endif
