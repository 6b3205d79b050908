#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: chat_terminal.py QVFCTL: a talk at a terminal. Keys edit the line, Ctrl-C stops the answer and not the
program, the history comes back, Ctrl-D ends it."""
import os
import pty
import select
import sys
import time

PATIENCE_S = 60


def main():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.argv[1], [sys.argv[1], "chat"])
    seen = b""

    def wait_for(wanted):
        nonlocal seen
        end = time.monotonic() + PATIENCE_S
        while wanted not in seen:
            if time.monotonic() > end or not select.select([terminal], [], [], PATIENCE_S)[0]:
                sys.exit(f"no {wanted!r} in {seen!r}")
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                sys.exit(f"it ended without {wanted!r}: {seen!r}")
        seen = seen.split(wanted, 1)[1]

    def press(keys):
        os.write(terminal, keys)

    wait_for(b"Ctrl-D ends")
    wait_for(b"> ")
    press(b"hallo\x1b[D\x1b[D\x1b[D\x1b[3~\x7fe\r")  # becomes "helo": what is left and right of the cursor goes
    wait_for(b"1 turns, ")
    wait_for(b"says nobody.")
    wait_for(b"> ")
    press(b"slow\r")
    time.sleep(1)  # for the request to begin; one that has not begun is not stopped, and the wait below would tell
    press(b"\x03")
    wait_for(b"\xe2\x80\xa6")
    wait_for(b"> ")
    press(b"/clear\r")
    wait_for(b"begun anew")
    wait_for(b"> ")
    press(b"\x1b[A\x1b[A\x1b[A\r")  # the line before the last two
    wait_for(b"1 turns, ")
    wait_for(b"> ")
    press(b"half a line\x03")
    wait_for(b"> ")
    press(b"\x04")
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"it ended with {status}")


main()
