/* SPDX-License-Identifier: Apache-2.0 */
/* One line at a time from a terminal, with a history and the usual keys; from anything else, plain lines. */
#ifndef QVF_CTL_LINE_EDITOR_H
#define QVF_CTL_LINE_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/text.h"

enum { CTL_HISTORY = 200 };

struct ctl_line_editor {
        bool terminal;
        char *history[CTL_HISTORY]; /* the oldest first */
        size_t history_count;
        /* Of the line that is edited: */
        struct qvf_text line;
        size_t cursor;   /* a byte */
        size_t recalled; /* place in the history; history_count: the new line */
        char *kept;      /* the new line while an old one is shown */
        const char *prompt;
};

void ctl_line_editor_init(struct ctl_line_editor *editor);
void ctl_line_editor_exit(struct ctl_line_editor *editor);
/* 1 and a line to free(), 0 at the end of the input, -EINTR on Ctrl-C. */
int ctl_line_editor_read(struct ctl_line_editor *editor, const char *prompt, char **ret_line);
/* Keeps a line, unless it is the last one's like. */
void ctl_line_editor_remember(struct ctl_line_editor *editor, const char *line);
/* The history of earlier runs: up to CTL_HISTORY lines of a file. */
void ctl_line_editor_load(struct ctl_line_editor *editor, const char *path);
void ctl_line_editor_save(const struct ctl_line_editor *editor, const char *path);

/* One key: changes the line. 1: the line is done; 0: go on; -EINTR, or -ENODATA for the end. `read_byte` gives the next
 * byte, or -1. */
int ctl_line_editor_key(
                struct ctl_line_editor *editor, int key, int (*read_byte)(void *context), void *context);

#endif
