/* SPDX-License-Identifier: Apache-2.0 */
/* Values out of messages, names in paths, and options into messages. */
#include <math.h>
#include <string.h>

#include "client/client.h"
#include "tests/support/suite.h"

static struct qvf_value *values_of(const struct qvf_options *options)
{
        DBusMessage *message = dbus_message_new_signal("/a", "a.b", "C");
        struct qvf_value *value;
        DBusMessageIter iter;

        dbus_message_iter_init_append(message, &iter);
        ck_assert(qvf_options_append(options, &iter));
        value = qvf_value_from_message(message);
        dbus_message_unref(message);
        return value;
}

START_TEST(options_become_values)
{
        static const char *const stops[] = { "a", "b", NULL };
        const struct qvf_weight weights[] = { { "x", 0.5 }, { "y", 2 } };
        _cleanup_(qvf_value_freep) struct qvf_value *value = NULL;
        struct qvf_options *options = qvf_options_new();
        const struct qvf_value *map, *pair;

        qvf_options_set_boolean(options, "flag", true);
        qvf_options_set_integer(options, "count", -7);
        qvf_options_set_number(options, "share", 0.25);
        qvf_options_set_string(options, "text", "old");
        qvf_options_set_string(options, "text", "ü");
        qvf_options_set_number(options, "not", 1);
        qvf_options_set_strings(options, "stop", stops);
        qvf_options_unset(options, "not");
        qvf_options_unset(options, "never");
        qvf_options_set_weights(options, "adapters", weights, 2);
        ck_assert_int_eq(qvf_options_check(options, NULL), 0);
        value = values_of(options);
        qvf_options_free(options);

        ck_assert_uint_eq(qvf_value_count(value), 1);
        map = qvf_value_at(value, 0);
        ck_assert_int_eq(qvf_value_type(map), QVF_TYPE_MAP);
        ck_assert_uint_eq(qvf_value_count(map), 6);
        ck_assert(qvf_value_boolean(qvf_value_get(map, "flag")));
        ck_assert_int_eq(qvf_value_integer(qvf_value_get(map, "count")), -7);
        ck_assert(qvf_value_number(qvf_value_get(map, "share")) == 0.25);
        ck_assert_str_eq(qvf_value_string(qvf_value_get(map, "text")), "ü");
        ck_assert_str_eq(qvf_value_string(qvf_value_at(qvf_value_get(map, "stop"), 1)), "b");
        pair = qvf_value_at(qvf_value_get(map, "adapters"), 1);
        ck_assert_str_eq(qvf_value_string(qvf_value_at(pair, 0)), "y");
        ck_assert(qvf_value_number(qvf_value_at(pair, 1)) == 2);
}
END_TEST

START_TEST(what_is_missing_is_nothing)
{
        ck_assert_int_eq(qvf_value_type(NULL), QVF_TYPE_NONE);
        ck_assert_ptr_null(qvf_value_get(NULL, "a"));
        ck_assert_ptr_null(qvf_value_at(NULL, 0));
        ck_assert_uint_eq(qvf_value_count(NULL), 0);
        ck_assert_str_eq(qvf_value_string(NULL), "");
        ck_assert_str_eq(qvf_value_key_at(NULL, 0), "");
        ck_assert_int_eq(qvf_value_integer(NULL), 0);
        ck_assert_uint_eq(qvf_value_unsigned(NULL), 0);
        ck_assert(isnan(qvf_value_number(NULL)));
        ck_assert(!qvf_value_boolean(NULL));
        ck_assert_int_eq(qvf_value_take_fd(NULL, 0), -1);
        ck_assert_ptr_null(qvf_value_free(NULL));
        ck_assert_ptr_null(qvf_options_free(NULL));
        ck_assert_ptr_null(qvf_session_free(NULL));
        ck_assert_ptr_null(qvf_disconnect(NULL));
        qvf_options_set_string(NULL, "a", "b");
}
END_TEST

START_TEST(numbers_are_limited)
{
        const struct qvf_value huge = { .type = QVF_TYPE_UNSIGNED, .unsigned_integer = UINT64_MAX };
        const struct qvf_value negative = { .type = QVF_TYPE_INTEGER, .integer = -1 };
        const struct qvf_value infinite = { .type = QVF_TYPE_NUMBER, .number = (double)INFINITY };

        ck_assert_int_eq(qvf_value_integer(&huge), INT64_MAX);
        ck_assert_uint_eq(qvf_value_unsigned(&negative), 0);
        ck_assert_int_eq(qvf_value_integer(&infinite), 0);
        ck_assert(qvf_value_number(&negative) == -1);
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused)
{
        struct qvf_options *options = qvf_options_new();
        struct qvf_failure failure;

        qvf_options_set_string(options, "system", "\xff");
        ck_assert_int_eq(qvf_options_check(options, &failure), QVF_INVALID);
        ck_assert_ptr_nonnull(strstr(failure.message, "system"));
        qvf_options_free(options);
}
END_TEST

static void comes_back(const char *kind, const char *name, const char *path)
{
        _cleanup_free_ char *made = qvf_object_path(kind, name), *back = NULL;

        ck_assert_str_eq(made, path);
        ck_assert_str_eq(qvf_path_kind(path, &back), kind);
        ck_assert_str_eq(back, name);
}

START_TEST(names_are_escaped_in_paths)
{
        char *name = NULL;

        comes_back("models", "helper-29m", "/org/qvf/Fabric1/models/helper_2d29m");
        comes_back("jobs", "12", "/org/qvf/Fabric1/jobs/_312");
        comes_back("adapters", "a.b_c", "/org/qvf/Fabric1/adapters/a_2eb_5fc");
        comes_back("sessions", "", "/org/qvf/Fabric1/sessions/_");
        comes_back("manager", "", "/org/qvf/Fabric1");
        ck_assert_ptr_null(qvf_path_kind("/org/qvf/Fabric2/jobs/x", &name));
        ck_assert_ptr_null(qvf_path_kind("/org/qvf/Fabric1/things/x", &name));
        ck_assert_ptr_null(qvf_path_kind("", &name));
}
END_TEST

START_TEST(errors_have_codes_and_printable_words)
{
        DBusMessage *call = dbus_message_new_method_call("a.b", "/a", "a.b", "C"), *error;
        struct qvf_failure failure;

        dbus_message_set_serial(call, 1);
        error = dbus_message_new_error(call, QVF_BUS_NAME ".Error.NotFound", "there is\n\033[31mno such");
        ck_assert_int_eq(qvf_fail_from_reply(&failure, error), QVF_NOT_FOUND);
        ck_assert_str_eq(failure.name, "NotFound");
        ck_assert_str_eq(failure.message, "there is  [31mno such");
        ck_assert_uint_eq(sizeof(failure), 1024);
        dbus_message_unref(error);
        error = dbus_message_new_error(call, "com.example.Odd", NULL);
        ck_assert_int_eq(qvf_fail_from_reply(&failure, error), QVF_FAILED);
        ck_assert_str_eq(failure.message, "com.example.Odd");
        dbus_message_unref(error);
        dbus_message_unref(call);
}
END_TEST

QVF_SUITE("value", 60, options_become_values, what_is_missing_is_nothing, numbers_are_limited,
                text_that_is_not_utf8_is_refused, names_are_escaped_in_paths,
                errors_have_codes_and_printable_words)
