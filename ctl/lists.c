/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/lists.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "ctl/json.h"
#include "ctl/terminal.h"
#include "ctl/units.h"

/* Changes that come together are shown together. */
enum { GATHER_MS = 100 };

uint64_t ctl_now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct seen {
        bool changed, gone;
};

static void on_event(void *context, const struct qvf_event *event)
{
        struct seen *seen = context;

        seen->changed = true;
        if (strcmp(event->member, "Gone") == 0)
                seen->gone = true;
}

static int watch_on(struct ctl *ctl, struct seen *seen,
                int (*document)(struct ctl *ctl, const void *context, struct json_object **ret_document,
                                struct qvf_error *error),
                const void *context, struct qvf_error *error)
{
        struct qvf_failure failure;

        for (;;) {
                _cleanup_json_ struct json_object *object = NULL;
                int r;

                seen->changed = false;
                r = document(ctl, context, &object, error);
                if (r != 0)
                        return r;
                ctl_json_print(object, true);
                if (ferror(stdout))
                        return CTL_FAILED;
                while (!seen->changed && !ctl_interrupted)
                        if (qvf_dispatch(ctl->client, -1, &failure) < 0)
                                return ctl_failed(error, &failure);
                if (ctl_interrupted)
                        return CTL_OK;
                if (seen->gone)
                        return qvf_error_set(error, CTL_NOT_RUNNING, "qvfd went away");
                qvf_dispatch(ctl->client, GATHER_MS, NULL);
        }
}

int ctl_watch(struct ctl *ctl, const char *kind,
                int (*document)(struct ctl *ctl, const void *context, struct json_object **ret_document,
                                struct qvf_error *error),
                const void *context, struct qvf_error *error)
{
        struct qvf_failure failure;
        struct seen seen = { 0 };
        uint32_t watch;
        int r;

        if (qvf_watch(ctl->client, kind, NULL, on_event, &seen, &watch, &failure) < 0)
                return ctl_failed(error, &failure);
        ctl_catch_interrupt(true);
        r = watch_on(ctl, &seen, document, context, error);
        ctl_catch_interrupt(false);
        qvf_unwatch(ctl->client, watch);
        return r;
}

static int list_document(struct ctl *ctl, const void *context, struct json_object **ret_document,
                struct qvf_error *error)
{
        const struct ctl_list *list = context;
        _cleanup_value_ struct qvf_value *objects = NULL;
        struct qvf_failure failure;

        if (qvf_list(ctl->client, list->kind, &objects, &failure) < 0)
                return ctl_failed(error, &failure);
        *ret_document = json_object_new_object();
        json_object_object_add(*ret_document, list->kind, ctl_json_objects(objects));
        return 0;
}

int ctl_list_show(const struct ctl_list *list, const struct ctl_common *common, struct qvf_error *error)
{
        _cleanup_value_ struct qvf_value *objects = NULL;
        _cleanup_json_ struct json_object *document = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, common, error);

        if (r != 0)
                return r;
        if (common->watch)
                return ctl_watch(ctl, list->kind, list_document, list, error);
        if (common->json) {
                r = list_document(ctl, list, &document, error);
                if (r == 0)
                        ctl_json_print(document, false);
                return r;
        }
        if (qvf_list(ctl->client, list->kind, &objects, &failure) < 0)
                return ctl_failed(error, &failure);
        if (common->names)
                for (size_t i = 0; i < qvf_value_count(objects); i++)
                        puts(qvf_value_key_at(objects, i));
        else if (qvf_value_count(objects) == 0)
                puts(list->none);
        else
                list->print(ctl, objects);
        return 0;
}

static void list_text(const struct qvf_value *value, struct qvf_text *text)
{
        for (size_t i = 0; i < qvf_value_count(value); i++)
                qvf_text_appendf(text, "%s%s", i ? ", " : "", qvf_value_string(qvf_value_at(value, i)));
}

static void field_text(const struct ctl_field *field, const struct qvf_value *value, struct qvf_text *text)
{
        double number = qvf_value_number(value);

        switch (field->kind) {
        case 's': qvf_text_append_string(text, qvf_value_string(value)); break;
        case 'b':
                if (qvf_value_unsigned(value))
                        qvf_text_append_string(text, ctl_bytes(qvf_value_unsigned(value)).text);
                break;
        case 'c': qvf_text_append_string(text, ctl_count(number).text); break;
        case 'n':
                if (isfinite(number) && number != 0)
                        qvf_text_appendf(text, "%.6g", number);
                break;
        case 't':
                if (qvf_value_unsigned(value))
                        qvf_text_append_string(text, ctl_time(qvf_value_unsigned(value)).text);
                break;
        case 'd':
                if (number > 0)
                        qvf_text_append_string(text, ctl_duration(number).text);
                break;
        case 'e': qvf_text_append_string(text, ctl_energy(number).text); break;
        case 'l':
                if (isfinite(number))
                        qvf_text_append_string(text, ctl_loss(number).text);
                break;
        case 'y': qvf_text_append_string(text, qvf_value_boolean(value) ? "yes" : "no"); break;
        case 'a': list_text(value, text); break;
        default: break;
        }
}

void ctl_fields_print(const struct ctl *ctl, const struct ctl_field *fields, const struct qvf_value *object)
{
        unsigned width = 0;

        for (const struct ctl_field *field = fields; field->label; field++)
                if (ctl_columns(field->label) > width)
                        width = ctl_columns(field->label);
        for (; fields->label; fields++) {
                const struct qvf_value *value = qvf_value_get(object, fields->property);
                _cleanup_text_ struct qvf_text text = { 0 };
                _cleanup_free_ char *printable = NULL;

                if (!value)
                        continue;
                field_text(fields, value, &text);
                printable = ctl_printable(qvf_text_string(&text), false);
                if (printable && *printable)
                        printf("%s%-*s%s  %s\n", ctl_colour(ctl->colour, CTL_DIM), (int)width, fields->label,
                                        ctl_colour(ctl->colour, CTL_PLAIN), printable);
        }
}

int ctl_object_show(const struct ctl_common *common, const char *kind, const char *name, const char *key,
                const struct ctl_field *fields, struct qvf_error *error)
{
        _cleanup_value_ struct qvf_value *object = NULL;
        _cleanup_json_ struct json_object *document = NULL;
        struct ctl *ctl = ctl_context();
        struct qvf_failure failure;
        int r = ctl_connect(ctl, common, error);

        if (r != 0)
                return r;
        if (qvf_get(ctl->client, kind, name, &object, &failure) < 0)
                return ctl_failed(error, &failure);
        if (common->json) {
                document = json_object_new_object();
                json_object_object_add(document, key, ctl_json_properties(object));
                ctl_json_print(document, false);
        } else {
                ctl_fields_print(ctl, fields, object);
        }
        return 0;
}

int ctl_act(const struct ctl_common *common, struct qvf_error *error, int r,
                const struct qvf_failure *failure, const char *format, ...)
{
        va_list arguments;

        if (r < 0) {
                r = ctl_failed(error, failure);
                /* It is as it was asked to be, or cannot become so any more. */
                return strcmp(failure->name, "BadState") == 0 ? CTL_NOTHING : r;
        }
        if (common->json) {
                _cleanup_json_ struct json_object *document = json_object_new_object();

                json_object_object_add(document, "done", json_object_new_boolean(true));
                ctl_json_print(document, false);
                return 0;
        }
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
        return 0;
}
