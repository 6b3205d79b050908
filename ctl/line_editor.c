/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/line_editor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "ctl/terminal.h"

enum { LINE_LIMIT = 1 << 16 };
enum {
        CTRL_A = 1,
        CTRL_B,
        CTRL_C,
        CTRL_D,
        CTRL_E,
        CTRL_F,
        CTRL_H = 8,
        TAB,
        NEWLINE,
        CTRL_K,
        CTRL_L,
        RETURN
};
enum { CTRL_N = 14, CTRL_P = 16, CTRL_U = 21, CTRL_W = 23, ESCAPE = 27, DELETE = 127 };

void ctl_line_editor_init(struct ctl_line_editor *editor)
{
        *editor = (struct ctl_line_editor){ .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
                .line.limit = LINE_LIMIT };
}

void ctl_line_editor_exit(struct ctl_line_editor *editor)
{
        for (size_t i = 0; i < editor->history_count; i++)
                free(editor->history[i]);
        qvf_text_exit(&editor->line);
        free(editor->kept);
        *editor = (struct ctl_line_editor){ 0 };
}

void ctl_line_editor_remember(struct ctl_line_editor *editor, const char *line)
{
        char *copy;

        if (!*line || (editor->history_count > 0 &&
                                      strcmp(editor->history[editor->history_count - 1], line) == 0))
                return;
        copy = strdup(line);
        if (!copy)
                return;
        if (editor->history_count == CTL_HISTORY) {
                free(editor->history[0]);
                memmove(editor->history, editor->history + 1,
                                (CTL_HISTORY - 1) * sizeof(editor->history[0]));
                editor->history_count--;
        }
        editor->history[editor->history_count++] = copy;
}

void ctl_line_editor_load(struct ctl_line_editor *editor, const char *path)
{
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        _cleanup_free_ char *line = NULL;
        size_t room = 0;
        ssize_t length;

        while (file && (length = getline(&line, &room, file)) > 0) {
                if (line[length - 1] == '\n')
                        line[length - 1] = 0;
                ctl_line_editor_remember(editor, line);
        }
}

void ctl_line_editor_save(const struct ctl_line_editor *editor, const char *path)
{
        _cleanup_text_ struct qvf_text text = { 0 };

        for (size_t i = 0; i < editor->history_count; i++)
                qvf_text_appendf(&text, "%s\n", editor->history[i]);
        /* A history that can't be kept is no reason to complain. */
        qvf_atomic_file_put(AT_FDCWD, path, 0600, text.bytes, text.length, NULL);
}

static size_t before(const char *text, size_t at)
{
        do
                at--;
        while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80);
        return at;
}

static size_t after(const struct qvf_text *line, size_t at)
{
        do
                at++;
        while (at < line->length && ((unsigned char)line->bytes[at] & 0xc0) == 0x80);
        return at;
}

static void cut(struct ctl_line_editor *editor, size_t from, size_t to)
{
        memmove(editor->line.bytes + from, editor->line.bytes + to, editor->line.length - to + 1);
        editor->line.length -= to - from;
        editor->cursor = from;
}

static void insert(struct ctl_line_editor *editor, const char *bytes, size_t length)
{
        struct qvf_text *line = &editor->line;
        size_t end = line->length;

        if (qvf_text_append(line, bytes, length) < 0)
                return;
        memmove(line->bytes + editor->cursor + length, line->bytes + editor->cursor, end - editor->cursor);
        memcpy(line->bytes + editor->cursor, bytes, length);
        editor->cursor += length;
}

static void set_line(struct ctl_line_editor *editor, const char *text)
{
        qvf_text_clear(&editor->line);
        qvf_text_append_string(&editor->line, text);
        editor->cursor = editor->line.length;
}

static void recall(struct ctl_line_editor *editor, int direction)
{
        if (direction < 0 ? editor->recalled == 0 : editor->recalled >= editor->history_count)
                return;
        if (editor->recalled == editor->history_count) {
                free(editor->kept);
                editor->kept = strdup(qvf_text_string(&editor->line));
        }
        editor->recalled += (size_t)direction;
        if (editor->recalled < editor->history_count)
                set_line(editor, editor->history[editor->recalled]);
        else
                set_line(editor, editor->kept ? editor->kept : "");
}

static void cut_word(struct ctl_line_editor *editor)
{
        size_t from = editor->cursor;

        while (from > 0 && editor->line.bytes[from - 1] == ' ')
                from--;
        while (from > 0 && editor->line.bytes[from - 1] != ' ')
                from--;
        if (from < editor->cursor)
                cut(editor, from, editor->cursor);
}

/* ESC [ A and their like, as xterm and the console send them. */
static int escape_key(int (*read_byte)(void *context), void *context)
{
        int second = read_byte(context), key;

        if (second != '[' && second != 'O')
                return 0;
        key = read_byte(context);
        if (key >= '0' && key <= '9') {
                int number = key - '0', last;

                while ((last = read_byte(context)) >= '0' && last <= '9')
                        number = number < 100 ? 10 * number + last - '0' : number;
                if (last != '~')
                        return 0;
                return number == 3                  ? CTRL_D + 256
                       : number == 1 || number == 7 ? CTRL_A
                       : number == 4 || number == 8 ? CTRL_E
                                                    : 0;
        }
        switch (key) {
        case 'A': return CTRL_P;
        case 'B': return CTRL_N;
        case 'C': return CTRL_F;
        case 'D': return CTRL_B;
        case 'H': return CTRL_A;
        case 'F': return CTRL_E;
        default: return 0;
        }
}

static void type_character(
                struct ctl_line_editor *editor, int first, int (*read_byte)(void *context), void *context)
{
        char bytes[4] = { (char)first };
        size_t length = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
        uint32_t ignored;

        for (size_t i = 1; i < length; i++)
                bytes[i] = (char)read_byte(context);
        if (length > 0 && first >= 0x20 && qvf_utf8_decode(bytes, length, &ignored) == length)
                insert(editor, bytes, length);
}

int ctl_line_editor_key(
                struct ctl_line_editor *editor, int key, int (*read_byte)(void *context), void *context)
{
        struct qvf_text *line = &editor->line;

        if (key == ESCAPE)
                key = escape_key(read_byte, context);
        switch (key) {
        case RETURN:
        case NEWLINE: return 1;
        case -1: return -ENODATA;
        case CTRL_C: return -EINTR;
        case CTRL_D:
                if (line->length == 0)
                        return -ENODATA;
                __attribute__((fallthrough));
        case CTRL_D + 256:
                if (editor->cursor < line->length)
                        cut(editor, editor->cursor, after(line, editor->cursor));
                break;
        case CTRL_H:
        case DELETE:
                if (editor->cursor > 0)
                        cut(editor, before(line->bytes, editor->cursor), editor->cursor);
                break;
        case CTRL_A: editor->cursor = 0; break;
        case CTRL_E: editor->cursor = line->length; break;
        case CTRL_B:
                if (editor->cursor > 0)
                        editor->cursor = before(line->bytes, editor->cursor);
                break;
        case CTRL_F:
                if (editor->cursor < line->length)
                        editor->cursor = after(line, editor->cursor);
                break;
        case CTRL_K:
                if (editor->cursor < line->length)
                        cut(editor, editor->cursor, line->length);
                break;
        case CTRL_U:
                if (editor->cursor > 0)
                        cut(editor, 0, editor->cursor);
                break;
        case CTRL_W: cut_word(editor); break;
        case CTRL_P: recall(editor, -1); break;
        case CTRL_N: recall(editor, 1); break;
        case 0:
        case TAB: break;
        default: type_character(editor, key, read_byte, context); break;
        }
        return 0;
}

/* The part of the line around the cursor that fits, on one row of the terminal. */
static void draw(const struct ctl_line_editor *editor)
{
        unsigned width = ctl_terminal_width(STDOUT_FILENO), prompt = ctl_columns(editor->prompt);
        unsigned room = width > prompt + 10 ? width - prompt - 1 : 10;
        const char *text = qvf_text_string(&editor->line);
        _cleanup_free_ char *head = strndup(text, editor->cursor), *shown = NULL;
        const char *start = head;
        size_t from;

        if (!head)
                return;
        while (ctl_columns(start) >= room)
                start += after(&editor->line, (size_t)(start - head)) - (size_t)(start - head);
        from = (size_t)(start - head);
        shown = strdup(text + from);
        while (shown && ctl_columns(shown) > room)
                shown[before(shown, strlen(shown))] = 0;
        printf("\r%s%s\033[K\r", editor->prompt, shown ? shown : "");
        if (prompt + ctl_columns(start) > 0)
                printf("\033[%uC", prompt + ctl_columns(start));
        fflush(stdout);
}

static int read_byte_of_terminal(void *context)
{
        unsigned char byte;
        ssize_t count;

        (void)context;
        do
                count = read(STDIN_FILENO, &byte, 1);
        while (count < 0 && errno == EINTR);
        return count == 1 ? byte : -1;
}

static int edit(struct ctl_line_editor *editor)
{
        struct termios before_this, raw;
        int r = 0;

        if (tcgetattr(STDIN_FILENO, &before_this) < 0)
                return -errno;
        raw = before_this;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
        raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        while (r == 0) {
                draw(editor);
                r = ctl_line_editor_key(editor, read_byte_of_terminal(NULL), read_byte_of_terminal, NULL);
        }
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before_this);
        putchar('\n');
        return r;
}

static int read_plain(char **ret_line)
{
        char *line = NULL;
        size_t room = 0;
        ssize_t length = getline(&line, &room, stdin);

        if (length < 0) {
                free(line);
                return 0;
        }
        if (length > 0 && line[length - 1] == '\n')
                line[length - 1] = 0;
        *ret_line = line;
        return 1;
}

int ctl_line_editor_read(struct ctl_line_editor *editor, const char *prompt, char **ret_line)
{
        int r;

        if (!editor->terminal)
                return read_plain(ret_line);
        editor->prompt = prompt;
        editor->cursor = 0;
        editor->recalled = editor->history_count;
        qvf_text_clear(&editor->line);
        r = edit(editor);
        if (r == -ENODATA)
                return 0;
        if (r < 0)
                return r;
        *ret_line = strdup(qvf_text_string(&editor->line));
        return *ret_line ? 1 : -ENOMEM;
}
