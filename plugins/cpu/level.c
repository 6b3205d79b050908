/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels this CPU gets. The build says which levels there are (QVF_CPU_HAVE_…). */
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "plugins/cpu/cpu.h"

#ifdef QVF_CPU_HAVE_SSE
extern const struct cpu_level cpu_level_sse;
#endif
#ifdef QVF_CPU_HAVE_AVX2
extern const struct cpu_level cpu_level_avx2;
#endif
#ifdef QVF_CPU_HAVE_AVXVNNI
extern const struct cpu_level cpu_level_avxvnni;
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
#ifdef QVF_CPU_HAVE_DOTPROD
extern const struct cpu_level cpu_level_dotprod;
#endif
#ifdef QVF_CPU_HAVE_I8MM
extern const struct cpu_level cpu_level_i8mm;
#endif
#ifdef QVF_CPU_HAVE_BF16
extern const struct cpu_level cpu_level_bf16;
#endif

const struct cpu_level *const cpu_levels[] = {
        &cpu_level_plain,
#ifdef QVF_CPU_HAVE_SSE
        &cpu_level_sse,
#endif
#ifdef QVF_CPU_HAVE_AVX2
        &cpu_level_avx2,
#endif
#ifdef QVF_CPU_HAVE_AVXVNNI
        &cpu_level_avxvnni,
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
#ifdef QVF_CPU_HAVE_DOTPROD
        &cpu_level_dotprod,
#endif
#ifdef QVF_CPU_HAVE_I8MM
        &cpu_level_i8mm,
#endif
#ifdef QVF_CPU_HAVE_BF16
        &cpu_level_bf16,
#endif
};

unsigned cpu_level_count(void)
{
        return QVF_ARRAY_LENGTH(cpu_levels);
}

/* A CPU may have a level and lack one below it: AVX-512 came before AVX-VNNI. */
static unsigned available_levels(void)
{
        unsigned levels = 0;

        for (unsigned i = 0; i < cpu_level_count(); i++)
                if (cpu_levels[i]->available())
                        levels |= 1u << i;
        return levels;
}

unsigned cpu_level_allowed(const struct qvf_host *host)
{
        const char *wanted = secure_getenv("QVF_CPU_LEVEL");
        unsigned levels = available_levels();

        if (!wanted)
                return levels;
        for (unsigned i = 0; i < cpu_level_count(); i++) {
                if (strcmp(cpu_levels[i]->name, wanted) != 0)
                        continue;
                if (!(levels & 1u << i))
                        cpu_log(host, 1, "cpu: QVF_CPU_LEVEL=%s is more than this CPU has", wanted);
                return levels & ((2u << i) - 1);
        }
        cpu_log(host, 1, "cpu: QVF_CPU_LEVEL=%s is no level of this build", wanted);
        return levels;
}

const char *cpu_level_highest(unsigned levels)
{
        unsigned highest = 0;

        for (unsigned i = 0; i < cpu_level_count(); i++)
                highest = levels & 1u << i ? i : highest;
        return cpu_levels[highest]->name;
}

const struct cpu_kernel *cpu_level_find(
                unsigned levels, const struct qvf_op *op, const struct cpu_operand *operands)
{
        for (unsigned i = cpu_level_count(); i-- > 1;) {
                const struct cpu_level_entry *entry = &cpu_levels[i]->entries[op->kind];

                if ((levels & 1u << i) && entry->kernel.run &&
                                (!entry->supports || entry->supports(op, operands)))
                        return &entry->kernel;
        }
        return &cpu_level_plain.entries[op->kind].kernel;
}
