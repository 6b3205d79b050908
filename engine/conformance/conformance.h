/* SPDX-License-Identifier: Apache-2.0 */
/* Runs every operation on a device and compares it with the plain kernels, over odd shapes and fresh random data.
 * This is the self-test that a device must pass before it is used. Whoever calls it links the plain kernels
 * (libplain.a). */
#ifndef QVF_ENGINE_CONFORMANCE_CONFORMANCE_H
#define QVF_ENGINE_CONFORMANCE_CONFORMANCE_H

#include "common/error.h"
#include "qvf/backend.h"

struct qvf_conformance_options {
        uint64_t seed;
        bool quick;     /* fewer shapes: a few seconds */
        const char *op; /* only this operation, by its name in ops.h; NULL: all */
};

struct qvf_conformance_bits { /* of numbers that docs/arithmetic.md defines to the bit */
        uint64_t numbers, differing;
};

struct qvf_conformance_case {
        const char *op;
        const char *what; /* shape and dtypes */
        bool passed;
        double worst;     /* largest error, in parts of the error that is allowed */
        const char *text; /* what was wrong; "" */
        struct qvf_conformance_bits bits;
};

typedef void (*qvf_conformance_report)(void *context, const struct qvf_conformance_case *result);

struct qvf_conformance_summary {
        uint32_t cases, failures;
        uint64_t digest; /* of all results: the same for the same device and seed, whatever the number of threads */
        struct qvf_conformance_bits bits[QVF_OP_COUNT];
};

/* Whether no more numbers of an operation differ than may; a device is sound without it: it is what logits that are the
 * same on all devices take. */
bool qvf_conformance_bits_are_right(uint16_t kind, const struct qvf_conformance_bits *bits);

/* Returns 0 when everything ran, whether it passed or not; a negative errno when the device could not be used. */
int qvf_conformance_run(const struct qvf_backend *backend, struct qvf_device *device,
                const struct qvf_conformance_options *options, qvf_conformance_report report, void *context,
                struct qvf_conformance_summary *ret_summary, struct qvf_error *error);

#endif
