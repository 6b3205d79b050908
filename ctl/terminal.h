/* SPDX-License-Identifier: Apache-2.0 */
/* What a terminal shows: colours, width, tables, text from strangers. */
#ifndef QVF_CTL_TERMINAL_H
#define QVF_CTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ctl_colour { CTL_PLAIN, CTL_BOLD, CTL_DIM, CTL_RED, CTL_GREEN, CTL_YELLOW, CTL_BLUE, CTL_COLOURS };

/* Only on a terminal that is not "dumb", and never with NO_COLOR (https://no-color.org) or `refused`. */
bool ctl_terminal_wants_colour(int fd, bool refused);
/* Columns of the terminal; 80 where it does not say. */
unsigned ctl_terminal_width(int fd);
/* The sequence that begins a colour; CTL_PLAIN ends it. "" without colours. */
const char *ctl_colour(bool wanted, enum ctl_colour colour);
/* How many columns a text takes (wide characters count 2, combining ones 0). */
unsigned ctl_columns(const char *text);
/* A copy in which nothing steers a terminal, to free(): control characters become "?"; newlines stay when `lines`. */
char *ctl_printable(const char *text, bool lines);

/* A table: cells in rows, as wide as they must be; the last column is cut at the edge of a terminal. */
enum { CTL_TABLE_COLUMNS = 10 };

struct ctl_cell {
        char *text;
        enum ctl_colour colour;
};

struct ctl_table {
        unsigned columns;
        bool right[CTL_TABLE_COLUMNS]; /* numbers */
        struct ctl_cell *cells;
        size_t count;
};

/* The headings, with "|" between them; ">" before one that stands to the right. */
void ctl_table_init(struct ctl_table *table, const char *headings);
void ctl_table_add(struct ctl_table *table, enum ctl_colour colour, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
void ctl_table_print(struct ctl_table *table, bool colours);
void ctl_table_exit(struct ctl_table *table);
#define _cleanup_table_ __attribute__((cleanup(ctl_table_exit)))

#endif
