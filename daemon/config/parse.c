/* SPDX-License-Identifier: Apache-2.0 */
/* YAML events to values. The shape is known beforehand (a mapping of mappings of scalars and lists), so that whatever
 * else comes ends the reading at that event: nothing nests, no alias is ever followed, nothing grows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "common/checked.h"
#include "common/similar.h"
#include "daemon/config/keys.h"

/* More elements than any list may have: the value's own limit speaks first. */
enum { ELEMENTS_MOST = 64, SECTIONS_MOST = 16, KEYS_MOST = 64 };

struct reader {
        yaml_parser_t parser;
        yaml_event_t event;
        const char *name;
        const struct qvf_section *section; /* NULL: at the top */
        const struct qvf_key *key;
        size_t seen_sections[SECTIONS_MOST], seen_keys[KEYS_MOST]; /* the line of each; 0: not yet */
        struct qvf_config *config;
        struct qvf_error *error;
};

/* Puts place and key before the words. */
static int complain_at(const struct reader *reader, yaml_mark_t mark, int code, const char *words)
{
        return qvf_error_set(reader->error, code, "%.300s:%zu:%zu: %s%s%s%s%s", reader->name, mark.line + 1,
                        mark.column + 1, reader->section ? reader->section->name : "",
                        reader->key ? "." : "", reader->key ? reader->key->name : "",
                        reader->section ? ": " : "", words);
}

static int complain(const struct reader *reader, int code, const char *words)
{
        return complain_at(reader, reader->event.start_mark, code, words);
}

/* The next event; what no configuration needs is refused here, in one place. */
static int next(struct reader *reader)
{
        const unsigned char *anchor = NULL, *tag = NULL;

        yaml_event_delete(&reader->event);
        if (!yaml_parser_parse(&reader->parser, &reader->event)) {
                yaml_mark_t mark = reader->parser.problem_mark;
                char words[256];

                if (reader->parser.error == YAML_MEMORY_ERROR)
                        return complain_at(reader, mark, -ENOMEM, "out of memory");
                if (reader->parser.error == YAML_READER_ERROR)
                        mark = reader->parser.mark;
                snprintf(words, sizeof(words), "not YAML: %s",
                                reader->parser.problem ? reader->parser.problem : "unreadable");
                return complain_at(reader, mark, -EINVAL, words);
        }
        switch (reader->event.type) {
        case YAML_ALIAS_EVENT:
                return complain(reader, -EINVAL,
                                "an alias; put a pattern that begins with * between quotes");
        case YAML_SCALAR_EVENT:
                anchor = reader->event.data.scalar.anchor;
                tag = reader->event.data.scalar.tag;
                break;
        case YAML_SEQUENCE_START_EVENT:
                anchor = reader->event.data.sequence_start.anchor;
                tag = reader->event.data.sequence_start.tag;
                break;
        case YAML_MAPPING_START_EVENT:
                anchor = reader->event.data.mapping_start.anchor;
                tag = reader->event.data.mapping_start.tag;
                break;
        default: return 0;
        }
        if (anchor)
                return complain(reader, -EINVAL, "anchors have no use here");
        return tag ? complain(reader, -EINVAL, "tags have no use here") : 0;
}

/* The scalar as a C string; NULL where a NUL is inside. */
static const char *scalar(const struct reader *reader)
{
        const char *text = (const char *)reader->event.data.scalar.value;

        return strlen(text) == reader->event.data.scalar.length ? text : NULL;
}

static bool is_null(const struct reader *reader)
{
        const char *text = scalar(reader);

        return text && reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
               (!text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int unknown_section(const struct reader *reader, const char *name)
{
        const char *names[SECTIONS_MOST];
        const char *nearest;
        char words[400];
        int at;

        for (size_t i = 0; i < qvf_n_sections; i++)
                names[i] = qvf_sections[i].name;
        nearest = qvf_nearest_word(name, names, qvf_n_sections);
        at = snprintf(words, sizeof(words), "unknown key \"%.80s\"", name);
        if (nearest) {
                snprintf(words + at, sizeof(words) - (size_t)at, ", did you mean \"%s\"?", nearest);
                return complain(reader, -ENOENT, words);
        }
        for (size_t i = 0; i < qvf_n_sections; i++)
                if (qvf_key_find(&qvf_sections[i], name)) {
                        snprintf(words + at, sizeof(words) - (size_t)at, "; it belongs below \"%s:\"",
                                        qvf_sections[i].name);
                        break;
                }
        return complain(reader, -ENOENT, words);
}

static int unknown_key(const struct reader *reader, const char *name)
{
        const char *names[KEYS_MOST];
        const char *nearest;
        char words[400];
        int at = snprintf(words, sizeof(words), "unknown key \"%.80s\"", name);

        for (size_t i = 0; i < qvf_n_sections; i++)
                if (qvf_key_find(&qvf_sections[i], name)) {
                        snprintf(words + at, sizeof(words) - (size_t)at, "; it belongs below \"%s:\"",
                                        qvf_sections[i].name);
                        return complain(reader, -ENOENT, words);
                }
        for (size_t i = 0; i < reader->section->n_keys; i++)
                names[i] = reader->section->keys[i].name;
        nearest = qvf_nearest_word(name, names, reader->section->n_keys);
        if (nearest)
                snprintf(words + at, sizeof(words) - (size_t)at, ", did you mean \"%s\"?", nearest);
        return complain(reader, -ENOENT, words);
}

/* Remembers the line; a second one is an error, since one of the two would be lost in silence. */
static int once(const struct reader *reader, size_t *seen)
{
        char words[64];

        if (*seen == 0) {
                *seen = reader->event.start_mark.line + 1;
                return 0;
        }
        snprintf(words, sizeof(words), "given twice, first in line %zu", *seen);
        return complain(reader, -EEXIST, words);
}

static int set_value(const struct reader *reader, yaml_mark_t mark, const char *const *texts, size_t n)
{
        struct qvf_error error = { 0 };
        int r = qvf_key_set(reader->key, qvf_key_place(reader->section, reader->key, reader->config), texts,
                        n, &error);

        return r < 0 ? complain_at(reader, mark, r, error.text) : 0;
}

static int read_list(struct reader *reader)
{
        char *texts[ELEMENTS_MOST];
        yaml_mark_t mark = reader->event.start_mark;
        size_t n = 0;
        int r = 0;

        while ((r = next(reader)) == 0 && reader->event.type != YAML_SEQUENCE_END_EVENT) {
                if (reader->event.type != YAML_SCALAR_EVENT || !scalar(reader))
                        r = complain(reader, -EINVAL, "a list holds plain words only");
                else if (n == ELEMENTS_MOST)
                        r = complain(reader, -ERANGE, "too long a list");
                else if (!(texts[n] = strdup(scalar(reader))))
                        r = complain(reader, -ENOMEM, "out of memory");
                if (r < 0)
                        break;
                n++;
        }
        if (r == 0)
                r = set_value(reader, mark, (const char *const *)texts, n);
        while (n > 0)
                free(texts[--n]);
        return r;
}

static int wrong_type(const struct reader *reader, const char *found)
{
        _cleanup_text_ struct qvf_text expected = { 0 }, words = { 0 };

        if (qvf_key_expects(reader->key, &expected) < 0 ||
                        qvf_text_appendf(&words, "expected %s, not %s", qvf_text_string(&expected), found) <
                                        0)
                return -ENOMEM;
        return complain(reader, -EINVAL, qvf_text_string(&words));
}

static int read_value(struct reader *reader)
{
        const char *text;
        int r = next(reader);

        if (r < 0)
                return r;
        if (reader->event.type == YAML_SEQUENCE_START_EVENT && qvf_key_is_list(reader->key))
                return read_list(reader);
        if (reader->event.type != YAML_SCALAR_EVENT)
                return wrong_type(reader, reader->event.type == YAML_SEQUENCE_START_EVENT ? "a list"
                                                                                          : "keys below it");
        text = scalar(reader);
        if (!text)
                return complain(reader, -EINVAL, "a NUL byte inside");
        if (is_null(reader))
                return wrong_type(reader, "nothing");
        /* "yes" between quotes is a word, not a yes. */
        if (reader->key->type == QVF_KEY_BOOL && reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
                return wrong_type(reader, "a text in quotes");
        return set_value(reader, reader->event.start_mark, &text, 1);
}

static int read_keys(struct reader *reader)
{
        int r;

        memset(reader->seen_keys, 0, sizeof(reader->seen_keys));
        while ((r = next(reader)) == 0 && reader->event.type != YAML_MAPPING_END_EVENT) {
                const char *name;

                if (reader->event.type != YAML_SCALAR_EVENT || !(name = scalar(reader)))
                        return complain(reader, -EINVAL, "a key must be a word");
                reader->key = qvf_key_find(reader->section, name);
                if (!reader->key)
                        return unknown_key(reader, name);
                r = once(reader, &reader->seen_keys[reader->key - reader->section->keys]);
                if (r == 0)
                        r = read_value(reader);
                if (r < 0)
                        return r;
                reader->key = NULL;
        }
        return r;
}

static int read_section(struct reader *reader)
{
        int r = next(reader);

        if (r < 0)
                return r;
        /* All its keys may be commented out. */
        if (reader->event.type == YAML_SCALAR_EVENT && is_null(reader))
                return 0;
        if (reader->event.type != YAML_MAPPING_START_EVENT)
                return complain(reader, -EINVAL, "expected keys below it, each as \"key: value\"");
        return read_keys(reader);
}

static int read_sections(struct reader *reader)
{
        int r;

        while ((r = next(reader)) == 0 && reader->event.type != YAML_MAPPING_END_EVENT) {
                const char *name;

                if (reader->event.type != YAML_SCALAR_EVENT || !(name = scalar(reader)))
                        return complain(reader, -EINVAL, "a key must be a word");
                reader->section = qvf_section_find(name);
                if (!reader->section)
                        return unknown_section(reader, name);
                r = once(reader, &reader->seen_sections[reader->section - qvf_sections]);
                if (r == 0)
                        r = read_section(reader);
                if (r < 0)
                        return r;
                reader->section = NULL;
        }
        return r;
}

static int read_document(struct reader *reader)
{
        int r = next(reader); /* the stream's start */

        if (r == 0)
                r = next(reader);
        if (r < 0 || reader->event.type == YAML_STREAM_END_EVENT)
                return r;
        r = next(reader); /* after the document's start */
        if (r < 0)
                return r;
        if (reader->event.type == YAML_MAPPING_START_EVENT)
                r = read_sections(reader);
        else if (reader->event.type != YAML_SCALAR_EVENT || !is_null(reader))
                r = complain(reader, -EINVAL,
                                "expected keys, as \"training:\" with \"idle_for: 5min\" below it");
        if (r == 0)
                r = next(reader); /* the document's end */
        if (r == 0)
                r = next(reader);
        if (r == 0 && reader->event.type != YAML_STREAM_END_EVENT)
                r = complain(reader, -EINVAL, "a second document; one file holds one");
        return r;
}

int qvf_config_merge(struct qvf_config *config, const char *name, const char *yaml, size_t length,
                struct qvf_error *error)
{
        struct qvf_config merged = *config;
        struct reader reader = { .name = name, .config = &merged, .error = error };
        int r;

        if (!yaml_parser_initialize(&reader.parser))
                return qvf_error_set(error, -ENOMEM, "%.300s: out of memory", name);
        yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reader.parser, (const unsigned char *)yaml, length);
        r = read_document(&reader);
        yaml_event_delete(&reader.event);
        yaml_parser_delete(&reader.parser);
        if (r == 0)
                *config = merged;
        return r;
}
