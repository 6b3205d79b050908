/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of one key's value, and back. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/similar.h"
#include "daemon/config/keys.h"
#include "daemon/policy/calendar.h"

bool qvf_key_is_list(const struct qvf_key *key)
{
        return key->type == QVF_KEY_NAMES || key->type == QVF_KEY_HOURS || key->type == QVF_KEY_DAYS;
}

/* "expected …, not "that"" */
static int unexpected(const struct qvf_key *key, const char *text, int code, struct qvf_error *error)
{
        _cleanup_text_ struct qvf_text expected = { 0 };

        if (qvf_key_expects(key, &expected) < 0)
                return -ENOMEM;
        return qvf_error_set(error, code, "expected %s, not \"%.80s\"", qvf_text_string(&expected), text);
}

static int set_bool(const struct qvf_key *key, bool *place, const char *text, struct qvf_error *error)
{
        static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

        for (size_t i = 0; i < QVF_ARRAY_LENGTH(words); i++)
                if (strcmp(words[i], text) == 0) {
                        *place = i % 2;
                        return 0;
                }
        return unexpected(key, text, -EINVAL, error);
}

static int set_number(const struct qvf_key *key, double *place, const char *text, struct qvf_error *error)
{
        double value;

        if (key->none && strcmp(text, key->none) == 0) {
                *place = key->none_value;
                return 0;
        }
        if (qvf_unit_parse(key->unit, text, &value, NULL) < 0)
                return unexpected(key, text, -EINVAL, error);
        if (value < key->least || value > key->most)
                return unexpected(key, text, -ERANGE, error);
        *place = value;
        return 0;
}

static int set_count(const struct qvf_key *key, unsigned *place, const char *text, struct qvf_error *error)
{
        double value;
        int r = set_number(key, &value, text, error);

        if (r < 0)
                return r;
        if (value != floor(value))
                return unexpected(key, text, -EINVAL, error);
        *place = (unsigned)value;
        return 0;
}

static int set_choice(const struct qvf_key *key, void *place, const char *text, struct qvf_error *error)
{
        const char *at = key->choices;
        unsigned number = 0;

        for (size_t length; *at; at += length + (at[length] == ' '), number++) {
                length = strcspn(at, " ");
                if (strlen(text) == length && memcmp(at, text, length) == 0) {
                        memcpy(place, &number, sizeof(number));
                        return 0;
                }
        }
        return unexpected(key, text, -EINVAL, error);
}

static int set_names(const struct qvf_key *key, struct qvf_names *place, const char *const *texts, size_t n,
                struct qvf_error *error)
{
        struct qvf_names names = { 0 };

        if (n > QVF_NAMES_MOST)
                return qvf_error_set(error, -ERANGE, "%zu elements are more than %d", n, QVF_NAMES_MOST);
        for (size_t i = 0; i < n; i++) {
                size_t length = strlen(texts[i]);

                if (length == 0 || length >= QVF_NAME_SIZE)
                        return qvf_error_set(error, -EINVAL, "\"%.80s\" is empty or longer than %d bytes",
                                        texts[i], QVF_NAME_SIZE - 1);
                for (const char *c = texts[i]; *c; c++)
                        if ((unsigned char)*c < 0x20 || *c == 0x7f)
                                return unexpected(key, texts[i], -EINVAL, error);
                memcpy(names.name[names.n++], texts[i], length + 1);
        }
        *place = names;
        return 0;
}

static int set_hours(const struct qvf_key *key, struct qvf_hours *place, const char *const *texts, size_t n,
                struct qvf_error *error)
{
        struct qvf_hours hours = { 0 };

        if (n > QVF_SPANS_MOST)
                return qvf_error_set(error, -ERANGE, "%zu elements are more than %d", n, QVF_SPANS_MOST);
        for (size_t i = 0; i < n; i++) {
                unsigned from, to;

                if (qvf_span_parse(texts[i], &from, &to) < 0)
                        return unexpected(key, texts[i], -EINVAL, error);
                hours.span[hours.n].from_minute = (uint16_t)from;
                hours.span[hours.n++].to_minute = (uint16_t)to;
        }
        *place = hours;
        return 0;
}

static int set_days(const struct qvf_key *key, unsigned *place, const char *const *texts, size_t n,
                struct qvf_error *error)
{
        unsigned days = 0;

        for (size_t i = 0; i < n; i++) {
                if (qvf_day_parse(texts[i]) == 0)
                        return unexpected(key, texts[i], -EINVAL, error);
                days |= qvf_day_parse(texts[i]);
        }
        *place = days;
        return 0;
}

static int set_list(const struct qvf_key *key, void *place, const char *const *texts, size_t n,
                struct qvf_error *error)
{
        bool none = n == 1 && key->none && strcmp(texts[0], key->none) == 0;

        if (n == 0)
                return qvf_error_set(error, -EINVAL, "an empty list: say \"%s\"", key->none);
        if (key->type == QVF_KEY_NAMES)
                return set_names(key, place, texts, none ? 0 : n, error);
        if (key->type == QVF_KEY_HOURS)
                return set_hours(key, place, texts, none ? 0 : n, error);
        return set_days(key, place, texts, n, error);
}

int qvf_key_set(const struct qvf_key *key, void *place, const char *const *texts, size_t n,
                struct qvf_error *error)
{
        if (qvf_key_is_list(key))
                return set_list(key, place, texts, n, error);
        switch (key->type) {
        case QVF_KEY_BOOL: return set_bool(key, place, texts[0], error);
        case QVF_KEY_NUMBER: return set_number(key, place, texts[0], error);
        case QVF_KEY_COUNT: return set_count(key, place, texts[0], error);
        default: return set_choice(key, place, texts[0], error);
        }
}

/* A list's element between quotes: patterns begin with what YAML takes for something else. */
static int print_quoted(const char *bytes, struct qvf_text *text)
{
        int r = qvf_text_append_char(text, '"');

        for (const char *c = bytes; r == 0 && *c; c++) {
                if (*c == '"' || *c == '\\')
                        r = qvf_text_append_char(text, '\\');
                if (r == 0)
                        r = qvf_text_append_char(text, *c);
        }
        return r < 0 ? r : qvf_text_append_char(text, '"');
}

static int print_names(const struct qvf_key *key, const struct qvf_names *names, struct qvf_text *text)
{
        int r = qvf_text_append_string(text, names->n ? "[" : key->none);

        for (unsigned i = 0; i < names->n && r == 0; i++) {
                if (i)
                        r = qvf_text_append_string(text, ", ");
                if (r == 0)
                        r = print_quoted(names->name[i], text);
        }
        return r < 0 || names->n == 0 ? r : qvf_text_append_char(text, ']');
}

static int print_number(const struct qvf_key *key, double value, struct qvf_text *text)
{
        char printed[QVF_UNIT_TEXT];

        if (key->none && value == key->none_value)
                return qvf_text_append_string(text, key->none);
        qvf_unit_print(key->unit, value, printed);
        return qvf_text_append_string(text, printed);
}

static int print_choice(const struct qvf_key *key, const unsigned *place, struct qvf_text *text)
{
        const char *at = key->choices;

        for (unsigned i = 0; i < *place; i++)
                at += strcspn(at, " ") + 1;
        return qvf_text_append(text, at, strcspn(at, " "));
}

int qvf_key_print(const struct qvf_key *key, const void *place, struct qvf_text *text)
{
        char list[256];

        switch (key->type) {
        case QVF_KEY_BOOL: return qvf_text_append_string(text, *(const bool *)place ? "yes" : "no");
        case QVF_KEY_NUMBER: return print_number(key, *(const double *)place, text);
        case QVF_KEY_COUNT: return print_number(key, *(const unsigned *)place, text);
        case QVF_KEY_CHOICE: return print_choice(key, place, text);
        case QVF_KEY_NAMES: return print_names(key, place, text);
        case QVF_KEY_HOURS: qvf_hours_print(place, list, sizeof(list)); break;
        case QVF_KEY_DAYS: qvf_days_print(*(const unsigned *)place, list, sizeof(list)); break;
        }
        return qvf_text_appendf(text, strcmp(list, "all") == 0 ? "%s" : "[%s]", list);
}

static int expects_number(const struct qvf_key *key, struct qvf_text *text)
{
        char least[QVF_UNIT_TEXT], most[QVF_UNIT_TEXT];

        qvf_unit_print(key->unit, key->least, least);
        qvf_unit_print(key->unit, key->most, most);
        return qvf_text_appendf(text, "%s, from %s to %s",
                        key->type == QVF_KEY_COUNT ? "a whole number" : qvf_unit_example(key->unit), least,
                        most);
}

int qvf_key_expects(const struct qvf_key *key, struct qvf_text *text)
{
        int r = 0;

        switch (key->type) {
        case QVF_KEY_BOOL: r = qvf_text_append_string(text, "yes or no"); break;
        case QVF_KEY_NUMBER:
        case QVF_KEY_COUNT: r = expects_number(key, text); break;
        case QVF_KEY_CHOICE: r = qvf_text_appendf(text, "one of %s", key->choices); break;
        case QVF_KEY_NAMES: r = qvf_text_append_string(text, "a list of names or patterns"); break;
        case QVF_KEY_HOURS: r = qvf_text_append_string(text, "hours, as 22:00-07:00"); break;
        case QVF_KEY_DAYS:
                r = qvf_text_append_string(text, "days, as mon or [sat, sun], weekdays or weekend");
                break;
        }
        return r < 0 || !key->none ? r : qvf_text_appendf(text, ", or %s", key->none);
}
