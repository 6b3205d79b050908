/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys, qvfd.yaml(5) and the shipped qvfd.yaml say the same, both ways. */
#include <ctype.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/config/keys.h"
#include "tests/support/suite.h"

/* A whole file without backslashes, which only escape. */
static char *read_text(const char *path)
{
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        char *text = calloc(1, 1 << 20);
        size_t n = 0;
        int c;

        ck_assert_msg(file && text, "%s can't be read", path);
        while ((c = getc(file)) != EOF && n + 1 < 1 << 20)
                if (c != '\\')
                        text[n++] = (char)c;
        return text;
}

static const char manual_path[] = "docs/man/qvfd.yaml.5.scd", shipped_path[] = "config/qvfd.yaml";

START_TEST(the_manual_has_every_key_as_it_is)
{
        _cleanup_free_ char *manual = read_text(manual_path);

        for (size_t s = 0; s < qvf_n_sections; s++) {
                const struct qvf_section *section = &qvf_sections[s];
                char words[600], *begin, *end;

                if (section->column == 1)
                        continue; /* inference: documented with training */
                snprintf(words, sizeof(words), "## %s\n", section->name);
                begin = strstr(manual, words);
                ck_assert_msg(begin != NULL, "%s: no section %s", manual_path, section->name);
                end = strstr(begin + 3, "\n#");
                for (size_t k = 0; k < section->n_keys; k++) {
                        const struct qvf_key *key = &section->keys[k];
                        _cleanup_text_ struct qvf_text expects = { 0 };
                        const char *at;

                        ck_assert_int_eq(qvf_key_expects(key, &expects), 0);
                        snprintf(words, sizeof(words), "\n*%s:* _%s_\n\t%s\n\tDefault: %s%s%s%s.\n",
                                        key->name, qvf_text_string(&expects), key->text, key->initial[0],
                                        key->initial[1] ? " for training, " : "",
                                        key->initial[1] ? key->initial[1] : "",
                                        key->initial[1] ? " for inference" : "");
                        at = strstr(begin, words);
                        ck_assert_msg(at != NULL && at < end, "%s: not there, or not so:%s", manual_path,
                                        words);
                }
        }
}
END_TEST

START_TEST(the_manual_has_no_other_keys)
{
        _cleanup_free_ char *manual = read_text(manual_path);
        const struct qvf_section *section = NULL;
        unsigned keys = 0, expected = 0;
        char *rest = NULL;

        for (char *line = strtok_r(strstr(manual, "\n# KEYS\n") + 1, "\n", &rest);
                        line && (strncmp(line, "# ", 2) != 0 || strcmp(line, "# KEYS") == 0);
                        line = strtok_r(NULL, "\n", &rest)) {
                char *colon = line[0] == '*' ? strstr(line, ":* ") : NULL;

                if (strncmp(line, "## ", 3) == 0) {
                        section = qvf_section_find(line + 3);
                        ck_assert_msg(section != NULL, "%s: %s", manual_path, line);
                }
                if (!colon)
                        continue;
                *colon = 0;
                ck_assert_msg(section && qvf_key_find(section, line + 1), "%s: no key is called %s",
                                manual_path, line + 1);
                keys++;
        }
        for (size_t s = 0; s < qvf_n_sections; s++)
                expected += qvf_sections[s].column == 1 ? 0 : (unsigned)qvf_sections[s].n_keys;
        ck_assert_uint_eq(keys, expected);
}
END_TEST

/* With the # before its keys taken away, the shipped file must hold all of them, and change nothing. */
START_TEST(the_shipped_file_says_the_defaults)
{
        _cleanup_free_ char *shipped = read_text(shipped_path);
        struct qvf_config defaults, config;
        struct qvf_error error = { 0 };
        unsigned keys = 0, expected = 0;

        qvf_config_defaults(&defaults);
        config = defaults;
        ck_assert_msg(qvf_config_merge(&config, shipped_path, shipped, strlen(shipped), &error) == 0, "%s",
                        error.text);
        ck_assert_mem_eq(&config, &defaults, sizeof(config));
        for (char *at = shipped; (at = strstr(at, "\n  #")); at++)
                if (islower((unsigned char)at[4])) {
                        memmove(at + 3, at + 4, strlen(at + 4) + 1);
                        keys++;
                }
        memset(&config.policy.activity[QVF_TRAINING].idle_for_s, 0, sizeof(double));
        ck_assert_msg(qvf_config_merge(&config, shipped_path, shipped, strlen(shipped), &error) == 0, "%s",
                        error.text);
        ck_assert_mem_eq(&config, &defaults, sizeof(config));
        for (size_t s = 0; s < qvf_n_sections; s++)
                expected += (unsigned)qvf_sections[s].n_keys;
        ck_assert_uint_eq(keys, expected);
}
END_TEST

QVF_SUITE("documented", 30, the_manual_has_every_key_as_it_is, the_manual_has_no_other_keys,
                the_shipped_file_says_the_defaults)
