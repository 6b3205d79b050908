/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the line editor, without a terminal. */
#include "ctl/line_editor.h"

#include <errno.h>
#include <string.h>

#include "tests/support/suite.h"

struct keys {
        const unsigned char *at;
};

static int next(void *context)
{
        struct keys *keys = context;

        return *keys->at ? *keys->at++ : -1;
}

/* Types the keys; what the last of them said. */
static int type(struct ctl_line_editor *editor, const char *text)
{
        struct keys keys = { (const unsigned char *)text };
        int r = 0;

        while (r == 0 && *keys.at)
                r = ctl_line_editor_key(editor, next(&keys), next, &keys);
        return r;
}

static void expect(const char *keys, const char *line)
{
        struct ctl_line_editor editor = { 0 };

        ck_assert_int_eq(type(&editor, keys), 0);
        ck_assert_str_eq(qvf_text_string(&editor.line), line);
        ctl_line_editor_exit(&editor);
}

START_TEST(keys_edit_the_line)
{
        expect("hello", "hello");
        expect("hallo\001\033[C\033[3~e", "hello");
        expect("helo\002l", "hello");
        expect("abc\177\177x", "ax");
        expect("ü€\177", "ü");
        expect("a€\033[Db", "ab€");
        expect("one two\027three", "one three");
        expect("word\025new", "new");
        expect("word\001\013", "");
        expect("x\033[Hy\033[Fz", "yxz");
        expect("a\033[200~b", "ab"); /* keys that mean nothing here */
        expect("\177\002a", "a");
}
END_TEST

START_TEST(bad_bytes_are_left_out)
{
        expect("a\xff\xc0"
               "b",
                        "ab");
        expect("a\xe2\x82", "a"); /* a character that ends too early */
}
END_TEST

START_TEST(keys_end_the_line)
{
        struct ctl_line_editor editor = { 0 };

        ck_assert_int_eq(type(&editor, "a\r"), 1);
        ck_assert_int_eq(type(&editor, "\003"), -EINTR);
        ck_assert_int_eq(type(&editor, "\025\004"), -ENODATA);
        ctl_line_editor_exit(&editor);
}
END_TEST

START_TEST(history_comes_back)
{
        struct ctl_line_editor editor = { 0 };

        ctl_line_editor_remember(&editor, "first");
        ctl_line_editor_remember(&editor, "second");
        ctl_line_editor_remember(&editor, "second");
        ctl_line_editor_remember(&editor, "");
        ck_assert_uint_eq(editor.history_count, 2);
        editor.recalled = editor.history_count;
        ck_assert_int_eq(type(&editor, "new\033[A"), 0);
        ck_assert_str_eq(qvf_text_string(&editor.line), "second");
        ck_assert_int_eq(type(&editor, "\033[A\033[A"), 0);
        ck_assert_str_eq(qvf_text_string(&editor.line), "first");
        ck_assert_int_eq(type(&editor, "\033[B\033[B\033[B"), 0);
        ck_assert_str_eq(qvf_text_string(&editor.line), "new");
        for (unsigned i = 0; i < 3 * CTL_HISTORY; i++)
                ctl_line_editor_remember(&editor, i % 2 ? "odd" : "even");
        ck_assert_uint_eq(editor.history_count, CTL_HISTORY);
        ctl_line_editor_exit(&editor);
}
END_TEST

QVF_SUITE("line_editor", 60, keys_edit_the_line, bad_bytes_are_left_out, keys_end_the_line,
                history_comes_back)
