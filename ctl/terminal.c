/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/text.h"

bool ctl_terminal_wants_colour(int fd, bool refused)
{
        const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");

        return !refused && !(no_colour && *no_colour) && isatty(fd) && !(kind && strcmp(kind, "dumb") == 0);
}

unsigned ctl_terminal_width(int fd)
{
        struct winsize size = { 0 };

        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
                return 80;
        return size.ws_col;
}

const char *ctl_colour(bool wanted, enum ctl_colour colour)
{
        static const char *const sequences[CTL_COLOURS] = { "\033[0m", "\033[1m", "\033[2m", "\033[31m",
                "\033[32m", "\033[33m", "\033[34m" };

        return wanted ? sequences[colour] : "";
}

static unsigned columns_of(uint32_t c)
{
        if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f))
                return 0;
        if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
                        (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) ||
                        (c >= 0xff00 && c <= 0xff60) || (c >= 0x1f300 && c <= 0x1faff) ||
                        (c >= 0x20000 && c <= 0x3fffd))
                return 2;
        return 1;
}

/* Bytes of the longest beginning that fits into `most` columns. */
static size_t fitting(const char *text, unsigned most, unsigned *ret_columns)
{
        size_t length = strlen(text), at = 0;
        unsigned columns = 0;

        while (at < length) {
                uint32_t c;
                size_t size = qvf_utf8_decode(text + at, length - at, &c);
                unsigned wide = size ? columns_of(c) : 1;

                if (columns + wide > most)
                        break;
                columns += wide;
                at += size ? size : 1;
        }
        *ret_columns = columns;
        return at;
}

unsigned ctl_columns(const char *text)
{
        unsigned columns;

        fitting(text, ~0u, &columns);
        return columns;
}

char *ctl_printable(const char *text, bool lines)
{
        struct qvf_text out = { 0 };
        size_t length = strlen(text), at = 0;
        int r = 0;

        while (r == 0 && at < length) {
                uint32_t c;
                size_t size = qvf_utf8_decode(text + at, length - at, &c);
                /* C0, C1, and what turns the direction of writing. */
                bool steers = !size || (c < 0x20 && !(lines && (c == '\n' || c == '\t'))) ||
                              (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
                              (c >= 0x2066 && c <= 0x2069);

                r = steers ? qvf_text_append_char(&out, '?') : qvf_text_append(&out, text + at, size);
                at += size ? size : 1;
        }
        if (r == 0 && !out.bytes)
                r = qvf_text_append_string(&out, "");
        if (r == 0)
                return out.bytes ? out.bytes : strdup("");
        qvf_text_exit(&out);
        return NULL;
}

void ctl_table_init(struct ctl_table *table, const char *headings)
{
        *table = (struct ctl_table){ 0 };
        while (*headings && table->columns < CTL_TABLE_COLUMNS) {
                size_t length = strcspn(headings, "|");
                bool right = *headings == '>';

                table->right[table->columns++] = right;
                ctl_table_add(table, CTL_DIM, "%.*s", (int)(length - right), headings + right);
                headings += length + (headings[length] == '|');
        }
}

void ctl_table_add(struct ctl_table *table, enum ctl_colour colour, const char *format, ...)
{
        struct ctl_cell *cells = reallocarray(table->cells, table->count + 1, sizeof(*cells));
        _cleanup_free_ char *text = NULL;
        va_list arguments;

        if (!cells)
                return;
        table->cells = cells;
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        cells[table->count++] = (struct ctl_cell){ text ? ctl_printable(text, false) : NULL, colour };
}

static const char *cell_text(const struct ctl_cell *cell)
{
        return cell->text ? cell->text : "";
}

static void print_cell(const struct ctl_cell *cell, unsigned width, bool right, bool last, bool colours)
{
        const char *text = cell_text(cell);
        unsigned columns = ctl_columns(text);
        int padding = columns < width ? (int)(width - columns) : 0;

        if (right)
                printf("%*s", padding, "");
        if (cell->colour != CTL_PLAIN)
                fputs(ctl_colour(colours, cell->colour), stdout);
        if (last && columns > width)
                printf("%.*s…", (int)fitting(text, width - 1, &columns), text);
        else
                fputs(text, stdout);
        if (cell->colour != CTL_PLAIN)
                fputs(ctl_colour(colours, CTL_PLAIN), stdout);
        if (!right && !last)
                printf("%*s", padding, "");
}

void ctl_table_print(struct ctl_table *table, bool colours)
{
        unsigned widths[CTL_TABLE_COLUMNS] = { 0 }, used = 0;

        for (size_t i = 0; i < table->count; i++) {
                unsigned columns = ctl_columns(cell_text(&table->cells[i]));

                if (columns > widths[i % table->columns])
                        widths[i % table->columns] = columns;
        }
        for (unsigned c = 0; c + 1 < table->columns; c++)
                used += widths[c] + 2;
        /* Only a terminal has an edge: what is piped is whole. */
        if (isatty(STDOUT_FILENO)) {
                unsigned width = ctl_terminal_width(STDOUT_FILENO), last = table->columns - 1;
                unsigned left = used + 10 < width ? width - used : 10;

                if (widths[last] > left)
                        widths[last] = left;
        }
        for (size_t i = 0; i < table->count; i++) {
                unsigned c = (unsigned)(i % table->columns);
                bool last = c + 1 == table->columns;

                print_cell(&table->cells[i], widths[c], table->right[c], last, colours);
                fputs(last ? "\n" : "  ", stdout);
        }
}

void ctl_table_exit(struct ctl_table *table)
{
        for (size_t i = 0; i < table->count; i++)
                free(table->cells[i].text);
        free(table->cells);
        *table = (struct ctl_table){ 0 };
}
