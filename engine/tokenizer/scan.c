/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tokenizer/scan.h"

#include <string.h>

#include "common/text.h"

/* Every class that the expressions below write as \p{L} and \p{N}, and both with \s. */
#define LETTER_NUMBER (QVF_CLASS_LETTER | QVF_CLASS_NUMBER)
#define NO_PUNCTUATION (QVF_CLASS_SPACE | QVF_CLASS_LETTER | QVF_CLASS_NUMBER)

static int byte_at(const struct qvf_scan *scan, size_t position)
{
        return position < scan->end ? (unsigned char)scan->bytes[position] : -1;
}

static bool is_newline(int byte)
{
        return byte == '\r' || byte == '\n';
}

static bool is_any(const struct qvf_scan *scan, size_t position, uint8_t classes)
{
        return position < scan->end && (scan->classes[position] & classes);
}

static bool is_none(const struct qvf_scan *scan, size_t position, uint8_t classes)
{
        return position < scan->end && !(scan->classes[position] & classes);
}

/* The character after the one at `position`. */
static size_t after(const struct qvf_scan *scan, size_t position)
{
        do
                position++;
        while (position < scan->end && scan->classes[position] == QVF_CLASS_INSIDE);
        return position;
}

static size_t skip_any(const struct qvf_scan *scan, size_t position, uint8_t classes)
{
        while (position < scan->end && (scan->classes[position] & classes))
                position++;
        return position;
}

static size_t skip_none(const struct qvf_scan *scan, size_t position, uint8_t classes)
{
        while (position < scan->end && (!(scan->classes[position] & classes) ||
                                                       scan->classes[position] == QVF_CLASS_INSIDE))
                position++;
        return position;
}

static size_t skip_bytes(const struct qvf_scan *scan, size_t position, const char *bytes)
{
        while (position < scan->end && scan->bytes[position] && strchr(bytes, scan->bytes[position]))
                position++;
        return position;
}

/* 's|'t|'re|'ve|'m|'ll|'d at `position`: its end, or `position`. */
static size_t contraction(const struct qvf_scan *scan, size_t position, bool any_case)
{
        const int fold = any_case ? 0x20 : 0;
        int first, second;

        if (byte_at(scan, position) != '\'' || position + 1 >= scan->end)
                return position;
        first = byte_at(scan, position + 1) | fold;
        if (first == 's' || first == 't' || first == 'm' || first == 'd')
                return position + 2;
        if (position + 2 >= scan->end)
                return position;
        second = byte_at(scan, position + 2) | fold;
        if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l'))
                return position + 3;
        return position;
}

/* \s+(?!\S)|\s+ and, with `newlines`, \s*[\r\n]+ before it. `position` where no whitespace is. */
static size_t whitespace(const struct qvf_scan *scan, size_t position, bool newlines)
{
        size_t end = skip_any(scan, position, QVF_CLASS_SPACE), last = end;

        if (newlines)
                for (size_t i = end; i > position; i--)
                        if (is_newline(byte_at(scan, i - 1)))
                                return i;
        if (end == scan->end || end == position)
                return end;
        do
                last--;
        while (scan->classes[last] == QVF_CLASS_INSIDE);
        return last > position ? last : end;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t qvf_scan_gpt2(const struct qvf_scan *scan, size_t position, const void *rule)
{
        size_t end = contraction(scan, position, false);
        size_t start = position + (byte_at(scan, position) == ' ');

        (void)rule;
        if (end > position)
                return end;
        if (is_any(scan, start, QVF_CLASS_LETTER))
                return skip_any(scan, start, QVF_CLASS_LETTER);
        if (is_any(scan, start, QVF_CLASS_NUMBER))
                return skip_any(scan, start, QVF_CLASS_NUMBER);
        if (is_none(scan, start, NO_PUNCTUATION))
                return skip_none(scan, start, NO_PUNCTUATION);
        return whitespace(scan, position, false);
}

#define CAPITAL (QVF_CLASS_UPPER | QVF_CLASS_CASELESS | QVF_CLASS_MARK)
#define SMALL (QVF_CLASS_LOWER | QVF_CLASS_CASELESS | QVF_CLASS_MARK)

/* With U for [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and W for [\p{Ll}\p{Lm}\p{Lo}\p{M}]: U*W+ at `position`, or 0.
 */
static size_t capitals_then_small(const struct qvf_scan *scan, size_t position)
{
        size_t end = skip_any(scan, position, CAPITAL);

        if (is_any(scan, end, SMALL))
                return skip_any(scan, end, SMALL);
        /* U* took all there was: it gives back from its end until W finds one that is in both. */
        while (end > position) {
                size_t next = end;

                do
                        end--;
                while (scan->classes[end] == QVF_CLASS_INSIDE);
                if (scan->classes[end] & SMALL)
                        return next;
        }
        return 0;
}

/* [^\r\n\p{L}\p{N}]?U*W+|[^\r\n\p{L}\p{N}]?U+W*, or 0 */
static size_t cased_word(const struct qvf_scan *scan, size_t position)
{
        size_t starts[2] = { position, position }, end;

        if (is_none(scan, position, LETTER_NUMBER) && !is_newline(byte_at(scan, position)))
                starts[0] = after(scan, position);
        for (size_t i = 0; i < 2; i++) {
                end = capitals_then_small(scan, starts[i]);
                if (end)
                        return end;
        }
        for (size_t i = 0; i < 2; i++)
                if (is_any(scan, starts[i], CAPITAL))
                        return skip_any(scan, skip_any(scan, starts[i], CAPITAL), SMALL);
        return 0;
}

/* [^\r\n\p{L}\p{N}]?\p{L}+, or 0 */
static size_t plain_word(const struct qvf_scan *scan, size_t position)
{
        if (is_none(scan, position, LETTER_NUMBER) && !is_newline(byte_at(scan, position)))
                position = after(scan, position);
        return is_any(scan, position, QVF_CLASS_LETTER) ? skip_any(scan, position, QVF_CLASS_LETTER) : 0;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|word|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[after]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
size_t qvf_scan_words(const struct qvf_scan *scan, size_t position, const void *rule)
{
        const struct qvf_words_rule *words = rule;
        size_t end, start;

        if (words->contractions) {
                end = contraction(scan, position, true);
                if (end > position)
                        return end;
        }
        end = words->cased ? cased_word(scan, position) : plain_word(scan, position);
        if (end)
                return words->suffixes ? contraction(scan, end, true) : end;
        if (is_any(scan, position, QVF_CLASS_NUMBER)) {
                for (unsigned i = 0; i < words->digits && is_any(scan, position, QVF_CLASS_NUMBER); i++)
                        position = after(scan, position);
                return position;
        }
        start = position + (byte_at(scan, position) == ' ');
        if (is_none(scan, start, NO_PUNCTUATION))
                return skip_bytes(scan, skip_none(scan, start, NO_PUNCTUATION), words->after);
        return whitespace(scan, position, true);
}

static bool is_ascii_letter(int byte)
{
        return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool is_ascii_mark(int byte)
{
        return byte > ' ' && byte < 0x7f && !is_ascii_letter(byte) && !(byte >= '0' && byte <= '9');
}

/* [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
 * ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ or `position` where none of these is. */
static size_t deepseek3_match(const struct qvf_scan *scan, size_t position)
{
        const uint8_t word = QVF_CLASS_LETTER | QVF_CLASS_MARK;
        const uint8_t mark = QVF_CLASS_PUNCTUATION | QVF_CLASS_SYMBOL;
        size_t start = position;

        if (is_ascii_mark(byte_at(scan, position)) && is_ascii_letter(byte_at(scan, position + 1))) {
                do
                        start++;
                while (is_ascii_letter(byte_at(scan, start)));
                return start;
        }
        if (is_none(scan, position, QVF_CLASS_LETTER | mark) && !is_newline(byte_at(scan, position)))
                start = after(scan, position);
        if (is_any(scan, start, word) || is_any(scan, position, word))
                return skip_any(scan, start, word);
        start = position + (byte_at(scan, position) == ' ');
        if (is_any(scan, start, mark))
                return skip_bytes(scan, skip_any(scan, start, mark), "\r\n");
        return whitespace(scan, position, true);
}

/* What no alternative takes lies between two pieces and is one piece itself. */
size_t qvf_scan_deepseek3(const struct qvf_scan *scan, size_t position, const void *rule)
{
        size_t end = deepseek3_match(scan, position);

        (void)rule;
        if (end > position)
                return end;
        do
                position = after(scan, position);
        while (position < scan->end && deepseek3_match(scan, position) == position);
        return position;
}

static bool in_ranges(const struct qvf_scan *scan, size_t position, const struct qvf_isolate_rule *rule)
{
        size_t first = 0, end = rule->n_ranges;
        uint32_t codepoint;

        if (!end || !qvf_utf8_decode(scan->bytes + position, scan->end - position, &codepoint))
                return false;
        while (first < end) {
                size_t middle = first + (end - first) / 2;

                if (codepoint > rule->ranges[middle].last)
                        first = middle + 1;
                else if (codepoint < rule->ranges[middle].first)
                        end = middle;
                else
                        return true;
        }
        return false;
}

static bool is_isolated(const struct qvf_scan *scan, size_t position, const struct qvf_isolate_rule *rule)
{
        const int byte = byte_at(scan, position);
        bool found;

        if (byte < 0)
                return false;
        found = is_any(scan, position, rule->classes) ||
                (byte && rule->ascii && strchr(rule->ascii, byte)) || in_ranges(scan, position, rule);
        return found != rule->negated;
}

/* The end of the isolated piece at `position`, or `position`. */
static size_t isolated_piece(
                const struct qvf_scan *scan, size_t position, const struct qvf_isolate_rule *rule)
{
        size_t end = position;
        unsigned count = 0;

        if ((rule->lead == QVF_LEAD_SPACE && byte_at(scan, position) == ' ') ||
                        (rule->lead == QVF_LEAD_WHITESPACE && is_any(scan, position, QVF_CLASS_SPACE)))
                end = after(scan, position);
        /* A leading space that is isolated itself may have to stand for the first character. */
        if (end > position && !is_isolated(scan, end, rule))
                end = position;
        while ((!rule->maximum || count < rule->maximum) && is_isolated(scan, end, rule)) {
                end = after(scan, end);
                count++;
        }
        return count >= rule->minimum ? end : position;
}

size_t qvf_scan_isolate(const struct qvf_scan *scan, size_t position, const void *rule_pointer)
{
        const struct qvf_isolate_rule *rule = rule_pointer;
        size_t end;

        if (rule->only_at_end) {
                size_t tail = scan->end;

                while (tail > position && (scan->classes[tail - 1] & rule->classes))
                        tail--;
                while (tail < scan->end && scan->classes[tail] == QVF_CLASS_INSIDE)
                        tail++;
                return tail > position ? tail : scan->end;
        }
        end = isolated_piece(scan, position, rule);
        if (end > position)
                return end;
        do
                position = after(scan, position);
        while (position < scan->end && isolated_piece(scan, position, rule) == position);
        return position;
}
