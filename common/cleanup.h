/* SPDX-License-Identifier: Apache-2.0 */
/* Clean-up at the end of a scope: `_cleanup_(thing_freep) struct thing *t = NULL;` (M4) */
#ifndef QVF_COMMON_CLEANUP_H
#define QVF_COMMON_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

/* Defines NAMEp(), which a _cleanup_ attribute can call, from a NAME() that takes NULL. */
#define QVF_DEFINE_CLEANUP(type, name)                                                                      \
        static inline void name##p(type *thing)                                                             \
        {                                                                                                   \
                name(*thing);                                                                               \
        }

static inline void qvf_freep(void *pointer)
{
        free(*(void **)pointer);
}

static inline void qvf_closep(const int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static inline void qvf_fclosep(FILE **file)
{
        if (*file)
                fclose(*file);
}

#define _cleanup_free_ _cleanup_(qvf_freep)
#define _cleanup_close_ _cleanup_(qvf_closep)
#define _cleanup_fclose_ _cleanup_(qvf_fclosep)

/* Moves a pointer out of a variable that a clean-up would free. */
#define QVF_TAKE(pointer)                                                                                   \
        ({                                                                                                  \
                __typeof__(pointer) taken_ = (pointer);                                                     \
                (pointer) = NULL;                                                                           \
                taken_;                                                                                     \
        })

#endif
