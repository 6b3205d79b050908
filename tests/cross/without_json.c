/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters of PEFT are read with json-c, which is left out here. */
#include <errno.h>

#include "engine/adapters/peft.h"

void qvf_peft_base_from_model(const struct qvf_model_info *info, struct qvf_peft_base *ret_base)
{
        (void)info;
        *ret_base = (struct qvf_peft_base){ 0 };
}

int qvf_peft_open(const char *folder, const struct qvf_peft_base *base, struct qvf_adapter_file **ret_file,
                struct qvf_error *error)
{
        (void)base;
        (void)ret_file;
        return qvf_error_set(error, -ENOSYS, "%s: this build reads no adapters of PEFT", folder);
}
