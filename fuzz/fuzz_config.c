/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: the first byte chooses what the rest is: a configuration, a line of a trace, or a quantity. What is taken
 * as a configuration must print as one that reads back as the same. Seeds: config/qvfd.yaml and fuzz/seeds/config. */
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "daemon/config/config.h"
#include "daemon/policy/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(const char *bytes, size_t size)
{
        _cleanup_text_ struct qvf_text printed = { 0 };
        struct qvf_config config, back;
        struct qvf_error error = { 0 };

        qvf_config_defaults(&config);
        back = config;
        if (qvf_config_merge(&config, "fuzz", bytes, size, &error) < 0) {
                if (error.code == 0 || memcmp(&config, &back, sizeof(config)) != 0)
                        abort();
                return;
        }
        if (qvf_config_print(&config, &printed) < 0)
                abort();
        if (qvf_config_merge(&back, "printed", printed.bytes, printed.length, &error) < 0 ||
                        memcmp(&config, &back, sizeof(config)) != 0)
                abort();
}

static void read_trace(const char *bytes, size_t size)
{
        struct qvf_policy_state state = { 0 };
        struct qvf_trace trace = { 0 };
        struct qvf_verdict verdict;
        struct qvf_config config;

        qvf_config_defaults(&config);
        for (unsigned line = 1; size > 0 && line < 64; line++) {
                const char *end = memchr(bytes, '\n', size);
                size_t length = end ? (size_t)(end - bytes) : size;

                if (qvf_trace_read(&trace, bytes, length, NULL) == 0)
                        qvf_policy_decide(&config.policy, &trace.snapshot, &state, line * 1000000ull,
                                        &verdict);
                length += end != NULL;
                bytes += length;
                size -= length;
        }
}

static void read_quantity(const char *bytes, size_t size)
{
        char text[64] = "", printed[QVF_UNIT_TEXT];

        memcpy(text, bytes, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
        for (int unit = 0; unit < QVF_UNITS; unit++) {
                double value, back;

                if (qvf_unit_parse((enum qvf_unit)unit, text, &value, NULL) < 0 || value > 1e15)
                        continue;
                qvf_unit_show((enum qvf_unit)unit, value, printed);
                qvf_unit_print((enum qvf_unit)unit, value, printed);
                if (qvf_unit_parse((enum qvf_unit)unit, printed, &back, NULL) < 0 || back != value)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *bytes = (const char *)data + 1;

        if (size == 0)
                return 0;
        if (data[0] == 'T')
                read_trace(bytes, size - 1);
        else if (data[0] == 'U')
                read_quantity(bytes, size - 1);
        else
                read_config((const char *)data, size);
        return 0;
}
