/* SPDX-License-Identifier: Apache-2.0 */
/* The contract in config/org.qvf.Worker1.xml is what the worker really offers. */
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "tests/support/suite.h"
#include "tests/worker/peer.h"

static void attribute(const char *tag, const char *end, const char *name, struct qvf_text *out)
{
        char wanted[24];
        const char *at, *stop;

        snprintf(wanted, sizeof(wanted), " %s=\"", name);
        at = strstr(tag, wanted);
        qvf_text_append_char(out, ' ');
        if (!at || at > end)
                return;
        at += strlen(wanted);
        stop = strchr(at, '"');
        qvf_text_append(out, at, (size_t)(stop - at));
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One line for each method and signal of the interface, in alphabetical order: its name, then name, type and direction
 * of each argument. */
static char *outline(const char *xml)
{
        static const char start[] = "<interface name=\"org.qvf.Worker1\">";
        struct qvf_text text = { 0 }, sorted = { 0 };
        const char *at = strstr(xml, start), *end;
        char *lines[128], *rest;
        unsigned count = 0;

        ck_assert_ptr_nonnull(at);
        end = strstr(at, "</interface>");
        for (at += strlen(start); (at = strchr(at, '<')) && at < end; at++) {
                const char *close = strncmp(at, "<!--", 4) == 0 ? strstr(at, "-->") : strchr(at, '>');

                if (strncmp(at, "<method", 7) == 0 || strncmp(at, "<signal", 7) == 0) {
                        qvf_text_append_string(&text, at[1] == 'm' ? "\nmethod" : "\nsignal");
                        attribute(at, close, "name", &text);
                } else if (strncmp(at, "<arg", 4) == 0) {
                        attribute(at, close, "name", &text);
                        attribute(at, close, "type", &text);
                        attribute(at, close, "direction", &text);
                }
                at = close;
        }
        rest = text.bytes;
        while (rest && count < 128 && (lines[count] = strsep(&rest, "\n")))
                count++;
        qsort(lines, count, sizeof(*lines), compare);
        for (unsigned i = 0; i < count; i++)
                qvf_text_appendf(&sorted, "%s\n", lines[i]);
        qvf_text_exit(&text);
        return sorted.bytes;
}

static char *contract(void)
{
        _cleanup_fclose_ FILE *file = fopen("config/org.qvf.Worker1.xml", "re");
        static char xml[1 << 18];
        size_t length = file ? fread(xml, 1, sizeof(xml) - 1, file) : 0;

        ck_assert_uint_gt(length, 0);
        return outline(xml);
}

START_TEST(the_contract_is_kept)
{
        struct peer *peer = peer_start();
        sd_bus_message *reply = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *xml;
        _cleanup_free_ char *wanted = contract(), *found = NULL;

        ck_assert_int_ge(sd_bus_call_method(peer->bus, NULL, "/org/qvf/Worker1",
                                         "org.freedesktop.DBus.Introspectable", "Introspect", &error, &reply,
                                         ""),
                        0);
        ck_assert_int_ge(sd_bus_message_read(reply, "s", &xml), 0);
        found = outline(xml);
        ck_assert_str_eq(wanted, found);
        sd_bus_message_unref(reply);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

START_TEST(it_answers_before_anything_is_loaded)
{
        struct peer *peer = peer_start();

        ck_assert_int_eq(peer_call(peer, "Ping", NULL, ""), 0);
        ck_assert_int_lt(peer_call(peer, "StopTraining", NULL, "b", 1), 0);
        ck_assert_str_eq(peer_error(peer), "BadState");
        ck_assert_int_eq(peer_call(peer, "GetStatistics", NULL, ""), 0);
        ck_assert_int_eq(peer_stop(peer), 0);
}
END_TEST

QVF_SUITE("worker: interface", 30, the_contract_is_kept, it_answers_before_anything_is_loaded)
