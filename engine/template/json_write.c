/* SPDX-License-Identifier: Apache-2.0 */
/* tojson, as Hugging Face has it: json.dumps with ensure_ascii off. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/template/machine.h"

struct writer {
        struct jinja_builder *builder;
        const struct jinja_json_style *style;
        uint32_t level;
};

static int write_value(struct writer *writer, const struct jinja_value *value);

static int write_unit(struct jinja_builder *builder, uint32_t unit, uint32_t origin)
{
        char text[12];

        snprintf(text, sizeof(text), "\\u%04x", unit);
        return qvf_jinja_build(builder, text, 6, origin);
}

static int write_escape(struct jinja_builder *builder, uint32_t codepoint, uint32_t origin)
{
        static const char letters[] = "\"\\\n\r\t\b\f", names[] = "\"\\nrtbf";
        const char *letter = codepoint && codepoint < 0x80 ? strchr(letters, (int)codepoint) : NULL;
        int r;

        if (letter) {
                char escaped[2] = { '\\', names[letter - letters] };

                return qvf_jinja_build(builder, escaped, 2, origin);
        }
        if (codepoint < 0x10000)
                return write_unit(builder, codepoint, origin);
        r = write_unit(builder, 0xd800 + ((codepoint - 0x10000) >> 10), origin);
        return r < 0 ? r : write_unit(builder, 0xdc00 + ((codepoint - 0x10000) & 0x3ff), origin);
}

static int write_string(struct writer *writer, const struct jinja_string *string)
{
        struct jinja_builder *builder = writer->builder;
        uint32_t plain = 0, size, codepoint;
        int r = qvf_jinja_build_literal(builder, "\"");

        for (uint32_t at = 0; r >= 0 && at < string->length; at += size) {
                size = qvf_jinja_string_step(string, at, &codepoint);
                if (codepoint >= 0x20 && codepoint != '"' && codepoint != '\\' &&
                                (codepoint < 0x80 || !writer->style->ascii))
                        continue;
                r = qvf_jinja_build_slice(builder, string, plain, at);
                if (r >= 0)
                        r = write_escape(builder, codepoint, qvf_jinja_string_run_at(string, at).origin);
                plain = at + size;
        }
        if (r >= 0)
                r = qvf_jinja_charge_characters(builder->machine, string->length);
        if (r >= 0)
                r = qvf_jinja_build_slice(builder, string, plain, string->length);
        return r < 0 ? r : qvf_jinja_build_literal(builder, "\"");
}

static int new_line(struct writer *writer)
{
        int r = 0;

        if (!writer->style->has_indent)
                return 0;
        r = qvf_jinja_build_literal(writer->builder, "\n");
        for (uint32_t i = 0; r >= 0 && i < writer->level; i++)
                r = qvf_jinja_build_string(writer->builder, &writer->style->indent);
        return r;
}

/* What comes before an item: the separator unless it is the first, and the line it stands in. */
static int begin_item(struct writer *writer, bool first)
{
        int r = first ? 0 : qvf_jinja_build_string(writer->builder, &writer->style->item_separator);

        return r < 0 ? r : new_line(writer);
}

static int write_list(struct writer *writer, const struct jinja_list *list)
{
        int r = qvf_jinja_build_literal(writer->builder, "[");

        writer->level++;
        for (size_t i = 0; r >= 0 && i < list->count; i++) {
                r = begin_item(writer, i == 0);
                if (r >= 0)
                        r = write_value(writer, &list->items[i]);
        }
        writer->level--;
        if (r >= 0 && list->count > 0)
                r = new_line(writer);
        return r < 0 ? r : qvf_jinja_build_literal(writer->builder, "]");
}

static int write_key(struct writer *writer, const struct jinja_value *key)
{
        struct jinja_value text;
        char number[32];

        switch (key->kind) {
        case JINJA_STRING: return write_string(writer, &key->string);
        case JINJA_NONE: text = qvf_jinja_literal("null"); break;
        case JINJA_BOOLEAN: text = qvf_jinja_literal(key->boolean ? "true" : "false"); break;
        case JINJA_INTEGER:
                snprintf(number, sizeof(number), "%lld", (long long)key->integer);
                text = qvf_jinja_literal(number);
                break;
        case JINJA_FLOAT:
                qvf_jinja_format_float(key->real, number);
                text = qvf_jinja_literal(number);
                break;
        default:
                return qvf_jinja_fail(writer->builder->machine, -EINVAL, "%s cannot be a key in JSON",
                                qvf_jinja_kind_name(key));
        }
        return write_string(writer, &text.string);
}

static int compare_keys(const void *a, const void *b)
{
        const struct jinja_string *left = &((const struct jinja_entry *)a)->key.string;
        const struct jinja_string *right = &((const struct jinja_entry *)b)->key.string;
        int order = memcmp(left->bytes, right->bytes,
                        left->length < right->length ? left->length : right->length);

        return order ? order : (left->length > right->length) - (left->length < right->length);
}

/* *entries becomes a sorted copy. */
static int sort_entries(struct jinja_machine *machine, const struct jinja_dict *dict,
                const struct jinja_entry **entries)
{
        struct jinja_entry *sorted = qvf_jinja_allocate(machine, dict->count, sizeof(*sorted));

        if (!sorted)
                return -E2BIG;
        for (uint32_t i = 0; i < dict->count; i++) {
                if (dict->entries[i].key.kind != JINJA_STRING)
                        return qvf_jinja_fail(machine, -EINVAL, "only string keys can be sorted");
                sorted[i] = dict->entries[i];
        }
        qsort(sorted, dict->count, sizeof(*sorted), compare_keys);
        *entries = sorted;
        return qvf_jinja_charge(machine, dict->count);
}

static int write_dict(struct writer *writer, const struct jinja_dict *dict)
{
        const struct jinja_entry *entries = dict->entries;
        int r = qvf_jinja_build_literal(writer->builder, "{");

        if (r >= 0 && writer->style->sort_keys && dict->count > 1)
                r = sort_entries(writer->builder->machine, dict, &entries);
        writer->level++;
        for (uint32_t i = 0; r >= 0 && i < dict->count; i++) {
                r = begin_item(writer, i == 0);
                if (r >= 0)
                        r = write_key(writer, &entries[i].key);
                if (r >= 0)
                        r = qvf_jinja_build_string(writer->builder, &writer->style->key_separator);
                if (r >= 0)
                        r = write_value(writer, &entries[i].value);
        }
        writer->level--;
        if (r >= 0 && dict->count > 0)
                r = new_line(writer);
        return r < 0 ? r : qvf_jinja_build_literal(writer->builder, "}");
}

static int write_float(struct writer *writer, double number)
{
        char text[32];

        qvf_jinja_format_float(number, text);
        if (isnan(number) || isinf(number))
                strcpy(text, isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
        return qvf_jinja_build_literal(writer->builder, text);
}

static int write_kind(struct writer *writer, const struct jinja_value *value)
{
        switch (value->kind) {
        case JINJA_NONE: return qvf_jinja_build_literal(writer->builder, "null");
        case JINJA_BOOLEAN:
                return qvf_jinja_build_literal(writer->builder, value->boolean ? "true" : "false");
        case JINJA_INTEGER: return qvf_jinja_write(writer->builder, value);
        case JINJA_FLOAT: return write_float(writer, value->real);
        case JINJA_STRING: return write_string(writer, &value->string);
        case JINJA_LIST:
                if (value->list->flavour > JINJA_TUPLE)
                        break;
                return write_list(writer, value->list);
        case JINJA_DICT:
                if (value->dict->is_namespace)
                        break;
                return write_dict(writer, value->dict);
        default: break;
        }
        return qvf_jinja_fail(writer->builder->machine, -EINVAL, "%s has no form in JSON",
                        qvf_jinja_kind_name(value));
}

static int write_value(struct writer *writer, const struct jinja_value *value)
{
        struct jinja_machine *machine = writer->builder->machine;
        int r = qvf_jinja_enter(machine);

        if (r < 0)
                return r;
        r = write_kind(writer, value);
        qvf_jinja_leave(machine);
        return r;
}

int qvf_jinja_json_write(struct jinja_builder *builder, const struct jinja_value *value,
                const struct jinja_json_style *style)
{
        struct writer writer = { .builder = builder, .style = style };

        return write_value(&writer, value);
}
