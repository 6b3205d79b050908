/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/dtype.h"
#include "engine/files/gguf.h"
#include "engine/files/model_info.h"

START_TEST(shipped_models_open)
{
        static const char *const paths[] = { "models/tiny-silu.TQ2_0.gguf", "models/tiny-relu2.TQ1_0.gguf",
                "models/tiny-relu2.TQ2_0.gguf", "models/helper-29m.TQ2_0.gguf" };

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                _cleanup_(qvf_gguf_freep) struct qvf_gguf *gguf = NULL;
                _cleanup_(qvf_model_info_freep) struct qvf_model_info *info = NULL;
                struct qvf_error error = { 0 };

                ck_assert_msg(qvf_gguf_open(paths[i], &gguf, &error) == 0, "%s", error.text);
                ck_assert_msg(qvf_model_info_new(gguf, &info, &error) == 0, "%s", error.text);
                ck_assert(info->tied);
                ck_assert_uint_eq(info->n_unused_tensors, 0);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("gguf");
        TCase *tcase = tcase_create("gguf");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tcase, shipped_models_open);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
