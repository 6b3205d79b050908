/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels this CPU gets. The build says which levels there are (QVF_CPU_HAVE_…). */
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/cpu/cpu.h"

#ifdef QVF_CPU_HAVE_AVX2
extern const struct cpu_level cpu_level_avx2;
#endif
#ifdef QVF_CPU_HAVE_AVX512
extern const struct cpu_level cpu_level_avx512;
#endif
#ifdef QVF_CPU_HAVE_AMX
extern const struct cpu_level cpu_level_amx;
#endif
#ifdef QVF_CPU_HAVE_NEON
extern const struct cpu_level cpu_level_neon;
#endif

const struct cpu_level *const cpu_levels[] = {
        &cpu_level_plain,
#ifdef QVF_CPU_HAVE_AVX2
        &cpu_level_avx2,
#endif
#ifdef QVF_CPU_HAVE_AVX512
        &cpu_level_avx512,
#endif
#ifdef QVF_CPU_HAVE_AMX
        &cpu_level_amx,
#endif
#ifdef QVF_CPU_HAVE_NEON
        &cpu_level_neon,
#endif
};

unsigned cpu_level_count(void)
{
        return QVF_ARRAY_LENGTH(cpu_levels);
}

unsigned cpu_level_allowed(const struct qvf_host *host)
{
        const char *wanted = secure_getenv("QVF_CPU_LEVEL");
        unsigned count = 1;

        while (count < cpu_level_count() && cpu_levels[count]->available())
                count++;
        if (!wanted)
                return count;
        for (unsigned i = 0; i < cpu_level_count(); i++) {
                if (strcmp(cpu_levels[i]->name, wanted) != 0)
                        continue;
                if (i >= count)
                        cpu_log(host, 1, "cpu: QVF_CPU_LEVEL=%s is more than this CPU has", wanted);
                return i < count ? i + 1 : count;
        }
        cpu_log(host, 1, "cpu: QVF_CPU_LEVEL=%s is no level of this build", wanted);
        return count;
}

const struct cpu_kernel *cpu_level_find(
                unsigned levels, const struct qvf_op *op, const struct cpu_operand *operands)
{
        for (unsigned i = levels; i-- > 1;) {
                const struct cpu_level_entry *entry = &cpu_levels[i]->entries[op->kind];

                if (entry->kernel.run && (!entry->supports || entry->supports(op, operands)))
                        return &entry->kernel;
        }
        return &cpu_level_plain.entries[op->kind].kernel;
}
